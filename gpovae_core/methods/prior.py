"""Known edges as prior knowledge of W, weighed by the cells: a layer over the log odds that the cells gave.

The log odds of an edge are the log odds it had before its effects were seen (by source, `direct.EdgePrior`)
and a Bayes factor, what the cells say. A table of known edges gives the pairs it lists and those it could
have listed and does not their own prior shares:

    prior log odds of a pair = those of its source + row + column + weight * (1 where the table lists it)

The weight is that of the largest marginal likelihood of all Bayes factors of the screen, by expectation
maximisation (empirical Bayes); nothing of it is set by hand. Row and column, normal around 0 with a standard
deviation of 3, are how far a source and a target have more or fewer edges than their prior says: without them
a table would earn a weight merely by naming the genes that are in every network. A weight that chance alone
would explain is none: it is shrunk by 1 - (1.96 * error / weight)^2, and to 0 where that is negative.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from gpovae_core import keys
from gpovae_core.methods.direct import ROW_PRIOR
from gpovae_core.methods.fitted import NetworkFit

FEWEST_KNOWN = 5
"""Known pairs that a weight is learned from."""
SPREAD = 3.0
"""Standard deviation of what a row and a column add to the log odds. With 1, columns in which edges are ten
times as frequent as elsewhere earn a table a weight that does no more than name them; with 3 they do not.
"""
_ROUNDS, _SETTLED = 300, 1e-4
_WIDEST = 10.0
"""Standard deviation of the weight before it is learned, so wide that it only keeps it finite where no known
pair is an edge, or every one."""


@dataclass(frozen=True)
class Odds:
    """What the cells say of pairs. rows: (q,) panel positions of the perturbed genes; posterior: (q, n) log
    odds of W; prior: (q,) before effects were seen; counted: (q, n) bool, pairs that cells speak for.
    """

    rows: np.ndarray
    posterior: np.ndarray
    prior: np.ndarray
    counted: np.ndarray

    @classmethod
    def of(cls, fit: NetworkFit) -> Odds:
        """Of a network stage. An edge of a gene is before all as frequent as its effects, see `direct`."""
        rows = np.flatnonzero(np.isfinite(fit.evidence).any(axis=1))
        counted = np.isfinite(fit.evidence[rows])
        share = np.where(counted, fit.evidence[rows], 0.0).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
        return cls(rows, fit.log_odds[rows], logit(np.clip(share, *ROW_PRIOR)), counted)


@dataclass(frozen=True)
class PriorWeight:
    """weight, error: of known pairs, log odds, and its standard error; kept: as it is applied, shrunk; known,
    pairs: how many it was learned from; share_known, share_unknown: mean prior probability of an edge that
    the cells give either; share_without: that of the known ones were they like all others.
    """

    weight: float
    error: float
    kept: float
    known: int
    pairs: int
    share_known: float
    share_unknown: float
    share_without: float


def learn_weight(odds: Odds, usable: np.ndarray, known: np.ndarray) -> PriorWeight:
    """usable, known: (q, n) bool, pairs that a table could have listed, and those it lists. Fewer than
    FEWEST_KNOWN known pairs earn no weight.
    """
    i, j = np.nonzero(usable & odds.counted)
    listed = known[i, j].astype(np.float64)
    if listed.sum() < FEWEST_KNOWN:
        nan = float("nan")
        return PriorWeight(0.0, float("inf"), 0.0, int(listed.sum()), len(i), nan, nan, nan)
    prior = odds.prior[i]
    factor = odds.posterior[i, j] - prior
    row, column, weight = np.zeros(len(odds.rows)), np.zeros(odds.counted.shape[1]), 0.0

    def shares() -> tuple[np.ndarray, np.ndarray]:
        """Prior and posterior probability of every pair."""
        here = prior + row[i] + column[j] + weight * listed
        return expit(here), expit(here + factor)

    for _ in range(_ROUNDS):
        step_row, step_column = np.zeros(0), np.zeros(0)
        before, after = shares()
        step_row = _step(i, before, after, row)
        row += step_row
        before, after = shares()
        step_column = _step(j, before, after, column)
        column += step_column
        before, after = shares()
        slope = (listed * (after - before)).sum() - weight / _WIDEST**2
        step = slope / ((listed * before * (1 - before)).sum() + 1 / _WIDEST**2)
        weight += float(np.clip(step, -1, 1))
        if max(abs(step), np.abs(step_row).max(), np.abs(step_column).max()) < _SETTLED:
            break
    before, after = shares()
    error = _error(before, after, listed, i, j)
    is_known = listed > 0
    without = expit(prior + row[i] + column[j])
    return PriorWeight(
        weight=weight,
        error=error,
        kept=shrunk(weight, error),
        known=int(is_known.sum()),
        pairs=len(i),
        share_known=float(before[is_known].mean()),
        share_unknown=float(before[~is_known].mean()) if (~is_known).any() else float("nan"),
        share_without=float(without[is_known].mean()),
    )


def _error(before: np.ndarray, after: np.ndarray, listed: np.ndarray, i: np.ndarray, j: np.ndarray) -> float:
    """Standard error of the weight: from the information that is left where edges have to be guessed (Louis
    1982), less what rows and columns, each by itself, could explain as well.
    """
    each = before * (1 - before) - after * (1 - after)
    information = (listed * each).sum()
    for place in (i, j):
        shared = np.bincount(place, listed * each)
        own = np.maximum(np.bincount(place, each), 0.0) + 1 / SPREAD**2
        information -= (shared**2 / own).sum()
    return float(1 / np.sqrt(max(information, 0.0) + 1 / _WIDEST**2))


def _step(place: np.ndarray, before: np.ndarray, after: np.ndarray, now: np.ndarray) -> np.ndarray:
    """Newton's step of effects of rows or columns `now`, normal around 0, on expected edges."""
    size = len(now)
    slope = np.bincount(place, after - before, size) - now / SPREAD**2
    return slope / (np.bincount(place, before * (1 - before), size) + 1 / SPREAD**2)


def shrunk(weight: float, error: float) -> float:
    """A weight without what chance would explain of it; see the module."""
    if not np.isfinite(error) or weight == 0:
        return 0.0
    return float(weight * max(0.0, 1 - (keys.NORMAL_95 * error / weight) ** 2))


def shift(odds: Odds, usable: np.ndarray, known: np.ndarray, weight: float) -> np.ndarray:
    """(q, n) what a weight adds to the log odds of W: the weight where the table lists the pair, and the same
    small amount less to all that it could have listed, so that as many edges as before are expected of them
    together; 0 elsewhere.
    """
    pairs = usable & odds.counted
    result = np.zeros(pairs.shape)
    if not pairs.any() or weight == 0:
        return result
    prior = np.broadcast_to(odds.prior[:, None], pairs.shape)[pairs]
    listed, expected = known[pairs], expit(prior).sum()
    low, high = -abs(weight), abs(weight)
    for _ in range(60):
        middle = (low + high) / 2
        if expit(prior + weight * listed + middle).sum() > expected:
            high = middle
        else:
            low = middle
    result[pairs] = weight * listed + (low + high) / 2
    return result
