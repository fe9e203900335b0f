"""Which measured genes a part of a label names, however it is written."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

from gpovae_core.data.labels import affixes, dates
from gpovae_core.data.labels.text import tidy

ENSEMBL = re.compile(r"(ENS[A-Z]*G\d{6,})(\.\d+)?", re.IGNORECASE)
"""An Ensembl gene id; its version, which says nothing about which gene it is, as the second group."""

_INSIDE = re.compile(rf"(?<![^\W_]){ENSEMBL.pattern}(?![^\W_])", re.IGNORECASE)

_RELATED = re.compile(r"AS\d*|DT|IT\d+|OT\d+|HG|PS\d*")
"""Behind a hyphen they name another gene: ZNF503-AS2 is not ZNF503."""
_NEVER_GENES = {
    *("WT", "MUT", "DMSO", "PBS", "LPS", "STIM", "UNSTIM", "RESTING", "MOCK", "VEHICLE", "TREATED", "NONE"),
    *("UNKNOWN", "UNTREATED", "CONTROL", "CTRL", "GUIDE", "POS", "NEG", "HIGH", "LOW"),
}
_NO_TARGETS = {"control", "controls"}
_VARIANT = re.compile(r"[A-Z]\d{2,4}[A-Z]")  # G12D
_STYLES = {
    "STAT1": re.compile(r"[A-Z][A-Z0-9]*(?:orf\d+[A-Z]*)?[A-Z0-9]*(?:-[A-Z0-9]+)*"),
    "Stat1": re.compile(r"[A-Z][a-z0-9]+[A-Za-z0-9]*(?:-[A-Za-z0-9]+)*"),
    "stat1": re.compile(r"[a-z][a-z0-9]+(?:[.-][a-z0-9]+)*"),
}
_MOST_TOKENS = 12


@dataclass(frozen=True)
class Found:
    """genes: what a part names; none where that is not clear. near: measured genes it may mean where it is
    not; how: what was understood on the way ("" where it is spelled as measured), see HOW; guess: genes among
    `genes` that are not measured, taken for genes by their look; joint: what stands between them; kind: what
    Mixscape says of the cells ("NP").
    """

    genes: tuple[str, ...] = ()
    near: tuple[str, ...] = ()
    how: str = ""
    guess: tuple[str, ...] = ()
    joint: str = ""
    kind: str = ""


HOW = {
    "spelling": "spelled as the measured genes are",
    "id": "with an Ensembl id read as the gene it stands for",
    "date": "that spreadsheets turned into dates read as the gene they were",
    "renamed": "with an older or newer symbol read as the measured gene",
    "guide": "read without what stands beside the gene (guide, kind of perturbation)",
}


class Names:
    """The measured genes, to be looked up by whatever a label says.

    genes: names of the measured genes; ids: symbol -> Ensembl id, other ids are not looked at. targets: those
    that a label may name, which a gene that is called control is not.
    """

    def __init__(self, genes: Collection[str], ids: Mapping[str, str] | None = None) -> None:
        self.genes = frozenset(genes)
        self.targets = frozenset(gene for gene in self.genes if gene.casefold() not in _NO_TARGETS)
        self._by_id: dict[str, set[str]] = {}
        for gene, identifier in [*((gene, gene) for gene in self.genes), *(ids or {}).items()]:
            match = ENSEMBL.fullmatch(identifier)
            if match:
                self._by_id.setdefault(match[1].upper(), set()).add(gene)
        self._by_fold: dict[str, set[str]] = {}
        self._by_letters: dict[str, set[str]] = {}
        self._without_separators: dict[str, set[str]] = {}
        self._by_date: dict[tuple[int, int], set[str]] = {}
        for gene in self.genes:
            folded = tidy(gene).casefold()
            self._by_fold.setdefault(folded, set()).add(gene)
            letters = _letters(folded)
            self._by_letters.setdefault(letters, set()).add(gene)
            if "-" in letters:
                self._without_separators.setdefault(letters.replace("-", ""), set()).add(gene)
            date = dates.date_in(gene)
            if date:
                self._by_date.setdefault(date, set()).add(gene)
        self._styles = self._usual_styles()

    def _usual_styles(self) -> list[re.Pattern[str]]:
        """How the measured genes are spelled: more than a fifth of them each."""
        symbols = [gene for gene in self.genes if not ENSEMBL.fullmatch(gene)]
        used = [
            style
            for style in _STYLES.values()
            if sum(style.fullmatch(gene) is not None for gene in symbols) > 0.2 * len(symbols)
        ]
        return used or [_STYLES["STAT1"], _STYLES["Stat1"]]

    def looks_like_gene(self, text: str) -> bool:
        """Whether a word that is no measured gene may be the name of another, by how these are spelled."""
        if ENSEMBL.fullmatch(text):
            return True
        if text.upper() in _NEVER_GENES or _VARIANT.fullmatch(text) or affixes.is_affix(text):
            return False
        if affixes.is_numbered_letter(text) or dates.date_in(text):
            return False
        return any(style.fullmatch(text) for style in self._styles)

    def whole(self, text: str) -> tuple[set[str], str]:
        """(measured genes that a text names as a whole, how); more than one where it is ambiguous."""
        if text in self.genes:
            return {text}, ""
        match = ENSEMBL.fullmatch(text)
        if match:
            return self._by_id.get(match[1].upper(), set()), "id"
        folded = text.casefold()
        tables = (self._by_fold, self._by_letters, self._without_separators)
        for table, key in zip(tables, (folded, _letters(folded), folded), strict=True):
            if key in table:
                return table[key], "spelling"
        if from_date := self._spelled(dates.genes_of_date(text)):
            return from_date, "date"
        if date := dates.date_in(text):
            return self._by_date.get(date, set()), "date"
        return self._spelled(dates.other_names(text)), "renamed"

    def _spelled(self, symbols: Collection[str]) -> set[str]:
        return {gene for symbol in symbols for gene in self._by_fold.get(symbol.casefold(), ())}

    def named_otherwise(self, targets: Collection[str]) -> bool:
        """Whether targets, none of which is measured, are Ensembl ids and the measured genes are not, or the
        other way round.
        """
        ids = [ENSEMBL.fullmatch(target) is not None for target in targets]
        of_genes = [ENSEMBL.fullmatch(gene) is not None for gene in self.genes]
        return (all(ids) and not self._by_id) or (not any(ids) and bool(of_genes) and all(of_genes))

    def find(self, part: str) -> Found:
        """What one part of a label names; controls are no business of this."""
        genes, how = self.whole(part)
        if genes:
            return Found(tuple(genes), how=how) if len(genes) == 1 else Found(near=tuple(sorted(genes)))
        if affixes.is_number(part) or affixes.is_code(part) or dates.date_in(part):
            return Found()
        words = _Words(part)
        if len(words.tokens) > _MOST_TOKENS:
            return Found((part,), guess=(part,))
        if described := self._beside_id(part):
            return described
        spans = self._spans(words)
        inside = {i for first, last, _, _ in spans for i in range(first, last)}
        rest = [i for i in range(len(words.tokens)) if i not in inside]
        named = [gene for _, _, gene, _ in spans]
        other = [i for i in rest if not _beside_gene(words.tokens[i])]
        kind = "NP" if any(words.tokens[i] == "NP" for i in rest) else ""
        if named and not other:
            return self._with_affixes(words, spans, kind)
        if named:
            return self._with_strangers(words, spans, other, part)
        return self._unmeasured(words, part)

    def _beside_id(self, part: str) -> Found | None:
        """A gene with its own Ensembl id beside it (STAT1_P1P2_ENSG00000115415): the id is no other gene.

        None where a part is not written so.
        """
        ids = list(_INSIDE.finditer(part))
        if len(ids) != 1:
            return None
        rest = f"{part[: ids[0].start()]} {part[ids[0].end() :]}".strip(" _-.:|,")
        rest = re.sub(r"[\s_]* [\s_]*", "_", rest)
        if all(map(affixes.is_affix, affixes.tokens_of(rest))):
            return None
        named, by_id = self.find(rest), self.whole(ids[0][0])[0]
        if len(by_id) > 1 or not named.genes:
            return None
        if by_id and named.genes != (*by_id,) and not named.guess:
            return Found(near=(*sorted({*by_id, *named.genes}),))
        if by_id:
            return Found((*by_id,), how="guide", kind=named.kind)
        return Found(named.genes, how="guide", guess=named.guess, joint=named.joint, kind=named.kind)

    def near_to(self, name: str, cut: bool = False) -> set[str]:
        """Measured genes that a name which is none may mean: with up to four characters written onto them
        (dSTAT1, STAT1i); cut: or with up to two missing at the end, or with a word more (GRCh38_STAT1).
        """
        found = set()
        for before in range(5):
            for after in range(5 - before):
                core = name[before : len(name) - after]
                if (before or after) and len(core) >= 3 and affixes.tokens_of(core) and core[0].isalnum():
                    found |= self._by_fold.get(core.casefold(), set())
        return found | self._by_part.get(name.casefold(), set()) if cut else found

    @cached_property
    def _by_part(self) -> dict[str, set[str]]:
        """All but the last one or two characters of a gene, or a word of it, folded -> genes."""
        found: dict[str, set[str]] = {}
        for gene in self.genes:
            folded = gene.casefold()
            beginnings = [folded[:length] for length in range(max(3, len(gene) - 2), len(gene))]
            words = re.split(r"[_|:;,/\s]+", folded)
            for part in {*beginnings, *(words if len(words) > 1 else ())}:
                found.setdefault(part, set()).add(gene)
        return found

    def _spans(self, words: _Words) -> list[tuple[int, int, str, bool]]:
        """(first token, after the last, gene, spelled exactly) of every measured gene in a label, the longest
        first; none overlap.
        """
        found: list[tuple[int, int, str, bool]] = []
        n = len(words.tokens)
        for size in range(n, 0, -1):
            for first in range(n - size + 1):
                if any(first < end and start < first + size for start, end, _, _ in found):
                    continue
                text = words.between(first, first + size)
                names = {text} if text in self.genes else self._named(text)
                if len(names) == 1:
                    gene = next(iter(names))
                    found.append((first, first + size, gene, text == gene))
        return sorted(found)

    def _named(self, text: str) -> set[str]:
        if affixes.is_affix(text) or dates.date_in(text):
            return set()
        names, _ = self.whole(text)
        if names:
            return names
        bare = {gene for name in affixes.bare_names(text) for gene in self.whole(name)[0] if len(name) > 1}
        return bare if len(bare) == 1 else set()

    def _with_affixes(self, words: _Words, spans: list[tuple[int, int, str, bool]], kind: str) -> Found:
        """Measured genes, and beside them only what belongs to guides."""
        genes = sorted({gene for _, _, gene, _ in spans})
        if len(genes) == 1:
            return Found((genes[0],), how="guide", kind=kind)
        joints = {words.joint(a[1]) for a, b in pairwise(spans) if b[2] != a[2]}
        clear = len({exact for _, _, _, exact in spans}) == 1
        if clear and not any(joint in {"-", "."} for joint in joints):
            how = "guide" if len(spans) < len(words.tokens) else ""
            return Found(tuple(genes), how=how, joint=joints.pop()[0], kind=kind)
        return Found(near=(*genes,))

    def _with_strangers(
        self, words: _Words, spans: list[tuple[int, int, str, bool]], other: list[int], part: str
    ) -> Found:
        """Measured genes, and beside them words that say nothing known: another gene, or anything else."""
        genes = sorted({gene for _, _, gene, _ in spans})
        ends = [span[1] for span in spans]
        if all(_RELATED.fullmatch(words.tokens[i]) and words.joint(i) == "-" and i in ends for i in other):
            return Found((part,), guess=(part,))
        guesses = self._segments(words, spans, other)
        if guesses is None:
            return Found(near=tuple(genes))
        joint = next(filter(None, map(words.joint, range(1, len(words.tokens)))), "_")
        return Found(tuple(sorted({*genes, *guesses})), guess=tuple(guesses), joint=joint[0])

    def _segments(
        self, words: _Words, spans: list[tuple[int, int, str, bool]], other: list[int]
    ) -> list[str] | None:
        """Strangers with their hyphens, where each looks like a gene that '_' or a space sets apart."""
        guesses = []
        while other:
            first = last = other.pop(0)
            while other and other[0] == last + 1 and words.joint(other[0]) == "-":
                last = other.pop(0)
            text = words.between(first, last + 1)
            sides = {words.joint(first), words.joint(last + 1)}
            if not self.looks_like_gene(text) or sides & {"-", "."}:
                return None
            guesses.append(text)
        return guesses if all(exact for _, _, _, exact in spans) else None

    def _unmeasured(self, words: _Words, part: str) -> Found:
        """No measured gene anywhere: the part as it is, or what is left of it without words of the guide."""
        first, last = 0, len(words.tokens)
        while last - first > 1 and _goes(words.tokens[first]):
            first += 1
        end = last
        while end - first > 1 and affixes.is_affix(words.tokens[end - 1]):
            end -= 1
            last = end if _goes(words.tokens[end]) else last
        kind = "NP" if "NP" in words.tokens[last:] else ""
        if several := self._several(part, kind):
            return several
        core = words.between(first, last) if last > first else part
        stem = re.sub(r"_\d+$", "", core)
        bare = [name for name in affixes.bare_names(stem) if len(stem) > 4 and self.looks_like_gene(name)]
        if core == part and bare and re.match(r"(?:sg|sh|si|cr)(?:RNA)?[A-Z]", core):
            core = bare[-1]
        elif bare and re.search(r"(?:sg|g|guide|sgRNA)\d+$", core):
            core = bare[0]
        core = re.sub(r"_\d+$", "", core) if core != part else core
        if core == part and not self.looks_like_gene(part) and not part[:1].isdigit():
            near = self.near_to(part)
            if len(near) == 1:
                return Found(near=(*near,))
        if core != part and not self.looks_like_gene(core) and "_" not in core:
            return Found((part,), guess=(part,))
        return Found((core,), guess=(core,), how="guide" if core != part else "", kind=kind)

    def _several(self, part: str, kind: str) -> Found | None:
        """Names that are not measured, with what may join genes between them (FEV_KLF5, FEV:KLF5), also with
        guides of each (FEV_g1_KLF5_g2); None where there are no two.
        """
        joint = _JOINING.search(part)
        if joint is None:
            return None
        pieces = [_without_guides(piece) for piece in _JOINING.split(part)]
        pieces = [piece for piece in pieces if piece]
        if len(pieces) < 2 or not all(map(self.looks_like_gene, pieces)):
            return None
        genes = tuple(sorted(set(pieces)))
        if len(genes) == 1:
            return Found(genes, guess=genes, how="guide", kind=kind)
        return Found(genes, guess=genes, joint=f"?{joint[0][0]}", kind=kind)


class _Words:
    """The words of a label and what stands between them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = affixes.tokens_of(text)
        self._places = affixes.places_of(text)

    def between(self, first: int, last: int) -> str:
        """The text from token `first` up to before token `last`."""
        return self.text[self._places[first][0] : self._places[last - 1][1]]

    def joint(self, i: int) -> str:
        """What stands before token i; "" at both ends."""
        if not 0 < i < len(self.tokens):
            return ""
        return self.text[self._places[i - 1][1] : self._places[i][0]].strip() or " "


_JOINING = re.compile(r"_+|\s+|--+|[^\w\s.-]+")
"""What may stand between two genes of a label; '-' and '.' stand in names as well."""


def _without_guides(piece: str) -> str:
    """A piece of a label without words of guides at its ends; "" where it is nothing else."""
    words = _Words(piece)
    kept = [i for i, token in enumerate(words.tokens) if not affixes.is_affix(token)]
    inner = kept and all(affixes.is_plain_number(token) for token in words.tokens[kept[-1] + 1 :])
    return words.between(kept[0], len(words.tokens) if inner else kept[-1] + 1) if kept else ""


def _beside_gene(token: str) -> bool:
    return affixes.is_affix(token) or affixes.is_numbered_letter(token)


def _goes(token: str) -> bool:
    """Whether a word at the end of a name that is not measured belongs to the guide: a bare number does not
    tell, NKX2-1 is a gene.
    """
    return affixes.is_affix(token) and not affixes.is_plain_number(token)


def _letters(folded: str) -> str:
    """A folded name with one kind of separator: as R writes HLA-A, HLA.A."""
    return re.sub(r"[-_. ]+", "-", folded)
