"""Rankings of pairs of genes that need no model, from the training cells: what a network has to beat at the
same number of edges.

Every ranking is an array (s, t) over the sources and targets of the held-out tests, larger = more of an edge,
NaN = says nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from gpovae_core import keys
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.pairs import PairStatistics, pair_statistics

MEAN_DIFFERENCE, MANN_WHITNEY, CORRELATION, INVERSE = (
    "mean_difference",
    "mann_whitney",
    "correlation",
    "inverse",
)
TRAIN_AGAIN = "train_wasserstein"
"""The Wasserstein distance of the training cells."""
BASELINES = (MEAN_DIFFERENCE, MANN_WHITNEY, CORRELATION, INVERSE)
CEILING = {
    "mu_wd": TRAIN_AGAIN,
    "bh_share": MANN_WHITNEY,
    "raw_share": MANN_WHITNEY,
    "left_out": MANN_WHITNEY,
}
"""Measure -> the ranking by that measure in the training cells: how far the measurement agrees with itself,
the ceiling of a network.
"""

_BLOCK = 8192


def training_rankings(
    prepared: PreparedCells,
    expression: Any,
    training: pd.DataFrame,
    sources: Sequence[str],
    targets: Sequence[str],
) -> dict[str, np.ndarray]:
    """name -> (s, t): the BASELINES and TRAIN_AGAIN. expression: `log_expression` of all cells; training:
    effects in the training cells.
    """
    cells = np.flatnonzero(prepared.where(splits=(keys.TRAIN,)))
    panel = expression[:, prepared.panel_columns][
        cells
    ]  # columns first: of counts on disk only these are then held
    genes = [str(gene) for gene in prepared.cells.var_names[prepared.panel_columns]]
    again = pair_statistics(panel, prepared.labels[cells], sources, genes)
    columns = [genes.index(target) for target in targets]
    difference = training.reindex(index=list(sources), columns=list(targets)).to_numpy()
    return {
        MEAN_DIFFERENCE: np.abs(difference),
        MANN_WHITNEY: mann_whitney_order(again)[:, columns],
        CORRELATION: np.abs(gene_correlation(panel, genes, sources)[:, columns]),
        INVERSE: np.abs(direct_effects(training, sources, targets)),
        TRAIN_AGAIN: again.wasserstein[:, columns],
    }


def mann_whitney_order(pairs: PairStatistics) -> np.ndarray:
    """(s, t) rank by the size of Mann and Whitney's z, 0 the smallest; where p is too small for a number, by
    the Wasserstein distance.
    """
    z = -special.ndtri(np.maximum(pairs.p, 1e-300) / 2).ravel()
    known = np.flatnonzero(np.isfinite(z))
    order = known[np.lexsort((pairs.wasserstein.ravel()[known], z[known]))]
    result = np.full(z.shape, np.nan)
    result[order] = np.arange(len(order))
    return result.reshape(pairs.p.shape)


def gene_correlation(expression: Any, genes: Sequence[str], sources: Sequence[str]) -> np.ndarray:
    """(s, genes) Pearson correlation over cells of each source with every gene; NaN where a side is not
    measured or constant.

    expression: CSR (cells, genes), read in blocks of cells.
    """
    total, square = np.zeros(len(genes)), np.zeros((len(genes), len(genes)))
    shift = np.asarray(
        expression.mean(axis=0)
    ).ravel()  # near the mean, so that little is lost in the difference below
    for low in range(0, expression.shape[0], _BLOCK):
        block = expression[low : low + _BLOCK].toarray() - shift
        total += block.sum(axis=0)
        square += block.T @ block
    covariance = square - np.outer(total, total) / max(expression.shape[0], 1)
    spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    spread = np.where(spread > 1e-9 * max(spread.max(initial=0.0), 1e-300), spread, np.nan)
    place = {gene: i for i, gene in enumerate(genes)}
    result = np.full((len(sources), len(genes)), np.nan)
    for row, source in enumerate(sources):
        if source in place:
            result[row] = covariance[place[source]] / (spread[place[source]] * spread)
    return result


def direct_effects(
    effects: pd.DataFrame, sources: Sequence[str], targets: Sequence[str], tolerance: float = 0.01
) -> np.ndarray:
    """(s, t) direct effects in closed form, from the matrix of total effects: what a linear network would
    have to have.

    effects: (perturbations x genes), total effects M with the own change of a perturbed gene on the diagonal.
    With direct strengths B (no self-regulation) M = D (I - B)^-1 for whatever own changes D, so B[i, j] =
    -(M^-1)[i, j] / (M^-1)[j, j] among the perturbed and measured genes, and B[:, j] = M^-1 M[:, j] for other
    targets (modular response analysis; Kholodenko et al., PNAS 2002). Returned times the own change of the
    source, the effect that is there without detours. A source whose own change was not measured cannot be a
    detour: its row is what the detours over the others leave of its effects. The inverse is a pseudo-inverse:
    singular values below `tolerance` of the largest, noise that an inverse would blow up, count as zero. NaN
    where nothing was measured.
    """
    result = np.full((len(sources), len(targets)), np.nan)
    measured = effects.dropna(how="any")
    inner = [gene for gene in measured.index if gene in measured.columns]
    rows = [row for row, source in enumerate(sources) if source in measured.index]
    columns = [column for column, target in enumerate(targets) if target in measured.columns]
    if not rows or not columns:
        return result
    total = measured.loc[[sources[row] for row in rows], [targets[column] for column in columns]].to_numpy()
    if inner:
        inverse = np.linalg.pinv(measured.loc[inner, inner].to_numpy(), rcond=tolerance)
        strength = inverse @ measured.loc[inner, [targets[column] for column in columns]].to_numpy()
        place = {gene: i for i, gene in enumerate(inner)}
        for at, column in enumerate(columns):
            own = place.get(targets[column])
            if own is not None:
                pivot = inverse[own, own]
                strength[:, at] = -inverse[:, own] / pivot if abs(pivot) > 1e-12 else np.nan
                strength[own, at] = 0.0
        strength = np.nan_to_num(strength)
        through = measured.loc[[sources[row] for row in rows], inner].to_numpy()
        for at, row in enumerate(rows):
            if sources[row] in place:
                through[at, place[sources[row]]] = 0.0  # its own change is the cause, no detour
        total = total - through @ strength
    result[np.ix_(rows, columns)] = total
    return result
