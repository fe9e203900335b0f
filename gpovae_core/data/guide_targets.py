"""Which gene a guide targets: by a table, or by the guide's name where that contains the gene's."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gpovae_core import keys
from gpovae_core.data.labels.controls import control_kind

if TYPE_CHECKING:
    import pandas as pd

_GUIDE_WORD = r"(?:sgrna|grna|guide|protospacer|sg|g|cr)"
_SPELT_NUMBER = re.compile(rf"[_\-. :]+(?i:{_GUIDE_WORD})[_\-. :]*\d+[a-z]?$")
_PLAIN_NUMBER = re.compile(r"(?:[_\-. :]+|(?:sgRNA|gRNA|guide|sg|g))\d+[a-z]?$")
_PREFIX = re.compile(rf"{_GUIDE_WORD}[_\-. :]+(?=\S)|sg(?=[A-Z])")
_SEQUENCE = re.compile(r"[_\-. :|]*[ACGTacgt]{15,}[_\-. :|]*")
_CUT = re.compile(r"[_\-. :|]+")
_NO_NAME = re.compile(rf"{_GUIDE_WORD}?[_\-. :]*\d*|", re.IGNORECASE)
_MISSING = {"", "nan", "none", "na", "n/a", "<na>", "null"}
NUMBERED = 0.8
"""Share of the guides with a number at the end from which on these numbers are the guides' own."""
TARGET_COLUMNS = (
    "target_gene_name",
    "target_gene",
    "gene_target",
    "target",
    "gene_name",
    "gene_symbol",
    "symbol",
    "gene",
    "perturbation",
    "target_gene_id",
    "gene_id",
    "grna_target",
    "sgrna_target",
    "guide_target",
    "intended_target_name",
    "intended_target",
)
"""Usual names of the column that says what a guide targets, the first in the table wins."""


@dataclass(frozen=True)
class Targets:
    """targets: guide -> the genes it targets, none for a control guide; unknown: guides of which nothing says
    what they target; guessed: those whose target was read out of their name.
    """

    targets: dict[str, tuple[str, ...]]
    unknown: tuple[str, ...] = ()
    guessed: tuple[str, ...] = ()


class TargetReader:
    """Reads targets as a table or a guide's name gives them.

    genes: measured; ids: symbol -> Ensembl id; control: the user's control_label.
    """

    def __init__(self, genes: Collection[str], ids: Mapping[str, str], control: str | None = None) -> None:
        self.genes, self.control = set(genes), control
        self.by_id = {identifier.split(".")[0]: symbol for symbol, identifier in ids.items()}
        self.by_fold: dict[str, set[str]] = {}
        for gene in self.genes:
            self.by_fold.setdefault(gene.casefold(), set()).add(gene)

    def is_control(self, name: str) -> bool:
        return name == self.control or (name not in self.genes and control_kind(name) is not None)

    def measured(self, name: str) -> str | None:
        """The measured gene that is written so: by its symbol, another case of it, or its id."""
        if name in self.genes:
            return name
        same = self.by_fold.get(name.casefold(), set())
        return self.by_id.get(name.split(".")[0]) or (next(iter(same)) if len(same) == 1 else None)

    def stated(self, target: object) -> tuple[str, ...] | None:
        """Genes of one cell of a table; () for a control, None where it is empty."""
        text = str(target).strip()
        if text.casefold() in _MISSING:
            return None
        parts = [text] if self.measured(text) else [part.strip() for part in re.split(r"[+|;,]", text)]
        return tuple(sorted({self.measured(p) or p for p in parts if p and not self.is_control(p)}))

    def from_name(self, guide: str, numbered: bool = True) -> str | None:
        """The target that a guide's name begins with: a measured gene up to a cut, or what is left without
        the guide's number and sequence; keys.CONTROL, or None where nothing is left.

        numbered: whether a plain number at the end (MARCH8g1, MARCH8_1) is the guide's, also where the name
        before it is not measured.
        """
        bare = _SEQUENCE.sub("_", guide).strip("_-. :|")
        bare = bare if bare in self.genes else _PREFIX.sub("", bare, count=1)
        if gene := self.measured(bare):
            return gene
        spelt, stem = (pattern.sub("", bare) for pattern in (_SPELT_NUMBER, _PLAIN_NUMBER))
        starts = [
            bare[:cut] for cut in sorted((match.start() for match in _CUT.finditer(bare)), reverse=True)
        ]
        for name in (spelt, stem, *starts, *(_PLAIN_NUMBER.sub("", start) for start in starts)):
            if gene := self.measured(name):
                return gene
        if any(map(self.is_control, (guide, stem, *starts))):
            return keys.CONTROL
        if _NO_NAME.fullmatch(stem):
            return None
        return spelt if spelt != bare else stem if numbered else bare


def find_targets(guides: Sequence[str], table: Mapping[str, object] | None, reader: TargetReader) -> Targets:
    """Targets of guides by `table` (guide -> target), else by their names."""
    targets: dict[str, tuple[str, ...]] = {}
    unknown, guessed = [], []
    numbered = sum(bool(_PLAIN_NUMBER.search(guide)) for guide in guides) >= NUMBERED * len(guides)
    for guide in guides:
        stated = reader.stated(table[guide]) if table is not None and guide in table else None
        if stated is None:
            name = reader.from_name(guide, numbered)
            guessed.append(guide)
            if name is None:
                unknown.append(guide)
                continue
            stated = () if name == keys.CONTROL else (name,)
        targets[guide] = stated
    return Targets(targets, tuple(unknown), tuple(guessed))


def table_of_frame(
    frame: pd.DataFrame, guides: Collection[str], reader: TargetReader
) -> dict[str, str] | None:
    """guide -> target out of a table with a column (or index) of guides and one of targets, None where none
    fits: the guides are in the column that names most of them, the targets in a column with a usual name, or
    in the one whose values are most often measured genes and controls.
    """
    wanted = set(guides)
    columns = {str(name): [str(value).strip() for value in frame[name]] for name in frame.columns}
    if len(columns) != frame.shape[1]:
        return None
    places = {"": [str(value).strip() for value in frame.index]} | columns
    place = max(places, key=lambda name: len(wanted & set(places[name])))
    if len(wanted & set(places[place])) < len(wanted) / 2:
        return None
    rest = {name: values for name, values in columns.items() if name != place}
    folded = {name.casefold().replace(" ", "_"): name for name in rest}
    named = next((folded[usual] for usual in TARGET_COLUMNS if usual in folded), None)
    if named is None and rest:
        share = {name: _known(values, reader) for name, values in rest.items()}
        best = max(share, key=lambda name: share[name])
        named = best if share[best] >= 0.5 or len(rest) == 1 else None
    return None if named is None else dict(zip(places[place], rest[named], strict=True))


def _known(values: Iterable[str], reader: TargetReader) -> float:
    """Share of the values that are measured genes or controls."""
    counts = Counter(values)
    known = sum(n for value, n in counts.items() if reader.measured(value) or reader.is_control(value))
    return known / max(1, sum(counts.values()))
