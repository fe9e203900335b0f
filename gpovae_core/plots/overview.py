"""A network at one look: the largest regulators, and beside them the groups of genes that share them."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from gpovae_core.network.overview import Group, Overview
from gpovae_core.plots import theme

REGULATORS, GROUPS = 8, 9
"""Drawn at most: more names would touch in a picture of this size."""
HEIGHT = 400
ACTIVATES, REPRESSES = theme.BLUE, theme.VERMILLION


def overview_picture(found: Overview) -> go.Figure:
    """Regulators sized by their targets, a line to each group that answers to them, as wide as it has genes:
    blue for those that are activated, vermillion for those repressed.
    """
    title = "Largest regulators and their targets"
    regulators = list(found.regulators)[:REGULATORS]
    groups = _drawn(found, regulators)
    if not groups:
        return theme.empty(title, "No gene is regulated above this threshold.")
    left, right = _heights(len(regulators)), _heights(len(groups))
    figure = go.Figure()
    for colour, name in ((ACTIVATES, "activates"), (REPRESSES, "represses")):
        figure.add_scatter(x=[None], y=[None], mode="lines", line={"color": colour, "width": 3}, name=name)
    for group, y in zip(groups, right, strict=True):
        for gene in group.regulators:
            if gene in regulators:
                signs = group.signs[group.regulators.index(gene)]
                _lines(figure, left[regulators.index(gene)], y, signs, len(group.genes))
    most = max(found.regulators.values())
    sizes = [9 + 21 * (found.regulators[gene] / most) ** 0.5 for gene in regulators]
    names = [f"<b>{theme.text(gene, 14)}</b> {found.regulators[gene]:,}" for gene in regulators]
    hover = [f"{theme.text(gene)}: {found.regulators[gene]:,} targets" for gene in regulators]
    _dots(figure, 0.0, left, sizes, names, hover, "middle left")
    largest = max(len(group.genes) for group in groups)
    sizes = [6 + 14 * (len(group.genes) / largest) ** 0.5 for group in groups]
    hover = [f"{theme.text(', '.join(group.genes), 300)}" for group in groups]
    _dots(figure, 1.0, right, sizes, [_named(group) for group in groups], hover, "middle right")
    theme.style(figure, title, "", "", height=HEIGHT)
    figure.update_xaxes(visible=False, range=[-0.85, 2.2], fixedrange=True)
    figure.update_yaxes(visible=False, range=[-0.06, 1.06], fixedrange=True)
    return figure.update_layout(margin={"l": 4, "r": 4, "t": 40, "b": 30})


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
        return theme.text(group.genes[0], 20)
    first = theme.text(", ".join(group.genes), 20)
    return f"<b>{len(group.genes):,} genes</b><br>{first}"


def _lines(figure: go.Figure, start: float, end: float, signs: tuple[int, int], genes: int) -> None:
    """One line for the genes that are activated, one for those repressed; grey where no sign is known."""
    ways = [(signs[0], ACTIVATES), (signs[1], REPRESSES), (genes - sum(signs), theme.GREY)]
    drawn = [(count, colour) for count, colour in ways if count]
    for k, (count, colour) in enumerate(drawn):
        off = 0.012 * (k - (len(drawn) - 1) / 2)
        figure.add_scatter(
            x=[0.0, 0.35, 0.65, 1.0],
            y=[start + off, start + off, end + off, end + off],
            mode="lines",
            line={"color": colour, "width": 1.2 + min(5.0, count / 5), "shape": "spline"},
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
