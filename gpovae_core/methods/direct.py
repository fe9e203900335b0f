"""Which effects are direct? Edges W and strengths S whose hops explain the observed effects.

In a linear network with signed strengths B (row = source, column = target, no diagonal) the effect of
perturbing i, per unit of i's own change, is T = B + B^2 + B^3 + ...; column by column T_ij = B_ij + sum_m
T_im B_mj. So with T observed, every target j has a regression of its own: rows are the perturbations,
predictors the genes m through which they may pass, and the predictor m = i itself is the direct edge. Each
B_mj is needed with some probability (spike and slab): mean-field variational inference, one gene m at a time
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
feed-forward loop the direct edge and the path cancel, and no effect is seen at all). Paths do run over edges
that only other perturbations speak for (methods.ascent).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from gpovae_core.data.cores import at_once
from gpovae_core.data.progress import Progress
from gpovae_core.effects.mixture import row_blocks
from gpovae_core.methods.ascent import Regressions, best
from gpovae_core.methods.explained import LOG_ODDS_LIMIT, EdgePrior, Tolerance, TotalEffects, felt, logit
from gpovae_core.methods.leftover import turned_paths, with_rests

FEWEST_ODDS = 0.05
"""Effects less probable than this are no predictor: a gene through which nothing passes explains nothing."""

EVIDENT = 0.8
"""Effects more probable than this tell how strong edges are."""

ROW_PRIOR = (0.005, 0.5)


@dataclass(frozen=True)
class DirectEdges:
    """All (n, n), row = source, column = target, zero diagonal.

    log_odds: of W; explaining: log odds of the regressions, that the effects need an edge to be explained,
    whether or not one is there (methods.leftover); strength: S, change of the target per unit change of the
    source if the edge is there (log per log at the source's own change, positive: the target follows the
    source); deviation: its posterior standard deviation, NaN where nothing was learned about the pair; prior:
    of strengths per unit that is felt; unit: (n,) what is felt of each source per unit of its log change;
    turned: (p, n) of `turned_paths`.
    """

    log_odds: np.ndarray
    explaining: np.ndarray
    strength: np.ndarray
    deviation: np.ndarray
    prior: EdgePrior
    unit: np.ndarray
    turned: np.ndarray

    @property
    def probabilities(self) -> np.ndarray:
        """W."""
        return expit(self.log_odds)

    @property
    def explained(self) -> np.ndarray:
        """Probability that the effects need the edge to be explained."""
        return expit(self.explaining)


def direct_edges(
    total: TotalEffects,
    n: int,
    least_effect: float,
    tolerance: Tolerance,
    unperturbed_prior: float,
    progress: Progress | None = None,
) -> DirectEdges:
    """Fit W and S to total effects. Deterministic."""
    given = regressions(total, n, least_effect, tolerance, unperturbed_prior)
    found = best(given, progress)
    unit = over_panel(given.own / total.own, total.sources, n)
    scale = unit[:, None]
    turned, everywhere = turned_paths(total, n), np.zeros((n, n))
    everywhere[total.sources] = turned
    log_odds = with_rests(found.log_odds, found.mean, everywhere)
    strength, deviation = found.mean * scale, np.sqrt(found.variance) * scale
    return DirectEdges(log_odds, found.log_odds, strength, deviation, given.prior, unit, turned)


def regressions(
    total: TotalEffects, n: int, least_effect: float, tolerance: Tolerance, unperturbed_prior: float
) -> Regressions:
    """What is regressed on what, for every target."""
    rows = np.arange(len(total.sources))
    seen, own = total.seen, felt(total.own)
    response = np.where(seen, total.effect, 0.0) / own[:, None]
    noise = np.where(seen, total.error, np.inf) / np.abs(own)[:, None]
    reaching = felt(total.believed)
    passing = seen & (total.probability > FEWEST_ODDS)
    design = np.where(passing, total.probability * reaching, 0.0) / own[:, None]
    design[rows, total.sources] = 1.0
    against = np.where(reaching * _direction(total, n) < 0, design, 0.0)
    against[rows, total.sources] = 0.0
    prior = _prior(total, n, own, response, least_effect, unperturbed_prior)
    return Regressions(total, own, response, noise, design, against, prior, tolerance)


def over_panel(values: np.ndarray, sources: np.ndarray, n: int) -> np.ndarray:
    """(n,) values of the perturbed genes, their median for all others; 1 where there are none."""
    result = np.full(n, np.median(values) if len(values) else 1.0)
    result[sources] = values
    return result


def _direction(total: TotalEffects, n: int) -> np.ndarray:
    """(n,) the sign of every gene's own change under its perturbation, 0 of one that moves either way, the
    usual one for the others.
    """
    direction = np.where(over_panel(np.sign(total.own), total.sources, n) < 0, -1.0, 1.0)
    direction[np.intersect1d(total.sources[total.own < 0], total.sources[total.own > 0])] = 0.0
    return direction


def others_say(total: TotalEffects, edges: DirectEdges) -> np.ndarray:
    """(p, n) precision of the strength of an edge, per unit that is felt, that comes of other perturbations
    than that of its source; -1 where nothing was measured.
    """
    sources, own = total.sources, felt(total.own)[:, None]
    deviation = edges.deviation[sources] / edges.unit[sources][:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.nan_to_num(1 / deviation**2 - 1 / edges.prior.slab)
    return np.where(total.seen, np.maximum(precision - (own / total.error) ** 2, 0.0), -1.0)


def null_log_odds(
    total: TotalEffects,
    edges: DirectEdges,
    others: np.ndarray,
    drawn: tuple[np.ndarray, np.ndarray],
    rng: np.random.Generator,
    least: float = -LOG_ODDS_LIMIT,
) -> np.ndarray:
    """(p, n) log odds of W where there is no effect: controls in the place of the perturbed cells show an
    effect with an error, `drawn` (p, n) each.

    The draw takes the place of what the source's own perturbation says about its edge. What the other
    perturbations say that reach the source (`others_say`) keeps its precision: no edge, up to noise. Needs
    total.rule; least odds where nothing was measured. Whether there is an effect at all is asked of pairs
    over `least` alone, so those below it may be too high.
    """
    assert total.rule is not None
    rule, own, prior, sources = total.rule, felt(total.own), edges.prior, total.sources
    of_rows = prior.log_odds[sources], prior.least[sources]
    noise, (effect, error) = rng.standard_normal(others.shape), drawn
    odds, strength = np.empty(others.shape), np.empty(others.shape)

    def judge(part: slice) -> None:
        from gpovae_core.methods.null_odds import posterior

        draw = effect[part], error[part], noise[part]
        found = odds[part]
        of_part = of_rows[0][part], of_rows[1][part], prior.slab
        posterior(of_part, own[part], others[part], draw, (found, strength[part]))
        row, column = np.nonzero((found > least) & np.isfinite(error[part]))
        row, at = row + part.start, (row, column)
        evidence = logit(rule.probability(row, effect[part][at], error[part][at]))
        found[at] = np.minimum(found[at], evidence)
        found[at] = with_rests(found[at], strength[part][at], edges.turned[row, column])
        found[~np.isfinite(error[part])] = -LOG_ODDS_LIMIT
        np.clip(found, -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT, out=found)

    for _ in at_once(judge, row_blocks(*effect.shape)):
        pass
    return odds


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
    change = over_panel(own, total.sources, n)
    evident = seen & (total.probability > EVIDENT)
    slab = float(np.mean(response[evident] ** 2)) if evident.any() else 1.0
    return EdgePrior(logit(probability), (least_effect / change) ** 2, slab)
