"""The steps of the threshold slider: which thresholds it can take, and what is known at each."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from gpovae_core.network.curves import STEPS, steps
from gpovae_core.network.grn import GeneNetwork


def on_step(threshold: float, top: float = 1.0) -> float:
    """The nearest threshold the slider can take."""
    return min(top, max(0.0, float(f"{round(threshold / top * STEPS) / STEPS * top:.12g}")))


def step_below(weight: float, top: float = 1.0) -> float:
    """The largest threshold the slider can take at which an edge of this weight still shows."""
    return max(0.0, float(f"{(math.ceil(weight / top * STEPS - 1e-9) - 1) / STEPS * top:.12g}"))


def digits(top: float) -> int:
    """Decimals in which a threshold is written: as many as the steps of the slider need; network.js counts
    alike.
    """
    return max(0, min(12, 3 - math.floor(math.log10(top) + 1e-9)))


def false_edge_rate(table: pd.DataFrame | None, network: GeneNetwork) -> list[float | None] | None:
    """(STEPS + 1,) estimated false-edge rate at every step of the slider, between the thresholds of the
    table; None outside them.

    table: columns threshold and estimated_false_edge_rate, of thresholds on W; None where the run has none.
    """
    if table is None or network.measure != "W":
        return None
    known = table.dropna(subset=["threshold", "estimated_false_edge_rate"]).sort_values("threshold")
    if known.empty:
        return None
    at = np.asarray(known["threshold"], dtype=float)
    rate = np.interp(
        steps(network),
        at,
        np.asarray(known["estimated_false_edge_rate"], dtype=float),
        left=np.nan,
        right=np.nan,
    )
    return [float(value) if np.isfinite(value) else None for value in rate]
