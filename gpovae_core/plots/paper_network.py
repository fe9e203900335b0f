"""The network of a run as a figure for a paper: regulators on the left, on the right their targets, folded
into groups by the regulators that they share.

Colour and end of a line say the sign, how faint it is how rarely its edges come back in the ensemble (where
there is none, how low W is), its width how many edges it stands for, an asterisk on it that one of them has
another sign than its measured effect. Edges among regulators bulge to the right.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from math import cos, pi, sin
from typing import Any

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.errors import QueryError
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.plots import signs, theme
from gpovae_core.plots.paper import INK, LEAST_LETTER, PAPER, WIDTHS, Drawing, Key, Stroke, units

SIGNS = signs.COLOURS
REGULATOR, TARGET = "#3F4A5A", "#7D8896"
MOST_REGULATORS, MOST_GROUPS = 40, 60
"""Those with most targets are drawn; the caption says how many were left out."""
LINE = 16.0
LETTER = 0.62
"""Width of a letter over its height, on the safe side."""
STAR, STAR_CLEAR = 3.0, 8.0
"""Half of the asterisk on a line, and how far from other lines it is clear whose it is."""
STAR_AT = (0.7, 0.62, 0.78, 0.54, 0.46, 0.38)
"""How far along its line it may stand, the first that is clear of others."""


def signs_legend(certain: bool, picture: str = signs.MAP, contrary: bool = False) -> tuple[Key, ...]:
    """What the marks of a picture of the network mean. certain: the run has an ensemble; picture: one of
    those of `signs`; contrary: an edge in it has another sign than its measured effect.
    """
    filled = picture == signs.MATRIX
    looks: dict[str, tuple[str, str, bool, float]] = {
        "activates": (SIGNS[1], "s" if filled else ">", not filled, 1.0),
        "represses": (SIGNS[-1], "s" if filled else "|", not filled, 1.0),
        "unknown": (SIGNS[0], "s" if filled else "4", not filled, 1.0),
        "contrary": (INK, "$*$", False, 1.0),
        "number": (INK, "$2$", True, 1.0),
        "faint": (INK, "", True, 0.25),
        "again": (INK, ".", False, 1.0),
        "depth": (SIGNS[1], "s", False, 0.3),
    }
    entries = signs.legend(picture, certain, contrary)
    return tuple(Key(entry.words, *looks[entry.mark]) for entry in entries if entry.mark in looks)


def network_drawing(
    network: GeneNetwork,
    threshold: float,
    gene: str | None = None,
    millimetres: float = WIDTHS[0],
    contrary: np.ndarray | None = None,
) -> Drawing:
    """Edges above the threshold out of perturbed genes; gene: only those out of it and into it; contrary:
    (n, n) bool, edges to mark, whose sign is not that of their measured effect. Raises QueryError where there
    is no edge.
    """
    edges = network.edges(threshold)
    evidence = dict(zip(network.panel.genes, network.has_evidence, strict=True))
    edges = edges.loc[edges[keys.SOURCE].map(evidence.get) & (edges[keys.SOURCE] != edges[keys.TARGET])]
    if gene is not None:
        gene = network.panel.genes[network.panel.position(gene)]
        edges = edges.loc[(edges[keys.SOURCE] == gene) | (edges[keys.TARGET] == gene)]
    if edges.empty:
        raise QueryError(
            f"{network.measure} above {threshold:g} leaves no edge{f' of {gene}' if gene else ''}; lower it."
        )
    edges = edges.assign(certainty=_certainty(network, edges), contrary=_marked(network, edges, contrary))
    regulators, groups, left = _folded(edges)
    wide = units(millimetres)
    places, dots = _placed(regulators, groups, wide)
    lines, stars = _links(edges, regulators, groups, places)
    height = max(y for _, y in places.values()) + 2 * LINE
    certain = network.ensemble is not None
    caption = _caption(network, threshold, gene, edges, left)
    facts = {"run": network.name, "measure": network.measure, "threshold": threshold, "edges": len(edges)}
    facts["settings"] = network.settings
    legend = signs_legend(certain, signs.AROUND, contrary=bool(stars))
    return Drawing(wide, height, (*lines, *stars, *dots), legend, caption, facts)


def _marked(network: GeneNetwork, edges: pd.DataFrame, contrary: np.ndarray | None) -> np.ndarray:
    """(k,) bool: the edges of a table that are among `contrary`."""
    if contrary is None:
        return np.zeros(len(edges), dtype=bool)
    rows, columns = (edges[end].map(network.panel.index.get).to_numpy() for end in (keys.SOURCE, keys.TARGET))
    return contrary[rows, columns]


def _certainty(network: GeneNetwork, edges: pd.DataFrame) -> np.ndarray:
    """(k,) 0 to 1: how often an edge comes back, else how high it is."""
    weight = edges[keys.WEIGHT].to_numpy(dtype=float) / (network.top or 1.0)
    if keys.FREQUENCY not in edges:
        return np.clip(weight, 0, 1)
    often = edges[keys.FREQUENCY].to_numpy(dtype=float)
    return np.where(np.isfinite(often), often, np.clip(weight, 0, 1))


Group = tuple[tuple[str, ...], tuple[str, ...]]
"""Regulators, and the targets that these and no others regulate."""


def _folded(edges: pd.DataFrame) -> tuple[list[str], list[Group], tuple[int, int]]:
    """Regulators, most targets first; groups, in the order of their regulators; how many of either are left
    out.
    """
    count = Counter(map(str, edges[keys.SOURCE]))
    ranked = sorted(count, key=lambda name: (-count[name], name))
    regulators = ranked[:MOST_REGULATORS]
    place = {name: k for k, name in enumerate(regulators)}
    sources: dict[str, list[str]] = defaultdict(list)
    for source, target in zip(edges[keys.SOURCE], edges[keys.TARGET], strict=True):
        if source in place and target not in place:
            sources[target].append(source)
    members: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for target, own in sources.items():
        members[tuple(sorted(own, key=lambda name: place[name]))].append(target)
    groups = sorted(members.items(), key=lambda item: (-len(item[1]), item[0]))
    kept = groups[:MOST_GROUPS]
    kept.sort(key=lambda item: (np.mean([place[name] for name in item[0]]), item[0]))
    left = (len(ranked) - len(regulators), sum(len(genes) for _, genes in groups[MOST_GROUPS:]))
    return regulators, [(own, tuple(sorted(genes))) for own, genes in kept], left


def _placed(
    regulators: Sequence[str], groups: Sequence[Group], wide: float
) -> tuple[dict[Any, tuple[float, float]], list[Stroke]]:
    """Places of regulators (by name) and groups (by number), and their marks with names."""
    rows = max(len(groups), 1.4 * len(regulators))
    top, left, right = 1.2 * LINE, 0.25 * wide, 0.54 * wide
    places: dict[Any, tuple[float, float]] = {}
    strokes = []
    for k, name in enumerate(regulators):
        places[name] = (left, top + (k + 0.5) * rows * LINE / len(regulators))
    for k in range(len(groups)):
        places[k] = (right, top + (k + 0.5) * rows * LINE / max(len(groups), 1))
    for name in regulators:
        x, y = places[name]
        size = sum(len(genes) for own, genes in groups if name in own)
        radius = min(8.0, 3.0 + 0.8 * np.sqrt(size))
        strokes.append(Stroke("circle", ((x, y),), REGULATOR, PAPER, 1.0, size=(radius,)))
        words = _fitted(name, x - 14 - _bulge(wide), 12)
        at = ((x - radius - 5, y + 4),)
        strokes.append(Stroke("text", at, INK, size=(12,), words=words, anchor="end", bold=True, halo=True))
    for k, (_, genes) in enumerate(groups):
        x, y = places[k]
        strokes.append(
            Stroke("circle", ((x, y),), TARGET, PAPER, 1.0, size=(min(6.0, 2.5 + np.sqrt(len(genes))),))
        )
        words = genes[0] if len(genes) == 1 else f"{len(genes)}: {', '.join(genes)}"
        words = _fitted(words, wide - x - 14, LEAST_LETTER)
        strokes.append(Stroke("text", ((x + 10, y + 4),), INK, size=(LEAST_LETTER,), words=words, halo=True))
    return places, strokes


def _bulge(wide: float) -> float:
    """Room that edges among regulators take."""
    return 0.02 * wide


def _fitted(words: str, room: float, size: float) -> str:
    return theme.shorten(words, max(3, int(room / (size * LETTER))))


def _links(
    edges: pd.DataFrame,
    regulators: Sequence[str],
    groups: Sequence[Group],
    places: Mapping[Any, tuple[float, float]],
) -> tuple[list[Stroke], list[Stroke]]:
    """Lines from regulators to groups and to one another, the surest on top; and the asterisks on those with
    an edge to mark.
    """
    where: dict[str, Any] = {name: name for name in regulators}
    where |= {gene: k for k, (_, genes) in enumerate(groups) for gene in genes}
    drawn = edges.loc[edges[keys.SOURCE].isin(regulators) & edges[keys.TARGET].isin(where)]
    found = []
    ends = drawn[keys.TARGET].map(where)
    for (source, end, sign), part in drawn.groupby([keys.SOURCE, ends, keys.SIGN], sort=False):
        marked = bool(part["contrary"].any())
        found.append((float(part["certainty"].mean()), len(part), int(sign), source, end, marked))
    drawn = [
        (_link(places[source], places[end], sign, count, sure, end in regulators), sign, marked)
        for sure, count, sign, source, end, marked in sorted(found, key=lambda one: one[:2])
    ]
    curves = [_along(strokes[0].points, np.linspace(0, 1, 41)) for strokes, *_ in drawn]
    stars = []
    for k, (strokes, sign, marked) in enumerate(drawn):
        if marked:
            stars += _star(
                strokes[0].points, np.concatenate([*curves[:k], *curves[k + 1 :], [[-99, -99]]]), sign
            )
    return [stroke for strokes, *_ in drawn for stroke in strokes], stars


def _along(curve: Sequence[tuple[float, float]], parts: Sequence[float] | np.ndarray) -> np.ndarray:
    """(p, 2) points so much of the way along a curve of start, control and end."""
    start, control, end = np.array(curve, dtype=float)
    part = np.array(parts, dtype=float)[:, None]
    return (1 - part) ** 2 * start + 2 * (1 - part) * part * control + part**2 * end


def _star(curve: Sequence[tuple[float, float]], others: np.ndarray, sign: int) -> list[Stroke]:
    """An asterisk on a line, as clear of others as can be. others: (p, 2) points on these."""
    places = _along(curve, STAR_AT)
    room = np.hypot(*(places[:, None] - others).transpose(2, 0, 1)).min(axis=1)
    x, y = (float(value) for value in places[np.minimum(room, STAR_CLEAR).argmax()])
    arms = ((STAR * cos(turn), STAR * sin(turn)) for turn in (pi / 2, pi / 6, -pi / 6))
    return [
        Stroke("circle", ((x, y),), PAPER, size=(STAR + 1.0,)),
        *(Stroke("path", ((x - dx, y - dy), (x + dx, y + dy)), "", SIGNS[sign], 1.2) for dx, dy in arms),
    ]


def _link(
    start: tuple[float, float], end: tuple[float, float], sign: int, count: int, sure: float, inside: bool
) -> list[Stroke]:
    """One line with its end: arrow, bar or open head."""
    (x1, y1), (x2, y2) = start, end
    y2 += 2.5 * (sign < 0) - 2.5 * (sign > 0)  # lines of both signs end side by side
    width, alpha = 1.1 + 0.5 * min(5.0, np.log2(count)), 0.22 + 0.73 * min(max(sure, 0.0), 1.0)
    colour = SIGNS[sign]
    if inside:  # an arc to the right of the regulators, where no name stands
        control = (x1 + min(70.0, 18 + 0.3 * abs(y2 - y1)), (y1 + y2) / 2)
    else:
        control = ((x1 + x2) / 2, y1 + 0.15 * (y2 - y1))
    far = np.hypot(x2 - control[0], y2 - control[1]) or 1.0
    ux, uy = (x2 - control[0]) / far, (y2 - control[1]) / far
    tip = (x2 - 8 * ux, y2 - 8 * uy)
    head = 4.5 + width
    back = (tip[0] - head * ux, tip[1] - head * uy)
    wings = [
        (back[0] - uy * head / 2, back[1] + ux * head / 2),
        (back[0] + uy * head / 2, back[1] - ux * head / 2),
    ]
    line = Stroke("curve", (start, control, back if sign > 0 else tip), "", colour, width, alpha)
    if sign > 0:
        return [line, Stroke("path", (tip, *wings), colour, "", 0.0, alpha)]
    if sign < 0:
        bar = ((tip[0] - uy * 4, tip[1] + ux * 4), (tip[0] + uy * 4, tip[1] - ux * 4))
        return [line, Stroke("path", bar, "", colour, 2.0, alpha)]
    return [line, Stroke("path", (wings[0], tip, wings[1]), "", colour, 1.2, alpha)]


def _caption(
    network: GeneNetwork, threshold: float, gene: str | None, edges: pd.DataFrame, left: tuple[int, int]
) -> str:
    what = "direct edges" if network.measure == "W" else "influence over all paths"
    words = [
        f"{network.name}: {len(edges):,} {what} with {network.measure} above {threshold:g}"
        + (f", out of and into {gene}" if gene else "")
        + f", out of {edges[keys.SOURCE].nunique():,} perturbed genes, to targets grouped by the regulators "
        "they share; before a colon the number of genes in a group."
    ]
    if network.ensemble is not None:
        words.append(
            f"How often edges come back: {network.ensemble.members:,} networks from other draws of cells."
        )
    if left[0]:
        words.append(f"Not drawn: {left[0]:,} regulators with fewer targets.")
    if left[1]:
        words.append(f"Not drawn: {left[1]:,} targets in small groups.")
    if network.simulated:
        words.append("Simulated data.")
    return " ".join(words)
