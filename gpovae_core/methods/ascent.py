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

import numpy as np
from scipy import sparse
from scipy.special import expit, log_expit, softmax

from gpovae_core.data.progress import Progress, stretch, tell
from gpovae_core.methods.explained import EdgePrior, Tolerance, TotalEffects, logit

LOG_ODDS_LIMIT = 30.0
"""Log odds of an edge are kept within this: beyond it a float32 sigmoid is 0 or 1 anyway."""

_SWEEPS = 200
_FREE_SWEEPS = 20
"""An explanation widens the error that is allowed to it. It may lose its edge by that, and so the error, and
win the edge back, for ever: after so many sweeps errors are averaged over sweeps, by which that settles.
"""
_TOLERANCE = 1e-4


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

    @property
    def everything_direct(self) -> np.ndarray:
        """(n, n) B with an edge for every effect."""
        edge = np.zeros((self.design.shape[1],) * 2)
        seen = np.isfinite(self.noise)
        edge[self.total.sources] = np.where(seen, self.total.probability * self.response, 0.0)
        return edge

    @property
    def passed_on(self) -> np.ndarray:
        """(n, n) `design` by panel gene; zeros for genes that were not perturbed, and on the diagonal."""
        found = np.zeros((self.design.shape[1],) * 2)
        found[self.total.sources] = self.design
        np.fill_diagonal(found, 0.0)
        return found

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
    everything, order = regressions.everything_direct, regressions.order
    # Nothing binds the edges of a gene that was never perturbed. They could explain whatever answers in
    # proportion, so they come last and find what the others leave.
    perturbed = np.isin(order[::-1], regressions.total.sources)
    downstream = np.concatenate([order[::-1][perturbed], order[::-1][~perturbed]])
    starts = ((everything, order), (np.zeros_like(everything), downstream))
    halves = (stretch(progress, 0.0, 0.5), stretch(progress, 0.5, 1.0))
    return mixed([ascend(regressions, *start, half) for start, half in zip(starts, halves, strict=True)])


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


def ascend(
    regressions: Regressions, edge: np.ndarray, order: np.ndarray, progress: Progress | None = None
) -> Optimum:
    """Up from `edge`, B (n, n), gene after gene in `order` for all targets at once, until no target moves.

    Cost per sweep: perturbations that reach a gene x targets that have not settled, summed over genes.
    """
    n = len(edge)
    ascent = _Ascent(regressions, edge)
    end = Optimum(np.full((n, n), -LOG_ODDS_LIMIT), np.zeros((n, n)), np.full((n, n), np.nan), np.zeros(n))
    reached = [(gene, np.flatnonzero(regressions.design[:, gene])) for gene in order]
    for sweep in range(_SWEEPS):
        moved = ascent.sweep(sweep, reached, progress)
        settled = (moved < _TOLERANCE) | (sweep == _SWEEPS - 1)
        ascent.write(end, settled)
        ascent.keep(~settled)
        if settled.all():
            break
    return end


class _Ascent:
    """The targets that are still on their way; arrays (p, targets), (n, targets) and (targets, n)."""

    over_rows = ("response", "noise2", "seen", "reached", "predicted", "turned", "off")
    over_genes = ("edge", "log_odds", "mean", "variance")

    def __init__(self, regressions: Regressions, edge: np.ndarray) -> None:
        self.given = regressions
        self.design2 = sparse.csr_array(regressions.design**2)
        self.columns = np.arange(len(edge))
        self.seen = np.isfinite(regressions.noise)
        self.response, self.noise2 = regressions.response, regressions.noise**2
        self.reached = np.where(self.seen, regressions.design, 0.0)
        self.passed_on = regressions.passed_on
        self.edge = edge.copy()
        self.log_odds, self.mean = np.full(edge.shape, -LOG_ODDS_LIMIT), np.zeros(edge.shape)
        self.variance = np.full(edge.shape, np.nan)
        self.predicted, self.turned, self.off = (np.zeros(regressions.response.shape) for _ in range(3))
        for gene in np.flatnonzero(edge.any(axis=1)):
            rows = np.flatnonzero(regressions.design[:, gene])
            self._move(gene, rows, self._without_target(gene, rows), edge[gene])

    def keep(self, targets: np.ndarray) -> None:
        """Go on with `targets`, bool, alone."""
        self.columns, self.passed_on = self.columns[targets], self.passed_on[targets]
        for name in (*self.over_rows, *self.over_genes):
            setattr(self, name, getattr(self, name)[:, targets])

    def sweep(
        self, number: int, reached: Sequence[tuple[int, np.ndarray]], progress: Progress | None
    ) -> np.ndarray:
        """Every gene once; by how much B moved at most, for each target. reached: genes with the rows of the
        perturbations that reach them.
        """
        weight = self._weight(number)
        largest = np.zeros(len(self.columns))
        for done, (gene, rows) in enumerate(reached):
            tell(progress, "direct edges", (number + done / len(reached)) / _SWEEPS)
            largest = np.maximum(largest, self._update(gene, rows, weight))
        return largest

    def _without_target(self, gene: int, rows: np.ndarray) -> np.ndarray:
        """(rows, targets) what is felt of `gene` while the target is held: from nothing to all of it."""
        all_of_it = self.given.design[rows, gene][:, None]
        left = all_of_it - self.reached[rows] * self.passed_on[:, gene]
        left = np.where(all_of_it > 0, np.clip(left, 0, all_of_it), np.clip(left, all_of_it, 0))
        return np.where(self.given.total.sources[rows, None] == gene, all_of_it, left)

    def _move(self, gene: int, rows: np.ndarray, x: np.ndarray, step: np.ndarray) -> None:
        """B of `gene` moves by `step` (targets,)."""
        design, against = self.given.design[rows, gene], self.given.against[rows, gene]
        self.predicted[rows] += x * step
        if against.any():
            self.turned[rows] += (against / design)[:, None] * x * step

    def _indirect(self) -> np.ndarray:
        """(p, targets) what paths explain."""
        return np.where(self.seen, self.predicted - self.edge[self.given.total.sources], 0.0)

    def _taken_back(self) -> np.ndarray:
        """(p, targets) what a target takes back of its own change, not over the source: against it."""
        sources = self.given.total.sources
        over_all = (self.passed_on.T * self.edge).sum(axis=0)
        over_source = self.passed_on[:, sources].T * self.edge[sources]
        return self.reached * np.minimum(over_all - over_source, 0.0)

    def _weight(self, number: int) -> np.ndarray:
        """(p, targets) weights of the effects."""
        tolerance, turned = self.given.tolerance, np.where(self.seen, self.turned, 0.0)
        along = self._indirect() - turned - self._taken_back()
        now = np.hypot(tolerance.along * along, tolerance.against * turned)
        later = number - _FREE_SWEEPS
        self.off = now if later < 0 else self.off + (now - self.off) / (later + 2)
        return np.where(self.seen, 1 / (self.noise2 + self.off**2), 0.0)

    def _update(self, gene: int, rows: np.ndarray, weight: np.ndarray) -> np.ndarray:
        prior = self.given.prior
        x, w = self._without_target(gene, rows), weight[rows]
        precision = (x**2 * w).sum(axis=0)
        possible = (precision > 0) & (self.columns != gene)
        rest = self.response[rows] - self.predicted[rows] + x * self.edge[gene]
        error2 = 1 / np.where(possible, precision, 1.0)
        estimate = (x * w * rest).sum(axis=0) * error2
        odds = prior.posterior(gene, estimate, error2)
        odds = np.where(possible, np.clip(odds, -LOG_ODDS_LIMIT, LOG_ODDS_LIMIT), -LOG_ODDS_LIMIT)
        strength = np.where(possible, estimate * prior.slab / (prior.slab + error2), 0.0)
        new = expit(odds) * strength
        step = new - self.edge[gene]
        self._move(gene, rows, x, step)
        self.edge[gene], self.log_odds[gene], self.mean[gene] = new, odds, strength
        self.variance[gene] = np.where(possible, 1 / (precision + 1 / prior.slab), np.nan)
        return np.abs(step)

    def write(self, end: Optimum, targets: np.ndarray) -> None:
        """Put `targets`, bool, into `end` as they stand."""
        if not targets.any():
            return
        columns, total, own = self.columns[targets], self.given.total, self.given.own[:, None]
        end.bound[columns] = self._bound(targets)
        for name in ("log_odds", "mean", "variance"):
            getattr(end, name)[:, columns] = getattr(self, name)[:, targets]
        through, off = (part[:, targets] * own for part in (self._indirect(), self.off))
        most = np.maximum(most_odds(total, columns, through, np.abs(off)), -LOG_ODDS_LIMIT)
        held = np.ix_(total.sources, columns)
        end.log_odds[held] = np.minimum(end.log_odds[held], most)

    def _bound(self, targets: np.ndarray) -> np.ndarray:
        """(k,) of `targets`, bool: expected log likelihood minus the divergence of edges and strengths from
        their priors. A direct effect of the least size is part of the error.
        """
        prior, rows = self.given.prior, self.given.total.sources
        names = ("response", "noise2", "seen", "predicted", "off")
        response, noise2, seen, predicted, off = (getattr(self, name)[:, targets] for name in names)
        edge, log_odds, mean, variance = (getattr(self, name)[:, targets] for name in self.over_genes)
        learned, variance = ~np.isnan(variance), np.nan_to_num(variance, nan=prior.slab)
        there = expit(log_odds)
        error2 = np.where(seen, noise2 + off**2 + prior.least[rows][:, None], 1.0)
        spread = self.design2 @ (there * (mean**2 + variance) - edge**2)
        missed = (response - predicted) ** 2 + spread
        likelihood = np.where(seen, -0.5 * (np.log(error2) + missed / error2), 0.0).sum(axis=0)
        before, ratio = prior.log_odds[:, None], variance / prior.slab
        divergence = there * (log_expit(log_odds) - log_expit(before))
        divergence += (1 - there) * (log_expit(-log_odds) - log_expit(-before))
        divergence += 0.5 * there * (ratio - np.log(ratio) - 1 + mean**2 / prior.slab)
        return likelihood - np.where(learned, divergence, 0.0).sum(axis=0)


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
    return logit(probability)
