"""How wide an interval around a predicted effect has to be: calibrated on validation cells, tested on
held-out ones.

The model's own spread, over draws of what it does not know, is not how far it is from the truth: it knows
nothing of what it cannot describe. One factor per run widens it.

Effects picked by what was measured, as a person picks them who looks for the largest, lie in it less often:
among those are the ones that the measurement exaggerates. What the interval holds of these is told beside.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.data.progress import Progress, stretch
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.averages import EffectTable, average_effects
from gpovae_core.evaluation.baselines import target_mask
from gpovae_core.evaluation.scores import Intervals

STRONGEST = 20
"""Effects of each perturbation that are looked at, those predicted to be largest, its own gene left out: what
a person reads. The factor is for those picked by what was predicted: to pick by what was measured picks
errors.
"""
LEVEL = 0.95
FACTORS = np.geomspace(1.0, 100.0, 400)


def measure_intervals(
    prepared: PreparedCells,
    predicted: pd.DataFrame,
    deviation: pd.DataFrame,
    progress: Progress | None = None,
) -> Intervals | None:
    """The least factor with which LEVEL of the strongest predicted effects lie in their interval in
    validation cells, at least that of `_by_variance`, and how many do in held-out cells with it and without,
    of the strongest measured ones too; None where nothing can be compared.

    predicted, deviation: (perturbations x genes) effect and the model's own standard deviation. The sampling
    error of the measured side is part of the width on either side of the comparison.
    """
    names = tuple(name for name in prepared.perturbations if name not in prepared.unseen)
    if not names:
        return None
    halves = (stretch(progress, 0.0, 0.5, "intervals"), stretch(progress, 0.5, 1.0, "intervals"))
    validation, test = (
        average_effects(prepared, (split,), names, progress=half)
        for split, half in zip((keys.VALIDATION, keys.TEST), halves, strict=True)
    )
    off, own, error = _compared(validation, predicted, deviation, predicted)
    if not len(off):
        return None
    held = np.array([_held(off, own * factor, error) for factor in FACTORS])
    factor = float(FACTORS[np.argmax(held >= LEVEL)] if (held >= LEVEL).any() else FACTORS[-1])
    factor = max(factor, _by_variance(off, own, error))
    found = Intervals(factor=factor, pairs=len(off), held_out_pairs=0)
    off, own, error = _compared(test, predicted, deviation, predicted)
    if not len(off):
        return found
    largest_off, largest_own, largest_error = _compared(test, predicted, deviation, test.mean)
    return replace(
        found,
        held=_held(off, own * factor, error),
        held_by_model=_held(off, own, error),
        held_out_pairs=len(off),
        largest_held=_held(largest_off, largest_own * factor, largest_error),
        largest_held_as_drawn=_held(largest_off, largest_own * factor, np.zeros(len(largest_off))),
        largest_pairs=len(largest_off),
    )


def _by_variance(off: np.ndarray, own: np.ndarray, error: np.ndarray) -> float:
    """The factor with which the model's variance is what the squared distances leave beyond the sampling
    error: few validation cells have so wide an error that nearly every interval holds.
    """
    left, granted = float((off**2 - error**2).mean()), float((own**2).mean())
    return float(np.clip(np.sqrt(max(left, 0.0) / max(granted, 1e-12)), FACTORS[0], FACTORS[-1]))


def _strongest(effects: pd.DataFrame) -> np.ndarray:
    """(perturbations, genes) bool."""
    size = np.abs(effects.to_numpy(dtype=float))
    size[target_mask([str(name) for name in effects.index], effects.columns)] = np.nan
    rank = np.argsort(np.argsort(-np.nan_to_num(size, nan=-1.0), axis=1, kind="stable"), axis=1)
    return (rank < STRONGEST) & np.isfinite(size)


def _compared(
    observed: EffectTable, predicted: pd.DataFrame, deviation: pd.DataFrame, picked_by: pd.DataFrame
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance of predicted from observed, model standard deviation and standard error, (k,) each, of the
    strongest effects of `picked_by`.
    """
    like = observed.mean
    chosen = _strongest(picked_by.loc[like.index, like.columns])
    guess, own = (
        table.loc[like.index, like.columns].to_numpy(dtype=float) for table in (predicted, deviation)
    )
    truth, error = like.to_numpy(), observed.standard_error.to_numpy()
    kept = chosen & np.isfinite(truth) & np.isfinite(error) & np.isfinite(guess) & np.isfinite(own)
    return np.abs(guess - truth)[kept], own[kept], error[kept]


def _held(off: np.ndarray, own: np.ndarray, error: np.ndarray) -> float:
    return float((off <= keys.NORMAL_95 * np.hypot(own, error)).mean())
