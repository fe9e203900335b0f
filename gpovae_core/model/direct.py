"""Which effects are direct? Edges W and strengths S whose hops explain the observed effects.

In a linear network with signed strengths B (row = source, column = target, no diagonal) the effect of perturbing i, per unit of i's
own change, is T = B + B^2 + B^3 + ...; column by column T_ij = B_ij + sum_m T_im B_mj. So with T observed, every target j has
a regression of its own: rows are the perturbations, predictors the genes m through which they may pass, and the predictor
m = i itself is the direct edge. Each B_mj is there with probability W_mj (spike and slab): mean-field variational inference, one
gene m at a time for all targets at once.

What pays for an indirect explanation: every edge costs its prior; an explanation is known only to within `hop_tolerance` of itself,
since real responses are not linear; a gene that was never perturbed has a far smaller prior, as nothing else binds its edges;
and where the source was perturbed, W never exceeds the probability that there is an effect at all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

LOG_ODDS_LIMIT = 30.0
"""Log odds of an edge are kept within this: beyond it a float32 sigmoid is 0 or 1 anyway."""

FEWEST_ODDS = 0.05
"""Effects less probable than this are no predictor: a gene through which nothing passes explains nothing."""

ROW_PRIOR = (0.005, 0.5)
_SWEEPS = 200
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class DirectEdges:
    """All (n, n), row = source, column = target, zero diagonal.

    log_odds: of W; strength: S, change of the target per unit change of the source if the edge is there (log per log, positive: the
    target follows the source); deviation: its posterior standard deviation, NaN where nothing was learned about the pair.
    """

    log_odds: np.ndarray
    strength: np.ndarray
    deviation: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """W."""
        return expit(self.log_odds)


@dataclass(frozen=True)
class TotalEffects:
    """What has to be explained; p perturbed genes at panel positions `sources`, n panel genes.

    effect, error: (p, n) observed log fold changes and standard errors (infinite: not measured); probability, believed: (p, n) that
    there is an effect, and its posterior mean if so (EvidenceRule.judge); own: (p,) log fold change of the perturbed gene itself.
    """

    sources: np.ndarray
    effect: np.ndarray
    error: np.ndarray
    probability: np.ndarray
    believed: np.ndarray
    own: np.ndarray


def direct_edges(total: TotalEffects, n: int, least_effect: float, hop_tolerance: float, unperturbed_prior: float) -> DirectEdges:
    """Fit W and S to total effects. Deterministic; cost per sweep: perturbations that reach a gene x n, summed over genes."""
    p = len(total.sources)
    own_row = np.full(n, -1)
    own_row[total.sources] = np.arange(p)
    seen = np.isfinite(total.error)
    seen[np.arange(p), total.sources] = False  # the knock-down itself is no effect to explain
    response = np.where(seen, total.effect, 0.0) / total.own[:, None]
    noise = np.where(seen, total.error, np.inf) / np.abs(total.own)[:, None]
    design = np.where(seen & (total.probability > FEWEST_ODDS), total.probability * total.believed, 0.0) / total.own[:, None]
    design[np.arange(p), total.sources] = 1.0

    prior, ceiling = _priors(total, n, seen, unperturbed_prior)
    evident = seen & (total.probability > 0.8)
    slab = float(np.mean(response[evident] ** 2)) if evident.any() else 1.0
    typical = np.median(np.abs(total.own)) if p else 1.0
    null = np.array([(least_effect / (abs(total.own[own_row[m]]) if own_row[m] >= 0 else typical)) ** 2 for m in range(n)])

    log_odds, mean, variance = np.full((n, n), -LOG_ODDS_LIMIT), np.zeros((n, n)), np.full((n, n), np.nan)
    edge = np.zeros((n, n))  # B = W * S
    edge[total.sources] = np.where(seen, total.probability * response, 0.0)
    reached = [np.flatnonzero(design[:, m]) for m in range(n)]
    # Ascent ends in a local optimum. By this order that hangs on the cells alone, not on the place of a gene in the file.
    order = [m for m in np.argsort((design**2).sum(axis=0), kind="stable") if len(reached[m])]
    predicted = design @ edge
    for _ in range(_SWEEPS):
        indirect = np.where(seen, predicted - edge[total.sources], 0.0)
        weight = np.where(seen, 1 / (noise**2 + (hop_tolerance * indirect) ** 2), 0.0)
        largest = 0.0
        for m in order:
            through = reached[m]
            x, w = design[through, m][:, None], weight[through]
            precision = (x**2 * w).sum(axis=0)
            possible = precision > 0
            possible[m] = False
            rest = response[through] - predicted[through] + x * edge[m]
            error2 = 1 / np.where(possible, precision, 1.0)
            estimate = (x * w * rest).sum(axis=0) * error2
            odds = prior[m] + _log_bayes_factor(estimate, error2, float(null[m]), slab)
            odds = np.where(possible, np.clip(np.minimum(odds, ceiling[m]), -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT), -LOG_ODDS_LIMIT)
            strength = np.where(possible, estimate * slab / (slab + error2), 0.0)
            new = expit(odds) * strength
            step = new - edge[m]
            predicted[through] += x * step
            largest = max(largest, float(np.abs(step).max()))
            edge[m], log_odds[m], mean[m] = new, odds, strength
            variance[m] = np.where(possible, 1 / (precision + 1 / slab), np.nan)
        if largest < _TOLERANCE:
            break
    return DirectEdges(log_odds, mean, np.sqrt(variance))


def _log_bayes_factor(estimate: np.ndarray, error2: np.ndarray, null: float, slab: float) -> np.ndarray:
    """log N(estimate; 0, error2 + null + slab) - log N(estimate; 0, error2 + null): an edge against nothing that matters."""
    without, having = error2 + null, error2 + null + slab
    return 0.5 * (np.log(without / having) + estimate**2 * (1 / without - 1 / having))


def _priors(total: TotalEffects, n: int, seen: np.ndarray, unperturbed_prior: float) -> tuple[np.ndarray, np.ndarray]:
    """Prior log odds (n, 1) of the edges of every gene, and the log odds (n, n) that W must not exceed."""
    share = np.where(seen, total.probability, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    prior = np.full((n, 1), unperturbed_prior)
    prior[total.sources, 0] = np.clip(share, *ROW_PRIOR)
    ceiling = np.full((n, n), np.inf)
    with np.errstate(divide="ignore"):
        ceiling[total.sources] = np.where(seen, np.log(total.probability) - np.log1p(-np.minimum(total.probability, 1 - 1e-15)), -np.inf)
    return np.log(prior) - np.log1p(-prior), ceiling
