"""What the picture is sent: the edges around a gene, nearest and strongest first where there are too many."""

from __future__ import annotations

import numpy as np
import pytest

from dashboard.network_data import MARGIN, MOST_AROUND, ego_edges
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
