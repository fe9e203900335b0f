"""Intervals hold what they say in cells that had no part in their width."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gpovae_core import keys
from gpovae_core.effects.averages import average_effects
from gpovae_core.evaluation.intervals import measure_intervals
from gpovae_core.evaluation.scores import Evaluation
from gpovae_core.reporting.sentences import intervals_in_short, intervals_in_words
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


def test_the_largest_measured_effects_are_counted_one_by_one_and_said():
    prepared = toy_cells()
    truth = average_effects(prepared, (keys.TRAIN,)).mean
    guess = truth + np.random.default_rng(1).normal(0, 0.2, truth.shape)
    found = measure_intervals(prepared, guess, pd.DataFrame(0.05, truth.index, truth.columns))
    assert found is not None
    seen = average_effects(prepared, (keys.TEST,))
    width = 1.96 * 0.05 * found.factor
    with_error, as_drawn = [], []
    for name in truth.index:
        others = seen.mean.loc[name].drop([gene for gene in str(name).split("+") if gene in truth.columns])
        for gene in others.abs().sort_values(ascending=False).index[:20]:
            off = abs(guess.loc[name, gene] - seen.mean.loc[name, gene])
            as_drawn.append(off <= width)
            with_error.append(off <= np.hypot(width, 1.96 * seen.standard_error.loc[name, gene]))
    assert found.largest_pairs == len(as_drawn)
    assert found.largest_held == pytest.approx(np.mean(with_error))
    assert found.largest_held_as_drawn == pytest.approx(np.mean(as_drawn))
    assert found.largest_held_as_drawn < found.largest_held
    words = intervals_in_words(Evaluation(intervals=found))
    assert f"{100 * found.largest_held:.0f}" in words.split("largest measured")[1]
    short = intervals_in_short(Evaluation(intervals=found))
    assert f"as drawn held {100 * found.largest_held_as_drawn:.0f} %" in short
    assert f"with the error of the measurement {100 * found.largest_held:.0f} %" in short
    assert f"{100 * found.held:.0f} % of the strongest predicted" in short
    assert intervals_in_short(Evaluation()) == intervals_in_short(None) == ""


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
