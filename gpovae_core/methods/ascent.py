"""Mean-field variational inference of the regressions behind W (methods.direct), from two starts.

Every target has a regression of its own, and ascent ends in a local optimum of it: an effect that was taken
for direct leaves nothing for a path to explain, and the edge over which the path would run is never found. So
the ascent sets out twice. Once from every effect as a direct edge; once from no edge, and the genes that many
perturbations reach come first, so that what lies downstream may explain before it is explained. Both ends are
weighed, target by target, by how probable they make the effects.

Paths run over edges as far as all perturbations together speak for them. W says more than that an explanation
needs an edge: it is held to what the cells of its own source show (`most_odds`).

No gene explains itself. Of two that change each other each could pass for a consequence of the other, and the
edge that leads from the source to either of them would be missing. So a path counts for a target by what
changes on it while the target is held still: T_im - T_ij T_jm for the gene m between source i and target j
(from T = B + T B without j; i, j, m all perturbed). Where j takes back a part of its own change over others
(negative feedback), that part is error: how much of it is cut depends on where the source stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import sparse
from scipy.special import expit, log_expit, softmax

from gpovae_core.data.cores import at_once
from gpovae_core.data.progress import Progress, tell
from gpovae_core.methods.explained import LOG_ODDS_LIMIT, EdgePrior, Tolerance, TotalEffects, logit

TARGETS = 128
"""Targets that are worked on in a piece."""

_SWEEPS = 200


@dataclass(frozen=True)
class Regressions:
    """Effects per unit of what is felt of their source, and what they are regressed on; p perturbed genes,
    n panel genes.

    total: the effects as they were seen; own: (p,) what is felt of each perturbed gene; response: (p, n) and
    noise, its standard error, infinite where there is nothing to explain; design: (p, n) what is felt of
    every gene in between, 1 at the perturbed gene itself; against: (p, n) the part of it where the gene moves
    the other way than its own perturbation moved it.
    """

    total: TotalEffects
    own: np.ndarray
    response: np.ndarray
    noise: np.ndarray
    design: np.ndarray
    against: np.ndarray
    prior: EdgePrior
    tolerance: Tolerance

    def everything_direct(self, targets: np.ndarray) -> np.ndarray:
        """(k, n) B into `targets` (k,) with an edge for every effect: target by target."""
        edge = np.zeros((len(targets), self.design.shape[1]))
        probability, response = self.total.probability[:, targets], self.response[:, targets]
        edge[:, self.total.sources] = np.where(
            np.isfinite(self.noise[:, targets]), probability * response, 0.0
        ).T
        return edge

    def passed_on(self, targets: np.ndarray) -> np.ndarray:
        """(k, n) what is felt of every other gene when each of `targets` (k,) is perturbed; zeros where it
        was not.
        """
        row = np.full(self.design.shape[1], -1)
        row[self.total.sources] = np.arange(len(self.total.sources))
        found, own = np.zeros((len(targets), len(row))), row[targets] >= 0
        found[own] = self.design[row[targets[own]]]
        found[np.arange(len(targets)), targets] = 0.0
        return found

    @cached_property
    def by_gene(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """`design` gene after gene: where each gene starts, from where on it moves against its own
        perturbation, the rows that reach it and what is felt of it there.
        """
        genes, rows = np.nonzero(self.design.T)
        turned = self.against[rows, genes] != 0
        arranged = np.lexsort((turned, genes))
        start = np.searchsorted(genes, np.arange(self.design.shape[1] + 1))
        turn = start[1:] - np.bincount(genes, turned, minlength=len(start) - 1).astype(int)
        genes, rows = genes[arranged], rows[arranged]
        return start, turn, rows.astype(np.uint32), self.design[rows, genes]

    @cached_property
    def squares(self) -> sparse.csr_matrix:
        """(p, n) those of `design`."""
        return sparse.csr_matrix(self.design**2)

    @property
    def order(self) -> np.ndarray:
        """Genes through which something passes, those that perturbations reach least first. It hangs on the
        cells alone, not on the place of a gene in the file.
        """
        order = np.argsort((self.design**2).sum(axis=0), kind="stable")
        return order[(self.design != 0).any(axis=0)[order]]


@dataclass(frozen=True)
class Optimum:
    """Where an ascent ended; all but `bound` (n, n), per unit that is felt.

    log_odds: of W; mean, variance: of the strength of an edge that is there, variance NaN where nothing was
    learned; bound: (n,) lower bound of the log probability of the effects on each target, up to a constant.
    """

    log_odds: np.ndarray
    mean: np.ndarray
    variance: np.ndarray
    bound: np.ndarray


def best(regressions: Regressions, progress: Progress | None = None) -> Optimum:
    """What both ascents find, weighed."""
    n, order = regressions.design.shape[1], regressions.order
    # Nothing binds the edges of a gene that was never perturbed. They could explain whatever answers in
    # proportion, so they come last and find what the others leave.
    perturbed = np.isin(order[::-1], regressions.total.sources)
    downstream = np.concatenate([order[::-1][perturbed], order[::-1][~perturbed]])

    def piece(targets: np.ndarray) -> Optimum:
        everything = regressions.everything_direct(targets)
        starts = ((everything, order), (np.zeros_like(everything), downstream))
        return mixed([ascend(regressions, *start, targets) for start in starts])

    found = Optimum(np.empty((n, n)), np.empty((n, n)), np.empty((n, n)), np.empty(n))
    pieces = [np.arange(first, min(first + TARGETS, n)) for first in range(0, n, TARGETS)]
    for number, part in enumerate(at_once(piece, pieces)):
        for name in ("log_odds", "mean", "variance", "bound"):
            getattr(found, name)[..., pieces[number]] = getattr(part, name)
        tell(progress, "direct edges", (number + 1) / len(pieces))
    return found


def mixed(ends: Sequence[Optimum]) -> Optimum:
    """Several ends as one: W is the probability of an edge over them, S that of those that have it."""
    bounds = np.array([end.bound for end in ends])
    log_share = np.log(np.maximum(softmax(bounds, axis=0), 1e-300))[:, None, :]  # (ends, 1, targets)
    log_odds, mean, variance = (
        np.array([getattr(end, name) for end in ends]) for name in ("log_odds", "mean", "variance")
    )
    there = log_share + log_expit(log_odds)
    either = np.logaddexp.reduce(there, axis=0)
    whole = either - np.logaddexp.reduce(log_share + log_expit(-log_odds), axis=0)
    share = np.exp(there - either)
    centre = (share * mean).sum(axis=0)
    around = (share * (variance + (mean - centre) ** 2)).sum(axis=0)
    return Optimum(
        np.clip(whole, -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT), centre, around, np.logaddexp.reduce(bounds, axis=0)
    )


def ascend(regressions: Regressions, edge: np.ndarray, order: np.ndarray, targets: np.ndarray) -> Optimum:
    """Up from `edge`, B into `targets` (k,), target by target (k, n), gene after gene in `order`, until
    nothing moves; arrays of the end are (n, k).

    Cost per sweep of a target: pairs of a perturbation and a gene that it reaches.
    """
    from gpovae_core.methods.side_by_side import Ends, Genes, Targets, ascend_targets, held_differently

    given, count, prior, tolerance = regressions, len(targets), regressions.prior, regressions.tolerance
    p, n = given.design.shape
    genes = Genes(
        order,
        *given.by_gene,
        given.total.sources,
        prior.log_odds,
        prior.least,
        prior.slab,
        tolerance.along,
        tolerance.against,
    )
    response, noise = (np.ascontiguousarray(part[:, targets].T) for part in (given.response, given.noise))
    noise2 = noise**2
    reached = np.where(np.isfinite(noise2), given.design[:, targets].T, 0.0)
    ends = Ends(edge.copy(), *np.zeros((2, count, n)), *np.empty((2, count, p)))
    of = Targets(targets, response, noise2, reached, given.passed_on(targets))
    ascend_targets(genes, of, ends, _SWEEPS)
    log_odds, mean, variance = _of_edges(prior, ends.precise, ends.wanted)
    uncertain = np.nan_to_num((mean**2 + variance) * expit(log_odds) - ends.edge**2)
    spread = np.ascontiguousarray((given.squares @ np.ascontiguousarray(uncertain.T)).T)
    held_differently(genes, of, uncertain, spread)
    predicted, off = ends.predicted, ends.off
    indirect = np.where(np.isfinite(noise2), predicted - ends.edge[:, given.total.sources], 0.0)
    least = prior.least[given.total.sources]
    error2 = np.where(np.isfinite(noise2), noise2 + off**2 + least, 1.0)
    missed = (response - predicted) ** 2 + spread
    likelihood = np.where(np.isfinite(noise2), -0.5 * (np.log(error2) + missed / error2), 0.0).sum(axis=1)
    bound = likelihood - _divergence(prior, log_odds, mean, variance)
    through, error = (part.T * given.own[:, None] for part in (indirect, off))
    most = np.maximum(most_odds(given.total, targets, through, np.abs(error)), -LOG_ODDS_LIMIT)
    log_odds[:, given.total.sources] = np.minimum(log_odds[:, given.total.sources], most.T)
    return Optimum(log_odds.T, mean.T, variance.T, bound)


def _of_edges(
    prior: EdgePrior, precise: np.ndarray, wanted: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(k, n) log odds, mean and variance of edges, from the precisions of their estimates (k, n), 0 where
    nothing was learned, and those times the estimates.
    """
    learned, slab = precise > 0, prior.slab
    error2 = 1 / np.where(learned, precise, 1.0)
    estimate, without = wanted * error2, error2 + prior.least
    having = without + slab
    gain = np.log(without / having) + estimate**2 * (slab / (without * having))
    log_odds = np.clip(prior.log_odds + 0.5 * gain, -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT)
    return (
        np.where(learned, log_odds, -LOG_ODDS_LIMIT),
        np.where(learned, estimate * slab / (slab + error2), 0.0),
        np.where(learned, 1 / (precise + 1 / slab), np.nan),
    )


def _divergence(prior: EdgePrior, log_odds: np.ndarray, mean: np.ndarray, variance: np.ndarray) -> np.ndarray:
    """(k,) of edges and strengths (k, n) from their priors."""
    learned, variance = ~np.isnan(variance), np.nan_to_num(variance, nan=prior.slab)
    there, ratio = expit(log_odds), variance / prior.slab
    divergence = there * (log_expit(log_odds) - log_expit(prior.log_odds))
    divergence += (1 - there) * (log_expit(-log_odds) - log_expit(-prior.log_odds))
    divergence += 0.5 * there * (ratio - np.log(ratio) - 1 + mean**2 / prior.slab)
    return np.where(learned, divergence, 0.0).sum(axis=1)


def most_odds(total: TotalEffects, columns: np.ndarray, through: np.ndarray, off: np.ndarray) -> np.ndarray:
    """(p, k) log odds that there is an effect on the targets `columns` (k,), or that one is missing which the
    paths predict; through: (p, k) log fold changes that they predict, off: by how much they may be wrong.
    """
    seen, effect, error = (part[:, columns] for part in (total.seen, total.effect, total.error))
    probability = np.where(seen, total.probability[:, columns], 0.0)
    if total.rule is not None:
        rows, places = np.nonzero(seen & (np.abs(through) > error))  # less than that is missed by nobody
        error = np.hypot(error[rows, places], off[rows, places])
        missing = total.rule.probability(rows, effect[rows, places] - through[rows, places], error)
        probability[rows, places] = np.maximum(probability[rows, places], missing)
    return logit(total.of_genes(probability, columns))
