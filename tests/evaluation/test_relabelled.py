"""What controls called perturbed score: nothing, and about the level of a test."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gpovae_core import keys
from gpovae_core.data.expression import log_expression
from gpovae_core.effects.averages import average_effects
from gpovae_core.evaluation.held_out import held_out_pairs
from gpovae_core.evaluation.known import KnownEdges, reference_scores
from gpovae_core.evaluation.relabelled import null_differences, null_omission
from gpovae_core.methods import mean_difference
from gpovae_core.methods.method import Inputs
from tests.toy import toy_cells


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    prepared = toy_cells()
    pairs = held_out_pairs(prepared)
    return Inputs(prepared, pairs.sources, pairs.targets, average_effects(prepared, (keys.TRAIN,)).mean)


def test_relabelled_controls_differ_less_than_perturbed_cells(inputs: Inputs):
    null = null_differences(inputs, seed=0)
    assert len(null) == 5
    real = mean_difference.score(inputs)
    assert all(one.shape == real.shape for one in null)
    own = np.array(inputs.sources)[:, None] == np.array(inputs.targets)[None, :]
    assert np.mean([one[own].mean() for one in null]) < 0.5 * real[own].mean()
    again = null_differences(inputs, seed=0)
    np.testing.assert_array_equal(null, again)
    assert not np.array_equal(null[0], null_differences(inputs, seed=1)[0])


def test_the_difference_is_that_of_the_means_of_two_groups_of_controls(inputs: Inputs):
    prepared = inputs.prepared
    rows = np.flatnonzero(prepared.where(keys.CONTROL, (keys.TRAIN,)))
    values = log_expression(prepared.counts, prepared.library_size)[rows].toarray()
    columns = prepared.cells.var_names.get_indexer(list(inputs.targets))
    source = inputs.sources[0]
    size = min(int(prepared.where(source, (keys.TRAIN,)).sum()), len(rows) // 2)
    found = null_differences(inputs, seed=7, draws=40)
    # the mean square of such differences, over draws: variance times (1 / size + 1 / others)
    expected = values.var(axis=0, ddof=1)[columns] * (1 / size + 1 / (len(rows) - size))
    squares = np.mean([one[0] ** 2 for one in found], axis=0)
    assert squares.sum() == pytest.approx(expected.sum(), rel=0.25)


def test_the_omission_rate_of_relabelled_controls_is_about_the_level(inputs: Inputs):
    pairs = held_out_pairs(inputs.prepared)
    rates = [null_omission(inputs, pairs, 0.05, seed) for seed in range(10)]
    assert 0.0 <= np.mean(np.array(rates, dtype=float)) < 0.1


def test_a_reference_is_scored_beside_them():
    known = KnownEdges("ref", True, frozenset({("a", "b"), ("b", "c")}))
    names, rng = ["a", "b", "c"], np.random.default_rng(0)
    null = [rng.random((3, 3)) for _ in range(3)]
    found = reference_scores(known, names, names, {"w": null[0]}, shuffles=0, null=null)
    alone = [reference_scores(known, names, names, {"w": one}, shuffles=0) for one in null]
    expected = [one.rankings["w"].auprc for one in alone]
    assert found.null_controls == pytest.approx(np.mean(np.array(expected, dtype=float)))
    assert alone[0].null_controls is None


def test_without_controls_there_is_no_floor(inputs: Inputs):
    prepared = inputs.prepared
    obs = prepared.cells.obs.copy()
    split = np.asarray(obs[keys.SPLIT], dtype=object).copy()
    split[prepared.labels == keys.CONTROL] = keys.VALIDATION
    obs[keys.SPLIT] = pd.Categorical(split, categories=list(keys.SPLITS))
    without = type(prepared).of(
        prepared.counts, obs, list(prepared.cells.var_names), prepared.panel, prepared.report
    )
    pairs = held_out_pairs(without)
    alone = Inputs(without, pairs.sources, pairs.targets, inputs.effects)
    assert null_differences(alone, 0) == []
    assert null_omission(alone, pairs, 0.05, 0) is None
