"""Observed effects: the arithmetic of normalised expression, per cell and averaged over cells.

Kernels on arrays first, the wrapper on prepared cells last.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from gpovae_core import keys
from gpovae_core.data.schema import PreparedCells

EFFECT_SCALE = 1e4
"""Counts per cell behind every treatment effect: log2(1 + 1e4 x / l), whatever `DataSettings.target_sum` is for training."""


def log_expression(
    counts: sparse.csr_matrix, library_size: np.ndarray | None = None, target_sum: float = EFFECT_SCALE
) -> sparse.csr_matrix:
    """log(1 + target_sum x / l), natural logarithm, same sparsity as `counts` (n_obs, n_vars); a cell without counts stays zero.

    library_size: (n_obs,) UMIs per cell; row sums of `counts` where None.
    """
    totals = np.asarray(counts.sum(axis=1)).ravel() if library_size is None else np.asarray(library_size, dtype=np.float64)
    scale = np.divide(target_sum, totals, out=np.zeros(len(totals)), where=totals > 0)
    result: Any = counts.tocsr().astype(np.float64)
    result.data = np.log1p(result.data * np.repeat(scale, np.diff(result.indptr)))
    return result


def absolute_cell_effects(expression: sparse.csr_matrix, cells: np.ndarray, controls: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """dX (b, m): abs(expression[cell] - expression[its control]) at `columns`; zeros where the control is -1 (control cells)."""
    paired = controls >= 0
    result = np.zeros((len(cells), len(columns)), dtype=np.float32)
    if paired.any():
        difference = expression[cells[paired]] - expression[controls[paired]]
        result[paired] = abs(difference)[:, columns].toarray()
    return result


@dataclass(frozen=True)
class EffectTable:
    """Average treatment effects against control, log2(1 + 1e4 x / l).

    mean, standard_error: (perturbations x measured genes); cells: per perturbation; control_cells: behind every row.
    """

    mean: pd.DataFrame
    standard_error: pd.DataFrame
    cells: pd.Series
    control_cells: int


def average_effects(
    prepared: PreparedCells,
    splits: tuple[str, ...] = keys.HELD_OUT,
    perturbations: tuple[str, ...] | None = None,
    within: np.ndarray | None = None,
) -> EffectTable:
    """Observed effects over the cells of `splits`, and of `within` ((n_obs,) bool) where given.

    Held-out reference: keys.HELD_OUT; every cell: keys.SPLITS; what the model saw: (TRAIN,). A perturbation without cells
    there gets a row of NaN and 0 cells. Standard error: sqrt(var_p / n_p + var_c / n_c) (Welch).
    """
    chosen = prepared.perturbations if perturbations is None else perturbations
    kept = prepared.where(splits=splits) if within is None else prepared.where(splits=splits) & within
    labels = prepared.labels
    expression = log_expression(prepared.counts, prepared.library_size)
    base_mean, base_variance, base_n = _moments(expression, kept & (labels == keys.CONTROL))

    genes = prepared.cells.var_names
    mean = np.full((len(chosen), len(genes)), np.nan)
    error = np.full_like(mean, np.nan)
    cells = np.zeros(len(chosen), dtype=int)
    for row, name in enumerate(chosen):
        own_mean, own_variance, cells[row] = _moments(expression, kept & (labels == name))
        if cells[row] and base_n:
            mean[row] = own_mean - base_mean
            error[row] = np.sqrt(own_variance / cells[row] + base_variance / base_n)
    index = pd.Index(chosen, name=keys.PERTURBATION)
    return EffectTable(
        mean=pd.DataFrame(mean, index=index, columns=genes),
        standard_error=pd.DataFrame(error, index=index, columns=genes),
        cells=pd.Series(cells, index=index),
        control_cells=base_n,
    )


def _moments(expression: Any, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean and unbiased variance per gene of the chosen cells, in log2 units, and how many cells there are."""
    chosen = expression[np.flatnonzero(mask)]
    n = chosen.shape[0]
    if n == 0:
        return np.full(expression.shape[1], np.nan), np.full(expression.shape[1], np.nan), 0
    mean = np.asarray(chosen.mean(axis=0)).ravel()
    square = np.asarray(chosen.multiply(chosen).mean(axis=0)).ravel()
    variance = np.maximum(square - mean**2, 0.0) * (n / (n - 1) if n > 1 else np.nan)
    return mean / np.log(2), variance / np.log(2) ** 2, n
