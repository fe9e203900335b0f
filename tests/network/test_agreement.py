"""How many edges a table lists at every threshold, and what tables say of the sign of one."""

from __future__ import annotations

import numpy as np
import pytest

from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.network.agreement import LISTED, NOT_LISTED, OTHER_SIGN, listed_share, standing
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.references import Known, read_reference

GENES = ("A", "B", "C", "D", "E")
PANEL = Panel(PanelData(perturbed=("A", "B"), extended=("C", "D", "E"), measured=("B", "C", "D")))


def network(seed: int = 0) -> GeneNetwork:
    weights = np.random.default_rng(seed).random((5, 5))
    np.fill_diagonal(weights, 0)
    return GeneNetwork.from_weights(PANEL, weights)


@pytest.mark.parametrize("seed", range(5))
def test_listed_edges_are_counted_among_those_that_could_be(seed: int) -> None:
    net = network(seed)
    table = read_reference(b"source,target\na,c\nA,D\nB,C\nZ,B\nC,A\nA,E\n", "t.csv")
    at = np.linspace(0, 1, 21)
    found = listed_share(net, table, at)
    # sources A and B; targets that are measured and named: B, C, D
    could = [("A", "B"), ("A", "C"), ("A", "D"), ("B", "C"), ("B", "D")]
    known = {("A", "C"), ("A", "D"), ("B", "C")}
    assert (found.pairs, found.known) == (len(could), len(known))
    assert found.chance == pytest.approx(0.6)
    for k, threshold in enumerate(at):
        edges = [
            pair for pair in could if net.weights[GENES.index(pair[0]), GENES.index(pair[1])] > threshold
        ]
        assert found.judged[k] == len(edges)
        assert found.listed[k] == len(known & set(edges))
        if edges:
            assert found.precision[k] == pytest.approx(len(known & set(edges)) / len(edges))
        else:
            assert np.isnan(found.precision[k])


def test_a_pair_without_a_direction_counts_once_by_its_larger_weight() -> None:
    net = network()
    found = listed_share(net, read_reference(b"gene1,gene2\nB,A\nB,C\n", "p.csv"), np.array([0.0, 0.99]))
    assert (found.pairs, found.known) == (3, 2)  # A-B, A-C, B-C: all genes of the table
    assert found.listed.tolist() == [2, 0]


def test_a_table_of_other_genes_knows_nothing() -> None:
    found = listed_share(network(), read_reference(b"source,target\nX,Y\n", "x.csv"), np.array([0.0]))
    assert (found.pairs, found.known) == (0, 0)
    assert np.isnan(found.chance)


def known(*notes: str, found: bool = True) -> Known:
    return Known("t", found, False, notes, 3)


@pytest.mark.parametrize(
    ("sign", "said", "expected"),
    [
        (1, [], NOT_LISTED),
        (1, [known(found=False)], NOT_LISTED),
        (1, [known()], LISTED),
        (1, [known("Activation")], LISTED),
        (1, [known("Repression")], OTHER_SIGN),
        (-1, [known("1")], OTHER_SIGN),
        (0, [known("Repression")], LISTED),
        (1, [known("Repression"), known("Activation")], LISTED),
        (1, [known("Repression"), known()], OTHER_SIGN),
        (1, [known("Repression", "Activation")], LISTED),
    ],
)
def test_the_sign_of_an_edge_beside_what_tables_say(sign: int, said: list[Known], expected: int) -> None:
    assert standing(sign, said) == expected
