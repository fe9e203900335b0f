from __future__ import annotations

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score

from gpovae_core.evaluation.known import (
    KnownEdges,
    RankedPairs,
    judge,
    reference_scores,
    shuffled_hits,
    true_pairs,
    truth_scores,
)
from gpovae_core.evaluation.network_scores import Called, Signs

SOURCES = ["STAT1", "IRF1", "MYC", "JAK2"]
TARGETS = ["IRF1", "MYC", "GBP1", "UBE2L6", "ACTB"]


def known(*pairs: str, directed: bool = True) -> KnownEdges:
    folded = [tuple(pair.casefold().split(">")) for pair in pairs]
    return KnownEdges("toy", directed, frozenset((a, b) if directed or a <= b else (b, a) for a, b in folded))


@pytest.mark.parametrize("ties", [1, 4, 1000])
def test_average_precision_is_that_of_sklearn(ties):
    rng = np.random.default_rng(ties)
    score = rng.integers(0, ties, size=300) + (rng.random(300) if ties == 1000 else 0.0)
    hits = rng.random(300) < 0.1
    assert RankedPairs(score).average_precision(hits) == pytest.approx(average_precision_score(hits, score))
    assert np.isnan(RankedPairs(score).average_precision(np.zeros(300, dtype=bool)))


def test_early_precision_counts_hits_among_as_many_pairs_as_there_are_hits():
    ranked = RankedPairs(np.array([0.9, np.nan, 0.7, 0.1, 0.8]))
    assert ranked.early_precision(np.array([True, True, False, False, False])) == 0.5


def test_only_what_a_reference_could_have_listed_is_judged():
    got = judge(known("stat1>irf1", "stat1>GBP1", "MYC>ACTB", "TP53>UBE2L6"), SOURCES, TARGETS)
    usable = {(SOURCES[i], TARGETS[j]) for i, j in np.argwhere(got.usable)}
    # JAK2 and IRF1 are listed as no source: their absence says nothing; MYC is, and is no target of itself
    assert usable == {(s, t) for s in ("STAT1", "MYC") for t in TARGETS if s != t}
    assert {(SOURCES[i], TARGETS[j]) for i, j in np.argwhere(got.hits)} == {
        ("STAT1", "IRF1"),
        ("STAT1", "GBP1"),
        ("MYC", "ACTB"),
    }
    assert got.sources == 2


def test_a_pair_without_direction_counts_once_and_either_order_finds_it():
    reference = known("IRF1>MYC", "STAT1>UBE2L6", directed=False)
    got = judge(reference, SOURCES, TARGETS)
    assert got.hits.sum() == 2
    assert got.usable[SOURCES.index("IRF1"), TARGETS.index("MYC")]
    assert not got.usable[SOURCES.index("MYC"), TARGETS.index("IRF1")]
    ranking = np.zeros((4, 5))
    ranking[SOURCES.index("MYC"), TARGETS.index("IRF1")] = 1.0  # the other way round
    ranking[SOURCES.index("STAT1"), TARGETS.index("UBE2L6")] = 0.9
    assert (
        reference_scores(reference, SOURCES, TARGETS, {"w": ranking}, shuffles=0).rankings["w"].auprc == 1.0
    )


def test_shuffling_keeps_all_degrees_and_makes_no_loops():
    rng = np.random.default_rng(0)
    genes = [f"g{i:02d}" for i in range(30)]
    hits = (rng.random((12, 30)) < 0.2) & (np.arange(12)[:, None] != np.arange(30)[None, :])
    one, again, other = (shuffled_hits(hits, genes[:12], genes, seed) for seed in (1, 1, 2))
    for shuffled in (one, other):
        np.testing.assert_array_equal(shuffled.sum(axis=0), hits.sum(axis=0))
        np.testing.assert_array_equal(shuffled.sum(axis=1), hits.sum(axis=1))
        assert not shuffled[np.arange(12), np.arange(12)].any()
    assert (one == again).all()
    assert (one != other).any()
    assert (one != hits).any()


def test_a_ranking_that_only_knows_hubs_is_no_better_than_the_shuffled_null():
    rng = np.random.default_rng(3)
    genes = [f"g{i:02d}" for i in range(60)]
    degree = np.repeat([2, 30], 10)
    hits = np.zeros((20, 60), dtype=bool)
    for row in range(20):
        hits[row, rng.choice(np.setdiff1d(np.arange(60), row), degree[row], replace=False)] = True
    reference = KnownEdges("hubs", True, frozenset((genes[i], genes[j]) for i, j in np.argwhere(hits)))
    rankings = {
        "hubs": np.repeat(degree[:, None], 60, axis=1) + rng.random((20, 60)),
        "truth": hits + 0.1 * rng.random((20, 60)),
    }
    got = reference_scores(reference, genes[:20], genes, rankings, shuffles=60, seed=5)
    assert got.edges == hits.sum()
    assert got.rankings["hubs"].auprc_ratio > 1.3  # better than chance ...
    assert got.rankings["hubs"].p > 0.05  # ... and no better than its degrees
    assert got.rankings["truth"].auprc == pytest.approx(1.0)
    assert got.rankings["truth"].p == pytest.approx(1 / 61)
    assert got.rankings["truth"].early_precision == pytest.approx(1.0)


def test_a_reference_without_usable_edges_scores_nothing():
    got = reference_scores(known("A>B"), SOURCES, TARGETS, {"w": np.ones((4, 5))})
    assert (got.edges, got.pairs, got.shuffles) == (0, 0, 0)
    assert np.isnan(got.rankings["w"].auprc)


def test_truth_direct_and_over_any_number_of_hops():
    edges = pd.DataFrame(
        {
            "source": ["STAT1", "IRF1", "HIDDEN"],
            "target": ["IRF1", "HIDDEN", "GBP1"],
            "weight": [0.8, -0.5, 1.0],
        }
    )
    strength, ancestor = true_pairs(edges, SOURCES, TARGETS)
    assert strength[0, 0] == 0.8
    assert (strength != 0).sum() == 1
    graph = nx.DiGraph(list(zip(edges["source"], edges["target"], strict=True)))
    for i, s in enumerate(SOURCES):
        for j, t in enumerate(TARGETS):
            assert ancestor[i, j] == (s in graph and t in graph and s != t and nx.has_path(graph, s, t))
    counted = np.array(SOURCES)[:, None] != np.array(TARGETS)[None, :]
    called = strength != 0
    got = truth_scores(edges, SOURCES, TARGETS, {"w": strength}, called, np.where(called, -1, 0), counted)
    assert got.called == Called(edges=1, direct=1, ancestors=1, true_edges=1)
    assert got.direct.rankings["w"].auprc == 1.0
    assert got.ancestors.edges == 3
    assert got.signs == Signs(edges=1, right=0.0, one_sign_for_all=1.0)
