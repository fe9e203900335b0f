"""The model and the training mean together: each entry leans on the model as far as the training mean is
uncertain there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gpovae_core.effects.averages import EffectTable

_ROWS = 50
_SPREADS = (0.0, *np.geomspace(0.005, 2.0, 40).tolist(), np.inf)


@dataclass(frozen=True)
class Calibrated:
    """prediction: (perturbations x genes); model_error: standard deviation granted to the model's error (inf:
    training mean alone).
    """

    prediction: pd.DataFrame
    model_error: float


def calibrated(model: pd.DataFrame, training: EffectTable, validation: EffectTable) -> Calibrated:
    """w model + (1 - w) training mean with w = se^2 / (se^2 + model_error^2), se the standard error of the
    training mean.

    model_error is the one of a grid that is nearest to the validation cells in squared error; nothing else is
    learned, and held-out cells are not seen. Rows without training cells are the model's. All tables
    (perturbations x genes) with the same names.
    """
    mean = training.mean.to_numpy()
    noise = np.nan_to_num(training.standard_error.to_numpy(), nan=np.inf)
    guess = model.loc[training.mean.index, training.mean.columns].to_numpy()
    truth = validation.mean.loc[training.mean.index, training.mean.columns].to_numpy()
    errors = np.zeros(len(_SPREADS))
    for rows in np.array_split(np.arange(len(mean)), max(1, len(mean) // _ROWS)):
        errors += _errors(guess[rows], mean[rows], noise[rows], truth[rows])
    best = _SPREADS[int(np.argmin(errors))]
    prediction = _combine(guess, mean, noise, best)
    return Calibrated(pd.DataFrame(prediction, training.mean.index, training.mean.columns), float(best))


def _errors(model: np.ndarray, mean: np.ndarray, noise: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """(spreads,) sums of squares of what `_combine` says less `truth`, where both and the mean are known; the
    entries that no spread changes are in none.
    """
    moved = np.isfinite(truth) & np.isfinite(mean) & np.isfinite(noise) & np.isfinite(model)
    variance, beside, mean_off = noise[moved] ** 2, (model - mean)[moved], (mean - truth)[moved]
    errors = []
    for spread in _SPREADS:
        off = mean_off + _weight(variance, spread) * beside
        errors.append(off @ off)
    return np.array(errors)


def _weight(variance: np.ndarray, spread: float) -> np.ndarray:
    """Of the model, beside a training mean with this variance."""
    if not np.isfinite(spread):
        return np.zeros(variance.shape)
    total = variance + spread**2
    return np.divide(variance, total, out=np.ones(variance.shape), where=total > 0)


def _combine(model: np.ndarray, mean: np.ndarray, noise: np.ndarray, spread: float) -> np.ndarray:
    known = np.isfinite(mean) & np.isfinite(noise)
    variance = np.where(known, noise, 0.0) ** 2
    weight = _weight(variance, spread)
    both = weight * model + (1 - weight) * np.where(known, mean, 0.0)
    return np.where(known & np.isfinite(model), both, np.where(known, mean, model))
