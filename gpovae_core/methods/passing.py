"""How much of a change goes on: T_K, where genes in between change by more or less than under their own
perturbation.

S is measured where its source was perturbed itself, log per log at that change. A gene in between changes as
little or as much as the path before it makes it. Were responses straight lines in logarithms, its targets
would follow in proportion; were they straight lines in what is left of the gene (`explained.felt`), they
would follow a small fall far more. In most simulated screens the first is too little and the second too much:
the effects in held-out cells that only paths can explain lie between, near what the square root of what is
left makes expected. That is taken here (benchmarks/passing.py; figures in docs/results.md).
"""

from __future__ import annotations

import numpy as np

from gpovae_core.data.cores import at_once
from gpovae_core.model.hops import walked

ROOT = 0.5
"""Power of what is left of a gene in which its targets are taken to follow: 0 would be its logarithm, 1 the
share itself.
"""

LARGE = 2000
"""Panels of so many genes are multiplied in float32, in which a run keeps T_K: it moves by 1e-6 at most."""

_ROWS = 500  # sources that are worked on in a piece


def followed(change: np.ndarray) -> np.ndarray:
    """What targets follow of log fold changes of their regulator: of a fall (left**ROOT - 1) / ROOT, of a
    rise its logarithm. Near no change both are the change itself.
    """
    return np.where(change < 0, np.expm1(ROOT * np.minimum(change, 0.0)) / ROOT, change)


def total(direct: np.ndarray, own: np.ndarray, hops: int) -> tuple[np.ndarray, np.ndarray]:
    """T_K, and how much of a change of the column its edges pass on when the row is perturbed, over what S
    says: more than 1 where the gene falls by less than under its own perturbation. Both (n, n). 0 on the
    diagonal: what comes back to the perturbed gene is part of the change that its perturbation makes.

    direct: (n, n) W * S; own: (n,) log fold change of every gene when it is itself perturbed. The changes are
    those after `hops` hops, each made by the actual changes before it.
    """
    matrix = direct.astype(np.float32) if len(direct) >= LARGE else direct
    influence, found = np.empty(direct.shape), np.empty(direct.shape)

    def follow(rows: slice) -> None:
        sources = np.arange(len(own))[rows]
        found[rows] = _passing(direct[rows], matrix, own, hops, sources)
        influence[rows] = walked(direct[rows], found[rows], matrix, hops)
        influence[sources, sources] = 0.0

    for _ in at_once(follow, (slice(low, low + _ROWS) for low in range(0, len(own), _ROWS))):
        pass
    return influence, found


def _passing(
    direct: np.ndarray, matrix: np.ndarray, own: np.ndarray, hops: int, sources: np.ndarray
) -> np.ndarray:
    """(r, n) rows of `sources` (r,); direct: (r, n) those of `matrix`."""
    at_own, rows = _per_unit(own), np.arange(len(sources))
    straight = own[sources, None] * direct  # of the perturbed gene itself, the same in every hop
    change = straight.copy()
    for _ in range(hops - 1):
        change[rows, sources] = 0.0
        change = straight + (followed(change) / at_own).astype(matrix.dtype, copy=False) @ matrix
    change[rows, sources] = own[sources]
    found = _per_unit(change) / at_own
    found[rows, sources] = 0.0
    return found


def _per_unit(change: np.ndarray) -> np.ndarray:
    """`followed` over the change itself; 1 where there is none."""
    some = np.where(change == 0, 1.0, change)
    return np.where(change == 0, 1.0, followed(some) / some)
