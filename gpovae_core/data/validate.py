"""What a file of cells holds and what is wrong with it: all problems at once, and what would be used."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gpovae_core import keys
from gpovae_core.data import conditions
from gpovae_core.data.backed import BackedCells, FileMatrix
from gpovae_core.data.counts import Counts, as_csr, find_counts
from gpovae_core.data.decisions import Decision, Option
from gpovae_core.data.design import OFF, RECOVERED_LIBRARY, WORDS, Design, find_design, missing_columns
from gpovae_core.data.direction import both_directions, own_changes, read_direction, stated_direction
from gpovae_core.data.expression import log_expression
from gpovae_core.data.features import NoGenes, only_genes
from gpovae_core.data.genes import GeneNames, find_gene_names, restore_dates
from gpovae_core.data.guide_targets import TargetReader
from gpovae_core.data.labels.columns import ColumnChoice, find_labels, label_words
from gpovae_core.data.labels.names import Names
from gpovae_core.data.labels.reading import Labels
from gpovae_core.data.made_labels import (
    MadeLabels,
    infections,
    make_labels,
    not_used,
    offered,
    parts_of_labels,
)
from gpovae_core.data.memory import panel_too_large
from gpovae_core.data.panel import takes_all
from gpovae_core.data.progress import Progress
from gpovae_core.data.read import duplicate_cell_ids
from gpovae_core.data.schema import Dropped
from gpovae_core.data.wording import counted
from gpovae_core.errors import Problem

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData
    from scipy import sparse

    from gpovae_core.config import DataSettings
    from gpovae_core.data.store import StoredCounts

FEWEST_CELLS = 3  # one cell each for training, validation and test
FEWEST_PERTURBATIONS = 2


@dataclass(frozen=True)
class Reading:
    """The usable part of a file in an order of its own: cells sorted by id, genes by name, so that file order
    cannot matter.

    counts: (n_obs, n_vars) raw counts, CSR float32, on disk where they are too large to be held; labels: cell
    id -> canonical label; obs: the file's columns of these cells.
    """

    counts: sparse.csr_matrix | StoredCounts
    genes: tuple[str, ...]
    ids: dict[str, str]
    labels: pd.Series
    obs: pd.DataFrame
    dropped: tuple[Dropped, ...]
    design: Design


@dataclass(frozen=True)
class Examination:
    """problems: errors and warnings; summary: plain values for JSON; reading: what can be used, None where an
    error stops it; decisions: what was chosen on the way, in the order of a report.
    """

    problems: tuple[Problem, ...]
    summary: dict[str, Any]
    reading: Reading | None = None
    decisions: tuple[Decision, ...] = ()

    @property
    def ok(self) -> bool:
        return not any(problem.severity == "error" for problem in self.problems)


@dataclass
class _Findings:
    """Collected on the way through the file."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    conditions: dict[str, int] = field(default_factory=dict)  # those of the file -> cells

    def add(self, problems: Iterable[Problem], notes: Iterable[str] = ()) -> None:
        self.problems.extend(problems)
        self.notes.extend(notes)

    def error(self, code: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(code, message, hint))

    def warn(self, code: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(code, message, hint, "warning"))

    @property
    def ok(self) -> bool:
        return not any(problem.severity == "error" for problem in self.problems)


def examine(
    cells: AnnData | BackedCells,
    settings: DataSettings,
    scratch: Path | None = None,
    progress: Progress | None = None,
) -> Examination:
    """Everything wrong with `cells` under `settings`, and what training would use of them.

    scratch: where counts that are too large to be held are written in the order of a Reading; a temporary
    file where None.
    """
    found = _Findings()
    cells, no_genes = only_genes(cells)
    found.notes += [*_reader_notes(cells.uns), *([no_genes.note] if no_genes.count else [])]
    repeated = duplicate_cell_ids(cells)
    found.add([repeated] if repeated else [])
    if cells.n_obs == 0 or cells.n_vars == 0:
        found.error(
            "no-cells" if cells.n_obs == 0 else "no-genes",
            f"The data hold {cells.n_obs:,} cells and {cells.n_vars:,} genes.",
        )
        return _examination(found, _basics(cells))
    counts = find_counts(cells, settings.counts_layer)
    found.add(counts.problems, counts.notes)
    found.decisions.append(_counts_decision(counts))
    if no_genes.count:
        found.decisions.append(_features_decision(no_genes))
    var = cast("pd.DataFrame", cells.var) if counts.var is None else counts.var
    totals = (
        None if counts.matrix is None else np.asarray(counts.matrix.sum(axis=0), dtype=np.float64).ravel()
    )
    names = find_gene_names(var, settings.symbol_column, totals)
    names, choice = _labels(cells, names, settings)
    found.add(names.problems, names.notes)
    found.decisions += [names.decision] if names.decision else []
    found.add(_named_elsewhere(var, names, choice.labels.targets, settings))
    column, labels, made = _labels_read_or_made(cells, names, choice, settings, found)
    found.add(missing_columns(cast("pd.DataFrame", cells.obs), settings))

    summary = _basics(cells) | {
        "genes": len(names.names),
        "counts_from": counts.source,
        "counts_how": counts.how,
        "label_column": column or "",
    }
    if made is not None:
        summary |= {"guide_calls": made.counts}
    summary |= {"control_label": labels.control_label, "simulated": is_simulated(cells.uns)}
    if labels.canonical is None or counts.matrix is None or not names.usable or repeated:
        told = {part for part in WORDS if getattr(settings, part) is not None}
        design = _design_decisions(Design(), settings, [str(name) for name in cells.obs.columns])
        found.decisions += [decision for decision in design if decision.setting in told]
        return _examination(found, summary | {"notes": found.notes})
    store = _Store(scratch, progress)
    reading = _select(
        _with_library(cells, counts.library),
        counts.matrix,
        names.names,
        names.ids,
        labels,
        settings,
        found,
        store,
        made or column,
    )
    summary |= _summarise(reading, found)
    _check_panel(reading, settings, found)
    return _examination(found, summary, reading if found.ok else None)


def _examination(found: _Findings, summary: dict[str, Any], reading: Reading | None = None) -> Examination:
    summary = summary | {"decisions": [decision.model_dump(mode="json") for decision in found.decisions]}
    return Examination(tuple(found.problems), summary, reading, tuple(found.decisions))


def _counts_decision(counts: Counts) -> Decision:
    taken = "" if counts.matrix is None else counts.source
    how = f" ({counts.how})" if taken and counts.how else ""
    return Decision(
        setting="counts_layer",
        about="Counts",
        taken=f"{taken}{how}",
        why=counts.why,
        options=counts.options,
        asked=counts.asked,
    )


def _features_decision(no_genes: NoGenes) -> Decision:
    told = f"column {no_genes.column} of var" if no_genes.column else "names"
    return Decision(
        setting="", about="Left out of the genes", taken=no_genes.in_words, why=f"told by the {told}"
    )


def is_simulated(uns: Mapping[str, Any]) -> bool:
    """Whether cells carry the mark of this project's simulator: `simulated` is True, nothing like it."""
    mark = uns.get("simulated")
    return isinstance(mark, bool | np.bool_) and bool(mark)


def _reader_notes(uns: Mapping[str, Any]) -> list[str]:
    notes = uns.get(keys.READER_NOTES)
    return [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []


def _with_library(cells: AnnData | BackedCells, library: np.ndarray | None) -> AnnData | BackedCells:
    """The cells with their recovered library sizes as a column of obs."""
    if library is None:
        return cells
    obs = cast("pd.DataFrame", cells.obs).assign(**{RECOVERED_LIBRARY: library})
    return BackedCells(cast("FileMatrix", cells.X), obs, cast("pd.DataFrame", cells.var))


def _basics(cells: AnnData | BackedCells) -> dict[str, Any]:
    return {"cells": int(cells.n_obs), "genes": int(cells.n_vars)}


def _labels(
    cells: AnnData | BackedCells, names: GeneNames, settings: DataSettings
) -> tuple[GeneNames, ColumnChoice]:
    """(names of the genes, labels of the cells): each helps to read the other."""
    hint = cells.uns.get("control_label")
    hint = str(hint) if isinstance(hint, str | np.str_) else None
    obs, var = cast("pd.DataFrame", cells.obs), cast("pd.DataFrame", cells.var)
    names = restore_dates(names, lambda: label_words(obs, settings.label_column))
    if settings.label_column is None:
        targets = TargetReader(names.names, names.ids, settings.control_label)
        obs = obs.drop(columns=parts_of_labels(obs, targets))
    choice = find_labels(obs, Names(names.names, names.ids), settings, hint)
    if choice.column is None and settings.label_column is None:
        turned = find_labels(var, Names(cells.obs_names.astype(str)), settings)
        if turned.column is not None and turned.labels.targets & set(cells.obs_names.astype(str)):
            text = "The rows look like genes, the columns like cells: the labels are in var, not in obs."
            problem = Problem("transposed", text, "Write `adata.T` instead.")
            choice = replace(choice, problems=(problem,), decision=None)
    return names, choice


def _named_elsewhere(
    var: pd.DataFrame, names: GeneNames, targets: Collection[str], settings: DataSettings
) -> list[Problem]:
    """That no target is among the names of the genes, and a column of var holds them."""
    known = not targets or not set(targets).isdisjoint(names.names)
    if known or not names.usable or settings.symbol_column is not None:
        return []
    for column in map(str, var.columns[~var.columns.duplicated()]):
        if len(set(targets) & set(var[column].astype(str))) >= len(targets) / 2:
            message = (
                f"No perturbed gene is among the names of the genes ({', '.join(sorted(names.names)[:3])}, "
                f"...), but the column '{column}' of var holds them ({', '.join(sorted(targets)[:3])}, ...)."
            )
            return [Problem("symbols-in-a-column", message, f"Set symbol_column to '{column}'.")]
    return []


def _labels_read_or_made(
    cells: AnnData | BackedCells,
    names: GeneNames,
    choice: ColumnChoice,
    settings: DataSettings,
    found: _Findings,
) -> tuple[str | None, Labels, MadeLabels | None]:
    """(name of the labels, labels, how they were made where that is no column of obs)."""
    targets = TargetReader(names.names, names.ids, settings.control_label)
    least = max(settings.min_cells, FEWEST_CELLS)
    asked = any(problem.code == "label-column-ambiguous" for problem in choice.problems)
    made = make_labels(cells, targets, settings, least, unless=choice.column is not None or asked)
    if made is not None:
        found.add(made.labels.problems, made.labels.notes)
        found.decisions += made.decisions
        return made.name, made.labels, made
    labels = choice.labels
    found.add((*choice.problems, *labels.problems), (*choice.notes, *labels.notes))
    if choice.decision:
        more = offered(cells, targets, choice.column)
        options = (*choice.decision.options, *more)
        found.decisions.append(choice.decision.model_copy(update={"options": options}))
    found.decisions += labels.decisions
    if labels.canonical is not None and choice.column is not None:
        found.add(infections(labels, least))
        found.decisions += not_used(cells, targets, choice.column)
    return choice.column, labels, None


@dataclass(frozen=True)
class _Store:
    """Where counts that are too large to be held go, and who is told how far that is."""

    path: Path | None
    progress: Progress | None

    def counts(
        self, matrix: Any, rows: np.ndarray, columns: np.ndarray, wanted: bool
    ) -> sparse.csr_matrix | StoredCounts:
        """(len(rows), len(columns)) these rows and columns in this order; wanted: False where an error stops
        the work anyway.
        """
        if not isinstance(matrix, FileMatrix):
            chosen = as_csr(matrix[rows])[:, columns]
            chosen.sort_indices()
            return chosen
        return (
            matrix.store(rows, columns, self.path, self.progress)
            if wanted
            else as_csr(np.zeros((0, len(columns))))
        )


def _select(
    cells: AnnData | BackedCells,
    matrix: Any,
    genes: list[str],
    ids: dict[str, str],
    labels: Labels,
    settings: DataSettings,
    found: _Findings,
    store: _Store,
    source: MadeLabels | str | None,
) -> Reading:
    """The cells that stay, sorted; every one that does not goes into found.dropped with its reason. source:
    what the labels were made from, or the column of obs that holds them.
    """
    assert labels.canonical is not None
    for reason, names in labels.left_out.items():
        found.dropped += [
            Dropped(what="cells", name=name or "(empty)", count=n, reason=reason)
            for name, n in sorted(names.items())
        ]
    unlabelled = labels.left_out.get("no label", {}).get("", 0)
    if unlabelled:
        found.warn("cells-without-label", f"Left out: {counted(unlabelled, 'cell')} without a label.")
    canonical = labels.canonical.to_numpy(dtype=object)
    kept = np.array([label is not None and label == label for label in canonical], dtype=bool)
    kept &= _not_empty(matrix, kept, found)
    cell_ids = np.asarray(cells.obs_names.astype(str), dtype=object)
    rows = np.flatnonzero(kept)
    rows = rows[np.argsort(cell_ids[rows].astype(str), kind="stable")]
    columns = np.argsort(np.array(genes), kind="stable")
    made, column = (source, None) if isinstance(source, MadeLabels) else (None, source)
    rows, settings = _of_conditions(cells, canonical, rows, settings, column, found)
    stay = _strong_enough(matrix, rows, genes, canonical[rows], settings, found)
    stay &= _enough_cells(canonical[rows], stay, settings.min_cells, found)
    obs, cell_labels = _annotations(cells, canonical, rows[stay])
    if made is not None and made.guides is not None:
        obs[made.guides.name] = made.guides.to_numpy()[rows[stay]]
    totals = np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()[rows[stay]]
    design = find_design(obs, cell_labels.to_numpy(dtype=object), totals, settings, column)
    found.add(design.problems, design.notes)
    found.add(both_directions(obs, cell_labels.to_numpy(dtype=object), column))
    found.decisions += _design_decisions(design, settings, [str(name) for name in obs.columns])
    found.conditions = found.conditions or conditions.sizes(design)
    found.add(conditions.together(design, settings))
    decision = conditions.decision(found.conditions, settings)
    found.decisions += [decision] if decision is not None else []
    counts = store.counts(matrix, rows[stay], columns, wanted=found.ok)
    measured = tuple(genes[i] for i in columns)
    if found.ok:
        design = _with_direction(design, counts, measured, cell_labels.to_numpy(dtype=object), totals)
        design = _as_stated(design, obs, found)
    known = {gene: ids[gene] for gene in measured if gene in ids}
    return Reading(counts, measured, known, cell_labels, obs, tuple(found.dropped), design)


def _of_conditions(
    cells: AnnData | BackedCells,
    canonical: np.ndarray,
    rows: np.ndarray,
    settings: DataSettings,
    label_column: str | None,
    found: _Findings,
) -> tuple[np.ndarray, DataSettings]:
    """The rows of the conditions that are asked for, and settings that name their column: what is left may no
    longer show that it holds conditions.
    """
    if not settings.conditions:
        return rows, settings
    obs, labels = _annotations(cells, canonical, rows)
    design = find_design(obs, labels.to_numpy(dtype=object), np.ones(len(obs)), settings, label_column)
    found.conditions = conditions.sizes(design)
    inside, problems = conditions.chosen_cells(design, settings)
    found.add(problems)
    if inside is None:
        return rows, settings.model_copy(update={"conditions": ()})
    for name, n in found.conditions.items():
        if name not in settings.conditions:
            found.dropped.append(Dropped(what="cells", name=name, count=n, reason="another condition"))
    return rows[inside], settings.model_copy(update={"condition": design.columns.condition})


def _with_direction(
    design: Design,
    counts: sparse.csr_matrix | StoredCounts,
    genes: Sequence[str],
    labels: np.ndarray,
    totals: np.ndarray,
) -> Design:
    """The design with the direction that the targets' own expression tells. totals: (n_obs,) counts a cell in
    the file.
    """
    batch, library = design.compared, design.values.get(keys.SIZE_FACTOR)
    changes = own_changes(
        counts,
        genes,
        labels,
        totals if library is None else library.to_numpy(dtype=np.float64),
        None if batch is None else np.asarray(batch.cat.codes),
    )
    columns = design.columns.model_copy(update={"direction": read_direction(changes)})
    return replace(design, columns=columns)


def _design_decisions(design: Design, settings: DataSettings, columns: list[str]) -> list[Decision]:
    """A line for each part of the design, with the columns that could be it first."""
    made = []
    for part, words in WORDS.items():
        taken, told = getattr(design.columns, part), getattr(settings, part)
        likely = [name for name in (taken, *design.others.get(part, ())) if name]
        rest = [name for name in columns if name not in likely]
        options = [Option(value=name, text=f"column '{name}' of obs") for name in [*likely, *rest]]
        why = "as chosen" if told else "by its name and what it holds" if taken else ""
        made.append(
            Decision(
                setting=part,
                about=words.capitalize(),
                taken=f"column '{taken}' of obs" if taken else "none",
                why=why,
                options=(*options, Option(value=OFF, text="none")),
            )
        )
    return made


def _as_stated(design: Design, obs: pd.DataFrame, found: _Findings) -> Design:
    """The design with the direction that obs states, and a warning where the expression says another."""
    stated, read = stated_direction(obs), design.columns.direction
    if stated is None:
        return design
    known = read is not None and "mixed" not in (read, stated)
    if known and (read == "activation") != (stated == "activation"):
        found.warn(
            "direction-contradicted",
            f"The file states {stated}, but the targets' own expression says {read}.",
            "Check the labels, or say what was done (network.perturbation).",
        )
    return replace(design, columns=design.columns.model_copy(update={"direction": stated}))


def _annotations(
    cells: AnnData | BackedCells, canonical: np.ndarray, rows: np.ndarray
) -> tuple[pd.DataFrame, pd.Series]:
    """(columns of obs, labels) of these rows."""
    import pandas as pd

    obs = cast("pd.DataFrame", cells.obs).iloc[rows].copy()
    obs.index = obs.index.astype(str)
    return obs, pd.Series(canonical[rows], index=obs.index, name=keys.PERTURBATION, dtype=object)


def _not_empty(matrix: Any, kept: np.ndarray, found: _Findings) -> np.ndarray:
    """(n_obs,) bool: cells with at least one count."""
    filled = np.asarray(matrix.sum(axis=1)).ravel() > 0
    empty = int((kept & ~filled).sum())
    if empty:
        found.dropped.append(Dropped(what="cells", name="empty", count=empty, reason="no counts at all"))
        found.warn("empty-cells", f"Left out: {counted(empty, 'cell')} without any counts.")
    return filled


def _strong_enough(
    matrix: Any,
    rows: np.ndarray,
    genes: list[str],
    labels: np.ndarray,
    settings: DataSettings,
    found: _Findings,
) -> np.ndarray:
    """(len(rows),) bool: all True, unless only strongly knocked-down cells are wanted. labels: those of the
    rows.
    """
    if not settings.strong_knockdown_only:
        return np.ones(len(labels), dtype=bool)
    targets = np.flatnonzero(np.isin(np.array(genes), sorted(_targets(labels))))
    totals = np.asarray(matrix.sum(axis=1), dtype=np.float32).ravel()[rows]
    in_file = isinstance(matrix, FileMatrix)
    counts = matrix.columns_of_rows(rows, targets) if in_file else as_csr(matrix[rows])[:, targets]
    expression = log_expression(counts, totals, settings.target_sum)
    strong = strong_knockdown(expression, [genes[i] for i in targets], labels, settings.knockdown_percentile)
    for name in sorted(set(labels[~strong])):
        n = int((~strong & (labels == name)).sum())
        reason = f"target above percentile {settings.knockdown_percentile:g} of controls"
        found.dropped.append(Dropped(what="cells", name=name, count=n, reason=reason))
    unmeasured = sorted(_targets(labels) - set(genes))
    if unmeasured:
        found.notes.append(
            "The knock-down of unmeasured targets cannot be checked; their cells were all kept: "
            f"{_listed(unmeasured)}."
        )
    return strong


def strong_knockdown(
    expression: sparse.csr_matrix, genes: Sequence[str], labels: np.ndarray, percentile: float
) -> np.ndarray:
    """(n_obs,) bool: every measured target of the cell is at or below that percentile of its expression in
    control cells.

    expression: (n_obs, n_vars) log-normalised; labels: (n_obs,) canonical. Controls, and cells whose targets
    are not measured, stay.
    """
    column = {gene: i for i, gene in enumerate(genes)}
    by_column = expression.tocsc()
    control = labels == keys.CONTROL
    strong = np.ones(len(labels), dtype=bool)
    for name in sorted(set(labels) - {keys.CONTROL}):
        for gene in name.split(keys.PAIR_SEPARATOR):
            if gene in column and control.any():
                values = by_column[:, [column[gene]]].toarray().ravel()
                strong &= (labels != name) | (values <= np.percentile(values[control], percentile))
    return strong


def _enough_cells(labels: np.ndarray, kept: np.ndarray, min_cells: int, found: _Findings) -> np.ndarray:
    """(n_obs,) bool: cells of perturbations with enough of them; adds the problems of too few cells,
    controls, perturbations.
    """
    names, n = np.unique(labels[kept].astype(str), return_counts=True)
    counts = dict(zip(names.tolist(), n.tolist(), strict=True))
    controls = counts.pop(keys.CONTROL, 0)
    least = max(min_cells, FEWEST_CELLS)
    if controls < least:
        hint = (
            "Effects are measured against controls: add control cells, or lower min_cells if so few must do."
        )
        found.error(
            "too-few-controls", f"{counted(controls, 'control cell')}; at least {least:,} are needed.", hint
        )
    small = {name: count for name, count in counts.items() if count < least}
    if small:
        found.dropped += [
            Dropped(what="perturbation", name=k, count=v, reason=f"fewer than {least} cells")
            for k, v in small.items()
        ]
        shown = _listed(
            [f"{name} ({count})" for name, count in sorted(small.items(), key=lambda item: item[1])]
        )
        text = f"Left out, because they have fewer than {least} cells: {shown}."
        found.warn("few-cells", text, "The limit is the setting min_cells.")
    left = sorted(set(counts) - set(small))
    _one_gene_at_a_time(left, small, counts, found)
    if len(left) < FEWEST_PERTURBATIONS:
        _too_few_perturbations(left, len(small), least, found)
    return ~np.isin(labels.astype(str), list(small))


def _one_gene_at_a_time(
    left: list[str], small: Collection[str], counts: Mapping[str, int], found: _Findings
) -> None:
    """Warns of a screen of high MOI, and of one in which no gene is perturbed alone. left: perturbations with
    enough cells, small: the others; counts: cells of each.
    """
    together = sum(counts[name] for name in small if keys.PAIR_SEPARATOR in name)
    perturbed = sum(counts.values())
    hint = (
        "Edges need cells of one perturbed gene each: take the cells with a single guide, or a screen of low "
        "MOI."
    )
    if 2 * together > perturbed:
        found.warn(
            "high-moi",
            f"A high multiplicity of infection (MOI): {together:,} of {perturbed:,} perturbed cells carry "
            "several genes in combinations that too few other cells carry; what such cells show belongs to "
            "no one gene.",
            hint,
        )
    elif left and all(keys.PAIR_SEPARATOR in name for name in left):
        found.warn(
            "no-gene-alone",
            "Every perturbed cell carries several genes (a high multiplicity of infection, MOI, or a library "
            "of pairs): no gene has an effect of its own, so the network stage (preset evidence) finds no "
            "edge.",
            hint,
        )


def _too_few_perturbations(left: list[str], small: int, least: int, found: _Findings) -> None:
    got = f"only {left[0]}" if left else "none"
    after = f" after leaving out {small:,} with fewer than {least} cells" if small else ""
    code = "single-perturbation" if left else "no-perturbations"
    message = (
        f"A network needs at least {FEWEST_PERTURBATIONS} perturbations to compare; there is {got}{after}."
    )
    found.error(code, message, "Check label_column" + (", or lower min_cells." if small else "."))


def _targets(labels: Iterable[str]) -> set[str]:
    return {gene for label in set(labels) - {keys.CONTROL} for gene in label.split(keys.PAIR_SEPARATOR)}


def _listed(names: Sequence[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def _check_panel(reading: Reading, settings: DataSettings, found: _Findings) -> None:
    """An error where the network would not fit into the memory, before anything is worked out."""
    perturbed = _targets(reading.labels)
    genes = set(reading.genes) | perturbed if takes_all(len(reading.genes), settings) else perturbed
    huge = panel_too_large(len(genes), len(perturbed))
    found.add([huge] if huge else [])


def _summarise(reading: Reading, found: _Findings) -> dict[str, Any]:
    counts = {str(name): int(n) for name, n in reading.labels.value_counts().sort_index().items()}
    controls = counts.pop(keys.CONTROL, 0)
    unmeasured = sorted(_targets(reading.labels) - set(reading.genes))
    if unmeasured:
        text = (
            f"Perturbed but not measured: {_listed(unmeasured)} ({len(unmeasured):,} of "
            f"{len(_targets(reading.labels)):,} perturbed genes)."
        )
        found.warn("unmeasured-targets", text, "Edges can start there, but none can be seen to end there.")
    return {
        "cells_kept": len(reading.labels),
        "control_cells": controls,
        "perturbations": counts,
        "unmeasured_targets": unmeasured,
        "design": reading.design.columns.model_dump(),
        "conditions": found.conditions,
        "dropped": [entry.model_dump() for entry in found.dropped],
        "notes": list(found.notes),
    }
