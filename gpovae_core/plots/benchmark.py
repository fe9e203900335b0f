"""Figures of the benchmark: shares of the achievable, networks at equal numbers of edges, estimated false
edges.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from textwrap import wrap

import pandas as pd
import plotly.graph_objects as go

from gpovae_core.evaluation.network_scores import Matched
from gpovae_core.evaluation.scores import Line
from gpovae_core.evaluation.summary import passes_ceiling, plain_name
from gpovae_core.methods import registry
from gpovae_core.plots import theme

MEASURES = {
    "mu_wd": ("Mean Wasserstein distance", "Mean distance, log(1 + counts per 10,000)"),
    "bh_share": ("Pairs with a significant effect", "Share with adjusted p below the level (%)"),
    "raw_share": ("Pairs with a raw p below the level", "Share with raw p below the level (%)"),
    "left_out": ("Effects left out", "Share of raw p below the level among the other pairs (%)"),
}
"""Measure of `evaluation.matched` -> title, axis with its unit."""
EDGES_AXIS = "Number of edges (strongest first, log scale)"


FARTHEST = (-100.0, 200.0)
"""Shares in percent beyond which a mark is drawn at the edge."""
MODEL, RIVAL = "this run", "best method without a model"
ALONE = "other methods have no such score"
"""In a row without a mark for another method."""
_GAP = "\u2003"
"""Between a mark and words beside it."""


def share_bars(lines: Sequence[Line], held_out: str = "held-out cells", narrow: bool = False) -> go.Figure:
    """What model and strongest simple method reach between baseline (0 %) and ceiling (100 %), one row per
    score that has both; whatever passes the ceiling has its share written beside it, and a row without
    another method says so. held_out: what they are measured on, in words; narrow: names stand above their
    rows instead of beside them, so that on a phone the whole width is left for the marks.
    """
    title = f"Share of the achievable, {held_out}"
    shown = [line for line in lines if line.share is not None][::-1]
    if not shown:
        return theme.empty(title, "No score has both a baseline and a ceiling.")
    names = [theme.text(plain_name(line), 44) for line in shown]
    figure = go.Figure()
    for label, colour, symbol, shares in (
        (RIVAL, theme.GREY, "diamond-open", [line.rival_share for line in shown]),
        (MODEL, theme.BLUE, "circle", [line.share for line in shown]),
    ):
        figure.add_scatter(
            x=[_within(value) for value in shares],
            y=names,
            mode="markers+text",
            name=label,
            marker={"color": colour, "symbol": symbol, "size": 11, "line": {"width": 2, "color": colour}},
            text=[
                f" {100 * value:.0f} %" if value is not None and passes_ceiling(value) else ""
                for value in shares
            ],
            textposition="middle right",
            textfont={"size": 11},
            hovertext=[_hover(line, label == MODEL) for line in shown],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    _alone(figure, shown, names)
    axis = "0: baseline, 100: ceiling (%)" if narrow else "Share (%); 0: baseline, 100: ceiling (estimated)"
    theme.style(figure, title, axis, "", height=130 + (36 if narrow else 22) * len(shown))
    figure.update_xaxes(range=_reach(shown))
    figure.update_yaxes(range=[-0.6, len(shown) - (0.2 if narrow else 0.4)])
    if narrow:
        _names_above(figure, names)
    for at in (0, 100):
        figure.add_vline(x=at, line={"color": theme.GREY, "width": 1, "dash": "dot"})
    return figure


def _within(share: float | None) -> float | None:
    low, high = FARTHEST
    return None if share is None else max(low, min(high, 100 * share))


def _reach(shown: Sequence[Line]) -> list[float]:
    """From left of the leftmost mark to where the share of the rightmost one has room."""
    drawn = [
        at for line in shown for share in (line.share, line.rival_share) if (at := _within(share)) is not None
    ]
    room = (
        16.0
        if any(passes_ceiling(share) for line in shown for share in (line.share, line.rival_share))
        else 5.0
    )
    return [min(0.0, *drawn) - 5.0, max(100.0, *drawn) + room]


def _hover(line: Line, own: bool) -> str:
    """What a mark stands for: whose score, its value between baseline and ceiling, and what is asked."""
    share, value, name = (
        (line.share, line.value, MODEL) if own else (line.rival_share, line.rival, line.rival_name)
    )
    if share is None or value is None:
        return ""
    above = "; the ceiling is an estimate and can be passed" if passes_ceiling(share) else ""
    told = [
        f"<b>{theme.text(plain_name(line), 60)}</b>",
        f"{theme.text(name, 60)}: {value:.3f}, {100 * share:.0f} % of the way{above}",
        f"baseline {line.baseline:.3f} ({theme.text(line.baseline_name, 60)}), ceiling {line.ceiling:.3f}",
        f"{theme.text(line.name, 60)}:",
        *(theme.escape(part) for part in wrap(line.meaning, 60)),
    ]
    return "<br>".join(told)


def _alone(figure: go.Figure, shown: Sequence[Line], names: Sequence[str]) -> None:
    """The rows without another method, in words beside the mark, where there is more room."""
    rows = [
        (at, name)
        for line, name in zip(shown, names, strict=True)
        if line.rival_share is None and (at := _within(line.share)) is not None
    ]
    if rows:
        figure.add_scatter(
            x=[at for at, _ in rows],
            y=[name for _, name in rows],
            mode="text",
            text=[f"{ALONE}{_GAP}" if at > 50 else f"{_GAP}{ALONE}" for at, _ in rows],
            textposition=["middle left" if at > 50 else "middle right" for at, _ in rows],
            textfont={"size": 11},
            hoverinfo="skip",
            showlegend=False,
        )


def _names_above(figure: go.Figure, names: Sequence[str]) -> None:
    """The names of the rows on lines of their own, from the left edge of the figure on."""
    for name in names:
        figure.add_annotation(
            text=name,
            x=0,
            xref="paper",
            xanchor="left",
            y=name,
            yshift=16,
            showarrow=False,
            align="left",
            font={"size": 12},
        )
    figure.update_yaxes(showticklabels=False, ticks="", automargin=False)
    figure.update_xaxes(nticks=6)
    figure.update_layout(margin={"l": 8, "r": 8})


def matched_curves(
    matched: Matched | None, measure: str, reference: str = "as_measured", own: int | None = None
) -> go.Figure:
    """A measure of every method that has a look against the number of edges. own: the number of edges of the
    network itself, marked.

    matched: None where networks were not compared at equal numbers of edges; reference: one of its pair
    tests.
    """
    name, axis = MEASURES[measure]
    title = f"{name} at equal numbers of edges"
    curves = {} if matched is None else matched.references.get(reference, {})
    if matched is None or not matched.edges or not curves:
        return theme.empty(title, "No pair of genes could be tested.")
    figure = go.Figure()
    for method in registry.methods():
        values = getattr(curves.get(method.key), measure, None)
        if values and method.look is not None:
            look = method.look
            drawn = (theme.COLOURS[look.colour], look.dash, look.symbol, look.width)
            _line(figure, method.title, matched.edges, _scaled(values, measure), drawn)
    _finish(figure, title, axis, own)
    return figure


def compared_curves(
    runs: Mapping[str, Matched | None], measure: str, ranking: str = "w", reference: str = "as_measured"
) -> go.Figure:
    """A measure of one method in several runs against the number of edges. runs: by name; None where it was
    not measured.
    """
    name, axis = MEASURES[measure]
    title = f"{registry.title(ranking)}: {name[0].lower() + name[1:]}"
    figure = go.Figure()
    symbols = ("circle", "square", "diamond", "x", "triangle-up", "cross", "star")
    for at, (run, matched) in enumerate(runs.items()):
        curves = {} if matched is None else matched.references.get(reference, {})
        values = getattr(curves.get(ranking), measure, None)
        if matched is not None and values:
            look = (
                theme.CYCLE[at % len(theme.CYCLE)],
                ("solid", "dash", "dot")[at // len(theme.CYCLE) % 3],
                symbols[at % 7],
                2.0,
            )
            _line(figure, run, matched.edges, _scaled(values, measure), look)
    if not figure.data:
        return theme.empty(title, "None of these runs has been evaluated at equal numbers of edges.")
    _finish(figure, title, axis, None)
    return figure


def _scaled(values: Sequence[float | None], measure: str) -> list[float | None]:
    return [None if value is None else value if measure == "mu_wd" else 100 * value for value in values]


def _line(
    figure: go.Figure,
    name: str,
    x: Sequence[int | None],
    y: Sequence[float | None],
    look: tuple[str, str, str, float],
) -> None:
    colour, dash, symbol, width = look
    figure.add_scatter(
        x=list(x),
        y=list(y),
        mode="lines+markers",
        name=theme.text(name),
        line={"color": colour, "dash": dash, "width": width},
        marker={"symbol": symbol, "size": 7},
        hovertemplate="%{x:,} edges: %{y:.3g}<extra>" + theme.text(name) + "</extra>",
    )


def _finish(figure: go.Figure, title: str, axis: str, own: int | None) -> None:
    theme.style(figure, title, EDGES_AXIS, axis, height=440)
    drawn = [count for trace in figure.data for count in getattr(trace, "x", None) or () if count]
    ends = [math.log10(min(drawn)) - 0.1, math.log10(max(drawn)) + 0.1] if drawn else None
    figure.update_xaxes(type="log", dtick=1, range=ends, tickformat=",d")
    figure.update_layout(margin_b=150)
    if own:
        figure.add_vline(x=own, line={"color": theme.GREY, "dash": "dot"})
        # an annotation on a log axis stands at the exponent, which add_vline does not heed
        where = {"x": math.log10(own), "xanchor": "left", "y": 1.0, "yref": "paper", "yanchor": "bottom"}
        figure.add_annotation(text=f"this network: {own:,} edges", showarrow=False, **where)


def false_edge_curve(table: pd.DataFrame, threshold: float | None = None) -> go.Figure:
    """Estimated share of false edges against the threshold on W. table: threshold,
    estimated_false_edge_rate.
    """
    title = "Estimated share of false edges"
    known = table.dropna()
    if known.empty:
        return theme.empty(title, "It was not estimated for this run.")
    figure = go.Figure()
    rates = 100 * known["estimated_false_edge_rate"]
    figure.add_scatter(
        x=known["threshold"],
        y=rates,
        mode="lines+markers",
        line={"color": theme.VERMILLION, "width": 2},
        hovertemplate="W above %{x:.2f}: %{y:.2g} %<extra></extra>",
    )
    theme.style(figure, title, "Threshold on W", "Edges without any effect (%)", height=320)
    figure.update_layout(showlegend=False, margin_b=60)
    figure.update_yaxes(rangemode="tozero")
    if threshold is not None:
        figure.add_vline(
            x=threshold,
            line={"color": theme.GREY, "dash": "dot"},
            annotation_text="this network",
            annotation_position="top",
        )
    return figure
