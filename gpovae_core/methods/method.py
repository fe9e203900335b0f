"""What a method is: one way to rank pairs of genes, with everything that a table, a chart or a paper has to
say of it.

A file of this package with a module-level `METHOD = Method(...)` is a method; `methods.registry` finds it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.data.expression import log_expression
from gpovae_core.data.progress import Progress
from gpovae_core.data.schema import PreparedCells

if TYPE_CHECKING:  # scipy.stats takes a second to import; the names of methods must not wait for it
    from gpovae_core.effects.pairs import PairStatistics
    from gpovae_core.methods.fitted import NetworkFit

Need = Literal["cells", "effects", "weights", "hops", "prediction", "fit"]
"""What a score is computed from. cells: expression of the training cells; effects: their mean effects;
weights: W, or the weights of an edge table; hops: W of a run, which may be followed over K hops; prediction:
the effects that the model predicts; fit: the network stage of a run.
"""
Role = Literal["ours", "baseline", "ceiling", "chance", "bound"]
"""ours: what a run has learned; baseline: needs no model; ceiling: the measurement against itself; chance:
what random pairs give; bound: the best that any ranking could do on the held-out cells.
"""
Place = Literal["same_edges", "curves", "top", "known"]
"""Where a ranking is scored. same_edges: as many pairs as W has edges; curves: at every number of edges; top:
the 50 and 100 strongest pairs, with and without the common lift of all shares; known: against networks known
from elsewhere and the truth of simulated cells.
"""
Measure = Literal["mu_wd", "bh_share", "raw_share", "left_out"]

PLACES: dict[Role, frozenset[Place]] = {
    "ours": frozenset({"curves", "top", "known"}),
    "baseline": frozenset({"same_edges", "curves", "known"}),
    "ceiling": frozenset({"same_edges", "curves"}),
    "chance": frozenset(),
    "bound": frozenset(),
}
"""Where a method of each role is scored unless it says otherwise."""


@dataclass(frozen=True)
class Look:
    """How a method is drawn; told apart by dash and symbol too. colour: a name of `plots.theme.COLOURS`;
    dash, symbol: plotly's words; width: of the line, in pixels.
    """

    colour: str
    dash: str
    symbol: str
    width: float


@dataclass(frozen=True)
class Inputs:
    """What a score may be computed from: training cells and what was learned of them, never a held-out cell.

    sources, targets: (s,) and (t,) the genes of the pairs, all in the panel, targets measured; effects:
    (perturbations x genes) mean effects in the training cells, log2(counts per 10,000 + 1) against control,
    NaN without cells; log_counts: (cells, genes) `log_expression` of all cells where it is at hand; weights:
    (n, n) in panel order, row = source, NaN where an edge table lists none; hops: K of T_K, None where the
    weights are those of an edge table; prediction: (perturbations x genes), like `effects`; fit: the network
    stage. None: not at hand. progress: of `tests`, which take longer than any ranking.
    """

    prepared: PreparedCells
    sources: tuple[str, ...]
    targets: tuple[str, ...]
    effects: pd.DataFrame
    log_counts: Any = None
    weights: np.ndarray | None = None
    hops: int | None = None
    prediction: pd.DataFrame | None = None
    fit: NetworkFit | None = None
    progress: Progress | None = None

    def has(self, need: Need) -> bool:
        return need in ("cells", "effects") or getattr(self, need) is not None

    @cached_property
    def places(self) -> tuple[np.ndarray, np.ndarray]:
        """(s,) rows of the sources and (t,) columns of the targets in a matrix over the panel."""
        index = self.prepared.panel.index
        return (
            np.array([index[gene] for gene in self.sources], dtype=int),
            np.array([index[gene] for gene in self.targets], dtype=int),
        )

    def of_pairs(self, matrix: np.ndarray) -> np.ndarray:
        """(s, t) the pairs in a matrix (n, n) over the panel."""
        return matrix[np.ix_(*self.places)]

    def of_table(self, effects: pd.DataFrame) -> np.ndarray:
        """(s, t) the pairs in a table (perturbations x genes), of a gene that is knocked down and activated
        by both (`averages.as_knock_downs`); NaN for what it lacks.
        """
        from gpovae_core.effects.averages import as_knock_downs

        whole = as_knock_downs(effects)
        return whole.reindex(index=list(self.sources), columns=list(self.targets)).to_numpy()

    @cached_property
    def genes(self) -> list[str]:
        """(m,) measured genes of the panel, the columns of `expression`."""
        return [str(gene) for gene in self.prepared.cells.var_names[self.prepared.panel_columns]]

    @cached_property
    def expression(self) -> Any:
        """CSR (training cells, m) natural log(1 + counts per 10,000) of the measured panel genes."""
        prepared = self.prepared
        values = self.log_counts
        if values is None:
            values = log_expression(prepared.counts, prepared.library_size)
        # columns first: of counts on disk only these are then held
        return values[:, prepared.panel_columns][self._training]

    @cached_property
    def labels(self) -> np.ndarray:
        """(training cells,) perturbation of every row of `expression`, keys.CONTROL for controls."""
        return self.prepared.labels[self._training]

    @cached_property
    def tests(self) -> PairStatistics:
        """Every source against all `genes`, on the training cells."""
        from gpovae_core.effects.lift import exchangeable
        from gpovae_core.effects.pairs import pairs_of_genes

        return pairs_of_genes(
            self.expression,
            self.labels,
            self.sources,
            self.genes,
            lambda names: exchangeable(self.prepared, (keys.TRAIN,), names),
            self.progress,
        )

    def of_genes(self, values: np.ndarray) -> np.ndarray:
        """(s, t) the pairs in an array (s, m) over `genes`."""
        place = {gene: column for column, gene in enumerate(self.genes)}
        return values[:, [place[target] for target in self.targets]]

    @cached_property
    def _training(self) -> np.ndarray:
        return np.flatnonzero(self.prepared.where(splits=(keys.TRAIN,)))


Score = Callable[[Inputs], np.ndarray]
"""(s, t), row = source, column = target, larger = more of an edge, NaN = says nothing of the pair."""


def _runs() -> str | None:
    return None


@dataclass(frozen=True)
class Method:
    """One way to rank pairs of genes.

    key: its name in evaluation.json, never changed; order: place in tables and legends, ascending; title: for
    reading, in the middle of a sentence; sentence: one, for a Methods paragraph; needs: what it cannot do
    without, and it is passed over where a run has none of it; score: None where no ranking is behind it
    (chance and bound follow from the tests themselves); measured: the same on the scale of measured effects,
    where those differ from what the network says; look: None keeps it out of the charts; ceiling_of: measures
    whose ceiling it is; scored_in: where it is scored, None: as its role is (PLACES); unavailable: says in
    words what is missing on this machine, None where it can run.
    """

    key: str
    order: int
    title: str
    sentence: str
    role: Role
    needs: frozenset[Need]
    score: Score | None
    measured: Score | None = None
    look: Look | None = None
    ceiling_of: tuple[Measure, ...] = ()
    scored_in: frozenset[Place] | None = None
    unavailable: Callable[[], str | None] = _runs

    @property
    def places(self) -> frozenset[Place]:
        return PLACES[self.role] if self.scored_in is None else self.scored_in
