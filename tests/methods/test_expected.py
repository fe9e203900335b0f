"""T_K on the scale of the measurements, against derivatives and softmax by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse, stats

from gpovae_core import keys
from gpovae_core.methods.expected import common_lift, measured_influence, predicted_by_network, sensitivity
from gpovae_core.methods.network_fit import fit_network
from tests.toy import tiny_settings, toy_cells


def test_sensitivity_is_the_derivative_of_the_expected_logarithm():
    rng = np.random.default_rng(0)
    means, library = np.array([0.3, 2.0, 40.0]), 5000.0
    counts = rng.poisson(means, size=(40_000, 3))

    def expected(mean: float) -> float:
        x = np.arange(400)
        return float((np.log2(1 + 1e4 * x / library) * stats.poisson.pmf(x, mean)).sum())

    step = 1e-4
    slopes = [(expected(m * np.exp(step)) - expected(m * np.exp(-step))) / (2 * step) for m in means]
    found = sensitivity(sparse.csr_matrix(counts.astype(np.float32)), np.full(len(counts), library))
    np.testing.assert_allclose(found, slopes, rtol=0.02)


def test_the_lift_keeps_the_shares_at_a_sum_of_one():
    prepared = toy_cells()
    fit = fit_network(prepared, tiny_settings("evidence"))
    change, lift = measured_influence(fit, prepared), common_lift(fit, prepared)
    cells = np.flatnonzero(prepared.where(keys.CONTROL, (keys.TRAIN,)))
    shares = np.mean(prepared.counts[cells].toarray() / prepared.library_size[cells][:, None], axis=0)
    np.testing.assert_allclose((shares * np.exp(change + lift[:, None])).sum(axis=1), 1.0, rtol=1e-6)


def test_a_network_without_influence_predicts_nothing_but_the_knock_down():
    prepared = toy_cells()
    fit = fit_network(prepared, tiny_settings("evidence"))
    silent = type(fit).from_arrays(
        fit.arrays() | {"influence": np.zeros_like(fit.influence), "effect": np.full_like(fit.effect, np.nan)}
    )
    assert predicted_by_network(silent, prepared) == pytest.approx(0.0)
