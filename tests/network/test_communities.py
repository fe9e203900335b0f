"""Planted groups are found, the same every time; genes without an edge belong to none."""

from __future__ import annotations

import numpy as np
import pytest

from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.network.communities import communities, community_table
from gpovae_core.network.grn import GeneNetwork


def network_of(weights: np.ndarray) -> GeneNetwork:
    names = tuple(f"G{i:03d}" for i in range(len(weights)))
    return GeneNetwork.from_weights(
        Panel(PanelData(perturbed=names[:2], extended=names[2:], measured=names)), weights
    )


def planted() -> GeneNetwork:
    """Groups of 8, 6 and 4 genes, joined by one weak edge each, and two genes apart."""
    weights = np.zeros((20, 20))
    start = 0
    for size in (8, 6, 4):
        weights[start : start + size, start : start + size] = 0.9
        if start:
            weights[start - 1, start] = 0.55
        start += size
    return network_of(weights)


def test_planted_groups_come_largest_first() -> None:
    found = communities(planted(), 0.5)
    assert found.tolist() == [0] * 8 + [1] * 6 + [2] * 4 + [-1] * 2
    np.testing.assert_array_equal(found, communities(planted(), 0.5))


def test_the_table_counts_edges() -> None:
    network = planted()
    table = community_table(network, communities(network, 0.5), 0.5)
    assert table["genes"].tolist() == [8, 6, 4]
    assert table["inside"].tolist() == [56, 30, 12]
    assert table["leaving"].tolist() == [1, 1, 0]
    assert table["perturbed"].tolist() == [2, 0, 0]
    assert table["hubs"].iloc[2].split(", ") == ["G014", "G015", "G016", "G017"]


@pytest.mark.parametrize("n", [1, 2, 5])
def test_without_edges_there_is_no_community(n: int) -> None:
    network = network_of(np.zeros((n, n)))
    assert (communities(network, 0.0) == -1).all()
    assert community_table(network, communities(network, 0.0), 0.0).empty


def test_only_the_strongest_edges_are_grouped() -> None:
    weights = np.random.default_rng(0).random((60, 60))
    found = communities(network_of(weights), 0.0, top=10)
    assert 0 < (found >= 0).sum() <= 20
