"""Genes that nobody perturbed and over which an edge may run: against counting one by one, and on simulated
chains.
"""

from __future__ import annotations

import numpy as np
import pytest

from gpovae_core import keys
from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.network.detours import LIKELY, genes_of_detours, open_detours
from gpovae_core.network.grn import GeneNetwork

GENES = ("A", "B", "C", "D", "E")  # A and B perturbed


def network(weights: dict[str, float], strength: dict[str, float], **more: object) -> GeneNetwork:
    """Matrices from entries such as {"AC": 0.9}."""
    panel = Panel(PanelData(perturbed=("A", "B"), extended=("C", "D", "E"), measured=GENES))
    w, s = np.zeros((5, 5)), np.zeros((5, 5))
    for matrix, entries in ((w, weights), (s, strength)):
        for (source, target), value in entries.items():
            matrix[GENES.index(source), GENES.index(target)] = value
    nothing = np.full((5, 5), np.nan)
    return GeneNetwork(panel, w, np.zeros((5, 5)), nothing, strength=s, strength_sd=np.abs(s), **more)  # type: ignore[arg-type]


def example() -> GeneNetwork:
    return network(
        {"AB": 1.0, "AC": 0.9, "AD": 1.0, "AE": 0.4, "BC": 0.9, "CD": 0.8},
        {"AB": 0.9, "AC": -0.8, "AD": 0.5, "AE": 2.0, "BC": 0.3, "CD": 0.9},
    )


def test_only_likely_stronger_changes_of_genes_never_perturbed_count() -> None:
    found = example()
    assert found.detour_genes("A", "D") == ("C",)  # B is perturbed, E is no likely edge
    assert found.detour_genes("A", "C") == ()
    assert found.detour_genes("B", "C") == ()
    assert found.detour_genes("C", "D") is None  # no cell speaks for C
    assert found.detour_genes("A", "A") is None
    table = found.edges(0.5).set_index([keys.SOURCE, keys.TARGET])[keys.OPEN_DETOURS]
    assert table["A", "D"] == 1
    assert table["A", "B"] == 0
    assert np.isnan(table["C", "D"])
    assert found.count_open(0.5) == (4, 1)


def test_counts_are_those_of_the_lists() -> None:
    rng = np.random.default_rng(0)
    n = 30
    weights, direct, evidence = rng.random((n, n)), rng.random((n, n)).round(1), rng.random(n) < 0.5
    counts = open_detours(direct, weights, evidence)
    for i in range(n):
        for j in range(n):
            if i == j or not evidence[i]:
                assert np.isnan(counts[i, j])
                continue
            by_hand = [
                m
                for m in range(n)
                if not evidence[m] and weights[i, m] > LIKELY and direct[i, m] > direct[i, j]
            ]
            found = genes_of_detours(direct, weights, evidence, i, j)
            assert counts[i, j] == len(by_hand)
            assert sorted(found) == by_hand
            assert (np.diff(direct[i, found]) <= 0).all()


@pytest.mark.parametrize("measure", ["T", "none"])
def test_nothing_is_said_where_no_strength_is_known(measure: str) -> None:
    found = example()
    other = (
        found.influence_network(3) if measure == "T" else GeneNetwork.from_weights(found.panel, found.weights)
    )
    assert other.open_detours is None
    assert other.count_open(0.1) is None
    assert other.detour_genes("A", "D") is None
    assert keys.OPEN_DETOURS not in other.edges(0.1)


def test_a_part_of_a_network_keeps_the_detours_of_the_whole() -> None:
    found = example()
    assert found.with_evidence().detour_genes("A", "D") == ("C",)

    class Often:
        frequency = np.where(found.weights == 1.0, 1.0, 0.2)

    part = GeneNetwork(
        found.panel,
        found.weights,
        found.signs,
        found.effects,
        strength=found.strength,
        strength_sd=found.strength_sd,
        ensemble=Often(),
    ).found_often(0.9)  # type: ignore[arg-type]
    assert part.weights[GENES.index("A"), GENES.index("C")] == 0
    assert part.count_open(0.5) == (2, 1)
