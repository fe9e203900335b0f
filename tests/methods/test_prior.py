"""The weight that cells give a table of known edges: found again, none for a table that knows nothing, and
what it does to W.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit

from gpovae_core.methods.prior import FEWEST_KNOWN, SPREAD, Odds, learn_weight, shift, shrunk

Q, N = 30, 120


def odds_of(weight: float, seed: int, share: float = 0.05, listed: float = 0.06) -> tuple[Odds, np.ndarray]:
    """A screen whose edges follow the model, seen with a Bayes factor each; and the pairs that are listed."""
    rng = np.random.default_rng(seed)
    known = rng.random((Q, N)) < listed
    prior = np.full(Q, logit(share))
    row, column = 0.5 * rng.standard_normal((Q, 1)), 0.5 * rng.standard_normal((1, N))
    edge = rng.random((Q, N)) < expit(prior[:, None] + row + column + weight * known)
    z = rng.standard_normal((Q, N)) + 3.0 * edge
    factor = 3.0 * z - 4.5  # log ratio of normals of mean 3 and 0
    counted = np.ones((Q, N), dtype=bool)
    counted[np.arange(Q), np.arange(Q)] = False
    return Odds(np.arange(Q), prior[:, None] + factor, prior, counted), known


def everywhere(odds: Odds) -> np.ndarray:
    return np.ones(odds.counted.shape, dtype=bool)


@pytest.mark.parametrize("weight", [-1.0, 1.5, 3.0])
def test_the_weight_is_found_again(weight: float) -> None:
    found = []
    for seed in range(5):
        odds, known = odds_of(weight, seed, listed=0.2)
        one = learn_weight(odds, everywhere(odds), known)
        assert one.weight == pytest.approx(weight, abs=4 * one.error)
        found.append(one)
    assert np.mean([one.weight for one in found]) == pytest.approx(weight, rel=0.25)
    assert (found[0].share_known > found[0].share_without) == (weight > 0)


def test_a_table_that_knows_nothing_earns_nothing() -> None:
    within = 0
    for seed in range(20):
        odds, known = odds_of(0.0, seed)
        one = learn_weight(odds, everywhere(odds), known)
        within += abs(one.kept) <= one.error
    assert within >= 18


def test_naming_genes_with_many_edges_earns_nothing() -> None:
    """Edges lie in a few columns, which the table lists for every source alike."""
    within = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        odds, _ = odds_of(0.0, seed)
        popular = np.arange(N) % 8 == 0
        edge = rng.random((Q, N)) < np.where(popular, 0.3, 0.02)
        factor = 3.0 * (rng.standard_normal((Q, N)) + 3.0 * edge) - 4.5
        moved = replace(odds, posterior=odds.prior[:, None] + factor)
        known = rng.random((Q, N)) < np.where(popular, 0.4, 0.02)
        one = learn_weight(moved, everywhere(odds), known)
        within += abs(one.kept) <= one.error
    assert within >= 9


def test_it_maximises_the_marginal_likelihood() -> None:
    odds, known = odds_of(1.5, 3)
    i, j = np.nonzero(odds.counted)
    factor = (odds.posterior - odds.prior[:, None])[i, j]

    def cost(x: np.ndarray) -> float:
        row, column, weight = x[:Q], x[Q : Q + N], x[-1]
        p = expit(odds.prior[i] + row[i] + column[j] + weight * known[i, j])
        penalty = ((row**2).sum() + (column**2).sum()) / (2 * SPREAD**2) + weight**2 / 200
        return penalty - float(np.log1p(p * np.expm1(factor)).sum())

    best = minimize(cost, np.zeros(Q + N + 1), method="L-BFGS-B").x[-1]
    assert learn_weight(odds, everywhere(odds), known).weight == pytest.approx(best, abs=0.02)


def test_too_few_known_pairs_earn_no_weight() -> None:
    odds, known = odds_of(3.0, 0)
    few = np.zeros_like(known)
    few[tuple(np.argwhere(known & odds.counted)[: FEWEST_KNOWN - 1].T)] = True
    found = learn_weight(odds, everywhere(odds), few)
    assert (found.weight, found.kept, found.known) == (0.0, 0.0, FEWEST_KNOWN - 1)
    assert not learn_weight(odds, np.zeros_like(known), known).known


def test_chance_is_shrunk_away() -> None:
    assert shrunk(1.0, 0.6) == 0.0
    assert shrunk(-1.0, 0.6) == 0.0
    assert shrunk(2.0, 0.1) == pytest.approx(2.0, rel=0.02)
    assert shrunk(-2.0, 0.1) == -shrunk(2.0, 0.1)
    assert shrunk(0.0, 1.0) == shrunk(3.0, float("inf")) == 0.0


def test_as_many_edges_as_before_are_expected() -> None:
    odds, known = odds_of(2.0, 1)
    usable = np.zeros_like(known)
    usable[:10] = True
    known &= usable
    change = shift(odds, usable, known, 2.0)
    pairs = usable & odds.counted
    prior = np.broadcast_to(odds.prior[:, None], change.shape)
    assert expit(prior + change)[pairs].sum() == pytest.approx(expit(prior)[pairs].sum())
    assert (change[~pairs] == 0).all()
    low = change[pairs & ~known]
    assert (low == low[0]).all()
    assert -0.5 < low[0] < 0
    np.testing.assert_allclose(change[pairs & known], low[0] + 2.0)
    assert not shift(odds, usable, known, 0.0).any()
