"""From a column of labels as laboratories write them to `control`, a gene, or genes joined by '+' in sorted
order.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from gpovae_core import keys
from gpovae_core.data.wording import counted
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

_NO_LABEL = {"", "nan", "none", "na", "n/a", "<na>", "null"}
_NO_SINGLE_GUIDE = {
    "unassigned",
    "unknown",
    "ambiguous",
    "multiplet",
    "multiple",
    "doublet",
    "negative",
    "undetermined",
    "*",
}
_OTHER_SEPARATORS = ("_", "|", ";", ",", "&")
_NUMBER = r"([\s_\-.]*(sg|g|guide|sgrna|grna)?[\s_\-.]*\d+)?"
_KINDS_BY_PART = {  # looked for anywhere in the label, separators removed
    "non-targeting": ("nontarget",),
    "negative control": ("negctrl", "negcontrol", "negativectrl", "negativecontrol"),
    "safe-targeting": ("safetarget", "safeharbor", "safeharbour"),
}
_KINDS_BY_NAME = {  # the whole label, a number may follow
    "non-targeting": r"(ntc|ntg|nt(?=$|[\s_\-.]|g\d))",
    "control": r"(control|controls|ctrl|ctl(?!\d)|control[\s_\-]?guide|unperturbed[\s_\-]?control)",
    "scrambled": r"(scrambled?|scrambled?[\s_\-]?(control|guide))",
    "unperturbed": r"(unperturbed|untreated|wild[\s_\-]?type)",
    "intergenic": r"(intergenic|intergenic[\s_\-]?control)",
}


def control_kind(label: str) -> str | None:
    """Which kind of control a label names ('non-targeting', 'control', 'safe-targeting', ...), or None where
    it names none.

    Case and the separators '-', '_', ' ' do not matter; a guide's number may follow: NTC_3,
    non-targeting_00123, neg_ctrl.
    """
    folded = label.strip().casefold()
    compact = re.sub(r"[\W_]+", "", folded)
    for kind, parts in _KINDS_BY_PART.items():
        if any(part in compact for part in parts):
            return kind
    return next((kind for kind, name in _KINDS_BY_NAME.items() if re.fullmatch(name + _NUMBER, folded)), None)


@dataclass(frozen=True)
class Labels:
    """canonical: cell id -> CONTROL, a gene, or genes joined by '+'; None where the cell is left out (then
    `left_out` says why).

    left_out: reason -> {label as written: cells}. control_label: as written in the file (the most frequent
    where merged).
    """

    canonical: pd.Series | None
    control_label: str = ""
    left_out: dict[str, dict[str, int]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def column_of(frame: pd.DataFrame, name: str) -> pd.Series:
    """One column; said so, because pandas cannot know that column names are unique."""
    return cast("pd.Series", frame[name])


def label_text(column: pd.Series) -> pd.Series:
    """Labels as stripped text, "" where missing; categories are worked on, not cells."""
    import pandas as pd

    codes, values = pd.factorize(column, use_na_sentinel=True)
    names = [str(value).strip() for value in values]
    names = ["" if name.casefold() in _NO_LABEL else name for name in names] + [""]
    return pd.Series([names[code] for code in codes], index=column.index, dtype=object)


def find_label_column(
    obs: pd.DataFrame, genes: Collection[str], wanted: str | None = None, control: str | None = None
) -> tuple[str | None, list[Problem], list[str]]:
    """(column of obs with the labels or None, problems, notes).

    wanted: the user's choice. Otherwise the known names in which a control label is recognised, then any
    other column in which one is. `perturbation` wins over other known names; else two candidates that
    disagree are an error.
    """
    if wanted is not None:
        return _wanted_column(obs, wanted)
    by_name = {str(column).casefold(): str(column) for column in obs.columns}
    known = [by_name[name] for name in LABEL_COLUMNS if name in by_name]
    with_control = [column for column in known if _names_control(column_of(obs, column), control)]
    if with_control:
        return _pick_known(obs, with_control)
    texts = [str(c) for c in obs.columns if str(c) not in known and _is_text(column_of(obs, c))]
    others = [column for column in texts if _names_control(column_of(obs, column), control)]
    others = [column for column in others if _names_gene(column_of(obs, column), genes)] or others
    if len(others) == 1:
        return (
            others[0],
            [],
            [
                f"Labels were found in the column '{others[0]}' of obs by their content; set label_column "
                "to choose another."
            ],
        )
    if others:
        return None, [_ambiguous_column(obs, others)], []
    if len(known) == 1:
        return known[0], [], []
    return None, [_missing_column(obs, known)], []


def _wanted_column(obs: pd.DataFrame, wanted: str) -> tuple[str | None, list[Problem], list[str]]:
    if wanted in obs.columns:
        return wanted, [], []
    message = (
        f"label_column is '{wanted}', but obs has no such column; it has: "
        f"{', '.join(map(str, obs.columns)) or 'none'}."
    )
    return (
        None,
        [
            Problem(
                "label-column-missing",
                message,
                "Choose the column that names the perturbed gene of every cell.",
            )
        ],
        [],
    )


def _pick_known(obs: pd.DataFrame, columns: list[str]) -> tuple[str | None, list[Problem], list[str]]:
    first = columns[0]
    agree = all(
        (label_text(column_of(obs, column)) == label_text(column_of(obs, first))).all()
        for column in columns[1:]
    )
    if agree:
        return first, [], []
    if first.casefold() == LABEL_COLUMNS[0]:
        rest = ", ".join(f"'{column}'" for column in columns[1:])
        return (
            first,
            [],
            [
                f"Labels are read from the column '{first}' of obs; {rest} would also be possible (set "
                "label_column)."
            ],
        )
    return None, [_ambiguous_column(obs, columns)], []


def _ambiguous_column(obs: pd.DataFrame, columns: list[str]) -> Problem:
    shown = "; ".join(f"'{column}' ({_examples(column_of(obs, column))})" for column in columns[:6])
    return Problem(
        "label-column-ambiguous",
        f"Several columns of obs could name the perturbed gene: {shown}.",
        "Set label_column to one.",
    )


def _missing_column(obs: pd.DataFrame, known: list[str]) -> Problem:
    candidates = known or [str(column) for column in obs.columns if _is_text(column_of(obs, column))]
    shown = "; ".join(f"'{column}' ({_examples(column_of(obs, column))})" for column in candidates[:8])
    message = "No column of obs is recognised as the one that names the perturbed gene and the controls."
    message += f" Columns with text: {shown}." if shown else " No column of obs holds text."
    hint = "Set label_column to the right one (and control_label to the value that marks controls)."
    return Problem("label-column-missing", message, hint)


def _examples(column: pd.Series) -> str:
    values = label_text(column).value_counts()
    shown = [str(value) for value in values.index if value][:3]
    return ", ".join(shown) + (", ..." if len(values) > 3 else "")


def _is_text(column: pd.Series) -> bool:
    import pandas as pd

    values = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    return pd.api.types.is_object_dtype(values) or pd.api.types.is_string_dtype(values)


def _names_control(column: pd.Series, control: str | None) -> bool:
    values = set(label_text(column)) - {""}
    controls = {
        value
        for value in values
        if value == control or all(map(control_kind, value.split(keys.PAIR_SEPARATOR)))
    }
    return bool(controls) and len(values - controls) > 0


def _names_gene(column: pd.Series, genes: Collection[str]) -> bool:
    return any(
        part in genes for value in set(label_text(column)) for part in value.split(keys.PAIR_SEPARATOR)
    )


def read_labels(
    column: pd.Series,
    genes: Collection[str],
    control: str | None = None,
    hint: str | None = None,
    ids: Mapping[str, str] | None = None,
) -> Labels:
    """Canonical labels of every cell.

    genes: names of the measured genes; control: the user's control_label; hint: uns["control_label"] of the
    file; ids: symbol -> Ensembl id, so that labels written as ids are understood.
    """
    text = label_text(column)
    counts = {str(name): int(n) for name, n in text.value_counts().items() if name}
    if not counts:
        message = f"The column '{column.name}' of obs holds no labels."
        return Labels(None, problems=[Problem("labels-missing", message, "Choose another label_column.")])
    chosen = _choose_control(counts, set(genes), control, hint, str(column.name))
    if chosen.problem is not None:
        return Labels(None, chosen.label, problems=[chosen.problem])
    reader = _Reader(set(genes), chosen.kind, chosen.label, set(counts), ids or {})
    canonical: dict[str, str | None] = {"": None}
    reasons = {"": "no label"}
    for name in counts:
        canonical[name], reasons[name] = reader.read(name)
    problems, notes = _remarks(counts, canonical, reasons, chosen, reader)
    left_out: dict[str, dict[str, int]] = {}
    for name, n in {**counts, "": int((text == "").sum())}.items():
        if canonical[name] is None and n:
            left_out.setdefault(reasons[name], {})[name] = n
    return Labels(text.map(canonical), chosen.label, left_out, problems, notes)


@dataclass(frozen=True)
class _Control:
    label: str = ""
    kind: str | None = None
    problem: Problem | None = None


def _choose_control(
    counts: Mapping[str, int], genes: set[str], control: str | None, hint: str | None, column: str
) -> _Control:
    for given in (control, hint):
        if given is not None and str(given).strip() in counts:
            return _Control(str(given).strip(), control_kind(str(given)))
    kinds: dict[str, dict[str, int]] = {}
    for name, n in counts.items():
        found = {_kind_beside(part, genes) for part in name.split(keys.PAIR_SEPARATOR)}
        if None not in found and len(found) == 1:
            kinds.setdefault(str(found.pop()), {})[name] = n
    if control is not None:
        kind = control_kind(control)
        if kind in kinds:
            return _Control(_most_frequent(kinds[kind]), kind)
        return _Control(
            control,
            problem=_control_missing(
                counts, f"control_label is '{control}', but no cell has this label in '{column}'."
            ),
        )
    if len(kinds) > 1:  # a gene may be called CTRL
        kinds = {kind: names for kind, names in kinds.items() if not set(names) <= genes} or kinds
    if not kinds:
        return _Control(
            problem=_control_missing(
                counts, f"No label in '{column}' is recognised as that of the control cells."
            )
        )
    if len(kinds) > 1:
        return _Control(problem=_several_kinds(kinds))
    kind, names = next(iter(kinds.items()))
    return _Control(_most_frequent(names), kind)


def _kind_beside(label: str, genes: Collection[str]) -> str | None:
    """control_kind, but None for AHR_NegCtrl0: a gene's guide beside a control guide, although 'negctrl' is
    somewhere in it.
    """
    kind = control_kind(label)
    parts = [part for separator in _OTHER_SEPARATORS for part in label.split(separator)]
    return None if kind and any(part in genes and not control_kind(part) for part in parts) else kind


def _most_frequent(names: Mapping[str, int]) -> str:
    return min(names, key=lambda name: (-names[name], name))


def _control_missing(counts: Mapping[str, int], message: str) -> Problem:
    frequent = sorted(counts, key=lambda name: (-counts[name], name))[:8]
    shown = ", ".join(f"{name} ({counts[name]:,})" for name in frequent)
    hint = (
        "Set control_label to the value that marks cells without a perturbation; every effect is measured "
        "against them."
    )
    return Problem("control-not-found", f"{message} The most frequent labels are {shown}.", hint)


def _several_kinds(kinds: Mapping[str, Mapping[str, int]]) -> Problem:
    shown = "; ".join(
        f"{_most_frequent(names)} ({counted(sum(names.values()), 'cell')}"
        + (f", {len(names)} labels)" if len(names) > 1 else ")")
        for _, names in sorted(kinds.items())
    )
    hint = "Set control_label to the one to compare with; cells of the others are then left out."
    return Problem("control-ambiguous", f"Several kinds of control label are present: {shown}.", hint)


class _Reader:
    """Reads one label at a time; remembers what it had to assume, for the remarks."""

    def __init__(
        self, genes: set[str], kind: str | None, control: str, labels: set[str], ids: Mapping[str, str]
    ) -> None:
        self.genes, self.kind, self.control, self.labels = genes, kind, control, labels
        self.by_id = {identifier.split(".")[0]: symbol for symbol, identifier in ids.items()}
        self.by_fold: dict[str, set[str]] = {}
        for gene in genes:
            self.by_fold.setdefault(gene.casefold(), set()).add(gene)
        self.respelled: dict[str, str] = {}
        self.split: list[str] = []
        self.plus_genes: list[str] = []

    def read(self, label: str) -> tuple[str | None, str]:
        """(canonical label or None, why it is left out)."""
        if label == self.control:
            return keys.CONTROL, ""
        if label.casefold() in _NO_SINGLE_GUIDE:
            return None, "no single perturbation assigned"
        halves = label.split("__")
        if len(halves) == 2 and halves[0] == halves[1]:  # AHR_FEV__AHR_FEV: both barcodes of one cell
            return self.read(halves[0])
        if keys.PAIR_SEPARATOR in label and label in self.genes:
            self.plus_genes.append(label)
            return None, "gene name with '+'"
        parts = self._parts(label)
        if not all(parts):
            return None, "malformed label"
        found = sorted({self._gene(part) for part in parts if not self._is_control(part)})
        if found:
            return keys.PAIR_SEPARATOR.join(found), ""
        same_kind = all(
            part == self.control or (self.kind and control_kind(part) == self.kind) for part in parts
        )
        return (keys.CONTROL, "") if same_kind else (None, "another kind of control")

    def _is_control(self, part: str) -> bool:
        return part == self.control or (part not in self.genes and _kind_beside(part, self.genes) is not None)

    def _parts(self, label: str) -> list[str]:
        if keys.PAIR_SEPARATOR in label:
            return [part.strip() for part in label.split(keys.PAIR_SEPARATOR)]
        if label in self.genes or _kind_beside(label, self.genes):
            return [label]
        for separator in _OTHER_SEPARATORS:
            parts = [part.strip() for part in label.split(separator)]
            if len(parts) > 1 and self._all_known(parts, label):
                self.split.append(label)
                return parts
        return [label]

    def _all_known(self, parts: list[str], label: str) -> bool:
        """Whether a label may be cut here: every part is a measured gene, another label, or a control; one is
        no control.
        """
        known = [
            part in self.genes or self._is_control(part) or (part in self.labels and part != label)
            for part in parts
        ]
        return all(known) and any(part in self.genes for part in parts)

    def _gene(self, part: str) -> str:
        if part in self.genes:
            return part
        same = self.by_fold.get(part.casefold(), set())
        found = self.by_id.get(part.split(".")[0]) or (next(iter(same)) if len(same) == 1 else None)
        if found is None:
            return part
        self.respelled[part] = found
        return found


def _remarks(
    counts: Mapping[str, int],
    canonical: Mapping[str, str | None],
    reasons: Mapping[str, str],
    chosen: _Control,
    reader: _Reader,
) -> tuple[list[Problem], list[str]]:
    problems, notes = [], []
    merged = [name for name in counts if canonical[name] == keys.CONTROL]
    if len(merged) > 1:
        shown = ", ".join(sorted(merged)[:4]) + (", ..." if len(merged) > 4 else "")
        notes.append(f"{len(merged)} control labels of one kind ({shown}) are taken together as the control.")
    if reader.split:
        notes.append(
            f"Read as several genes: {counted(len(reader.split), 'label')}, e.g. '{min(reader.split)}'."
        )
    if reader.respelled:
        old, new = min(reader.respelled.items())
        notes.append(
            f"Spelled as the measured genes are: {counted(len(reader.respelled), 'label')}, e.g. '{old}' as "
            f"'{new}'."
        )
    problems += _left_out_problems(counts, reasons)
    if reader.plus_genes:
        message = (
            f"Perturbed genes with a '+' in their name, e.g. '{reader.plus_genes[0]}': '+' joins the genes "
            "of a combination."
        )
        problems.append(Problem("plus-in-gene-name", message, "Rename them in var and in the label column."))
    problems += _guide_level(canonical) + _alike(canonical)
    return problems, notes


def _left_out_problems(counts: Mapping[str, int], reasons: Mapping[str, str]) -> list[Problem]:
    wording = {
        "malformed label": (
            "malformed-labels",
            "with a label that cannot be read (a '+' with nothing beside it)",
        ),
        "another kind of control": (
            "other-controls",
            "with another kind of control label than the chosen one",
        ),
        "no single perturbation assigned": ("no-single-perturbation", "with no single perturbation assigned"),
    }
    problems = []
    for reason, (code, text) in wording.items():
        names = sorted(name for name in counts if reasons[name] == reason)
        if names:
            cells = sum(counts[name] for name in names)
            shown = ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")
            message = f"Left out: {counted(cells, 'cell')} {text} ({shown})."
            problems.append(Problem(code, message, severity="warning"))
    return problems


def _guide_level(canonical: Mapping[str, str | None]) -> list[Problem]:
    """One label per guide (STAT2g1, STAT2_2) instead of per gene: every gene would fall into several
    perturbations.
    """
    names = {
        name
        for name in canonical.values()
        if name and name != keys.CONTROL and keys.PAIR_SEPARATOR not in name
    }
    stems: dict[str, list[str]] = {}
    for name in names:
        match = re.fullmatch(r"(.+?)(?:[_\-. ]?(?:sg|g|guide|sgRNA)[_\-. ]?|[_\-. ])\d+", name)
        if match:
            stems.setdefault(match[1], []).append(name)
    repeated = [sorted(group) for group in stems.values() if len(group) > 1]
    if not names or sum(map(len, repeated)) <= len(names) / 2:
        return []
    message = (
        f"Labels name guides, not genes: {', '.join(min(repeated)[:3])}, ... would count as different "
        "perturbations."
    )
    hint = "Choose the column that names the target gene, or make one by removing the guide's number."
    return [Problem("guide-level-labels", message, hint)]


def _alike(canonical: Mapping[str, str | None]) -> list[Problem]:
    folds: dict[str, set[str]] = {}
    for name in canonical.values():
        if name:
            folds.setdefault(name.casefold(), set()).add(name)
    alike = sorted(sorted(group) for group in folds.values() if len(group) > 1)
    if not alike:
        return []
    message = (
        f"Perturbations that differ only in upper and lower case are kept apart: {' and '.join(alike[0])}."
    )
    return [Problem("labels-alike", message, "Spell them alike if they are the same gene.", "warning")]
