"""How probable is it that an effect is there at all? Adaptive shrinkage of effects with known standard
errors.

Each observed effect is its true effect plus normal noise of its standard error. True effects come from a
mixture: with the null share of its perturbation from N(0, least_effect^2), i.e. nothing that matters,
otherwise from a mixture of wider normals that all perturbations share (Stephens 2017, "False discovery rates:
a new deal", with a null share per row and a null of a width). All weights are fitted by expectation
maximisation, so a screen without effects teaches the rule to believe none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpovae_core.data.progress import Progress, tell

SLAB = np.geomspace(0.1, 3.2, 11)
"""Standard deviations of the wider normals, natural log fold change: from a change of a tenth to one of
25-fold.
"""

PRIOR_PAIRS = 10.0
"""The null share of a row starts out as that of all rows, with the weight of so many pairs."""

NULL_SHARES = (0.8, 0.999)
"""Least and largest null share. A pair that was measured too badly to say anything keeps its prior: with a
low null share, as strong perturbations have, it would pass for an effect on the strength of the other genes
alone."""

_ROUNDS = 300


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
        seen = np.isfinite(error)
        x, s = np.where(seen, effect, 0.0), np.where(seen, error, 1.0)
        responsibility = _responsibility(_log_densities(x, s, self.least_effect), self._weights())
        kept = SLAB**2 / (
            SLAB**2 + s[..., None] ** 2
        )  # how much of an observed effect each component believes
        present = np.maximum(responsibility[..., 1:].sum(axis=-1), 1e-300)
        mean = (responsibility[..., 1:] * kept).sum(axis=-1) / present * x
        return Evidence(np.where(seen, 1.0 - responsibility[..., 0], 0.0), np.where(seen, mean, 0.0))

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
    """Fit the mixture to effects (p, n) at the pairs `counted` (p, n) bool."""
    p = len(effect)
    null_share, slab = np.full(p, NULL_SHARES[0]), np.full(len(SLAB), 1 / len(SLAB))
    rows, columns = np.nonzero(counted)
    if not len(rows):
        return EvidenceRule(np.full(p, NULL_SHARES[1]), slab, least_effect)
    density = _log_densities(effect[rows, columns], error[rows, columns], least_effect)
    pairs = np.bincount(rows, minlength=p)
    for done in range(_ROUNDS):
        tell(progress, "evidence of effects", done / _ROUNDS)
        weights = np.concatenate([null_share[:, None], (1 - null_share)[:, None] * slab], axis=1)
        responsibility = _responsibility(density, weights[rows])
        null = np.bincount(rows, responsibility[:, 0], minlength=p)
        null_share = np.clip(
            (null + PRIOR_PAIRS * null.sum() / pairs.sum()) / (pairs + PRIOR_PAIRS), *NULL_SHARES
        )
        present = responsibility[:, 1:].sum(axis=0)
        slab = present / max(present.sum(), 1e-300)
    return EvidenceRule(null_share, slab, least_effect)


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
