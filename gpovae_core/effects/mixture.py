"""The most likely mixture of normals behind effects with known standard errors, fitted to millions of pairs.

Expectation maximisation creeps here: neighbouring widths can stand in for each other, and the narrowest for
the null. So its fixed point is sought by Newton's method: a step for the shared weights with the null share
of every perturbation eliminated (Schur's complement; shares meet in the weights alone), the shares after it.
Weights are kept from falling below zero by a quadratic problem of their own, as in Kim, Carbonetto, Stephens
and Anitescu 2020 ("A fast algorithm for maximum likelihood estimation of mixture proportions"). A step that
lowers the likelihood is replaced by one of expectation maximisation.

How far the null shares of rows may differ is learned from the rows as well: a panel of few genes says little
about one row, and where rows are alike the others know better.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from scipy.optimize import nnls
from scipy.special import logsumexp, softmax

from gpovae_core.data.cores import at_once
from gpovae_core.data.progress import Progress, tell

SLAB = np.geomspace(0.1, 3.2, 11)
"""Standard deviations of the wider normals, natural log fold change: from a change of a tenth to one of
25-fold.
"""

PRIOR_PAIRS = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
"""The null share of a row starts out as that of all rows, with the weight of so many pairs: the first to find
the weights of the widths, then of all the one that makes what the rows show most probable, few where rows
differ as hubs do.
"""

NULL_SHARES = (0.8, 0.999)
"""Least and largest null share. A pair that was measured too badly to say anything keeps its prior: with a
low null share, as strong perturbations have, it would pass for an effect on the strength of the other genes
alone."""

_SHARES = 1 - np.geomspace(1 - NULL_SHARES[1], 1 - NULL_SHARES[0], 40)
"""Null shares at which rows are looked at to tell how much they differ; even in the log of what is left."""

BLOCK = 2**15
"""Pairs that are worked on at a time: as many as stay close to the processor."""

_ROUNDS = 100
_FIRST = 3  # rounds of expectation maximisation before the first Newton step
_SETTLED = 1e-7  # a weight that a step moves by less is there
_LEAST_WEIGHT = 1e-12
_SLACK = 1e-6  # of log likelihood, that a step may lose to rounding
_FAINTEST = -70.0  # a density below exp of this, beside the largest of its pair, is none
_LEFT = 0.85  # of the way, after each round: how many there will be is not known

Result = TypeVar("Result")


def densities(effect: np.ndarray, error: np.ndarray, least_effect: float) -> tuple[np.ndarray, np.ndarray]:
    """(1 + len(SLAB), k) density of every effect under every component, the null first, over the largest of
    its pair; (k,) logarithm of that largest, up to a constant.
    """
    width = np.concatenate([[least_effect], SLAB])[:, None]
    variance = error**2 + width**2
    density = -0.5 * (effect**2 / variance + np.log(variance))
    largest = density.max(axis=0)
    density -= largest
    density[density < _FAINTEST] = -np.inf
    return np.exp(density, out=density), largest


def row_blocks(rows: int, columns: int) -> Iterator[slice]:
    """Rows in pieces of about BLOCK pairs."""
    size = max(1, BLOCK // max(1, columns))
    return (slice(start, min(start + size, rows)) for start in range(0, rows, size))


def fit_mixture(
    effect: np.ndarray,
    error: np.ndarray,
    counted: np.ndarray,
    least_effect: float,
    progress: Progress | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """(null share of every row (p,), weights of SLAB, which sum to one), fitted to effects (p, n) with errors
    (p, n) at the pairs `counted` (p, n) bool. Rows without pairs take the share of the others.
    """
    share, slab = np.full(len(effect), NULL_SHARES[1]), np.full(len(SLAB), 1 / len(SLAB))
    known = counted.any(axis=1)
    if not known.any():
        return share, slab

    def of_round(number: int) -> Callable[[float], None]:
        return lambda done: tell(progress, "weighing the effects", 1 - _LEFT ** (number + done))

    rows = np.flatnonzero(known)
    pairs = _Pairs(effect, error, counted, rows, least_effect, of_round(0))
    start = _Point(np.full(len(rows), NULL_SHARES[0]), slab)
    point = _settled(pairs, start, PRIOR_PAIRS[0], of_round)
    share[rows] = pairs.as_alike_as_they_are(point)
    share[~known] = np.average(share[rows], weights=pairs.size)
    return share, point.slab


def _settled(
    pairs: _Pairs, point: _Point, prior: float, of_round: Callable[[int], Callable[[float], None]]
) -> _Point:
    """The most likely point, looked for from `point`.

    prior: pairs whose weight the share of all rows has in that of each; of_round: what is told the share of
    a round that is done.
    """
    before = None
    for number in range(1, _ROUNDS + 1):
        seen = pairs.sums(point, prior, of_round(number))
        common = float(seen.null.sum() / pairs.size.sum())
        if before is not None and seen.worth(point, common) < before[1].worth(before[0], common) - _SLACK:
            point, before = before[1].expected(before[0], pairs.size), None
            continue
        step = seen.newton if number > _FIRST else seen.expected
        before, point = (point, seen), step(point, pairs.size)
        if point.apart(before[0]) <= _SETTLED:
            break
    return point


@dataclass(frozen=True)
class _Point:
    """share: (r,) null share of every row; slab: (len(SLAB),) weights that sum to one."""

    share: np.ndarray
    slab: np.ndarray

    def apart(self, other: _Point) -> float:
        return max(float(np.abs(self.share - other.share).max()), float(np.abs(self.slab - other.slab).max()))


def _allowed(share: np.ndarray, slab: np.ndarray) -> _Point:
    """Within the limits of null shares, the weights above zero (one of zero could never rise again)."""
    slab = np.maximum(slab, _LEAST_WEIGHT)
    return _Point(np.clip(share, *NULL_SHARES), slab / slab.sum())


class _Pairs:
    """The pairs that count, their densities worked out once and kept as float32, block by block."""

    def __init__(
        self,
        effect: np.ndarray,
        error: np.ndarray,
        counted: np.ndarray,
        rows: np.ndarray,
        least_effect: float,
        done: Callable[[float], None],
    ) -> None:
        """done: told the share that is worked out, 0 to 1."""
        self.size = counted[rows].sum(axis=1)
        """(r,) pairs of every row."""

        def block(part: slice) -> _Block:
            own = rows[part]
            here = counted[own]
            density, largest = densities(effect[own][here], error[own][here], least_effect)
            return _Block(part, self.size[part], density.astype(np.float32), float(largest.sum()))

        parts = list(row_blocks(len(rows), effect.shape[1]))
        self._blocks = _counting(at_once(block, parts), len(parts), done)

    def sums(self, point: _Point, prior: float, done: Callable[[float], None]) -> _Sums:
        """prior: as in `_settled`; done: as above."""
        each_block = at_once(lambda block: block.sums(point, prior), self._blocks)
        found = _counting(each_block, len(self._blocks), done)
        by_row = {name: np.concatenate([getattr(each, name) for each in found]) for name in _Sums.BY_ROW}
        over_all = {name: np.sum([getattr(each, name) for each in found], axis=0) for name in _Sums.OVER_ALL}
        return _Sums(**by_row, **over_all, prior=prior)

    def as_alike_as_they_are(self, point: _Point) -> np.ndarray:
        """(r,) null shares of the rows. They come from a beta distribution, cut to NULL_SHARES: of those with
        the weight of PRIOR_PAIRS and a mean among _SHARES the one that makes all rows most probable. With
        the first weight those of `point`, else what is expected of each row; slab weights as in `point`.
        """
        rows = np.concatenate(list(at_once(lambda block: block.by_share(point.slab), self._blocks)))

        def most_likely(prior: float) -> tuple[float, np.ndarray]:
            """Log likelihood of all rows, and (r, len(_SHARES)) of each with the density of its share."""
            a, b = (prior * mean[:, None] for mean in (_SHARES, 1 - _SHARES))
            # per unit of the log of what is left
            density = (a - 1) * np.log(_SHARES) + b * np.log1p(-_SHARES)
            density -= logsumexp(density, axis=1, keepdims=True)
            whole = logsumexp(rows + density[:, None], axis=2).sum(axis=1)
            best = int(whole.argmax())
            return float(whole[best]), rows + density[best]

        found = {prior: most_likely(prior) for prior in PRIOR_PAIRS}
        prior = max(found, key=lambda each: found[each][0])
        return point.share if prior == PRIOR_PAIRS[0] else softmax(found[prior][1], axis=1) @ _SHARES


def _counting(results: Iterable[Result], count: int, done: Callable[[float], None]) -> list[Result]:
    kept = []
    for result in results:
        kept.append(result)
        done(len(kept) / count)
    return kept


@dataclass(frozen=True)
class _Block:
    """Some rows: which, pairs of each, density (components, pairs) and the sum of what it was divided by."""

    rows: slice
    size: np.ndarray
    density: np.ndarray
    factor: float

    def by_share(self, slab: np.ndarray) -> np.ndarray:
        """(rows, len(_SHARES)) log likelihood of every row if its null share were each of _SHARES."""
        from gpovae_core.effects.compiled import log_products

        null, present = self.density[0].astype(np.float64), slab @ self.density[1:].astype(np.float64)
        found = np.empty((len(self.size), len(_SHARES)))
        log_products(null, present, self.size, _SHARES, found)
        return found

    def sums(self, point: _Point, prior: float) -> _Sums:
        from gpovae_core.effects.compiled import mixture_sums

        rows, pairs = len(self.size), self.density.shape[1]
        by_row, cross, wide = np.empty((3, rows)), np.empty((rows, len(SLAB))), np.empty((len(SLAB), pairs))
        share = point.share[self.rows]
        likelihood = mixture_sums(self.density, self.size, share, point.slab, by_row, cross, wide)
        null, slope, bend = by_row
        whole = likelihood + self.factor
        return _Sums(null, slope, bend, cross, wide.sum(axis=1), wide @ wide.T, whole, prior)


@dataclass(frozen=True)
class _Sums:
    """Sums over the pairs at a point, of r rows: null: (r,) posterior null probabilities; share_slope,
    share_bend: (r,) derivative of the log likelihood by the row's share, and the second one, negative; cross:
    (r, K) the mixed one, negative; slab_slope: (K,), slab_bend: (K, K) the same by the weights; likelihood;
    prior: as in `_settled`.
    """

    BY_ROW = ("null", "share_slope", "share_bend", "cross")
    OVER_ALL = ("slab_slope", "slab_bend", "likelihood")

    null: np.ndarray
    share_slope: np.ndarray
    share_bend: np.ndarray
    cross: np.ndarray
    slab_slope: np.ndarray
    slab_bend: np.ndarray
    likelihood: float
    prior: float

    def worth(self, point: _Point, common: float) -> float:
        """Log likelihood with the prior of the shares, which lie around `common`."""
        of_shares = common * np.log(point.share) + (1 - common) * np.log1p(-point.share)
        return float(self.likelihood + self.prior * of_shares.sum())

    def expected(self, point: _Point, size: np.ndarray) -> _Point:
        """The point after a round of expectation maximisation; size: (r,) pairs of every row."""
        common = self.null.sum() / size.sum()
        shares = (self.null + self.prior * common) / (size + self.prior)
        return _allowed(shares, point.slab * self.slab_slope)

    def newton(self, point: _Point, size: np.ndarray) -> _Point:
        """The point after a Newton step. What the shares lie around follows them: at the fixed point it is
        their mean, weighted by the pairs and those of the prior.
        """
        share, common = point.share, self.null.sum() / size.sum()
        slope = self.share_slope + self.prior * (common / share - (1 - common) / (1 - share))
        bend = self.share_bend + self.prior * (common / share**2 + (1 - common) / (1 - share) ** 2)
        low, high = NULL_SHARES
        free = ~((share <= low) & (slope < 0) | (share >= high) & (slope > 0))
        pull = np.where(free, self.prior * (1 / share + 1 / (1 - share)) / bend, 0.0)
        step = np.where(free, slope / bend, 0.0)
        answer = np.where(free[:, None], self.cross / bend[:, None], 0.0)
        weight = (size + self.prior) / (size + self.prior).sum()
        follow = pull / max(1 - weight @ pull, 0.01)
        step += follow * (weight @ step)
        answer += follow[:, None] * (weight @ answer)
        slab = _most_likely(
            point.slab, self.slab_slope - self.cross.T @ step, self.slab_bend - self.cross.T @ answer
        )
        return _allowed(share + step - answer @ (slab - point.slab), slab)


def _most_likely(slab: np.ndarray, slope: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """Weights that sum to one and are best by slope (K,) and bend (K, K) at `slab`."""
    open_ = (slab > 2 * _LEAST_WEIGHT) | (slope > slab @ slope)
    count = int(open_.sum())
    system = np.ones((count + 1, count + 1))
    system[:count, :count] = bend[np.ix_(open_, open_)]
    system[count, count] = 0.0
    step = np.linalg.lstsq(system, np.append(slope[open_], 0.0), rcond=None)[0][:count]
    if (slab[open_] + step >= 0).all():
        found = slab.copy()
        found[open_] += step
        return found
    # Else the nearest concave problem, its weights kept positive.
    value, vector = np.linalg.eigh((bend + bend.T) / 2)
    value = np.maximum(np.abs(value), 1e-10 * np.abs(value).max())
    root = np.sqrt(value)
    wanted = (vector.T @ slope) / root + root * (vector.T @ slab)
    firm = 1e3 * root.max()
    rows = np.vstack([root[:, None] * vector.T, np.full(len(slab), firm)])
    return nnls(rows, np.append(wanted, firm))[0]
