"""Gene cards: counts and effects are those of the network, links lead to the gene and nowhere for simulated
ones.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlparse

import numpy as np
import pytest

from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.errors import QueryError
from gpovae_core.network.cards import gene_card, gene_links
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.measured import MeasuredPairs
from tests.fake_run import HOSTILE

PANEL = Panel(
    PanelData(
        perturbed=("A", "B", "C"),
        extended=("D",),
        measured=("A", "B", "D"),
        ids={"B": "ENSG00000115415.7"},
        reasons={"D": "top of A"},
    )
)


def network(simulated: bool = False) -> GeneNetwork:
    rng = np.random.default_rng(0)
    effects = rng.normal(size=(4, 4))
    effects[:, 2] = np.nan  # C is not measured
    effects[3] = np.nan  # D was never perturbed
    return GeneNetwork(PANEL, rng.random((4, 4)), np.zeros((4, 4)), effects, simulated=simulated)


def test_counts_are_those_of_the_degree_table() -> None:
    net = network()
    for gene in PANEL.genes:
        card, row = gene_card(net, gene, 0.4), net.degrees(0.4).set_index("gene").loc[gene]
        assert (card.targets, card.regulators) == (row["targets"], row["regulators"])


def test_effects_are_measured_ones_strongest_first_without_the_gene_itself() -> None:
    net = network()
    card = gene_card(net, "b", 0.5)
    assert (card.gene, card.perturbed, card.measured, card.identifier) == (
        "B",
        True,
        True,
        "ENSG00000115415.7",
    )
    assert set(card.as_source["gene"]) == {"A", "D"}
    assert set(card.as_target["gene"]) == {"A", "C"}
    assert card.as_source["effect"].abs().is_monotonic_decreasing
    assert card.own == net.effects[1, 1]
    extended = gene_card(net, "D", 0.5)
    assert (extended.perturbed, extended.reason, extended.own, len(extended.as_source)) == (
        False,
        "top of A",
        None,
        0,
    )


def test_a_gene_is_found_by_its_ensembl_id() -> None:
    assert gene_card(network(), "ensg00000115415.7", 0.5).gene == "B"


def test_simulated_genes_have_no_links() -> None:
    assert gene_card(network(simulated=True), "B", 0.5).links == {}
    assert set(gene_card(network(), "B", 0.5).links) == {"NCBI Gene", "Ensembl", "UniProt"}


def test_links_know_the_species_from_the_id() -> None:
    human, mouse, unknown = (
        gene_links("STAT1", "ENSG00000115415.7"),
        gene_links("Stat1", "ENSMUSG00000026104"),
        gene_links("STAT1"),
    )
    assert human["Ensembl"].endswith("/Homo_sapiens/Gene/Summary?g=ENSG00000115415")
    assert "Mus_musculus" in mouse["Ensembl"]
    assert "10090" in mouse["UniProt"]
    assert "q=STAT1" in unknown["Ensembl"]
    assert "organism" not in unknown["UniProt"]


@pytest.mark.parametrize("gene", [*HOSTILE, "a/../b", "x#y?z&q=1", "javascript:alert(1)"])
def test_a_name_cannot_leave_its_place_in_an_address(gene: str) -> None:
    for site, address in gene_links(gene).items():
        parts = urlparse(address)
        assert parts.scheme == "https"
        assert parts.hostname in {"www.ncbi.nlm.nih.gov", "www.ensembl.org", "www.uniprot.org"}
        assert parts.fragment == ""
        query = parse_qs(parts.query, keep_blank_values=True)
        assert len(query) == 1, site
        assert gene in next(iter(query.values()))[0]


def test_an_unknown_gene_is_refused() -> None:
    with pytest.raises(QueryError, match="not in the panel"):
        gene_card(network(), "NOPE", 0.5)


def test_effects_are_the_fold_changes_that_were_measured_and_a_large_one_of_few_counts_is_not_the_strongest():
    net = network()
    effect, error = np.full((4, 4), np.nan), np.full((4, 4), np.nan)
    effect[1], error[1] = [-4.0, -2.3, np.nan, 1.0], [2.5, 0.2, np.nan, 0.1]
    measured = MeasuredPairs(effect, error, np.full(4, 50.0), error * np.nan, error * np.nan)
    card = gene_card(replace(net, measured=measured), "B", 0.5)
    assert card.as_source["gene"].tolist() == ["D", "A"]
    assert card.as_source["effect_se"].tolist() == [0.1, 2.5]
    assert (card.own, card.own_se) == (-2.3, 0.2)
    assert card.unit.startswith("log2 fold change")
    assert gene_card(net, "B", 0.5).unit.startswith("difference of mean log2")
