"""NOTEARS, as the package notears-pytorch computes it: an acyclic linear network of the cells."""

from __future__ import annotations

import numpy as np

from gpovae_core.methods.extras import in_place_of_cells, missing, module, refuse_beyond
from gpovae_core.methods.method import Inputs, Look, Method
from gpovae_core.methods.moments import spread_out

PACKAGE = "notears_pytorch"
MOST_GENES = 100
THRESHOLDS = np.geomspace(1e-3, 2.0, 50)
"""Of the weights: the package gives back which of them pass, and no weight."""


def score(inputs: Inputs) -> np.ndarray:
    """(s, t) how many of THRESHOLDS the weight passes (Zheng et al., NeurIPS 2018), over all training cells
    whatever was perturbed, with the package's own penalty; NaN where a side was not measured.

    Raises QueryError beyond MOST_GENES measured panel genes.
    """
    refuse_beyond(MOST_GENES, len(inputs.genes))
    # one threshold a layer: the package compares by broadcasting, so that one fit serves them all
    passed = module(PACKAGE).notears_linear(in_place_of_cells(inputs), w_threshold=THRESHOLDS[:, None, None])
    found = passed.sum(axis=0).astype(float)
    return spread_out(found, inputs.genes, inputs.genes, (inputs.sources, inputs.targets))


METHOD = Method(
    key="notears",
    order=72,
    title="NOTEARS",
    sentence=(
        "NOTEARS ranks pairs by the weights of an acyclic linear network of the training cells, whatever was "
        "perturbed (Zheng et al. 2018, package notears-pytorch)."
    ),
    role="baseline",
    needs=frozenset({"cells"}),
    score=score,
    look=Look("purple", "dot", "diamond-tall", 1.6),
    unavailable=lambda: missing(PACKAGE),
)
