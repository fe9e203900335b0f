"""Figures of the network page: shares add up, every cell is drawn, states are told apart without colour,
names are text.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.network.compare import STATES, compare_networks
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.inspection import Measured
from gpovae_core.network.paths import trace_paths
from gpovae_core.plots import network as figures
from tests.fake_run import HOSTILE


def network_of(weights: np.ndarray, names: tuple[str, ...] = ()) -> GeneNetwork:
    names = names or tuple(f"G{i:03d}" for i in range(len(weights)))
    return GeneNetwork.from_weights(Panel(PanelData(perturbed=names, extended=(), measured=names)), weights)


def measured(control: int = 30, perturbed: int = 20) -> Measured:
    rng = np.random.default_rng(0)
    return Measured(rng.random(control), rng.random(perturbed), 0.1, 0.1, -0.1, 0.3, 0.2, 0.04, None)


@pytest.mark.parametrize("top", [1, 3, 20])
def test_both_bars_add_up_to_the_whole_influence(top: int) -> None:
    trace = trace_paths(network_of(np.random.default_rng(1).random((9, 9))), "G000", "G003", 4, top)
    bars = figures.influence_bars(trace).data
    for row in ("By length of the walk", "By path"):
        assert sum(bar.x[0] for bar in bars if bar.y[0] == row) == pytest.approx(100)
    remainder = [bar for bar in bars if bar.name.startswith("remainder")]
    assert [bar.x[0] for bar in remainder] == pytest.approx([100 * trace.remainder])


def test_no_influence_is_said() -> None:
    trace = trace_paths(network_of(np.zeros((3, 3))), "G000", "G001", 3)
    assert "no influence" in figures.influence_bars(trace).layout.annotations[0].text


def test_every_cell_is_drawn_unless_there_are_too_many() -> None:
    small, large = (
        figures.distributions(measured(), "A", "B"),
        figures.distributions(measured(control=900), "A", "B"),
    )
    assert [len(part.y) for part in small.data] == [30, 20]
    assert [part.points for part in small.data] == ["all", "all"]
    assert [part.points for part in large.data] == [False, "all"]
    assert len(large.data[0].y) == 900
    assert small.layout.yaxis.title.text == figures.EXPRESSION


def test_a_single_cell_has_a_distribution_too() -> None:
    assert len(figures.distributions(measured(1, 1), "A", "B").data) == 2


@pytest.fixture(scope="module")
def two() -> tuple[GeneNetwork, GeneNetwork]:
    rng = np.random.default_rng(3)
    return network_of(rng.random((12, 12))), network_of(rng.random((12, 12)))


def test_states_differ_in_colour_dash_and_number(two: tuple[GeneNetwork, GeneNetwork]) -> None:
    comparison = compare_networks(two[0], 0.7, two[1], 0.7)
    places = {gene: np.array([i, i**2 % 7], dtype=float) for i, gene in enumerate(two[0].panel.genes)}
    figure = figures.comparison_picture(comparison, places)
    lines = {trace.name.split(" ")[0]: trace for trace in figure.data if trace.mode == "lines"}
    assert tuple(lines) == STATES
    for state, trace in lines.items():
        assert int(np.isnan(trace.x).sum()) == comparison.count(state)
    assert len({(t.line.color, t.line.dash, t.line.width) for t in lines.values()}) == 3
    assert len({(t.line.dash, t.line.width) for t in lines.values()}) == 3


def test_genes_without_a_place_and_empty_comparisons(two: tuple[GeneNetwork, GeneNetwork]) -> None:
    comparison = compare_networks(two[0], 0.7, two[1], 0.7)
    assert "Neither network" in figures.comparison_picture(comparison, {}).layout.annotations[0].text


@pytest.mark.parametrize("name", HOSTILE)
def test_names_are_text(name: str) -> None:
    names = tuple(sorted((name, "B", "C")))
    net = network_of(np.full((3, 3), 0.8), names)
    made = [
        figures.influence_bars(trace_paths(net, name, "B", 3)),
        figures.distributions(measured(), name, name),
        figures.comparison_picture(
            compare_networks(net, 0.5, net, 0.5), {gene: np.zeros(2) for gene in names}
        ),
    ]
    for figure in made:
        found = [str(figure.layout.title.text)]
        for trace in figure.data:
            found += [str(trace.name), str(trace.hovertemplate).replace("<extra></extra>", "")]
            for part in (trace.text, trace.customdata, trace.x):
                if part is not None and not np.isscalar(part):
                    found += [str(value).replace("<br>", "") for value in part]
        assert not any("<" in text for text in found)


def test_agreement_of_an_ensemble_keeps_to_the_numbers_of_edges():
    curves = ("jaccard", "jaccard_low", "jaccard_high", "random_jaccard")
    table = pd.DataFrame({"edges": [10, 100], **{name: [0.2, 0.8] for name in curves}})
    figure = figures.stability_chart(table, 65.0)
    assert not figure.layout.annotations, "a label on a log axis would stand at 10 to the power of 65"
    assert {max(trace.x) for trace in figure.data} <= {100, 65.0}
    assert figures.stability_chart(table.head(0), 0.0).layout.annotations[0].text
