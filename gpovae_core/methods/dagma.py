"""DAGMA, as the package of that name computes it: an acyclic linear network of the cells."""

from __future__ import annotations

import contextlib
import io

import numpy as np

from gpovae_core.methods.extras import in_place_of_cells, missing, module, refuse_beyond
from gpovae_core.methods.method import Inputs, Look, Method
from gpovae_core.methods.moments import spread_out

PACKAGE = "dagma"
MOST_GENES = 200
STEPS = {"warm_iter": 2000, "max_iter": 4000, "lr": 3e-3}
"""Fifteen times fewer than the package takes by itself, and ten times as long."""


def score(inputs: Inputs) -> np.ndarray:
    """(s, t) size of the weight (Bello et al., NeurIPS 2022), over all training cells whatever was perturbed,
    with the package's own penalty; NaN where a side was not measured.

    Raises QueryError beyond MOST_GENES measured panel genes.
    """
    refuse_beyond(MOST_GENES, len(inputs.genes))
    fitted = module("dagma.linear").DagmaLinear(loss_type="l2")
    with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
        weights = fitted.fit(in_place_of_cells(inputs), w_threshold=0.0, **STEPS)
    return spread_out(np.abs(weights), inputs.genes, inputs.genes, (inputs.sources, inputs.targets))


METHOD = Method(
    key="dagma",
    order=76,
    title="DAGMA",
    sentence=(
        "DAGMA ranks pairs by the weights of an acyclic linear network of the training cells, whatever was "
        "perturbed (Bello et al. 2022, package dagma)."
    ),
    role="baseline",
    needs=frozenset({"cells"}),
    score=score,
    look=Look("purple", "dashdot", "hourglass", 1.6),
    unavailable=lambda: missing(PACKAGE),
)
