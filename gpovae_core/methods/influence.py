"""T_K: everything that follows from W over up to K hops."""

from __future__ import annotations

import numpy as np

from gpovae_core.methods.method import Inputs, Look, Method
from gpovae_core.model.hops import hop_series, influence_over_hops, influence_passed


def reach(inputs: Inputs, hops: int) -> np.ndarray:
    """(s, t) size of T over `hops` hops: expected log fold changes with a network stage, the bounded series
    on W without one.
    """
    assert inputs.weights is not None
    rows, columns = inputs.places
    weights, fit = inputs.weights, inputs.fit
    if fit is None:
        series = hop_series("paper", len(weights), hops)
        return influence_over_hops(weights, series, weights[rows])[:, columns]
    reached = influence_passed(weights * fit.strength, fit.passing, hops, rows)
    return np.abs(fit.own_change[rows, None] * reached)[:, columns]


def score(inputs: Inputs) -> np.ndarray:
    """(s, t) size of T_K."""
    assert inputs.hops is not None
    return reach(inputs, inputs.hops)


def on_measurements(inputs: Inputs) -> np.ndarray:
    """(s, t) size of the effect that the network predicts on the scale of the measurement, common lift
    included; T_K without a network stage, which alone knows that scale.
    """
    if inputs.fit is None:
        return score(inputs)
    from gpovae_core.methods.expected import predicted_by_network

    prepared = inputs.prepared
    found = np.full((len(prepared.panel),) * 2, np.nan)
    found[:, prepared.panel.is_measured] = np.abs(
        predicted_by_network(inputs.fit, prepared)[:, prepared.panel_columns]
    )
    return inputs.of_pairs(found)


METHOD = Method(
    key="influence",
    order=20,
    title="T_K (all that follows)",
    sentence="T_K ranks pairs by the size of what follows from W over up to K hops.",
    role="ours",
    needs=frozenset({"weights", "hops"}),
    score=score,
    measured=on_measurements,
    look=Look("vermillion", "solid", "square", 3.0),
)
