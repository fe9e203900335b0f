"""What has to be explained by direct edges, and what is taken of edges before it is looked at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpovae_core.effects.shrinkage import EvidenceRule

LOG_ODDS_LIMIT = 30.0
"""Log odds of an edge are kept within this: beyond it a float32 sigmoid is 0 or 1 anyway."""


@dataclass(frozen=True)
class TotalEffects:
    """What has to be explained; p perturbed genes at panel positions `sources`, n panel genes.

    effect, error: (p, n) observed log fold changes and standard errors (infinite: not measured); probability,
    believed: (p, n) that there is an effect, and its posterior mean if so (EvidenceRule.judge); own: (p,) log
    fold change of the perturbed gene itself. rule: judges whether an effect is missing that the paths
    predict; where None, that proves no edge.
    """

    sources: np.ndarray
    effect: np.ndarray
    error: np.ndarray
    probability: np.ndarray
    believed: np.ndarray
    own: np.ndarray
    rule: EvidenceRule | None = None

    @property
    def seen(self) -> np.ndarray:
        """(p, n) bool: what has to be explained: measured, and not the knock-down itself."""
        seen = np.isfinite(self.error)
        seen[np.arange(len(self.sources)), self.sources] = False
        return seen

    def of_genes(self, probability: np.ndarray, columns: np.ndarray) -> np.ndarray:
        """(p, k) `probability` (p, k) of effects on the targets `columns` (k,), each that of its gene: where
        a gene is knocked down and activated, in cells of their own, the largest of either and of what both
        say together, if the target answers in proportion to what it feels.
        """
        found = probability.copy()
        for source in np.flatnonzero(np.bincount(self.sources) > 1):
            rows = np.flatnonzero(self.sources == source)
            found[rows] = probability[rows].max(axis=0)
            if self.rule is not None:
                own = felt(self.own[rows])[:, None]
                known = self.seen[np.ix_(rows, columns)]
                weight = np.where(known, (own / self.error[np.ix_(rows, columns)]) ** 2, 0.0)
                total = weight.sum(axis=0)
                mean = (weight * self.effect[np.ix_(rows, columns)] / own).sum(axis=0)[total > 0]
                total, largest = total[total > 0], np.abs(own).max()
                args = np.full(len(total), rows[-1]), largest * mean / total, largest / np.sqrt(total)
                at = np.ix_(rows, known.any(axis=0))
                found[at] = np.maximum(found[at], self.rule.probability(*args))
        return found


@dataclass(frozen=True)
class Tolerance:
    """How far off an indirect explanation may be, as a fraction of itself: along, where the gene in between
    moves as its own perturbation moved it; against, where it moves the other way.
    """

    along: float
    against: float


@dataclass(frozen=True)
class EdgePrior:
    """What is taken of edges before their effects are seen, by source.

    log_odds: (n,) that an edge is there; least: (n,) variance of strengths that do not matter; slab: variance
    of the strength of an edge.
    """

    log_odds: np.ndarray
    least: np.ndarray
    slab: float


def felt(change: np.ndarray) -> np.ndarray:
    """What a target feels of log fold changes of its regulator: minus the share that is lost, or the log of
    the rise. Near no change both are the change itself.
    """
    return np.where(change < 0, np.expm1(np.minimum(change, 0.0)), change)


def logit(probability: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(probability) - np.log1p(-np.minimum(probability, 1 - 1e-15))
