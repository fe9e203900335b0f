"""What would perturbing a gene do that nobody has perturbed? The answer of the network alone, without the
autoencoder.

Nothing binds the edges out of such a gene u; what speaks of it is its *column*: which perturbations move it,
and how. Three parts are made of that, each a change of every measured gene on log2(1 + 1e4 x / l):

    mediated  the perturbations that move u move gene j in proportion: T_uj is their common slope. Every slope
    on a grid is weighed
              against the chance that each of these perturbations acts on j in a way of its own (spike and
              slab over slopes); it takes two that agree to be believed, and one that moves u but not j speaks
              against it
    onward    the same slopes into genes that *were* perturbed, and from there what perturbing those was seen
    to change movers    the perturbations that move u, weighted by how far they move it

They are added to the mean over the perturbations with weights, none below zero, that predict left-out
*training* perturbations best; weights that do not hold up there are shrunk away, and the answer is the mean
over perturbations again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from gpovae_core import keys
from gpovae_core.config import Settings
from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.schema import Panel, PreparedCells
from gpovae_core.effects.averages import average_effects
from gpovae_core.effects.contrasts import Contrasts, contrasts
from gpovae_core.effects.shrinkage import SLAB, fit_evidence
from gpovae_core.errors import QueryError
from gpovae_core.methods.expected import control_sensitivity
from gpovae_core.methods.own_change import own_change

PARTS = ("mean", "mediated", "onward", "movers")

SLOPES = np.concatenate([-np.geomspace(2.0, 0.05, 14), np.geomspace(0.05, 2.0, 14)])
"""Log change of a target per log change of its source."""

SLOPE_SPREAD = 0.5
SLOPE_PRIOR = 0.2
"""Prior probability that u acts on j at all. On simulated screens 0.03 does nearly as well
(docs/whatif.md).
"""

TOLERANCE = 0.3
"""A slope need not hold nearer than this fraction of itself: responses are not linear."""

LEAST_MOVE = 0.02
"""Perturbations that move u by less (log per log) say nothing about its slopes."""

MOST_LEFT_OUT = 100
"""At most so many training perturbations are left out in turn to find the weights."""

MOVED = 0.8
"""A perturbation is said to move a gene where the probability of an effect is above this."""


@dataclass(frozen=True)
class Screen:
    """The training perturbations of single genes as the network stage sees them; p perturbations, n panel
    genes, G measured genes.

    observed: log fold changes of the panel; believed: (p, n) posterior mean of each, 0 on the own gene;
    probability: (p, n) that it is there; own: (p,) log fold change of the perturbed genes themselves;
    null_share, slab: see effects.shrinkage; effects: (p, G) on log2(1 + 1e4 x / l), NaN on the own gene;
    sensitivity: (G,) of that scale per unit of log fold change.
    """

    panel: Panel
    genes: pd.Index
    columns: np.ndarray  # (m,) place among the G measured genes of the measured panel genes
    observed: Contrasts
    believed: np.ndarray
    probability: np.ndarray
    own: np.ndarray
    null_share: np.ndarray
    slab: np.ndarray
    effects: np.ndarray
    sensitivity: np.ndarray

    @classmethod
    def of(cls, prepared: PreparedCells, settings: Settings) -> Screen:
        """From the training cells. Raises QueryError with fewer than three perturbations of single genes."""
        network = settings.network
        observed = contrasts(prepared)
        if len(observed.sources) < 3:
            raise QueryError(
                "What perturbing an unseen gene would do is learned from at least three others; the "
                f"training cells have perturbations of {len(observed.sources)} single genes."
            )
        rule = fit_evidence(observed.effect, observed.error, observed.counted, network.least_effect)
        belief = rule.judge(observed.effect, observed.error)
        counted = observed.counted
        own = own_change(observed, network.perturbation, network.complete_loss).change
        names = tuple(prepared.panel.genes[i] for i in observed.sources)
        effects = average_effects(prepared, (keys.TRAIN,), names).mean.to_numpy().copy()
        place = prepared.cells.var_names.get_indexer(list(names))
        effects[np.flatnonzero(place >= 0), place[place >= 0]] = np.nan
        return cls(
            panel=prepared.panel,
            genes=prepared.cells.var_names,
            columns=prepared.panel_columns,
            observed=observed,
            believed=np.where(counted, belief.probability * belief.effect, 0.0),
            probability=np.where(counted, belief.probability, 0.0),
            own=own,
            null_share=rule.null_share,
            slab=rule.slab,
            effects=effects,
            sensitivity=control_sensitivity(prepared),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """(p,) the perturbed genes."""
        return tuple(self.panel.genes[i] for i in self.observed.sources)

    @property
    def typical_change(self) -> float:
        """Log fold change that a perturbation of this screen brings to its own gene; taken for genes that
        were not perturbed.
        """
        return float(np.median(self.own))

    @cached_property
    def response(self) -> np.ndarray:
        """(p, n) believed change of every panel gene per unit of the source's own change, 1 on the own
        gene.
        """
        response = self.believed / self.own[:, None]
        response[np.arange(len(self.own)), self.observed.sources] = 1.0
        return response

    @cached_property
    def mean_effect(self) -> np.ndarray:
        """(G,) mean over the perturbations, without the perturbed genes' own falls."""
        return _mean(self.effects)

    def moved_by(self, gene: str) -> pd.DataFrame:
        """Perturbations that move `gene`, strongest first: perturbation, change (log2 fold change of the
        gene), probability.
        """
        at = self.panel.position(gene)
        rows = np.flatnonzero(self.probability[:, at] > MOVED)
        rows = rows[np.argsort(-np.abs(self.believed[rows, at]), kind="stable")]
        change = self.observed.effect[rows, at] / np.log(2)
        return pd.DataFrame(
            {
                "perturbation": [self.names[i] for i in rows],
                "change": change,
                "probability": self.probability[rows, at],
            }
        )

    def parts(self, position: int) -> np.ndarray:
        """(len(PARTS), G) what each part says of perturbing the panel gene at `position`, as if it never had
        been.
        """
        rows = np.flatnonzero(self.observed.sources != position)
        mean = _mean(self.effects[rows])
        deviation = np.nan_to_num(self.effects[rows] - mean)
        moved = self.response[rows, position]
        slopes = self._slopes(rows, position)
        onward = slopes[self.observed.sources[rows]] @ (self.believed[rows] / self.own[rows, None])
        onward[position] = 0.0
        weights = moved / ((self.response[rows] ** 2).sum(axis=1) + 1.0)
        return np.stack([mean, self._on_scale(slopes), self._on_scale(onward), weights @ deviation])

    def _on_scale(self, change: np.ndarray) -> np.ndarray:
        """(G,) effect of a typical perturbation from slopes (n,); genes outside the panel are taken not to
        change.
        """
        effect = np.zeros(len(self.genes))
        effect[self.columns] = self.typical_change * change[self.panel.is_measured]
        return effect * self.sensitivity

    def _slopes(self, rows: np.ndarray, position: int) -> np.ndarray:
        """(n,) posterior mean of T[position, j] from the perturbations at `rows`; 0 where nothing moves the
        gene.
        """
        moved = self.response[rows, position] * self.own[rows]
        far = np.abs(moved) > LEAST_MOVE * np.abs(self.own[rows])
        rows, moved = rows[far], moved[far]
        if not len(rows):
            return np.zeros(len(self.panel))
        counted = self.observed.counted[rows]
        effect, variance = (
            np.where(counted, self.observed.effect[rows], 0.0),
            np.where(counted, self.observed.error[rows] ** 2, 1.0),
        )
        share = np.concatenate(
            [self.null_share[rows, None], (1 - self.null_share[rows, None]) * self.slab], axis=1
        )

        def fit(slope: float) -> np.ndarray:
            expected = slope * moved[:, None]
            density = _own_ways(effect - expected, variance + (TOLERANCE * expected) ** 2, share)
            return np.where(counted, density, 0.0).sum(axis=0)

        without = fit(0.0)
        gain = np.stack([fit(slope) - without for slope in SLOPES])
        prior = np.abs(SLOPES) * np.exp(
            -0.5 * (SLOPES / SLOPE_SPREAD) ** 2
        )  # the grid is even in the logarithm
        top = np.maximum(gain.max(axis=0), 0.0)
        mass = SLOPE_PRIOR * (prior / prior.sum())[:, None] * np.exp(gain - top)
        slopes = (mass * SLOPES[:, None]).sum(axis=0) / (mass.sum(axis=0) + (1 - SLOPE_PRIOR) * np.exp(-top))
        slopes[position] = 0.0
        return slopes


@dataclass(frozen=True)
class PartWeights:
    """How the parts are added up, and what that was worth on left-out training perturbations.

    weights: (len(PARTS),), 1 for the mean and none below zero; deviation: (G,) root mean square error of such
    a prediction per gene; kept: the share of their weights that the network parts were left, 1 where they
    held up for sure, 0 where not; left_out: how many were.
    """

    weights: np.ndarray
    deviation: np.ndarray
    kept: float
    left_out: int

    def table(self) -> dict[str, float]:
        return dict(zip(PARTS, self.weights.tolist(), strict=True))


def fit_weights(screen: Screen, seed: int = 0, progress: Progress | None = None) -> PartWeights:
    """Weights of the parts by leaving out one training perturbation after the other (MOST_LEFT_OUT of them at
    most).
    """
    p = len(screen.own)
    left_out = np.sort(np.random.default_rng(seed).permutation(p)[:MOST_LEFT_OUT])
    parts, truth = [], []
    for done, row in enumerate(left_out):
        parts.append(screen.parts(int(screen.observed.sources[row])))
        truth.append(screen.effects[row])
        tell(progress, "weighing the parts", (done + 1) / len(left_out))
    made, known = np.stack(parts), np.stack(truth)
    known_pairs = np.isfinite(known)
    network = np.where(known_pairs[:, None], made[:, 1:], 0.0)
    rest = np.where(known_pairs, known - made[:, 0], 0.0)
    products = network @ network.transpose(0, 2, 1)  # one (parts, parts) for every perturbation
    weights, kept = scaled_by_gain(products, (network @ rest[..., None])[..., 0])
    residual = rest - np.einsum("k,rkg->rg", weights, network)
    count = np.maximum(known_pairs.sum(axis=0), 1)
    return PartWeights(
        np.array([1.0, *weights]), np.sqrt((residual**2).sum(axis=0) / count), kept, len(left_out)
    )


@dataclass(frozen=True)
class NetworkAlone:
    """What the training perturbations of a screen say of genes that none of them perturbs."""

    screen: Screen
    weights: PartWeights

    @classmethod
    def of(cls, prepared: PreparedCells, settings: Settings) -> NetworkAlone:
        """Learned from the training cells. Raises QueryError with fewer than three perturbations."""
        screen = Screen.of(prepared, settings)
        return cls(screen, fit_weights(screen))

    def effect(self, gene: str) -> np.ndarray:
        """(G,) of a typical perturbation of `gene`, see `predict_unseen`."""
        return predict_unseen(self.screen, self.weights, gene)


def predict_unseen(screen: Screen, weights: PartWeights, gene: str) -> np.ndarray:
    """(G,) effect of perturbing `gene`, on log2(1 + 1e4 x / l), as if it never had been; NaN on the gene
    itself.

    Its strength is that of the screen's typical perturbation. Raises QueryError for a gene outside the panel.
    """
    effect = weights.weights @ screen.parts(screen.panel.position(gene))
    place = screen.genes.get_indexer([screen.panel.genes[screen.panel.position(gene)]])[0]
    if place >= 0:
        effect[place] = np.nan
    return effect


def _mean(effects: np.ndarray) -> np.ndarray:
    """(G,) mean over the rows that are numbers; 0 where none is."""
    known = np.isfinite(effects)
    return np.where(known, effects, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)


def _own_ways(rest: np.ndarray, variance: np.ndarray, share: np.ndarray) -> np.ndarray:
    """(r, n) log density of what a slope leaves, if each perturbation (row) has effects of its own by `share`
    (r, 1 + len(SLAB)).
    """
    spread = np.concatenate([[0.0], SLAB]) ** 2
    total = np.zeros(rest.shape)
    for component, width in enumerate(spread):
        both = variance + width
        total += share[:, component, None] * np.exp(-0.5 * rest**2 / both) / np.sqrt(both)
    return np.log(np.maximum(total, 1e-300))


_ROUNDING = 1e-12


def scaled_by_gain(products: np.ndarray, against: np.ndarray) -> tuple[np.ndarray, float]:
    """Weights of the network parts, shrunk by 1 - (standard error / mean)^2 of what they gain on left-out
    perturbations; and that factor.

    products (r, k, k) and against (r, k): the normal equations of every left-out perturbation, of what the
    mean leaves.
    """
    sums, right = products.sum(axis=0), against.sum(axis=0)
    gains = []
    for own, own_right in zip(products, against, strict=True):
        rest = sums - own
        alone = np.diag(rest) <= _ROUNDING * np.diag(sums)  # a part that no other perturbation has
        rest[alone], rest[:, alone] = 0.0, 0.0
        others = _non_negative(rest, np.where(alone, 0.0, right - own_right))
        gains.append(2 * others @ own_right - others @ own @ others)  # fall of the squared error
    mean, error = float(np.mean(gains)), float(np.std(gains, ddof=1) / np.sqrt(len(gains)))
    kept = max(0.0, 1.0 - (error / mean) ** 2) if mean > 0 else 0.0
    return kept * _non_negative(sums, right), kept


def _non_negative(products: np.ndarray, against: np.ndarray) -> np.ndarray:
    """(k,) weights of at least zero that solve the normal equations (k, k), (k,) best; 0 for a part that is
    nothing anywhere.
    """
    there = np.diag(products) > 0
    result = np.zeros(len(products))
    if not there.any():
        return result
    products, against = products[np.ix_(there, there)], against[there]
    scale = np.sqrt(np.diag(products))
    values, vectors = np.linalg.eigh(products / np.outer(scale, scale))
    usable = values > 1e-10
    root = np.sqrt(values[usable])
    found, _ = nnls(root[:, None] * vectors[:, usable].T, vectors[:, usable].T @ (against / scale) / root)
    result[there] = found / scale
    return result
