"""What the workbench is sent, and what it may say back."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from dashboard.network.component import one_script
from dashboard.network.evidence import MOST_PARTS, forest, of_bundle, pair_message
from dashboard.network.exports import figure_caption
from dashboard.network.message import MOST_EDGES, UNKNOWN, Sight, adjusted_of, changed, network_message
from dashboard.network.panels import threshold_message
from dashboard.network.places import LAYOUT_EDGES, shaping_edges
from dashboard.network.slider import digits, false_edge_rate, on_step, step_below
from gpovae_core.data.gene_sets import shipped_gene_sets
from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.network.agreement import listed_share
from gpovae_core.network.curves import STEPS, steps, threshold_curves
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.inspection import inspect_edge
from gpovae_core.network.measured import MeasuredPairs
from gpovae_core.network.parts import Part, Parts
from gpovae_core.network.references import ReferenceNetwork
from gpovae_core.reporting.trust import MEASURES
from gpovae_core.runs.ensemble import Ensemble


def network(n: int, seed: int = 0) -> GeneNetwork:
    genes = tuple(f"G{i:03d}" for i in range(n))
    return GeneNetwork.from_weights(
        Panel(PanelData(perturbed=genes, extended=(), measured=genes)),
        np.random.default_rng(seed).random((n, n)),
    )


def test_every_gene_has_edges_that_shape_the_layout():
    net = network(30)
    sources, targets, weights = shaping_edges(net.weights, np.arange(30) < 10)
    assert set(targets) == set(range(30))
    assert set(range(10)) <= set(sources)
    assert (sources != targets).all()
    np.testing.assert_array_equal(weights, net.weights[sources, targets])
    for target in range(30):
        strongest = np.argsort(-np.where(np.arange(30) == target, 0, net.weights[:, target]))[:LAYOUT_EDGES]
        assert set(strongest) <= set(sources[targets == target])


@pytest.mark.parametrize("n", [1, 2])
def test_networks_too_small_or_empty_have_no_shape(n):
    assert len(shaping_edges(np.zeros((n, n)), np.ones(n, dtype=bool))[0]) == 0


@pytest.mark.parametrize("top", [1.0, 0.0025, 12.0, 3000.0])
def test_thresholds_fall_on_the_steps_of_the_slider(top):
    for step in (0, 1, 77, STEPS):
        value = step / STEPS * top
        assert on_step(value, top) == pytest.approx(value)
        assert round(on_step(value, top), digits(top)) == pytest.approx(value, abs=top / STEPS / 4)
    assert on_step(2 * top, top) == top


@pytest.mark.parametrize("top", [1.0, 0.3])
def test_a_step_below_still_shows_the_edge(top):
    for weight in np.linspace(0.01, 1, 37) * top:
        below = step_below(float(weight), top)
        assert below < weight
        assert weight - below <= top / STEPS * 1.0001


def test_what_the_browser_counts_is_what_the_network_has():
    net = network(30)
    for loops in (False, True):
        sent = network_message(net, 0.5, loops=loops)
        for step in (0, 50, 120, STEPS):
            assert sent["counts"][step] == len(net.edges(step / STEPS, loops))
        edges = sent["edges"]
        assert len(edges) == min(MOST_EDGES, 30 * (30 if loops else 29))
        assert (edges["source"] == edges["target"]).any() == loops
        assert edges["weight"].is_monotonic_decreasing


def test_edges_without_direct_evidence_are_counted():
    genes = tuple(f"G{i}" for i in range(6))
    net = GeneNetwork.from_weights(
        Panel(PanelData(perturbed=genes[:2], extended=genes[2:], measured=genes)), np.full((6, 6), 0.7)
    )
    sent = network_message(net.with_evidence(), 0.5, whole=net)
    assert (sent["counts"][100], sent["hidden"][100]) == (10, 20)
    assert network_message(net.with_evidence(), 0.5, whole=net, loops=True)["hidden"][100] == 24
    assert network_message(net, 0.5)["hidden"] is None


def test_what_is_not_known_of_an_edge_is_said_to_be_unknown():
    edges = network_message(network(5), 0.5)["edges"]
    assert set(edges["frequency"]) == set(edges["detours"]) == {UNKNOWN}
    assert edges["effect"].isna().all()
    assert set(edges["known"]) == {""}


def test_reference_networks_that_know_an_edge_are_named():
    known = [
        ReferenceNetwork("A", True, {("g000", "g001"): ("",)}),
        ReferenceNetwork("B", False, {("g000", "g001"): ("",)}),
    ]
    edges = network_message(network(4), 0.5, references=known)["edges"]
    names = dict(zip(zip(edges["source"], edges["target"], strict=True), edges["known"], strict=True))
    assert (names[0, 1], names[1, 0], names[0, 2]) == ("A, B", "B", "")
    standing = dict(zip(zip(edges["source"], edges["target"], strict=True), edges["standing"], strict=True))
    assert (standing[0, 1], standing[1, 0], standing[0, 2]) == (1, 1, 0)


def with_effects(effect: np.ndarray, error: float) -> GeneNetwork:
    net = network(len(effect))
    measured = replace(
        MeasuredPairs.nothing(len(effect)),
        effect=effect,
        effect_se=np.full(effect.shape, error),
        cells=np.full(len(effect), 60.0),
    )
    return replace(net, measured=measured)


def test_genes_that_a_perturbation_changes_are_counted_without_itself():
    effect = np.zeros((6, 6))
    effect[0, :4] = 3.0
    net = with_effects(effect, 0.2)
    assert changed(net).tolist() == [3, 0, 0, 0, 0, 0]
    assert network_message(net, 0.5)["genes"]["cells"].tolist() == [60] * 6
    assert set(changed(network(3))) == {UNKNOWN}


def names_and_steps(sent: list[dict]) -> dict[str, int]:
    return {stop["name"]: round(stop["at"] * STEPS) for stop in sent}


def test_stops_follow_the_share_of_false_edges_where_it_is_known():
    net = network(40)
    rate = [0.6 - 0.003 * step for step in range(STEPS + 1)]
    found = names_and_steps(network_message(net, 0.5, false_rate=rate)["stops"])
    assert rate[found["strict"]] <= 0.01 < rate[found["strict"] - 1]
    assert found["default"] == 100
    far = [0.5 if step < 40 else 0.25 for step in range(STEPS + 1)]
    assert names_and_steps(network_message(net, 0.5, false_rate=far)["stops"])["generous"] == 40


@pytest.mark.parametrize("rate", [None, [None] * (STEPS + 1), [0.9] * (STEPS + 1)])
def test_stops_are_numbers_of_edges_where_it_is_not(rate):
    net = network(40)
    stops = {stop["name"]: stop for stop in network_message(net, 0.8, false_rate=rate)["stops"]}
    assert stops["strict"]["edges"] <= stops["default"]["edges"] / 3
    assert stops["generous"]["edges"] >= 3 * stops["default"]["edges"]
    for stop in stops.values():
        assert stop["edges"] == net.count_edges([stop["at"]])[0]


def test_the_strict_stop_leaves_edges_where_there_are_any():
    genes = tuple("ABCD")
    weights = np.where(np.eye(4, dtype=bool), 0.0, 0.97)
    net = GeneNetwork.from_weights(Panel(PanelData(perturbed=genes, extended=(), measured=genes)), weights)
    stops = {stop["name"]: stop["edges"] for stop in network_message(net, 0.5)["stops"]}
    assert stops["strict"] == stops["default"] == 12


@pytest.mark.parametrize("weights", [np.zeros((3, 3)), np.ones((3, 3)), np.zeros((1, 1))])
def test_flat_networks_have_stops_too(weights):
    genes = tuple(f"G{i}" for i in range(len(weights)))
    net = GeneNetwork.from_weights(Panel(PanelData(perturbed=genes, extended=(), measured=genes)), weights)
    assert len(network_message(net, 0.5)["stops"]) == 3


def test_edges_whose_sign_is_not_that_of_their_effect_are_marked():
    net = network(4)
    strength = np.ones((4, 4))
    effect = np.full((4, 4), -0.5)  # all fall, as is meant by activation: two do not
    effect[0, 1], effect[2, 3], effect[1, 0] = 0.4, 0.1, np.nan
    measured = replace(MeasuredPairs.nothing(4), effect=effect)
    signed = replace(net, strength=strength, measured=measured)

    def marked(own: np.ndarray | None) -> set[tuple[int, int]]:
        edges = network_message(signed, 0.5, own_change=own)["edges"]
        return set(map(tuple, edges.query("contrary == 1")[["source", "target"]].to_numpy().tolist()))

    assert marked(np.full(4, -2.0)) == {(0, 1), (2, 3)}
    assert marked(np.array([1.0, -2.0, -2.0, -2.0])) == {(0, 2), (0, 3), (2, 3)}  # G000 is activated
    assert marked(None) == set()


def test_the_words_of_trust_and_what_was_left_out_go_to_the_browser():
    net = network(4)
    sent = network_message(net, 0.5, left_out="2 were left out.")
    assert sent["left_out"] == "2 were left out."
    assert sent["members"] is None
    assert [one["key"] for one in json.loads(json.dumps(sent["trust"]))["measures"]] == [
        one.key for one in MEASURES
    ]
    often = np.ones((4, 4))
    ensemble = Ensemble(often, often, often, often, 20, 0.5, "both", 0, 2.0, pd.DataFrame())
    sent = network_message(replace(net, ensemble=ensemble), 0.5)
    assert (sent["members"], sent["member_edges"]) == (20, "2 edges on average (W above 0.5)")


def test_ways_that_cancel_are_said_by_what_each_would_make_of_the_target():
    weights = np.zeros((3, 3))
    weights[0, 1] = weights[1, 2] = weights[0, 2] = 1.0
    strength = np.zeros((3, 3))
    strength[0, 1] = strength[1, 2] = 0.5
    strength[0, 2] = -0.26
    genes = tuple("ABC")
    net = GeneNetwork.from_weights(Panel(PanelData(perturbed=genes, extended=(), measured=genes)), weights)
    found = inspect_edge(replace(net, strength=strength), "A", "C")
    said = pair_message(found, net, own_change=-2.0)
    assert said["ways"] == "Ways, and what each alone would make of C"
    told = {"".join(path["genes"]): path["share"] for path in said["paths"]}
    assert told == {"ABC": f"x {np.exp(-2 * 0.25):.2f}", "AC": f"x {np.exp(2 * 0.26):.2f}"}
    by_share = pair_message(found, net)
    assert by_share["ways"] == "Ways, by their share of the influence"
    assert by_share["paths"][0]["share"].endswith(" %")


def test_tests_come_in_the_order_of_the_edges():
    net = network(4)
    adjusted = np.arange(16.0).reshape(4, 4) / 16
    adjusted[0, 1] = np.nan
    tested = replace(net, measured=replace(MeasuredPairs.nothing(4), p_adjusted=adjusted))
    edges = network_message(net, 0.5)["edges"]
    sent = adjusted_of(edges, tested)
    for source, target, p in zip(edges["source"], edges["target"], sent, strict=True):
        assert p == (None if (source, target) == (0, 1) else adjusted[source, target])
    assert set(adjusted_of(edges, net)) == {None}


def test_a_sight_can_be_sent_as_json():
    said = Sight(0.5, gene="A", bundle=("A", "B"), mark=("C",)).message()
    assert json.loads(json.dumps(said))["bundle"] == ["A", "B"]


def test_a_pair_is_answered_in_a_sentence_with_its_ways():
    n = 4
    weights = np.zeros((n, n))
    weights[0, 1] = weights[1, 2] = 0.9
    weights[0, 2] = 0.3
    genes = tuple("ABCD")
    net = GeneNetwork.from_weights(Panel(PanelData(perturbed=genes, extended=(), measured=genes)), weights)
    said = pair_message(inspect_edge(net, "A", "C"), net)
    assert said["of"] == ["A", "C"]
    assert "through B" in said["answer"]
    assert [path["genes"] for path in said["paths"]] == [["A", "B", "C"], ["A", "C"]] or [
        path["genes"] for path in said["paths"]
    ] == [["A", "C"], ["A", "B", "C"]]
    assert said["cells"] is None
    assert said["sections"][0]["kind"] == "doubt"


def test_a_way_over_an_edge_that_seldom_comes_back_is_doubted():
    weights = np.zeros((3, 3))
    weights[0, 1] = weights[1, 2] = 0.9
    genes = tuple("ABC")
    net = GeneNetwork.from_weights(Panel(PanelData(perturbed=genes, extended=(), measured=genes)), weights)
    often = np.where(weights > 0, 0.95, 0.0)
    for again in (0.35, 0.5):
        often[1, 2] = again
        told = replace(
            net, ensemble=Ensemble(often, often, often, often, 20, 0.5, "both", 0, 2.0, pd.DataFrame())
        )
        said = pair_message(inspect_edge(told, "A", "C"), told)["answer"]
        assert ("Not sure: B → C" in said, "35 % of 20" in said) == (again < 0.5, again < 0.5)


def test_gene_sets_are_no_surer_than_the_edges_that_they_rest_on():
    interferon = ("GBP1", "IFIT1", "IFIT3", "ISG15", "OAS1", "MX1", "IFI35", "STAT1")
    others = tuple(sorted(set().union(*(one.genes for one in shipped_gene_sets())) - {*interferon, "JAK2"}))
    genes = ("JAK2", *interferon, *others[:: len(others) // 150])
    weights = np.zeros((len(genes), len(genes)))
    weights[0, 1:9] = 1.0
    panel = Panel(PanelData(perturbed=genes[:1], extended=genes[1:], measured=genes))
    net = GeneNetwork.from_weights(panel, weights)
    often = np.zeros_like(weights)
    [alone] = of_bundle(net, ["JAK2"], 0.5)["sections"]
    assert "Interferon" in alone["lines"][0]
    for sure in (3, 4):
        often[0, 1 : 1 + sure] = 0.5
        ensemble = Ensemble(often, often, often, often, 20, 0.5, "both", 0, 2.0, pd.DataFrame())
        [told] = of_bundle(replace(net, ensemble=ensemble), ["JAK2"], 0.5)["sections"]
        doubt = told["lines"][: len(told["lines"]) - len(alone["lines"])]
        assert told["lines"][len(doubt) :] == alone["lines"]
        assert [line.split(" edges")[0] for line in doubt] == ["A hint at most: 3 of the 8"] * (sure == 3)


def test_modules_become_one_script_without_imports():
    one = one_script(
        [
            "export const a = 1;\n",
            'import { a } from "./a.js";\n\nexport default function f() {\n  return a;\n}\n',
        ]
    )
    assert "import" not in one
    assert "export const" not in one
    assert "export default function" in one


def test_the_chart_has_what_is_known():
    net = network(12)
    sent = threshold_message(threshold_curves(net), net, 0.5, None)
    assert [panel["title"] for panel in sent["panels"]] == ["Edges left", "Genes with an edge"]
    assert (sent["step"], sent["pinned"], sent["scale"]) == (100, -1, 1.0)
    rates = pd.DataFrame({"threshold": [0.8, 0.2], "estimated_false_edge_rate": [0.1, 0.7]})
    more = threshold_message(threshold_curves(net), net, 0.5, 0.25, rates)
    assert more["pinned"] == 50
    rate = more["panels"][-1]["values"]
    assert (rate[0], rate[40], rate[160], rate[200]) == (None, pytest.approx(0.7), pytest.approx(0.1), None)
    assert rate[100] == pytest.approx(0.4)
    known = ReferenceNetwork("A", True, {("g000", "g001"): ("",), ("g000", "g005"): ("",)})
    with_table = threshold_message(
        threshold_curves(net), net, 0.5, None, None, [listed_share(net, known, steps(net))]
    )
    assert with_table["panels"][-1]["title"] == "Listed in A"
    assert len(with_table["panels"][-1]["values"]) == 201
    assert all(value is None or np.isfinite(value) for panel in sent["panels"] for value in panel["values"])


def test_a_false_edge_rate_is_of_w_only():
    rates = pd.DataFrame({"threshold": [0.2], "estimated_false_edge_rate": [0.1]})
    assert false_edge_rate(None, network(4)) is None
    assert false_edge_rate(rates, network(4).influence_network(3)) is None
    assert false_edge_rate(rates.iloc[:0], network(4)) is None


# An edge, part by part --------------------------------------------------------------------------------------


def test_parts_of_an_edge_are_drawn_with_words_and_the_odd_one_whatever_its_size():
    parts = tuple(Part(f"g{k:02d}", 100 - k, -1.0, -1.2, -0.8) for k in range(19))
    odd = Part("g19", 6, 0.3, float("nan"), float("nan"))
    said = forest(Parts("guide", (*parts, odd), Part("all", 1800, -0.9, -1.0, -0.8), 2, 1e-5, 19))
    json.dumps(said, allow_nan=False)
    assert said["title"] == "By guide"
    assert len(said["rows"]) == MOST_PARTS
    assert [row["name"] for row in said["rows"] if row["odd"]] == ["g19"]
    assert said["rows"][0]["name"] == "g00"
    assert said["more"] == f"and {20 - MOST_PARTS} more, with fewer cells"
    assert said["whole"]["cells"] == 1800
    assert "One of 20 guides disagrees: g19" in said["words"]
    assert "2 guides with too few cells left out" in said["words"]


def test_an_edge_without_parts_has_none_in_its_card():
    net = network(4)
    assert pair_message(inspect_edge(net, "G000", "G001"), net)["parts"] == []


def test_perturbations_without_controls_are_sent_by_number() -> None:
    net = network(4)
    name = net.panel.genes[2]
    assert network_message(net, 0.5, without_controls=(name, "elsewhere"))["without_controls"] == [2]
    assert network_message(net, 0.5)["without_controls"] == []


@pytest.mark.parametrize(
    ("direct", "told"),
    [
        (0.65, "35 % of 20 networks of other draws of the cells, the direct edge in 65 %: other draws put"),
        (0.45, "35 % of 20 networks of other draws of the cells, the direct edge in 45 %."),
        (0.35, "35 % of 20 networks of other draws of the cells."),
        (0.2, "35 % of 20 networks of other draws of the cells."),
    ],
)
def test_a_direct_edge_that_comes_back_more_often_than_the_largest_way_is_named(direct: float, told: str):
    weights = np.zeros((3, 3))
    weights[0, 1] = weights[1, 2] = 0.9
    weights[0, 2] = 0.1
    genes = tuple("ABC")
    net = GeneNetwork.from_weights(Panel(PanelData(perturbed=genes, extended=(), measured=genes)), weights)
    often = np.array([[0.0, 0.95, direct], [0.0, 0.0, 0.35], [0.0, 0.0, 0.0]])
    told_again = Ensemble(often, often, often, often, 20, 0.5, "both", 0, 2.0, pd.DataFrame())
    net = replace(net, ensemble=told_again)
    assert told in pair_message(inspect_edge(net, "A", "C"), net)["answer"]


def test_the_caption_of_a_figure_says_how_many_edges_are_shown():
    scene: Any = SimpleNamespace(run=SimpleNamespace(name="mine"), network=network(3), above="W above 0.5")
    assert figure_caption(scene, 12, 12, None, None) == "mine: network with W above 0.5, 12 edges."
    assert figure_caption(scene, 12, 5, "STAT1", None).endswith("12 edges; shown: 5 of them around STAT1.")
    assert figure_caption(scene, 12, 12, "STAT1", None).endswith("12 edges; shown around STAT1.")
    assert figure_caption(scene, 1200, 1000, None, "other").endswith(
        "1,200 edges; shown: 1,000 of them. Beside other."
    )
