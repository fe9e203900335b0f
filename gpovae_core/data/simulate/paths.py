"""The truth about total effects: what is downstream of a gene in a true network."""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy import sparse

from gpovae_core import keys
from gpovae_core.errors import QueryError

HOPS = "hops"


def downstream(edges: pd.DataFrame, hops: int) -> pd.DataFrame:
    """Every pair of genes joined by a directed path of at most `hops` edges: the truth about total effects.

    edges: as in Simulation. Columns: source, target, `hops` (fewest edges), weight (product of strengths,
    summed over all paths of at most `hops` edges: the linear response of target to source), sign (of weight;
    0 where paths cancel). Sorted by source, then target.
    """
    if hops < 1:
        raise QueryError(f"hops must be 1 or more, got {hops}.")
    names = sorted({*edges[keys.SOURCE], *edges[keys.TARGET]})
    place = pd.Index(names)
    n = len(names)
    rows, columns = place.get_indexer(edges[keys.SOURCE]), place.get_indexer(edges[keys.TARGET])
    strength = sparse.csr_matrix((edges[keys.WEIGHT].to_numpy(float), (rows, columns)), shape=(n, n))
    exists = _pattern(strength)
    walk, reach, total = strength, exists, strength
    found = dict.fromkeys(zip(*(axis.tolist() for axis in exists.nonzero()), strict=True), 1)
    for hop in range(2, hops + 1):
        walk, reach = walk @ strength, _pattern(reach @ exists)
        total = total + walk
        for pair in zip(*(axis.tolist() for axis in reach.nonzero()), strict=True):
            found.setdefault(pair, hop)
    pairs = sorted(found)
    weight = total.toarray()[tuple(np.array(pairs, dtype=int).reshape(-1, 2).T)]
    return pd.DataFrame(
        {
            keys.SOURCE: [names[i] for i, _ in pairs],
            keys.TARGET: [names[j] for _, j in pairs],
            HOPS: [found[pair] for pair in pairs],
            keys.WEIGHT: weight,
            keys.SIGN: np.sign(np.where(np.abs(weight) > 1e-12, weight, 0.0)).astype(np.int8),
        }
    )


def _pattern(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Ones where `matrix` has an entry."""
    return sparse.csr_matrix(
        (np.ones(matrix.nnz, dtype=np.int32), matrix.indices, matrix.indptr), shape=matrix.shape
    )
