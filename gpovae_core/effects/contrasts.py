"""Perturbed against control cells on a scale that knows no library size: log fold changes of mean shares,
with standard errors.

A share is a count over the cell's library size. Shares add up to one, so a strong fall of an abundant gene
lifts all others; `shift` is that common lift, taken out of every perturbation as the weighted median over its
genes (most genes are taken not to respond). What is left is what the perturbation does to a gene, the scale
on which effects pass along a path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import kl_div

from gpovae_core import keys

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

    from gpovae_core.data.schema import PreparedCells

PSEUDO_COUNT = 0.5
"""Counts added to either side, so that a gene not seen in a group has a finite logarithm."""

_CENTRINGS = 3

_EQUAL = 1e-3
"""Log ratios nearer to zero than this get the first-order error, which is the limit there."""


@dataclass(frozen=True)
class ShareMoments:
    """Mean and unbiased variance of the shares of r groups of cells: mean, variance (r, m); cells (r,)."""

    mean: np.ndarray
    variance: np.ndarray
    cells: np.ndarray


@dataclass(frozen=True)
class Contrasts:
    """Single-gene perturbations against controls, over the n panel genes; natural logarithms.

    sources: (p,) panel position of each perturbed gene; effect: (p, n) log fold change without `shift`, 0
    where nothing was measured; error: (p, n) its standard error (see `log_fold_change`), infinite where
    nothing was measured; shift: (p,) the common lift that was taken out; cells: (p,); control_cells;
    control_share: (n,) mean share in controls, 0 where not measured.
    """

    sources: np.ndarray
    effect: np.ndarray
    error: np.ndarray
    shift: np.ndarray
    cells: np.ndarray
    control_cells: int
    control_share: np.ndarray

    @property
    def counted(self) -> np.ndarray:
        """(p, n) bool: measured pairs of two different genes."""
        pairs = np.isfinite(self.error)
        pairs[np.arange(len(self.sources)), self.sources] = False
        return pairs

    @property
    def own(self) -> tuple[np.ndarray, np.ndarray]:
        """(p,) effect of every perturbation on its own gene, and its standard error (infinite where not
        measured).
        """
        rows = np.arange(len(self.sources))
        return self.effect[rows, self.sources], self.error[rows, self.sources]


def contrasts(
    prepared: PreparedCells, splits: tuple[str, ...] = (keys.TRAIN,), rows: np.ndarray | None = None
) -> Contrasts:
    """Every single-gene perturbation with at least two cells in `splits` against all controls there (at least
    two, or nothing is known).

    Only cells that pass quality control: what low-quality cells and doublets show is not the perturbation.
    rows: cells to take in the place of all, where a cell may come several times (effects.bootstrap).
    """
    passing = prepared.where(splits=splits) & prepared.passing
    cells = np.arange(len(passing)) if rows is None else rows
    cells = cells[passing[cells]]
    labels = prepared.labels[cells]
    genes = [gene for gene in prepared.panel.data.perturbed if (labels == gene).sum() > 1]
    groups = [cells[labels == gene] for gene in (keys.CONTROL, *genes)]
    moments = share_moments(prepared.counts, prepared.library_size, groups, prepared.panel_columns)
    own = np.array([prepared.panel.index[gene] for gene in genes], dtype=int)
    return _contrasts(prepared, own, _rows(moments, slice(1, None)), _rows(moments, slice(0, 1)))


def null_contrasts(prepared: PreparedCells, like: Contrasts, draws: int, seed: int) -> list[Contrasts]:
    """What `contrasts` finds where there is nothing: training controls in the place of every perturbation of
    `like`.

    Each row compares as many controls as the perturbation has cells (at most half of all) with all the
    others; drawn `draws` times.
    """
    pool = np.flatnonzero(prepared.where(keys.CONTROL, (keys.TRAIN,)) & prepared.passing)
    pool = pool[
        np.argsort(prepared.cells.obs_names.to_numpy(dtype=str)[pool])
    ]  # the same cells whatever their order in the file
    sizes = np.minimum(like.cells, len(pool) // 2)
    if len(pool) < 4 or not len(sizes):
        return []
    rng = np.random.default_rng(seed)
    shares = _shares(prepared.counts, prepared.library_size, pool, prepared.panel_columns)
    found = []
    for _ in range(draws):
        chosen = np.zeros((len(sizes), len(pool)))
        for row, size in enumerate(sizes):
            chosen[row, rng.permutation(len(pool))[:size]] = 1.0
        found.append(
            _contrasts(prepared, like.sources, _moments_of(chosen, shares), _moments_of(1 - chosen, shares))
        )
    return found


def share_moments(
    counts: csr_matrix, library_size: np.ndarray, groups: list[np.ndarray], columns: np.ndarray
) -> ShareMoments:
    """Moments of the shares x / l at `columns` for every group of rows; zeros for a group without cells."""
    parts = []
    for rows in groups:
        shares = _shares(counts, library_size, rows, columns)
        parts.append(_moments_of(np.ones((1, len(rows))), shares))
    return ShareMoments(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("mean", "variance", "cells"))
    )


def log_fold_change(
    treated: ShareMoments, control: ShareMoments, pseudo_share: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Log ratio of mean shares and its standard error, both (r, m). control: one row for all, or one for
    each.

    The error is the one for which effect / error is the signed root of the likelihood ratio against no effect
    (`_root_deviance`). The usual first-order error of a logarithm fails where a group has few counts: none
    seen where six were expected is a logarithm of six such errors, and happens once in 400.
    benchmarks/calibration.py shows how often either exceeds a normal where there is no effect. pseudo_share:
    (r, 1) added to both sides of the ratio.
    """
    n, m = treated.cells[:, None], control.cells[:, None]
    pooled_mean = (n * treated.mean + m * control.mean) / (n + m)
    pooled_variance = ((n - 1) * treated.variance + (m - 1) * control.variance) / np.maximum(n + m - 2, 1)
    # Where neither side has a single count the variance of half a count stands in.
    pooled_variance = np.where(pooled_variance > 0, pooled_variance, pseudo_share**2 * (n + m))
    effect = np.log(treated.mean + pseudo_share) - np.log(control.mean + pseudo_share)
    first_order = np.sqrt(pooled_variance * (1 / n + 1 / m)) / (pooled_mean + pseudo_share)
    size, root = np.abs(effect), _root_deviance(treated, control, pooled_mean, pooled_variance)
    return effect, np.where(size > _EQUAL, size / np.maximum(root, 1e-300), first_order)


def _root_deviance(
    treated: ShareMoments, control: ShareMoments, mean: np.ndarray, variance: np.ndarray
) -> np.ndarray:
    """(r, m) root of twice the log likelihood ratio of two means against the pooled one, for sums of shares
    that scatter as a Poisson count times variance / mean does (quasi-likelihood, McCullagh and Nelder 1989,
    chapter 9): normal where there is no effect."""
    deviance = treated.cells[:, None] * kl_div(treated.mean, mean) + control.cells[:, None] * kl_div(
        control.mean, mean
    )
    return np.sqrt(2 * np.maximum(deviance, 0.0) * mean / variance)


def weighted_median(values: np.ndarray, weights: np.ndarray) -> float:
    """Least value at which half of the weight is reached; 0 without values."""
    if not len(values):
        return 0.0
    order = np.argsort(values)
    reached = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(reached, reached[-1] / 2)])


def _contrasts(
    prepared: PreparedCells, own: np.ndarray, treated: ShareMoments, control: ShareMoments
) -> Contrasts:
    """Log fold changes in panel order, centred. treated: a row for each of `own`; control: one row for all,
    or one for each.
    """
    n = len(prepared.panel)
    measured = np.flatnonzero(prepared.panel.is_measured)
    pseudo = PSEUDO_COUNT / (
        np.maximum(treated.cells, 1)[:, None] * np.median(prepared.library_size[prepared.library_size > 0])
    )
    itself = own[:, None] == measured[None, :]
    shift = step = np.zeros((len(own), 1))
    effect, error = np.zeros(itself.shape), np.full(itself.shape, np.inf)
    known = len(own) > 0 and control.cells.min() > 1
    for _ in range(
        _CENTRINGS if known else 0
    ):  # the lift changes the pooled mean a little, so it is taken out of the cells
        scale = np.exp(-shift)
        effect, error = log_fold_change(
            ShareMoments(treated.mean * scale, treated.variance * scale**2, treated.cells), control, pseudo
        )
        step = np.array(
            [[weighted_median(e[~i], 1 / s[~i])] for e, s, i in zip(effect, error, itself, strict=True)]
        )
        shift = shift + step
    whole_effect, whole_error, share = np.zeros((len(own), n)), np.full((len(own), n), np.inf), np.zeros(n)
    whole_effect[:, measured], whole_error[:, measured], share[measured] = (
        effect - step,
        error,
        control.mean[0],
    )
    return Contrasts(own, whole_effect, whole_error, shift[:, 0], treated.cells, int(control.cells[0]), share)


def _shares(counts: csr_matrix, library_size: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> Any:
    chosen: Any = counts[rows].astype(np.float64)
    chosen.data /= np.repeat(library_size[rows], np.diff(chosen.indptr))
    return chosen[:, columns].tocsr()


def _moments_of(chosen: np.ndarray, shares: Any) -> ShareMoments:
    """chosen: (r, cells) 0 or 1; shares: (cells, m) sparse."""
    cells = chosen.sum(axis=1)
    mean = np.asarray(chosen @ shares) / np.maximum(cells, 1)[:, None]
    square = np.asarray(chosen @ shares.multiply(shares).tocsr()) / np.maximum(cells, 1)[:, None]
    unbiased = cells / np.maximum(cells - 1, 1)
    return ShareMoments(mean, np.maximum(square - mean**2, 0.0) * unbiased[:, None], cells.astype(int))


def _rows(moments: ShareMoments, rows: slice) -> ShareMoments:
    return ShareMoments(moments.mean[rows], moments.variance[rows], moments.cells[rows])
