"""How many edges a table lists at every threshold, and what tables say of the sign of one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.network.agreement import (
    LISTED,
    NOT_LISTED,
    OTHER_SIGN,
    known_steps,
    listed_of_gene,
    listed_share,
    standing,
)
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.references import Known, read_reference
from gpovae_core.reporting.known import listed_in_words, plain_step, step_in_words, steps_in_short

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


def test_a_gene_beside_what_tables_list_of_it() -> None:
    weights = np.zeros((5, 5))
    weights[0, 1:5] = 0.9, 0.8, 0.2, 0.95  # A on B, C, D (below), E (not measured)
    weights[1, 0] = weights[2, 0] = 0.9  # B on A; C was never perturbed
    net = GeneNetwork.from_weights(PANEL, weights)
    table = read_reference(b"source,target\nA,C\nA,D\nA,E\nZ,B\nB,A\nC,A\n", "t.csv")
    found = listed_of_gene(net, "A", 0.5, table)
    assert [one.target for one in found.targets] == ["C"]
    assert (found.judged, found.known, found.pairs) == (2, 2, 3)  # B, C above; C, D of B, C, D
    assert [one.source for one in found.regulators] == ["B"]
    silent = listed_of_gene(net, "B", 0.5, read_reference(b"source,target\nA,C\n", "o.csv"))
    assert (silent.judged, silent.pairs, silent.targets, silent.regulators) == (0, 0, (), ())
    lines = listed_in_words([found, silent])
    assert lines == [
        "t lists 1 of the 2 of its targets that it could list (50 %; of all such genes 67 %): C, and of its "
        "regulators B.",
        "Nothing of its edges can be looked up in o.",
    ]


@pytest.mark.parametrize("seed", range(3))
def test_the_genes_add_up_to_the_network(seed: int) -> None:
    net = network(seed)
    table = read_reference(b"source,target\na,c\nA,D\nB,C\nZ,B\nC,A\nA,E\n", "t.csv")
    whole = listed_share(net, table, np.array([0.4]))
    each = [listed_of_gene(net, gene, 0.4, table) for gene in ("A", "B")]
    assert sum(one.judged for one in each) == whole.judged[0]
    assert sum(len(one.targets) for one in each) == whole.listed[0]
    assert (sum(one.pairs for one in each), sum(one.known for one in each)) == (whole.pairs, whole.known)


def test_the_steps_of_a_path_with_sign_and_publication() -> None:
    net = network()
    net = replace(net, signs=np.full((5, 5), -1, dtype=np.int8))
    rows = b"A,B,Activation,7\nA,B,Activation,8;x\nC,D,Repression,\n"
    table = read_reference(b"tf,target,sign,pmid\n" + rows, "t.csv")
    first, second, third = known_steps(net, ("A", "B", "C", "D"), [table])
    assert [one.publications for one in first.known] == [("PMID 7", "PMID 8")]
    assert (first.standing, second.standing, third.standing) == (OTHER_SIGN, NOT_LISTED, LISTED)
    assert steps_in_short((first, second, third)) == "2 of 3: t (1 with the other sign)"
    assert steps_in_short((second,)) == ""
    assert step_in_words(first) == "A -> B (represses): t (Activation; PMID 7, PMID 8), with the other sign"
    assert step_in_words(second) == "B -> C (represses): in no table"
    assert plain_step(third)["known"] == [{"table": "t", "sign": -1, "publications": []}]
