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

from gpovae_core.model.hops import influence_passed

ROOT = 0.5
"""Power of what is left of a gene in which its targets are taken to follow: 0 would be its logarithm, 1 the
share itself.
"""


def followed(change: np.ndarray) -> np.ndarray:
    """What targets follow of log fold changes of their regulator: of a fall (left**ROOT - 1) / ROOT, of a
    rise its logarithm. Near no change both are the change itself.
    """
    return np.where(change < 0, np.expm1(ROOT * np.minimum(change, 0.0)) / ROOT, change)


def passing(direct: np.ndarray, own: np.ndarray, hops: int) -> np.ndarray:
    """(n, n) how much of a change of the column its edges pass on when the row is perturbed, over what S
    says: more than 1 where the gene falls by less than under its own perturbation. 0 on the diagonal: what
    comes back to the perturbed gene is part of the change that its perturbation makes.

    direct: (n, n) W * S; own: (n,) log fold change of every gene when it is itself perturbed. The changes are
    those after `hops` hops, each made by the actual changes before it.
    """
    at_own = _per_unit(own)
    change = np.diag(own)
    for _ in range(hops):
        change = (followed(change) / at_own) @ direct
        np.fill_diagonal(change, own)
    found = _per_unit(change) / at_own
    np.fill_diagonal(found, 0.0)
    return found


def total(direct: np.ndarray, own: np.ndarray, hops: int) -> tuple[np.ndarray, np.ndarray]:
    """T_K and `passing`, both (n, n)."""
    found = passing(direct, own, hops)
    return influence_passed(direct, found, hops), found


def _per_unit(change: np.ndarray) -> np.ndarray:
    """`followed` over the change itself; 1 where there is none."""
    some = np.where(change == 0, 1.0, change)
    return np.where(change == 0, 1.0, followed(some) / some)
