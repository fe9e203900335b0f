"""Controls drawn in the place of perturbed cells: of the same batches, donors and conditions, and as deep."""

from __future__ import annotations

import numpy as np

from gpovae_core.effects.design import MOST_DEPTHS


def drawn_like(
    rng: np.random.Generator, wanted: np.ndarray, pool: np.ndarray, most: float = 0.5
) -> np.ndarray:
    """(k,) places in the pool, as many of every class as there are cells wanted of it.

    wanted: (cells,) and pool: (n,) numbers of `effects.design.by_depth`; most: share that is taken at most of
    a class, and of a stratum. What one depth lacks comes from any other of its stratum.
    """
    order = rng.permutation(len(pool))
    chosen: list[np.ndarray] = []
    classes, sizes = np.unique(wanted, return_counts=True)
    for stratum in np.unique(classes // MOST_DEPTHS):
        own = order[pool[order] // MOST_DEPTHS == stratum]
        limit, found = int(most * len(own)), np.zeros(0, dtype=int)
        here = classes // MOST_DEPTHS == stratum
        for one, size in zip(classes[here], sizes[here], strict=True):
            members = own[pool[own] == one]
            found = np.append(found, members[: min(size, int(np.ceil(most * len(members))))])
        others = own[~np.isin(own, found)]
        found = np.append(found, others[: max(0, sizes[here].sum() - len(found))])
        chosen.append(rng.permutation(found)[:limit] if len(found) > limit else found)
    return np.concatenate([*chosen, np.zeros(0, dtype=int)]).astype(int)


def every_second(kinds: np.ndarray) -> np.ndarray:
    """(n,) bool: half of every kind, those that come second."""
    order = np.argsort(kinds, kind="stable")
    start = np.searchsorted(kinds[order], kinds[order])
    chosen = np.zeros(len(kinds), dtype=bool)
    chosen[order] = (np.arange(len(kinds)) - start) % 2 == 1
    return chosen
