"""What goes on through genes in between: against a float64 loop over paths, known changes and laws."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.methods.passing import ROOT, followed, total
from gpovae_core.model.hops import hop_series, influence_passed
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.paths import trace_paths
from tests.model.reference import influence_by_powers

OWN = np.log([0.2, 0.35, 0.5, 0.1, 3.0])


def no_cycle(n: int = 5, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.triu(rng.normal(0, 0.8, (n, n)) * (rng.random((n, n)) < 0.7), 1)


def settled(direct: np.ndarray, own: np.ndarray, source: int) -> np.ndarray:
    """(n,) log changes when `source` is perturbed, gene by gene in the order of a network without cycles:
    each edge gives S per log at its source's own change, and in between as much as the root of what is left
    says.
    """
    change = np.zeros(len(own))
    change[source] = own[source]
    for target in range(source + 1, len(own)):
        for gene in range(source, target):
            x, x_own = change[gene], own[gene]
            shape, at_own = (2 * (np.sqrt(np.exp(y)) - 1) if y < 0 else y for y in (x, x_own))
            change[target] += direct[gene, target] * x_own * shape / at_own
    return change


def named(direct: np.ndarray, **arrays: Any) -> GeneNetwork:
    n = len(direct)
    genes = tuple("ABCDEFG"[:n])
    panel = Panel(PanelData(perturbed=genes, extended=(), measured=genes))
    weights = np.where(direct != 0, 0.8, 0.0)
    return GeneNetwork(
        panel, weights, np.zeros((n, n)), np.full((n, n), np.nan), strength=direct / 0.8, **arrays
    )


def test_the_square_root_of_what_is_left_is_followed_and_of_a_rise_its_logarithm() -> None:
    assert ROOT == 0.5
    left = np.array([0.9, 0.5, 0.01, 1e-300])
    np.testing.assert_allclose(followed(np.log(left)), 2 * (np.sqrt(left) - 1))
    np.testing.assert_array_equal(followed(np.array([0.0, 0.5, 3.0])), [0.0, 0.5, 3.0])
    np.testing.assert_allclose(followed(np.array([-1e-9])), [-1e-9])
    assert followed(np.array([-np.inf])).tolist() == [-2.0]


def test_a_large_panel_is_followed_in_pieces_and_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    direct, own = rng.normal(0, 0.05, (60, 60)) * (1 - np.eye(60)), rng.uniform(-2.3, 1.0, 60)
    plain = total(direct, own, 5)
    monkeypatch.setattr("gpovae_core.methods.passing._ROWS", 7)
    for part, whole in zip(total(direct, own, 5), plain, strict=True):
        np.testing.assert_allclose(part, whole, atol=1e-14)
    monkeypatch.setattr("gpovae_core.methods.passing.LARGE", 60)
    for short, whole in zip(total(direct, own, 5), plain, strict=True):
        np.testing.assert_allclose(short, whole, atol=1e-6)
        assert np.abs(short - whole).max() > 0


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_changes_are_those_that_follow_gene_by_gene(seed: int) -> None:
    direct = no_cycle(seed=seed)
    found, _ = total(direct, OWN, 4)
    for source in range(5):
        expected = settled(direct, OWN, source)
        expected[source] = 0.0
        np.testing.assert_allclose(OWN[source] * found[source], expected, atol=1e-12)


def test_a_gene_that_changes_as_under_its_own_perturbation_passes_on_what_s_says() -> None:
    """A -> B -> C: B changes as much as its own perturbation changes it, or less, or the other way."""
    for strength, factor in ((1.0, 1.0), (0.1, 1.5), (-1.0, 1.5)):
        direct = np.zeros((3, 3))
        direct[0, 1], direct[1, 2] = strength, 0.5
        own = np.full(3, np.log(0.2))
        _, passed = total(direct, own, 5)
        if factor == 1.0:
            assert passed[0, 1] == pytest.approx(1.0)
        else:
            assert passed[0, 1] > 1.3
            at_own = 2 * (np.sqrt(0.2) - 1) / np.log(0.2)
            x = strength * np.log(0.2)
            assert passed[0, 1] == pytest.approx((2 * (np.exp(x / 2) - 1) / x if x < 0 else 1.0) / at_own)


def test_small_changes_of_weak_perturbations_go_on_in_proportion() -> None:
    direct = no_cycle(seed=4)
    found, passed = total(direct, np.full(5, -1e-7), 4)
    np.testing.assert_allclose(passed, 1 - np.eye(5), atol=1e-6)
    expected = influence_by_powers(direct, [1.0] * 4)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert hop_series("signed", 5, 4).weights == (1.0,) * 4


@given(st.integers(0, 1000), st.integers(1, 4))
def test_t_is_the_sum_over_all_walks_that_do_not_pass_the_source_again(seed: int, hops: int) -> None:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(0, 0.5, (4, 4)) * (1 - np.eye(4))
    passed = rng.uniform(0.5, 2, (4, 4))
    np.fill_diagonal(passed, 0.0)
    found = influence_passed(matrix, passed, hops)
    expected = np.zeros((4, 4))
    for source, target in itertools.permutations(range(4), 2):
        others = [gene for gene in range(4) if gene != source]
        for length in range(hops):
            for between in itertools.product(others, repeat=length):
                walk = (source, *between, target)
                carried = np.prod([matrix[a, b] for a, b in itertools.pairwise(walk)])
                expected[source, target] += carried * np.prod([passed[source, gene] for gene in between])
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_array_equal(influence_passed(matrix, passed, hops, np.array([2, 0])), found[[2, 0]])


def test_a_loop_does_not_change_what_the_perturbation_did_to_its_own_gene() -> None:
    """A and B activate each other: B follows A once, since A is held where its perturbation leaves it."""
    direct = np.array([[0.0, 0.9], [0.9, 0.0]])
    found, _ = total(direct, np.log([0.2, 0.2]), 6)
    np.testing.assert_allclose(found, direct)


def test_paths_carry_shares_of_the_same_t() -> None:
    direct = no_cycle(seed=1)
    influence, passed = total(direct, OWN, 4)
    network = named(direct, influence_matrix=influence, passing=passed)
    np.testing.assert_allclose(network.influence(4), influence)
    np.testing.assert_allclose(network.influence(4, ["C", "A"]), influence[[2, 0]])
    for a, b in ((0, 4), (0, 3), (1, 4)):
        trace = trace_paths(network, "ABCDE"[a], "ABCDE"[b], 4, 100)
        assert trace.influence == pytest.approx(influence[a, b])
        assert trace.explained == pytest.approx(1.0)
        assert sum(trace.share_by_hops) == pytest.approx(1.0)
    both = trace_paths(network, ["A", "B"], "E", 4, 100)
    assert both.influence == pytest.approx(influence[0, 4] + influence[1, 4])
    assert sum(path.share for path in both.paths) == pytest.approx(1.0)
