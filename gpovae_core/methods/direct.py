"""Which effects are direct? Edges W and strengths S whose hops explain the observed effects.

In a linear network with signed strengths B (row = source, column = target, no diagonal) the effect of
perturbing i, per unit of i's own change, is T = B + B^2 + B^3 + ...; column by column T_ij = B_ij + sum_m
T_im B_mj. So with T observed, every target j has a regression of its own: rows are the perturbations,
predictors the genes m through which they may pass, and the predictor m = i itself is the direct edge. Each
B_mj is there with probability W_mj (spike and slab): mean-field variational inference, one gene m at a time
for all targets at once.

What a target feels of a regulator (`felt`) is the share of it that is lost, or the log of how far it rises.
A regulator that falls to a tenth or to nothing is all but gone either way: a logarithm without bound would
make every slope of a strong knock-down too small.

What pays for an indirect explanation: every edge costs its prior; an explanation is known only to within a
tolerance of itself, since real responses are not linear: a fraction of it where the gene in between moves the
way its own perturbation moved it, a larger one where it moves the other way, of which no perturbation says
anything (a target that a lost regulator hardly changes, since it stood near its floor, may rise manifold when
the regulator rises); a gene that was never perturbed has a far
smaller prior, as nothing else binds its edges; and where the source was perturbed, W never exceeds the
probability that there is an effect, or that one is missing which the paths predict (in an incoherent
feed-forward loop the direct edge and the path cancel, and no effect is seen at all).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from gpovae_core.data.progress import Progress, tell
from gpovae_core.effects.shrinkage import EvidenceRule

LOG_ODDS_LIMIT = 30.0
"""Log odds of an edge are kept within this: beyond it a float32 sigmoid is 0 or 1 anyway."""

FEWEST_ODDS = 0.05
"""Effects less probable than this are no predictor: a gene through which nothing passes explains nothing."""

EVIDENT = 0.8
"""Effects more probable than this tell how strong edges are."""

ROW_PRIOR = (0.005, 0.5)
_SWEEPS = 200
_FREE_SWEEPS = 20
"""An explanation widens the error that is allowed to it. It may lose its edge by that, and so the error, and
win the edge back, for ever: after so many sweeps errors are averaged over sweeps, by which that settles.
"""
_TOLERANCE = 1e-4


@dataclass(frozen=True)
class EdgePrior:
    """What is taken of edges before their effects are seen, by source.

    log_odds: (n,) that an edge is there; least: (n,) variance of strengths that do not matter; slab: variance
    of the strength of an edge.
    """

    log_odds: np.ndarray
    least: np.ndarray
    slab: float

    def posterior(self, sources: np.ndarray | int, estimate: np.ndarray, error2: np.ndarray) -> np.ndarray:
        """Log odds of edges from `sources`, given estimates of their strengths and the squares of their
        errors; broadcasts.
        """
        without = error2 + self.least[sources]
        having = without + self.slab
        return self.log_odds[sources] + 0.5 * (
            np.log(without / having) + estimate**2 * (1 / without - 1 / having)
        )


@dataclass(frozen=True)
class DirectEdges:
    """All (n, n), row = source, column = target, zero diagonal.

    log_odds: of W; strength: S, change of the target per unit change of the source if the edge is there (log
    per log at the source's own change, positive: the target follows the source); deviation: its posterior
    standard deviation, NaN where nothing was learned about the pair; prior: of strengths per unit that is
    felt; unit: (n,) what is felt of each source per unit of its log change.
    """

    log_odds: np.ndarray
    strength: np.ndarray
    deviation: np.ndarray
    prior: EdgePrior
    unit: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """W."""
        return expit(self.log_odds)


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


@dataclass(frozen=True)
class Tolerance:
    """How far off an indirect explanation may be, as a fraction of itself: along, where the gene in between
    moves as its own perturbation moved it; against, where it moves the other way.
    """

    along: float
    against: float


def felt(change: np.ndarray) -> np.ndarray:
    """What a target feels of log fold changes of its regulator: minus the share that is lost, or the log of
    the rise. Near no change both are the change itself.
    """
    return np.where(change < 0, np.expm1(np.minimum(change, 0.0)), change)


def direct_edges(
    total: TotalEffects,
    n: int,
    least_effect: float,
    tolerance: Tolerance,
    unperturbed_prior: float,
    progress: Progress | None = None,
) -> DirectEdges:
    """Fit W and S to total effects. Deterministic; cost per sweep: perturbations that reach a gene x n,
    summed over genes.
    """
    p = len(total.sources)
    seen, own = total.seen, felt(total.own)
    response = np.where(seen, total.effect, 0.0) / own[:, None]
    noise = np.where(seen, total.error, np.inf) / np.abs(own)[:, None]
    reaching = felt(total.believed)
    design = (
        np.where(seen & (total.probability > FEWEST_ODDS), total.probability * reaching, 0.0) / own[:, None]
    )
    design[np.arange(p), total.sources] = 1.0
    against = np.where(reaching * _direction(total, n) < 0, design, 0.0)
    against[np.arange(p), total.sources] = 0.0

    prior = _prior(total, n, own, response, least_effect, unperturbed_prior)
    slab = prior.slab
    ceiling = np.full((n, n), np.inf)

    log_odds, mean, variance = np.full((n, n), -LOG_ODDS_LIMIT), np.zeros((n, n)), np.full((n, n), np.nan)
    edge = np.zeros((n, n))  # B = W * S
    edge[total.sources] = np.where(seen, total.probability * response, 0.0)
    reached = [np.flatnonzero(design[:, m]) for m in range(n)]
    # Ascent ends in a local optimum. By this order that hangs on the cells alone, not on the place of a gene
    # in the file.
    order = [m for m in np.argsort((design**2).sum(axis=0), kind="stable") if len(reached[m])]
    predicted = design @ edge
    off = np.zeros((p, n))
    for sweep in range(_SWEEPS):
        indirect = np.where(seen, predicted - edge[total.sources], 0.0)
        turned = np.where(seen, against @ edge, 0.0)
        now = np.hypot(tolerance.along * (indirect - turned), tolerance.against * turned)
        off = now if sweep < _FREE_SWEEPS else off + (now - off) / (sweep - _FREE_SWEEPS + 2)
        weight = np.where(seen, 1 / (noise**2 + off**2), 0.0)
        ceiling[total.sources] = _most_odds(total, indirect * own[:, None], off * np.abs(own)[:, None])
        largest = 0.0
        for done, m in enumerate(order):
            tell(progress, "direct edges", (sweep + done / len(order)) / _SWEEPS)
            through = reached[m]
            x, w = design[through, m][:, None], weight[through]
            precision = (x**2 * w).sum(axis=0)
            possible = precision > 0
            possible[m] = False
            rest = response[through] - predicted[through] + x * edge[m]
            error2 = 1 / np.where(possible, precision, 1.0)
            estimate = (x * w * rest).sum(axis=0) * error2
            odds = np.minimum(prior.posterior(m, estimate, error2), ceiling[m])
            odds = np.where(possible, np.clip(odds, -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT), -LOG_ODDS_LIMIT)
            strength = np.where(possible, estimate * slab / (slab + error2), 0.0)
            new = expit(odds) * strength
            step = new - edge[m]
            predicted[through] += x * step
            largest = max(largest, float(np.abs(step).max()))
            edge[m], log_odds[m], mean[m] = new, odds, strength
            variance[m] = np.where(possible, 1 / (precision + 1 / slab), np.nan)
        if largest < _TOLERANCE:
            break
    unit = _over_panel(own / total.own, total.sources, n)
    scale = unit[:, None]
    return DirectEdges(log_odds, mean * scale, np.sqrt(variance) * scale, prior, unit)


def _over_panel(values: np.ndarray, sources: np.ndarray, n: int) -> np.ndarray:
    """(n,) values of the perturbed genes, their median for all others; 1 where there are none."""
    result = np.full(n, np.median(values) if len(values) else 1.0)
    result[sources] = values
    return result


def _direction(total: TotalEffects, n: int) -> np.ndarray:
    """(n,) the sign of every gene's own change under its perturbation; the usual one for the others."""
    return np.where(_over_panel(np.sign(total.own), total.sources, n) < 0, -1.0, 1.0)


def null_log_odds(
    total: TotalEffects, edges: DirectEdges, effect: np.ndarray, error: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """(p, n) log odds of W where there is no effect: controls in the place of the perturbed cells show
    `effect` with `error` (p, n).

    The draw takes the place of what the source's own perturbation says about its edge. What the other
    perturbations say that reach the source keeps its precision: no edge, up to noise. Needs total.rule; least
    odds where nothing was measured.
    """
    assert total.rule is not None
    sources, seen, own = total.sources, total.seen, felt(total.own)[:, None]
    deviation = edges.deviation[sources] / edges.unit[sources][:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.nan_to_num(1 / deviation**2 - 1 / edges.prior.slab)
    others = np.maximum(precision - np.where(seen, (own / total.error) ** 2, 0.0), 0.0)
    drawn = np.where(seen, (own / error) ** 2, 0.0)
    error2 = 1 / np.where(seen, drawn + others, 1.0)
    estimate = (drawn * effect / own + np.sqrt(others) * rng.standard_normal(effect.shape)) * error2
    odds = np.minimum(
        edges.prior.posterior(sources[:, None], estimate, error2),
        _logit(total.rule.judge(effect, error).probability),
    )
    return np.where(seen, np.clip(odds, -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT), -LOG_ODDS_LIMIT)


def _prior(
    total: TotalEffects,
    n: int,
    own: np.ndarray,
    response: np.ndarray,
    least_effect: float,
    unperturbed_prior: float,
) -> EdgePrior:
    """Edges of a perturbed gene are as frequent as its effects; own: (p,) what is felt of each perturbed
    gene; response: (p, n) effects per unit of that.
    """
    seen, own = total.seen, np.abs(own)
    share = np.where(seen, total.probability, 0.0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1)
    probability = np.full(n, unperturbed_prior)
    probability[total.sources] = np.clip(share, *ROW_PRIOR)
    change = _over_panel(own, total.sources, n)
    evident = seen & (total.probability > EVIDENT)
    slab = float(np.mean(response[evident] ** 2)) if evident.any() else 1.0
    return EdgePrior(_logit(probability), (least_effect / change) ** 2, slab)


def _most_odds(total: TotalEffects, through: np.ndarray, off: np.ndarray) -> np.ndarray:
    """(p, n) log odds that W must not exceed; through: (p, n) log fold changes that the paths predict, off:
    by how much they may be wrong.
    """
    probability = np.where(total.seen, total.probability, 0.0)
    if total.rule is not None:
        rows, columns = np.nonzero(
            total.seen & (np.abs(through) > total.error)
        )  # less than that is missed by nobody
        predicted = through[rows, columns]
        error = np.hypot(total.error[rows, columns], off[rows, columns])
        missing = total.rule.probability(rows, total.effect[rows, columns] - predicted, error)
        probability[rows, columns] = np.maximum(probability[rows, columns], missing)
    return _logit(probability)


def _logit(probability: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore"):
        return np.log(probability) - np.log1p(-np.minimum(probability, 1 - 1e-15))
