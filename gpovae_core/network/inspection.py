"""Why an edge is believed: what the held-out cells show of it, whether a path explains it, and who else knows
it.

Expression is log(1 + 1e4 x / l), natural logarithm, as in the network scores (evaluation.network). The effect
is the log2 fold change of mean shares with its 95 % interval, p that of the rank test within strata: the same
functions as on the page Response and in the scores, on the cells of this one edge.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import sparse

from gpovae_core import keys
from gpovae_core.data.expression import log_expression
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.changes import FoldTable, fold_table
from gpovae_core.effects.design import Exchangeable
from gpovae_core.effects.lift import exchangeable
from gpovae_core.effects.pairs import PairStatistics, pair_statistics
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.network.contrary import Contrary, contrary
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.paths import PathTrace, TracedPath, trace_paths
from gpovae_core.network.references import Known, ReferenceNetwork

PATHS_LOOKED_AT = 6


@dataclass(frozen=True)
class HeldOutCells:
    """Expression of the panel's measured genes in the held-out cells, cut out once so that one edge costs one
    column.

    labels: (h,) perturbation of every cell; expression: (h, m) CSC; columns: gene -> column; folds: effects
    in these cells; among: of the same cells, within what they are ranked.
    """

    labels: np.ndarray
    expression: sparse.csc_matrix
    columns: dict[str, int]
    folds: FoldTable
    among: Exchangeable

    @classmethod
    def of(cls, cells: PreparedCells) -> HeldOutCells:
        here = np.flatnonzero(cells.where(splits=keys.HELD_OUT))
        expression: Any = log_expression(cells.counts[here], cells.library_size[here])[:, cells.panel_columns]
        genes = [str(gene) for gene in cells.cells.var_names[cells.panel_columns]]
        columns, labels = {gene: i for i, gene in enumerate(genes)}, cells.labels[here]
        folds = fold_table(cells, keys.HELD_OUT)
        among = exchangeable(cells, keys.HELD_OUT)
        return cls(labels, expression.tocsc(), columns, folds, among)

    @property
    def size(self) -> int:
        """Cells times genes: what testing every pair grows with."""
        return len(self.labels) * len(self.columns)

    def values(self, gene: str) -> np.ndarray:
        """(h,) expression of one measured gene."""
        return self.expression[:, [self.columns[gene]]].toarray().ravel()


@dataclass(frozen=True)
class Measured:
    """One gene in control cells and in cells with another gene perturbed, held-out cells only.

    control, perturbed: expression of every cell; fold: log2 fold change of mean shares, perturbed over
    control, with its standard error and interval (NaN where a side has a single cell); wasserstein:
    1-Wasserstein distance; p: two-sided, of `effects.rank_test`; adjusted: the same after Benjamini-Hochberg
    over all pairs of the run, None where these were not computed.
    """

    control: np.ndarray = field(repr=False)
    perturbed: np.ndarray = field(repr=False)
    fold: float
    error: float
    low: float
    high: float
    wasserstein: float
    p: float
    adjusted: float | None


@dataclass(frozen=True)
class EdgeInspection:
    """Everything known of one edge.

    weight: W; rank: its place, 1 = strongest, ties share the best, among the `of` pairs of different genes
    whose source was perturbed (or was not, like this one: rows without evidence are on no common scale with
    the others); sign and effect: as in GeneNetwork; strength: S, None without; influence: T_K of this pair;
    perturbed: was the source perturbed in this screen; measured: None, with the reason in `why_not`, where no
    cells speak; detour: the most probable path that takes two hops or more; trace: the paths with their
    shares; open_detours: genes never perturbed over which the edge may run all the same, None where that
    cannot be said (see network.detours); known: one entry per reference network; contrary: where the sign
    comes from, None where it is that of the effect, or the fit behind it was not given.
    """

    source: str
    target: str
    weight: float
    rank: int
    of: int
    sign: int
    effect: float
    strength: float | None
    influence: float
    perturbed: bool
    measured: Measured | None
    why_not: str
    detour: TracedPath | None
    trace: PathTrace | None
    open_detours: tuple[str, ...] | None
    known: tuple[Known, ...]
    contrary: Contrary | None = None

    @property
    def explained_by_path(self) -> bool:
        """Whether a path through other genes is at least as probable as the edge itself."""
        return self.detour is not None and self.detour.probability >= self.weight

    @property
    def against_paths(self) -> bool:
        """Whether the paths take away most of what the edge does."""
        if self.strength is None:
            return False
        direct = self.weight * self.strength
        return direct * (self.influence - direct) < 0 and abs(self.influence) < abs(direct) / 2


def inspect_edge(
    network: GeneNetwork,
    source: str,
    target: str,
    cells: HeldOutCells | None = None,
    pairs: PairStatistics | None = None,
    references: Sequence[ReferenceNetwork] = (),
    hops: int = 5,
    fit: NetworkFit | None = None,
) -> EdgeInspection:
    """What is known of source -> target. cells, pairs: of the run, where it has them; hops: longest path
    looked at; fit: what the network stage of the run found.

    Raises QueryError for genes that are not in the panel.
    """
    i, j = network.panel.position(source), network.panel.position(target)
    source, target = network.panel.genes[i], network.panel.genes[j]
    why_not = _why_not_measured(network, i, j, cells)
    measured = None
    if cells is not None and not why_not:
        measured, why_not = _measured(cells, source, target, pairs)
    trace = trace_paths(network, source, target, hops, PATHS_LOOKED_AT) if i != j else None
    rank, of = _rank(network, i, j)
    return EdgeInspection(
        source=source,
        target=target,
        weight=float(network.weights[i, j]),
        rank=rank,
        of=of,
        sign=int(network.signs[i, j]),
        effect=float(network.effects[i, j]),
        strength=None if network.strength is None else float(network.strength[i, j]),
        influence=_influence(network, i, j, trace),
        perturbed=bool(network.has_evidence[i]),
        measured=measured,
        why_not=why_not,
        detour=next((path for path in trace.paths if path.hops > 1), None) if trace else None,
        trace=trace,
        open_detours=network.detour_genes(source, target),
        known=tuple(reference.knows(source, target) for reference in references),
        contrary=None if fit is None else contrary(network, fit, source, target),
    )


def _rank(network: GeneNetwork, i: int, j: int) -> tuple[int, int]:
    """Place of W[i, j], 1 = strongest, and among how many pairs of different genes: those out of genes
    perturbed (or not) like i.
    """
    alike = network.has_evidence == network.has_evidence[i]
    places = np.flatnonzero(alike)
    stronger = network.weights[alike] > network.weights[i, j]
    stronger[np.arange(len(places)), places] = False
    return int(stronger.sum()) + 1, len(places) * (len(network) - 1)


def _influence(network: GeneNetwork, i: int, j: int, trace: PathTrace | None) -> float:
    if network.influence_matrix is not None:
        return float(network.influence_matrix[i, j])
    return trace.influence if trace else float("nan")


def _why_not_measured(network: GeneNetwork, i: int, j: int, cells: HeldOutCells | None) -> str:
    """What keeps cells from speaking for an edge, "" where nothing does."""
    genes = network.panel.genes
    if network.panel.is_perturbed[i] and not network.has_evidence[i]:
        return (
            f"No direct evidence: {genes[i]} was held out with all its cells, so no training cell shows "
            f"what it does to {genes[j]}."
        )
    if not network.has_evidence[i]:
        return (
            f"No direct evidence: {genes[i]} was never perturbed in this screen, so no cell shows what it "
            f"does to {genes[j]}."
        )
    if not network.panel.is_measured[j]:
        return f"{genes[j]} was not measured, so no cell shows an effect on it."
    if cells is None:
        return f"This run holds no cells, so the distributions cannot be shown.{_stated(network, i, j)}"
    return ""


def _stated(network: GeneNetwork, i: int, j: int) -> str:
    """What the effects say that a run without cells was made from."""
    if network.measured is None or not np.isfinite(network.measured.effect_se[i, j]):
        return ""
    effect, error = float(network.measured.effect[i, j]), float(network.measured.effect_se[i, j])
    reach = keys.NORMAL_95 * error
    return (
        f" The effects it was made from say: log2 fold change {effect:+.2f} (95 % interval "
        f"{effect - reach:+.2f} to {effect + reach:+.2f})."
    )


def _measured(
    cells: HeldOutCells, source: str, target: str, pairs: PairStatistics | None
) -> tuple[Measured | None, str]:
    values = cells.values(target)
    treated, control = values[cells.labels == source], values[cells.labels == keys.CONTROL]
    if len(treated) == 0:
        return (
            None,
            f"No held-out cell has {source} alone perturbed: its cells were all used for training, or it "
            "was only part of combinations.",
        )
    if len(control) == 0:
        return None, "No control cell was held out."
    fold, error = (float(part.at[source, target]) for part in (cells.folds.effect, cells.folds.error))
    test = pair_statistics(values[:, None], cells.labels, [source], [target], among=cells.among)
    reach = keys.NORMAL_95 * error
    return (
        Measured(
            control=control,
            perturbed=treated,
            fold=fold,
            error=error,
            low=fold - reach,
            high=fold + reach,
            wasserstein=float(test.wasserstein[0, 0]),
            p=float(test.p[0, 0]),
            adjusted=_adjusted(pairs, source, target),
        ),
        "",
    )


def _adjusted(pairs: PairStatistics | None, source: str, target: str) -> float | None:
    if pairs is None or source not in pairs.sources or target not in pairs.targets:
        return None
    value = float(pairs.adjusted[pairs.sources.index(source), pairs.targets.index(target)])
    return value if np.isfinite(value) else None
