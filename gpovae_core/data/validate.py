"""What a file of cells holds and what is wrong with it: all problems at once, and what would be used."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gpovae_core import keys
from gpovae_core.data.backed import BackedCells, FileMatrix
from gpovae_core.data.counts import Counts, find_counts
from gpovae_core.data.decisions import Decision, Option
from gpovae_core.data.design.find import Design, missing_columns
from gpovae_core.data.design.names import RECOVERED_LIBRARY, WORDS
from gpovae_core.data.enough import FEWEST_CELLS
from gpovae_core.data.features import NoGenes, only_genes
from gpovae_core.data.findings import Findings, listed, targets_of
from gpovae_core.data.genes import GeneNames, find_gene_names, restore_dates, symbols_decision
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
from gpovae_core.data.read import duplicate_cell_ids, read_cells
from gpovae_core.data.reading import Reading, Store, design_decisions, select
from gpovae_core.errors import DataError, Problem

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData

    from gpovae_core.config import DataSettings


_BY_GENES = ("labels-near-genes", "labels-not-genes")
"""Problems with labels that follow from the names of the measured genes."""


@dataclass(frozen=True)
class Examination:
    """problems: errors and warnings; summary: plain values for JSON; reading: what can be used, None where an
    error stops it; decisions: what was chosen on the way, in the order of a report.
    """

    problems: tuple[Problem, ...]
    summary: dict[str, Any]
    reading: Reading | None = field(default=None, repr=False)
    decisions: tuple[Decision, ...] = ()

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
    found = Findings()
    genes_alone, no_genes = only_genes(cells)
    cells = genes_alone if settings.other_features == "leave out" else cells
    found.notes += _reader_notes(cells.uns)
    found.notes += [no_genes.note] if no_genes.count and cells is genes_alone else []
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
        found.decisions.append(_features_decision(no_genes, settings))
    var = cast("pd.DataFrame", cells.var) if counts.var is None else counts.var
    totals = (
        None if counts.matrix is None else np.asarray(counts.matrix.sum(axis=0), dtype=np.float64).ravel()
    )
    names = find_gene_names(var, settings.symbol_column, totals)
    names, choice = _labels(cells, names, settings)
    elsewhere = _named_elsewhere(var, names, choice.labels.targets, settings)
    in_a_column = elsewhere[1] is not None and elsewhere[1].setting == "symbol_column"
    found.add([one for one in names.problems if not (in_a_column and one.code == "ensembl-ids-only")])
    found.add(elsewhere[0], names.notes)
    found.decisions += [names.decision] if names.decision and not in_a_column else []
    found.decisions += [elsewhere[1]] if elsewhere[1] else []
    column, labels, made = _labels_read_or_made(cells, names, choice, settings, found)
    found.add(missing_columns(cast("pd.DataFrame", cells.obs), settings))
    summary = _basics(cells) | {
        "genes": len(names.names),
        "counts_from": counts.source,
        "counts_how": counts.how,
        "label_column": column or "",
        **({"guide_calls": made.counts} if made is not None else {}),
        "control_label": labels.control_label,
        "simulated": is_simulated(cells.uns),
    }
    if labels.canonical is None or counts.matrix is None or not names.usable or repeated:
        found.decisions += _told_of_design(cells, settings)
        return _examination(found, summary | {"notes": found.notes})
    reading = select(
        _with_library(cells, counts.library),
        counts.matrix,
        names.names,
        names.ids,
        labels,
        settings,
        found,
        Store(scratch, progress),
        made or column,
    )
    summary |= _summarise(reading, found)
    _check_panel(reading, settings, found)
    return _examination(found, summary, reading if found.ok else None)


def examine_file(path: Path, settings: DataSettings) -> Examination:
    """`examine` on the cells in a file; what cannot be read is one more thing that is wrong with it."""
    try:
        return examine(read_cells(path), settings)
    except DataError as error:
        return Examination(error.problems, {})


def _examination(found: Findings, summary: dict[str, Any], reading: Reading | None = None) -> Examination:
    summary = summary | {"decisions": [decision.model_dump(mode="json") for decision in found.decisions]}
    return Examination(tuple(found.problems), summary, reading, tuple(found.decisions))


def _told_of_design(cells: AnnData | BackedCells, settings: DataSettings) -> list[Decision]:
    """What a person has said of the design, so that it can be taken back where the cells cannot be read."""
    told = {part for part in WORDS if getattr(settings, part) is not None}
    design = design_decisions(Design(), settings, [str(name) for name in cells.obs.columns])
    return [decision for decision in design if decision.setting in told]


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


def _features_decision(no_genes: NoGenes, settings: DataSettings) -> Decision:
    told = f"column {no_genes.column} of var" if no_genes.column else "names"
    kept = settings.other_features == "keep"
    return Decision(
        setting="other_features",
        about="Kept as genes" if kept else "Left out of the genes",
        taken=no_genes.in_words,
        why="as chosen" if kept else f"told by the {told}",
        options=(
            Option(value="leave out", text="leave them out of genes and library sizes"),
            Option(value="keep", text="keep them as genes"),
        ),
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


def _without_genes(labels: Labels) -> Labels:
    """Labels without what is said of them by the names of genes, where these cannot be used."""
    problems = [problem for problem in labels.problems if problem.code not in _BY_GENES]
    decisions = [decision for decision in labels.decisions if decision.setting != "unclear_labels"]
    return replace(labels, problems=problems, decisions=decisions)


def _named_elsewhere(
    var: pd.DataFrame, names: GeneNames, targets: Collection[str], settings: DataSettings
) -> tuple[list[Problem], Decision | None]:
    """That no target is among the names of the genes, and a column of var holds them, or they are named in
    another way: the problem, and what has to be decided.
    """
    known = not targets or not set(targets).isdisjoint(names.names)
    if known or not names.usable or settings.symbol_column is not None:
        return [], None
    for column in map(str, var.columns[~var.columns.duplicated()]):
        if len(set(targets) & set(var[column].astype(str))) >= len(targets) / 2:
            message = (
                f"No perturbed gene is among the names of the genes ({', '.join(sorted(names.names)[:3])}, "
                f"...), but the column '{column}' of var holds them ({', '.join(sorted(targets)[:3])}, ...)."
            )
            options = [
                column,
                *(option.value for option in (names.decision.options if names.decision else ())),
            ]
            why = "no perturbed gene is among the names that were taken"
            decision = symbols_decision("", why, list(dict.fromkeys(options)), asked=True)
            return [Problem("symbols-in-a-column", message, f"Set symbol_column to '{column}'.")], decision
    written = settings.unclear_labels == "as written"
    if written or not Names(names.names, names.ids).named_otherwise(targets):
        return [], None
    message = (
        f"No perturbed gene can be found among the measured ones: one are Ensembl ids, the other symbols "
        f"({', '.join(sorted(targets)[:3])}, ...; {', '.join(sorted(names.names)[:3])}, ...)."
    )
    hint = (
        "Put the other names of the genes into a column of var ('gene_ids' for ids, 'gene_symbol' for "
        "symbols), or choose another column of labels. Or set unclear_labels: 'as written' takes them for "
        "targets that are not measured."
    )
    option = Option(value="as written", text="targets of their own, not measured")
    why = "ids on one side and symbols on the other"
    asked = Decision(
        setting="unclear_labels", about="Unclear labels", taken="", why=why, options=(option,), asked=True
    )
    return [Problem("targets-named-otherwise", message, hint)], asked


def _labels_read_or_made(
    cells: AnnData | BackedCells,
    names: GeneNames,
    choice: ColumnChoice,
    settings: DataSettings,
    found: Findings,
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
    labels = choice.labels if names.usable else _without_genes(choice.labels)
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


def _check_panel(reading: Reading, settings: DataSettings, found: Findings) -> None:
    """An error where the network would not fit into the memory, before anything is worked out."""
    perturbed = targets_of(reading.labels)
    genes = set(reading.genes) | perturbed if takes_all(len(reading.genes), settings) else perturbed
    huge = panel_too_large(len(genes), len(perturbed))
    found.add([huge] if huge else [])


def _summarise(reading: Reading, found: Findings) -> dict[str, Any]:
    counts = {str(name): int(n) for name, n in reading.labels.value_counts().sort_index().items()}
    controls = counts.pop(keys.CONTROL, 0)
    unmeasured = sorted(targets_of(reading.labels) - set(reading.genes))
    if unmeasured:
        text = (
            f"Perturbed but not measured: {listed(unmeasured)} ({len(unmeasured):,} of "
            f"{len(targets_of(reading.labels)):,} perturbed genes)."
        )
        found.warn("unmeasured-targets", text, "Edges can start there, but none can be seen to end there.")
    return {
        "cells_kept": len(reading.labels),
        "control_cells": controls,
        "perturbations": counts,
        "unmeasured_targets": unmeasured,
        "design": reading.design.columns.model_dump(),
        "directions": reading.directions.model_dump(),
        "conditions": found.conditions,
        "dropped": [entry.model_dump() for entry in found.dropped],
        "notes": list(found.notes),
    }
