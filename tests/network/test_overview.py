"""A network at one look: regulators, groups of targets, how sure, and the sentences and the picture of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.network_scores import Network
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.overview import Overview, overview
from gpovae_core.plots.overview import overview_picture
from gpovae_core.reporting.findings import findings
from gpovae_core.runs.folder import RunFolder
from tests.conftest import PROJECT

EDGES = [("A", "x"), ("A", "y"), ("A", "z"), ("B", "x"), ("B", "y"), ("A", "B"), ("C", "w")]


def make_network(edges: list[tuple[str, str]], perturbed: tuple[str, ...]) -> GeneNetwork:
    """A network whose W is 0.9 for these edges and 0 for others; no sign is known."""
    genes = sorted({*perturbed, *(gene for edge in edges for gene in edge)})
    others = tuple(gene for gene in genes if gene not in perturbed)
    panel = Panel(PanelData(perturbed=perturbed, extended=others, measured=tuple(genes)))
    weights = np.zeros((len(panel), len(panel)))
    for source, target in edges:
        weights[panel.index[source], panel.index[target]] = 0.9
    return GeneNetwork.from_weights(panel, weights)


@pytest.fixture
def seen() -> Overview:
    return overview(make_network(EDGES, perturbed=("A", "B", "C", "D")), 0.5)


def test_regulators_by_their_targets_and_groups_by_shared_regulators(seen: Overview) -> None:
    assert seen.regulators == {"A": 4, "B": 2, "C": 1}
    assert (seen.edges, seen.perturbed) == (7, 4)
    groups = {group.regulators: set(group.genes) for group in seen.groups}
    assert groups == {("A", "B"): {"x", "y"}, ("A",): {"z"}, ("C",): {"w"}}  # B regulates: it is no target
    assert len(seen.groups[0].genes) == 2, "the largest comes first"


def test_edges_out_of_genes_that_were_never_perturbed_do_not_count() -> None:
    network = make_network([*EDGES, ("x", "w"), ("x", "z")], perturbed=("A", "B", "C", "D"))
    assert "x" not in overview(network, 0.5).regulators


def test_every_gene_counts_where_nobody_knows_what_was_perturbed() -> None:
    seen = overview(make_network(EDGES, perturbed=()), 0.5)
    assert seen.edges == 7


def test_the_sentences_say_what_was_counted(seen: Overview) -> None:
    scores = Network(0.5, edges=7, pairs=20, mu_wd=None, bh_share=None, raw_share=None)
    sure, hubs, groups = findings(seen, replace(scores, estimated_false_edge_rate=0.2))
    assert hubs.startswith("A (4), B (2) and C (1) have most targets: 7 edges with W above 0.5")
    assert "2 genes have an edge from both of A and B (x, y)" in groups
    assert "about 1 of 7 edges are expected to have none at all" in sure
    nothing = findings(replace(seen, edges=0, regulators={}, groups=()), None)
    assert len(nothing) == 1
    assert "No edge is above W 0.5" in nothing[0]
    assert findings(seen, None) == [hubs, groups]


def test_the_groups_say_how_many_genes_rise_and_fall() -> None:
    network = make_network(EDGES, perturbed=("A", "B", "C", "D"))
    signs = np.zeros(network.weights.shape, dtype=np.int8)
    place = network.panel.index
    signs[place["A"], place["x"]], signs[place["A"], place["y"]], signs[place["B"], place["x"]] = 1, -1, -1
    shared = overview(replace(network, signs=signs), 0.5).groups[0]
    assert dict(zip(shared.regulators, shared.signs, strict=True)) == {"A": (1, 1), "B": (0, 1)}


def test_the_picture_draws_regulators_groups_and_signs(seen: Overview) -> None:
    figure = overview_picture(seen)
    written = " ".join(str(text) for trace in figure.data for text in (trace.text or ()))
    for name in ("A", "B", "C", "2 genes", "x, y"):
        assert name in written
    assert overview_picture(replace(seen, groups=())).layout.annotations


def test_names_are_no_markup() -> None:
    hostile = "<img src=x>"
    figure = overview_picture(overview(make_network([("A", hostile)], perturbed=("A",)), 0.5))
    written = " ".join(str(text) for trace in figure.data for text in (trace.text or ()))
    assert "<img" not in written


def test_a_threshold_outside_the_scale_is_refused() -> None:
    with pytest.raises(QueryError):
        overview(make_network(EDGES, perturbed=("A",)), 1.5)
    assert overview(make_network(EDGES, perturbed=("A",)), 1.0).edges == 0


def test_a_first_look_needs_nothing_measured() -> None:
    run = RunFolder(PROJECT / "assets" / "demo" / "run")
    threshold = run.settings().evaluation.threshold
    seen = overview(GeneNetwork.from_run(run, measured=False), threshold)
    assert seen == overview(GeneNetwork.from_run(run), threshold)
