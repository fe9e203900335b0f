"""Figures about the network: what carries an influence, the cells behind an edge, and what two networks
share.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gpovae_core import keys
from gpovae_core.network.compare import GAINED, LOST, SHARED, NetworkComparison
from gpovae_core.network.inspection import Measured
from gpovae_core.network.paths import PathTrace
from gpovae_core.plots import theme

EXPRESSION = "log(1 + counts per 10,000)"
MOST_POINTS = 400
"""Cells drawn as single points in a distribution; of more, only the shape is drawn."""
MOST_DRAWN = 3000
"""Edges of a comparison drawn at most, strongest first."""
STYLES = {
    SHARED: (theme.GREY, "solid", 1.4),
    GAINED: (theme.BLUE, "solid", 2.2),
    LOST: (theme.VERMILLION, "dot", 1.8),
}
"""Colour, dash and width of an edge by what became of it."""


def influence_bars(trace: PathTrace, most: int = 6) -> go.Figure:
    """Two bars over the same influence: shares of walks of 1, 2, ... K edges, and of the `most` best paths,
    with the remainder.
    """
    source = " + ".join(trace.sources)
    title = f"What carries the influence of {source} on {trace.target}"
    if not trace.influence:
        return theme.empty(title, "There is no influence to share out.")
    hops = [(f"{k} hop{'s' if k > 1 else ''}", share) for k, share in enumerate(trace.share_by_hops, start=1)]
    largest = sorted(range(len(trace.paths)), key=lambda i: -abs(trace.paths[i].share))[:most]
    paths = [(" → ".join(trace.paths[i].genes), trace.paths[i].share) for i in sorted(largest)]
    rest = trace.explained - sum(share for _, share in paths)
    if len(trace.paths) > most:
        paths.append((f"{len(trace.paths) - most} further listed paths", rest))
    paths.append(("remainder: paths not listed, and walks that pass a gene twice", 1.0 - trace.explained))
    figure = go.Figure()
    for row, parts in (("By length of the walk", hops), ("By path", paths)):
        for k, (name, share) in enumerate(parts):
            _part(
                figure,
                row,
                name,
                share,
                theme.GREY if name.startswith("remainder") else theme.CYCLE[k % (len(theme.CYCLE) - 1)],
            )
    theme.style(figure, title, "Share of the influence T (%)", "", height=230)
    return figure.update_layout(barmode="relative", showlegend=False, bargap=0.35)


def _part(figure: go.Figure, row: str, name: str, share: float, colour: str) -> None:
    label = theme.text(name, 60)
    figure.add_bar(
        y=[row],
        x=[100 * share],
        orientation="h",
        marker={"color": colour, "line": {"color": "rgba(255,255,255,0.7)", "width": 1}},
        text=[f"{theme.text(name, 24)} {100 * share:.1f} %" if abs(share) > 0.12 else ""],
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        insidetextfont={
            "color": "white" if colour in (theme.BLUE, theme.VERMILLION, theme.GREEN) else "black"
        },
        hovertemplate=f"{label}: %{{x:.2f}} %<extra></extra>",
        name=label,
    )


def distributions(measured: Measured, source: str, target: str) -> go.Figure:
    """Expression of the target in control cells and in cells with the source perturbed, held-out cells, one
    point per cell.
    """
    figure = go.Figure()
    groups = (
        ("control", measured.control, theme.GREY, "circle"),
        (f"{source} down", measured.perturbed, theme.BLUE, "diamond"),
    )
    for name, values, colour, symbol in groups:
        figure.add_violin(
            x=[f"{theme.text(name, 18)}<br>{len(values):,} cells"] * len(values),
            y=values,
            name=theme.text(name),
            line={"color": colour},
            points="all" if len(values) <= MOST_POINTS else False,
            pointpos=0,
            jitter=0.5,
            marker={"size": 3, "opacity": 0.45, "symbol": symbol},
            meanline={"visible": True},
            spanmode="hard",
            hoveron="points",
            hovertemplate="%{y:.2f}<extra></extra>",
        )
    theme.style(figure, f"{theme.shorten(target, 24)} in held-out cells", "", EXPRESSION, height=260)
    figure.update_layout(
        showlegend=False, margin={"l": 48, "r": 8, "t": 36, "b": 40}, violingap=0.15, title_font_size=14
    )
    return figure


def stability_chart(stability: pd.DataFrame, edges: float) -> go.Figure:
    """Mean Jaccard index of the strongest k edges of two ensemble members against k, with its 5 % to 95 %
    range, beside chance.

    stability: see training.ensemble.stability; edges: of a usual member, marked.
    """
    title = "Agreement of two networks of the ensemble"
    if stability.empty:
        return theme.empty(title, "There are no pairs of genes to rank.")
    figure = go.Figure()
    k = stability["edges"]
    for column, fill in (("jaccard_high", None), ("jaccard_low", "tonexty")):
        figure.add_scatter(
            x=k,
            y=stability[column],
            mode="lines",
            line={"width": 0},
            fill=fill,
            fillcolor="rgba(0,114,178,0.2)",
            name="5 % to 95 % of pairs of networks",
            showlegend=fill is not None,
            hoverinfo="skip",
        )
    hover = "%{x} edges: %{y:.2f}<extra></extra>"
    line = {"color": theme.BLUE}
    figure.add_scatter(
        x=k,
        y=stability["jaccard"],
        mode="lines+markers",
        line=line,
        name="two networks of the ensemble",
        hovertemplate=hover,
    )
    chance = {"color": theme.GREY, "dash": "dot"}
    figure.add_scatter(
        x=k,
        y=stability["random_jaccard"],
        mode="lines",
        line=chance,
        name="two random networks",
        hovertemplate=hover,
    )
    if edges >= 1:
        usual = {
            "color": theme.VERMILLION,
            "dash": "dash",
        }  # no add_vline: its label would stand at ten to that power on a log axis
        figure.add_scatter(
            x=[edges, edges],
            y=[0, 1],
            mode="lines",
            line=usual,
            name="edges of a usual network",
            hoverinfo="skip",
        )
    theme.style(figure, title, "Strongest edges compared (log scale)", "Jaccard index (shared of all)")
    figure.update_xaxes(type="log", dtick=1)
    return figure.update_yaxes(range=[0, 1.02])


def comparison_picture(comparison: NetworkComparison, places: Mapping[str, np.ndarray]) -> go.Figure:
    """Shared, gained and lost edges between the genes at their places (gene -> (x, y), y down): colour, dash
    and width tell them apart.
    """
    title = "Shared, gained and lost edges"
    edges = comparison.edges[
        comparison.edges[keys.SOURCE].isin(places) & comparison.edges[keys.TARGET].isin(places)
    ]
    weight = np.maximum(np.asarray(edges["weight_a"]), np.asarray(edges["weight_b"]))
    strongest = np.argsort(-weight, kind="stable")[:MOST_DRAWN]
    drawn = edges.iloc[np.sort(strongest)]
    if drawn.empty:
        return theme.empty(title, "Neither network has an edge between shared genes.")
    figure = go.Figure()
    thin = min(1.0, 25 / np.sqrt(len(drawn)))  # many lines are drawn finer and paler
    for state, (colour, dash, width) in STYLES.items():
        part = drawn[drawn["state"] == state]
        ends = np.array(
            [[places[s], places[t]] for s, t in zip(part[keys.SOURCE], part[keys.TARGET], strict=True)]
        ).reshape(-1, 2, 2)
        lines = np.concatenate([ends, np.full((len(ends), 1, 2), np.nan)], axis=1).reshape(-1, 2)
        figure.add_scatter(
            x=lines[:, 0],
            y=-lines[:, 1],
            mode="lines",
            line={"color": colour, "dash": dash, "width": max(0.6, width * thin)},
            opacity=0.4 + 0.45 * thin,
            name=f"{state} ({comparison.count(state):,})",
            hoverinfo="skip",
        )
    genes = sorted({*drawn[keys.SOURCE], *drawn[keys.TARGET]})
    where = np.array([places[gene] for gene in genes])
    degree = drawn[keys.SOURCE].value_counts().add(drawn[keys.TARGET].value_counts(), fill_value=0)
    named = set(degree.sort_values(ascending=False, kind="stable").index[:25])
    figure.add_scatter(
        x=where[:, 0],
        y=-where[:, 1],
        mode="markers+text",
        marker={"size": 6, "color": theme.ORANGE},
        text=[theme.text(gene, 16) if gene in named else "" for gene in genes],
        textposition="top center",
        textfont={"size": 10},
        customdata=theme.texts(genes),
        hovertemplate="%{customdata}<extra></extra>",
        showlegend=False,
    )
    theme.style(figure, title, "", "", height=460)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure.update_layout(margin={"l": 8, "r": 8})
