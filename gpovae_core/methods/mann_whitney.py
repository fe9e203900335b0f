"""Mann and Whitney's test in the training cells, within batch, donor, condition and depth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import special

from gpovae_core.methods.method import Inputs, Look, Method

if TYPE_CHECKING:
    from gpovae_core.effects.pairs import PairStatistics


def score(inputs: Inputs) -> np.ndarray:
    """(s, t) `mann_whitney_order` of the training cells."""
    return inputs.of_genes(mann_whitney_order(inputs.tests))


def mann_whitney_order(pairs: PairStatistics) -> np.ndarray:
    """(s, t) rank by the size of Mann and Whitney's z, 0 the smallest; where p is too small for a number, by
    the Wasserstein distance.
    """
    z = -special.ndtri(np.maximum(pairs.p, 1e-300) / 2).ravel()
    known = np.flatnonzero(np.isfinite(z))
    order = known[np.lexsort((pairs.wasserstein.ravel()[known], z[known]))]
    result = np.full(z.shape, np.nan)
    result[order] = np.arange(len(order))
    return result.reshape(pairs.p.shape)


METHOD = Method(
    key="mann_whitney",
    order=60,
    title="Mann-Whitney z",
    sentence=(
        "Mann-Whitney z ranks pairs by the test of the target's expression in perturbed against control "
        "training cells."
    ),
    role="baseline",
    needs=frozenset({"cells"}),
    score=score,
    look=Look("purple", "dash", "x", 1.6),
    ceiling_of=("bh_share", "raw_share", "left_out"),
)
