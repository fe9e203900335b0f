"""The Wasserstein distance of the training cells: the measurement against itself."""

from __future__ import annotations

import numpy as np

from gpovae_core.methods.method import Inputs, Method


def score(inputs: Inputs) -> np.ndarray:
    """(s, t) distance of the target's expression in control cells and in cells with the source perturbed."""
    return inputs.of_genes(inputs.tests.wasserstein)


METHOD = Method(
    key="train_wasserstein",
    order=90,
    title="Wasserstein distance in training cells",
    sentence="The Wasserstein distance of the training cells is the ceiling of the mean distance.",
    role="ceiling",
    needs=frozenset({"cells"}),
    score=score,
    ceiling_of=("mu_wd",),
)
