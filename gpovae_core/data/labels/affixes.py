"""What may stand in a label beside a gene without naming another: guide numbers and sequences, words of the
construct, the kind of perturbation.
"""

from __future__ import annotations

import re
from functools import lru_cache

_COUNTED = (
    r"guides?|sg|sgrnas?|grnas?|g|gd|sh|shrnas?|si|sirnas?|crrnas?|pegrnas?|oligo|targets?|ko|kd|rep"
    r"|replicate|ver|version|v|r|x|clone|tss|promoter|prom|isoform"
)
"""Words that a number may follow: g2, sgRNA3, rep1."""
_WORDS = (
    r"targeted|targeting|genes?|sym|symbol|id|num|no|kos|kds|ki|oe|knockouts?|knockdowns?|knock|out|down|in"
    r"|overexpression|overexpressed|activation|activated|interference|repression|repressed|silenced|silencing"
    r"|depletion|depleted|inhibition|inhibited|edited|edit|null|del|deletion|mutants?|crispr|crispri|crispra"
    r"|crisprko|crisproff|crispron|cas9|cas12a|cas13|dcas9|spcas9|krab|vpr|vp64|sam|zim3|kox1|mecp2|cropseq"
    r"|crop|seq|perturb|perturbseq|perturbed|perturbation|pert|hg|hg19|hg38|grch37|grch38|human|mm|mm10|mm39"
    r"|grcm38|grcm39|mouse|hs|ds|np|lib|library|pool|brunello|dolcetto|calabrese|gecko|brie|lenti|plasmid"
    r"|vector|hom|het|homozygous|heterozygous|single|double|triple"
)
_AFFIX = re.compile(
    rf"(?i:(?:{_COUNTED})\d*|{_WORDS})"
    r"|\d+x?|[A-Za-z]"  # a number, 3x, a letter
    r"|(?:P\d){2,}"  # two promoters: P1P2
    r"|(?i:[acgtun]{8,})"  # a guide's sequence
    r"|p[A-Z]{2,3}\d+"  # a plasmid: pMJ144
)
_NUMBERED_LETTER = re.compile(r"[a-z]\d{1,4}|[ABDEG-SU-Z]\d{1,4}")
"""A1, s2, P1, K562; C2, F8 and TXN2 may be genes."""
_TOKEN = re.compile(r"[^\W_]+")
_BEFORE = re.compile(
    r"(?:\u0394|\u2206|sgRNA|gRNA|shRNA|siRNA|crRNA|sg|sh|si|cr|g|mi|ko|kd|KO|KD|CRISPRi|CRISPRa|anti)"
)
_AFTER = re.compile(r"(.+?)(?:(?:sgRNA|gRNA|shRNA|siRNA|guide|sg|sh|si|g)\d+|KO|KD|OE|ko|kd|oe)")
_GENOTYPE = re.compile(r"[\s_]*\(?(?:-/-|\+/-|-/\+)\)?$")
_CODE = re.compile(
    r"(?i:(?:guides?|sg|sgrnas?|grnas?|crrnas?|shrnas?|sirnas?|oligo|targets?|clone|pert|perturbation)"
    r"[\W_]*\d+|[acgtun]{8,})"
)
_STRAND = re.compile(r"([_\s])[+-][_\s](?=\d)")
WILD_TYPE = re.compile(r"\+/\+")


def tokens_of(text: str) -> list[str]:
    """The words of a label, without what separates them."""
    return _TOKEN.findall(text)


def places_of(text: str) -> list[tuple[int, int]]:
    """(start, end) of the words of a label."""
    return [match.span() for match in _TOKEN.finditer(text)]


@lru_cache(maxsize=4096)  # the same word is asked about many times in a row
def is_affix(token: str) -> bool:
    """Whether a word of a label says something about the guide or the construct and names no gene."""
    return _AFFIX.fullmatch(token) is not None


def is_numbered_letter(token: str) -> bool:
    """Whether a word is a letter with a number (A1, s2, K562): beside a measured gene it tells guides or
    cells apart; alone it may be what somebody calls a gene (A20, P53).
    """
    return _NUMBERED_LETTER.fullmatch(token) is not None


def is_number(text: str) -> bool:
    """Whether a label is a number and nothing else."""
    return re.fullmatch(r"[+-]?\d+(?:[.,]\d+)?(?:[eE][+-]?\d+)?", text) is not None


def is_code(text: str) -> bool:
    """Whether a label is the number or the sequence of a guide and nothing else: guide3, sg-12."""
    return _CODE.fullmatch(text) is not None


def is_plain_number(token: str) -> bool:
    """Whether an affix is a bare number or letter: 'NKX2-1' is a gene although it ends like a guide."""
    return re.fullmatch(r"\d+|[A-Za-z]", token) is not None


def is_guide(part: str) -> bool:
    """Whether a part of a label says what guide it is and nothing else: its sequence, 'sg2'."""
    tokens = tokens_of(part)
    return all(map(is_affix, tokens)) and not all(map(is_plain_number, tokens))


def without_genotype(label: str) -> str:
    """STAT1-/- and STAT1 +/- as 'STAT1 KO'; the strand of a guide ('STAT1_+_1918') goes: its plus joins no
    genes.
    """
    return _STRAND.sub(r"\1", _GENOTYPE.sub(" KO", label))


def bare_names(word: str) -> list[str]:
    """What may be left of a word without what is written onto it: shSTAT1, STAT1g2, STAT1KO -> STAT1."""
    found = []
    before, after = _BEFORE.match(word), _AFTER.fullmatch(word)
    if before and before.end() < len(word):
        found.append(word[before.end() :])
    if after:
        found.append(after[1])
    if before and after and before.end() < len(after[1]):
        found.append(after[1][before.end() :])
    return found
