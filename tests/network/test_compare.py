"""Shared, gained and lost edges by name, against sets; equal numbers of edges are equal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.errors import QueryError
from gpovae_core.network.compare import GAINED, LOST, SHARED, compare_networks, equal_edges
from gpovae_core.network.grn import GeneNetwork


def network_of(genes: tuple[str, ...], seed: int) -> GeneNetwork:
    """Genes in any order: panels sort them, so positions differ between the networks."""
    rng = np.random.default_rng(seed)
    n = len(genes)
    panel = Panel(
        PanelData(
            perturbed=tuple(sorted(genes[: n // 2])), extended=tuple(sorted(genes[n // 2 :])), measured=genes
        )
    )
    return GeneNetwork(panel, rng.random((n, n)), rng.integers(-1, 2, (n, n)), np.full((n, n), np.nan))


A = network_of(tuple("ABCDEFGH"), 1)
B = network_of(tuple("XHGCBAZY"), 2)
COMMON = set("ABCGH")


def edges_of(network: GeneNetwork, threshold: float, genes: set[str]) -> set[tuple[str, str]]:
    table = network.edges(threshold)
    return {
        (s, t) for s, t in zip(table["source"], table["target"], strict=True) if s in genes and t in genes
    }


@given(st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=80)
def test_states_are_set_operations_by_name(one: float, two: float) -> None:
    found = compare_networks(A, one, B, two)
    a, b = edges_of(A, one, COMMON), edges_of(B, two, COMMON)
    expected = {SHARED: a & b, GAINED: b - a, LOST: a - b}
    for state, edges in expected.items():
        part = found.edges[found.edges["state"] == state]
        assert set(zip(part["source"], part["target"], strict=True)) == edges
        assert found.count(state) == len(edges)
    assert (found.genes, found.pairs, found.a, found.b) == (5, 20, len(a), len(b))
    assert found.outside_a == len(A.edges(one)) - len(a)
    assert found.jaccard == pytest.approx(len(a & b) / len(a | b) if a | b else np.nan, nan_ok=True)
    assert found.expected == pytest.approx(len(a) * len(b) / 20)


def test_weights_and_signs_are_those_of_the_pair() -> None:
    found = compare_networks(A, 0.3, B, 0.3)
    for row in found.edges.itertuples():
        i, j = A.panel.index[row.source], A.panel.index[row.target]
        k, m = B.panel.index[row.source], B.panel.index[row.target]
        assert (row.weight_a, row.sign_a) == (A.weights[i, j], A.signs[i, j])
        assert (row.weight_b, row.sign_b) == (B.weights[k, m], B.signs[k, m])
    agree, known = found.same_sign
    assert 0 <= agree <= known <= found.count(SHARED)


def test_the_same_network_at_a_higher_threshold_only_loses() -> None:
    found = compare_networks(A, 0.4, A, 0.7)
    assert found.count(GAINED) == 0
    assert found.count(SHARED) == len(A.edges(0.7))
    assert found.count(SHARED) + found.count(LOST) == len(A.edges(0.4))


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_equal_numbers_of_edges(threshold: float) -> None:
    other = equal_edges(A, threshold, B)
    assert other is not None
    found = compare_networks(A, threshold, B, other)
    assert found.a == found.b > 0


def test_no_edges_and_no_common_genes() -> None:
    assert equal_edges(A, 1.0, B) is None
    apart = compare_networks(A, 0.5, network_of(("P", "Q", "R"), 3), 0.5)
    assert (apart.genes, len(apart.edges)) == (0, 0)
    assert np.isnan(apart.jaccard)
    assert equal_edges(A, 0.5, network_of(("P", "Q", "R"), 3)) is None


def test_a_threshold_off_the_scale_is_refused() -> None:
    with pytest.raises(QueryError, match="between 0 and 1"):
        compare_networks(A, 0.5, B, 1.5)
