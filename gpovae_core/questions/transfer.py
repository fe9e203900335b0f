"""Does a network hold in other cells? Its edges, and what T_K predicts, against effects measured there.

Nothing is fitted to the other set. An edge is seen there where perturbing its source changes its target
significantly, in the direction that the strength and the source's own change there make expected. How often
that can happen at all depends on how well the other set measures: so the share that comes back stands beside
a *ceiling*, what it would be if every effect were there as it is here (as much of it as the errors here let
one believe), and beside other pairs of the same perturbations: pairs that are no edges but look as strong
here, as many pairs as there are edges ranked by the effect alone, and pairs drawn at random.

Predicted effects are T_K times the source's own change *there*, beside the mean over the other perturbations
there, the mean over those here, and the effect that was measured here, which needs no network.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtr, ndtri

from gpovae_core import keys
from gpovae_core.config import EvaluationSettings
from gpovae_core.data.kinds import KNOCK_OUT
from gpovae_core.effects.shrinkage import fit_evidence
from gpovae_core.errors import QueryError
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.questions.elsewhere import Elsewhere, cells_in_both, matched
from gpovae_core.runs.folder import RunFolder

SEEN, OTHER_SIGN, NOT_SEEN = "seen", "other sign", "not seen"
EDGES, ALIKE, STRONGEST, CHANCE = "edges", "alike", "strongest", "chance"
ALIKE_WITHIN = 1.25
"""A pair is alike in strength where its effect over its error is within this factor of the edge's."""
FEWEST_GENES = 3
"""Genes that a correlation needs."""
LEAST = 0.05
"""Error, natural log fold change, that is added to every error where effects are weighed."""


@dataclass(frozen=True)
class GroupOfPairs:
    """tested: pairs measured in both sets; seen, other_sign: of these, significant there with the expected
    sign, or with the other one; expected: how many would be seen if the effects were as they are here, and
    spread, its standard deviation; strength: median of the absolute effect over its error here, NaN without
    pairs.
    """

    tested: int
    seen: int
    other_sign: int
    expected: float
    spread: float
    strength: float

    @property
    def share(self) -> float:
        return self.seen / self.tested if self.tested else float("nan")

    @property
    def ceiling(self) -> float:
        """`expected` as a share of the tested pairs."""
        return self.expected / self.tested if self.tested else float("nan")

    @property
    def ceiling_interval(self) -> tuple[float, float]:
        """In which 95 % of the shares would lie if the effects were as they are here."""
        if not self.tested:
            return float("nan"), float("nan")
        reach = keys.NORMAL_95 * self.spread
        low, high = (self.expected + step * reach for step in (-1, 1))
        return max(0.0, low / self.tested), min(1.0, high / self.tested)

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        low, high = self.ceiling_interval
        derived = {"share": self.share, "ceiling": self.ceiling, "ceiling_low": low, "ceiling_high": high}
        return _finite({**asdict(self), **derived})


@dataclass(frozen=True)
class PredictedElsewhere:
    """How one prediction fits the effects there, every pair weighed by how well it was measured. rho:
    correlation; explained: 1 - squared error over squared effect.
    """

    rho: float
    explained: float


@dataclass(frozen=True)
class Transfer:
    """A network of run `here` in the cells of `there`.

    perturbations: genes perturbed in both; genes: panel genes that both measure; edges_here: edges above the
    threshold, and edges: those that could be tested there (source, target, weight, sign, effect_here,
    effect_there and its standard error, log2; p, p_adjusted, state), strongest first; groups: the edges and
    the pairs beside them; effects: predictor -> how it fits, over `pairs` effects; ceiling: what a prediction
    without any error would reach; cut: largest p that counts as significant there; shared_cells: cells that
    are in both sets; strengths_compare: whether the own changes of both sets are of one kind, so that effects
    are scaled by them; own_controls: whether the mean there was measured against controls of its own, so that
    it cannot follow the scatter of those behind the effects; raised: genes that are activated in other cells
    of either set, which are compared by their knock-downs alone.
    """

    here: str
    there: str
    perturbations: tuple[str, ...]
    genes: int
    threshold: float
    significance: float
    cut: float
    edges_here: int
    edges: pd.DataFrame
    groups: dict[str, GroupOfPairs]
    effects: dict[str, PredictedElsewhere]
    ceiling: PredictedElsewhere
    pairs: int
    shared_cells: int
    strengths_compare: bool
    own_controls: bool
    raised: int = 0

    def plain(self) -> dict[str, Any]:
        """As JSON holds it; None for what is undefined."""
        kept = {
            field.name: getattr(self, field.name)
            for field in fields(self)
            if field.name not in ("edges", "groups", "effects", "ceiling")
        }
        return {
            **kept,
            "perturbations": list(self.perturbations),
            "groups": {name: group.plain() for name, group in self.groups.items()},
            "effects": {
                name: _finite(asdict(one)) for name, one in (*self.effects.items(), ("ceiling", self.ceiling))
            },
            "edges": [_finite(row) for row in self.edges.to_dict("records")],
        }


def transfer(run: RunFolder, other: Elsewhere, threshold: float | None = None, seed: int = 0) -> Transfer:
    """The network of `run`, above the threshold of its settings unless one is given, in the cells of `other`.
    seed: of the pairs drawn at random. Raises QueryError where nothing can be compared.
    """
    settings = run.settings()
    arrays = run.network_arrays()
    if not arrays:
        raise QueryError(
            f"Run '{run.name}' has no network stage (preset '{settings.preset}'): its W has no strengths "
            "and its T_K no scale, so neither can be held against effects of other cells. Train one with "
            "the preset evidence."
        )
    cut = settings.evaluation.threshold if threshold is None else threshold
    if not 0 <= cut <= 1:
        raise QueryError(f"A threshold on W lies between 0 and 1; got {cut:g}.")
    fit = NetworkFit.from_arrays(arrays)
    genes, weights = run.panel().genes, run.edge_probabilities()
    sides = _Sides.of(genes, fit, weights, other, settings.network.least_effect)
    if not sides.tested.any():
        raise QueryError(_nothing_in_common(sides, genes, other))
    groups = _groups_of(sides, cut, np.random.default_rng(seed))
    edges, largest_p = _edge_table(sides, groups[EDGES], settings.evaluation)
    effects, ceiling, pairs = _scores(sides)
    ours = run.cells() if run.has("cells.h5ad") and other.cells is not None else None
    return Transfer(
        here=run.name,
        there=other.name,
        perturbations=tuple(genes[i] for i in sides.rows),
        genes=int(sides.tested.any(axis=0).sum()),
        threshold=cut,
        significance=settings.evaluation.significance,
        cut=largest_p,
        edges_here=int((weights > cut)[np.isfinite(fit.evidence)].sum()),
        edges=edges,
        groups={name: sides.group(chosen, largest_p, name == EDGES) for name, chosen in groups.items()},
        effects=effects,
        ceiling=ceiling,
        pairs=pairs,
        shared_cells=cells_in_both(ours, other.cells) if ours is not None and other.cells is not None else 0,
        strengths_compare=sides.strengths_compare,
        own_controls=other.halves is not None,
        raised=_raised(fit, genes, other),
    )


def _raised(fit: NetworkFit, genes: tuple[str, ...], other: Elsewhere) -> int:
    """Genes that are knocked down and activated in cells of their own, here or there."""
    here = [] if fit.raised is None else [genes[i] for i in fit.raised.genes.astype(int)]
    labels = () if other.cells is None else other.cells.perturbations
    there = [keys.genes_of(name)[0] for name in labels if keys.is_raised(name)]
    return len({*here, *there})


@dataclass(frozen=True)
class _Sides:
    """Both sets over the q genes perturbed in both and the n genes of the panel here; (q, n) unless said.

    genes: (n,); rows: (q,) panel positions of the perturbed genes; weights: W; effect, error: measured here,
    0 and infinite where nothing was; probability, believed: of an effect, and its posterior mean if it is
    there; there, there_error: measured there; scored, scored_error: the same as it is held against
    predictions; own_there: (q, 1) change of the perturbed gene itself there; ratio: that over the one here;
    strength: S times the own change there, predicted: T_K times it; tested: pairs of two genes measured in
    both; mean_here, mean_there: over the perturbations here, and over the *other* ones there.
    """

    genes: tuple[str, ...]
    rows: np.ndarray
    weights: np.ndarray
    effect: np.ndarray
    error: np.ndarray
    probability: np.ndarray
    believed: np.ndarray
    there: np.ndarray
    there_error: np.ndarray
    scored: np.ndarray
    scored_error: np.ndarray
    own_there: np.ndarray
    ratio: np.ndarray
    strength: np.ndarray
    predicted: np.ndarray
    tested: np.ndarray
    mean_here: np.ndarray
    mean_there: np.ndarray
    strengths_compare: bool

    @classmethod
    def of(
        cls, genes: tuple[str, ...], fit: NetworkFit, weights: np.ndarray, other: Elsewhere, least: float
    ) -> _Sides:
        sources = np.flatnonzero(np.isfinite(fit.effect).any(axis=1))
        place = matched([genes[i] for i in sources], other.names)
        shared = place >= 0
        rows, rows_there = sources[shared], place[shared]
        known = np.isfinite(fit.effect_sd[sources])
        effect = np.where(known, fit.effect[sources], 0.0)
        error = np.where(known, fit.effect_sd[sources], np.inf)
        counted = known & (sources[:, None] != np.arange(len(genes)))
        belief = fit_evidence(effect, error, counted, least).judge(effect, error)
        columns = matched(genes, other.panel.genes)
        there, there_error = _over(columns, other, other.effect, other.error)
        one, second = other.halves or (other, other)
        scored, scored_error = _over(columns, other, one.effect, one.error)
        beside, beside_error = _over(columns, other, second.effect, second.error)
        own_here = fit.own.change[rows]
        # a loss that is assumed and a fall that is read off the mRNA are no measures of the same thing
        same_kind = (fit.own.kind[rows] == KNOCK_OUT) == (other.own.kind[rows_there] == KNOCK_OUT)
        own = other.own.change[rows_there]
        own = np.where(same_kind, own, np.abs(own_here) * np.sign(own))[:, None]
        return cls(
            genes=genes,
            rows=rows,
            weights=weights[rows],
            effect=effect[shared],
            error=error[shared],
            probability=belief.probability[shared],
            believed=belief.effect[shared],
            there=there[rows_there],
            there_error=there_error[rows_there],
            scored=scored[rows_there],
            scored_error=scored_error[rows_there],
            own_there=own,
            ratio=own / own_here[:, None],
            strength=fit.strength[rows] * own,
            predicted=fit.influence[rows] * own,
            tested=counted[shared]
            & np.isfinite(there_error[rows_there])
            & np.isfinite(scored_error[rows_there]),
            mean_here=_mean(np.where(counted, effect, np.nan)),
            mean_there=_mean_of_others(np.where(np.isfinite(beside_error), beside, np.nan))[rows_there],
            strengths_compare=bool(same_kind.all()),
        )

    @property
    def z(self) -> np.ndarray:
        """Effect over its error here, absolute; 0 where nothing was measured."""
        return np.abs(self.effect) / self.error

    def group(self, chosen: np.ndarray, cut: float, edges: bool) -> GroupOfPairs:
        """How the pairs (k, 2) fare there. cut: largest p that is significant; edges: whether the network or
        the effect here says in which direction they should change.
        """
        if not len(chosen):
            return GroupOfPairs(0, 0, 0, 0.0, 0.0, float("nan"))
        i, j = chosen.T
        sign = np.sign(self.strength[i, j] if edges else self.effect[i, j] * self.ratio[i, 0])
        z = self.there[i, j] / self.there_error[i, j]
        significant = _p(z) <= cut
        chance = self._chance(i, j, sign, -float(ndtri(cut / 2)))
        return GroupOfPairs(
            tested=len(chosen),
            seen=int((significant & (np.sign(z) == sign)).sum()),
            other_sign=int((significant & (np.sign(z) != sign)).sum()),
            expected=float(chance.sum()),
            spread=float(np.sqrt((chance * (1 - chance)).sum())),
            strength=float(np.median(self.z[i, j])),
        )

    def _chance(self, i: np.ndarray, j: np.ndarray, sign: np.ndarray, reach: float) -> np.ndarray:
        """(k,) probability that a pair is beyond `reach` errors there with its sign, if the effects were as
        here: normal around what is believed of each, in proportion to the own changes. Posterior variance:
        error squared times the share of the effect that the shrinkage keeps, as of a single normal.
        """
        effect, believed, probability = (one[i, j] for one in (self.effect, self.believed, self.probability))
        kept = np.clip(np.divide(believed, effect, out=np.ones(len(effect)), where=effect != 0), 0.0, 1.0)
        scale = self.ratio[i, 0] / self.there_error[i, j]
        spread = np.hypot(1.0, scale * self.error[i, j] * np.sqrt(kept))
        present = ndtr((sign * believed * scale - reach) / spread)
        return probability * present + (1 - probability) * ndtr(-reach)


def _over(
    columns: np.ndarray, other: Elsewhere, effect: np.ndarray, error: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Effects and errors there (p, n) in the order of the panel here; infinite errors where nothing was
    measured, and for the perturbed genes themselves. columns: (n,) places of the genes there, -1 for none.
    """
    known = (columns >= 0) & (other.sources[:, None] != columns)
    return np.where(known, effect[:, columns], 0.0), np.where(known, error[:, columns], np.inf)


def _nothing_in_common(sides: _Sides, genes: tuple[str, ...], other: Elsewhere) -> str:
    if not len(sides.rows):
        some = [", ".join(names[:4]) for names in (genes, other.names)]
        return (
            f"No gene is perturbed in both: the panel here has genes like {some[0]}, '{other.name}' "
            f"perturbs {some[1]}. Are both symbols, and of the same species?"
        )
    return (
        f"'{other.name}' measures no gene of this run's panel beside the perturbed ones themselves, so no "
        "effect can be compared."
    )


def _groups_of(sides: _Sides, threshold: float, rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Group -> (k, 2) places of its pairs in (q, n): the edges, by falling W, and what stands beside them.

    alike: for every edge the pair that is none and nearest in `z`, within ALIKE_WITHIN, each taken once;
    strongest: as many pairs as edges, by `z`; chance: for every edge another target of the same source.
    """
    is_edge = (sides.weights > threshold) & sides.tested
    edges = np.argwhere(is_edge)
    i, j = edges.T
    edges = edges[np.lexsort((-sides.z[i, j], -sides.weights[i, j]))]
    others = np.argwhere(sides.tested & ~is_edge)
    z = sides.z
    every = np.argwhere(sides.tested)
    strongest = every[np.argsort(-z[every[:, 0], every[:, 1]], kind="stable")[: len(edges)]]
    drawn = [
        rng.choice(own, size=min(int(is_edge[row].sum()), len(own)), replace=False)
        for row in range(len(z))
        if len(own := others[others[:, 0] == row])
    ]
    return {
        EDGES: edges,
        ALIKE: _nearest(z[edges[:, 0], edges[:, 1]], others, z[others[:, 0], others[:, 1]]),
        STRONGEST: strongest,
        CHANCE: np.concatenate(drawn) if drawn else others[:0],
    }


def _nearest(wanted: np.ndarray, others: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Of the pairs `others` (m, 2) with `size` (m,), for every wanted size the nearest one that is not taken
    yet, the largest first; none beyond ALIKE_WITHIN.
    """
    order = np.argsort(size, kind="stable")
    size, free = size[order], np.ones(len(order), dtype=bool)
    found = []
    for one in np.sort(wanted)[::-1]:
        low, high = np.searchsorted(size, [one / ALIKE_WITHIN, one * ALIKE_WITHIN])
        left = np.flatnonzero(free[low:high]) + low
        if len(left):
            best = left[np.argmin(np.abs(size[left] - one))]
            free[best] = False
            found.append(order[best])
    return others[np.array(found, dtype=int)]


def _edge_table(sides: _Sides, edges: np.ndarray, settings: EvaluationSettings) -> tuple[pd.DataFrame, float]:
    """The tested edges (k, 2) as in `Transfer.edges`, and the largest p that is significant among them after
    Benjamini and Hochberg (level times significant over tested); where none is, what the first one needs.
    """
    from scipy.stats import false_discovery_control

    i, j = edges.T
    z = sides.there[i, j] / sides.there_error[i, j]
    p = _p(z)
    adjusted = false_discovery_control(p) if len(p) else p
    significant = adjusted <= settings.significance
    same = np.sign(z) == np.sign(sides.strength[i, j])
    names = np.array(sides.genes, dtype=object)
    table = pd.DataFrame(
        {
            keys.SOURCE: names[sides.rows[i]],
            keys.TARGET: names[j],
            keys.WEIGHT: sides.weights[i, j],
            keys.SIGN: np.sign(sides.strength[i, j] * np.sign(sides.own_there[i, 0])).astype(int),
            "effect_here": sides.effect[i, j] / np.log(2),
            "effect_there": sides.there[i, j] / np.log(2),
            "effect_there_se": sides.there_error[i, j] / np.log(2),
            keys.P: p,
            keys.P_ADJUSTED: adjusted,
            "state": np.where(significant, np.where(same, SEEN, OTHER_SIGN), NOT_SEEN),
        }
    )
    return table, settings.significance * max(1, int(significant.sum())) / max(1, len(p))


def _scores(sides: _Sides) -> tuple[dict[str, PredictedElsewhere], PredictedElsewhere, int]:
    """Every predictor against the effects there, the ceiling, and how many effects that is.

    Pairs are weighed by 1 / (error^2 + LEAST^2): what is measured badly says little, and no pair is measured
    so well that it may speak for all others. Ceiling: of the squares that are seen the errors make up their
    own share, which nobody can predict.
    """
    observed = np.where(sides.tested, sides.scored, np.nan)
    error = np.where(sides.tested, sides.scored_error, 0.0)
    weight = np.where(sides.tested, 1 / (error**2 + LEAST**2), 0.0)
    predictions = {
        "influence": sides.predicted,
        "measured_here": sides.probability * sides.believed * sides.ratio,
        "mean_there": sides.mean_there,
        "mean_here": np.broadcast_to(sides.mean_here, observed.shape),
    }
    found = {
        name: PredictedElsewhere(_rho(observed, guess, weight), _explained(observed, guess, weight))
        for name, guess in predictions.items()
    }
    noise = (weight * error**2).sum()
    ceiling = PredictedElsewhere(
        rho=_attainable(observed, error, weight),
        explained=max(0.0, float(1 - noise / (weight * np.nan_to_num(observed) ** 2).sum())),
    )
    return found, ceiling, int(sides.tested.sum())


def _centred(values: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return values - (weight * values).sum() / weight.sum()


def _rho(observed: np.ndarray, guess: np.ndarray, weight: np.ndarray) -> float:
    """Weighted correlation over the pairs that both know; NaN where there are fewer than FEWEST_GENES, or a
    side is constant.
    """
    known = np.isfinite(observed) & np.isfinite(guess)
    if known.sum() < FEWEST_GENES:
        return float("nan")
    w = weight[known]
    x, y = _centred(observed[known], w), _centred(guess[known], w)
    scale = np.sqrt((w * x**2).sum() * (w * y**2).sum())
    return float((w * x * y).sum() / scale) if scale > 0 else float("nan")


def _explained(observed: np.ndarray, guess: np.ndarray, weight: np.ndarray) -> float:
    known = np.isfinite(observed) & np.isfinite(guess)
    w, x = weight[known], observed[known]
    return float(1 - (w * (x - guess[known]) ** 2).sum() / (w * x**2).sum())


def _attainable(observed: np.ndarray, error: np.ndarray, weight: np.ndarray) -> float:
    """Correlation of the true effects with what is measured of them: the root of the share of the spread
    that is not error; 0 where all of it is.
    """
    known = np.isfinite(observed)
    if known.sum() < FEWEST_GENES:
        return float("nan")
    w = weight[known]
    spread = (w * _centred(observed[known], w) ** 2).sum()
    return float(np.sqrt(max(0.0, 1 - (w * error[known] ** 2).sum() / spread))) if spread > 0 else 0.0


def _mean(effects: np.ndarray) -> np.ndarray:
    """(n,) mean over the rows that are numbers; NaN where none is."""
    known = np.isfinite(effects)
    count = known.sum(axis=0)
    return np.where(count > 0, np.nansum(effects, axis=0) / np.maximum(count, 1), np.nan)


def _mean_of_others(effects: np.ndarray) -> np.ndarray:
    """(p, n) mean over the other rows; NaN where there is none."""
    known = np.isfinite(effects)
    count = known.sum(axis=0) - known
    rest = np.nansum(effects, axis=0) - np.where(known, effects, 0.0)
    return np.where(count > 0, rest / np.maximum(count, 1), np.nan)


def _p(z: np.ndarray) -> np.ndarray:
    """Two-sided, of effects over their errors."""
    return 2 * ndtr(-np.abs(z))


def _finite(row: dict[Any, Any]) -> dict[str, Any]:
    return {
        str(name): None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in row.items()
    }
