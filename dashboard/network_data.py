"""What the picture of a network needs, taken from a GeneNetwork; no Streamlit in here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.network.grn import Direction, GeneNetwork
from gpovae_core.plots.layout import network_layout

MOST_EDGES = 5000
"""Edges drawn at most; panning stays fluid with so many."""
STEPS = 200
"""The slider moves in steps of 1 / STEPS; network.js has the same constant."""
LAYOUT_EDGES = 2
"""Strongest edges into and out of every gene that shape the layout, so that each gene has a place whatever the threshold."""
MOST_AROUND = 300
"""Edges drawn at most around a gene: two hops in a dense network are most of it, and a hairball answers nothing."""
MARGIN = 0.1
"""How far below the threshold the edges of an ego view are sent, so that the slider can go down without asking Python."""


@dataclass(frozen=True)
class Picture:
    """What does not change with threshold, focus or view: computed once per run.

    genes: gene, perturbed, x, y in panel order; edges: the strongest MOST_EDGES, by gene number; counts, indirect: (STEPS + 1,)
    edges above each step of the slider, and those of them that start at a gene never perturbed.
    """

    genes: pd.DataFrame
    edges: pd.DataFrame
    thresholds: np.ndarray
    counts: list[int]
    indirect: list[int]


def picture(network: GeneNetwork) -> Picture:
    """Layout from the strongest edges; counts from all of them."""
    strongest = numbered(network, network.edges(0.0, top=MOST_EDGES))
    positions = network_layout(len(network), *shaping_edges(network.weights, network.panel.is_perturbed))
    genes = pd.DataFrame(
        {
            "gene": list(network.panel.genes),
            "perturbed": network.panel.is_perturbed.astype(np.int8),
            "x": positions[:, 0].astype(np.float32),
            "y": positions[:, 1].astype(np.float32),
        }
    )
    thresholds = np.linspace(0.0, 1.0, STEPS + 1)
    return Picture(genes, strongest, thresholds, network.count_edges(thresholds).tolist(), _without_evidence(network, thresholds))


def shaping_edges(weights: np.ndarray, perturbed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sources, targets and weights of the LAYOUT_EDGES strongest edges into every gene, and out of every perturbed gene.

    Only edges above zero, no self-loops; each edge once. Edges out of genes never perturbed shape nothing of their own.
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
    """An edge table with genes as their numbers in the panel, in small types: it travels on every rerun."""
    index = network.panel.index
    return pd.DataFrame(
        {
            keys.SOURCE: np.array([index[gene] for gene in edges[keys.SOURCE]], dtype=np.int32),
            keys.TARGET: np.array([index[gene] for gene in edges[keys.TARGET]], dtype=np.int32),
            keys.WEIGHT: edges[keys.WEIGHT].astype(np.float64),
            keys.SIGN: edges[keys.SIGN].astype(np.int8),
        }
    )


def _without_evidence(network: GeneNetwork, thresholds: np.ndarray) -> list[int]:
    """Edges above each threshold whose source was never perturbed, so that no cell speaks for or against them."""
    never = ~network.panel.is_perturbed
    weights = network.weights[never][np.arange(len(network))[None, :] != np.flatnonzero(never)[:, None]]
    ordered = np.sort(weights)
    return (len(ordered) - np.searchsorted(ordered, thresholds, side="right")).tolist()


def ego_edges(network: GeneNetwork, gene: str, hops: int, direction: Direction, threshold: float) -> tuple[pd.DataFrame, float, int]:
    """Edges around a gene, numbered; how far down they reach; and how many there are above the threshold.

    All of them down to MARGIN below the threshold where these are few; else the nearest to the gene, then the strongest, above it.
    """
    floor = max(0.0, threshold - MARGIN)
    here = network.neighbourhood(gene, hops, direction, threshold)
    wider = network.neighbourhood(gene, hops, direction, floor).edges
    if len(wider) <= MOST_AROUND:
        return numbered(network, wider), floor, len(here.edges)
    distance = dict(zip(here.genes["gene"], here.genes["hops"], strict=True))
    ends = [np.array([distance[name] for name in here.edges[end]], dtype=int) for end in (keys.SOURCE, keys.TARGET)]
    nearest = np.argsort(np.minimum(ends[0], ends[1]), kind="stable")[:MOST_AROUND]  # strongest first, and still so among equals
    return numbered(network, here.edges.iloc[np.sort(nearest).tolist()]), threshold, len(here.edges)


def strongest_at(network: GeneNetwork, gene: str, direction: Direction) -> float | None:
    """Weight of the strongest edge at a gene; None where it has none."""
    found = network.reach(gene, 1, 0.0, direction)["probability"]
    return float(found.max()) if len(found) else None


def on_step(threshold: float) -> float:
    """The nearest threshold the slider can take."""
    return round(round(threshold * STEPS) / STEPS, 6)


def step_below(weight: float) -> float:
    """The largest threshold the slider can take at which an edge of this weight still shows."""
    return max(0.0, round((math.ceil(weight * STEPS - 1e-9) - 1) / STEPS, 6))


def message(
    shown: Picture,
    network: GeneNetwork,
    run: str,
    *,
    mode: str,
    focus: str | None,
    hops: int,
    direction: Direction,
    threshold: float,
    path: tuple[str, ...],
) -> dict[str, Any]:
    """Everything the component is sent. `version` names the edges: equal versions, equal edges, nothing to rebuild."""
    index = network.panel.index
    ego = mode == "ego" and focus is not None
    edges, floor, around = shown.edges, 0.0, 0
    if ego and focus is not None:
        edges, floor, around = ego_edges(network, focus, hops, direction, threshold)
    view = {
        "mode": "ego" if ego else "whole",
        "focus": index[focus] if focus is not None else None,
        "hops": hops,
        "direction": direction,
        "threshold": threshold,
        "path": [[index[a], index[b]] for a, b in pairwise(path)],
        "floor": floor,
        "around": around,
        "strongest": strongest_at(network, focus, direction) if ego and focus is not None else None,
    }
    version = f"{run}|ego|{focus}|{hops}|{direction}|{threshold}" if ego else f"{run}|whole"
    return {
        "run": run,
        "version": version,
        "genes": shown.genes,
        "edges": edges,
        "counts": shown.counts,
        "indirect": shown.indirect,
        "view": view,
    }
