"""What W makes of an effect that no path explains, and where a path is there all the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit, logit

from gpovae_core.methods.leftover import FALL, REST, SLOPE, turned_paths, with_rests
from tests.methods.test_direct import edges_of, fit, observed


def test_the_chances_of_no_edge_add_up() -> None:
    odds, strength, turned = (
        np.array([3.0, 12.0, -2.0]),
        np.array([-0.4, 2.0, 1.0]),
        np.array([0.0, 0.5, 0.0]),
    )
    rest = (REST / np.abs(strength)) ** FALL * np.exp(-SLOPE * np.maximum(odds, 0.0))
    want = 1 / (1 + np.exp(-odds) + rest + turned)
    np.testing.assert_allclose(expit(with_rests(odds, strength, turned)), want, rtol=1e-12)


@pytest.mark.parametrize("odds", [-30.0, -2.0, 0.0, 5.0, 30.0])
def test_w_grows_with_strength_and_never_passes_what_the_regression_says(odds: float) -> None:
    strength = np.array([0.0, 1e-3, 0.05, 0.2, 0.5, 1.0, 3.0])
    got = with_rests(np.full(len(strength), odds), strength, 0.0)
    assert (np.diff(got) >= 0).all()
    assert (got <= odds).all()
    assert np.isfinite(got).all()


def test_a_weak_edge_is_less_sure_however_precisely_it_was_measured() -> None:
    network = edges_of(4, ab=1.2, ac=0.3)
    once, more = (fit(observed(network, list(range(4)), noise), 4).probabilities for noise in (0.05, 0.005))
    for w in (once, more):
        assert w[0, 1] > 0.85
        assert w[0, 2] < 0.75
    assert fit(observed(network, list(range(4)), 0.005), 4).explained[0, 2] > 0.99


def test_a_gene_that_is_turned_against_its_own_perturbation_may_pass_on_anything() -> None:
    """a represses b; losing b changes c a little, so b acts on c. That c changes with a may be b's doing."""
    total = observed(edges_of(4, ab=-1.5, ac=1.0, bc=0.2), list(range(4)), 0.02)
    turned = turned_paths(total, 4)
    assert turned[0, 2] > 0.5
    assert turned[1].max() == 0.0  # nothing is turned by b
    hidden = replace(total, effect=np.where(np.arange(4)[:, None] == 1, 0.0, total.effect))
    assert turned_paths(hidden, 4)[0, 2] == 0.0  # b shows no effect on c
    assert fit(total, 4).probabilities[0, 2] < expit(logit(2 / 3))
