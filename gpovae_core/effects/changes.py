"""Which genes changed, by how much and how surely: every measured gene in perturbed against control cells.

The effect is the log2 fold change of the gene's mean share of a cell's counts (`effects.contrasts`), with its
standard error; p is the rank test of the shares within batch, donor, condition and depth
(`effects.rank_test`, `effects.design.Exchangeable`), one test for pages and scores. Adjusted p:
Benjamini-Hochberg over the genes of one perturbation. A gene that too few cells show is not tested.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from gpovae_core import keys
from gpovae_core.data.expression import EFFECT_SCALE, log_expression
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.averages import beside_controls
from gpovae_core.effects.contrasts import PSEUDO_COUNT, ShareMoments, log_fold_change, share_moments
from gpovae_core.effects.design import Design, Exchangeable
from gpovae_core.effects.pairs import rank_tests

FEWEST_CELLS = 2
"""Cells that a group needs for a test."""

_GENES_AT_ONCE = 4000


def observed_changes(
    prepared: PreparedCells, perturbation: str, splits: tuple[str, ...] = keys.HELD_OUT
) -> pd.DataFrame:
    """One row per measured gene: fold (log2 fold change of mean shares), fold_se, fold_low and fold_high (its
    95 % interval), p (two-sided), adjusted; control (mean log2(1 + 1e4 x / l) in control cells); cells (the
    perturbed ones).

    Over the cells of `splits`. p is NaN where a group has fewer than FEWEST_CELLS cells or too few cells show
    the gene; the effect where a group has no cells.
    """
    fold, error = fold_changes(prepared, perturbation, splits)
    p = gene_tests(prepared, splits, (perturbation,)).iloc[0].to_numpy()
    controls = np.flatnonzero(prepared.where(keys.CONTROL, splits))
    expression: Any = log_expression(prepared.counts[controls], prepared.library_size[controls])
    base = np.full(len(p), np.nan)
    if len(controls):
        base = np.asarray(expression.mean(axis=0)).ravel() / np.log(2)
    reach = keys.NORMAL_95 * error
    return pd.DataFrame(
        {
            "fold": fold,
            "fold_se": error,
            "fold_low": fold - reach,
            "fold_high": fold + reach,
            "p": p,
            "adjusted": adjusted(p[None])[0],
            "control": base,
            "cells": int(prepared.where(perturbation, splits).sum()),
        },
        index=prepared.cells.var_names,
    )


def fold_changes(
    prepared: PreparedCells, perturbation: str, splits: tuple[str, ...] = keys.HELD_OUT
) -> tuple[np.ndarray, np.ndarray]:
    """Log2 fold change of the mean share of every measured gene, perturbed over control cells of `splits`,
    and its standard error, both (G,); NaN where a group has fewer than FEWEST_CELLS cells. Cells are compared
    with the controls of their own batch, donor and condition, as in `effects.averages`.
    """
    library, genes = prepared.library_size, np.arange(prepared.cells.n_vars)
    stratum = Design.of(prepared).stratum
    labels = np.where(prepared.where(splits=splits), prepared.labels, "")
    kept = beside_controls(labels, stratum)
    own, base = (np.flatnonzero(kept & (labels == label)) for label in (perturbation, keys.CONTROL))
    treated = share_moments(prepared.counts, library, [own], genes)
    held = np.unique(stratum[base])
    controls = share_moments(prepared.counts, library, [base[stratum[base] == one] for one in held], genes)
    weight = np.array([(stratum[own] == one).sum() for one in held], dtype=float)
    return fold_of_moments(treated, weighted(controls, weight), float(np.median(library[library > 0])))


def weighted(groups: ShareMoments, weight: np.ndarray) -> ShareMoments:
    """One group in the place of several (r,): its mean is theirs, weighted; variance and cells are those with
    which its mean scatters as the weighted mean does. weight: (r,), any scale; the single group as it is.
    """
    if len(weight) == 1 or not weight.sum():
        rows = slice(0, 1)
        return ShareMoments(groups.mean[rows], groups.variance[rows], groups.cells[rows])
    share = (weight / weight.sum())[weight > 0]
    mean, variance, cells = (part[weight > 0] for part in (groups.mean, groups.variance, groups.cells))
    parts = share**2 / cells
    return ShareMoments(
        (share @ mean)[None], (parts @ variance / parts.sum())[None], np.array([1.0 / parts.sum()])
    )


def fold_of_moments(
    treated: ShareMoments, control: ShareMoments, library_size: float
) -> tuple[np.ndarray, np.ndarray]:
    """`fold_changes` of one group each, from moments of shares; library_size: counts of a usual cell."""
    if min(int(treated.cells[0]), int(control.cells[0])) < FEWEST_CELLS:
        return np.full(treated.mean.shape[1], np.nan), np.full(treated.mean.shape[1], np.nan)
    pseudo = PSEUDO_COUNT / (treated.cells[:, None] * library_size)
    effect, error = log_fold_change(treated, control, pseudo)
    return effect[0] / np.log(2), error[0] / np.log(2)


def gene_tests(
    prepared: PreparedCells,
    splits: tuple[str, ...] = keys.HELD_OUT,
    perturbations: tuple[str, ...] | None = None,
    expression: Any = None,
) -> pd.DataFrame:
    """(perturbations x measured genes) p of the rank test over the cells of `splits`; NaN as in
    `observed_changes`. expression: `log_expression` of all cells where it is at hand.
    """
    names = prepared.perturbations if perturbations is None else perturbations
    among = Exchangeable.of(prepared, splits)
    kept = np.flatnonzero(prepared.where(splits=splits))
    chosen = np.flatnonzero(np.isin(prepared.labels[kept].astype(str), [*names, keys.CONTROL]))
    among, rows = among.at(chosen), kept[chosen]
    labels, genes = prepared.labels[rows], prepared.cells.n_vars
    if expression is None:
        values: Any = log_expression(prepared.counts[rows], prepared.library_size[rows])
    else:
        values = expression
    enough = np.array([(labels == name).sum() >= FEWEST_CELLS for name in names], dtype=bool)
    enough &= (labels == keys.CONTROL).sum() >= FEWEST_CELLS
    parts = [np.zeros((len(names), 0))]
    for start in range(0, genes, _GENES_AT_ONCE):
        columns = values[:, np.arange(start, min(start + _GENES_AT_ONCE, genes))]
        found = rank_tests(columns if expression is None else columns[rows], labels, names, among=among)
        parts.append(np.where(found.testable & enough[:, None], found.p, np.nan))
    p = np.concatenate(parts, axis=1)
    return pd.DataFrame(p, index=pd.Index(names, name=keys.PERTURBATION), columns=prepared.cells.var_names)


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
