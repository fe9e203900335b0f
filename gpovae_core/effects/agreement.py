"""By how much do guides of one gene disagree beyond the scatter of their cells, pair by pair?

Two or three guides of a gene say little of their own variance: their mean squares scatter by a factor of ten
where they agree. So what is expected of a pair is learned from all pairs of a screen together: in a share of
them guides agree, in the others they differ by some factor, and both the share and how often each factor
occurs are fitted (the empirical Bayes of Smyth 2004 with a mixture in the place of one inverse chi-squared: a
guide that hits another gene too is the exception, and leaves the genes alone on which all guides agree).
"""

from __future__ import annotations

import numpy as np

FACTORS = 2.0 ** np.arange(11)
"""Variance of the guides' means that comes of the guides, in units of that of their cells."""

AGREEING = 0.8
"""Share of pairs whose guides agree, before any is seen, with the weight of PRIOR_PAIRS pairs."""
PRIOR_PAIRS = 10.0

_RATIOS = np.geomspace(1e-2, 1e5, 701)
"""Mean squares at which everything is worked out; between them it is interpolated."""
_ROUNDS = 200
_SETTLED = 1e-6


def excess(ratio: np.ndarray, degrees: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(r, m) variance of the replicates' means beyond that of their cells, in units of the latter, as is
    expected from `ratio`; 0 where not `known`.

    ratio: (r, m) mean squares of the replicates' means over what cells alone make expected, so that ratio
    times degrees is chi-squared where replicates agree; degrees: (r,) of freedom; known: (r, m) bool.
    """
    result = np.zeros(ratio.shape)
    if not known.any():
        return result
    place = np.log(_RATIOS)
    logs = np.log(np.clip(ratio, _RATIOS[0], _RATIOS[-1]))
    nearest = np.rint((logs - place[0]) / (place[1] - place[0])).astype(int)
    kinds, kind = np.unique(degrees, return_inverse=True)
    seen = np.zeros((len(kinds), len(_RATIOS)))
    np.add.at(seen, (np.broadcast_to(kind[:, None], ratio.shape)[known], nearest[known]), 1.0)
    scale = 1 + np.concatenate([[0.0], FACTORS])
    log_density = -kinds[:, None, None] / 2 * (np.log(scale) + _RATIOS[:, None] / scale)
    density = np.exp(log_density - log_density.max(axis=-1, keepdims=True))
    found = _posterior(density, _weights(density, seen)) @ (scale - 1)
    for row, of in enumerate(found):
        chosen = known & (kind == row)[:, None]
        result[chosen] = np.interp(logs[chosen], place, of)
    return result


def _weights(density: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """(1 + len(FACTORS),) share of pairs that agree, and that differ by each factor, by expectation
    maximisation. density: (kinds, ratios, components); seen: (kinds, ratios) pairs.
    """
    start = np.concatenate([[AGREEING], np.full(len(FACTORS), (1 - AGREEING) / len(FACTORS))])
    weights = start
    for _ in range(_ROUNDS):
        mean = np.tensordot(seen, _posterior(density, weights), axes=2) + PRIOR_PAIRS * start
        new = mean / mean.sum()
        if np.abs(new - weights).max() < _SETTLED:
            return new
        weights = new
    return weights


def _posterior(density: np.ndarray, weights: np.ndarray) -> np.ndarray:
    joint = density * weights
    return joint / joint.sum(axis=-1, keepdims=True)
