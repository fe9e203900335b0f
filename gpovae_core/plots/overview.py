"""A network at one look: the largest regulators, and beside them the groups of genes that share them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from gpovae_core.network.overview import Group, Overview
from gpovae_core.plots import signs, theme

REGULATORS, GROUPS = 8, 9
"""Drawn at most: more names would touch in a picture of this size."""
HEIGHT = 430
COLOURS = {1: theme.BLUE, -1: theme.VERMILLION, 0: theme.GREY}
ENDS = {1: "triangle-right", -1: "line-ns", 0: "triangle-right-open"}
"""Symbols at the end of a line, by its sign: arrow, bar, open head."""
MARKS = {"activates": (1, 2.5), "represses": (-1, 2.5), "unknown": (0, 2.5), "number": (0, 7.0)}
"""Mark of the legend -> sign and width of its line; the last stands for what is wide."""


def overview_picture(found: Overview) -> go.Figure:
    """Regulators sized by their targets, a line to each group that answers to them, as wide as it has genes:
    one for those that are activated, one for those repressed, one for those of unknown sign.
    """
    title = "Largest regulators and their targets"
    regulators = list(found.regulators)[:REGULATORS]
    groups = _drawn(found, regulators)
    if not groups:
        return theme.empty(title, "No gene is regulated above this threshold.")
    left, right = _heights(len(regulators)), _heights(len(groups))
    figure = go.Figure()
    _legend(figure)
    for group, y in zip(groups, right, strict=True):
        for gene in group.regulators:
            if gene in regulators:
                known = group.signs[group.regulators.index(gene)]
                _lines(figure, left[regulators.index(gene)], y, known, len(group.genes))
    most = max(found.regulators.values())
    sizes = [9 + 21 * (found.regulators[gene] / most) ** 0.5 for gene in regulators]
    names = [f"<b>{theme.text(gene, 14)}</b><br>{_targets(found.regulators[gene])}" for gene in regulators]
    hover = [f"{theme.text(gene)}: {_targets(found.regulators[gene])}" for gene in regulators]
    _dots(figure, 0.0, left, sizes, names, hover, "middle left")
    largest = max(len(group.genes) for group in groups)
    sizes = [6 + 14 * (len(group.genes) / largest) ** 0.5 for group in groups]
    hover = [f"{theme.text(', '.join(group.genes), 300)}" for group in groups]
    _dots(figure, 1.0, right, sizes, [_named(group) for group in groups], hover, "middle right")
    theme.style(figure, title, "", "", height=HEIGHT)
    figure.update_xaxes(visible=False, range=[-0.85, 2.2], fixedrange=True)
    figure.update_yaxes(visible=False, range=[-0.06, 1.06], fixedrange=True)
    return figure.update_layout(margin={"l": 4, "r": 4, "t": 40, "b": 52})


def _drawn(found: Overview, regulators: Sequence[str]) -> list[Group]:
    """The largest groups of these regulators, in the order of the regulators so that few lines cross."""
    known = [group for group in found.groups if set(group.regulators) & set(regulators)][:GROUPS]
    place = {gene: k for k, gene in enumerate(regulators)}

    def middle(group: Group) -> float:
        own = [place[gene] for gene in group.regulators if gene in place]
        return sum(own) / len(own)

    return sorted(known, key=middle)


def _heights(count: int) -> list[float]:
    """From the top downwards, the same distance between all."""
    return [1.0 - (k + 0.5) / count for k in range(count)]


def _named(group: Group) -> str:
    if len(group.genes) == 1:
        return theme.text(group.genes[0], 18)
    first = theme.text(", ".join(group.genes), 18)
    return f"<b>{len(group.genes):,} genes</b><br>{first}"


def _targets(count: int) -> str:
    return f"{count:,} target{'' if count == 1 else 's'}"


def _legend(figure: go.Figure) -> None:
    """The same words as on the page Network, beside the marks of this picture."""
    for entry in signs.legend(signs.OVERVIEW):
        sign, width = MARKS[entry.mark]
        symbol = ENDS[sign] if entry.mark in signs.SIGN_MARKS.values() else "line-ew"
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="lines+markers",
            line={"color": COLOURS[sign], "width": width},
            marker=_end(sign, symbol),
            name=entry.words,
        )


def _end(sign: int, symbol: str) -> dict[str, Any]:
    return {"symbol": symbol, "color": COLOURS[sign], "size": 9, "line": {"color": COLOURS[sign], "width": 2}}


def _lines(figure: go.Figure, start: float, end: float, known: tuple[int, int], genes: int) -> None:
    """One line for the genes that are activated, one for those repressed, one where no sign is known."""
    ways = [(known[0], 1), (known[1], -1), (genes - sum(known), 0)]
    drawn = [(count, sign) for count, sign in ways if count]
    for k, (count, sign) in enumerate(drawn):
        off = 0.03 * ((len(drawn) - 1) / 2 - k)
        figure.add_scatter(
            x=[0.0, 0.3, 0.62, 0.88],
            y=[start + off / 2, start + off / 2, end + off, end + off],
            mode="lines+markers",
            line={"color": COLOURS[sign], "width": 1.2 + min(5.0, count / 5), "shape": "spline"},
            marker=_end(sign, ENDS[sign]) | {"size": [0, 0, 0, 9], "opacity": [0, 0, 0, 1]},
            hoverinfo="skip",
            showlegend=False,
        )


def _dots(
    figure: go.Figure,
    x: float,
    heights: Sequence[float],
    sizes: Sequence[float],
    names: Sequence[str],
    hover: Sequence[str],
    side: str,
) -> None:
    figure.add_scatter(
        x=[x] * len(heights),
        y=list(heights),
        mode="markers+text",
        marker={"size": list(sizes), "color": theme.GREY, "opacity": 1.0},
        text=list(names),
        textposition=side,
        textfont={"size": 12},
        hovertext=list(hover),
        hoverinfo="text",
        cliponaxis=False,
        showlegend=False,
    )
