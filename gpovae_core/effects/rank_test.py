"""Mann and Whitney's test for counts: two groups of cells, most of which may not show the gene at all.

The usual normal approximation takes the rank sum for normal. Where a gene is seen in few cells it is not: it
is decided by how many of these few the group happens to hold, which is skewed, and nine control cells called
perturbed "change" genes at p = 1e-6. Here the number of cells that show the gene is taken as it is
distributed (hypergeometric, for cells drawn without replacement), and only the ranks among those that do are
taken for normal; a single one lies anywhere among them. Where no cell is at zero this is the usual test.
`benchmarks/null_tests.py` shows how often it errs where there is nothing to find.
"""

from __future__ import annotations

import numpy as np
from scipy import special

SURELY_NORMAL = 100.0
"""With more cells expected in the smaller group that show the gene the rank sum itself is taken for normal.
"""

LOOKED_AT_BELOW = 0.2
"""Only p below this by the normal approximation are worked out; what is not near to a level stays as it is.
"""

LEAST_CHANCE, FEWEST_SHOWN = 0.05, 6
"""A gene cannot be tested where the smaller group holds a cell that shows it with a smaller chance than this,
or fewer cells than this show it in both together: the test could hardly ever speak, and would err far less
often than its level says.
"""

_AT_ONCE = 2_000_000
"""Pairs times terms that are held at a time."""


def p_values(
    u: np.ndarray, m: np.ndarray, n: np.ndarray | int, ties: np.ndarray, silent: np.ndarray
) -> np.ndarray:
    """Two-sided p of Mann and Whitney's U, 1 where all values are equal, NaN where U is.

    How often would as many cells, drawn from both groups together, have a rank sum as far from its
    expectation? u: U of either group; m, n: cells of the groups; ties: sum of t^3 - t over the t-fold values
    of both together; silent: cells of both together at the least value, 0 where that is not to be told apart.
    All broadcast.
    """
    u, m, n, ties, silent = (
        np.array(x) for x in np.broadcast_arrays(*(np.asarray(x, float) for x in (u, m, n, ties, silent)))
    )
    p = normal_p(u, m, n, ties)
    smaller, both = np.minimum(m, n), m + n
    expected = smaller * (both - silent) / np.maximum(both, 1)
    rare = np.flatnonzero((p < LOOKED_AT_BELOW) & (expected < SURELY_NORMAL) & (silent > 0))
    terms = np.minimum(smaller, both - silent).ravel()[rare]
    rare = rare[np.argsort(terms, kind="stable")]
    flat = [x.ravel() for x in (u, m, n, ties, silent)]
    for part in _portions(np.sort(terms)):
        p.flat[rare[part]] = _conditional_p(*(x[rare[part]] for x in flat))
    return p


def testable(m: np.ndarray, n: np.ndarray | int, silent: np.ndarray) -> np.ndarray:
    """Whether enough cells show the gene (LEAST_CHANCE, FEWEST_SHOWN) for a test; silent: as in `p_values`.

    Decided from both groups together, never from which of them shows it, so that leaving genes out takes no
    side.
    """
    m, n, silent = np.broadcast_arrays(*(np.asarray(x, float) for x in (m, n, np.nan_to_num(silent))))
    smaller, both = np.minimum(m, n), m + n
    none = np.exp(_log_choose(silent, smaller) - _log_choose(both, smaller))
    chance = 1 - np.where(silent >= smaller, none, 0.0)
    enough = both - silent >= np.minimum(FEWEST_SHOWN, both)
    return (smaller > 0) & enough & (chance >= LEAST_CHANCE)


def normal_p(u: np.ndarray, m: np.ndarray, n: np.ndarray | int, ties: np.ndarray) -> np.ndarray:
    """The normal approximation with tie and continuity correction, as scipy.stats.mannwhitneyu has it."""
    both = np.maximum(m + n, 2)
    spread = np.sqrt(np.maximum(m * n / 12 * ((both + 1) - ties / (both * (both - 1.0))), 0.0))
    excess = np.maximum(u, m * n - u) - m * n / 2 - 0.5
    z = np.divide(excess, spread, out=np.full(np.shape(u), -np.inf), where=spread > 0)
    return np.where(np.isnan(u), np.nan, np.minimum(2 * special.ndtr(-z), 1.0))


def _conditional_p(
    u: np.ndarray, m: np.ndarray, n: np.ndarray, ties: np.ndarray, silent: np.ndarray
) -> np.ndarray:
    """(k,) p of pairs (k,): the mean over h, the cells of the smaller group that show the gene, of how often
    the rank sum then lies as far out. Of h ranks among the K that show it, without replacement: mean h (K +
    1) / 2, variance h (K - h) / (K - 1) times that of the ranks; h = 1 is spread evenly over 1 ... K.
    """
    size, both = np.minimum(m, n)[:, None], (m + n)[:, None]
    shown, zero = both - silent[:, None], silent[:, None]
    out = np.abs(u - m * n / 2)[:, None]
    h = np.arange(int(np.minimum(size, shown).max()) + 1)[None, :]
    possible = (h <= shown) & (h <= size) & (size - h <= zero)
    chance = np.where(
        possible,
        np.exp(_log_choose(shown, h) + _log_choose(zero, size - h) - _log_choose(both, size)),
        0.0,
    )
    variance = (shown**2 - 1) / 12 - (ties[:, None] - (zero**3 - zero)) / (12 * np.maximum(shown, 1))
    spread = np.sqrt(np.maximum(variance * h * (shown - h) / np.maximum(shown - 1, 1), 0.0))
    centre = (size - h) * (zero + 1) / 2 + h * (zero + (shown + 1) / 2) - size * (both + 1) / 2
    beyond = _beyond(out - centre, spread, h, shown) + _beyond(out + centre, spread, h, shown)
    return np.minimum((chance * beyond).sum(axis=1), 1.0)


def _beyond(distance: np.ndarray, spread: np.ndarray, h: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """How often the sum of h ranks lies at least `distance` above its mean."""
    z = np.divide(distance - 0.5, spread, out=np.zeros(np.shape(distance)), where=spread > 0)
    tail = np.where(spread > 0, special.ndtr(-z), distance < 0.25)
    evenly = np.clip((shown + 1) / 2 - distance, 0.0, shown) / np.maximum(shown, 1)
    return np.where((h == 1) & (spread > 0), evenly, tail)


def _log_choose(n: np.ndarray, k: np.ndarray) -> np.ndarray:
    """log of n over k; wrong where k is not between 0 and n, which the caller leaves out."""
    inside = np.clip(k, 0, n)
    return special.gammaln(n + 1) - special.gammaln(inside + 1) - special.gammaln(n - inside + 1)


def _portions(terms: np.ndarray) -> list[np.ndarray]:
    """Positions in pieces of about _AT_ONCE terms; `terms` ascending, so that a piece is padded little."""
    pieces = np.cumsum(terms + 1) // _AT_ONCE
    return np.split(np.arange(len(terms)), np.flatnonzero(np.diff(pieces)) + 1) if len(terms) else []
