"""What was measured of every pair of genes, beside what the network says of it: one effect, one unit.

Row = source (perturbed gene), column = target, in panel order; NaN where nothing was measured.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gpovae_core import keys

if TYPE_CHECKING:
    from gpovae_core.data.schema import Panel, PreparedCells
    from gpovae_core.effects.pairs import PairStatistics
    from gpovae_core.runs.stored_effects import Effects


MOST_TESTED = 20_000_000
"""Cells times genes up to which pairs are tested in held-out cells without being asked to: a few seconds."""


@dataclass(frozen=True)
class MeasuredPairs:
    """effect, effect_se: (n, n) log2 fold change of mean shares in the training cells, without the common
    lift, and its standard error; cells: (n,) perturbed training cells behind a row; p, p_adjusted: (n, n) of
    the test in held-out cells (`effects.pairs`), after Benjamini-Hochberg over all pairs tested.
    """

    effect: np.ndarray
    effect_se: np.ndarray
    cells: np.ndarray
    p: np.ndarray
    p_adjusted: np.ndarray

    @classmethod
    def nothing(cls, genes: int) -> MeasuredPairs:
        square = np.broadcast_to(np.nan, (genes, genes))  # one number, whatever the panel
        return cls(square, square, np.full(genes, np.nan), square, square)

    @classmethod
    def of(
        cls, panel: Panel, effect: np.ndarray | None, error: np.ndarray | None, effects: Effects | None
    ) -> MeasuredPairs:
        """Of a run: effect, error (n, n) of its network stage (natural logarithms) and its effects.h5ad, as
        far as there are any.
        """
        found = cls.nothing(len(panel))
        if effect is not None and error is not None:
            found = replace(found, effect=effect / np.log(2), effect_se=error / np.log(2))
        column = keys.cell_count(keys.OBSERVED_TRAIN)
        if effects is not None and column in effects.obs:
            counts = dict(zip(effects.obs_names.astype(str), effects.obs[column], strict=True))
            cells = np.array([float(counts.get(gene, np.nan)) for gene in panel.genes])
            found = replace(found, cells=cells)
        return found

    def with_tests(self, pairs: PairStatistics, panel: Panel) -> MeasuredPairs:
        """The same with the held-out tests of `pairs`."""
        places = np.ix_(*([panel.index[g] for g in names] for names in (pairs.sources, pairs.targets)))
        p, adjusted = self.p.copy(), self.p_adjusted.copy()
        p[places], adjusted[places] = pairs.p, pairs.adjusted
        return replace(self, p=p, p_adjusted=adjusted)

    def columns(self, source: np.ndarray, target: np.ndarray) -> dict[str, np.ndarray]:
        """Column of an edge table -> (k,) values at the pairs source (k,), target (k,)."""
        return {
            keys.EFFECT: self.effect[source, target],
            keys.EFFECT_SE: self.effect_se[source, target],
            keys.P: self.p[source, target],
            keys.P_ADJUSTED: self.p_adjusted[source, target],
            keys.CELLS: self.cells[source],
        }


def tests_at_once(cells: PreparedCells) -> PairStatistics | None:
    """The tests of all pairs in the held-out cells; None where these are more than MOST_TESTED."""
    if cells.cells.n_obs * len(cells.panel) > MOST_TESTED:
        return None
    from gpovae_core.evaluation.held_out import held_out_pairs

    return held_out_pairs(cells)
