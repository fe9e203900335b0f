"""Intervals hold what they say in cells that had no part in their width."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gpovae_core import keys
from gpovae_core.effects.averages import average_effects
from gpovae_core.evaluation.intervals import measure_intervals
from gpovae_core.evaluation.scores import Evaluation
from gpovae_core.reporting.sentences import intervals_in_words
from tests.toy import toy_cells


@pytest.mark.parametrize("error", [0.1, 0.4])
def test_a_spread_that_is_too_small_is_widened_to_what_the_model_misses_by(error: float):
    """The model misses the truth (here the training mean) by `error`, and says 0.05."""
    prepared = toy_cells()
    truth = average_effects(prepared, (keys.TRAIN,)).mean
    off = np.random.default_rng(0).normal(0, error, truth.shape)
    found = measure_intervals(prepared, truth + off, pd.DataFrame(0.05, truth.index, truth.columns))
    assert found is not None
    assert found.pairs > 80
    assert found.factor > 1.5
    assert found.held_by_model < found.held
    assert 0.88 <= found.held <= 1.0
    words = intervals_in_words(Evaluation(intervals=found))
    assert f"times {found.factor:.1f}" in words
    assert str(found.pairs) in words


def test_a_spread_that_is_wide_enough_stays_and_genes_of_their_own_do_not_count():
    prepared = toy_cells()
    truth = average_effects(prepared, (keys.TRAIN,)).mean
    for name in truth.index:
        if name in truth.columns:
            truth.loc[name, name] = 50.0
    found = measure_intervals(prepared, truth, pd.DataFrame(1.0, truth.index, truth.columns))
    assert found is not None
    assert found.factor == 1.0
    assert found.held == found.held_by_model


def test_without_a_measure_the_intervals_are_called_the_models_own():
    assert "not calibrated" in intervals_in_words(Evaluation())
    assert "not calibrated" in intervals_in_words(None)
