"""The model and the training mean together: each entry leans on the model as far as the training mean is
uncertain there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gpovae_core.effects.averages import EffectTable

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
    counted = np.isfinite(truth) & np.isfinite(_combine(guess, mean, noise, 0.0)) & np.isfinite(mean)
    judged = guess[counted], mean[counted], noise[counted]
    errors = [((_combine(*judged, spread) - truth[counted]) ** 2).sum() for spread in _SPREADS]
    best = _SPREADS[int(np.argmin(errors)) if counted.any() else 0]
    prediction = _combine(guess, mean, noise, best)
    return Calibrated(pd.DataFrame(prediction, training.mean.index, training.mean.columns), float(best))


def _combine(model: np.ndarray, mean: np.ndarray, noise: np.ndarray, spread: float) -> np.ndarray:
    known = np.isfinite(mean) & np.isfinite(noise)
    variance = np.where(known, noise, 0.0) ** 2
    total = variance + spread**2
    weight = (
        np.where(total > 0, variance / np.where(total > 0, total, 1.0), 1.0)
        if np.isfinite(spread)
        else np.zeros(mean.shape)
    )
    both = weight * model + (1 - weight) * np.where(known, mean, 0.0)
    return np.where(known & np.isfinite(model), both, np.where(known, mean, model))
