"""The cells of a file that can be used, with their counts and design, in an order of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from gpovae_core import keys
from gpovae_core.data import conditions
from gpovae_core.data.backed import BackedCells, FileMatrix
from gpovae_core.data.decisions import Decision, Option
from gpovae_core.data.design.find import Design, find_design
from gpovae_core.data.design.names import OFF, WORDS, is_usual
from gpovae_core.data.design.strata import value_numbers
from gpovae_core.data.direction import (
    MOST_NAMED,
    by_guides,
    contradicted,
    in_both_directions,
    own_changes,
    read_direction,
    stated_kinds,
)
from gpovae_core.data.enough import FEWEST_CELLS, enough_cells, strong_enough
from gpovae_core.data.findings import Findings
from gpovae_core.data.labels.reading import Labels
from gpovae_core.data.like_counts import as_csr
from gpovae_core.data.made_labels import MadeLabels
from gpovae_core.data.progress import Progress, stretch
from gpovae_core.data.schema import Directions, Dropped
from gpovae_core.data.wording import counted
from gpovae_core.errors import Problem

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    from anndata import AnnData
    from scipy import sparse

    from gpovae_core.config import DataSettings
    from gpovae_core.data.store import StoredCounts


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
    directions: Directions


@dataclass(frozen=True)
class Store:
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
            matrix.store(rows, columns, self.path, stretch(self.progress, 0.0, 0.9))
            if wanted
            else as_csr(np.zeros((0, len(columns))))
        )


def select(
    cells: AnnData | BackedCells,
    matrix: Any,
    genes: list[str],
    ids: dict[str, str],
    labels: Labels,
    settings: DataSettings,
    found: Findings,
    store: Store,
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
    canonical[rows], problems = in_both_directions(*_labelled(cells, canonical, rows), column)
    found.add(problems)
    stay = strong_enough(matrix, rows, genes, canonical[rows], settings, found)
    decided = not any(decision.asked for decision in labels.decisions)
    stay &= enough_cells(canonical[rows], stay, settings.min_cells, found, decided)
    canonical[rows[stay]] = _of_one_direction(canonical[rows[stay]])
    obs, cell_labels = _annotations(cells, canonical, rows[stay])
    if made is not None and made.guides is not None:
        obs[made.guides.name] = made.guides.to_numpy()[rows[stay]]
    totals = np.asarray(matrix.sum(axis=1), dtype=np.float64).ravel()[rows[stay]]
    held = rows[stay]
    design = find_design(
        obs,
        cell_labels.to_numpy(dtype=object),
        totals,
        settings,
        column,
        lambda positions: counts_of(matrix, held[positions]),
    )
    found.add(design.problems, design.notes)
    found.decisions += design_decisions(design, settings, [str(name) for name in obs.columns])
    found.conditions = found.conditions or conditions.sizes(design)
    found.add(conditions.together(design, settings))
    decision = conditions.decision(found.conditions, settings)
    found.decisions += [decision] if decision is not None else []
    counts = store.counts(matrix, rows[stay], columns, wanted=found.ok)
    measured, directions = tuple(genes[i] for i in columns), Directions()
    if found.ok:
        cell_labels = _read_off_guides(cell_labels, counts, measured, totals, design, settings)
        found.notes += _both_in_words(cell_labels)
        names = cell_labels.to_numpy(dtype=object)
        directions = stated_kinds(obs, names, column)
        changes = _own_changes(design, counts, measured, names, totals, stretch(store.progress, 0.9))
        direction, seen = read_direction(changes, directions)
        found.add(_against_what_is_stated(changes, directions))
        directions = directions.model_copy(update={"seen": seen})
        design = replace(design, columns=design.columns.model_copy(update={"direction": direction}))
    known = {gene: ids[gene] for gene in measured if gene in ids}
    return Reading(counts, measured, known, cell_labels, obs, tuple(found.dropped), design, directions)


def counts_of(matrix: Any, rows: np.ndarray) -> sparse.csr_matrix:
    """(len(rows), n_vars) counts of some cells, in this order. A file is gone through once."""
    from scipy import sparse

    if not isinstance(matrix, FileMatrix):
        return as_csr(matrix[rows])
    order = np.argsort(rows, kind="stable")
    parts = []
    for part, block in matrix.blocks():
        wanted = rows[order][(rows[order] >= part.start) & (rows[order] < part.stop)]
        parts.append(block[wanted - part.start])
    return sparse.csr_matrix(sparse.vstack(parts, format="csr"))[np.argsort(order, kind="stable")]


def _of_conditions(
    cells: AnnData | BackedCells,
    canonical: np.ndarray,
    rows: np.ndarray,
    settings: DataSettings,
    label_column: str | None,
    found: Findings,
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


def _labelled(
    cells: AnnData | BackedCells, canonical: np.ndarray, rows: np.ndarray
) -> tuple[pd.DataFrame, np.ndarray]:
    obs, labels = _annotations(cells, canonical, rows)
    return obs, labels.to_numpy(dtype=object)


def _of_one_direction(labels: np.ndarray) -> np.ndarray:
    """The labels without keys.ACTIVATED where no other cell of the gene is left."""
    names = set(labels)
    alone = {
        name for name in names if keys.is_raised(name) and name.removesuffix(keys.ACTIVATED) not in names
    }
    if not alone:
        return labels
    return np.array(
        [name.removesuffix(keys.ACTIVATED) if name in alone else name for name in labels], dtype=object
    )


def _read_off_guides(
    labels: pd.Series,
    counts: sparse.csr_matrix | StoredCounts,
    genes: Sequence[str],
    totals: np.ndarray,
    design: Design,
    settings: DataSettings,
) -> pd.Series:
    """Labels of two perturbations for genes that some guides raise and others lower (direction.by_guides)."""
    import pandas as pd

    if keys.GUIDE not in design.values:
        return labels
    batch, library = design.compared, design.values.get(keys.SIZE_FACTOR)
    found = by_guides(
        counts,
        genes,
        labels.to_numpy(dtype=object),
        totals if library is None else library.to_numpy(dtype=np.float64),
        value_numbers(design.values[keys.GUIDE].mask(design.values[keys.GUIDE] == keys.UNKNOWN)),
        None if batch is None else np.asarray(batch.cat.codes),
        max(settings.min_cells, FEWEST_CELLS),
    )
    return pd.Series(found, index=labels.index, name=labels.name, dtype=object)


def _both_in_words(labels: pd.Series) -> list[str]:
    raised = sorted(name for name in set(labels) if keys.is_raised(name))
    if not raised:
        return []
    example = raised[0].removesuffix(keys.ACTIVATED)
    return [
        f"{counted(len(raised), 'gene')} {'is' if len(raised) == 1 else 'are'} activated in some cells and "
        f"knocked down or out in others: two perturbations each, '{raised[0]}' and '{example}', which "
        "together speak for one row of W."
    ]


def _own_changes(
    design: Design,
    counts: sparse.csr_matrix | StoredCounts,
    genes: Sequence[str],
    labels: np.ndarray,
    totals: np.ndarray,
    progress: Progress | None,
) -> pd.DataFrame:
    """`direction.own_changes` within the design. totals: (n_obs,) counts a cell in the file."""
    batch, library = design.compared, design.values.get(keys.SIZE_FACTOR)
    return own_changes(
        counts,
        genes,
        labels,
        totals if library is None else library.to_numpy(dtype=np.float64),
        None if batch is None else np.asarray(batch.cat.codes),
        progress,
    )


def _against_what_is_stated(changes: pd.DataFrame, directions: Directions) -> list[Problem]:
    """A warning where targets clearly move against what the file states of their perturbations."""
    names = contradicted(changes, directions)
    if not names:
        return []
    more = f" and {len(names) - MOST_NAMED:,} more" if len(names) > MOST_NAMED else ""
    kinds = sorted({directions.stated[name] for name in names})
    return [
        Problem(
            "direction-contradicted",
            f"Stated in {directions.where}: {' and '.join(kinds)}. The targets' own expression moves the "
            f"other way under {', '.join(names[:MOST_NAMED])}{more} ({len(names):,} of {len(changes):,} that "
            "were looked at).",
            "What is stated is taken. Check the labels, or say what was done (network.perturbation).",
            "warning",
        )
    ]


def design_decisions(design: Design, settings: DataSettings, columns: list[str]) -> list[Decision]:
    """A line for each part of the design, with the columns that could be it first."""
    made = []
    for part, words in WORDS.items():
        taken, told = getattr(design.columns, part), getattr(settings, part)
        likely = [name for name in (taken, *design.others.get(part, ())) if name]
        rest = [name for name in columns if name not in likely]
        options = [Option(value=name, text=f"column '{name}' of obs") for name in [*likely, *rest]]
        found = "by its name and what it holds" if taken and is_usual(part, taken) else "by what it holds"
        why = "as chosen" if told else found if taken else ""
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


def _annotations(
    cells: AnnData | BackedCells, canonical: np.ndarray, rows: np.ndarray
) -> tuple[pd.DataFrame, pd.Series]:
    """(columns of obs, labels) of these rows."""
    import pandas as pd

    obs = cast("pd.DataFrame", cells.obs).iloc[rows].copy()
    obs.index = obs.index.astype(str)
    return obs, pd.Series(canonical[rows], index=obs.index, name=keys.PERTURBATION, dtype=object)


def _not_empty(matrix: Any, kept: np.ndarray, found: Findings) -> np.ndarray:
    """(n_obs,) bool: cells with at least one count."""
    filled = np.asarray(matrix.sum(axis=1)).ravel() > 0
    empty = int((kept & ~filled).sum())
    if empty:
        found.dropped.append(Dropped(what="cells", name="empty", count=empty, reason="no counts at all"))
        found.warn("empty-cells", f"Left out: {counted(empty, 'cell')} without any counts.")
    return filled
