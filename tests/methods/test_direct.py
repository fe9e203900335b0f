"""Direct edges: closed forms where there is one, small networks whose truth is known, and laws.

Networks are given as B, log fold change of the target per unit that is felt of the regulator.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit

from gpovae_core.effects.shrinkage import SLAB, EvidenceRule, fit_evidence
from gpovae_core.methods.direct import ROW_PRIOR, DirectEdges, direct_edges, null_log_odds, others_say
from gpovae_core.methods.explained import Tolerance, TotalEffects, felt
from gpovae_core.model.hops import hop_series, influence_over_hops

LEAST, TOLERANCE, UNPERTURBED = 0.05, Tolerance(0.1, 0.2), 1e-6
OWN = np.log(0.2)


def signed_influence(b: np.ndarray, hops: int) -> np.ndarray:
    return influence_over_hops(b, hop_series("signed", len(b), hops))


def fit(
    total: TotalEffects, n: int, unperturbed: float = UNPERTURBED, tolerance: Tolerance = TOLERANCE
) -> DirectEdges:
    return direct_edges(total, n, LEAST, tolerance, unperturbed)


def changes(network: np.ndarray, sources: np.ndarray, own: np.ndarray) -> np.ndarray:
    """(p, n) log fold changes x: x_ij = sum_m felt(x_im) B_mj, and own at the perturbed gene itself. Circles
    have to die down.
    """
    n, rows = len(network), np.arange(len(sources))
    x, before = np.zeros((len(sources), n)), np.inf
    for _ in range(20 * n):  # genes further down with every round; after n of them circles alone are left
        x[rows, sources] = own
        before, x = x, felt(x) @ network
    x[rows, sources] = own
    assert np.abs(x - before).max() < 1e-3
    return x


def per_log(network: np.ndarray, total: TotalEffects) -> np.ndarray:
    """S that a network has in a screen: B times what is felt per unit of the source's own log fold change."""
    unit = felt(total.own) / total.own
    factor = np.full(len(network), np.median(unit))
    factor[total.sources] = unit
    return network * factor[:, None]


def observed(
    network: np.ndarray,
    sources: list[int] | np.ndarray,
    noise: float = 0.02,
    seed: int | None = None,
    own: float | np.ndarray = OWN,
) -> TotalEffects:
    """What perturbing `sources` of a network B (n, n) shows, drawn with noise where there is a seed."""
    n, sources = len(network), np.asarray(sources, dtype=int)
    fall = np.full(len(sources), own) if np.isscalar(own) else np.asarray(own)
    whole = changes(network, sources, fall)
    there = np.abs(whole) > 1e-9
    there[np.arange(len(sources)), sources] = False
    error = np.full((len(sources), n), noise)
    effect = whole + (
        0.0 if seed is None else noise * np.random.default_rng(seed).standard_normal(whole.shape)
    )
    probability = np.where(there, 1 - 1e-6, 0.004)
    return TotalEffects(sources, effect, error, probability, effect, fall)


def edges_of(n: int, **strengths: float) -> np.ndarray:
    """B from names like ab=0.8: row a, column b."""
    network = np.zeros((n, n))
    for (a, b), strength in strengths.items():
        network[ord(a) - ord("a"), ord(b) - ord("a")] = strength
    return network


# What is felt -----------------------------------------------------------------------------------------------


def test_of_a_fall_the_lost_share_is_felt_and_of_a_rise_its_logarithm() -> None:
    share = np.array([0.0, 0.01, 0.3, 0.9, 0.999])
    np.testing.assert_allclose(felt(np.log1p(-share)), -share, atol=1e-12)
    rise = np.array([0.0, 1e-3, 0.7, 5.0, 800.0])
    np.testing.assert_array_equal(felt(rise), rise)
    assert felt(np.array([-800.0, -np.inf])).tolist() == [-1.0, -1.0]


def test_near_no_change_the_change_itself_is_felt() -> None:
    small = np.array([-1e-6, -1e-9, 1e-9, 1e-6])
    np.testing.assert_allclose(felt(small) / small, 1.0, atol=1e-6)
    assert felt(np.zeros(1))[0] == 0.0


@given(st.floats(-30, 30), st.floats(-30, 30))
def test_more_change_is_felt_more_and_never_more_than_itself(first: float, second: float) -> None:
    low, high = sorted((first, second))
    less, more = felt(np.array([low, high]))
    assert less <= more
    assert more - less <= (high - low) * (1 + 1e-12) + 1e-15
    assert less >= -1.0
    assert abs(less) <= abs(low)


# Influence --------------------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(n=st.integers(1, 7), hops=st.integers(1, 6), seed=st.integers(0, 99))
def test_influence_is_the_sum_of_signed_powers(n: int, hops: int, seed: int) -> None:
    b = np.random.default_rng(seed).normal(0, 0.4, (n, n))
    before = b.copy()
    expected = sum(np.linalg.matrix_power(b, k) for k in range(1, hops + 1))
    np.testing.assert_allclose(signed_influence(b, hops), expected, rtol=1e-10, atol=1e-12)
    np.testing.assert_array_equal(b, before)


@pytest.mark.parametrize("n", [1, 2, 6])
def test_without_cycles_and_with_enough_hops_influence_is_the_closed_form(n: int) -> None:
    b = np.triu(np.random.default_rng(n).normal(0, 1, (n, n)), k=1)
    closed = np.linalg.inv(np.eye(n) - b) - np.eye(n)
    np.testing.assert_allclose(signed_influence(b, max(n - 1, 1)), closed, atol=1e-10)
    np.testing.assert_allclose(signed_influence(b, n + 4), closed, atol=1e-10)


# Closed forms -----------------------------------------------------------------------------------------------


def test_without_indirect_paths_w_is_the_spike_and_slab_posterior() -> None:
    """Genes 0 and 1 are perturbed, each by its own measure, and nothing passes through others: every pair is
    a problem of one number.
    """
    n, p = 8, 2
    own = np.array([-1.2, 0.8])
    effect = np.array(
        [[-1.2, 0.01, 0.1, -0.2, 0.3, 0.6, -0.9, 1.5], [0.0, 0.8, 0.8, 0.1, -0.2, 0.02, 0.3, 1]]
    )
    error = np.array(
        [[0.1, 0.05, 0.05, 0.1, 0.2, 0.1, 0.05, 0.3], [0.1, 0.1, 0.2, 0.05, 0.1, 0.05, 0.1, 0.2]]
    )
    sure = 1 - 1e-9
    probability = np.array(  # below FEWEST_ODDS: no predictors
        [[0.04, 0.04, 0.04, 0.04, 0.04, sure, sure, sure], [0.04, 0.04, sure, 0.04, 0.04, 0.04, 0.04, sure]]
    )
    # Targets that are believed could carry effects on, but then only through rows that were never perturbed:
    # none is allowed here.
    total = TotalEffects(np.arange(p), effect, error, probability, effect, own)
    got = direct_edges(total, n, LEAST, TOLERANCE, 1e-300)

    dose = np.array([np.exp(-1.2) - 1, 0.8])[:, None]
    response, s, null = effect / dose, error / np.abs(dose), LEAST / np.abs(dose)
    slab = np.sqrt(np.mean(response[probability > 0.8] ** 2))
    unit = dose / own[:, None]
    pairs = total.seen
    for i in range(p):
        j = pairs[i]
        prior = np.clip(probability[i, j].mean(), *ROW_PRIOR)
        with_edge = stats.norm.logpdf(response[i, j], 0, np.sqrt(s[i, j] ** 2 + null[i] ** 2 + slab**2))
        without = stats.norm.logpdf(response[i, j], 0, np.sqrt(s[i, j] ** 2 + null[i] ** 2))
        posterior = 1 / (1 + (1 - prior) / prior * np.exp(without - with_edge))
        np.testing.assert_allclose(got.explained[i, j], np.minimum(posterior, probability[i, j]), atol=1e-6)
    np.testing.assert_allclose(
        got.strength[:p][pairs], (unit * response * slab**2 / (slab**2 + s**2))[pairs], rtol=1e-6
    )
    np.testing.assert_allclose(
        got.deviation[:p][pairs], (unit / np.sqrt(1 / s**2 + 1 / slab**2))[pairs], rtol=1e-6
    )
    np.testing.assert_allclose(got.unit, [*unit[:, 0], *np.full(n - p, np.median(unit))])
    assert got.prior.slab == pytest.approx(slab**2)
    np.testing.assert_allclose(got.prior.least[:p], null[:, 0] ** 2)
    np.testing.assert_allclose(got.prior.least[p:], (LEAST / np.median(np.abs(dose))) ** 2)


def test_a_chain_keeps_its_links_and_explains_the_rest_away() -> None:
    network = edges_of(3, ab=1.5, bc=1.2)
    total = observed(network, [0, 1, 2])
    got = fit(total, 3)
    w = got.explained
    assert w[0, 1] > 0.95
    assert w[1, 2] > 0.95
    assert w[0, 2] < 0.1
    assert w[[1, 2, 2], [0, 0, 1]].max() < 0.05
    np.testing.assert_allclose(got.strength[network != 0], per_log(network, total)[network != 0], rtol=0.01)
    assert changes(w * got.strength / got.unit[:, None] * (network != 0), total.sources, total.own)[
        0, 2
    ] == pytest.approx(total.effect[0, 2], abs=0.02)


@pytest.mark.parametrize("seed", range(3))
def test_a_long_noisy_chain(seed: int) -> None:
    n = 6
    network = np.diag(np.array([0.9, -0.8, 0.7, 0.9, -0.8]), k=1)
    w = fit(observed(network, range(n), seed=seed), n).explained
    assert (w[network != 0] > 0.9).all()
    assert (w[network == 0] > 0.5).sum() == 0


def test_a_feed_forward_loop_keeps_its_direct_edge() -> None:
    network = edges_of(3, ab=0.8, bc=0.7, ac=0.9)
    total = observed(network, [0, 1, 2])
    got = fit(total, 3)
    assert (got.explained[network != 0] > 0.9).all()
    np.testing.assert_allclose(got.strength[network != 0], per_log(network, total)[network != 0], atol=0.02)


@pytest.mark.parametrize("first", [-0.8, 0.8])
@pytest.mark.parametrize("second", [-0.6, 0.6])
def test_signs_multiply_along_a_path(first: float, second: float) -> None:
    got = fit(observed(edges_of(3, ab=first, bc=second), [0, 1, 2]), 3)
    assert np.sign(got.strength[0, 1]) == np.sign(first)
    assert np.sign(got.strength[1, 2]) == np.sign(second)
    assert np.sign(signed_influence(got.explained * got.strength, 3)[0, 2]) == np.sign(first * second)


FOUR = edges_of(4, ab=0.8, bc=-0.7, cd=0.9)


@pytest.mark.parametrize(
    "own", [np.log(0.5), np.log(0.1), -5.0, np.log(5.0), np.array([-0.7, -5.0, -1.6, -2.3])]
)
def test_strength_is_per_log_of_the_sources_own_change(own: float | np.ndarray) -> None:
    """The network is the same whatever the perturbation reaches; only the unit of S is not."""
    total = observed(FOUR, range(4), 1e-3, own=own)
    got = fit(total, 4)
    found = FOUR != 0
    np.testing.assert_allclose(got.strength[found], per_log(FOUR, total)[found], rtol=1e-3)
    np.testing.assert_allclose((got.strength / got.unit[:, None])[found], FOUR[found], rtol=1e-3)
    np.testing.assert_allclose(got.unit, felt(total.own) / total.own)
    np.testing.assert_array_equal(got.explained > 0.5, found)


@pytest.mark.parametrize("seed", range(6))
def test_a_complete_knock_down_finds_the_edges_of_one_to_a_tenth(seed: int) -> None:
    network = random_tree(seed, 10)
    tenth = fit(observed(network, range(10), 0.04, seed, own=np.log(0.1)), 10)
    complete = fit(observed(network, range(10), 0.04, seed, own=-5.0), 10)
    np.testing.assert_array_equal(tenth.explained > 0.5, network != 0)
    np.testing.assert_array_equal(complete.explained > 0.5, network != 0)
    found = network != 0
    for got in (tenth, complete):
        off = (got.strength / got.unit[:, None] - network) / (got.deviation / got.unit[:, None])
        assert np.abs(off[found]).max() < 4  # standard deviations


@pytest.mark.parametrize("seed", range(6))
def test_an_activation_screen_finds_edges_with_their_signs(seed: int) -> None:
    """Of an activated gene the logarithm is felt: S is B itself."""
    network = random_tree(seed, 10)
    got = fit(observed(network, range(10), 0.04, seed, own=np.log(4.0)), 10)
    np.testing.assert_array_equal(got.explained > 0.5, network != 0)
    found = network != 0
    np.testing.assert_array_equal(np.sign(got.strength[found]), np.sign(network[found]))
    assert np.abs((got.strength - network) / got.deviation)[found].max() < 4  # standard deviations
    np.testing.assert_array_equal(got.unit, 1.0)


# How far explanations are trusted ---------------------------------------------------------------------------


def bent(network: np.ndarray, own: float | np.ndarray) -> TotalEffects:
    """a -> b -> c among genes that nothing reaches; perturbing a changes c by two thirds of what the path
    predicts.
    """
    total = observed(network, range(len(network)), own=own)
    effect = total.effect.copy()
    effect[0, 2] *= 0.65
    return replace(total, effect=effect, believed=effect)


@pytest.mark.parametrize("own", [np.log(0.2), np.log(5.0)])
@pytest.mark.parametrize("along", [0.05, 0.5])
def test_the_rise_after_a_repressors_loss_is_trusted_as_far_as_turned_explanations_are(
    own: float, along: float
) -> None:
    """a represses b, b activates c. Without a, b rises far beyond what was seen of it: its own perturbation
    took it down. The same with all turned, where genes are activated.
    """
    network = edges_of(20, ab=-2.0, bc=1.0)
    total = bent(network, own)
    assert total.effect[0, 1] * own < 0
    wide, narrow = (fit(total, 20, tolerance=Tolerance(along, against)) for against in (0.5, 0.05))
    np.testing.assert_array_equal(wide.explained > 0.5, network != 0)
    assert wide.explained[0, 2] < 0.2
    assert narrow.explained[0, 2] > 0.95
    assert narrow.strength[0, 2] > 0.1  # c rises less than the path predicts: the edge is against it
    assert narrow.explained[network != 0].min() > 0.95


@pytest.mark.parametrize("own", [np.log(0.2), np.log(5.0)])
@pytest.mark.parametrize("against", [0.05, 0.5])
def test_a_gene_in_between_that_moves_as_when_perturbed_is_trusted_as_far_as_explanations_along_are(
    own: float, against: float
) -> None:
    network = edges_of(20, ab=2.0, bc=1.0)
    total = bent(network, own)
    assert total.effect[0, 1] * own > 0
    wide, narrow = (fit(total, 20, tolerance=Tolerance(along, against)) for along in (0.5, 0.05))
    np.testing.assert_array_equal(wide.explained > 0.5, network != 0)
    assert wide.explained[0, 2] < 0.2
    assert narrow.explained[0, 2] > 0.95


def test_which_way_a_gene_moves_is_told_by_its_own_perturbation() -> None:
    """b was activated, the others knocked down: where a's loss lifts b, b moves as its perturbation moved
    it.
    """
    own = np.full(20, np.log(0.2))
    own[1] = np.log(5.0)
    total = bent(edges_of(20, ab=-2.0, bc=1.0), own)
    assert fit(total, 20, tolerance=Tolerance(0.5, 0.05)).explained[0, 2] < 0.2
    assert fit(total, 20, tolerance=Tolerance(0.05, 0.5)).explained[0, 2] > 0.95


# Effects that cancel ----------------------------------------------------------------------------------------


def judged(network: np.ndarray, seed: int, noise: float = 0.04, own: float = OWN) -> TotalEffects:
    """All genes of a network perturbed, effects with noise, judged by a rule that is fitted to
    them.
    """
    seen = observed(network, range(len(network)), noise, seed, own)
    rule = fit_evidence(seen.effect, seen.error, seen.seen, LEAST)
    belief = rule.judge(seen.effect, seen.error)
    return TotalEffects(
        seen.sources, seen.effect, seen.error, belief.probability, belief.effect, seen.own, rule
    )


@pytest.mark.parametrize("seed", range(3))
def test_an_effect_that_a_path_predicts_and_that_is_missing_shows_the_edge_against_it(seed: int) -> None:
    """a -> b -> c, and a -> c of the other sign and the same size: perturbing a leaves c as it was."""
    n = 12
    network = np.zeros((n, n))
    network[:3, :3] = edges_of(3, ab=0.8, bc=0.7)
    cancelled = changes(network, np.array([0]), np.array([OWN]))[0, 2] / felt(np.array([OWN]))[0]
    network[0, 2] = -cancelled
    total = judged(network, seed)
    assert total.probability[0, 2] < 0.2
    got = fit(total, n)
    assert got.explained[0, 2] > 0.9
    assert got.strength[0, 2] == pytest.approx(per_log(network, total)[0, 2], abs=0.05)
    assert (got.explained[network == 0] > 0.5).sum() == 0
    assert fit(replace(total, rule=None), n).explained[0, 2] < total.probability[0, 2] + 1e-9


def test_a_missing_effect_proves_as_much_as_the_tolerance_of_its_path_leaves_of_it() -> None:
    """In log fold changes, where a weak knock-down is felt as a third of a unit."""
    n = 12
    own = np.array([-0.4])
    network = np.zeros((n, n))
    network[:3, :3] = edges_of(3, ab=2.2, bc=1.6)
    missing = changes(network, np.array([0]), own)[0, 2]
    network[0, 2] = -missing / felt(own)[0]
    total = judged(network, 0, own=own[0])
    got = fit(total, n, tolerance=Tolerance(0.25, 0.25))
    assert total.rule is not None
    proof = total.rule.probability(np.zeros(1, int), np.array([missing]), np.array([0.25 * abs(missing)]))[0]
    assert 0.5 < proof < 0.999
    assert got.explained[0, 2] == pytest.approx(proof, abs=0.03)


@pytest.mark.parametrize("own", [OWN, -0.5, 2.5])
@pytest.mark.parametrize("seed", range(6))
def test_w_never_exceeds_the_probability_of_what_the_paths_leave(seed: int, own: float) -> None:
    total = judged(np.triu(random_strengths(seed, 12), k=1), seed, 0.1, own)
    got = fit(total, 12)
    edge = got.explained * got.strength / got.unit[:, None]
    passing = np.where(total.seen & (total.probability > 0.05), total.probability * felt(total.believed), 0.0)
    other = passing * own < 0
    along, turned = np.where(other, 0.0, passing) @ edge, np.where(other, passing, 0.0) @ edge
    indirect = along + turned
    assert total.rule is not None
    off = np.hypot(TOLERANCE.along * along, TOLERANCE.against * turned)
    left = total.rule.judge(total.effect - indirect, np.hypot(total.error, off)).probability
    most = np.where(total.seen, np.maximum(total.probability, left), 0.0)
    assert (got.explained <= most + 1e-3).all()
    assert (got.explained > total.probability + 0.1).sum() <= (np.abs(indirect) > total.error).sum()


# What passes where there is nothing -------------------------------------------------------------------------


def test_a_null_draw_of_a_gene_that_no_other_perturbation_reaches_is_judged_as_an_effect_would_be() -> None:
    """With one perturbation, W of a draw is W of a screen that shows it."""
    n, fall = 7, -1.2
    effect = np.array([[fall, 0.02, 0.1, -0.2, 0.3, 0.6, 0.9]])
    error = np.full((1, n), 0.1)
    rule = EvidenceRule(np.array([0.9]), np.full(11, 1 / 11), LEAST)
    belief = rule.judge(effect, error)
    total = TotalEffects(
        np.array([0]), effect, error, belief.probability, belief.effect, np.array([fall]), rule
    )
    got = direct_edges(total, n, LEAST, TOLERANCE, 1e-300)
    again = null_log_odds(total, got, others_say(total, got), (effect, error), np.random.default_rng(0))
    np.testing.assert_allclose(again[0, 1:], got.log_odds[0, 1:], atol=1e-6)
    assert expit(again[0, 0]) < 1e-9


def test_null_draws_pass_as_often_as_in_screens_that_are_fitted_with_them() -> None:
    """Against whole fits, in which the effects of all pairs without one are drawn anew."""
    n, noise = 14, 0.08
    rng = np.random.default_rng(0)
    network = np.diag(np.resize([0.9, -0.8, 0.9, 0.0], n - 1), k=1)
    total = judged(network, 0, noise)
    none = total.seen & (np.abs(signed_influence(network, n)) < 1e-9)
    edges = fit(total, n)
    others, by_formula, by_fits = others_say(total, edges), [], []
    for _ in range(60):
        drawn = noise * rng.standard_normal(total.effect.shape)
        by_formula.append(null_log_odds(total, edges, others, (drawn, total.error), rng)[none])
        effect = np.where(none, drawn, total.effect)
        assert total.rule is not None
        belief = total.rule.judge(effect, total.error)
        screen = replace(total, effect=effect, probability=belief.probability, believed=belief.effect)
        by_fits.append(fit(screen, n).log_odds[none])
    for odds in (-4.5, -4.0, -3.5):
        formula, fits = np.mean(np.array(by_formula) > odds), np.mean(np.array(by_fits) > odds)
        assert fits / 1.5 < formula < 1.5 * fits
        assert fits * none.sum() * 60 > 20  # enough to tell


# Genes that were never perturbed ----------------------------------------------------------------------------


def test_one_perturbation_cannot_prove_an_edge_between_two_of_its_targets() -> None:
    """a -> b -> c with only a perturbed: that b passes it on is one story, and the edge a -> c the cheaper
    one.
    """
    w = fit(observed(edges_of(3, ab=0.8, bc=0.7), [0]), 3).explained
    assert w[0, 1] > 0.9
    assert w[0, 2] > 0.5
    assert w[1:].max() < 0.5


def shared_mediator(z: float | None = None) -> TotalEffects:
    """Six genes act on m (6), and m on t (7): the effects on t are in proportion to those on m, and each lies
    z of its errors from nothing.
    """
    n = 20
    network = np.zeros((n, n))
    network[:6, 6], network[6, 7] = [1.6, -1.4, 1.3, 1.8, -1.6, 1.1], 1.2 if z is None else 0.5
    total = observed(network, range(6))
    if z is None:
        return total
    error = total.error.copy()
    error[:, 7] = np.abs(total.effect[:, 7]) / z
    rule = EvidenceRule(np.full(6, 0.95), np.full(11, 1 / 11), LEAST)
    belief = rule.judge(total.effect, error)
    return replace(total, error=error, probability=belief.probability, believed=belief.effect, rule=rule)


@pytest.mark.parametrize("z", [2.0, 2.5, 3.0, 3.5, 4.0])
def test_doubtful_effects_in_proportion_stay_as_doubtful_as_they_are(z: float) -> None:
    """However many there are, a gene that was never perturbed is no cheaper story."""
    total = shared_mediator(z)
    got = fit(total, 20)
    assert 0.05 < total.probability[:6, 7].mean() < 0.9
    np.testing.assert_allclose(got.explained[:6, 7], total.probability[:6, 7], atol=0.02)
    assert got.explained[6, 7] < 0.01
    assert (got.explained[:6, 6] > 0.9).all()


def test_certain_effects_in_proportion_stay_direct() -> None:
    """Two genes that were never perturbed and answer in proportion: nothing says which of them comes
    first.
    """
    w = fit(shared_mediator(), 20).explained
    assert (w[:6, 6:8] > 0.9).all()
    assert max(w[6, 7], w[7, 6]) < 0.5


@pytest.mark.parametrize("seed", range(3))
def test_unrelated_effects_earn_no_mediator(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, p = 20, 6
    network = np.zeros((n, n))
    network[:p, p:] = rng.normal(0, 0.8, (p, n - p)) * (rng.random((p, n - p)) < 0.4)
    w = fit(observed(network, range(p), seed=seed), n).explained
    assert (w[p:] < 0.5).all()


# Laws -------------------------------------------------------------------------------------------------------


def random_strengths(rng: int | np.random.Generator, n: int) -> np.ndarray:
    rng = np.random.default_rng(rng)
    return rng.normal(0, 0.7, (n, n)) * (rng.random((n, n)) < 0.25)


def random_tree(seed: int, n: int) -> np.ndarray:
    """B of edges far from nothing, at most one into each gene, so that no paths can cancel."""
    rng = np.random.default_rng(seed)
    network = np.zeros((n, n))
    for target in range(1, n):
        if rng.random() < 0.8:
            network[rng.integers(0, target), target] = rng.choice([-1, 1]) * rng.uniform(0.7, 1.1)
    return network


def random_screen(seed: int, n: int = 12, p: int = 8) -> TotalEffects:
    """Knock-downs and, among them, two activations."""
    rng = np.random.default_rng(seed)
    network = np.triu(random_strengths(rng, n), k=1)
    own = rng.uniform(-2.5, -0.7, p)
    own[:2] *= -0.5
    total = observed(network, np.sort(rng.choice(n, p, replace=False)), 0.05, seed, own=rng.permutation(own))
    error = total.error.copy()
    error[:, rng.integers(0, n)] = np.inf  # a gene that was not measured
    probability = np.where(
        np.isfinite(error), np.clip(total.probability - rng.uniform(0, 0.5, error.shape), 0.0, 1.0), 0.0
    )
    return TotalEffects(
        total.sources,
        np.where(np.isfinite(error), total.effect, 0.0),
        error,
        probability,
        total.effect,
        total.own,
    )


@pytest.mark.parametrize("seed", range(6))
def test_w_never_exceeds_the_probability_of_an_effect(seed: int) -> None:
    total = random_screen(seed)
    w = fit(total, 12).explained
    assert (w[total.sources] <= np.maximum(total.probability, 1e-12) + 1e-12).all()
    assert (np.diag(w) < 1e-9).all()


@pytest.mark.parametrize("seed", range(4))
def test_what_is_seen_of_the_perturbed_gene_itself_plays_no_part(seed: int) -> None:
    """Its own change is what it is taken to be: after a knock-out its mRNA may even rise."""
    total = random_screen(seed)
    own_place = np.arange(len(total.sources)), total.sources
    effect, believed, probability = total.effect.copy(), total.believed.copy(), total.probability.copy()
    effect[own_place] = believed[own_place] = -3 * total.own
    probability[own_place] = 1.0
    first = fit(total, 12)
    second = fit(replace(total, effect=effect, believed=believed, probability=probability), 12)
    np.testing.assert_array_equal(second.log_odds, first.log_odds)
    np.testing.assert_array_equal(second.strength, first.strength)


@pytest.mark.parametrize("seed", range(4))
def test_an_unmeasured_column_has_no_edges(seed: int) -> None:
    total = random_screen(seed)
    got = fit(total, 12)
    column = int(np.flatnonzero(np.isinf(total.error).all(axis=0))[0])
    assert (got.explained[:, column] < 1e-9).all()
    assert np.isnan(got.deviation[:, column]).all()
    assert (got.strength[:, column] == 0).all()


@pytest.mark.parametrize("seed", range(6))
def test_every_target_has_a_regression_of_its_own(seed: int) -> None:
    """Effects on targets turned that pass nothing on, with all that passes left as it was: the edges into
    them turn and nothing else.
    """
    total = random_screen(seed)
    sign = np.where(
        np.isin(np.arange(12), total.sources), 1.0, np.random.default_rng(seed).choice([-1.0, 1.0], 12)
    )
    first, second = fit(total, 12), fit(replace(total, effect=total.effect * sign), 12)
    np.testing.assert_allclose(second.log_odds, first.log_odds, atol=1e-9)
    np.testing.assert_allclose(second.strength, first.strength * sign, atol=1e-9)
    np.testing.assert_allclose(second.deviation, first.deviation, rtol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_turning_a_gene_that_passes_nothing_on_turns_the_edges_into_it(seed: int) -> None:
    total = random_screen(seed)
    sink = np.setdiff1d(np.arange(12), total.sources)[0]
    sign = np.ones(12)
    sign[sink] = -1.0
    turned = replace(total, effect=total.effect * sign, believed=total.believed * sign)
    first, second = fit(total, 12, 1e-300), fit(turned, 12, 1e-300)
    others = np.arange(12) != sink
    np.testing.assert_allclose(second.log_odds[others], first.log_odds[others], atol=1e-9)
    np.testing.assert_allclose(second.strength[others], (first.strength * sign)[others], atol=1e-9)
    assert (second.explained[sink] < 1e-9).all()


def faint(total: TotalEffects, by: float = 1e-7) -> TotalEffects:
    """The same where all changes are small, so that falls and rises are felt alike."""
    return replace(
        total,
        effect=by * total.effect,
        error=by * total.error,
        believed=by * total.believed,
        own=by * total.own,
    )


def faint_fit(total: TotalEffects, by: float = 1e-7) -> DirectEdges:
    return direct_edges(faint(total, by), 12, by * LEAST, TOLERANCE, UNPERTURBED)


@pytest.mark.parametrize("seed", range(6))
def test_how_small_the_changes_are_does_not_matter(seed: int) -> None:
    """Effects, errors and own changes a hundredth as large: where they are small this is a change of unit."""
    total = random_screen(seed)
    first, second = faint_fit(total), faint_fit(total, 1e-9)
    np.testing.assert_allclose(second.log_odds, first.log_odds, atol=1e-4)
    np.testing.assert_allclose(second.strength, first.strength, atol=1e-5)
    np.testing.assert_allclose(first.unit, 1.0, atol=1e-6)


@pytest.mark.parametrize("seed", range(6))
def test_in_small_changes_the_signs_of_the_perturbations_do_not_matter(seed: int) -> None:
    """Activation instead of knock-down turns all effects round and no edge. Large falls are felt less than
    large rises, so this holds for small ones alone.
    """
    total = random_screen(seed)
    turned = replace(total, effect=-total.effect, believed=-total.believed, own=-total.own)
    first, second = faint_fit(total), faint_fit(turned)
    np.testing.assert_allclose(second.log_odds, first.log_odds, atol=1e-4)
    np.testing.assert_allclose(second.strength, first.strength, atol=1e-5)
    assert np.abs(fit(turned, 12).strength - fit(total, 12).strength).max() > 0.01


@pytest.mark.parametrize("seed", range(6))
def test_in_small_changes_turning_a_gene_round_turns_the_signs_of_its_edges(seed: int) -> None:
    """If gene g is measured with the opposite sign, edges into and out of g change sign and nothing else."""
    total = random_screen(seed)
    sign = np.ones(12)
    sign[total.sources[2]] = -1.0
    turned = replace(
        total,
        effect=total.effect * sign,
        believed=total.believed * sign,
        own=total.own * sign[total.sources],
    )
    first, second = faint_fit(total), faint_fit(turned)
    np.testing.assert_allclose(second.log_odds, first.log_odds, atol=1e-4)
    np.testing.assert_allclose(second.strength, first.strength * sign[:, None] * sign, atol=1e-5)


@pytest.mark.parametrize("tolerance", [TOLERANCE, Tolerance(0.3, 0.5)])
@pytest.mark.parametrize("seed", [*range(20), 182, 247])
def test_the_order_of_genes_and_perturbations_does_not_matter(seed: int, tolerance: Tolerance) -> None:
    total, n = random_screen(seed), 12
    rng = np.random.default_rng(seed)
    order, rows = rng.permutation(n), rng.permutation(len(total.sources))
    place = np.argsort(order)  # old position -> new position

    def moved(values: np.ndarray) -> np.ndarray:
        return values[rows][:, order]

    shuffled = TotalEffects(
        place[total.sources][rows],
        moved(total.effect),
        moved(total.error),
        moved(total.probability),
        moved(total.believed),
        total.own[rows],
    )
    first, second = (fit(each, n, tolerance=tolerance) for each in (total, shuffled))
    for name in ("probabilities", "strength", "deviation"):
        np.testing.assert_allclose(
            getattr(second, name), getattr(first, name)[order][:, order], atol=1e-9, err_msg=name
        )
    np.testing.assert_allclose(second.unit, first.unit[order])


@pytest.mark.parametrize("seed", [5, 8, 11, 16, 19, 22, 182, 247])
def test_an_explanation_that_takes_its_own_weight_away_settles(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wide tolerances: an edge that explains much makes what it explains count for less, which may cost it
    the edge. Where it ends does not hang on the number of sweeps.
    """
    total, ends = random_screen(seed), []
    for sweeps in (199, 200):
        monkeypatch.setattr("gpovae_core.methods.ascent._SWEEPS", sweeps)
        ends.append(fit(total, 12, tolerance=Tolerance(0.3, 0.5)).explained)
    np.testing.assert_allclose(*ends, atol=0.02)


# Nothing to go by -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 4])
def test_without_perturbations_there_are_no_edges(n: int) -> None:
    empty = np.zeros((0, n))
    got = fit(TotalEffects(np.zeros(0, dtype=int), empty, empty, empty, empty, np.zeros(0)), n)
    assert got.log_odds.shape == (n, n)
    assert (got.explained < 1e-9).all()
    assert np.isnan(got.deviation).all()


def test_a_network_of_one_gene() -> None:
    one = np.ones((1, 1))
    got = fit(TotalEffects(np.array([0]), -one, 0.1 * one, one, -one, np.array([-1.0])), 1)
    assert got.explained[0, 0] < 1e-9
    assert np.isnan(got.deviation[0, 0])


def test_effects_that_nobody_believes_are_no_edges() -> None:
    total = observed(np.zeros((10, 10)), range(10), 0.1, seed=0)
    got = fit(total, 10)
    assert (got.explained < 0.05).all()
    assert np.isfinite(got.strength).all()


def test_nothing_measured_at_all() -> None:
    n = 5
    total = TotalEffects(
        np.arange(3),
        np.zeros((3, n)),
        np.full((3, n), np.inf),
        np.zeros((3, n)),
        np.zeros((3, n)),
        np.full(3, OWN),
    )
    got = fit(total, n)
    assert (got.explained < 1e-9).all()
    assert np.isfinite(got.log_odds).all()


# Both directions of a gene ----------------------------------------------------------------------------------


def rows_of(total: TotalEffects, rows: list[int]) -> TotalEffects:
    names = ("sources", "effect", "error", "probability", "believed", "own")
    parts = {name: getattr(total, name)[rows] for name in names}
    assert total.rule is not None
    return replace(total, **parts, rule=replace(total.rule, null_share=total.rule.null_share[rows]))


def knocked_down_and_activated(effect: tuple[float, float]) -> TotalEffects:
    """Gene 0 activated (row 0) and knocked down (row 1), which changes gene 1 by `effect`, hardly seen."""
    effects, error = np.zeros((2, 5)), np.full((2, 5), 0.1)
    effects[:, 1] = effect
    own = np.log([3.0, 0.2])
    rule = EvidenceRule(np.full(2, 0.9), np.eye(len(SLAB))[2], LEAST)
    belief = rule.judge(effects, error)
    return TotalEffects(np.zeros(2, int), effects, error, belief.probability, belief.effect, own, rule)


def test_two_weak_signs_of_an_edge_are_one_better_sign() -> None:
    total = knocked_down_and_activated((0.3, -0.3))
    alone = [fit(rows_of(total, [row]), 5).explained[0, 1] for row in (0, 1)]
    both = fit(total, 5)
    assert both.explained[0, 1] > max(alone) + 0.2
    assert both.strength[0, 1] > 0
    assert both.deviation[0, 1] < min(fit(rows_of(total, [row]), 5).deviation[0, 1] for row in (0, 1))
    swapped = fit(rows_of(knocked_down_and_activated((-0.3, 0.3)), [0, 1]), 5)
    assert swapped.strength[0, 1] < 0


def test_an_effect_of_one_sign_in_either_direction_is_no_linear_edge() -> None:
    along, against = (
        fit(knocked_down_and_activated(effect), 5).explained[0, 1] for effect in ((0.3, -0.3), (0.3, 0.3))
    )
    assert against < along / 2


def test_of_a_gene_in_both_directions_the_knock_down_gives_the_unit() -> None:
    both = fit(knocked_down_and_activated((0.3, -0.3)), 5)
    assert both.unit[0] == pytest.approx(-np.expm1(OWN) / -OWN)
