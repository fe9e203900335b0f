"""Which genes changed, by how much and how surely: every measured gene in perturbed against control cells.

The effect is the log2 fold change of the gene's mean share of a cell's counts (`effects.contrasts`), with its
standard error; p is the rank test of the shares within batch, donor, condition and depth
(`effects.rank_test`, `effects.design.Exchangeable`), one test for pages and scores. Adjusted p:
Benjamini-Hochberg over the genes of one perturbation. A gene that too few cells show is not tested.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from gpovae_core import keys
from gpovae_core.data.cores import at_once
from gpovae_core.data.expression import EFFECT_SCALE, log_expression
from gpovae_core.data.labelled import cells_of
from gpovae_core.data.progress import Progress, stretch, tell
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.store import columns_of, rows_of
from gpovae_core.effects.contrasts import label_contrasts
from gpovae_core.effects.design import Design
from gpovae_core.effects.lift import exchangeable
from gpovae_core.effects.pairs import rank_tests
from gpovae_core.effects.shrinkage import fit_evidence

FEWEST_CELLS = 2
"""Cells that a group needs for a test."""

LEAST_EFFECT = 0.05
"""Natural log fold change that is taken for none in shrunk effects, as by default in the network stage."""

_GENES_AT_ONCE, _VALUES_AT_ONCE = 4000, 20_000_000
"""Genes whose ranks are compared at a time, and about how many stored counts of them: some 50 bytes each."""
_READ = 0.3
"""Share of the time of such genes that it takes to read them."""
_SUMS_AT_ONCE = 2**21
"""Perturbations times genes that are compared at a time, where perturbations say nothing of each other."""


@dataclass(frozen=True)
class FoldTable:
    """Log2 fold changes of mean shares, perturbed over control, without the common lift of all shares;
    (perturbations x measured genes), NaN where a side has fewer than FEWEST_CELLS cells.

    effect, error: with its standard error, which knows what guides, donors or wells disagree on; shrunk: what
    is to be believed of it beside what a perturbation does to all genes, the posterior mean of
    effects.shrinkage; cells: of each perturbation that have controls beside them; lift: (perturbations,)
    log2, what was taken out, 0 where shares are of the whole transcriptome.
    """

    effect: pd.DataFrame
    error: pd.DataFrame
    shrunk: pd.DataFrame
    cells: pd.Series
    lift: pd.Series


def fold_table(
    prepared: PreparedCells,
    splits: tuple[str, ...] = keys.HELD_OUT,
    perturbations: tuple[str, ...] | None = None,
    progress: Progress | None = None,
) -> FoldTable:
    """The effects of `perturbations` (all where None) in the cells of `splits`, each compared within its
    batches, donors and conditions.
    """
    names = prepared.perturbations if perturbations is None else perturbations
    genes, index = prepared.cells.var_names, pd.Index(names, name=keys.PERTURBATION)
    effect, error, shrunk = (np.full((len(names), len(genes)), np.nan) for _ in range(3))
    cells, lift = np.zeros(len(names), dtype=int), np.zeros(len(names))
    present = _with_cells(prepared, splits, names)
    if present:
        found, columns = label_contrasts(
            prepared, present, splits, done=lambda share: tell(progress, "fold changes", 0.5 * share)
        )
        rows = [names.index(name) for name in present]
        cells[rows], lift[rows] = found.cells, found.shift / np.log(2)
        measured = list(zip(found.effect[:, columns], found.error[:, columns], found.sources, strict=True))
        believed = at_once(lambda one: _shrunk(one[0], one[1], columns != one[2]), measured)
        for done, (row, (own, deviation, _), less) in enumerate(
            zip(rows, measured, believed, strict=True), start=1
        ):
            known = np.isfinite(deviation)
            effect[row] = np.where(known, own, np.nan) / np.log(2)
            error[row] = np.where(known, deviation, np.nan) / np.log(2)
            shrunk[row] = less / np.log(2)
            tell(progress, "fold changes", 0.5 + 0.5 * done / len(rows))
    tables = [pd.DataFrame(part, index=index, columns=genes) for part in (effect, error, shrunk)]
    return FoldTable(
        tables[0], tables[1], tables[2], pd.Series(cells, index=index), pd.Series(lift, index=index)
    )


def fold_changes(
    prepared: PreparedCells, splits: tuple[str, ...], genes: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Effect and error of `fold_table` for all perturbations at some of the measured genes (m,), their
    places; nothing is shrunk, which takes most of its time.
    """
    names = prepared.perturbations
    index, columns = pd.Index(names, name=keys.PERTURBATION), prepared.cells.var_names[genes]
    effect, error = (np.full((len(names), len(genes)), np.nan) for _ in range(2))
    present = _with_cells(prepared, splits, names)
    most = max(1, _SUMS_AT_ONCE // prepared.cells.n_vars)
    if Design.of(prepared).replicates:  # what these disagree on is learned from all perturbations together
        most = len(names)
    for start in range(0, len(present), most):
        some = present[start : start + most]
        found, places = label_contrasts(prepared, some, splits)
        rows = [names.index(name) for name in some]
        own, deviation = (part[:, places[genes]] for part in (found.effect, found.error))
        known = np.isfinite(deviation)
        effect[rows] = np.where(known, own, np.nan) / np.log(2)
        error[rows] = np.where(known, deviation, np.nan) / np.log(2)
    return tuple(pd.DataFrame(part, index, columns) for part in (effect, error))  # type: ignore[return-value]


def _with_cells(prepared: PreparedCells, splits: tuple[str, ...], names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the perturbations that can be compared; none without controls."""
    controls, *own = cells_of(prepared.labels, (keys.CONTROL, *names), prepared.where(splits=splits))
    if len(controls) < FEWEST_CELLS:
        return ()
    return tuple(name for name, cells in zip(names, own, strict=True) if len(cells) >= FEWEST_CELLS)


def _shrunk(effect: np.ndarray, error: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(G,) posterior mean of the effects of one perturbation; the rule is fitted to `others` (G,) bool."""
    known = np.isfinite(error)
    rule = fit_evidence(effect[None], error[None], (known & others)[None], LEAST_EFFECT)
    found = rule.judge(effect[None], error[None])
    return np.where(known, (found.probability * found.effect)[0], np.nan)


def observed_changes(
    prepared: PreparedCells, perturbation: str, splits: tuple[str, ...] = keys.HELD_OUT
) -> pd.DataFrame:
    """One row per measured gene: fold (log2 fold change of mean shares), fold_se, fold_low and fold_high (its
    95 % interval), shrunk, p (two-sided), adjusted; control (mean log2(1 + 1e4 x / l) in control cells);
    cells (the perturbed ones).

    Over the cells of `splits`. p is NaN where a group has fewer than FEWEST_CELLS cells or too few cells show
    the gene; the effect where a group has fewer than that.
    """
    folds = fold_table(prepared, splits, (perturbation,))
    fold, error, shrunk = (part.iloc[0].to_numpy() for part in (folds.effect, folds.error, folds.shrunk))
    p = gene_tests(prepared, splits, (perturbation,)).iloc[0].to_numpy()
    controls = np.flatnonzero(prepared.where(keys.CONTROL, splits))
    base = np.full(len(p), np.nan)
    for columns, expression in _log_blocks(prepared, controls) if len(controls) else ():
        base[columns] = np.asarray(expression.mean(axis=0)).ravel() / np.log(2)
    reach = keys.NORMAL_95 * error
    return pd.DataFrame(
        {
            "fold": fold,
            "fold_se": error,
            "fold_low": fold - reach,
            "fold_high": fold + reach,
            "shrunk": shrunk,
            "p": p,
            "adjusted": adjusted(p[None])[0],
            "control": base,
            "cells": int(prepared.where(perturbation, splits).sum()),
        },
        index=prepared.cells.var_names,
    )


def gene_tests(
    prepared: PreparedCells,
    splits: tuple[str, ...] = keys.HELD_OUT,
    perturbations: tuple[str, ...] | None = None,
    progress: Progress | None = None,
) -> pd.DataFrame:
    """(perturbations x measured genes) p of the rank test over the cells of `splits`, of shares as measured;
    NaN as in `observed_changes`.
    """
    names = prepared.perturbations if perturbations is None else perturbations
    among = exchangeable(prepared, splits, names, stretch(progress, 0.0, 0.1))
    told = stretch(progress, 0.1)
    kept = np.flatnonzero(prepared.where(splits=splits))
    chosen = np.flatnonzero(np.isin(prepared.labels[kept].astype(str), [*names, keys.CONTROL]))
    among, rows = among.at(chosen), kept[chosen]
    labels, genes = prepared.labels[rows], prepared.cells.n_vars
    of_controls, *cells = (len(own) for own in cells_of(labels, (keys.CONTROL, *names)))
    enough = np.minimum(cells, of_controls) >= FEWEST_CELLS
    parts = [np.zeros((len(names), 0))]
    for columns, own in _log_blocks(prepared, rows, told):
        part = stretch(told, columns.start / genes, columns.stop / genes)
        found = rank_tests(own, labels, names, among=among, progress=stretch(part, _READ))
        parts.append(np.where(found.testable & enough[:, None], found.p, np.nan))
    p = np.concatenate(parts, axis=1)
    return pd.DataFrame(p, index=pd.Index(names, name=keys.PERTURBATION), columns=prepared.cells.var_names)


def _log_blocks(
    prepared: PreparedCells, rows: np.ndarray, progress: Progress | None = None
) -> Iterator[tuple[slice, Any]]:
    """(genes, log expression of these cells in them), some genes at a time: pages ask for this, and many
    cells with all their genes would take more memory than all that a page holds.
    """
    own, genes = rows_of(prepared.counts, rows), prepared.cells.n_vars
    each = max(1, int(own.indptr[-1]) // max(1, genes))
    most = max(1, min(_GENES_AT_ONCE, _VALUES_AT_ONCE // each))
    for start in range(0, genes, most):
        columns = slice(start, min(start + most, genes))
        part = stretch(progress, start / genes, (start + _READ * (columns.stop - start)) / genes)
        counts = columns_of(own, np.arange(columns.start, columns.stop), part, "reading the counts")
        yield columns, log_expression(counts, prepared.library_size[rows])


def adjusted(p: np.ndarray) -> np.ndarray:
    """p (perturbations, genes) after Benjamini-Hochberg over the tested genes of each row; NaN elsewhere."""
    result = np.full(p.shape, np.nan)
    for row, values in enumerate(p):
        tested = np.isfinite(values)
        if tested.any():
            result[row, tested] = stats.false_discovery_control(values[tested])
    return result


def changed_genes(
    prepared: PreparedCells, splits: tuple[str, ...] = keys.HELD_OUT, significance: float = 0.05
) -> pd.Series:
    """Number of genes with adjusted p below `significance`, for every perturbation; NaN where its cells
    cannot be tested.
    """
    found = adjusted(gene_tests(prepared, splits).to_numpy())
    counts = np.where(np.isfinite(found).any(axis=1), (found < significance).sum(axis=1), np.nan)
    return pd.Series(counts, index=list(prepared.perturbations), dtype=float)


def expression_of(
    prepared: PreparedCells, perturbation: str, gene: str, splits: tuple[str, ...] = keys.HELD_OUT
) -> np.ndarray:
    """(cells,) log2(1 + 1e4 x / l) of one measured gene in the cells of a perturbation, or of the control."""
    rows = np.flatnonzero(prepared.where(perturbation, splits))
    counts: Any = prepared.counts[rows][:, [prepared.cells.var_names.get_loc(gene)]]
    return log2_expression(counts.toarray().ravel(), prepared.library_size[rows])


def log2_expression(counts: np.ndarray, library_size: np.ndarray) -> np.ndarray:
    """log2(1 + 1e4 x / l); a cell without counts is 0."""
    scale = np.divide(EFFECT_SCALE, library_size, out=np.zeros(len(library_size)), where=library_size > 0)
    return np.log2(1 + counts * scale)
