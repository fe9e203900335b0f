"""What the picture is sent: the edges around a gene, nearest and strongest first where there are too many."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.network_data import LAYOUT_EDGES, MARGIN, MOST_AROUND, ego_edges, shaping_edges
from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.network.grn import GeneNetwork


def network(n: int, seed: int = 0) -> GeneNetwork:
    genes = tuple(f"G{i:03d}" for i in range(n))
    return GeneNetwork.from_weights(
        Panel(PanelData(perturbed=genes, extended=(), measured=genes)), np.random.default_rng(seed).random((n, n))
    )


def test_few_edges_all_come_with_a_margin_below_the_threshold():
    net = network(8)
    edges, floor, around = ego_edges(net, "G000", 2, "both", 0.5)
    assert floor == pytest.approx(0.5 - MARGIN)
    assert edges["weight"].min() > floor
    assert around == (edges["weight"] > 0.5).sum()


def test_many_edges_are_cut_to_the_nearest_and_strongest():
    net = network(100)
    edges, floor, around = ego_edges(net, "G007", 2, "out", 0.5)
    assert len(edges) == MOST_AROUND
    assert floor == 0.5
    assert around > MOST_AROUND
    assert edges["weight"].is_monotonic_decreasing
    own = (net.weights[7] > 0.5) & (np.arange(100) != 7)
    assert set(np.flatnonzero(own)) <= set(edges.loc[edges["source"] == 7, "target"])  # none of the gene's own edges is cut
    others = edges[(edges["source"] != 7) & (edges["target"] != 7)]
    assert others["weight"].min() > 0.9  # of the rest only the strongest


def test_every_gene_has_edges_that_shape_the_layout():
    net = network(30)
    sources, targets, weights = shaping_edges(net.weights, np.arange(30) < 10)
    assert set(targets) == set(range(30))
    assert set(range(10)) <= set(sources)
    assert (sources != targets).all()
    np.testing.assert_array_equal(weights, net.weights[sources, targets])
    for target in range(30):
        strongest = np.argsort(-np.where(np.arange(30) == target, 0, net.weights[:, target]))[:LAYOUT_EDGES]
        assert set(strongest) <= set(sources[targets == target])


@pytest.mark.parametrize("n", [1, 2])
def test_networks_too_small_or_empty_have_no_shape(n):
    assert len(shaping_edges(np.zeros((n, n)), np.ones(n, dtype=bool))[0]) == 0
