"""What the picture of a network is sent, taken from a GeneNetwork; no Streamlit in here."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from gpovae_core import __version__, keys
from gpovae_core.network.curves import steps
from gpovae_core.network.grn import Direction, GeneNetwork
from gpovae_core.plots.layout import network_layout

MOST_EDGES = 5000
"""Edges drawn at most; panning stays fluid with so many."""
LAYOUT_EDGES = 2
"""Strongest edges into and out of every gene that shape the layout, so that each gene has a place whatever
the threshold.
"""
MOST_AROUND = 150
"""Edges drawn at most around a gene: two hops in a dense network are most of it, and a hairball answers
nothing.
"""
MARGIN = 0.1
"""How far below the threshold, as a part of the scale, the edges of an ego view are sent: the slider can go
down without asking Python.
"""


@dataclass(frozen=True)
class Picture:
    """What does not change with threshold, focus or view: computed once per run and measure.

    genes: gene, perturbed, x, y in panel order; edges: the strongest MOST_EDGES, by gene number; counts,
    indirect: (STEPS + 1,) edges above each step of the slider, and those of them that start at a gene never
    perturbed; blind: whether such edges are shown at all, hidden: how many are left out at each step where
    they are not. often: least share of the ensemble's members that have an edge which is shown; rare: how
    many are left out at each step for that.
    """

    genes: pd.DataFrame
    edges: pd.DataFrame
    counts: list[int]
    indirect: list[int]
    self_loops: bool
    blind: bool = True
    hidden: list[int] | None = None
    often: float = 0.0
    rare: list[int] | None = None

    @property
    def positions(self) -> np.ndarray:
        """(n, 2) places in pixels."""
        return self.genes[["x", "y"]].to_numpy(dtype=np.float64)


@dataclass(frozen=True)
class Sight:
    """What a person is looking at: everything of the view that Python decides.

    mode: "whole", "ego" or "communities"; focus, goal: chosen gene and target of a path; path: genes of the
    lit path, paths: of the other traced ones; edge: source and target of the chosen edge; members: (n,)
    communities, highlight: the one looked at; undo, redo: whether there is something to undo or redo;
    false_rate: (STEPS + 1,) estimated false-edge rate, None where unknown.
    """

    mode: str
    focus: str | None
    hops: int
    direction: Direction
    threshold: float
    goal: str | None = None
    path: tuple[str, ...] = ()
    paths: tuple[tuple[str, ...], ...] = ()
    edge: tuple[str, str] | None = None
    members: np.ndarray | None = None
    highlight: int | None = None
    undo: bool = False
    redo: bool = False
    false_rate: list[float | None] | None = None


def layout(network: GeneNetwork) -> np.ndarray:
    """(n, 2) float32 places of the genes, shaped by the strongest edges of W."""
    return network_layout(len(network), *shaping_edges(network.weights, network.has_evidence)).astype(
        np.float32
    )


def picture(
    network: GeneNetwork,
    positions: np.ndarray,
    self_loops: bool = False,
    whole: GeneNetwork | None = None,
    often: float = 0.0,
    with_rare: GeneNetwork | None = None,
) -> Picture:
    """The strongest edges with the places of the genes; counts are of all edges.

    often, with_rare: `network` holds only edges with at least this frequency, of those in `with_rare`.

    whole: the network of which `network` holds only the edges with evidence, to say how many are left out;
    None where it is all.
    """
    genes = pd.DataFrame(
        {
            "gene": list(network.panel.genes),
            "perturbed": network.has_evidence.astype(np.int8),
            "x": positions[:, 0].astype(np.float32),
            "y": positions[:, 1].astype(np.float32),
        }
    )
    thresholds = steps(network)
    return Picture(
        genes=genes,
        edges=numbered(network, network.edges(0.0, self_loops, top=MOST_EDGES)),
        counts=network.count_edges(thresholds, self_loops).tolist(),
        indirect=_without_evidence(network, thresholds, self_loops),
        self_loops=self_loops,
        blind=whole is None,
        hidden=None if whole is None else _without_evidence(whole, thresholds, self_loops),
        often=often,
        rare=None
        if with_rare is None
        else (
            with_rare.count_edges(thresholds, self_loops) - network.count_edges(thresholds, self_loops)
        ).tolist(),
    )


def shaping_edges(weights: np.ndarray, perturbed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sources, targets and weights of the LAYOUT_EDGES strongest edges into every gene, and out of every
    perturbed gene.

    Only edges above zero, no self-loops; each edge once. Edges out of genes never perturbed shape nothing of
    their own.
    """
    n = len(weights)
    off = np.where(np.eye(n, dtype=bool), 0.0, weights)
    most = min(LAYOUT_EDGES, n)
    into = np.argsort(-off, axis=0, kind="stable")[:most]  # (most, n) sources of every target
    out = np.argsort(-off[perturbed], axis=1, kind="stable")[:, :most]
    sources = np.concatenate([into.ravel(), np.repeat(np.flatnonzero(perturbed), out.shape[1])])
    targets = np.concatenate([np.tile(np.arange(n), most), out.ravel()])
    pairs = np.unique(np.column_stack([sources, targets])[off[sources, targets] > 0], axis=0)
    return pairs[:, 0], pairs[:, 1], off[pairs[:, 0], pairs[:, 1]]


def numbered(network: GeneNetwork, edges: pd.DataFrame) -> pd.DataFrame:
    """An edge table with genes as their numbers in the panel, in small types: it travels to the browser."""
    index = network.panel.index
    frequency = edges[keys.FREQUENCY] if keys.FREQUENCY in edges else np.full(len(edges), -0.01)
    return pd.DataFrame(
        {
            keys.SOURCE: np.array([index[gene] for gene in edges[keys.SOURCE]], dtype=np.int32),
            keys.TARGET: np.array([index[gene] for gene in edges[keys.TARGET]], dtype=np.int32),
            keys.WEIGHT: edges[keys.WEIGHT].astype(np.float64),
            keys.SIGN: edges[keys.SIGN].astype(np.int8),
            keys.FREQUENCY: np.round(100 * np.asarray(frequency)).astype(np.int8),  # in percent, -1 unknown
        }
    )


def _without_evidence(network: GeneNetwork, thresholds: np.ndarray, self_loops: bool) -> list[int]:
    """Edges above each threshold whose source was never perturbed, so that no cell speaks for or against
    them.
    """
    never = ~network.has_evidence
    counted = np.ones((int(never.sum()), len(network)), dtype=bool)
    if not self_loops:
        counted[np.arange(len(counted)), np.flatnonzero(never)] = False
    ordered = np.sort(network.weights[never][counted])
    return (len(ordered) - np.searchsorted(ordered, thresholds, side="right")).tolist()


def ego_edges(
    network: GeneNetwork,
    gene: str,
    hops: int,
    direction: Direction,
    threshold: float,
    self_loops: bool = False,
) -> tuple[pd.DataFrame, float, int]:
    """Edges around a gene; how far down they reach; and how many there are above the threshold.

    All of them down to MARGIN below the threshold where these are few; else the nearest to the gene, then the
    strongest, above it.
    """
    floor = max(0.0, threshold - MARGIN * network.top)
    here = network.neighbourhood(gene, hops, direction, threshold, self_loops)
    if len(here.edges) <= MOST_AROUND:  # where the narrower one is too much, the wider one is never looked at
        wider = network.neighbourhood(gene, hops, direction, floor, self_loops).edges
        if len(wider) <= MOST_AROUND:
            return wider, floor, len(here.edges)
    distance = dict(zip(here.genes["gene"], here.genes["hops"], strict=True))
    ends = [
        np.array([distance[name] for name in here.edges[end]], dtype=int)
        for end in (keys.SOURCE, keys.TARGET)
    ]
    nearest = np.argsort(np.minimum(ends[0], ends[1]), kind="stable")[
        :MOST_AROUND
    ]  # strongest first, and still so among equals
    return here.edges.iloc[np.sort(nearest).tolist()].reset_index(drop=True), threshold, len(here.edges)


def strongest_at(network: GeneNetwork, gene: str, direction: Direction) -> float | None:
    """Weight of the strongest edge at a gene; None where it has none."""
    place = network.panel.position(gene)
    own = np.zeros(len(network))
    if direction in ("out", "both"):
        own = np.maximum(own, network.weights[place])
    if direction in ("in", "both"):
        own = np.maximum(own, network.weights[:, place])
    own[place] = 0.0
    return float(own.max()) if own.any() else None


def message(
    shown: Picture, network: GeneNetwork, run: str, sight: Sight, known: str | None = None
) -> dict[str, Any]:
    """Everything the component is sent. `version` names the edges: equal versions, equal edges, nothing to
    rebuild.

    known: the version that the browser holds already; its genes and edges, most of the message, are then left
    out.
    """
    edges, around = shown.edges, {"floor": 0.0, "around": 0, "strongest": None}
    version = f"{run}|{network.measure}|{shown.self_loops}|{shown.blind}|{shown.often:g}"
    if sight.mode == "ego" and sight.focus is not None:
        found, floor, count = ego_edges(
            network, sight.focus, sight.hops, sight.direction, sight.threshold, shown.self_loops
        )
        strongest = strongest_at(network, sight.focus, sight.direction)
        edges, around = numbered(network, found), {"floor": floor, "around": count, "strongest": strongest}
        version += f"|ego|{sight.focus}|{sight.hops}|{sight.direction}|{sight.threshold}"
    else:
        version += "|whole"
    view = _view(shown, network, sight) | around
    graph = {} if version == known else _graph(shown, network, edges)
    return {"run": run, "version": version, "view": view} | graph


def _view(shown: Picture, network: GeneNetwork, sight: Sight) -> dict[str, Any]:
    """What is looked at, with genes as their numbers in the panel."""
    index = network.panel.index

    def number(gene: str | None) -> int | None:
        return None if gene is None else index[gene]

    def steps_of(genes: tuple[str, ...]) -> list[list[int]]:
        return [[index[a], index[b]] for a, b in pairwise(genes)]

    return {
        "mode": "whole" if sight.mode == "ego" and sight.focus is None else sight.mode,
        "measure": network.measure,
        "scale": network.top,
        "self_loops": shown.self_loops,
        "blind": shown.blind,
        "focus": number(sight.focus),
        "goal": number(sight.goal),
        "hops": sight.hops,
        "direction": sight.direction,
        "threshold": sight.threshold,
        "path": steps_of(sight.path),
        "paths": [
            list(step) for step in sorted({tuple(step) for path in sight.paths for step in steps_of(path)})
        ],
        "edge": None if sight.edge is None else [index[gene] for gene in sight.edge],
        "members": None if sight.members is None else sight.members.tolist(),
        "highlight": sight.highlight,
        "undo": sight.undo,
        "redo": sight.redo,
        "false_rate": sight.false_rate,
    }


def _graph(shown: Picture, network: GeneNetwork, edges: pd.DataFrame) -> dict[str, Any]:
    """Genes and edges, and what a saved picture says of itself."""
    return {
        "genes": shown.genes,
        "edges": edges,
        "counts": shown.counts,
        "indirect": shown.indirect,
        "hidden": shown.hidden,
        "rare": shown.rare,
        "often": shown.often,
        "facts": {
            "run": network.name,
            "simulated": network.simulated,
            "settings": network.settings,
            "gpovae": __version__,
        },
    }
