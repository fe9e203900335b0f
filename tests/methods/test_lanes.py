"""Several numbers as one value of compiled code: every lane by itself, as numpy has it."""

from __future__ import annotations

import numpy as np
from numba import njit

from gpovae_core.methods.lanes import LANES, any_over, falling, load, root, size, spread, store, where_over


@njit
def _of_each(x: np.ndarray, y: np.ndarray, out: np.ndarray) -> None:
    for at in range(0, len(x), LANES):
        one, other = load(x, at), load(y, at)
        store(out[0], at, (one + 2.0) * other - one / other)
        store(out[1], at, where_over(one, other, root(size(one)), spread(7.0)))
        store(out[2], at, falling(size(one)))


@njit
def _any(x: np.ndarray, least: float) -> bool:
    return any_over(load(x, 0), spread(least))


def test_lanes_are_numbers_of_their_own() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(0, 3, 5 * LANES), rng.uniform(0.5, 2, 5 * LANES)
    out = np.zeros((3, len(x)))
    _of_each(x, y, out)
    np.testing.assert_array_equal(out[0], (x + 2) * y - x / y)
    np.testing.assert_array_equal(out[1], np.where(x > y, np.sqrt(np.abs(x)), 7.0))
    np.testing.assert_allclose(out[2], np.exp(-np.abs(x)), rtol=1e-15)
    assert _any(x, float(np.sort(x[:LANES])[-2]))
    assert not _any(x, float(x[:LANES].max()))


def test_an_exponential_that_falls_far_and_hardly_at_all() -> None:
    x = np.array([0.0, 1e-12, 1e-3, 0.34657, 0.35, 60.0, 699.9, 5000.0] * (LANES // 8))
    out = np.zeros((3, len(x)))
    _of_each(x, np.ones(len(x)), out)
    np.testing.assert_allclose(out[2], np.exp(-np.minimum(x, 700)), rtol=1e-15)
