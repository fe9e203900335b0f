"""The probability of an effect against an explicit mixture and numerical integration, and what the fit must
and must not believe.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy import integrate, stats
from scipy.special import logsumexp

from gpovae_core.data import cores
from gpovae_core.effects.shrinkage import NULL_SHARES, SLAB, EvidenceRule, fit_evidence

LEAST = 0.05


def rule_of(p: int = 1, null_share: float = 0.9, seed: int = 0) -> EvidenceRule:
    return EvidenceRule(
        np.full(p, null_share), np.random.default_rng(seed).dirichlet(np.ones(len(SLAB))), LEAST
    )


def screen(
    p: int, n: int, effects: int, size: float, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Observed effects (p, n), their errors, the pairs that count, and where a true effect was planted."""
    rng = np.random.default_rng(seed)
    there = np.zeros((p, n), dtype=bool)
    there[rng.integers(0, p, effects), rng.integers(0, n, effects)] = True
    error = rng.uniform(0.03, 0.15, (p, n))
    truth = np.where(there, rng.choice([-1.0, 1.0], (p, n)) * size, 0.0)
    counted = np.ones((p, n), dtype=bool)
    counted[np.arange(min(p, n)), np.arange(min(p, n))] = False
    return truth + error * rng.standard_normal((p, n)), error, counted, there & counted


# The posterior ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [-1.3, -0.2, 0.0, 0.07, 0.5, 2.4])
@pytest.mark.parametrize("s", [0.02, 0.1, 0.8])
def test_judge_is_the_posterior_by_integration_over_true_effects(x: float, s: float) -> None:
    rule = rule_of()
    weights = [0.9, *(0.1 * rule.slab)]
    spread = [LEAST, *SLAB]
    theta = np.linspace(
        -12, 12, 24_001
    )  # far finer than any width here, so that the trapezoid is exact to rounding

    def integral(component: int, power: int) -> float:
        density = theta**power * stats.norm.pdf(theta, 0, spread[component]) * stats.norm.pdf(x, theta, s)
        return float(integrate.trapezoid(density, theta))

    mass = np.array([w * integral(k, 0) for k, w in enumerate(weights)])
    first = np.array([w * integral(k, 1) for k, w in enumerate(weights)])
    got = rule.judge(np.array([[x]]), np.array([[s]]))
    assert got.probability[0, 0] == pytest.approx(1 - mass[0] / mass.sum(), rel=1e-5, abs=1e-9)
    assert got.effect[0, 0] == pytest.approx(first[1:].sum() / mass[1:].sum(), rel=1e-5, abs=1e-9)


def test_every_row_is_judged_by_its_own_null_share() -> None:
    x, s = np.full((3, 2), 0.3), np.full((3, 2), 0.1)
    rule = EvidenceRule(np.array([0.8, 0.9, 0.999]), rule_of().slab, LEAST)
    got = rule.judge(x, s).probability
    marginal = logsumexp(
        [
            np.log(w) + stats.norm.logpdf(0.3, 0, np.hypot(0.1, sd))
            for w, sd in zip(rule.slab, SLAB, strict=True)
        ]
    )
    odds = np.exp(marginal - stats.norm.logpdf(0.3, 0, np.hypot(0.1, LEAST)))
    for row, null in enumerate(rule.null_share):
        np.testing.assert_allclose(got[row], odds * (1 - null) / (null + odds * (1 - null)))


def test_an_infinite_error_says_nothing() -> None:
    got = rule_of(2).judge(np.array([[5.0, 0.0], [0.4, np.nan]]), np.array([[np.inf, 0.1], [0.1, np.inf]]))
    assert got.probability[0, 0] == got.effect[0, 0] == got.probability[1, 1] == got.effect[1, 1] == 0.0
    assert got.probability[1, 0] > 0.1


def test_sign_is_symmetric_and_the_estimate_shrinks() -> None:
    x = np.linspace(-2, 2, 41)[None]
    s = np.full_like(x, 0.2)
    got, mirrored = rule_of().judge(x, s), rule_of().judge(-x, s)
    np.testing.assert_allclose(got.probability, mirrored.probability)
    np.testing.assert_allclose(got.effect, -mirrored.effect)
    assert (np.abs(got.effect) <= np.abs(x) + 1e-12).all()
    assert (np.sign(got.effect) == np.sign(x))[np.abs(x) > 1e-9].all()


@pytest.mark.parametrize("s", [1e-4, 0.05, 0.5, 3.0])
def test_more_effect_is_more_belief(s: float) -> None:
    effect, error, counted, _ = screen(10, 80, 60, 1.0)
    rule = fit_evidence(effect, error, counted, LEAST)
    x = np.linspace(0, 6, 300)
    for fitted in (rule_of(), EvidenceRule(rule.null_share[:1], rule.slab, LEAST)):
        probability = fitted.judge(x[None], np.full((1, 300), s)).probability[0]
        assert (np.diff(probability) >= -1e-12).all()
        assert probability.min() >= 0
        assert probability.max() <= 1


def test_extreme_effects_are_judged_without_overflow() -> None:
    got = rule_of().judge(np.array([[1e3, -1e3, 0.0, 30.0]]), np.array([[1e-6, 0.1, 1e-9, 1e6]]))
    assert np.isfinite(got.probability).all()
    assert np.isfinite(got.effect).all()
    np.testing.assert_allclose(got.probability[0, :2], 1.0)
    assert got.probability[0, 3] < 0.5


# The fit ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_a_screen_without_effects_believes_almost_nothing(seed: int) -> None:
    effect, error, counted, _ = screen(20, 100, 0, 0.0, seed)
    rule = fit_evidence(effect, error, counted, LEAST)
    probability = rule.judge(effect, error).probability[counted]
    assert (rule.null_share > 0.99).all()
    assert (probability > 0.5).sum() <= 1
    assert probability.mean() < 0.005


@pytest.mark.parametrize("seed", range(3))
def test_planted_effects_are_found_and_others_are_not(seed: int) -> None:
    effect, error, counted, there = screen(20, 100, 100, 0.9, seed)
    rule = fit_evidence(effect, error, counted, LEAST)
    got = rule.judge(effect, error)
    assert (got.probability[there] > 0.9).mean() > 0.98
    assert (got.probability[counted & ~there] > 0.5).mean() < 0.003
    assert np.abs(got.effect[there] - effect[there]).mean() < 0.02
    expected = got.probability[counted].sum()
    assert 0.95 * there.sum() <= expected <= there.sum() + 0.02 * counted.sum()


def test_probabilities_are_calibrated_where_the_model_holds() -> None:
    rng = np.random.default_rng(4)
    p, n = 40, 500
    error = rng.uniform(0.05, 0.3, (p, n))
    there = rng.random((p, n)) < 0.1
    truth = np.where(there, rng.normal(0, 0.5, (p, n)), rng.normal(0, LEAST, (p, n)))
    effect = truth + error * rng.standard_normal((p, n))
    probability = (
        fit_evidence(effect, error, np.ones((p, n), dtype=bool), LEAST).judge(effect, error).probability
    )
    for low, high in ((0.05, 0.2), (0.2, 0.5), (0.5, 0.8), (0.8, 0.99)):
        within = (probability > low) & (probability <= high)
        assert within.sum() > 50
        assert there[within].mean() == pytest.approx(probability[within].mean(), abs=0.08)


@pytest.mark.parametrize("weight", [3.0, 10.0, 300.0])
def test_the_mixture_is_a_maximum_of_the_penalised_likelihood(
    weight: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One more step of expectation maximisation, written with logarithms, does not move it."""
    monkeypatch.setattr("gpovae_core.effects.mixture.PRIOR_PAIRS", (weight,))
    effect, error, counted, _ = screen(8, 120, 150, 0.8)
    rule = fit_evidence(effect, error, counted, LEAST)
    weights = np.concatenate([rule.null_share[:, None], (1 - rule.null_share)[:, None] * rule.slab], axis=1)
    sd = np.sqrt(error[..., None] ** 2 + np.array([LEAST, *SLAB]) ** 2)
    with np.errstate(divide="ignore"):
        joint = np.log(weights)[:, None] + stats.norm.logpdf(effect[..., None], 0, sd)
    responsibility = np.exp(joint - logsumexp(joint, axis=-1, keepdims=True)) * counted[..., None]
    null, pairs = responsibility[..., 0].sum(axis=1), counted.sum(axis=1)
    expected = np.clip((null + weight * null.sum() / pairs.sum()) / (pairs + weight), *NULL_SHARES)
    slab = responsibility[..., 1:].sum(axis=(0, 1))
    np.testing.assert_allclose(rule.null_share, expected, atol=2e-5)
    np.testing.assert_allclose(rule.slab, slab / slab.sum(), atol=2e-5)
    assert rule.slab.sum() == pytest.approx(1.0)


def _plain_rounds(
    effect: np.ndarray, error: np.ndarray, counted: np.ndarray, rounds: int
) -> tuple[EvidenceRule, float]:
    """Expectation maximisation as it is written in textbooks, and the likelihood that it reached."""
    sd = np.sqrt(error[..., None] ** 2 + np.array([LEAST, *SLAB]) ** 2)
    density = stats.norm.pdf(effect[..., None], 0, sd) * counted[..., None]
    share, slab, pairs = np.full(len(effect), 0.9), np.full(len(SLAB), 1 / len(SLAB)), counted.sum(axis=1)
    total = 0.0
    for _ in range(rounds):
        weights = np.concatenate([share[:, None], (1 - share)[:, None] * slab], axis=1)
        joint = density * weights[:, None]
        whole = joint.sum(axis=-1)
        total = float(np.log(whole[counted]).sum())
        joint /= np.where(counted, whole, 1.0)[..., None]
        null, present = joint[..., 0].sum(axis=1), joint[..., 1:].sum(axis=(0, 1))
        share = np.clip((null + 10 * null.sum() / pairs.sum()) / (pairs + 10), *NULL_SHARES)
        slab = present / present.sum()
    return EvidenceRule(share, slab, LEAST), total


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("effects", "size"), [(0, 0.0), (60, 0.4), (400, 1.0)])
def test_plain_rounds_come_to_the_same(
    effects: int, size: float, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpovae_core.effects.mixture.PRIOR_PAIRS", (10.0,))
    effect, error, counted, _ = screen(12, 150, effects, size, seed)
    plain, reached = _plain_rounds(effect, error, counted, 4000)
    rule = fit_evidence(effect, error, counted, LEAST)
    sd = np.sqrt(error[..., None] ** 2 + np.array([LEAST, *SLAB]) ** 2)
    weights = np.concatenate([rule.null_share[:, None], (1 - rule.null_share)[:, None] * rule.slab], axis=1)
    whole = (stats.norm.pdf(effect[..., None], 0, sd) * weights[:, None]).sum(axis=-1)
    assert np.log(whole[counted]).sum() >= reached - 1e-6 * abs(reached)
    judged, known = (each.judge(effect, error).probability for each in (rule, plain))
    np.testing.assert_allclose(judged, known, atol=1e-4)


def test_any_number_of_cores_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    effect, error, counted, _ = screen(40, 3000, 900, 0.5)
    found = []
    for jobs in ("1", "3"):
        monkeypatch.setenv(cores.JOBS, jobs)
        rule = fit_evidence(effect, error, counted, LEAST)
        found.append((rule, rule.judge(effect, error)))
    for name in ("null_share", "slab"):
        np.testing.assert_array_equal(getattr(found[0][0], name), getattr(found[1][0], name))
    np.testing.assert_array_equal(found[0][1].probability, found[1][1].probability)


def test_the_share_done_never_falls_and_moves_within_a_round() -> None:
    effect, error, counted, _ = screen(40, 3000, 900, 0.5)
    told: list[float] = []
    fit_evidence(effect, error, counted, LEAST, lambda _, share: told.append(share))
    assert told == sorted(told)
    assert 0 < told[0] < told[1]
    assert max(told) <= 1


def rows_with(shares: np.ndarray, n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observed effects (p, n), their errors, and where they are; shares: (p,) of the pairs of every row."""
    rng = np.random.default_rng(seed)
    there = rng.random((len(shares), n)) < shares[:, None]
    error = np.full(there.shape, 0.1)
    truth = np.where(there, rng.normal(0, 0.8, there.shape), 0.0)
    return truth + error * rng.standard_normal(there.shape), error, there


@pytest.mark.parametrize("seed", range(3))
def test_rows_that_are_alike_have_one_null_share_and_hubs_keep_their_own(seed: int) -> None:
    everything = np.ones((40, 60), dtype=bool)
    effect, error, there = rows_with(np.full(40, 0.03), 60, seed)
    alike = fit_evidence(effect, error, everything, LEAST).null_share
    assert there.sum(axis=1).max() >= 4  # by chance, of 60 pairs
    assert np.ptp(alike) < 0.03
    hubs = np.r_[0.25, 0.2, np.full(38, 0.002)]
    differing = fit_evidence(*rows_with(hubs, 60, seed)[:2], everything, LEAST).null_share
    assert differing[:2].max() < 0.9
    assert differing[2:].mean() > 0.985


def test_of_alike_rows_effects_are_ranked_by_what_is_seen_and_not_by_what_their_row_happens_to_hold() -> None:
    """With a weight of ten pairs the row that holds more by chance was believed more."""
    found = {}
    for weights in ((10.0,), None):
        with pytest.MonkeyPatch.context() as patch:
            if weights:
                patch.setattr("gpovae_core.effects.mixture.PRIOR_PAIRS", weights)
            ranks = []
            for seed in range(5):
                effect, error, there = rows_with(np.full(40, 0.03), 60, seed)
                rule = fit_evidence(effect, error, np.ones(there.shape, dtype=bool), LEAST)
                ranks.append(stats.rankdata(rule.judge(effect, error).probability)[there.ravel()].mean())
            found[weights] = np.mean(ranks)
    assert found[None] > found[10.0,] + 1


def test_the_order_of_rows_and_columns_does_not_matter() -> None:
    effect, error, counted, _ = screen(10, 60, 40, 0.7)
    rng = np.random.default_rng(0)
    rows, columns = rng.permutation(10), rng.permutation(60)
    rule = fit_evidence(effect, error, counted, LEAST)
    moved = fit_evidence(*(values[rows][:, columns] for values in (effect, error, counted)), LEAST)
    np.testing.assert_allclose(moved.null_share, rule.null_share[rows], rtol=1e-9)
    np.testing.assert_allclose(moved.slab, rule.slab, atol=1e-9)


def test_pairs_that_do_not_count_teach_nothing() -> None:
    effect, error, counted, _ = screen(10, 60, 40, 0.7)
    rule = fit_evidence(effect, error, counted, LEAST)
    other = fit_evidence(np.where(counted, effect, 9.0), np.where(counted, error, np.inf), counted, LEAST)
    np.testing.assert_array_equal(other.null_share, rule.null_share)
    np.testing.assert_array_equal(other.slab, rule.slab)


@pytest.mark.parametrize("effects", [0, 50, 1500])
def test_what_was_measured_too_badly_is_never_taken_for_an_effect(effects: int) -> None:
    effect, error, counted, _ = screen(10, 100, effects, 1.0)
    rule = fit_evidence(effect, error, counted, LEAST)
    judged = rule.judge(np.random.default_rng(1).normal(0, 50.0, (10, 100)), np.full((10, 100), 50.0))
    assert judged.probability.max() < 0.5
    assert (rule.null_share >= NULL_SHARES[0]).all()
    assert (rule.null_share <= NULL_SHARES[1]).all()


def test_nothing_to_learn_from() -> None:
    rule = fit_evidence(np.zeros((3, 4)), np.full((3, 4), np.inf), np.zeros((3, 4), dtype=bool), LEAST)
    np.testing.assert_array_equal(rule.null_share, np.full(3, NULL_SHARES[1]))
    assert rule.slab.sum() == pytest.approx(1.0)
    empty = fit_evidence(np.zeros((0, 4)), np.zeros((0, 4)), np.zeros((0, 4), dtype=bool), LEAST)
    assert empty.judge(np.zeros((0, 4)), np.zeros((0, 4))).probability.shape == (0, 4)


def test_a_row_without_pairs_takes_the_share_of_the_others() -> None:
    effect, error, counted, _ = screen(6, 80, 30, 0.8)
    counted[2] = False
    rule = fit_evidence(effect, error, counted, LEAST)
    assert np.isfinite(rule.null_share).all()
    others = np.delete(rule.null_share, 2)
    assert others.min() <= rule.null_share[2] <= others.max()
