"""Figures of the benchmark: shares of the achievable, networks at equal numbers of edges, estimated false
edges.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go

from gpovae_core.evaluation.network_scores import Matched
from gpovae_core.evaluation.scores import Line
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


def share_bars(lines: Sequence[Line], held_out: str = "held-out cells", narrow: bool = False) -> go.Figure:
    """What model and strongest simple method reach between baseline (0 %) and ceiling (100 %), one row per
    score that has both. held_out: what they are measured on, in words; narrow: names stand above their rows
    instead of beside them, so that on a phone the whole width is left for the marks.
    """
    title = f"Share of the achievable, {held_out}"
    shown = [line for line in lines if line.share is not None][::-1]
    if not shown:
        return theme.empty(title, "No score has both a baseline and a ceiling.")
    names = [theme.text(line.name, 44) for line in shown]
    figure = go.Figure()
    for label, colour, symbol, values, method in (
        (
            "best method without a model",
            theme.GREY,
            "diamond-open",
            [line.rival_share for line in shown],
            [line.rival_name for line in shown],
        ),
        ("this run", theme.BLUE, "circle", [line.share for line in shown], ["this run"] * len(shown)),
    ):
        figure.add_scatter(
            x=[None if value is None else 100 * max(-1.0, min(2.0, value)) for value in values],
            y=names,
            mode="markers",
            name=label,
            marker={"color": colour, "symbol": symbol, "size": 11, "line": {"width": 2, "color": colour}},
            text=[
                f"{theme.text(m)}: {'not defined' if v is None else f'{100 * v:.0f} %'}"
                for m, v in zip(method, values, strict=True)
            ],
            hovertemplate="%{y}<br>%{text}<extra></extra>",
        )
    theme.style(
        figure,
        title,
        "Share (%)",
        "",
        height=130 + (34 if narrow else 22) * len(shown),
    )
    if narrow:
        _names_above(figure, names)
    for at in (0, 100):
        figure.add_vline(x=at, line={"color": theme.GREY, "width": 1, "dash": "dot"})
    return figure


def _names_above(figure: go.Figure, names: Sequence[str]) -> None:
    """The names of the rows on lines of their own, from the left edge of the figure on."""
    for name in names:
        figure.add_annotation(
            text=name,
            x=0,
            xref="paper",
            xanchor="left",
            y=name,
            yshift=13,
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
    theme.style(figure, title, "Threshold on W (probability)", "Edges without any effect (%)", height=320)
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
