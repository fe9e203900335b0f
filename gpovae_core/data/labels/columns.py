"""Which column of obs names the perturbed gene of every cell: told by what it holds, then by its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from gpovae_core.config import DataSettings
from gpovae_core.data.decisions import Decision, Option
from gpovae_core.data.labels.affixes import is_affix, is_numbered_letter, tokens_of
from gpovae_core.data.labels.names import Names
from gpovae_core.data.labels.reading import Labels, read_labels
from gpovae_core.data.labels.text import JOINTS, column_of, label_text
from gpovae_core.errors import Problem

if TYPE_CHECKING:
    import pandas as pd

LABEL_COLUMNS = (
    "perturbation",
    "condition",
    "gene",
    "target",
    "target_gene",
    "gene_target",
    "perturbation_name",
    "perturbed_gene",
    "guide_target",
    "grna_target",
    "sgrna_target",
    "gene_symbol",
    "knockout",
    "guide_identity",
)
"""Usual names of the label column, the scPerturb convention first."""

SAME_READING = 0.01
"""Share of the cells in which two columns may differ and still be two spellings of one reading."""
_MOST_OPTIONS = 8
_MANY_CELLS = 100
"""From here on a column with a value of its own for more than half of the cells holds no labels."""


@dataclass(frozen=True)
class ColumnChoice:
    """column: with the labels, None where there is none or a person has to choose; labels: what it says."""

    column: str | None
    labels: Labels = field(default_factory=lambda: Labels(None))
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    decision: Decision | None = None


def find_labels(
    obs: pd.DataFrame, names: Names, settings: DataSettings | None = None, hint: str | None = None
) -> ColumnChoice:
    """The labels of the cells of `obs`.

    The column is the user's (settings.label_column), or that whose values are measured genes beside controls.
    Its name only decides between columns that say the same of the cells; where two say different things of
    more than SAME_READING of them, a person has to choose. hint: uns["control_label"] of the file.
    """
    settings = settings or DataSettings()
    looked = _Looked(obs, names, settings, hint)
    wanted = settings.label_column
    if wanted is not None:
        if wanted in obs.columns and (obs.columns == wanted).sum() == 1:
            decision = _decision(looked, wanted, "as chosen", looked.options(wanted))
            return ColumnChoice(wanted, looked.labels(wanted), decision=decision)
        decision = _decision(looked, "", f"there is no column '{wanted}'", looked.options(), asked=True)
        return ColumnChoice(None, problems=(_wanted_missing(obs, wanted),), decision=decision)
    pool, why = looked.candidates()
    if not pool:
        decision = _decision(looked, "", "no column is recognised", looked.options(), asked=True)
        return ColumnChoice(None, problems=(_missing(obs, looked),), decision=decision)
    first = pool[0]
    different = [other for other in pool[1:] if looked.difference(first, other) > SAME_READING]
    if different:
        shown = [first, *different]
        decision = _decision(looked, "", "several columns name genes and differ", shown, asked=True)
        return ColumnChoice(None, problems=(_ambiguous(looked, shown),), decision=decision)
    by_content = f"Labels were found in the column '{first}' of obs by their content."
    notes = () if looked.is_usual(first) else (by_content,)
    same = [f"'{other}'" for other in pool[1:]]
    why += f"; {', '.join(same[:3])} {'say' if len(same) > 1 else 'says'} the same" if same else ""
    if looked.genes(first) and (other := looked.no_genes()):
        shown = ", ".join(f"'{name}' ({looked.examples(name)})" for name in other[:2])
        why += f"; {shown} {'name' if len(other) > 1 else 'names'} none"
    decision = _decision(looked, first, why, looked.options(first))
    return ColumnChoice(first, looked.labels(first), notes=notes, decision=decision)


def label_words(obs: pd.DataFrame, wanted: str | None = None) -> set[str]:
    """Every word that stands in a column that may hold labels, `wanted` alone where it is there."""
    names = [wanted] if wanted is not None and wanted in obs.columns else [str(name) for name in obs.columns]
    words: set[str] = set()
    for name in names:
        if (obs.columns == name).sum() == 1 and _is_text(column_of(obs, name)):
            for value in set(label_text(column_of(obs, name))):
                words.update(JOINTS.split(value), tokens_of(value))
    return words


class _Looked:
    """The columns of obs that hold text, and what each says, worked out when it is asked for."""

    def __init__(self, obs: pd.DataFrame, names: Names, settings: DataSettings, hint: str | None) -> None:
        self.obs, self.names, self.settings, self.hint = obs, names, settings, hint
        self._labels: dict[str, Labels] = {}

    @cached_property
    def texts(self) -> list[str]:
        """Columns with a usual name or with text that repeats, the usual ones first."""
        once = [str(c) for c in self.obs.columns if (self.obs.columns == c).sum() == 1]
        return sorted((c for c in once if self.is_usual(c) or self._repeats(c)), key=self._rank)

    def _repeats(self, name: str) -> bool:
        column = column_of(self.obs, name)
        return _is_text(column) and (len(column) < _MANY_CELLS or column.nunique() <= len(column) / 2)

    def _rank(self, name: str) -> tuple[int, bool]:
        folded = name.casefold()
        usual = LABEL_COLUMNS.index(folded) if folded in LABEL_COLUMNS else len(LABEL_COLUMNS)
        return usual, name != folded

    def is_usual(self, name: str) -> bool:
        return name.casefold() in LABEL_COLUMNS

    def labels(self, name: str) -> Labels:
        if name not in self._labels:
            self._labels[name] = read_labels(column_of(self.obs, name), self.names, self.settings, self.hint)
        return self._labels[name]

    def genes(self, name: str) -> int:
        """Measured genes that a column names as targets; where no control is known in it, as values."""
        labels = self.labels(name)
        if labels.canonical is not None:
            return len(labels.targets & self.names.genes)
        values = set(label_text(column_of(self.obs, name))) - {""}
        found = {gene for value in values for gene in self.names.find(value).genes}
        named = len(found & self.names.genes)
        return named if named >= max(2, len(values) / 2) else 0

    def has_control(self, name: str) -> bool:
        """Whether control labels stand in a column beside others, of one kind or of several."""
        labels = self.labels(name)
        if labels.canonical is not None:
            return bool(labels.targets) or bool(labels.left_out)
        return any(problem.code == "control-ambiguous" for problem in labels.problems)

    def candidates(self) -> tuple[list[str], str]:
        """(columns that may hold the labels, the preferred one first; why, one clause)."""
        genes = {name: self.genes(name) for name in self.texts}
        filled = {name: self._filled(name) for name in self.texts if genes[name]}
        full = [name for name in filled if filled[name] >= max(filled.values()) / 2]
        both = [name for name in full if self.has_control(name)]
        most = max((genes[name] for name in both), default=0)
        richer = [name for name in full if name not in both and genes[name] > most]
        if both or richer:
            why = "its values are measured genes" + (" beside controls" if both else "")
            return sorted(both + richer, key=lambda name: len(self.labels(name).targets)), why
        controls = [name for name in self.texts if self.has_control(name)]
        usual = [name for name in controls if self.is_usual(name)]
        if controls:
            return usual or controls, "a control label stands in it; none of its values is a measured gene"
        known = [name for name in self.texts if self.is_usual(name)]
        return (known, "by its name alone") if len(known) == 1 else ([], "")

    def _filled(self, name: str) -> float:
        """Share of the cells with a value: the partner of a doublet or a second guide is one of few cells."""
        told = self.settings.control_label
        return float((label_text(column_of(self.obs, name), told) != "").mean())

    def no_genes(self) -> list[str]:
        """Columns with a usual name or control labels in which no gene is measured."""
        names = [name for name in self.texts if self.is_usual(name) or self.has_control(name)]
        return [name for name in names if not self.genes(name)]

    def difference(self, first: str, second: str) -> float:
        """Share of the cells that two columns read differently; a guide of a target is no other reading."""
        one, two = (self._comparable(name) for name in (first, second))
        different = np.flatnonzero(one != two)
        pairs, cells = np.unique(np.stack([one[different], two[different]]), axis=1, return_counts=True)
        alike = [_guide_of(a, b) or _guide_of(b, a) for a, b in pairs.T.tolist()]
        return float(cells[~np.array(alike, dtype=bool)].sum()) / max(1, len(one))

    def _comparable(self, name: str) -> np.ndarray:
        canonical = self.labels(name).canonical
        values = label_text(column_of(self.obs, name)) if canonical is None else canonical
        return np.array(["" if value is None or value != value else str(value) for value in values])

    def options(self, first: str | None = None) -> list[str]:
        """What else a person may want: columns with genes, with controls, then any text."""
        ranked = sorted(self.texts, key=lambda name: (-min(1, self.genes(name)), not self.has_control(name)))
        rest = [name for name in ranked if name != first]
        return ([first, *rest] if first else rest)[:_MOST_OPTIONS]

    def examples(self, name: str) -> str:
        values = label_text(column_of(self.obs, name)).value_counts()
        shown = [str(value) for value in values.index if value][:3]
        return ", ".join(shown) + (", ..." if len(values) > 3 else "")


def _guide_of(name: str, target: str) -> bool:
    """Whether a name is that of a target with a guide's number or letter behind it: HS2-B, of HS2."""
    rest = name.removeprefix(target)
    if not target or rest == name or rest[:1].isalnum():
        return False
    return all(is_affix(token) or is_numbered_letter(token) for token in tokens_of(rest))


def _decision(looked: _Looked, taken: str, why: str, columns: Sequence[str], asked: bool = False) -> Decision:
    options = tuple(Option(value=name, text=f"{name} ({looked.examples(name)})") for name in columns)
    return Decision(
        setting="label_column",
        about="Labels",
        taken=f"column '{taken}' of obs" if taken else "",
        why=why,
        options=options,
        asked=asked,
    )


def _wanted_missing(obs: pd.DataFrame, wanted: str) -> Problem:
    known = ", ".join(map(str, obs.columns)) or "none"
    fault = "has several columns of this name" if wanted in obs.columns else "has no such column"
    return Problem(
        "label-column-missing",
        f"label_column is '{wanted}', but obs {fault}; it has: {known}.",
        "Choose the column that names the perturbed gene of every cell.",
    )


def _ambiguous(looked: _Looked, columns: Sequence[str]) -> Problem:
    shown = "; ".join(f"'{name}' ({looked.examples(name)})" for name in columns[:6])
    return Problem(
        "label-column-ambiguous",
        f"Several columns of obs could name the perturbed gene: {shown}.",
        "Set label_column to one.",
    )


def _missing(obs: pd.DataFrame, looked: _Looked) -> Problem:
    candidates = [name for name in looked.texts if looked.is_usual(name)] or looked.texts
    shown = "; ".join(f"'{name}' ({looked.examples(name)})" for name in candidates[:8])
    message = "No column of obs is recognised as the one that names the perturbed gene and the controls."
    message += f" Columns with text: {shown}." if shown else " No column of obs holds text."
    hint = "Set label_column to the right one (and control_label to the value that marks controls)."
    return Problem("label-column-missing", message, hint)


def _is_text(column: pd.Series) -> bool:
    import pandas as pd

    values = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    return pd.api.types.is_object_dtype(values) or pd.api.types.is_string_dtype(values)
