"""W itself: the direct edges of the network that is judged."""

from __future__ import annotations

import numpy as np

from gpovae_core.methods.method import Inputs, Look, Method


def ordered(inputs: Inputs) -> np.ndarray:
    """(n, n) W on the scale that tells its entries apart best: log odds where a network stage gave them."""
    assert inputs.weights is not None
    return inputs.weights if inputs.fit is None else inputs.fit.log_odds


def score(inputs: Inputs) -> np.ndarray:
    """(s, t) `ordered`."""
    return inputs.of_pairs(ordered(inputs))


def signs(inputs: Inputs) -> np.ndarray:
    """(s, t) sign of an edge: of its strength, or else against the effect of knocking its source down; 0
    where unknown.
    """
    if inputs.fit is not None:
        return np.sign(inputs.of_pairs(inputs.fit.strength))
    return -np.sign(np.nan_to_num(inputs.of_table(inputs.effects)))


METHOD = Method(
    key="w",
    order=10,
    title="W (direct edges)",
    sentence="W ranks pairs by the probability that an edge joins them directly.",
    role="ours",
    needs=frozenset({"weights"}),
    score=score,
    look=Look("blue", "solid", "circle", 3.0),
)
