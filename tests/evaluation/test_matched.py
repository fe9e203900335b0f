from __future__ import annotations

from dataclasses import replace

import networkx as nx
import numpy as np
import pytest

from gpovae_core.effects.pairs import PairStatistics
from gpovae_core.evaluation.held_out import held_out_pairs
from gpovae_core.evaluation.matched import HOPS, edge_counts, edge_curves, hop_table, omission_curve
from tests.evaluation.conftest import EDGES, true_network


@pytest.fixture(scope="module")
def pairs(screen) -> PairStatistics:
    return held_out_pairs(screen)


def places(screen, pairs: PairStatistics) -> tuple[np.ndarray, np.ndarray]:
    index = screen.panel.index
    return np.array([index[g] for g in pairs.sources]), np.array([index[g] for g in pairs.targets])


def test_curves_are_the_scores_of_the_best_k_pairs(pairs):
    ranking = np.random.default_rng(0).random(pairs.p.shape)
    counts = [1, 7, 20, int(pairs.evaluated.sum())]
    got = edge_curves(pairs, {"r": ranking}, counts)["r"]
    order = sorted(np.argwhere(pairs.evaluated).tolist(), key=lambda ij: -ranking[tuple(ij)])
    for at, k in enumerate(counts):
        rows, columns = np.array(order[:k]).T
        assert got.mu_wd[at] == pytest.approx(pairs.wasserstein[rows, columns].mean())
        assert got.bh_share[at] == pytest.approx((pairs.adjusted[rows, columns] < 0.05).mean())
        assert got.raw_share[at] == pytest.approx((pairs.p[rows, columns] < 0.05).mean())
        if k < len(order):
            rest = np.array(order[k:]).T
            assert got.left_out[at] == pytest.approx((pairs.p[rest[0], rest[1]] < 0.05).mean())
    assert got.left_out[-1] != got.left_out[-1]  # nothing is left out


def test_ties_are_taken_in_expectation_and_the_unranked_not_at_all(pairs):
    everything = edge_curves(pairs, {"same": np.ones(pairs.p.shape)}, [3, 11])
    assert everything["same"].mu_wd == pytest.approx(everything["random"].mu_wd)
    assert everything["same"].mu_wd == pytest.approx([pairs.wasserstein[pairs.evaluated].mean()] * 2)
    few = np.full(pairs.p.shape, np.nan)
    few[tuple(np.argwhere(pairs.evaluated)[:5].T)] = 1.0
    got = edge_curves(pairs, {"few": few}, [5, 6])["few"]
    assert np.isfinite(got.mu_wd[0])
    assert np.isnan([values[1] for values in vars(got).values()]).all()


def test_nothing_passes_the_bound(pairs):
    rng = np.random.default_rng(1)
    counts = edge_counts(pairs, own=13)
    assert 13 in counts
    got = edge_curves(
        pairs,
        {f"r{i}": rng.random(pairs.p.shape) for i in range(5)} | {"p": -pairs.p, "d": pairs.wasserstein},
        counts,
    )
    for name, curve in got.items():
        for measure, best in vars(got["bound"]).items():
            sign = -1 if measure == "left_out" else 1
            worse = sign * np.array(getattr(curve, measure)) <= sign * np.array(best) + 1e-12
            assert (worse | np.isnan(getattr(curve, measure))).all(), (name, measure)


def test_the_omission_curve_walks_over_paths(screen, pairs):
    rng = np.random.default_rng(2)
    weights = np.where(true_network(screen.panel), 0.9, 0.3 * rng.random((9, 9)))
    where = places(screen, pairs)
    curve = omission_curve(pairs, weights, where, [5, 12], 3, 0.05)
    inside = np.sort(weights[np.ix_(*where)][pairs.evaluated])[::-1]
    for at, k in enumerate((5, 12)):
        graph = nx.from_numpy_array(weights >= inside[k - 1], create_using=nx.DiGraph)
        missed = []
        for i, j in np.argwhere(pairs.evaluated):
            try:
                joined = nx.shortest_path_length(graph, where[0][i], where[1][j]) <= 3
            except nx.NetworkXNoPath:
                joined = False
            if not joined:
                missed.append(pairs.p[i, j] < 0.05)
        assert curve.pairs[at] == len(missed)
        assert curve.rate[at] == pytest.approx(np.mean(missed))


def test_hops_are_the_lengths_of_shortest_paths(screen, pairs):
    adjacency = true_network(screen.panel)
    influences = [pairs.wasserstein] * len(HOPS)
    got = hop_table(
        pairs,
        adjacency,
        influences,
        {"mu_wd": pairs.wasserstein, "bh_share": -pairs.p},
        places(screen, pairs),
    )
    graph = nx.DiGraph(list(EDGES))
    lengths = dict(nx.all_pairs_shortest_path_length(graph))
    for row in got:
        exactly = sum(
            lengths.get(s, {}).get(t) == row.hops
            for i, s in enumerate(pairs.sources)
            for j, t in enumerate(pairs.targets)
            if pairs.evaluated[i, j]
        )
        assert row.exactly.pairs == exactly
        assert row.exactly.true_positives + row.exactly.false_positives == exactly
        assert row.within.pairs + row.within.omission_pairs == pairs.evaluated.sum()
        assert row.influence.mu_wd == pytest.approx(row.ceiling.mu_wd)
    assert got[1].within.omission < got[0].within.omission  # PERT0 moves PERT3 over VIA0
    nothing = hop_table(
        pairs, np.zeros_like(adjacency), influences, {"mu_wd": pairs.wasserstein}, places(screen, pairs)
    )
    assert [row.within.pairs for row in nothing] == [0] * 5
    assert np.isnan(nothing[0].influence.mu_wd)


def test_without_cells_there_is_nothing_to_compare(pairs):
    empty = replace(pairs, p=np.full(pairs.p.shape, np.nan), wasserstein=np.full(pairs.p.shape, np.nan))
    assert edge_counts(empty, own=4) == []
    assert edge_curves(empty, {"r": np.ones(pairs.p.shape)}, [])["r"].mu_wd == ()
