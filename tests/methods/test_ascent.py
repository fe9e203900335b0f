"""The ascent behind W: its ends are fixed points, and of two ends the more probable one counts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

from gpovae_core.methods import ascent
from gpovae_core.methods.ascent import Optimum, Regressions, ascend, best, mixed, most_odds
from gpovae_core.methods.direct import ROW_PRIOR, regressions
from gpovae_core.methods.explained import LOG_ODDS_LIMIT, EdgePrior, Tolerance, TotalEffects
from tests.methods.test_direct import (
    LEAST,
    OWN,
    TOLERANCE,
    UNPERTURBED,
    edges_of,
    fit,
    judged,
    observed,
    random_screen,
)

N = 12


def given(total: TotalEffects, tolerance: Tolerance = TOLERANCE, n: int = N) -> Regressions:
    return regressions(total, n, LEAST, tolerance, UNPERTURBED)


def both(problem: Regressions) -> tuple[Optimum, Optimum]:
    """From every effect as an edge, and from no edge."""
    targets, order = np.arange(N), problem.order
    everything = problem.everything_direct(targets)
    starts = ((everything, order), (np.zeros_like(everything), order[::-1]))
    first, second = (ascend(problem, *start, targets) for start in starts)
    return first, second


def edge_odds(prior: EdgePrior, source: int, estimate: float, error2: float) -> float:
    """Log odds of an edge, given an estimate of its strength and the square of its error."""
    there, not_there = (
        stats.norm(0, np.sqrt(error2 + prior.least[source] + more)) for more in (prior.slab, 0.0)
    )
    return float(prior.log_odds[source] + there.logpdf(estimate) - not_there.logpdf(estimate))


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> None:
    """W is not held to the effects of its own source: log odds are those of the edges that paths run over."""
    monkeypatch.setattr(
        ascent, "most_odds", lambda total, columns, *_: np.full((len(total.own), len(columns)), np.inf)
    )


def passes(design: np.ndarray, sources: np.ndarray, i: int, j: int, m: int) -> float:
    """What perturbation i changes of m, felt, with j held still."""
    all_of_it, own = design[i, m], np.flatnonzero(sources == j)
    if sources[i] == m or m == j or not len(own):
        return all_of_it
    left = all_of_it - design[i, j] * design[own[0], m]
    return float(np.sign(all_of_it) * np.clip(left * np.sign(all_of_it), 0, abs(all_of_it)))


def taken_back(
    design: np.ndarray, sources: np.ndarray, use: np.ndarray, j: int, edge: np.ndarray
) -> np.ndarray:
    """(len(use),) what j takes back of its own change over genes that are not the source."""
    own = np.flatnonzero(sources == j)
    if not len(own):
        return np.zeros(len(use))
    over = [design[own[0]] @ edge[:, j] - design[own[0], sources[i]] * edge[sources[i], j] for i in use]
    return design[use, j] * np.maximum(-np.array(over), 0.0)


# Where it ends ----------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("free")
@pytest.mark.parametrize("tolerance", [Tolerance(0.1, 0.4), Tolerance(0.3, 0.05)])
@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("seed", range(4))
def test_where_it_ends_is_a_fixed_point(seed: int, start: int, tolerance: Tolerance) -> None:
    """Every edge is what its own regression gives with all others held where they ended (one target, one gene
    at a time).
    """
    total, n = random_screen(seed), N
    got = both(given(total, tolerance))[start]
    p, rows = len(total.sources), np.arange(len(total.sources))
    seen = np.isfinite(total.error)
    seen[rows, total.sources] = False
    dose = np.where(total.own < 0, np.exp(total.own) - 1, total.own)
    usual = np.full(n, np.sign(np.median(np.sign(total.own))))
    usual[total.sources] = np.sign(total.own)
    x_felt = np.where(total.believed < 0, np.exp(total.believed) - 1, total.believed)
    passing = np.where(seen & (total.probability > 0.05), total.probability * x_felt, 0.0) / dose[:, None]
    turned = np.where(np.sign(total.believed) == -usual, passing, 0.0)
    assert turned.any()
    assert (passing != turned).any()
    design = passing.copy()
    design[rows, total.sources] = 1.0
    response, noise = total.effect / dose[:, None], total.error / np.abs(dose)[:, None]
    slab2 = np.mean(response[seen & (total.probability > 0.8)] ** 2)
    share = np.array([np.clip(total.probability[i, seen[i]].mean(), *ROW_PRIOR) for i in range(p)])
    there = expit(got.log_odds)
    edge = there * got.mean
    for j in range(n):
        use = np.flatnonzero(seen[:, j])
        if not len(use):
            continue
        held = np.array([[passes(design, total.sources, i, j, m) for m in range(n)] for i in use])
        part = np.divide(turned[use], design[use], out=np.zeros(held.shape), where=design[use] != 0)
        against = (part * held) @ edge[:, j]
        direct = edge[total.sources[use], j]
        along = held @ edge[:, j] - direct - against + taken_back(design, total.sources, use, j, edge)
        precision = 1 / (
            noise[use, j] ** 2 + (tolerance.along * along) ** 2 + (tolerance.against * against) ** 2
        )
        for m in np.delete(np.arange(n), j):
            x = held[:, m]
            if not (x**2 * precision).sum() > 0:
                assert there[m, j] < 1e-9
                continue
            others = response[use, j] - held @ edge[:, j] + x * edge[m, j]
            variance = 1 / (x**2 * precision).sum()
            estimate = variance * (x * precision * others).sum()
            row = np.flatnonzero(total.sources == m)
            null = LEAST / (abs(dose[row[0]]) if len(row) else np.median(np.abs(dose)))
            odds = logit(share[row[0]] if len(row) else UNPERTURBED)
            odds += stats.norm.logpdf(estimate, 0, np.sqrt(variance + null**2 + slab2))
            odds -= stats.norm.logpdf(estimate, 0, np.sqrt(variance + null**2))
            assert there[m, j] == pytest.approx(expit(odds), abs=0.01)
            assert got.mean[m, j] == pytest.approx(estimate * slab2 / (slab2 + variance), abs=0.01)
            assert got.variance[m, j] == pytest.approx(1 / (1 / variance + 1 / slab2), rel=0.06)


@pytest.mark.parametrize("seed", range(6))
def test_w_is_held_to_its_own_effect_and_paths_are_not(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Held, W is the smaller of two; nothing else changes."""
    problem = given(judged(np.triu(np.random.default_rng(seed).normal(0, 0.5, (N, N)), k=1), seed, 0.1))
    held = both(problem)
    most = np.random.default_rng(seed).normal(0, 5, (N, N))
    monkeypatch.setattr(ascent, "most_odds", lambda _total, columns, *_: most[:, columns])
    for first, second in zip(held, both(problem), strict=True):
        for name in ("mean", "variance", "bound"):
            np.testing.assert_array_equal(getattr(second, name), getattr(first, name))
        assert (second.log_odds <= np.maximum(most, -LOG_ODDS_LIMIT)).all()
    assert (held[0].log_odds != second.log_odds).any()


@pytest.mark.parametrize("seed", range(4))
def test_no_target_hears_of_another(seed: int) -> None:
    """Other effects on one gene through which nothing passes leave all other columns as they were."""
    total = random_screen(seed)
    sink = np.flatnonzero(np.isfinite(total.error).any(axis=0) & ~np.isin(np.arange(N), total.sources))[0]
    effect, probability = total.effect.copy(), total.probability.copy()
    probability[:, sink] = 0.01  # below FEWEST_ODDS
    first = replace(total, probability=probability)
    effect[:, sink] = np.random.default_rng(seed).normal(0, 2, len(effect))
    problems = given(first), replace(given(first), response=given(replace(first, effect=effect)).response)
    others = np.arange(N) != sink
    ends = [best(problem) for problem in problems]
    assert (ends[0].mean[:, sink] != ends[1].mean[:, sink]).any()
    for name in ("log_odds", "mean", "variance"):
        np.testing.assert_allclose(*(getattr(end, name)[:, others] for end in ends), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_nothing_hangs_on_cores_or_on_which_targets_are_taken_together(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem, found = given(random_screen(seed)), []
    for jobs, targets in (("1", N), ("1", 5), ("2", 5), ("3", 1)):
        monkeypatch.setenv("GPOVAE_JOBS", jobs)
        monkeypatch.setattr(ascent, "TARGETS", targets)
        found.append(best(problem))
    for other in found[1:]:
        for name in ("log_odds", "mean", "variance"):
            np.testing.assert_array_equal(getattr(other, name), getattr(found[0], name))
        np.testing.assert_allclose(other.bound, found[0].bound, rtol=1e-12)  # a sum, in another order


def swept(problem: Regressions, target: int, edge: np.ndarray, order: np.ndarray) -> np.ndarray:
    """(n,) edges into the target after sweeps over all genes, in plain numpy."""
    design, sources, against = problem.design, problem.total.sources, problem.against
    response, noise = problem.response[:, target], problem.noise[:, target]
    use = np.flatnonzero(np.isfinite(noise))
    x = np.array([[passes(design, sources, i, target, m) for m in range(N)] for i in use])
    turned, edge, off = np.where(against[use] != 0, x, 0.0), edge.copy(), np.zeros(len(use))
    for sweep in range(200):
        back, direct = turned @ edge, edge[sources[use]]
        along = (
            x @ edge - direct - back + taken_back(design, sources, use, target, edge[:, None] * np.ones(N))
        )
        now = np.hypot(problem.tolerance.along * along, problem.tolerance.against * back)
        off = now if sweep < 20 else off + (now - off) / (sweep - 18)
        weight, before = 1 / (noise[use] ** 2 + off**2), edge.copy()
        for m in order[order != target]:
            precision = x[:, m] ** 2 @ weight
            if precision == 0:
                edge[m] = 0.0
                continue
            estimate = x[:, m] * weight @ (response[use] - x @ edge) / precision + edge[m]
            odds = edge_odds(problem.prior, int(m), estimate, 1 / precision)
            edge[m] = expit(odds) * estimate * problem.prior.slab / (problem.prior.slab + 1 / precision)
        if np.abs(edge - before).max() < 1e-4:
            break
    return edge


@pytest.mark.usefixtures("free")
@pytest.mark.parametrize("seed", range(4))
def test_the_ascent_ends_where_plain_sweeps_end(seed: int) -> None:
    problem, targets = given(random_screen(seed)), np.arange(N)
    starts = problem.everything_direct(targets)
    end = ascend(problem, starts, problem.order, targets)
    got = expit(end.log_odds) * end.mean
    for j in np.flatnonzero(np.isfinite(problem.noise).any(axis=0)):
        want = swept(problem, int(j), starts[j], problem.order)
        want[j] = 0.0
        np.testing.assert_allclose(got[:, j], want, atol=1e-4)


# Two starts -------------------------------------------------------------------------------------------------


def hardly_shown(network: np.ndarray, z: float, probability: float) -> TotalEffects:
    """b's own perturbation shows c (1, 2) only z errors from nothing, believed with `probability`."""
    total = observed(network, range(N), 0.05)
    error, believed = total.error.copy(), total.probability.copy()
    error[1, 2], believed[1, 2] = abs(total.effect[1, 2]) / z, probability
    return replace(total, error=error, probability=believed)


@pytest.mark.parametrize("z", [1.5, 2.0, 3.0])
def test_a_path_over_an_edge_that_its_own_cells_hardly_show_is_found(z: float) -> None:
    """a and d repress b, which activates c; b stands low, so that losing it shows little, while without a or
    d it rises and c with it. From every effect as an edge the path is not found; the other end is the more
    probable one.
    """
    total = hardly_shown(edges_of(N, ab=-2.0, db=-1.5, bc=0.6), z, 0.1)
    as_direct, over_path = both(given(total))
    assert (expit(as_direct.log_odds[[0, 3], 2]) > 0.95).all()
    assert (expit(over_path.log_odds[[0, 3], 2]) < 0.1).all()
    assert over_path.bound[2] > as_direct.bound[2] + 1
    got = fit(total, N).explained
    assert (got[[0, 3], 2] < 0.3).all()
    assert (got[[0, 3], 1] > 0.95).all()
    assert 0.05 < got[1, 2] < 0.1 + 1e-9  # as much as its own cells show


@pytest.mark.parametrize(("size", "slope"), [(2, 0.8), (2, 1.0), (2, 1.2), (3, 1.0), (3, 1.2), (4, 1.2)])
@pytest.mark.parametrize("entries", [("ab",), ("ab", "gb")])
def test_genes_that_change_each_other_keep_the_edge_that_leads_to_them(
    size: int, slope: float, entries: tuple[str, ...]
) -> None:
    """A ring b -> c -> ... -> b, entered at b: none passes for a consequence of the others alone. Where
    little comes back, the others of the ring need no edge from outside.
    """
    ring = "bcde"[:size]
    edges = {f"{ring[k]}{ring[(k + 1) % size]}": slope for k in range(size)}
    network = edges_of(N, **edges, **dict.fromkeys(entries, 1.2 / (1 + len(entries))))
    got = fit(observed(network, range(N), 0.05, 1), N, tolerance=Tolerance(0.3, 0.5)).explained
    assert (got[network > 0] > 0.95).all()
    if slope < 1:
        assert (got[0, 2 : 1 + size] < 0.3).all()


@pytest.mark.parametrize("back", [-0.7, -1.5])
def test_a_gene_that_is_held_back_by_what_follows_from_it_keeps_its_edges_and_earns_none(back: float) -> None:
    network = edges_of(N, ab=1.0, bc=1.0, cb=back)
    got = fit(observed(network, range(N), 0.05, 1), N, tolerance=Tolerance(0.3, 0.5)).explained
    assert (got[network != 0] > 0.9).all()
    assert got[0, 2] < 0.3


def test_what_two_stories_explain_is_shared_until_one_of_them_is_measured() -> None:
    """a -> b and a -> c; that c follows b is refuted by b's own perturbation, where it was measured."""
    total = observed(edges_of(N, ab=0.9, ac=0.5), range(N), 0.05)
    error = total.error.copy()
    error[1, 2] = 0.5
    measured, open_to_both = fit(total, N), fit(replace(total, error=error), N)
    assert measured.explaining[0, 2] > open_to_both.explaining[0, 2] + 3
    assert open_to_both.explained[0, 2] > 0.5  # a is seen to act on others, b is not
    assert open_to_both.explained[1, 2] < 0.01  # its own cells show nothing


@pytest.mark.parametrize("seed", range(3))
def test_a_loop_with_an_edge_beside_its_path_keeps_it(seed: int) -> None:
    network = edges_of(N, ab=0.9, bc=0.5, ac=0.5)
    total = observed(network, range(N), 0.05, seed)
    assert (fit(total, N).explained[network != 0] > 0.8).all()


def test_genes_that_were_never_perturbed_do_not_explain_each_other() -> None:
    """Two of them answer in proportion: from no edge each could explain the other."""
    network = np.zeros((N, N))
    network[:6, 6], network[:6, 7] = [1.6, -1.4, 1.3, 1.8, -1.6, 1.1], [0.8, -0.7, 0.65, 0.9, -0.8, 0.55]
    got = fit(observed(network, range(6), 0.02), N)
    assert (got.explained[:6, 6:8] > 0.9).all()
    assert got.explained[6:].max() < 0.1


# Several ends as one ----------------------------------------------------------------------------------------


def an_end(seed: int, bound: float) -> Optimum:
    rng = np.random.default_rng(seed)
    return Optimum(
        rng.normal(0, 4, (3, 3)), rng.normal(0, 1, (3, 3)), rng.uniform(0.1, 1, (3, 3)), np.full(3, bound)
    )


def test_one_end_or_the_same_end_twice_is_itself() -> None:
    end = an_end(0, -3.0)
    for whole in (mixed([end]), mixed([end, end])):
        for name in ("log_odds", "mean", "variance"):
            np.testing.assert_allclose(getattr(whole, name), getattr(end, name), rtol=1e-12)


def test_ends_are_mixed_as_their_bounds_say() -> None:
    first, second = an_end(0, 1.0), an_end(1, 1.0 + np.log(3))
    whole = mixed([first, second])
    there = 0.25 * expit(first.log_odds), 0.75 * expit(second.log_odds)
    np.testing.assert_allclose(expit(whole.log_odds), sum(there))
    np.testing.assert_allclose(whole.mean, (there[0] * first.mean + there[1] * second.mean) / sum(there))
    square = there[0] * (first.variance + first.mean**2) + there[1] * (second.variance + second.mean**2)
    np.testing.assert_allclose(whole.variance, square / sum(there) - whole.mean**2)


def test_an_end_that_is_far_less_probable_does_not_count() -> None:
    first, second = an_end(0, 0.0), an_end(1, -900.0)
    np.testing.assert_allclose(mixed([first, second]).log_odds, first.log_odds)
    np.testing.assert_allclose(mixed([second, first]).mean, first.mean)


def test_what_there_is_to_be_explained_is_an_effect_or_one_that_is_missing() -> None:
    total = judged(edges_of(N, ab=0.8), 0)
    everything = np.arange(N)
    nothing = np.zeros(total.effect.shape)
    plain = expit(most_odds(total, everything, nothing, nothing))
    np.testing.assert_allclose(plain, np.where(total.seen, total.probability, 0.0), atol=1e-12)
    missing = np.where(total.seen, OWN * 0.5, 0.0)
    assert expit(most_odds(total, everything, missing, nothing))[5, 7] > 0.99
    np.testing.assert_array_equal(
        most_odds(total, everything[3:5], missing[:, 3:5], nothing[:, 3:5]),
        most_odds(total, everything, missing, nothing)[:, 3:5],
    )
