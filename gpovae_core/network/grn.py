"""The learned network: edge probabilities W, signs and observed effects of one run, and the questions a table
can answer.

Direction everywhere: row = source (regulator), column = target. Sign everywhere: +1 the source activates the
target (knocking it down lowers the target), -1 it represses it (knocking it down raises the target), 0
unknown. Where a run has a strength matrix S its sign is taken; elsewhere signs come from the observed effects
of the training cells and are known only for single-gene perturbations and measured targets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.data.schema import Panel
from gpovae_core.errors import QueryError, RunError
from gpovae_core.model.hops import HopSeries, hop_series, influence_over_hops, influence_passed
from gpovae_core.network.detours import genes_of_detours, open_detours
from gpovae_core.network.measured import MeasuredPairs

if TYPE_CHECKING:
    from gpovae_core.effects.pairs import PairStatistics
    from gpovae_core.runs.ensemble import Ensemble
    from gpovae_core.runs.folder import RunFolder
    from gpovae_core.runs.stored_effects import Effects

Direction = Literal["out", "in", "both"]
Measure = Literal["W", "T", "E"]
"""What the weights of a network are: W, probabilities of direct edges; T, sizes of the influence over up to K
hops; E, sizes of the effect on the measurements that follows from T and from how far a perturbation moves its
own gene.
"""

SIGN_ERRORS = 2.0
"""A sign is called only where the observed effect exceeds so many of its standard errors (where these are
known).
"""

SIGN_WORDS = {1: "activates", -1: "represses", 0: "regulates"}

_THRESHOLD_STEPS = 1000
"""Thresholds are suggested in steps of this part of the scale."""


@dataclass(frozen=True)
class Neighbourhood:
    """A gene with what lies around it.

    genes: `gene`, `hops` (0 for the gene itself), `perturbed`, `measured`; nearest first. edges: all edges
    above the threshold between these genes.
    """

    genes: pd.DataFrame
    edges: pd.DataFrame


@dataclass(frozen=True, eq=False)
class GeneNetwork:
    """W with names. Arrays are read-only views; every question takes and returns gene names.

    panel: the n genes; weights: (n, n) edge probabilities in [0, 1]; signs: (n, n) int8, see the module;
    effects: (n, n) observed effect of knocking down the row on the column, log2 fold change, NaN where not
    measured; name: of the run; simulated: whether its cells are; settings: the run's settings as JSON, ""
    where unknown.

    strength: (n, n) S, signed effect of an edge per unit of its source's own change, None where the model has
    none; strength_sd: (n, n) its standard deviation, NaN where nothing was learned; influence_matrix: (n, n)
    T_K as stored with the run, None where it is to be computed; passing: (n, n) what every gene passes on of
    its change, by perturbed gene (methods.passing), None where in proportion; direct_evidence: (n,) bool, was
    the gene perturbed in cells that trained, so that they speak for or against its outgoing edges (None: the
    perturbed genes of the panel). measure: what the weights are, "T" and "E" only in what `influence_network`
    and `expected_network` give; measured: what was measured of the pairs, None where nothing was. ensemble:
    how often each edge comes back and how much its W scatters, None where the run has none. detours:
    `open_detours` of the network that this one is a part of; None where it is no part.

    Raises QueryError where the matrices do not fit the panel or hold impossible values.
    """

    panel: Panel
    weights: np.ndarray
    signs: np.ndarray
    effects: np.ndarray
    name: str = "network"
    simulated: bool = False
    settings: str = field(default="", repr=False)
    strength: np.ndarray | None = None
    strength_sd: np.ndarray | None = None
    influence_matrix: np.ndarray | None = None
    passing: np.ndarray | None = field(default=None, repr=False)
    direct_evidence: np.ndarray | None = None
    measure: Measure = "W"
    measured: MeasuredPairs | None = field(default=None, repr=False)
    ensemble: Ensemble | None = field(default=None, repr=False)
    detours: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        n = len(self.panel)
        if self.strength is not None:
            strength = np.asarray(self.strength, dtype=np.float64)
            _check_matrix("strength", strength, n)
            off = ~np.eye(n, dtype=bool)
            object.__setattr__(self, "signs", np.where((strength != 0) & off, np.sign(strength), self.signs))
        evidence = (
            self.panel.is_perturbed if self.direct_evidence is None else np.asarray(self.direct_evidence)
        )
        if evidence.shape != (n,):
            raise QueryError(
                f"direct_evidence must have one entry per gene of the panel, shape ({n},); got "
                f"{evidence.shape}."
            )
        object.__setattr__(self, "direct_evidence", evidence.astype(bool))
        kinds = {
            "weights": np.float64,
            "signs": np.int8,
            "effects": np.float64,
            "strength": np.float64,
            "influence_matrix": np.float64,
            "passing": np.float64,
        }
        for what, kind in kinds.items():
            given = getattr(self, what)
            if given is None:
                continue
            value = np.asarray(given, dtype=kind).view()
            _check_matrix(what, value, n, most=1.0 if self.measure == "W" else np.inf)
            value.flags.writeable = False
            object.__setattr__(self, what, value)

    @classmethod
    def from_weights(
        cls, panel: Panel, weights: np.ndarray, name: str = "network", simulated: bool = False
    ) -> GeneNetwork:
        """A network of which only W is known: no signs, no effects."""
        nothing = (len(panel), len(panel))
        return cls(
            panel,
            weights,
            np.broadcast_to(np.int8(0), nothing),
            np.broadcast_to(np.nan, nothing),
            name=name,
            simulated=simulated,
        )

    @classmethod
    def from_run(cls, run: RunFolder, measured: bool = True) -> GeneNetwork:
        """W of a run, with signs and effects of its training cells where effects.h5ad has them, S and T_K
        where the run has them.

        measured: False leaves out what was measured where the signs do not rest on it, for a first look that
        waits for no large file. Raises RunError where the run has no weights, or damaged ones.
        """
        panel = run.panel()
        stored, settings = run.network_arrays(), run.settings()
        wanted = measured or "strength" not in stored
        table = run.stored_effects() if wanted and run.has("effects.h5ad") else None
        effects, signs = _observed(panel, table)
        return cls(
            panel=panel,
            weights=run.edge_probabilities(),
            signs=signs,
            effects=effects,
            name=run.name,
            simulated=run.source().simulated,
            settings=settings.model_dump_json(),
            strength=stored.get("strength"),
            strength_sd=stored.get("strength_sd"),
            influence_matrix=stored.get("influence"),
            passing=stored.get("passing"),
            direct_evidence=panel.is_perturbed & ~np.isin(panel.genes, settings.data.unseen),
            measured=MeasuredPairs.of(panel, stored, table),
            ensemble=_readable_ensemble(run),
        )

    def __len__(self) -> int:
        return len(self.panel)

    @cached_property
    def by_name(self) -> np.ndarray:
        """(n,) positions of the genes in the order of their names."""
        return np.array(sorted(range(len(self)), key=lambda i: self.panel.genes[i]), dtype=np.intp)

    @cached_property
    def _names(self) -> np.ndarray:
        return np.array(self.panel.genes, dtype=object)

    def _ascending(self, self_loops: bool) -> np.ndarray:
        """All weights above 0 in rising order, kept: with self-loops or without."""
        return self._all_ascending if self_loops else self._others_ascending

    @cached_property
    def _all_ascending(self) -> np.ndarray:
        return np.sort(self.weights[self.weights > 0.0])

    @cached_property
    def _others_ascending(self) -> np.ndarray:
        return np.sort(self.weights[self._above(0.0, self_loops=False)])

    def _on_rank(self, rank: int, self_loops: bool) -> float | None:
        """The weight on this rank, 1 = strongest; 0 beyond the last edge, None where there are not so many
        pairs.
        """
        weights, n = self._ascending(self_loops), len(self)
        if not 1 <= rank <= n * n - (0 if self_loops else n):
            return None
        return float(weights[-rank]) if rank <= len(weights) else 0.0

    @cached_property
    def has_evidence(self) -> np.ndarray:
        """(n,) bool: genes whose outgoing edges rest on cells in which they were perturbed."""
        return np.asarray(self.direct_evidence, dtype=bool)

    @cached_property
    def open_detours(self) -> np.ndarray | None:
        """(n, n) number of genes never perturbed over which each edge may run, see network.detours; None
        without strengths, and for T.
        """
        if self.detours is not None:
            return self.detours
        return None if self._direct is None else open_detours(self._direct, self.weights, self.has_evidence)

    def count_open(self, threshold: float) -> tuple[int, int] | None:
        """Edges above a threshold out of genes with evidence, and how many of them have open detours; None
        where these are not known.
        """
        if self.open_detours is None:
            return None
        detours = self.open_detours[self._above(threshold, self_loops=False)]
        return int(np.isfinite(detours).sum()), int((detours > 0).sum())

    def detour_genes(self, source: str, target: str) -> tuple[str, ...] | None:
        """The genes behind `open_detours` of an edge, the most changed first; None where nothing can be said
        of that edge.
        """
        i, j = self.panel.position(source), self.panel.position(target)
        if self._direct is None or i == j or not self.has_evidence[i]:
            return None
        return tuple(
            self.panel.genes[m] for m in genes_of_detours(self._direct, self.weights, self.has_evidence, i, j)
        )

    @cached_property
    def _direct(self) -> np.ndarray | None:
        """(n, n) abs(W S)."""
        return None if self.strength is None or self.measure != "W" else np.abs(self.weights * self.strength)

    @cached_property
    def top(self) -> float:
        """Upper end of the scale of thresholds: 1 for probabilities; for influences the largest between two
        genes, rounded up.
        """
        if self.measure == "W":
            return 1.0
        weights = self._ascending(False)
        largest = float(weights[-1]) if len(weights) else 0.0
        if largest <= 0.0:
            return 1.0
        unit = 10.0 ** np.floor(np.log10(largest))
        return float(
            next(f for f in (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12) if f * unit >= largest) * unit
        )

    def check_threshold(self, threshold: float) -> None:
        """Raises QueryError for a threshold outside the scale, or not a number."""
        if not 0.0 <= threshold <= self.top:
            raise QueryError(
                f"A threshold on {self.measure} lies between 0 and {self.top:g}, got {threshold}."
            )

    def edges(self, threshold: float, self_loops: bool = False, top: int | None = None) -> pd.DataFrame:
        """Edges with a weight strictly above `threshold`: columns source, target, weight, sign, and what was
        measured of them, empty where nothing was: effect, effect_se, p, p_adjusted, cells (`MeasuredPairs`);
        where genes are activated in some cells and knocked down in others, also effect_activated and what
        else stands in keys beside it.

        Of an `expected_network` also influence, T. Where the model has strengths, W also says strength,
        strength_low and strength_high, S with its 95 % interval, and open_detours (see network.detours);
        where the run has an ensemble, frequency, weight_mean, weight_sd and sign_agreement (see
        training.ensemble.Ensemble). By falling weight, equal weights by source and target name. top: at most
        so many. Raises QueryError for a threshold outside the scale.
        """
        self.check_threshold(threshold)
        if top is not None:
            threshold = max(threshold, self._floor_for(top, self_loops))
        order = self.by_name
        return self._edge_table(
            *np.nonzero(self._above(threshold, self_loops)[np.ix_(order, order)]), top=top
        )

    def _above(self, threshold: float, self_loops: bool) -> np.ndarray:
        """(n, n) bool: which pairs are edges."""
        above = self.weights > threshold
        if not self_loops:
            np.fill_diagonal(above, False)
        return above

    def _floor_for(self, top: int, self_loops: bool) -> float:
        """Just below the weight of the edge on rank `top`, so that sorting starts with few edges."""
        weight = self._on_rank(top, self_loops)
        return -1.0 if weight is None else float(np.nextafter(weight, -1.0))

    def _edge_table(self, rows: np.ndarray, columns: np.ndarray, top: int | None = None) -> pd.DataFrame:
        """Table of pairs given as places in name order, row by row; the stable sort keeps that order among
        equal weights.
        """
        source, target = self.by_name[rows], self.by_name[columns]
        best = np.argsort(-self.weights[source, target], kind="stable")[:top]
        source, target = source[best], target[best]
        table = pd.DataFrame(
            {
                keys.SOURCE: self._names[source],
                keys.TARGET: self._names[target],
                keys.WEIGHT: self.weights[source, target],
                keys.SIGN: self.signs[source, target],
            }
        )
        measured = MeasuredPairs.nothing(len(self)) if self.measured is None else self.measured
        table = table.assign(**measured.columns(source, target))
        for column in {keys.CELLS, keys.CELLS_ACTIVATED} & set(table):
            table[column] = table[column].astype("Int64")
        if self.measure == "E" and self.influence_matrix is not None:
            table[keys.INFLUENCE] = self.influence_matrix[source, target]
        if self.strength is not None and self.strength_sd is not None:
            strength, margin = (
                self.strength[source, target],
                keys.NORMAL_95 * self.strength_sd[source, target],
            )
            table = table.assign(
                **{
                    keys.STRENGTH: strength,
                    keys.STRENGTH_LOW: strength - margin,
                    keys.STRENGTH_HIGH: strength + margin,
                }
            )
        if self.open_detours is not None:
            table = table.assign(**{keys.OPEN_DETOURS: self.open_detours[source, target]})
        if self.ensemble is not None:
            found = self.ensemble
            frequencies = {keys.FREQUENCY: found.frequency, keys.SIGN_AGREEMENT: found.sign_agreement}
            spread = {keys.WEIGHT_MEAN: found.mean, keys.WEIGHT_SD: found.sd}
            table = table.assign(
                **{name: matrix[source, target] for name, matrix in (frequencies | spread).items()}
            )
        return table

    def count_edges(self, thresholds: Sequence[float] | np.ndarray, self_loops: bool = False) -> np.ndarray:
        """(t,) edges strictly above each threshold. Sorts W once; every further call is a search."""
        weights = self._ascending(self_loops)
        return len(weights) - np.searchsorted(weights, np.asarray(thresholds, dtype=np.float64), side="right")

    def suggest_threshold(self, edges: int = 1, self_loops: bool = False) -> float | None:
        """The largest threshold, in thousandths of the scale, that shows at least `edges` edges; None where
        none does.
        """
        if edges < 1:
            raise QueryError(f"edges must be 1 or more, got {edges}.")
        weight = self._on_rank(edges, self_loops)
        if not weight:
            return None
        step = int(np.floor(weight / self.top * _THRESHOLD_STEPS))
        candidates = (round(k / _THRESHOLD_STEPS * self.top, 12) for k in (step + 1, step, step - 1))
        return next((t for t in candidates if 0.0 <= t < weight), 0.0)

    def degrees(self, threshold: float, self_loops: bool = False) -> pd.DataFrame:
        """Every gene with `targets` and `regulators` (edges out and in), their summed weights, `perturbed`,
        `measured`.

        Genes with most targets first, equals by regulators, then name.
        """
        self.check_threshold(threshold)
        above = self._above(threshold, self_loops)
        table = pd.DataFrame(
            {
                "gene": self._names,
                "targets": above.sum(axis=1),
                "regulators": above.sum(axis=0),
                "target_weight": self.weights.sum(axis=1, where=above),
                "regulator_weight": self.weights.sum(axis=0, where=above),
                "perturbed": self.panel.is_perturbed,
                "measured": self.panel.is_measured,
            }
        )
        return table.sort_values(
            ["targets", "regulators", "gene"], ascending=[False, False, True], ignore_index=True
        )

    def threshold_for(self, edges: int, self_loops: bool = False) -> float | None:
        """The threshold that leaves the `edges` strongest edges, or more of them where several tie; None
        where there are fewer.

        For comparing networks at the same number of edges, so exact and not rounded as `suggest_threshold`
        is.
        """
        weight = self._on_rank(edges, self_loops)
        return max(0.0, float(np.nextafter(weight, -1.0))) if weight else None

    def neighbourhood(
        self,
        gene: str,
        hops: int = 1,
        direction: Direction = "both",
        threshold: float = 0.5,
        self_loops: bool = False,
    ) -> Neighbourhood:
        """What lies within `hops` edges above `threshold` of a gene (its ego network); for `both`, edges are
        followed either way.
        """
        found = self.reach(gene, hops, threshold, direction)
        places = np.array([self.panel.position(gene), *(self.panel.index[name] for name in found["gene"])])
        genes = pd.DataFrame(
            {
                "gene": self._names[places],
                "hops": [0, *found["hops"]],
                "perturbed": self.panel.is_perturbed[places],
                "measured": self.panel.is_measured[places],
            }
        )
        inside = np.isin(self.by_name, places)
        rows = np.flatnonzero(inside)
        near, far = np.nonzero(
            self._above(threshold, self_loops)[np.ix_(self.by_name[rows], self.by_name[rows])]
        )
        return Neighbourhood(genes, self._edge_table(rows[near], rows[far]))

    def reach(
        self, gene: str, hops: int, threshold: float = 0.0, direction: Direction = "out"
    ) -> pd.DataFrame:
        """Genes joined to `gene` by a path of at most `hops` edges above `threshold`: columns gene, hops,
        probability.

        hops: edges of the shortest path; probability: product of W along the most probable path of at most
        `hops` edges (the two need not be the same path). direction: out = downstream, in = upstream, both =
        edges followed either way. Nearest first, then most probable.
        """
        self.check_threshold(threshold)
        check_hops(hops)
        start = self.panel.position(gene)
        matrix = self._directed(threshold, direction)
        best, distance = np.zeros(len(self)), np.full(len(self), -1)
        best[start], distance[start] = 1.0, 0
        for hop in range(1, hops + 1):
            # Weights are at most 1, so going round in circles never pays and the best walk is a path.
            active = np.flatnonzero(best)
            better = np.maximum(best, (best[active, None] * matrix[active]).max(axis=0))
            distance[(better > 0) & (distance < 0)] = hop
            best = better
        found = self.by_name[distance[self.by_name] > 0]
        table = pd.DataFrame(
            {"gene": self._names[found], "hops": distance[found], "probability": best[found]}
        )
        return table.sort_values(
            ["hops", "probability"], ascending=[True, False], kind="stable", ignore_index=True
        )

    def _directed(self, threshold: float, direction: Direction) -> np.ndarray:
        """(n, n) weights with a zero where there is no edge, the row being where a step starts."""
        kept = np.where(self._above(threshold, self_loops=False), self.weights, 0.0)
        views = {"out": lambda: kept, "in": lambda: kept.T, "both": lambda: np.maximum(kept, kept.T)}
        if direction not in views:
            raise QueryError(f"Unknown direction '{direction}': choose out, in or both.")
        return views[direction]()

    def walks(self, hops: int) -> tuple[np.ndarray, HopSeries]:
        """The matrix whose walks make up T_K, (n, n), and the coefficients of their lengths; see `passed_on`.

        With a strength matrix, W * S, walks of every length counted once: the signed effect that arrives.
        Without one the series `paper` on the probabilities W, whatever the preset of the run: what the
        `released` loss accumulates are logits, which may be negative and are no probabilities. See
        model.hops.hop_series.
        """
        check_hops(hops)
        if self.strength is not None:
            return self.weights * self.strength, hop_series("signed", len(self), hops)
        return self.weights, hop_series("paper", len(self), hops)

    def passed_on(self, source: int) -> np.ndarray:
        """(n,) factor of every gene on what it passes on, after the first step of a walk from `source`."""
        return np.ones(len(self)) if self.passing is None else self.passing[source]

    def influence(self, hops: int, genes: Sequence[str] | None = None) -> np.ndarray:
        """T_K for K = `hops`, computed: (r, n), one row per gene of `genes`; (n, n) in panel order where
        None. See `walks`.
        """
        matrix, series = self.walks(hops)
        sources = None if genes is None else np.array([self.panel.position(gene) for gene in genes])
        if self.passing is not None:
            return influence_passed(matrix, self.passing, hops, sources)
        return influence_over_hops(matrix, series, None if sources is None else matrix[sources])

    def influence_network(self, hops: int) -> GeneNetwork:
        """The same genes joined by T_K instead of W: weights are its sizes, signs its signs where it has any.

        The matrix stored with the run where there is one (its K is the run's), else computed for K = `hops`.
        """
        total = self.influence(hops) if self.influence_matrix is None else self.influence_matrix
        signed = self.strength is not None or (total < 0).any()
        signs = np.where(np.eye(len(self), dtype=bool), 0, np.sign(total)) if signed else self.signs
        return replace(
            self,
            weights=np.abs(total),
            signs=signs,
            strength=None,
            strength_sd=None,
            influence_matrix=None,
            passing=None,
            measure="T",
            ensemble=None,
            detours=None,
        )

    def expected_network(self, hops: int, expected: np.ndarray) -> GeneNetwork:
        """`influence_network` with the size of the effects (n, n) that T makes expected for weights, as its
        edges are ranked and scored (`methods.influence`); T stays beside them. NaN: nothing is expected.
        """
        found = self.influence_network(hops)
        total = self.influence(hops) if self.influence_matrix is None else self.influence_matrix
        sizes = np.nan_to_num(np.abs(expected))
        return replace(found, weights=sizes, influence_matrix=total, measure="E")

    def with_tests(self, pairs: PairStatistics) -> GeneNetwork:
        """The same with held-out tests in its edge tables."""
        measured = MeasuredPairs.nothing(len(self)) if self.measured is None else self.measured
        return replace(self, measured=measured.with_tests(pairs, self.panel), detours=self.open_detours)

    def with_evidence(self) -> GeneNetwork:
        """Only the edges out of genes that were perturbed; the network itself where no gene was (an imported
        matrix, say).
        """
        if not self.has_evidence.any() or self.has_evidence.all():
            return self
        return replace(self, weights=np.where(self.has_evidence[:, None], self.weights, 0.0))

    def found_often(self, least: float) -> GeneNetwork:
        """Only the edges that at least the share `least` of the ensemble's members have. Raises QueryError
        where there is no ensemble.
        """
        if least <= 0.0:
            return self
        if self.ensemble is None:
            raise QueryError(
                f"'{self.name}' has no ensemble, so nobody knows how often an edge comes back. Run `gpovae "
                "ensemble` on it."
            )
        kept = np.where(self.ensemble.frequency >= least - 1e-6, self.weights, 0.0)
        return replace(self, weights=kept, detours=self.open_detours)


def _readable_ensemble(run: RunFolder) -> Ensemble | None:
    """The ensemble of a run. One that cannot be read must not keep the network from view: whoever asks for it
    is told (read_ensemble).
    """
    from gpovae_core.runs.ensemble import read_ensemble

    try:
        return read_ensemble(run)
    except RunError:
        return None


def check_threshold(threshold: float) -> None:
    """Raises QueryError for a threshold that is no probability."""
    if not 0.0 <= threshold <= 1.0:
        raise QueryError(f"A threshold on W lies between 0 and 1, got {threshold}.")


def check_hops(hops: int, most: int = 50) -> None:
    if not 1 <= hops <= most:
        raise QueryError(f"The number of hops must lie between 1 and {most}, got {hops}.")


def _check_matrix(what: str, matrix: np.ndarray, n: int, most: float = 1.0) -> None:
    """Shape and values of a matrix by its name; `most`: the largest weight there may be."""
    if matrix.shape != (n, n):
        raise QueryError(
            f"{what} must have one row and one column per gene of the panel, shape ({n}, {n}); got "
            f"{matrix.shape}."
        )
    if what == "weights":
        if not np.isfinite(matrix).all():
            raise QueryError(
                "weights holds values that are not numbers; expected probabilities between 0 and 1."
            )
        if n and (matrix.min() < 0.0 or matrix.max() > most):
            raise QueryError(
                f"weights must lie between 0 and {most:g}; got {matrix.min():.4g} to {matrix.max():.4g}. "
                "Are these logits?"
            )
    if what in ("strength", "influence_matrix", "passing") and not np.isfinite(matrix).all():
        raise QueryError(f"{what} holds values that are not numbers; expected one number per pair of genes.")
    if what == "signs" and not np.isin(matrix, (-1, 0, 1)).all():
        raise QueryError("signs must be -1, 0 or 1.")


def _observed(panel: Panel, table: Effects | None) -> tuple[np.ndarray, np.ndarray]:
    """Effects (n, n) and signs (n, n) by name from effects.h5ad, single-gene perturbations only.

    The diagonal has an effect but no sign: that a knocked-down gene falls says nothing about self-regulation.
    """
    n = len(panel)
    nothing, signs = np.broadcast_to(np.nan, (n, n)), np.zeros((n, n), dtype=np.int8)
    if table is None or keys.OBSERVED_TRAIN not in table.layers:
        return nothing, signs
    rows = [(i, panel.index[name]) for i, name in enumerate(table.obs_names) if name in panel.index]
    columns = [(j, panel.index[name]) for j, name in enumerate(table.var_names) if name in panel.index]
    if not rows or not columns:
        return nothing, signs
    (here, there), (from_column, to_column) = (np.array(pairs).T for pairs in (rows, columns))
    among = np.ix_(here, from_column)
    effects = nothing.copy()
    effects[np.ix_(there, to_column)] = np.asarray(table.layers[keys.OBSERVED_TRAIN])[among]
    least = np.zeros((n, n))
    if (errors := keys.standard_error(keys.OBSERVED_TRAIN)) in table.layers:
        least[np.ix_(there, to_column)] = np.asarray(table.layers[errors])[among]
        least *= SIGN_ERRORS
    known = np.abs(effects) > least  # False for NaN on either side
    np.fill_diagonal(known, False)
    signs[known] = -np.sign(effects[known]).astype(np.int8)
    return effects, signs
