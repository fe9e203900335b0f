"""Average effects of perturbations against control cells of their own batch and donor, perturbations x
measured genes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.data.cores import at_once
from gpovae_core.data.design.strata import FEWEST_CONTROLS
from gpovae_core.data.expression import log2_moments, log_expression
from gpovae_core.data.labelled import cells_of
from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.design import Design


@dataclass(frozen=True)
class EffectTable:
    """Average treatment effects against control, log2(1 + 1e4 x / l).

    mean, standard_error: (perturbations x measured genes); cells: per perturbation, those with controls of
    their stratum beside them; control_cells: behind the rows together.
    """

    mean: pd.DataFrame
    standard_error: pd.DataFrame
    cells: pd.Series
    control_cells: int


def as_knock_downs(effects: pd.DataFrame) -> pd.DataFrame:
    """(perturbations x genes) with one row for every perturbed gene: of one that is knocked down in some
    cells and activated in others, the mean of the one effect and of the other turned round, or the one that
    is known. `effects` itself where none is.
    """
    raised = [str(name) for name in effects.index if keys.is_raised(str(name))]
    if not raised:
        return effects
    turned = -effects.loc[raised].rename(index=lambda name: keys.genes_of(name)[0])
    down = effects.drop(index=raised)
    turned = turned.reindex(down.index.union(turned.index, sort=False))
    down = down.reindex(turned.index)
    return down.where(turned.isna(), (down + turned) / 2).where(down.notna(), turned)


def average_effects(
    prepared: PreparedCells,
    splits: tuple[str, ...] = keys.HELD_OUT,
    perturbations: tuple[str, ...] | None = None,
    within: np.ndarray | None = None,
    progress: Progress | None = None,
) -> EffectTable:
    """Observed effects over the cells of `splits`, and of `within` ((n_obs,) bool) where given.

    Held-out reference: keys.HELD_OUT; every cell: keys.SPLITS; what the model saw: (TRAIN,). A perturbation
    without cells there gets a row of NaN and 0 cells.

    Every cell is compared with the controls of its own stratum (effects.design): the mean over its cells less
    the control means of the strata, weighted as its cells lie in them; cells of a stratum with fewer than
    FEWEST_CONTROLS controls are left out. Standard error: sqrt(var_p / n_p + sum over strata of w^2 var_c /
    n_c), w the share of its cells there (Welch's where there is one stratum).
    """
    chosen = prepared.perturbations if perturbations is None else perturbations
    kept = prepared.where(splits=splits) if within is None else prepared.where(splits=splits) & within
    labels = prepared.labels
    stratum = Design.of(prepared).stratum
    kept &= beside_controls(np.where(kept, labels, ""), stratum)
    expression = log_expression(prepared.counts, prepared.library_size)
    (control,) = cells_of(labels, (keys.CONTROL,), kept)
    held = np.unique(stratum[control])
    base = [log2_moments(expression, control[stratum[control] == one]) for one in held]
    base_mean, base_variance = (np.array([one[part] for one in base]) for part in (0, 1))
    base_n = np.array([one[2] for one in base])

    genes = prepared.cells.var_names
    mean = np.full((len(chosen), len(genes)), np.nan)
    error = np.full_like(mean, np.nan)
    cells = np.zeros(len(chosen), dtype=int)
    rows = cells_of(labels, chosen, kept)
    for row, (own, found) in enumerate(
        zip(rows, at_once(lambda own: log2_moments(expression, own), rows), strict=True)
    ):
        own_mean, own_variance, cells[row] = found
        tell(progress, "mean effects", (row + 1) / len(chosen))
        if cells[row] and len(held):
            weight = np.array([(stratum[own] == one).mean() for one in held])
            mean[row] = own_mean - weight @ base_mean
            error[row] = np.sqrt(own_variance / cells[row] + (weight**2 / base_n) @ base_variance)
    index = pd.Index(chosen, name=keys.PERTURBATION)
    return EffectTable(
        mean=pd.DataFrame(mean, index=index, columns=genes),
        standard_error=pd.DataFrame(error, index=index, columns=genes),
        cells=pd.Series(cells, index=index),
        control_cells=int(base_n.sum()),
    )


def beside_controls(labels: np.ndarray, stratum: np.ndarray) -> np.ndarray:
    """(n_obs,) bool: cells that have at least FEWEST_CONTROLS controls in their stratum, or all where there
    is but one stratum. labels: (n_obs,) perturbations, anything else where a cell does not count.
    """
    codes = np.unique(stratum, return_inverse=True)[1]
    controls = np.bincount(codes[labels == keys.CONTROL], minlength=codes.max(initial=0) + 1)
    return (controls[codes] >= FEWEST_CONTROLS) | (len(controls) == 1)
