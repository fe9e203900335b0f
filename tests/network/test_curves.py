"""The curves over the threshold equal what a count at every single threshold gives."""

from __future__ import annotations

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.effects.pairs import PairStatistics, pair_statistics
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.network import reachable
from gpovae_core.network.curves import STEPS, joined_levels, levels, steps, threshold_curves
from gpovae_core.network.grn import GeneNetwork


def network_of(weights: np.ndarray, perturbed: int | None = None) -> GeneNetwork:
    n = len(weights)
    names = tuple(f"G{i:03d}" for i in range(n))
    k = n if perturbed is None else perturbed
    return GeneNetwork.from_weights(
        Panel(PanelData(perturbed=names[:k], extended=names[k:], measured=names)), weights
    )


def cells_of(network: GeneNetwork, seed: int = 0) -> PairStatistics:
    """Tests on made-up cells: some sources move some targets."""
    rng = np.random.default_rng(seed)
    sources, targets = network.panel.data.perturbed, network.panel.genes
    labels = np.repeat(["control", *sources], [60, *[25] * len(sources)]).astype(object)
    values = rng.poisson(2.0, (len(labels), len(targets))).astype(float)
    for i, source in enumerate(sources):
        values[labels == source, (i + 1) % len(targets)] += 3
    return pair_statistics(sparse.csr_matrix(np.log1p(values)), labels, sources, targets)


@pytest.fixture(scope="module")
def network() -> GeneNetwork:
    rng = np.random.default_rng(3)
    weights = np.where(rng.random((14, 14)) < 0.25, rng.random((14, 14)), 0.02)
    weights[0, 1] = 1.0
    weights[2, 3] = 0.5  # on a step: strictly above means that it does not show there
    return network_of(weights, perturbed=9)


@pytest.fixture(scope="module")
def pairs(network: GeneNetwork) -> PairStatistics:
    return cells_of(network)


@pytest.mark.parametrize("step", [0, 4, 20, 99, 100, 101, 150, STEPS - 1, STEPS])
def test_every_curve_equals_a_count_at_its_threshold(
    network: GeneNetwork, pairs: PairStatistics, step: int
) -> None:
    curves = threshold_curves(network, pairs, hops=4, omission_hops=2)
    threshold = curves.thresholds[step]
    table = network.edges(float(threshold))
    assert curves.edges[step] == len(table)
    assert curves.genes[step] == len({*table["source"], *table["target"]})
    above = network.weights > threshold
    columns = [network.panel.index[gene] for gene in pairs.targets]
    rows = np.array([network.panel.index[gene] for gene in pairs.sources])
    real = pairs.evaluated & (pairs.adjusted < 0.05)
    assert real.sum() == curves.effects > 0
    assert curves.coverage is not None
    assert curves.coverage[step] == pytest.approx(reachable(above, rows, 4)[:, columns][real].mean())
    edges = above[np.ix_(rows, columns)] & pairs.evaluated
    assert curves.mu_wd is not None
    expected = pairs.wasserstein[edges].mean() if edges.any() else np.nan
    assert curves.mu_wd[step] == pytest.approx(expected, nan_ok=True)
    without = pairs.evaluated & ~reachable(above, rows, 2)[:, columns]
    assert curves.omission is not None
    missed = (pairs.p[without] < 0.05).mean() if without.any() else np.nan
    assert curves.omission[step] == pytest.approx(missed, nan_ok=True)


@given(st.integers(2, 7), st.integers(1, 5), st.integers(0, 10_000))
@settings(max_examples=60)
def test_joined_levels_are_the_weakest_edges_of_the_best_paths(n: int, hops: int, seed: int) -> None:
    network = network_of(np.random.default_rng(seed).choice([0.0, 0.1, 0.303, 0.7, 1.0], (n, n)))
    level = levels(network)
    (found,) = joined_levels(level, np.arange(n), [hops])
    for step in (0, 20, 60, 61, 140, 199, 200):
        graph = nx.DiGraph([(i, j) for i in range(n) for j in range(n) if i != j and level[i, j] > step])
        graph.add_nodes_from(range(n))
        for source in range(n):
            near = set(nx.single_source_shortest_path_length(graph, source, cutoff=hops)) - {source}
            assert {j for j in range(n) if j != source and found[source, j] > step} == near


def test_several_hop_counts_come_from_one_pass() -> None:
    level = levels(network_of(np.random.default_rng(1).random((12, 12))))
    rows = np.arange(5)
    for hops, found in zip((5, 1, 3), joined_levels(level, rows, (5, 1, 3)), strict=True):
        np.testing.assert_array_equal(found, joined_levels(level, rows, (hops,))[0])


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize("n", [1, 2, 30])
def test_flat_networks(n: int, value: float) -> None:
    curves = threshold_curves(network_of(np.full((n, n), value)))
    assert curves.edges[0] == (n * (n - 1) if value else 0)
    assert curves.edges[-1] == 0
    assert curves.genes[0] == (n if value and n > 1 else 0)
    assert curves.coverage is None


def test_influences_have_a_scale_of_their_own(network: GeneNetwork) -> None:
    influence = network.influence_network(3)
    assert steps(influence)[-1] == influence.top >= influence.weights[~np.eye(14, dtype=bool)].max()
    curves = threshold_curves(influence)
    assert curves.edges[50] == len(influence.edges(float(curves.thresholds[50])))


def test_a_perfect_network_covers_everything(pairs: PairStatistics, network: GeneNetwork) -> None:
    weights = np.zeros((14, 14))
    real = pairs.evaluated & (pairs.adjusted < 0.05)
    for i, j in np.argwhere(real):
        weights[network.panel.index[pairs.sources[i]], network.panel.index[pairs.targets[j]]] = 0.9
    curves = threshold_curves(network_of(weights, 9), pairs)
    assert curves.coverage is not None
    assert curves.mu_wd is not None
    assert curves.random_mu_wd is not None
    assert curves.coverage[100] == 1.0
    assert curves.mu_wd[100] > curves.random_mu_wd
    assert np.isnan(curves.mu_wd[-1])


def test_hops_are_checked(network: GeneNetwork) -> None:
    with pytest.raises(QueryError, match="number of hops"):
        threshold_curves(network, hops=0)


def test_the_table_has_what_is_known(network: GeneNetwork, pairs: PairStatistics) -> None:
    assert list(threshold_curves(network).table()) == ["threshold", "edges", "genes"]
    full = threshold_curves(network, pairs).table()
    assert {"pathway_coverage", "mean_wasserstein", "false_omission_rate"} < set(full)
    assert len(full) == STEPS + 1
