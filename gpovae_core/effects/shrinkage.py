"""How probable is it that an effect is there at all? Adaptive shrinkage of effects with known standard
errors.

Each observed effect is its true effect plus normal noise of its standard error. True effects come from a
mixture: with the null share of its perturbation from N(0, least_effect^2), i.e. nothing that matters,
otherwise from a mixture of wider normals that all perturbations share (Stephens 2017, "False discovery rates:
a new deal", with a null share per row and a null of a width). All weights are fitted by expectation
maximisation, so a screen without effects teaches the rule to believe none. How far the null shares of rows
may differ is learned from the rows as well: a panel of few genes says little about one row, and where rows
are alike the others know better.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from gpovae_core.data.progress import Progress, stretch, tell

SLAB = np.geomspace(0.1, 3.2, 11)
"""Standard deviations of the wider normals, natural log fold change: from a change of a tenth to one of
25-fold.
"""

PRIOR_PAIRS = (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0)
"""The null share of a row starts out as that of all rows, with the weight of so many pairs: of these with the
one that makes what the rows show most probable, few where rows differ as hubs do.
"""

NULL_SHARES = (0.8, 0.999)
"""Least and largest null share. A pair that was measured too badly to say anything keeps its prior: with a
low null share, as strong perturbations have, it would pass for an effect on the strength of the other genes
alone."""

_SHARES = 1 - np.geomspace(1 - NULL_SHARES[1], 1 - NULL_SHARES[0], 20)
"""Null shares at which rows are looked at to tell how much they differ; even in the log of what is left."""

_ROUNDS = 100  # of three passes over the pairs
_SETTLED = 1e-6
_LEAST_WEIGHT = 1e-12
_AT_ONCE = 0.3
"""Of a weight at least this much is left by one extrapolation."""
_SLACK = 1e-3
"""Log likelihood that an extrapolation may cost: the prior of the null shares is not counted in it."""
_BLOCK = 2**15
"""Pairs that are worked on at a time: as many as stay close to the processor."""


@dataclass(frozen=True)
class EvidenceRule:
    """The fitted mixture: null_share (p,) per perturbation, slab (len(SLAB),) weights that sum to one,
    least_effect.
    """

    null_share: np.ndarray
    slab: np.ndarray
    least_effect: float

    def judge(self, effect: np.ndarray, error: np.ndarray) -> Evidence:
        """Posterior of effects (p, n) with standard errors (p, n); an infinite error says nothing and is
        judged 0.
        """
        probability, mean = np.zeros(effect.shape), np.zeros(effect.shape)
        at_once = max(1, _BLOCK // max(1, effect.shape[1]))
        for start in range(0, len(effect), at_once):
            part = slice(start, start + at_once)
            probability[part], mean[part] = self._judge(effect[part], error[part], self._weights()[part])
        return Evidence(probability, mean)

    def _judge(
        self, effect: np.ndarray, error: np.ndarray, weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        seen = np.isfinite(error)
        x, s = np.where(seen, effect, 0.0), np.where(seen, error, 1.0)
        responsibility = _responsibility(_log_densities(x, s, self.least_effect), weights)
        kept = SLAB**2 / (SLAB**2 + s[..., None] ** 2)  # of an observed effect, as each component believes
        present = np.maximum(responsibility[..., 1:].sum(axis=-1), 1e-300)
        mean = (responsibility[..., 1:] * kept).sum(axis=-1) / present * x
        return np.where(seen, 1.0 - responsibility[..., 0], 0.0), np.where(seen, mean, 0.0)

    def probability(self, rows: np.ndarray, effect: np.ndarray, error: np.ndarray) -> np.ndarray:
        """(k,) posterior probability of single effects (k,) with finite errors (k,), under the perturbations
        `rows` (k,).
        """
        return (
            1.0
            - _responsibility(_log_densities(effect, error, self.least_effect), self._weights()[rows])[:, 0]
        )

    def _weights(self) -> np.ndarray:
        return np.concatenate([self.null_share[:, None], (1 - self.null_share)[:, None] * self.slab], axis=1)


@dataclass(frozen=True)
class Evidence:
    """probability: (p, n) that the effect is there; effect: (p, n) its posterior mean if it is."""

    probability: np.ndarray
    effect: np.ndarray


def fit_evidence(
    effect: np.ndarray,
    error: np.ndarray,
    counted: np.ndarray,
    least_effect: float,
    progress: Progress | None = None,
) -> EvidenceRule:
    """Fit the mixture to effects (p, n) at the pairs `counted` (p, n) bool.

    Expectation maximisation until no weight moves by more than _SETTLED, sped up by squared extrapolation
    (SQUAREM of Varadhan and Roland 2008, their scheme S3): plain rounds creep where neighbouring widths can
    stand in for each other. An extrapolation that lowers the likelihood is not taken.
    """
    p = len(effect)
    slab = np.full(len(SLAB), 1 / len(SLAB))
    rows, columns = np.nonzero(counted)
    if not len(rows):
        return EvidenceRule(np.full(p, NULL_SHARES[1]), slab, least_effect)
    rounds = _Rounds(effect[rows, columns], error[rows, columns], rows, p, least_effect)
    start = np.concatenate([np.full(p, NULL_SHARES[0]), slab])
    alike = _settled(rounds, start, stretch(progress, 0.0, 0.6))
    rounds.prior_pairs = rounds.most_probable_pairs(alike)
    now = _settled(rounds, alike, stretch(progress, 0.6, 1.0))
    return EvidenceRule(now[:p].copy(), now[p:].copy(), least_effect)


def _settled(rounds: _Rounds, now: np.ndarray, progress: Progress | None) -> np.ndarray:
    """The point at which rounds from `now` end."""
    p, nearest = rounds.p, 1.0
    for _ in range(_ROUNDS):
        one, _ = rounds.next(now)
        two, likelihood = rounds.next(one)
        step, turn = one - now, two - 2 * one + now
        moved = float(np.abs(step).max())
        if moved <= _SETTLED:
            return two
        length = max(1.0, float(np.linalg.norm(step) / max(np.linalg.norm(turn), 1e-300)))
        ahead = now + 2 * length * step + length**2 * turn
        ahead[p:] = np.maximum(ahead[p:], _AT_ONCE * two[p:])  # a weight of zero could never rise again
        after, reached = rounds.next(rounds.allowed(ahead))
        now = after if reached >= likelihood - _SLACK else two
        nearest = min(nearest, moved)
        tell(progress, "weighing the effects", float(np.log(nearest) / np.log(_SETTLED)))
    return now


class _Rounds:
    """Rounds of expectation maximisation over the pairs, whose densities are worked out once.

    A point is one vector: the null share of every perturbation (p,), then the slab's weights (len(SLAB),).
    """

    def __init__(
        self, effect: np.ndarray, error: np.ndarray, rows: np.ndarray, p: int, least_effect: float
    ) -> None:
        """effect, error: (pairs,) sorted by `rows` (pairs,), the perturbation of each."""
        self.rows, self.p = rows, p
        self.prior_pairs = PRIOR_PAIRS[0]
        self.pairs = np.bincount(rows, minlength=p)
        self.density = np.empty((len(SLAB) + 1, len(rows)))  # each up to a factor of its pair
        self.factors = 0.0
        for part in _parts(len(rows)):
            density = _log_densities(effect[part], error[part], least_effect)
            largest = density.max(axis=1)
            self.factors += float(largest.sum())
            self.density[:, part] = np.exp(density - largest[:, None]).T

    def next(self, point: np.ndarray) -> tuple[np.ndarray, float]:
        """(the point after one round, log likelihood at the point before it)."""
        share, slab = point[: self.p], point[self.p :]
        null, present, likelihood = np.zeros(self.p), np.zeros(len(SLAB)), self.factors
        for part in _parts(len(self.rows)):
            rows, density = self.rows[part], self.density[:, part]
            here = share[rows]
            absent = here * density[0]
            joint = absent + (1.0 - here) * (slab @ density[1:])
            null += np.bincount(rows, absent / joint, minlength=self.p)
            present += slab * (density[1:] @ ((1.0 - here) / joint))
            likelihood += float(np.log(joint).sum())
        whole = null.sum() / self.pairs.sum()
        shares = (null + self.prior_pairs * whole) / (self.pairs + self.prior_pairs)
        return self.allowed(np.concatenate([shares, present])), likelihood

    def most_probable_pairs(self, point: np.ndarray) -> float:
        """Of PRIOR_PAIRS the number with the largest likelihood of all rows, each integrated over its null
        share: a beta distribution of so many pairs, cut to NULL_SHARES, around the mean that suits it best;
        slab weights as in `point`.
        """
        slab = point[self.p :]
        rows = np.zeros((self.p, len(_SHARES)))
        for part in _parts(len(self.rows)):
            absent, present = self.density[0, part], slab @ self.density[1:, part]
            for place, share in enumerate(_SHARES):
                joint = np.log(share * absent + (1 - share) * present)
                rows[:, place] += np.bincount(self.rows[part], joint, minlength=self.p)
        left = np.log(1 - _SHARES)

        def fit(pairs: float) -> float:
            a, b = (pairs * mean[:, None] for mean in (_SHARES, 1 - _SHARES))
            log_prior = (a - 1) * np.log(_SHARES) + b * left  # per unit of `left`
            log_prior -= logsumexp(log_prior, axis=1, keepdims=True)
            return float(logsumexp(rows + log_prior[:, None], axis=2).sum(axis=1).max())

        return max(PRIOR_PAIRS, key=fit)

    def allowed(self, point: np.ndarray) -> np.ndarray:
        """The point within the limits of null shares, the slab's weights above zero (a weight of zero could
        never rise again) with a sum of one."""
        slab = np.maximum(point[self.p :], _LEAST_WEIGHT)
        return np.concatenate([np.clip(point[: self.p], *NULL_SHARES), slab / slab.sum()])


def _parts(length: int) -> Iterator[slice]:
    return (slice(start, start + _BLOCK) for start in range(0, length, _BLOCK))


def _log_densities(effect: np.ndarray, error: np.ndarray, least_effect: float) -> np.ndarray:
    """(..., 1 + len(SLAB)) log density of every effect under every component, up to a constant."""
    variance = error[..., None] ** 2 + np.concatenate([[least_effect], SLAB]) ** 2
    return -0.5 * (effect[..., None] ** 2 / variance + np.log(variance))


def _responsibility(log_density: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Posterior share of every component; weights (rows, components), broadcast over the columns of a matrix
    of pairs.
    """
    spread = weights if log_density.ndim == 2 else weights[:, None, :]
    joint = spread * np.exp(log_density - log_density.max(axis=-1, keepdims=True))
    return joint / joint.sum(axis=-1, keepdims=True)
