"""Which genes changed, and how surely: Welch's test of every measured gene in perturbed against control
cells.

Expression is log2(1 + 1e4 x / l), the scale of the treatment effects. Adjusted p: Benjamini-Hochberg over the
genes of one perturbation.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from gpovae_core import keys
from gpovae_core.data.expression import EFFECT_SCALE, log2_moments, log_expression
from gpovae_core.data.schema import PreparedCells

CONFIDENCE = 0.95
Moments = tuple[np.ndarray, np.ndarray, int]
"""Mean (G,) and unbiased variance (G,) of some cells, and how many they are."""


def welch(treated: Moments, control: Moments) -> pd.DataFrame:
    """effect (difference of the means), low, high (its 95 % interval), p (two-sided) and adjusted, one row
    per gene.

    NaN where a group has fewer than two cells or the gene is constant in both.
    """
    (mean, variance, n), (base, base_variance, m) = treated, control
    effect = mean - base
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b = variance / max(n, 1), base_variance / max(m, 1)
        error = np.sqrt(a + b)
        freedom = (
            (a + b) ** 2 / (a**2 / (n - 1) + b**2 / (m - 1)) if min(n, m) > 1 else np.full(len(mean), np.nan)
        )
        known = np.isfinite(freedom) & (error > 0)
        p = np.where(known, 2 * stats.t.sf(np.abs(effect / error), freedom), np.nan)
        reach = np.where(known, stats.t.ppf((1 + CONFIDENCE) / 2, freedom) * error, np.nan)
    adjusted = np.full(len(p), np.nan)
    if known.any():
        adjusted[known] = stats.false_discovery_control(p[known])
    return pd.DataFrame(
        {"effect": effect, "low": effect - reach, "high": effect + reach, "p": p, "adjusted": adjusted}
    )


def observed_changes(
    prepared: PreparedCells, perturbation: str, splits: tuple[str, ...] = keys.HELD_OUT
) -> pd.DataFrame:
    """`welch` of one perturbation over the cells of `splits`, by measured gene; `control`: mean expression in
    control cells.
    """
    table = welch(*(_moments_of(prepared, label, splits) for label in (perturbation, keys.CONTROL)))
    table["control"] = _moments_of(prepared, keys.CONTROL, splits)[0]
    return table.set_index(prepared.cells.var_names)


def changed_genes(
    prepared: PreparedCells, splits: tuple[str, ...] = keys.HELD_OUT, significance: float = 0.05
) -> pd.Series:
    """Number of genes with adjusted p below `significance`, for every perturbation; NaN where its cells
    cannot be tested.
    """
    control = _moments_of(prepared, keys.CONTROL, splits)
    found: dict[str, float] = {}
    for name in prepared.perturbations:
        adjusted = welch(_moments_of(prepared, name, splits), control)["adjusted"].to_numpy()
        found[name] = float((adjusted < significance).sum()) if np.isfinite(adjusted).any() else np.nan
    return pd.Series(found, dtype=float)


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


def _moments_of(prepared: PreparedCells, label: str, splits: tuple[str, ...]) -> Moments:
    rows = prepared.where(label, splits)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", RuntimeWarning
        )  # a group of no cells or of one has NaN for variance, and says so by that
        return log2_moments(
            log_expression(prepared.counts[rows], prepared.library_size[rows]),
            np.ones(int(rows.sum()), dtype=bool),
        )
