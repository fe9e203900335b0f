"""Figures for a paper: exact widths, letters that can be read and edited, charts drawn again whole, nothing
from a browser taken on trust.
"""

from __future__ import annotations

import io
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from PIL import Image
from typer.testing import CliRunner

from gpovae_core.cli import app
from gpovae_core.errors import QueryError
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.plots import paper, theme
from gpovae_core.plots.paper import (
    LEAST_LETTER,
    LEAST_POINTS,
    WIDTHS,
    Drawing,
    Stroke,
    drawing_bytes,
    read_keys,
    read_strokes,
    units,
)
from gpovae_core.plots.paper_chart import chart_bytes
from gpovae_core.plots.paper_network import MOST_GROUPS, network_drawing
from gpovae_core.plots.whatif import departures, scenarios
from tests.fake_run import HOSTILE, make_fake_run

MM = 72 / 25.4


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> GeneNetwork:
    folder = tmp_path_factory.mktemp("run") / "r"
    return GeneNetwork.from_run(make_fake_run(folder, n_perturbed=8, n_extended=6, n_measured=14))


def size_mm(made: bytes, form: str) -> tuple[float, float]:
    """Width and height of a file in millimetres."""
    if form == "png":
        image = Image.open(io.BytesIO(made))
        return image.width / image.info["dpi"][0] * 25.4, image.height / image.info["dpi"][1] * 25.4
    if form == "svg":
        sides = [re.search(rb'<svg[^>]* %s="([\d.]+)pt"' % side, made) for side in (b"width", b"height")]
        assert sides[0] is not None
        assert sides[1] is not None
        return float(sides[0][1]) / MM, float(sides[1][1]) / MM
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+)", made)
    assert box is not None
    return float(box[1]) / MM, float(box[2]) / MM


def letters(svg: bytes) -> list[float]:
    """Heights of the letters of an SVG, in points (matplotlib writes px for these)."""
    return [float(one) for one in re.findall(rb"font-size: ([\d.]+)px", svg)]


@pytest.mark.parametrize("form", list(paper.FORMATS))
@pytest.mark.parametrize("width", WIDTHS)
def test_a_figure_has_exactly_the_width_that_was_asked(network: GeneNetwork, form: str, width: int) -> None:
    made = drawing_bytes(network_drawing(network, 0.3, None, width), form, width)
    assert size_mm(made, form)[0] == pytest.approx(width, abs=0.2)


@pytest.mark.parametrize("width", [*WIDTHS, 60])
def test_no_letter_is_smaller_than_six_points(network: GeneNetwork, width: float) -> None:
    drawn = network_drawing(network, 0.3, None, width)
    found = letters(drawing_bytes(drawn, "svg", width))
    assert len(found) >= 15
    assert min(found) >= LEAST_POINTS - 0.01
    assert pytest.approx(LEAST_POINTS) == LEAST_LETTER * paper.UNIT
    assert drawn.width == pytest.approx(units(width))


def test_names_stay_text_and_no_formula_is_read() -> None:
    strokes = tuple(
        Stroke("text", ((10.0, 20.0 + 15 * k),), size=(11,), words=name, halo=True)
        for k, name in enumerate([*HOSTILE, "$x^2$", "a_b^c"])
    )
    svg = drawing_bytes(Drawing(300, 200, strokes, caption="$y$ & <b>"), "svg", 85).decode()
    assert "<script" not in svg
    assert "<img" not in svg
    assert "$x^2$" in svg
    assert "$y$ &amp; &lt;b&gt;" in svg
    for form in paper.FORMATS:
        assert drawing_bytes(Drawing(300, 200, strokes), form, 85)


def test_letters_of_a_pdf_are_embedded_and_facts_travel_inside(network: GeneNetwork) -> None:
    made = drawing_bytes(network_drawing(network, 0.3), "pdf", 85)
    assert made.startswith(b"%PDF")
    assert b"/FontFile2" in made
    assert b"/Type3" not in made
    again = drawing_bytes(network_drawing(network, 0.3), "pdf", 85)
    assert made == again, "the same figure is the same file"
    png = Image.open(io.BytesIO(drawing_bytes(network_drawing(network, 0.3), "png", 85)))
    assert json.loads(png.info["Description"])["threshold"] == 0.3


def test_caption_and_legend_say_what_is_drawn(network: GeneNetwork) -> None:
    drawn = network_drawing(network, 0.3)
    edges = network.edges(0.3)
    evidence = dict(zip(network.panel.genes, network.has_evidence, strict=True))
    kept = edges.loc[edges["source"].map(evidence) & (edges["source"] != edges["target"])]
    assert f"{len(kept):,} direct edges with W above 0.3" in drawn.caption
    assert {key.words.split(":")[0] for key in drawn.legend} >= {"activates", "represses", "faint"}
    words = {stroke.words for stroke in drawn.strokes if stroke.kind == "text"}
    assert set(map(str, kept["source"].unique())) <= words | {word.rstrip("…") for word in words}
    lines = [stroke for stroke in drawn.strokes if stroke.kind == "curve"]
    assert 0 < len(lines) <= len(kept)


def test_only_the_edges_of_a_gene(network: GeneNetwork) -> None:
    gene = str(network.edges(0.3).iloc[0]["source"])
    drawn = network_drawing(network, 0.3, gene)
    assert f"out of and into {gene}" in drawn.caption
    assert len(drawn.strokes) < len(network_drawing(network, 0.3).strokes)


def test_edges_with_a_sign_against_their_effect_have_an_asterisk(network: GeneNetwork) -> None:
    plain = network_drawing(network, 0.3)
    evidence = dict(zip(network.panel.genes, network.has_evidence, strict=True))
    edges = network.edges(0.3)
    first = edges.loc[edges["source"].map(evidence)].iloc[0]
    contrary = np.zeros(network.weights.shape, dtype=bool)
    contrary[network.panel.index[first["source"]], network.panel.index[first["target"]]] = True
    marked = network_drawing(network, 0.3, contrary=contrary)
    star = [stroke for stroke in marked.strokes if stroke not in plain.strokes]
    assert [stroke.kind for stroke in star] == ["circle", "path", "path", "path"]
    ends = np.array([point for stroke in star[1:] for point in stroke.points])
    np.testing.assert_allclose(ends.mean(axis=0), star[0].points[0])
    said = [key.words for key in marked.legend if key not in plain.legend]
    assert said == ["sign against the measured effect"]
    contrary[:] = False
    assert network_drawing(network, 0.3, contrary=contrary) == plain
    assert drawing_bytes(marked, "svg", 85)


def test_an_empty_network_is_refused(network: GeneNetwork) -> None:
    with pytest.raises(QueryError, match="leaves no edge"):
        network_drawing(network, 1.0)
    with pytest.raises(QueryError):
        network_drawing(network, 0.3, "NOSUCH")


def test_what_has_no_room_is_counted_in_the_caption(network: GeneNetwork, monkeypatch: Any) -> None:
    monkeypatch.setattr("gpovae_core.plots.paper_network.MOST_GROUPS", 1)
    monkeypatch.setattr("gpovae_core.plots.paper_network.MOST_REGULATORS", 5)
    drawn = network_drawing(network, 0.3)
    assert "regulators with fewer targets" in drawn.caption
    assert "targets in small groups" in drawn.caption
    assert MOST_GROUPS > 2


@pytest.mark.parametrize(
    ("form", "width"), [("gif", 85), ("", 85), ("pdf", 5), ("pdf", 1e9), ("pdf", np.nan)]
)
def test_forms_and_widths_that_nobody_prints_are_refused(form: str, width: float) -> None:
    with pytest.raises(QueryError, match="A figure is"):
        drawing_bytes(Drawing(10, 10, ()), form, width)


def test_the_command_writes_a_figure(tmp_path: Path) -> None:
    run = make_fake_run(tmp_path / "run", n_perturbed=6, n_extended=4, n_measured=9)
    out = tmp_path / "net.pdf"
    options = ["figure", str(run.path), "--out", str(out), "--width", "114", "--threshold", "0.3", "--json"]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["width_mm"] == 114
    assert size_mm(out.read_bytes(), "pdf")[0] == pytest.approx(114, abs=0.2)
    wrong = CliRunner().invoke(app, ["figure", str(run.path), "--out", str(tmp_path / "net.gif")])
    assert isinstance(wrong.exception, QueryError)
    assert not (tmp_path / "net.gif").exists()


# Strokes of a browser ---------------------------------------------------------------------------------------

CURVE = {"kind": "curve", "points": [[0, 0], [5, 5], [9, 9]], "line": "#0072B2", "width": 1.4, "alpha": 0.5}
TEXT = {"kind": "text", "points": [[1, 2]], "size": [11], "fill": "#1A1A1A", "words": "STAT1", "halo": True}


def test_strokes_of_the_pen_are_read_as_they_are() -> None:
    rect = {"kind": "rect", "points": [[1, 2]], "size": [3, 4], "fill": "#FFFFFF", "line": "", "width": 0}
    found = read_strokes([CURVE, TEXT, rect])
    assert [one.kind for one in found] == ["curve", "text", "rect"]
    assert found[0].line == "#0072B2"
    assert found[1].words == "STAT1"
    assert found[1].halo
    assert found[2].size == (3.0, 4.0)
    assert drawing_bytes(Drawing(20, 20, found), "svg", 85)


def test_entries_of_a_legend_that_a_browser_sends_are_words_and_colours() -> None:
    (key,) = read_keys([["only here: 7", "#A08600"]])
    assert (key.words, key.colour) == ("only here: 7", "#A08600")
    assert read_keys("nothing") == ()
    for wrong in ([["a"]], [["a", 7]], [["a", "url(x)"]], [["a", "#FFFFFF"]] * 13, [7]):
        with pytest.raises(QueryError, match="legend"):
            read_keys(wrong)


@pytest.mark.parametrize(
    "stroke",
    [
        None,
        7,
        {},
        {**CURVE, "kind": "image"},
        {**CURVE, "points": [[0, 0]]},
        {**CURVE, "points": [[0, 0], [1, float("nan")], [2, 2]]},
        {**CURVE, "points": [[0, 0], [1, "2"], [2, 2]]},
        {**CURVE, "points": [[0, 0, 0], [1, 1, 1], [2, 2, 2]]},
        {**CURVE, "points": "abc"},
        {**CURVE, "line": "url(http://x)"},
        {**CURVE, "line": 7},
        {**CURVE, "alpha": 3},
        {**CURVE, "width": True},
        {**TEXT, "words": ["a"]},
        {**TEXT, "size": []},
        {"kind": "circle", "points": [[0, 0]], "size": []},
    ],
)
def test_what_is_no_stroke_is_refused(stroke: object) -> None:
    with pytest.raises(QueryError, match="Stroke 0"):
        read_strokes([stroke])
    with pytest.raises(QueryError):
        read_strokes(stroke if stroke else "x")


def test_too_many_strokes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paper, "MOST_STROKES", 1)
    with pytest.raises(QueryError, match="at most 1"):
        read_strokes([CURVE, CURVE])


# Charts -----------------------------------------------------------------------------------------------------


def chart() -> go.Figure:
    table = pd.DataFrame(
        {
            "gene": ["A", "$B$", "<b>C"],
            "effect": [-1.0, 0.4, 0.1],
            "low": [-1.2, 0.2, -0.1],
            "high": [-0.8, 0.6, 0.3],
            "additive": [-1.1, 0.5, 0.1],
            "measured": [-0.9, 0.3, 0.0],
            "measured_se": [0.1, 0.1, 0.1],
            "perturbed": [True, False, False],
        }
    )
    return scenarios({"one": table, "two": table.drop(columns="additive")})


@pytest.mark.parametrize("form", list(paper.FORMATS))
@pytest.mark.parametrize("width", WIDTHS)
def test_a_chart_has_the_width_that_was_asked_and_readable_letters(form: str, width: int) -> None:
    made = chart_bytes(chart(), form, width, "What was asked.")
    assert size_mm(made, form)[0] == pytest.approx(width, abs=0.2)
    if form == "svg":
        assert min(letters(made)) >= LEAST_POINTS - 0.01


def test_a_chart_keeps_its_words() -> None:
    svg = chart_bytes(chart(), "svg", 174, "A caption.").decode()
    for words in ("Predicted, model's spread", "Sum of the single knock-downs", "one", "two", "A caption."):
        assert words in svg
    assert "$B$" in svg
    assert "&lt;b&gt;C" in svg
    assert theme.EFFECT_UNIT in svg


def test_values_of_a_chart_are_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The paths of the lines hold the numbers, after the scale of the axes."""
    figure = go.Figure()
    figure.add_scatter(x=[0, 1, 2, 4], y=[0, 1, 4, 16], mode="lines", name="line")
    figure.add_bar(x=[1, 2], y=[3, -2], name="bars", error_y={"array": [0.5, 0.5]})
    figure.update_xaxes(range=[0, 4])
    figure.update_yaxes(range=[-4, 16])
    drawn: dict[str, np.ndarray] = {}
    from matplotlib.axes import Axes

    plot, bar = Axes.plot, Axes.bar

    def keep(self: Any, *args: Any, **options: Any) -> Any:
        drawn["line"] = np.stack(args[:2])
        return plot(self, *args, **options)

    def keep_bar(self: Any, *args: Any, **options: Any) -> Any:
        drawn["bar"], drawn["limits"] = np.asarray(args[1]), np.array([0.0])
        return bar(self, *args, **options)

    monkeypatch.setattr(Axes, "plot", keep)
    monkeypatch.setattr(Axes, "bar", keep_bar)
    assert chart_bytes(figure, "svg")
    np.testing.assert_array_equal(drawn["line"], [[0, 1, 2, 4], [0, 1, 4, 16]])
    np.testing.assert_array_equal(drawn["bar"], [3, -2])


def test_kinds_of_traces_that_the_pages_have() -> None:
    figure = go.Figure()
    figure.add_violin(x=["a"] * 20, y=np.linspace(0, 1, 20), name="v")
    figure.add_annotation(text="<b>note</b>", x=0, y=0.5)
    assert b"note" in chart_bytes(figure, "svg")
    heat = go.Figure(go.Heatmap(z=[[1, -1], [None, 0.5]], x=["a", "b"], y=["c", "d"]))
    assert chart_bytes(heat, "png")
    log = go.Figure(go.Scatter(x=[1, 10, 100], y=[1, 2, 3]))
    log.update_xaxes(type="log", range=[0, 2])
    svg = chart_bytes(log, "svg").decode()
    assert ">100<" in svg
    assert "mathdefault" not in svg
    assert b"no effect here" in chart_bytes(theme.empty("t", "There is no effect here."), "svg")


def test_a_trace_that_is_not_drawn_is_said_so() -> None:
    with pytest.raises(QueryError, match="'pie'"):
        chart_bytes(go.Figure(go.Pie(values=[1, 2])), "pdf")


def test_every_figure_of_departures_is_drawn() -> None:
    table = pd.DataFrame(
        {
            "gene": [f"G{k}" for k in range(30)],
            "additive": np.linspace(-1, 1, 30),
            "both": np.linspace(-1, 1.2, 30),
            "departure": np.linspace(0, 0.2, 30),
            "error": 0.1,
            "non_additive": [False] * 28 + [True] * 2,
            "perturbed": False,
        }
    )
    from gpovae_core.questions.interactions import Interaction

    made = chart_bytes(departures(Interaction("A+B", table, None, {}), "A+B"), "svg").decode()
    assert "Non-additive (2)" in made
    assert "G29" in made


def test_a_pdf_of_a_chart_embeds_its_letters() -> None:
    made = chart_bytes(chart(), "pdf", 85)
    assert b"/FontFile2" in made
    assert zlib.crc32(made) == zlib.crc32(chart_bytes(chart(), "pdf", 85))
