"""What the picture is sent: the edges around a gene, nearest and strongest first where there are too many."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dashboard.network.drawing import (
    LAYOUT_EDGES,
    MARGIN,
    MOST_AROUND,
    MOST_EDGES,
    Sight,
    ego_edges,
    layout,
    message,
    picture,
    shaping_edges,
)
from dashboard.network.panels import threshold_message
from dashboard.network.slider import digits, false_edge_rate, on_step, step_below
from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.network.curves import STEPS, threshold_curves
from gpovae_core.network.grn import GeneNetwork


def network(n: int, seed: int = 0) -> GeneNetwork:
    genes = tuple(f"G{i:03d}" for i in range(n))
    return GeneNetwork.from_weights(
        Panel(PanelData(perturbed=genes, extended=(), measured=genes)),
        np.random.default_rng(seed).random((n, n)),
    )


def test_few_edges_all_come_with_a_margin_below_the_threshold():
    net = network(8)
    edges, floor, around = ego_edges(net, "G000", 2, "both", 0.5)
    assert floor == pytest.approx(0.5 - MARGIN)
    assert edges["weight"].min() > floor
    assert around == (edges["weight"] > 0.5).sum()


def test_many_edges_are_cut_to_the_nearest_and_strongest():
    net = network(100)
    edges, floor, around = ego_edges(net, "G007", 2, "out", 0.5)
    assert len(edges) == MOST_AROUND
    assert floor == 0.5
    assert around > MOST_AROUND
    assert edges["weight"].is_monotonic_decreasing
    own = {f"G{i:03d}" for i in np.flatnonzero(net.weights[7] > 0.5) if i != 7}
    assert own <= set(edges.loc[edges["source"] == "G007", "target"])  # none of the gene's own edges is cut
    others = edges[(edges["source"] != "G007") & (edges["target"] != "G007")]
    assert others["weight"].min() > 0.9  # of the rest only the strongest


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


def whole(**more):
    return Sight("whole", None, 2, "both", 0.5, **more)


def test_the_graph_travels_once():
    net = network(20)
    shown = picture(net, layout(net))
    first = message(shown, net, "run", whole())
    again = message(shown, net, "run", whole(), first["version"])
    assert {"genes", "edges", "counts", "facts"} <= set(first)
    assert not {"genes", "edges", "counts", "facts"} & set(again)
    assert again["view"] == first["view"]
    other = message(shown, net, "run", Sight("ego", "G003", 2, "both", 0.5), first["version"])
    assert "edges" in other


def test_what_the_browser_counts_is_what_the_network_has():
    net = network(30)
    for self_loops in (False, True):
        shown = picture(net, layout(net), self_loops)
        for step in (0, 50, 120, STEPS):
            assert shown.counts[step] == len(net.edges(step / STEPS, self_loops))
        assert len(shown.edges) == min(MOST_EDGES, 30 * (30 if self_loops else 29))
        assert (shown.edges["source"] == shown.edges["target"]).any() == self_loops


def test_edges_without_direct_evidence_are_counted():
    genes = tuple(f"G{i}" for i in range(6))
    net = GeneNetwork.from_weights(
        Panel(PanelData(perturbed=genes[:2], extended=genes[2:], measured=genes)), np.full((6, 6), 0.7)
    )
    shown = picture(net, layout(net))
    assert (shown.counts[100], shown.indirect[100]) == (30, 20)
    assert picture(net, layout(net), self_loops=True).indirect[100] == 24


def test_paths_edge_and_communities_are_sent_by_number():
    net = network(5)
    paths = (("G000", "G002", "G001"), ("G000", "G002", "G003", "G001"))
    view = message(
        picture(net, layout(net)),
        net,
        "run",
        whole(
            path=paths[0],
            paths=paths,
            edge=("G004", "G000"),
            goal="G001",
            members=np.array([0, 0, 1, -1, 1]),
            highlight=1,
        ),
    )["view"]
    assert view["path"] == [[0, 2], [2, 1]]
    assert view["paths"] == [[0, 2], [2, 1], [2, 3], [3, 1]]
    assert (view["edge"], view["goal"], view["members"], view["highlight"]) == (
        [4, 0],
        1,
        [0, 0, 1, -1, 1],
        1,
    )


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
    assert all(value is None or np.isfinite(value) for panel in sent["panels"] for value in panel["values"])


def test_a_false_edge_rate_is_of_w_only():
    rates = pd.DataFrame({"threshold": [0.2], "estimated_false_edge_rate": [0.1]})
    assert false_edge_rate(None, network(4)) is None
    assert false_edge_rate(rates, network(4).influence_network(3)) is None
    assert false_edge_rate(rates.iloc[:0], network(4)) is None
