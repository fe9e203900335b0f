"""Difference of mean expression in the training cells: the simplest ranking there is."""

from __future__ import annotations

import numpy as np

from gpovae_core.methods.method import Inputs, Look, Method


def score(inputs: Inputs) -> np.ndarray:
    """(s, t) size of the mean difference."""
    return np.abs(inputs.of_table(inputs.effects))


METHOD = Method(
    key="mean_difference",
    order=50,
    title="mean difference",
    sentence=(
        "The mean difference ranks pairs by the size of the effect of the source on the target in the "
        "training cells."
    ),
    role="baseline",
    needs=frozenset({"effects"}),
    score=score,
    look=Look("green", "dash", "diamond", 1.6),
    scored_in=frozenset({"same_edges", "curves", "top", "known"}),
)
