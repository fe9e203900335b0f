"""Controls in the place of perturbed cells: from the same strata and as deep."""

from __future__ import annotations

import numpy as np
import pytest

from gpovae_core.effects.design import MOST_DEPTHS, by_depth
from gpovae_core.effects.draws import drawn_like, every_second


def test_controls_are_drawn_from_the_batches_and_depths_of_the_perturbed_cells():
    rng = np.random.default_rng(0)
    pool = rng.integers(0, 2, 2000) * MOST_DEPTHS + rng.integers(0, 5, 2000)
    wanted = np.repeat([1, 3, MOST_DEPTHS + 2], [10, 5, 20])
    chosen = drawn_like(rng, wanted, pool)
    assert len(set(chosen)) == len(wanted)
    np.testing.assert_array_equal(np.sort(pool[chosen]), wanted)


def test_no_more_than_half_of_a_stratum_and_what_is_lacking_comes_from_its_other_depths():
    pool = np.repeat([0, 1, MOST_DEPTHS], [4, 16, 100])
    chosen = drawn_like(np.random.default_rng(1), np.zeros(8, dtype=int), pool)
    assert sorted(np.unique(pool[chosen], return_counts=True)[1]) == [2, 6]
    many = drawn_like(np.random.default_rng(1), np.zeros(50, dtype=int), pool)
    assert len(many) == 10
    assert (pool[many] < MOST_DEPTHS).all()
    assert len(drawn_like(np.random.default_rng(1), np.full(3, 5 * MOST_DEPTHS), pool)) == 0


def test_half_of_every_kind():
    kinds = np.array([3, 1, 3, 3, 1, 2, 3])
    lent = every_second(kinds)
    assert [int(lent[kinds == kind].sum()) for kind in (1, 2, 3)] == [1, 0, 2]


@pytest.mark.parametrize(("controls", "classes"), [(0, 1), (25, 2), (95, 9), (900, MOST_DEPTHS)])
def test_a_stratum_has_as_many_depths_as_controls_can_fill(controls, classes):
    rng = np.random.default_rng(2)
    size = rng.lognormal(size=1000)
    number = by_depth(size, np.zeros(1000, dtype=int), np.arange(1000) < controls)
    assert len(np.unique(number)) == classes
    assert (np.diff(number[np.argsort(size)]) >= 0).all()
    twice = by_depth(np.tile(size, 2), np.repeat([4, 7], 1000), np.tile(np.arange(1000) < controls, 2))
    np.testing.assert_array_equal(twice, np.concatenate([number, number + MOST_DEPTHS]))
    same = by_depth(np.full(1000, 5.0), np.zeros(1000, dtype=int), np.arange(1000) < controls)
    assert len(np.unique(same)) == 1
