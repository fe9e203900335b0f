from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd

from gpovae_core.evaluation.network_scores import Curve, Matched
from gpovae_core.evaluation.scores import Line
from gpovae_core.plots import benchmark

CURVES = {
    "w": Curve(mu_wd=(0.9, 0.5), bh_share=(0.8, None)),
    "random": Curve(mu_wd=(0.1, 0.1)),
    "<b>x</b>": Curve(mu_wd=(1.0, 1.0)),
}
MATCHED = Matched(edges=(10, 300), as_measured=CURVES)


def line(name: str, share: float | None, rival_share: float | None) -> Line:
    return Line(
        "response",
        "k",
        name,
        "",
        0.5,
        0.0,
        "chance",
        0.6,
        "training mean",
        1.0,
        share,
        rival_share,
        "3 cells",
    )


def test_shares_of_scores_without_a_ceiling_are_left_out():
    figure = benchmark.share_bars(
        [line("<i>one</i>", 0.5, 0.7), line("two", None, None), line("far", 9.0, -9.0)]
    )
    rival, own = figure.data
    assert list(own.x) == [200, 50]
    assert list(rival.x) == [-100, 70]
    assert "&lt;i&gt;one" in own.y[1]
    assert "No score" in benchmark.share_bars([]).layout.annotations[0].text


def test_a_share_above_the_ceiling_is_written_beside_its_mark_and_explained():
    figure = benchmark.share_bars([line("past", 1.13, 0.2), line("rounded", 1.004, 0.2)])
    own = next(trace for trace in figure.data if trace.name == "this run")
    assert [text.strip() for text in own.text] == ["", "113 %"]
    assert "the ceiling is an estimate and can be passed" in own.hovertext[1]
    assert "can be passed" not in own.hovertext[0]
    assert figure.layout.xaxis.range[1] > 113, "room for the words"


def test_a_row_without_another_method_says_so():
    figure = benchmark.share_bars([line("alone", 0.9, None), line("both", 0.2, 0.5)])
    (said,) = [trace for trace in figure.data if trace.mode == "text"]
    assert list(said.y) == ["alone"]
    assert benchmark.ALONE in said.text[0]
    assert len(benchmark.share_bars([line("both", 0.2, 0.5)]).data) == 2


def test_a_row_is_named_for_whoever_knows_no_score_and_explained_on_hover():
    scored = replace(line("ATE-rho", 0.5, 0.7), key="ate_rho", meaning="how <i>alike</i>")
    figure = benchmark.share_bars([scored])
    assert list(figure.data[0].y) == ["Correlation, all effects"]
    for trace in figure.data:
        assert "ATE-rho:<br>how &lt;i&gt;alike&lt;/i&gt;" in trace.hovertext[0]
        assert "baseline 0.000 (chance), ceiling 1.000" in trace.hovertext[0]


def test_on_a_narrow_screen_names_stand_above_their_rows():
    lines = [line("<i>one</i>", 0.5, 0.7), line("two", 0.2, None)]
    wide, narrow = benchmark.share_bars(lines), benchmark.share_bars(lines, narrow=True)
    assert [list(trace.x) for trace in narrow.data] == [list(trace.x) for trace in wide.data]
    assert [note.text for note in narrow.layout.annotations] == list(narrow.data[1].y)
    assert {note.y for note in narrow.layout.annotations} == set(narrow.data[1].y)
    assert narrow.layout.yaxis.showticklabels is False
    row = (narrow.layout.height - 130) / len(lines)
    below, above = 9, row - 9  # a diamond of 11 pixels and its line, in its row and in the one above
    assert all(below <= note.yshift - 7 and note.yshift + 7 <= above for note in narrow.layout.annotations)
    assert not wide.layout.annotations


def test_curves_have_units_and_mark_the_network():
    figure = benchmark.matched_curves(MATCHED, "bh_share", own=300)
    assert [list(trace.y) for trace in figure.data] == [[80.0, None]]
    assert "(%)" in figure.layout.yaxis.title.text
    assert figure.layout.annotations[0].x == math.log10(
        300
    )  # on a log axis an annotation stands at the exponent
    low, high = figure.layout.xaxis.range
    assert low < 1 < math.log10(300) < high < 3
    assert "could be tested" in benchmark.matched_curves(None, "mu_wd").layout.annotations[0].text


def test_runs_are_told_apart_and_named_as_text():
    figure = benchmark.compared_curves({"<b>a</b>": MATCHED, "b": MATCHED, "old": None}, "mu_wd")
    assert [trace.name for trace in figure.data] == ["&lt;b&gt;a&lt;/b&gt;", "b"]
    assert len({(trace.line.color, trace.line.dash, trace.marker.symbol) for trace in figure.data}) == 2
    assert (
        "None of these runs" in benchmark.compared_curves({"old": None}, "mu_wd").layout.annotations[0].text
    )


def test_false_edges_against_the_threshold():
    table = pd.DataFrame({"threshold": [0.1, 0.5], "estimated_false_edge_rate": [0.4, 0.05]})
    figure = benchmark.false_edge_curve(table, 0.5)
    assert list(figure.data[0].y) == [40.0, 5.0]
    assert "not estimated" in benchmark.false_edge_curve(table.iloc[:0]).layout.annotations[0].text
