"""Average effects of perturbations against control cells, perturbations x measured genes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.data.expression import log2_moments, log_expression
from gpovae_core.data.schema import PreparedCells


@dataclass(frozen=True)
class EffectTable:
    """Average treatment effects against control, log2(1 + 1e4 x / l).

    mean, standard_error: (perturbations x measured genes); cells: per perturbation; control_cells: behind
    every row.
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

    Held-out reference: keys.HELD_OUT; every cell: keys.SPLITS; what the model saw: (TRAIN,). A perturbation
    without cells there gets a row of NaN and 0 cells. Standard error: sqrt(var_p / n_p + var_c / n_c)
    (Welch).
    """
    chosen = prepared.perturbations if perturbations is None else perturbations
    kept = prepared.where(splits=splits) if within is None else prepared.where(splits=splits) & within
    labels = prepared.labels
    expression = log_expression(prepared.counts, prepared.library_size)
    base_mean, base_variance, base_n = log2_moments(expression, kept & (labels == keys.CONTROL))

    genes = prepared.cells.var_names
    mean = np.full((len(chosen), len(genes)), np.nan)
    error = np.full_like(mean, np.nan)
    cells = np.zeros(len(chosen), dtype=int)
    for row, name in enumerate(chosen):
        own_mean, own_variance, cells[row] = log2_moments(expression, kept & (labels == name))
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
