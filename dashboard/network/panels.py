"""What the chart of thresholds is sent; no Streamlit in here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from dashboard.network.slider import digits, false_edge_rate
from gpovae_core.network.agreement import ListedShare
from gpovae_core.network.curves import STEPS, ThresholdCurves
from gpovae_core.network.grn import GeneNetwork


def threshold_message(
    curves: ThresholdCurves,
    network: GeneNetwork,
    threshold: float,
    pinned: float | None,
    false_edges: pd.DataFrame | None = None,
    listed: Sequence[ListedShare] = (),
) -> dict[str, Any]:
    """Everything the chart of thresholds is sent: one panel per measure that is known. listed: of tables of
    known edges, over the steps of the slider.
    """

    def step(value: float | None) -> int:
        return -1 if value is None else round(value / network.top * STEPS)

    panels = [
        *_size(curves, network),
        *_effects(curves),
        *_false_edges(false_edges, network),
        *_listed(listed),
    ]
    return {
        "measure": network.measure,
        "scale": network.top,
        "digits": digits(network.top),
        "steps": STEPS,
        "step": step(threshold),
        "pinned": step(pinned),
        "panels": [_without_gaps(panel) for panel in panels],
    }


def _size(curves: ThresholdCurves, network: GeneNetwork) -> list[dict[str, Any]]:
    """How much of the network is left."""
    what = "edges" if network.measure == "W" else "pairs"
    return [
        {
            "title": f"{what.capitalize()} left",
            "values": curves.edges,
            "log": True,
            "whole": True,
            "note": "log scale",
        },
        {
            "title": "Genes with an edge",
            "values": curves.genes,
            "whole": True,
            "note": f"of {len(network):,} in the panel",
        },
    ]


def _effects(curves: ThresholdCurves) -> list[dict[str, Any]]:
    """What the edges have to do with effects in the held-out cells; nothing where no pair is tested."""
    if curves.coverage is None:
        return []
    return [
        {
            "title": f"Real effects reached within {curves.hops} hop{'s' if curves.hops > 1 else ''}",
            "values": curves.coverage,
            "base": curves.coverage_of_any,
            "percent": True,
            "full": True,
            "note": (
                f"of {curves.effects:,} significant pairs; dotted: of any pair. Where both run "
                "together, it is mere edge count."
            ),
        },
        {
            "title": "Mean Wasserstein distance of the edges",
            "values": curves.mu_wd,
            "base": np.full(STEPS + 1, curves.random_mu_wd),
            "note": (
                "log(1 + counts per 10,000), larger is better; dotted: as many random edges. Falls as "
                "edges are added, whatever the method."
            ),
        },
        {
            "title": f"False omission rate (no path of {curves.omission_hops} hops)",
            "values": curves.omission,
            "base": np.full(STEPS + 1, curves.significant),
            "percent": True,
            "note": (
                "smaller is better; dotted: share of significant pairs in all, what chance would leave."
            ),
        },
    ]


def _false_edges(table: pd.DataFrame | None, network: GeneNetwork) -> list[dict[str, Any]]:
    """How many of the edges are false, where that was estimated."""
    rate = false_edge_rate(table, network)
    if rate is None:
        return []
    return [
        {
            "title": "Estimated share of false edges",
            "values": np.array(rate, dtype=float),
            "percent": True,
            "full": True,
            "note": "from controls relabelled as perturbed",
        }
    ]


def _listed(tables: Sequence[ListedShare]) -> list[dict[str, Any]]:
    """How many of the edges that a table could have listed it lists; nothing where it knows no pair here."""
    return [
        {
            "title": f"Listed in {table.name}",
            "values": table.precision,
            "base": np.full(STEPS + 1, table.chance),
            "percent": True,
            "note": (
                f"of the edges that it could list; dotted: of all such pairs ({table.known:,} of "
                f"{table.pairs:,}). An edge that no table lists may be true."
            ),
        }
        for table in tables
        if table.known
    ]


def _without_gaps(panel: dict[str, Any]) -> dict[str, Any]:
    """The same with its curves as lists, None where they are not defined: JSON knows no NaN."""
    curves = {
        key: [float(value) if np.isfinite(value) else None for value in panel[key]]
        for key in ("values", "base")
        if panel.get(key) is not None
    }
    return panel | curves
