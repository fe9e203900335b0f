"""Direct edges: closed forms where there is one, small networks whose truth is known, and laws."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.special import expit, logit

from gpovae_core.effects.shrinkage import EvidenceRule, fit_evidence
from gpovae_core.methods.direct import (
    ROW_PRIOR,
    DirectEdges,
    Tolerance,
    TotalEffects,
    direct_edges,
    null_log_odds,
)
from gpovae_core.model.hops import hop_series, influence_over_hops

LEAST, TOLERANCE, UNPERTURBED = 0.05, Tolerance(0.1, 0.1), 1e-6
OWN = np.log(0.2)


def signed_influence(b: np.ndarray, hops: int) -> np.ndarray:
    return influence_over_hops(b, hop_series("signed", len(b), hops))


def fit(total: TotalEffects, n: int, unperturbed: float = UNPERTURBED) -> DirectEdges:
    return direct_edges(total, n, LEAST, TOLERANCE, unperturbed)


def observed(
    network: np.ndarray,
    sources: list[int] | np.ndarray,
    noise: float = 0.02,
    seed: int | None = None,
    own: float | np.ndarray = OWN,
) -> TotalEffects:
    """What perturbing `sources` of a linear network B (n, n) shows: own * (B + B^2 + ...), drawn with noise
    where there is a seed.
    """
    n, sources = len(network), np.asarray(sources, dtype=int)
    fall = np.full(len(sources), own) if np.isscalar(own) else np.asarray(own)
    whole = (np.linalg.inv(np.eye(n) - network) - np.eye(n))[sources] * fall[:, None]
    there = np.abs(whole) > 1e-9
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


# Influence --------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=30)
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
    """Only gene 0 is perturbed and nothing passes through others: every target is a problem of one number."""
    n, fall = 8, -1.2
    effect = np.array([[fall, 0.0, 0.1, -0.2, 0.3, 0.6, -0.9, 1.5]])
    error = np.array([[0.1, 0.05, 0.05, 0.1, 0.2, 0.1, 0.05, 0.3]])
    probability = np.array(
        [[1.0, 0.04, 0.04, 0.04, 0.04, 1 - 1e-9, 1 - 1e-9, 1 - 1e-9]]
    )  # below FEWEST_ODDS: no predictors
    # Targets that are believed could carry effects on, but then only through rows that were never perturbed:
    # none is allowed here.
    got = direct_edges(
        TotalEffects(np.array([0]), effect, error, probability, effect, np.array([fall])),
        n,
        LEAST,
        TOLERANCE,
        1e-300,
    )

    response, s = effect[0, 1:] / fall, error[0, 1:] / abs(fall)
    null = LEAST / abs(fall)
    slab = np.sqrt(np.mean(response[probability[0, 1:] > 0.8] ** 2))
    prior = np.clip(probability[0, 1:].mean(), *ROW_PRIOR)
    with_edge = stats.norm.logpdf(response, 0, np.sqrt(s**2 + null**2 + slab**2))
    without = stats.norm.logpdf(response, 0, np.sqrt(s**2 + null**2))
    posterior = 1 / (1 + (1 - prior) / prior * np.exp(without - with_edge))
    np.testing.assert_allclose(got.probabilities[0, 1:], np.minimum(posterior, probability[0, 1:]), atol=1e-6)
    np.testing.assert_allclose(got.strength[0, 1:], response * slab**2 / (slab**2 + s**2), rtol=1e-6)
    np.testing.assert_allclose(got.deviation[0, 1:], 1 / np.sqrt(1 / s**2 + 1 / slab**2), rtol=1e-6)


def test_a_chain_keeps_its_links_and_explains_the_rest_away() -> None:
    got = fit(observed(edges_of(3, ab=0.8, bc=0.7), [0, 1, 2]), 3)
    w = got.probabilities
    assert w[0, 1] > 0.95
    assert w[1, 2] > 0.95
    assert w[0, 2] < 0.1
    assert w[[1, 2, 2], [0, 0, 1]].max() < 0.05
    assert got.strength[0, 1] == pytest.approx(0.8, abs=0.02)
    assert got.strength[1, 2] == pytest.approx(0.7, abs=0.02)
    assert signed_influence(w * got.strength, 5)[0, 2] == pytest.approx(0.56, abs=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_a_long_noisy_chain(seed: int) -> None:
    n = 6
    network = np.diag(np.array([0.9, -0.8, 0.7, 0.9, -0.8]), k=1)
    w = fit(observed(network, range(n), seed=seed), n).probabilities
    assert (w[network != 0] > 0.9).all()
    assert (w[network == 0] > 0.5).sum() == 0


def test_a_feed_forward_loop_keeps_its_direct_edge() -> None:
    got = fit(observed(edges_of(3, ab=0.8, bc=0.7, ac=0.9), [0, 1, 2]), 3)
    w = got.probabilities
    assert min(w[0, 1], w[1, 2], w[0, 2]) > 0.9
    np.testing.assert_allclose(got.strength[[0, 1, 0], [1, 2, 2]], [0.8, 0.7, 0.9], atol=0.05)


@pytest.mark.parametrize("first", [-0.8, 0.8])
@pytest.mark.parametrize("second", [-0.6, 0.6])
def test_signs_multiply_along_a_path(first: float, second: float) -> None:
    got = fit(observed(edges_of(3, ab=first, bc=second), [0, 1, 2]), 3)
    assert np.sign(got.strength[0, 1]) == np.sign(first)
    assert np.sign(got.strength[1, 2]) == np.sign(second)
    assert np.sign(signed_influence(got.probabilities * got.strength, 3)[0, 2]) == np.sign(first * second)


def test_strength_is_per_unit_of_the_sources_own_change() -> None:
    network = edges_of(4, ab=0.8, bc=0.7, cd=0.9)
    weak = fit(observed(network, range(4), own=np.log(0.5)), 4)
    strong = fit(observed(network, range(4), own=np.log(0.1)), 4)
    found = network != 0
    np.testing.assert_allclose(weak.strength[found], network[found], atol=0.03)
    np.testing.assert_allclose(strong.strength[found], network[found], atol=0.03)


# Effects that cancel ----------------------------------------------------------------------------------------


def judged(network: np.ndarray, seed: int, noise: float = 0.04) -> TotalEffects:
    """All genes of a linear network perturbed, effects with noise, judged by a rule that is fitted to
    them.
    """
    seen = observed(network, range(len(network)), noise, seed)
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
    network[:3, :3] = edges_of(3, ab=0.8, bc=0.7, ac=-0.56)
    total = judged(network, seed)
    assert total.probability[0, 2] < 0.2
    got = fit(total, n)
    assert got.probabilities[0, 2] > 0.9
    assert got.strength[0, 2] == pytest.approx(-0.56, abs=0.1)
    assert (got.probabilities[network == 0] > 0.5).sum() == 0
    assert fit(replace(total, rule=None), n).probabilities[0, 2] < total.probability[0, 2] + 1e-9


@pytest.mark.parametrize("seed", range(6))
def test_w_never_exceeds_the_probability_of_what_the_paths_leave(seed: int) -> None:
    total = judged(np.triu(random_strengths(seed, 12), k=1), seed, 0.1)
    got = fit(total, 12)
    edge = got.probabilities * got.strength
    indirect = (
        np.where(total.probability > 0.05, total.probability * total.believed, 0.0) * total.seen
    ) @ edge
    assert total.rule is not None
    left = total.rule.judge(
        total.effect - indirect, np.hypot(total.error, TOLERANCE.along * indirect)
    ).probability
    most = np.where(total.seen, np.maximum(total.probability, left), 0.0)
    assert (got.probabilities <= most + 1e-3).all()
    assert (got.probabilities > total.probability + 0.1).sum() <= (np.abs(indirect) > total.error).sum()


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
    again = null_log_odds(total, got, effect, error, np.random.default_rng(0))
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
    by_formula, by_fits = [], []
    for _ in range(60):
        drawn = noise * rng.standard_normal(total.effect.shape)
        by_formula.append(null_log_odds(total, edges, drawn, total.error, rng)[none])
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
    w = fit(observed(edges_of(3, ab=0.8, bc=0.7), [0]), 3).probabilities
    assert w[0, 1] > 0.9
    assert w[0, 2] > 0.5
    assert w[1:].max() < 0.5


def shared_mediator(probability: float) -> TotalEffects:
    """Six genes act on m (6), and m on t (7): the effects on t are in proportion to those on m, each believed
    only so far.
    """
    network = np.zeros((8, 8))
    network[:6, 6], network[6, 7] = [0.9, -0.8, 0.7, 1.0, -0.9, 0.6], 0.8
    total = observed(network, range(6))
    believed = total.probability.copy()
    believed[:, 7] = probability
    return TotalEffects(total.sources, total.effect, total.error, believed, total.believed, total.own)


@pytest.mark.parametrize("probability", [0.3, 0.5, 0.7])
def test_doubtful_effects_in_proportion_to_a_shared_mediator_demand_its_edge(probability: float) -> None:
    """One edge m -> t instead of six edges to t."""
    got = fit(shared_mediator(probability), 8)
    assert got.probabilities[6, 7] > 0.5
    assert got.strength[6, 7] == pytest.approx(0.8, abs=0.1)
    assert (got.probabilities[:6, 7] < 0.1).all()
    assert (got.probabilities[:6, 6] > 0.9).all()


def test_certain_effects_in_proportion_stay_direct() -> None:
    """Two genes that were never perturbed and answer in proportion: nothing says which of them comes
    first.
    """
    w = fit(shared_mediator(1 - 1e-6), 8).probabilities
    assert (w[:6, 6:] > 0.9).all()
    assert max(w[6, 7], w[7, 6]) < 0.5


@pytest.mark.parametrize("seed", range(3))
def test_unrelated_effects_earn_no_mediator(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n, p = 20, 6
    network = np.zeros((n, n))
    network[:p, p:] = rng.normal(0, 0.8, (p, n - p)) * (rng.random((p, n - p)) < 0.4)
    w = fit(observed(network, range(p), seed=seed), n).probabilities
    assert (w[p:] < 0.5).all()


# Laws -------------------------------------------------------------------------------------------------------


def random_strengths(rng: int | np.random.Generator, n: int) -> np.ndarray:
    rng = np.random.default_rng(rng)
    return rng.normal(0, 0.7, (n, n)) * (rng.random((n, n)) < 0.25)


def random_screen(seed: int, n: int = 12, p: int = 8) -> TotalEffects:
    rng = np.random.default_rng(seed)
    network = np.triu(random_strengths(rng, n), k=1)
    total = observed(
        network, np.sort(rng.choice(n, p, replace=False)), 0.05, seed, own=rng.uniform(-2.5, -0.7, p)
    )
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
    w = fit(total, 12).probabilities
    assert (w[total.sources] <= np.maximum(total.probability, 1e-12) + 1e-12).all()
    assert (np.diag(w) < 1e-9).all()


@pytest.mark.parametrize("seed", range(4))
def test_an_unmeasured_column_has_no_edges(seed: int) -> None:
    total = random_screen(seed)
    got = fit(total, 12)
    column = int(np.flatnonzero(np.isinf(total.error).all(axis=0))[0])
    assert (got.probabilities[:, column] < 1e-9).all()
    assert np.isnan(got.deviation[:, column]).all()
    assert (got.strength[:, column] == 0).all()


@pytest.mark.parametrize("seed", range(4))
def test_signs_of_the_perturbations_do_not_matter(seed: int) -> None:
    """Activation instead of knock-down turns all effects round and no edge."""
    total = random_screen(seed)
    turned = TotalEffects(
        total.sources, -total.effect, total.error, total.probability, -total.believed, -total.own
    )
    np.testing.assert_allclose(fit(turned, 12).log_odds, fit(total, 12).log_odds, atol=1e-9)
    np.testing.assert_allclose(fit(turned, 12).strength, fit(total, 12).strength, atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_turning_a_gene_round_turns_the_signs_of_its_edges(seed: int) -> None:
    """If gene g is measured with the opposite sign, edges into and out of g change sign and nothing else."""
    total = random_screen(seed)
    sign = np.ones(12)
    sign[total.sources[2]] = -1.0
    by_row = sign[total.sources]
    turned = TotalEffects(
        total.sources,
        total.effect * sign,
        total.error,
        total.probability,
        total.believed * sign,
        total.own * by_row,
    )
    first, second = fit(total, 12), fit(turned, 12)
    np.testing.assert_allclose(second.log_odds, first.log_odds, atol=1e-9)
    np.testing.assert_allclose(second.strength, first.strength * sign[:, None] * sign, atol=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_genes_and_perturbations_does_not_matter(seed: int) -> None:
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
    first, second = fit(total, n), fit(shuffled, n)
    np.testing.assert_allclose(second.probabilities, first.probabilities[order][:, order], atol=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_where_it_ends_is_a_fixed_point(seed: int) -> None:
    """Every W and S is what its own regression gives with all others held where they ended (one target, one
    gene at a time).
    """
    total, n = random_screen(seed), 12
    got = fit(total, n)
    p, rows = len(total.sources), np.arange(len(total.sources))
    seen = np.isfinite(total.error)
    seen[rows, total.sources] = False
    believed = np.where(seen & (total.probability > 0.05), total.probability * total.believed, 0.0)
    design = believed / total.own[:, None]
    design[rows, total.sources] = 1.0
    response, noise = total.effect / total.own[:, None], total.error / np.abs(total.own)[:, None]
    slab2 = np.mean(response[seen & (total.probability > 0.8)] ** 2)
    share = np.array([np.clip(total.probability[i, seen[i]].mean(), *ROW_PRIOR) for i in range(p)])
    edge = got.probabilities * got.strength
    for j in range(n):
        use = np.flatnonzero(seen[:, j])
        if not len(use):
            continue
        indirect = design[use] @ edge[:, j] - edge[total.sources[use], j]
        precision = 1 / (noise[use, j] ** 2 + (TOLERANCE.along * indirect) ** 2)
        for m in np.delete(np.arange(n), j):
            x = design[use, m]
            if not (x**2 * precision).sum() > 0:
                assert got.probabilities[m, j] < 1e-9
                continue
            others = response[use, j] - design[use] @ edge[:, j] + x * edge[m, j]
            variance = 1 / (x**2 * precision).sum()
            estimate = variance * (x * precision * others).sum()
            row = np.flatnonzero(total.sources == m)
            null = LEAST / (abs(total.own[row[0]]) if len(row) else np.median(np.abs(total.own)))
            odds = logit(share[row[0]] if len(row) else UNPERTURBED)
            odds += stats.norm.logpdf(estimate, 0, np.sqrt(variance + null**2 + slab2))
            odds -= stats.norm.logpdf(estimate, 0, np.sqrt(variance + null**2))
            w = min(expit(odds), total.probability[row[0], j]) if len(row) else expit(odds)
            assert got.probabilities[m, j] == pytest.approx(w, abs=0.01)
            assert got.strength[m, j] == pytest.approx(estimate * slab2 / (slab2 + variance), abs=0.01)
            assert got.deviation[m, j] == pytest.approx(np.sqrt(1 / (1 / variance + 1 / slab2)), rel=0.02)


# Nothing to go by -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 4])
def test_without_perturbations_there_are_no_edges(n: int) -> None:
    empty = np.zeros((0, n))
    got = fit(TotalEffects(np.zeros(0, dtype=int), empty, empty, empty, empty, np.zeros(0)), n)
    assert got.log_odds.shape == (n, n)
    assert (got.probabilities < 1e-9).all()
    assert np.isnan(got.deviation).all()


def test_a_network_of_one_gene() -> None:
    one = np.ones((1, 1))
    got = fit(TotalEffects(np.array([0]), -one, 0.1 * one, one, -one, np.array([-1.0])), 1)
    assert got.probabilities[0, 0] < 1e-9
    assert np.isnan(got.deviation[0, 0])


def test_effects_that_nobody_believes_are_no_edges() -> None:
    total = observed(np.zeros((10, 10)), range(10), 0.1, seed=0)
    got = fit(total, 10)
    assert (got.probabilities < 0.05).all()
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
    assert (got.probabilities < 1e-9).all()
    assert np.isfinite(got.log_odds).all()
