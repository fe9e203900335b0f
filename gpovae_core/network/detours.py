"""Which direct edges may after all run over a gene that nobody perturbed?

An effect of i on j that runs over a perturbed gene m is recognised: the perturbation of m shows what j makes
of it. Where m was never perturbed no cell tells i -> m -> j from i -> m and i -> j. What can be said is where
to look: a step passes on a part of a change, rarely more than all of it, so m has to be changed more than j
is.
"""

from __future__ import annotations

import numpy as np

LIKELY = 0.5
"""i -> m is taken for an edge above this probability."""


def open_detours(direct: np.ndarray, weights: np.ndarray, has_evidence: np.ndarray) -> np.ndarray:
    """(n, n) number of genes over which an edge may run unnoticed; NaN on the diagonal and out of genes
    without evidence.

    direct: (n, n) abs(W S), what an edge passes on of a change of its source; weights: (n, n) W;
    has_evidence: (n,) bool, perturbed in cells that trained. Row = source, column = target.
    """
    n = len(direct)
    result = np.full((n, n), np.nan)
    for i in np.flatnonzero(has_evidence):
        stronger = np.sort(direct[i, _between(weights[i], has_evidence)])
        result[i] = len(stronger) - np.searchsorted(stronger, direct[i], side="right")
    np.fill_diagonal(result, np.nan)
    return result


def genes_of_detours(
    direct: np.ndarray, weights: np.ndarray, has_evidence: np.ndarray, i: int, j: int
) -> np.ndarray:
    """Positions of the genes that `open_detours` counts for i -> j, the one that i changes most first."""
    between = np.flatnonzero(_between(weights[i], has_evidence) & (direct[i] > direct[i, j]))
    return between[np.argsort(-direct[i, between], kind="stable")]


def _between(weights: np.ndarray, has_evidence: np.ndarray) -> np.ndarray:
    """(n,) bool: genes that the source of these weights (n,) changes and nobody perturbed."""
    return ~has_evidence & (weights > LIKELY)
