"""Labels that name a control and nothing else."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

from gpovae_core.data.labels.affixes import is_affix, tokens_of
from gpovae_core.data.labels.text import tidy

_PHRASES = {
    "non-targeting": r"no[nt]?[\W_]*target(?:ing|ed|s)?(?:controls?|ctrls?)?|nt[cg]|nt(?!\d)"
    r"|nt[\W_]*[sg]?g?rnas?|no[\W_]*sites?",
    "negative control": r"neg(?:ative)?[\W_]*(?:ctrl|control|ctl)s?",
    "safe-targeting": r"safe[\W_]*(?:target(?:ing|ed)?|harbou?r)|gsh(?!\d)",
    "scrambled": r"scrambled?|scr(?!\d)",
    "Cas only": r"(?:d?cas(?:9|1[23][abd]?)?(?:[\W_]*krab)?)[\W_]*only",
    "guide only": r"(?:guides?|[sg]?g?rnas?)[\W_]*only",
    "empty vector": r"empty[\W_]*(?:vector|plasmid|backbone|guide|[sg]?grna)s?",
    "unperturbed": r"unperturbed|untreated|wild[\W_]*type|parental|no[\W_]*perturbation"
    r"|(?:un|non[\W_]*)(?:transduced|infected|transfected|edited)",
    "intergenic": r"(?:one[\W_]*)?(?:intergenic|non[\W_]*gene)(?:[\W_]*sites?)?",
    "gene desert": r"gene[\W_]*deserts?",
    "control": r"controls?|ctrls?|ctl(?!\d)",
}
"""Kind of control -> how it is written. The order decides where two stand in one label: 'non-targeting
control'."""
CHOSEN = "chosen"
_BESIDE_GENES = [kind for kind in _PHRASES if kind != "unperturbed"]
_GUIDE = r"(?:(?:sg|sh|si|g|cr)(?:rna)?)?"
_NUMBER = r"(?:[\W_]*(?:sg|g|guide|sgrna|grna)?[\W_]*\d+)?"
_EDGES = r"(?<![^\W_])" + _GUIDE + r"(?:{})" + _NUMBER + r"(?![^\W_])"
_OF_KIND = {kind: re.compile(_EDGES.format(words), re.IGNORECASE) for kind, words in _PHRASES.items()}
_ANY = re.compile("|".join(f"(?:{words})" for words in _PHRASES.values()), re.IGNORECASE)
"""Found in every label that names a control; in most others nothing of it is."""
_POSITIVE = re.compile(r"(?<![^\W_])pos(itive)?(?![^\W_])", re.IGNORECASE)


def control_kind(label: str) -> str | None:
    """Which kind of control a label names ('non-targeting', 'control', 'safe-targeting', ...), or None where
    it names none, or something else besides: FEV_NegCtrl0 is a guide of FEV beside a control guide.

    Case and separators do not matter; a guide's number or sequence and words of the construct may stand
    beside it: NTC_3, neg_ctrl, CROPseq_dCas9_DS_non-targeting_00025.
    """
    kind, rest = without_control(label, list(_PHRASES))
    return kind if kind and not rest else None


def without_control(
    label: str, kinds: Sequence[str] = _BESIDE_GENES, chosen: Collection[str] = ()
) -> tuple[str | None, list[str]]:
    """(kind of control that a label names, what else it names): ('negative control', ['FEV']).

    (None, [label]) where no control is named. kinds: those that are looked for; chosen: further names of the
    control, as a person has told them (kind CHOSEN).
    """
    pieces, first = [tidy(label)], None
    if not chosen and not _ANY.search(pieces[0]):
        return None, [label]
    told = [
        re.compile(_EDGES.format(re.escape(name)), re.IGNORECASE) for name in sorted(chosen, key=len)[::-1]
    ]
    for kind, pattern in [*((CHOSEN, one) for one in told), *((kind, _OF_KIND[kind]) for kind in kinds)]:
        cut = [piece for text in pieces for piece in pattern.split(text)]
        if len(cut) > len(pieces):
            pieces, first = cut, first or kind
    if first is None or any(_POSITIVE.search(piece) for piece in pieces):
        return None, [label]
    stripped = [piece.strip(" _-.:;,|/+&~()[]") for piece in pieces]
    return first, [piece for piece in stripped if not all(map(is_affix, tokens_of(piece)))]
