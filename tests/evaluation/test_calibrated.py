"""The combination leans on whichever side the validation cells agree with."""

from __future__ import annotations

import numpy as np
import pandas as pd

from gpovae_core.effects.averages import EffectTable
from gpovae_core.evaluation.calibrated import calibrated

GENES = [f"G{i}" for i in range(200)]
NAMES = ["A", "B", "C"]


def table(mean: np.ndarray, error: float) -> EffectTable:
    frame = pd.DataFrame(mean, NAMES, GENES)
    return EffectTable(frame, pd.DataFrame(error, NAMES, GENES), pd.Series(50, NAMES), 100)


def screen(
    model_error: float, noise: float, seed: int = 0
) -> tuple[np.ndarray, pd.DataFrame, EffectTable, EffectTable]:
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 1, (3, 200))
    model = pd.DataFrame(truth + rng.normal(0, model_error, truth.shape), NAMES, GENES)
    return (
        truth,
        model,
        table(truth + rng.normal(0, noise, truth.shape), noise),
        table(truth + rng.normal(0, 0.3, truth.shape), 0.3),
    )


def test_independent_errors_are_weighed_by_their_variances():
    truth, model, training, validation = screen(model_error=0.4, noise=0.4)
    found = calibrated(model, training, validation)
    assert 0.25 < found.model_error < 0.65
    errors = [((t.to_numpy() - truth) ** 2).mean() for t in (found.prediction, model, training.mean)]
    assert errors[0] < 0.7 * min(errors[1:])


def test_a_perfect_model_is_taken_whole_and_a_useless_one_left_out():
    _, model, training, validation = screen(model_error=0.0, noise=0.5)
    assert calibrated(model, training, validation).model_error < 0.1
    _, _, training, validation = screen(model_error=0.0, noise=0.1)
    useless = pd.DataFrame(np.random.default_rng(1).normal(0, 3, (3, 200)), NAMES, GENES)
    pd.testing.assert_frame_equal(
        calibrated(useless, training, validation).prediction.round(1), training.mean.round(1), atol=0.21
    )


def test_a_perturbation_without_training_cells_is_the_models():
    _, model, training, validation = screen(0.2, 0.2)
    training.mean.loc["B"] = np.nan
    training.standard_error.loc["B"] = np.nan
    found = calibrated(model, training, validation).prediction
    pd.testing.assert_series_equal(found.loc["B"], model.loc["B"])
    assert np.isfinite(found.to_numpy()).all()
