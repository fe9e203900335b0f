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
from gpovae_core.plots import signs as marks
from gpovae_core.plots.overview import BACK, ENDS, REGULATORS, not_drawn, overview_picture
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
    assert "go out from 3 of 4 perturbed genes" in hubs
    assert "2 answer to both A and B (x, y)" in groups
    assert "about 1 of 7 edges are expected to have none at all" in sure
    nothing = findings(replace(seen, edges=0, regulators={}, groups=()), None)
    assert len(nothing) == 1
    assert "No edge is above W 0.5" in nothing[0]
    assert findings(seen, None) == [hubs, groups]


def test_the_largest_groups_are_named_in_their_order_one_regulator_or_more() -> None:
    """A group of one regulator is passed over no more than one of several."""
    edges = [("A", f"a{k}") for k in range(5)] + [("B", f"b{k}") for k in range(4)]
    edges += [("C", f"c{k}") for k in range(3)] + [(gene, f"d{k}") for k in range(2) for gene in "AB"]
    seen = overview(make_network(edges, perturbed=("A", "B", "C")), 0.5)
    words = findings(seen, None)[1]
    assert "5 answer to A alone (a0, a1, a2, …), 4 to B alone, 3 to C alone;" in words
    assert "the largest with more than one regulator: 2 to both A and B" in words
    largest = replace(seen, groups=(seen.groups[-1],))
    assert "more than one regulator" not in findings(largest, None)[1]


def test_equals_of_the_last_that_is_named_are_named_too() -> None:
    counts = {"A": 9, "B": 4, "C": 3, "D": 3, "E": 2}
    seen = overview(
        make_network([(a, f"{a}{k}") for a in counts for k in range(counts[a])], tuple(counts)), 0.5
    )
    hubs, groups = findings(seen, None)
    assert hubs.startswith("A (9), B (4), C (3) and D (3) have most")
    assert "3 to C alone, 3 to D alone. Genes" in groups
    crowd = replace(seen, regulators={**dict.fromkeys("AB", 9), **dict.fromkeys("CDEFGH", 3)})
    assert findings(crowd, None)[0].startswith("A (9), B (9) and C (3) have most")


@pytest.mark.parametrize(
    ("name", "hubs", "groups", "back"),
    [
        (
            "papalexi",
            "JAK2 (29), SMAD4 (17) and STAT1 (8) ",
            "24 answer to JAK2 alone (ANTXR1, PSMB9, TNFRSF14, …), 13 to SMAD4 alone, 5 to BRD4 alone, 5 to "
            "STAT1 alone; the largest with more than one regulator: 3 to both JAK2 and SMAD4.",
            "12 of 70 edges come back in at least half of 20 networks",
        ),
        (
            "run",
            "SIM028 (15), SIM012 (9) and SIM052 (9) ",
            "6 answer to SIM028 alone (SIM056, SIM042, SIM039, …), 4 to both SIM028 and SIM052, 3 to both "
            "SIM011 and SIM035.",
            "59 of 60 come back in at least half of 20 networks",
        ),
    ],
)
def test_what_the_demo_runs_are_said_to_have_found(name: str, hubs: str, groups: str, back: str) -> None:
    run = RunFolder(PROJECT / "assets" / "demo" / name)
    seen = overview(GeneNetwork.from_run(run, measured=False), run.settings().evaluation.threshold)
    told = findings(seen, None)
    for words, line in zip((back, hubs, groups), told, strict=True):
        assert words in line


def test_the_groups_say_how_many_genes_rise_and_fall() -> None:
    network = make_network(EDGES, perturbed=("A", "B", "C", "D"))
    signs = np.zeros(network.weights.shape, dtype=np.int8)
    place = network.panel.index
    signs[place["A"], place["x"]], signs[place["A"], place["y"]], signs[place["B"], place["x"]] = 1, -1, -1
    shared = overview(replace(network, signs=signs), 0.5).groups[0]
    assert {(edge.source, edge.target): edge.sign for edge in shared.edges} == {
        ("A", "x"): 1,
        ("A", "y"): -1,
        ("B", "x"): -1,
        ("B", "y"): 0,
    }


def test_the_picture_draws_regulators_groups_and_signs(seen: Overview) -> None:
    figure = overview_picture(seen)
    written = " ".join(str(text) for trace in figure.data for text in (trace.text or ()))
    for name in ("A", "B", "C", "A, B: 2 genes", "x, y"):
        assert name in written
    assert overview_picture(replace(seen, groups=(), regulators={})).layout.annotations


def drawn_lines(found: Overview, narrow: bool = False) -> list:
    figure = overview_picture(found, narrow)
    return [trace for trace in figure.data if trace.showlegend is False and trace.mode == "lines+markers"]


@pytest.mark.parametrize("name", ["papalexi", "run"])
def test_every_edge_of_a_regulator_that_is_drawn_has_its_line(name: str) -> None:
    run = RunFolder(PROJECT / "assets" / "demo" / name)
    seen = overview(GeneNetwork.from_run(run, measured=False), run.settings().evaluation.threshold)
    lines = drawn_lines(seen)
    for gene, targets in list(seen.regulators.items())[:REGULATORS]:
        assert sum(trace.meta["edges"] for trace in lines if trace.meta["source"] == gene) == targets
    left = len(seen.regulators) - REGULATORS
    assert not_drawn(seen) == (
        f"{left} regulators with fewer targets are on the page Network." if left else ""
    )


def test_small_groups_and_small_regulators_share_a_row_each() -> None:
    edges = [("A", f"a{k}") for k in range(30)] + [
        (f"R{k}", f"{'x' * (k + 1)}{j}") for k in range(14) for j in (0, 1)
    ]
    edges += [("A", f"R{k}") for k in range(14)]
    seen = overview(make_network(edges, ("A", *(f"R{k}" for k in range(14)))), 0.5)
    written = " ".join(str(text) for trace in overview_picture(seen).data for text in (trace.text or ()))
    assert "<b>A: 30 genes</b>" in written
    assert "<b>5 regulators</b><br>with fewer targets" in written
    assert "<b>4 genes</b><br>in 2 small groups" in written
    assert sum(trace.meta["edges"] for trace in drawn_lines(seen) if trace.meta["source"] == "A") == 44


def test_a_line_is_as_faint_as_its_edges_are_unsure() -> None:
    seen = overview(make_network([("A", "x"), ("B", "y")], perturbed=("A", "B")), 0.5)
    often, never = (
        replace(seen.groups[k], edges=(replace(seen.groups[k].edges[0], sure=sure),))
        for k, sure in ((0, 1.0), (1, 0.0))
    )
    opacity = {
        trace.meta["source"]: trace.opacity for trace in drawn_lines(replace(seen, groups=(often, never)))
    }
    script = (PROJECT / "assets" / "network" / "picture.js").read_text()
    assert "(0.22 + 0.73 * sure)" in script, "as the page Network draws it"
    assert opacity == {"A": pytest.approx(0.95), "B": pytest.approx(0.22)}
    run = RunFolder(PROJECT / "assets" / "demo" / "papalexi")
    known = overview(GeneNetwork.from_run(run, measured=False), 0.5)
    sure = {(edge.source, edge.target): edge.sure for edge in known.inner}
    assert (sure["JAK2", "STAT1"], sure["STAT1", "STAT2"]) == (1.0, 0.0), "how often an ensemble has them"


def test_an_edge_between_regulators_comes_back_to_their_column(seen: Overview) -> None:
    (inner,) = [
        trace for trace in drawn_lines(seen) if trace.marker.symbol in BACK.values() and trace.x[-1] < 0.1
    ]
    assert inner.meta == {"source": "A", "edges": 1}
    assert inner.y[-1] < inner.y[0], "from A down to B"


@pytest.mark.parametrize("narrow", [False, True])
def test_numbers_of_edges_stand_apart_from_lines_and_dots(seen: Overview, narrow: bool) -> None:
    figure = overview_picture(seen, narrow)
    numbers = [trace for trace in figure.data if trace.mode == "text"]
    assert [trace.text[0] for trace in numbers] == ["4"], "both regulators, both genes, sign unknown"
    assert max(trace.x[-1] for trace in drawn_lines(seen, narrow)) < numbers[0].x[0] < 1.0


def test_on_a_telephone_the_names_of_regulators_and_groups_have_room(seen: Overview) -> None:
    figure = overview_picture(seen, narrow=True)
    low, high = figure.layout.xaxis.range
    wide = 330 / (high - low)  # pixels between regulators (at 0) and groups (at 1)
    assert -low * wide > 90, "a name of ten letters, its count and half a dot"
    assert (high - 1) * wide > 125, "twenty letters"
    long = [(gene, f"{'y' * 9}{k}") for gene in ("REGULATOR1", "REGULATOR2") for k in range(3)]
    picture = overview_picture(overview(make_network(long, ("REGULATOR1", "REGULATOR2")), 0.5), narrow=True)
    labels = [text for trace in picture.data if trace.mode == "markers+text" for text in trace.text]
    assert "<b>REGUL… +1: 3 genes</b><br>yyyyyyyyy0, yyyyy…" in labels
    assert all(len(line) <= 18 + 7 for text in labels for line in text.split("<br>")), "with <b> and </b>"


def test_the_picture_explains_every_mark_that_it_draws() -> None:
    network = make_network(EDGES, perturbed=("A", "B", "C", "D"))
    known = np.zeros(network.weights.shape, dtype=np.int8)
    place = network.panel.index
    known[place["A"], place["x"]], known[place["A"], place["y"]] = 1, -1
    figure = overview_picture(overview(replace(network, signs=known), 0.5))
    explained = {trace.line.color: trace for trace in figure.data if trace.showlegend is not False}
    drawn = [trace for trace in figure.data if trace.showlegend is False and trace.mode == "lines+markers"]
    assert {trace.line.color for trace in drawn} == set(marks.COLOURS.values()), (
        "each sign, and the unknown one"
    )
    for trace in drawn:
        sign = next(sign for sign, colour in marks.COLOURS.items() if colour == trace.line.color)
        assert trace.marker.symbol in (ENDS[sign], BACK[sign])
        assert trace.line.color in explained
    names = [trace.name for trace in figure.data if trace.showlegend is not False]
    assert names == [entry.words for entry in marks.legend(marks.OVERVIEW)]
    assert names[-2:] == ["number: edges of that sign; wider: more", "faint: low weight"]
    assert "sign unknown" in names


def test_home_and_network_say_the_same_of_a_sign() -> None:
    pictures = (marks.OVERVIEW, marks.MAP, marks.AROUND, marks.MATRIX)
    words = [{entry.mark: entry.words for entry in marks.legend(picture)} for picture in pictures]
    for sign in marks.SIGN_MARKS.values():
        assert len({one[sign] for one in words}) == 1
    for picture in pictures[1:]:
        marked = set(marks.legend(picture, contrary=True)) - set(marks.legend(picture))
        assert [entry.words for entry in marked] == ["sign against the measured effect"]
    assert any("rarely comes back" in entry.words for entry in marks.legend(marks.MAP, certain=True))
    assert any("low weight" in entry.words for entry in marks.legend(marks.MAP, certain=False))


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
