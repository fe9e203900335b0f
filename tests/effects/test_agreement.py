"""How far guides disagree: against expectation maximisation pair by pair, and by what has to be true."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2

from gpovae_core.effects.agreement import AGREEING, FACTORS, PRIOR_PAIRS, excess


def drawn(factor: np.ndarray, degrees: np.ndarray, seed: int = 0) -> np.ndarray:
    """Mean squares where the guides' variance is `factor` times that of their cells."""
    free = np.broadcast_to(degrees[:, None], factor.shape)
    return (1 + factor) * np.random.default_rng(seed).chisquare(free) / free


def pair_by_pair(ratio: np.ndarray, degrees: np.ndarray) -> np.ndarray:
    scale = 1 + np.concatenate([[0.0], FACTORS])
    free = np.broadcast_to(degrees[:, None], ratio.shape)[..., None]
    density = chi2.pdf(ratio[..., None] * free / scale, free) * free / scale
    start = np.array([AGREEING, *[(1 - AGREEING) / len(FACTORS)] * len(FACTORS)])
    weights = start
    for _ in range(2000):
        joint = density * weights
        belongs = joint / joint.sum(axis=-1, keepdims=True)
        weights = belongs.sum(axis=(0, 1)) + PRIOR_PAIRS * start
        weights /= weights.sum()
    joint = density * weights
    return (joint / joint.sum(axis=-1, keepdims=True)) @ (scale - 1)


def test_it_is_the_posterior_mean_of_a_mixture_fitted_to_all_pairs():
    degrees = np.array([1.0, 2.0, 3.0, 2.0])
    factor = np.where(np.random.default_rng(1).random((4, 60)) < 0.1, 12.0, 0.0)
    ratio = drawn(factor, degrees)
    found = excess(ratio, degrees, np.ones(ratio.shape, bool))
    np.testing.assert_allclose(found, pair_by_pair(ratio, degrees), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("degrees", [1.0, 2.0, 3.0])
def test_guides_that_agree_everywhere_cost_next_to_nothing(degrees: float):
    free = np.full(30, degrees)
    found = excess(drawn(np.zeros((30, 200)), free), free, np.ones((30, 200), bool))
    assert found.mean() < 0.03
    plain = np.maximum(drawn(np.zeros((30, 200)), free) - 1, 0).mean()
    assert plain > 0.25  # what taking every mean square at its word would cost


def test_a_few_pairs_that_disagree_are_found_among_many_that_agree():
    """One pair in fifty: a guide with another target."""
    free = np.full(30, 2.0)
    factor = np.where(np.random.default_rng(2).random((30, 200)) < 0.02, 60.0, 0.0)
    ratio = drawn(factor, free)
    found = excess(ratio, free, np.ones(ratio.shape, bool))
    seen = (factor > 0) & (ratio > 20)
    assert seen.sum() > 50
    assert found[seen].min() > 30
    assert np.median(found[seen]) == pytest.approx(60, rel=0.25)
    agreeing = factor == 0
    assert found[agreeing].mean() < 0.5 * np.maximum(ratio[agreeing] - 1, 0).mean()


def test_more_disagreement_is_never_less_variance_and_unknown_pairs_have_none():
    free = np.array([2.0, 2.0])
    ratio = np.stack([np.geomspace(1e-3, 1e6, 50)] * 2)
    known = np.ones(ratio.shape, bool)
    known[1, ::2] = False
    found = excess(ratio, free, known)
    assert (np.diff(found[0]) >= -1e-9).all()
    assert (found[1, ::2] == 0).all()
    np.testing.assert_allclose(found[1, 1::2], found[0, 1::2])
    assert (excess(ratio, free, np.zeros(ratio.shape, bool)) == 0).all()
