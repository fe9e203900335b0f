"""How probable is it that an effect is there at all? Adaptive shrinkage of effects with known standard
errors.

Each observed effect is its true effect plus normal noise of its standard error. True effects come from a
mixture: with the null share of its perturbation from N(0, least_effect^2), i.e. nothing that matters,
otherwise from a mixture of wider normals that all perturbations share (Stephens 2017, "False discovery rates:
a new deal", with a null share per row and a null of a width). All weights are the most likely ones
(effects.mixture), so a screen without effects teaches the rule to believe none.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpovae_core.data.cores import at_once
from gpovae_core.data.progress import Progress
from gpovae_core.effects.mixture import NULL_SHARES, SLAB, densities, fit_mixture, row_blocks

__all__ = ["NULL_SHARES", "SLAB", "Evidence", "EvidenceRule", "fit_evidence"]


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

        def judge(part: slice) -> None:
            seen = np.isfinite(error[part])
            row, x, s = np.nonzero(seen)[0] + part.start, effect[part][seen], error[part][seen]
            found = self._posterior(row, x, s)
            probability[part][seen], mean[part][seen] = found

        for _ in at_once(judge, row_blocks(*effect.shape)):
            pass
        return Evidence(probability, mean)

    def probability(self, rows: np.ndarray, effect: np.ndarray, error: np.ndarray) -> np.ndarray:
        """(k,) posterior probability of single effects (k,) with finite errors (k,), under the perturbations
        `rows` (k,).
        """
        found = at_once(
            lambda part: self._posterior(rows[part], effect[part], error[part])[0],
            row_blocks(len(rows), 1),
        )
        return np.concatenate([np.zeros(0), *found])

    def _posterior(
        self, rows: np.ndarray, effect: np.ndarray, error: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """(probability, posterior mean if there is an effect) of pairs (k,)."""
        share = self.null_share[rows]
        density, _ = densities(effect, error, self.least_effect)
        wide = density[1:]
        wide *= self.slab[:, None]
        present = wide.sum(axis=0)
        wide *= SLAB[:, None] ** 2 / (SLAB[:, None] ** 2 + error**2)  # what each leaves of an effect
        mean = wide.sum(axis=0) / np.maximum(present, 1e-300) * effect
        null, present = share * density[0], (1 - share) * present
        return 1.0 - null / (null + present), mean


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
    """Fit the mixture to effects (p, n) at the pairs `counted` (p, n) bool (`mixture.fit_mixture`)."""
    return EvidenceRule(*fit_mixture(effect, error, counted, least_effect, progress), least_effect)
