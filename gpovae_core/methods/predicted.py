"""The effects that the trained model predicts, as a ranking of pairs."""

from __future__ import annotations

import numpy as np

from gpovae_core.methods.method import Inputs, Method


def score(inputs: Inputs) -> np.ndarray:
    """(s, t) size of the predicted effect."""
    assert inputs.prediction is not None
    return np.abs(inputs.of_table(inputs.prediction))


METHOD = Method(
    key="model",
    order=30,
    title="predicted effects",
    sentence="Predicted effects rank pairs by the size of the effect that the model predicts.",
    role="ours",
    needs=frozenset({"prediction"}),
    score=score,
    scored_in=frozenset({"top"}),
)
