from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from scipy import sparse, stats

from gpovae_core import keys
from gpovae_core.effects import rank_test
from gpovae_core.effects.pairs import PairStatistics, pair_statistics
from gpovae_core.effects.rank_test import RankSums
from gpovae_core.evaluation import network
from gpovae_core.evaluation.network import network_scores, reachable
from tests.conftest import shared_folder


def by_difference(pairs: PairStatistics) -> dict[str, np.ndarray]:
    return {"difference": np.abs(pairs.mean_difference)}


def cells(
    seed: int, controls: int, sizes: list[int], genes: int = 8
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Values (cells, genes) with every kind of column: untied, negative, half zeros, rounded, constant; cells
    shuffled.
    """
    rng = np.random.default_rng(seed)
    names = [f"S{k}" for k in range(len(sizes))]
    labels = np.repeat([keys.CONTROL, *names, "OTHER"], [controls, *sizes, 5]).astype(object)
    values = rng.normal(size=(len(labels), genes))
    values[:, 1] = np.abs(values[:, 1])
    values[:, 2] *= rng.random(len(labels)) < 0.5
    values[:, 3] = np.abs(values[:, 3]) * (rng.random(len(labels)) < 0.5)
    values[:, 4] = np.round(np.abs(values[:, 4]) * 2)
    values[:, 5] = 0.0
    values[:, 6] = 1.5
    values[:, 7] = np.round(values[:, 7], 1) + (labels == "S0")
    shuffled = rng.permutation(len(labels))
    return values[shuffled], labels[shuffled], names


def expected_p(base: np.ndarray, own: np.ndarray) -> float:
    """scipy's p, but where many values are zero: there the kernel's, from ties and zeros counted here."""
    test, values = stats.mannwhitneyu(base, own), np.concatenate([base, own])
    silent = int((values == 0).sum()) if values.min() >= 0 else 0
    times = np.unique(values, return_counts=True)[1].astype(float)
    if silent == 0 or (times == 1).all() or test.pvalue >= rank_test.LOOKED_AT_BELOW:
        return float(test.pvalue)
    ties = np.array((times**3 - times).sum())
    sizes = np.array(len(own)), np.array(len(base))
    return RankSums.of(np.array(test.statistic), *sizes, ties, np.array(silent)).p_values()[0, 0]


def assert_equal_to_scipy(values: np.ndarray, labels: np.ndarray, pairs: PairStatistics) -> None:
    base = values[labels == keys.CONTROL]
    for i, source in enumerate(pairs.sources):
        own = values[labels == source]
        for j in range(values.shape[1]):
            test = stats.mannwhitneyu(base[:, j], own[:, j])
            assert pairs.u[i, j] == pytest.approx(test.statistic, abs=1e-9)
            wanted = expected_p(base[:, j], own[:, j])
            assert pairs.p[i, j] == pytest.approx(wanted, rel=1e-9, abs=1e-9), (i, j)
            assert pairs.wasserstein[i, j] == pytest.approx(
                stats.wasserstein_distance(base[:, j], own[:, j]), abs=1e-9
            )
            assert pairs.mean_difference[i, j] == pytest.approx(
                own[:, j].mean() - base[:, j].mean(), abs=1e-9
            )


@pytest.mark.parametrize(
    ("controls", "sizes"), [(60, [20, 9, 31]), (40, [1, 2, 8, 9]), (5, [3, 8, 30]), (1, [1, 4]), (8, [8, 9])]
)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_equal_to_scipy_pair_by_pair(controls, sizes, seed, kind):
    # the small samples take scipy's exact distribution, the ties its correction
    values, labels, names = cells(seed, controls, sizes)
    pairs = pair_statistics(kind(values), labels, names, [f"g{j}" for j in range(values.shape[1])])
    assert_equal_to_scipy(values, labels, pairs)
    assert pairs.control_cells == controls
    assert list(pairs.source_cells) == sizes


def test_by_hand():
    values = np.array([[0.0], [0.0], [1.0], [3.0], [0.0], [2.0]])
    labels = np.array([keys.CONTROL] * 4 + ["A"] * 2, dtype=object)
    pairs = pair_statistics(values, labels, ["A"], ["g"])
    # controls 0 0 1 3 against 0 0 2 2 (each cell of A counted twice), sorted: |0-0| + |0-0| + |1-2| + |3-2|
    # over 4
    assert pairs.wasserstein[0, 0] == pytest.approx(0.5)
    # of 8 pairs the control is larger in 1 > 0, 3 > 0, 3 > 2 and equal in two
    assert pairs.u[0, 0] == pytest.approx(4.0)


def test_parity_with_the_fixture():
    fixture = np.load(shared_folder("fixtures") / "evaluate_network.npz")
    names = [str(gene) for gene in fixture["gene_names"]]
    labels = fixture["interventions"].astype(object)
    pairs = pair_statistics(fixture["expression"], labels, names[:6], names, control="non-targeting")
    np.testing.assert_allclose(pairs.wasserstein, fixture["wasserstein"], atol=1e-9)
    np.testing.assert_allclose(pairs.u, fixture["U_stat"], atol=1e-9)
    # the stored p are of the normal approximation, which errs where few cells show a gene
    np.testing.assert_allclose(pairs.p, fixture["p_value"], atol=2e-3)

    adjacency = np.zeros((9, 9), dtype=bool)
    adjacency[tuple(fixture["edges"].T)] = True
    among = adjacency[:6] & (
        np.arange(9) < 6
    )  # the release scores edges among perturbed genes only, self-loops with them
    assert int((pairs.p[among] < 0.05).sum()) == int(fixture["true_positives"])
    assert int((pairs.p[among] >= 0.05).sum()) == int(fixture["false_positives"])
    assert pairs.wasserstein[among].mean() == pytest.approx(float(fixture["mean_wasserstein"]), abs=1e-9)

    # the released omission rate divides by pairs it never tested; here every pair without a path is tested,
    # and only those count
    linked = reachable(adjacency, np.arange(6), hops=3)
    scores = network_scores(pairs, adjacency[:6], linked, by_difference(pairs))
    graph = nx.DiGraph([tuple(edge) for edge in fixture["edges"]])
    graph.add_nodes_from(range(9))
    omitted = [
        pairs.p[i, j]
        for i in range(6)
        for j in range(9)
        if i != j and j not in nx.single_source_shortest_path_length(graph, i, cutoff=3)
    ]
    assert scores.omission_pairs == len(omitted)
    assert scores.omission == pytest.approx(np.mean(np.array(omitted) < 0.05))
    assert scores.omission != pytest.approx(float(fixture["FOR"]))


def test_no_distance_to_itself_and_shift_moves_it_by_as_much():
    rng = np.random.default_rng(0)
    base = rng.gamma(1.0, size=(30, 4))
    labels = np.repeat([keys.CONTROL, "SAME", "UP", "DOWN"], 30).astype(object)
    pairs = pair_statistics(
        np.vstack([base, base, base + 2.0, base - 2.0]), labels, ["SAME", "UP", "DOWN"], list("abcd")
    )
    np.testing.assert_allclose(pairs.wasserstein, np.repeat([[0.0], [2.0], [2.0]], 4, axis=1), atol=1e-12)
    np.testing.assert_allclose(pairs.p[0], 1.0)


def test_order_of_cells_sources_and_targets_does_not_matter():
    values, labels, names = cells(1, 50, [20, 9, 31])
    targets = [f"g{j}" for j in range(8)]
    one = pair_statistics(values, labels, names, targets)
    rng = np.random.default_rng(2)
    rows, columns = rng.permutation(len(labels)), rng.permutation(8)
    two = pair_statistics(values[rows][:, columns], labels[rows], names[::-1], [targets[c] for c in columns])
    for field in ("wasserstein", "u", "p", "mean_difference"):
        np.testing.assert_allclose(getattr(two, field), getattr(one, field)[::-1][:, columns], atol=1e-12)


def test_a_source_without_cells_and_a_screen_without_controls():
    values, labels, names = cells(0, 30, [20])
    pairs = pair_statistics(values, labels, [*names, "ABSENT"], [f"g{j}" for j in range(8)])
    assert np.isfinite(pairs.p[0]).all()
    assert np.isnan(pairs.p[1]).all()
    assert np.isnan(pairs.wasserstein[1]).all()
    assert not pairs.evaluated[1].any()
    alone = pair_statistics(values, labels, names, [f"g{j}" for j in range(8)], control="nobody")
    assert np.isnan(alone.p).all()
    assert (
        network_scores(
            alone, np.ones((1, 8), dtype=bool), np.ones((1, 8), dtype=bool), by_difference(alone)
        ).edges
        == 0
    )


def test_benjamini_hochberg_over_the_pairs_that_could_be_edges():
    values, labels, names = cells(0, 60, [20, 9, 31])
    pairs = pair_statistics(values, labels, names, ["S0", "S2", *"abcdef"])
    assert not pairs.evaluated[0, 0]  # a gene's effect on itself is its knock-down
    assert not pairs.evaluated[2, 1]
    expected = stats.false_discovery_control(pairs.p[pairs.evaluated])
    np.testing.assert_allclose(pairs.adjusted[pairs.evaluated], expected)
    assert np.isnan(pairs.adjusted[0, 0])


@pytest.mark.parametrize("hops", [1, 2, 3, 5])
def test_reachable_against_networkx(hops):
    rng = np.random.default_rng(hops)
    adjacency = rng.random((25, 25)) < 0.06
    graph = nx.from_numpy_array(adjacency, create_using=nx.DiGraph)
    got = reachable(adjacency, np.arange(10), hops)
    for i in range(10):
        expected = set(nx.single_source_shortest_path_length(graph, i, cutoff=hops)) - {i}
        assert set(np.flatnonzero(got[i])) - {i} == expected


def scored(seed: int = 0) -> PairStatistics:
    values, labels, names = cells(seed, 60, [20, 9, 31, 12, 12])
    return pair_statistics(values, labels, names, ["S0", "S3", *"abcdef"])


def test_scores_against_a_loop():
    pairs = scored()
    rng = np.random.default_rng(0)
    predicted = rng.random(pairs.p.shape) < 0.3
    linked = predicted | (rng.random(pairs.p.shape) < 0.3)
    got = network_scores(pairs, predicted, linked, by_difference(pairs))
    judged = [
        (i, j)
        for i in range(5)
        for j in range(8)
        if pairs.sources[i] != pairs.targets[j] and pairs.testable[i, j]
    ]
    edges = [pair for pair in judged if predicted[pair]]
    assert got.edges == len(edges)
    assert got.pairs == len(judged) == 33  # of 38: no cell shows the gene of column 5
    assert got.score.mu_wd == pytest.approx(np.mean([pairs.wasserstein[e] for e in edges]))
    assert got.score.bh_share == pytest.approx(np.mean([pairs.adjusted[e] < 0.05 for e in edges]))
    assert got.true_positives == sum(pairs.p[e] < 0.05 for e in edges)
    assert got.true_positives + got.false_positives == got.edges
    others = [pair for pair in judged if not linked[pair]]
    assert got.omission_pairs == len(others)
    assert got.omission == pytest.approx(np.mean([pairs.p[o] < 0.05 for o in others]))


def test_an_empty_network_has_no_scores():
    pairs = scored()
    nothing = np.zeros(pairs.p.shape, dtype=bool)
    got = network_scores(pairs, nothing, nothing, by_difference(pairs))
    assert got.edges == 0
    assert np.isnan(
        [
            got.score.mu_wd,
            got.score.bh_share,
            got.random.mu_wd,
            got.random_spread.mu_wd,
            got.ranked["difference"].mu_wd,
        ]
    ).all()
    assert got.omission == pytest.approx((pairs.p[pairs.evaluated] < 0.05).mean())


def test_a_complete_network_omits_nothing_and_equals_its_baselines():
    pairs = scored()
    everything = np.ones(pairs.p.shape, dtype=bool)
    got = network_scores(pairs, everything, everything, by_difference(pairs))
    assert got.edges == got.pairs
    assert got.omission_pairs == 0
    assert np.isnan(got.omission)
    assert got.score.mu_wd == pytest.approx(got.random.mu_wd) == pytest.approx(got.ranked["difference"].mu_wd)
    assert got.random_spread.mu_wd == pytest.approx(0.0)


def test_random_baseline_is_what_drawing_gives():
    pairs = scored()
    predicted = np.zeros(pairs.p.shape, dtype=bool)
    predicted[1, :6] = True
    got = network_scores(pairs, predicted, predicted, by_difference(pairs))
    rng = np.random.default_rng(0)
    pool = np.flatnonzero(pairs.evaluated)
    size = got.edges  # of six, one cannot be tested
    draws = [pairs.wasserstein.ravel()[rng.choice(pool, size, replace=False)].mean() for _ in range(20_000)]
    assert got.random.mu_wd == pytest.approx(np.mean(draws), rel=0.01)
    assert got.random_spread.mu_wd == pytest.approx(np.std(draws), rel=0.03)


def test_mean_difference_takes_as_many_pairs_and_ranks_unknown_ones_last():
    pairs = scored()
    ranking = np.abs(pairs.mean_difference)
    ranking[0] = np.nan
    chosen = network.top_pairs(pairs, ranking, 7)
    assert chosen.sum() == 7
    assert not chosen[0].any()
    assert not (chosen & ~pairs.evaluated).any()
    assert np.nanmin(ranking[chosen]) >= np.nanmax(ranking[pairs.evaluated & ~chosen])


def test_a_dense_network_of_a_large_panel_does_not_hang():
    rng = np.random.default_rng(0)
    adjacency = rng.random((1200, 1200)) < 0.5
    assert reachable(adjacency, np.arange(400), hops=3)[:, 400:].all()
