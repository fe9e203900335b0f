"""A network at one look: the largest regulators, and beside them the groups of genes that share them. Marks,
their colours, widths and faintness mean what they mean in the map of the page Network
(assets/network/map.js): every edge of a regulator that is drawn has its line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import plotly.graph_objects as go

from gpovae_core.network.overview import Edge, Group, Overview
from gpovae_core.plots import signs, theme

REGULATORS, ROWS = 10, 10
"""Drawn at most: more names would touch in a picture of this size."""
HEIGHT = 450
ENDS = {1: "triangle-right", -1: "line-ns", 0: "triangle-right-open"}
"""Symbols at the end of a line, by its sign: arrow, bar, open head."""
BACK = {1: "triangle-left", -1: "line-ns", 0: "triangle-left-open"}
"""The same where a line comes back to the column that it left."""
MARKS = {"activates": (1, 2.5), "represses": (-1, 2.5), "unknown": (0, 2.5), "number": (0, 5.0)}
"""Mark of the legend -> sign and width of its line; the last stands for what is wide."""
FAINTEST, SUREST = 0.22, 0.95
"""Opacity of a line whose edges never come back, and of one whose edges always do, as on the page Network."""
NAMES = 3
"""Regulators that the label of a group names at most."""
STEPS = 12
"""Straight pieces of a bow."""


@dataclass(frozen=True)
class _Row:
    """What stands in a row on the right: a title in bold, names below it, and the edges that end there."""

    title: str
    below: str
    genes: tuple[str, ...]
    edges: tuple[Edge, ...]


def overview_picture(found: Overview, narrow: bool = False) -> go.Figure:
    """Regulators sized by their targets, a line to each group that answers to them, as wide as it has edges
    and as faint as they are unsure: one for each sign, with the number of its edges; lines in between
    regulators. narrow: for a telephone, where names have less room.
    """
    title = "Largest regulators and their targets"
    regulators = list(found.regulators)[:REGULATORS]
    rows = _rows(found, regulators, 18 if narrow else 38)
    if not regulators:
        return theme.empty(title, "No gene is regulated above this threshold.")
    left = dict(zip(regulators, _heights(len(regulators)), strict=True))
    figure = go.Figure()
    _legend(figure, found.members is not None)
    for row, y in zip(rows, _heights(len(rows)), strict=True):
        _lines(figure, left, y, row, 0.72 if narrow else 0.85)
    _inner(figure, left, [edge for edge in found.inner if edge.source in left and edge.target in left])
    most = max(found.regulators.values())
    sizes = [8 + (14 if narrow else 20) * (found.regulators[gene] / most) ** 0.5 for gene in regulators]
    names = [f"<b>{theme.text(gene, 14)}</b><br>{_targets(found.regulators[gene])}" for gene in regulators]
    hover = [f"{theme.text(gene)}: {_targets(found.regulators[gene])}" for gene in regulators]
    _dots(figure, 0.0, list(left.values()), sizes, names, hover, theme.REGULATOR)
    largest = max((len(row.genes) for row in rows), default=1)
    sizes = [6 + 12 * (len(row.genes) / largest) ** 0.5 for row in rows]
    names = [f"<b>{theme.escape(row.title)}</b><br>{theme.escape(row.below)}" for row in rows]
    names = [name.removesuffix("<br>") for name in names]
    hover = ["<br>".join(theme.escape(line) for line in _hover(row)) for row in rows]
    _dots(figure, 1.0, _heights(len(rows)), sizes, names, hover, theme.GROUP)
    theme.style(figure, title, "", "", height=HEIGHT)
    figure.update_xaxes(visible=False, range=[-0.85, 2.2] if narrow else [-0.36, 1.8], fixedrange=True)
    figure.update_yaxes(visible=False, range=[-0.02, 1.02], fixedrange=True)
    return figure.update_layout(margin={"l": 4, "r": 4, "t": 34, "b": 84 if narrow else 58})


def not_drawn(found: Overview) -> str:
    """What the picture leaves out, in words; "" where that is nothing."""
    left = len(found.regulators) - REGULATORS
    if left <= 0:
        return ""
    return f"{left:,} regulators with fewer targets are on the page Network."


def _rows(found: Overview, regulators: Sequence[str], letters: int) -> list[_Row]:
    """The largest groups of these regulators in the order of the regulators, so that few lines cross; what is
    too small for a row of its own together in one, and so the regulators that are not drawn. letters: of a
    label.
    """
    shown = set(regulators)
    known = [group for group in found.groups if shown.intersection(group.regulators)]
    others = tuple(edge for edge in found.inner if edge.source in shown and edge.target not in shown)
    room = ROWS - bool(others)
    whole = known if len(known) <= room else known[: room - 1]
    rest = known[len(whole) :]
    place = {gene: k for k, gene in enumerate(regulators)}

    def middle(group: Group) -> float:
        own = [place[gene] for gene in group.regulators if gene in place]
        return sum(own) / len(own)

    rows = [_of_group(group, shown, letters) for group in sorted(whole, key=middle)]
    if rest:
        genes = tuple(gene for group in rest for gene in group.genes)
        edges = tuple(edge for group in rest for edge in group.edges if edge.source in shown)
        rows.append(_folded(genes, edges, f"{len(genes):,} genes", f"in {len(rest):,} small groups", letters))
    if others:
        genes = tuple(dict.fromkeys(edge.target for edge in others))
        rows.append(_folded(genes, others, f"{len(genes):,} regulators", "with fewer targets", letters))
    return rows


def _of_group(group: Group, shown: set[str], letters: int) -> _Row:
    edges = tuple(edge for edge in group.edges if edge.source in shown)
    if len(group.genes) == 1:
        return _Row(theme.shorten(group.genes[0], letters), "", group.genes, edges)
    count = f": {len(group.genes):,} genes"
    named = _named(group.regulators, letters - len(count))
    return _Row(named + count, theme.shorten(", ".join(group.genes), letters), group.genes, edges)


def _named(regulators: Sequence[str], letters: int) -> str:
    """'JAK2, STAT1', or as many as there is room for and how many more: 'JAK2 +2'."""
    for most in range(min(NAMES, len(regulators)), 0, -1):
        more = f" +{len(regulators) - most}" if len(regulators) > most else ""
        words = ", ".join(regulators[:most]) + more
        if len(words) <= letters:
            return words
    more = f" +{len(regulators) - 1}" if len(regulators) > 1 else ""
    return theme.shorten(regulators[0], max(letters - len(more), 4)) + more


def _folded(genes: tuple[str, ...], edges: tuple[Edge, ...], title: str, below: str, letters: int) -> _Row:
    return _Row(theme.shorten(title, letters), theme.shorten(below, letters), genes, edges)


def _hover(row: _Row) -> list[str]:
    """Title, and the genes in lines of their own."""
    lines, line = [row.title], ""
    for gene in row.genes[:60]:
        if len(line) + len(gene) > 60:
            lines.append(line)
            line = ""
        line += f"{', ' if line else ''}{gene}"
    return [*lines, line + (", …" if len(row.genes) > 60 else "")]


def _heights(count: int) -> list[float]:
    """From the top downwards, the same distance between all."""
    return [1.0 - (k + 0.5) / count for k in range(count)]


def _targets(count: int) -> str:
    return f"{count:,} target{'' if count == 1 else 's'}"


def _legend(figure: go.Figure, certain: bool) -> None:
    """The same words as on the page Network, beside the marks of this picture."""
    for entry in signs.legend(signs.OVERVIEW, certain):
        sign, width = MARKS.get(entry.mark, (0, 2.5))
        symbol = ENDS[sign] if entry.mark in signs.SIGN_MARKS.values() else "line-ew"
        figure.add_scatter(
            x=[None],
            y=[None],
            mode="lines+markers",
            line={"color": signs.COLOURS[sign], "width": width},
            marker=_end(sign, symbol),
            opacity=0.4 if entry.mark == "faint" else 1.0,
            name=entry.words,
        )


def _end(sign: int, symbol: str) -> dict[str, Any]:
    colour = signs.COLOURS[sign]
    return {"symbol": symbol, "color": colour, "size": 9, "line": {"color": colour, "width": 2}}


def _opacity(edges: Sequence[Edge]) -> float:
    sure = sum(edge.sure for edge in edges) / len(edges)
    return FAINTEST + (SUREST - FAINTEST) * sure


def _width(edges: Sequence[Edge]) -> float:
    """Of the line of so many edges, as `strand` in assets/network/map.js."""
    return min(5.0, 1.4 + math.log2(len(edges)))


def _lines(figure: go.Figure, left: dict[str, float], y: float, row: _Row, end: float) -> None:
    """A line for each regulator and sign; those of a sign end at one place, and behind it stands the number
    of their edges. end: where, between the columns at 0 and 1.
    """
    known = [sign for sign in (1, 0, -1) if any(edge.sign == sign for edge in row.edges)]
    for k, sign in enumerate(known):
        off = 0.034 * ((len(known) - 1) / 2 - k)
        own = [edge for edge in row.edges if edge.sign == sign]
        for gene in dict.fromkeys(edge.source for edge in own):
            edges = [edge for edge in own if edge.source == gene]
            _line(figure, edges, *_bend(left[gene] + off / 2, y + off, end), ENDS[sign])
        if len(row.genes) > 1:
            _count(figure, end + 0.4 * (1 - end), y + off, len(own))


def _bend(start: float, end: float, last: float) -> tuple[list[float], list[float]]:
    """x and y of a line that leaves in one row, changes rows between the columns, and arrives in another."""
    first, then = 0.12, last - 0.1
    parts = [step / STEPS for step in range(STEPS + 1)]
    x = [0.0, *(first + (then - first) * part for part in parts), last]
    bends = [0.5 - 0.5 * math.cos(math.pi * part) for part in parts]
    return x, [start, *(start + (end - start) * part for part in bends), end]


def _line(
    figure: go.Figure, edges: Sequence[Edge], x: Sequence[float], y: Sequence[float], symbol: str
) -> None:
    """A line of edges of one source and one sign, with its end at the last point."""
    sign = edges[0].sign
    end = [*([0] * (len(x) - 1)), 9]
    figure.add_scatter(
        x=list(x),
        y=list(y),
        mode="lines+markers",
        line={"color": signs.COLOURS[sign], "width": _width(edges)},
        marker=_end(sign, symbol) | {"size": end, "opacity": [float(size > 0) for size in end]},
        opacity=_opacity(edges),
        meta={"source": edges[0].source, "edges": len(edges)},
        hoverinfo="skip",
        showlegend=False,
    )


def _count(figure: go.Figure, x: float, y: float, edges: int) -> None:
    """The number of edges of a sign behind the end of their line."""
    figure.add_scatter(
        x=[x],
        y=[y],
        mode="text",
        text=[f"{edges:,}"],
        textposition="middle center",
        textfont={"size": 10},
        hoverinfo="skip",
        showlegend=False,
    )


def _inner(figure: go.Figure, left: dict[str, float], edges: Sequence[Edge]) -> None:
    """Edges between regulators, in bows beside their column."""
    for edge in edges:
        start, end = left[edge.source], left[edge.target]
        down = 1 if end < start else -1
        bow, back = 0.08 + 0.22 * abs(end - start), 0.06
        parts = [step / STEPS for step in range(STEPS + 1)]
        x = [back * part + bow * math.sin(math.pi * part) for part in parts]
        y = [start + (end + down * 0.012 - start) * part for part in parts]
        _line(figure, [edge], x, y, BACK[edge.sign])


def _dots(
    figure: go.Figure,
    x: float,
    heights: Sequence[float],
    sizes: Sequence[float],
    names: Sequence[str],
    hover: Sequence[str],
    colour: str,
) -> None:
    """Genes of a column with their names on its outer side."""
    figure.add_scatter(
        x=[x] * len(heights),
        y=list(heights),
        mode="markers+text",
        marker={"size": list(sizes), "color": colour, "opacity": 1.0},
        text=list(names),
        textposition="middle right" if x else "middle left",
        textfont={"size": 12},
        hovertext=list(hover),
        hoverinfo="text",
        cliponaxis=False,
        showlegend=False,
    )
