"""What was measured of every pair of genes, beside what the network says of it: one effect, one unit.

Row = source (perturbed gene), column = target, in panel order; NaN where nothing was measured.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from gpovae_core import keys
from gpovae_core.methods.fitted import Raised

if TYPE_CHECKING:
    from gpovae_core.data.schema import Panel, PreparedCells
    from gpovae_core.effects.pairs import PairStatistics
    from gpovae_core.runs.stored_effects import Effects


MOST_TESTED = 20_000_000
"""Cells times genes up to which pairs are tested in held-out cells without being asked to: a few seconds."""


@dataclass(frozen=True)
class Activated:
    """What was measured where the genes of some rows are activated, and knocked down in other cells; NaN for
    all other rows. effect, effect_se, p: (n, n), cells: (n,), as in `MeasuredPairs`; p_knocked_down: (n, n)
    the test of the knock-down by itself.
    """

    effect: np.ndarray
    effect_se: np.ndarray
    cells: np.ndarray
    p: np.ndarray
    p_knocked_down: np.ndarray


@dataclass(frozen=True)
class MeasuredPairs:
    """effect, effect_se: (n, n) log2 fold change of mean shares in the training cells, without the common
    lift, and its standard error; cells: (n,) perturbed training cells behind a row; p, p_adjusted: (n, n) of
    the test in held-out cells (`effects.pairs`), after Benjamini-Hochberg over all pairs tested. activated:
    of genes that are activated in other cells, where effect and cells are of the knock-down and p of both
    together; None where none is.
    """

    effect: np.ndarray
    effect_se: np.ndarray
    cells: np.ndarray
    p: np.ndarray
    p_adjusted: np.ndarray
    activated: Activated | None = None

    @classmethod
    def nothing(cls, genes: int) -> MeasuredPairs:
        square = np.broadcast_to(np.nan, (genes, genes))  # one number, whatever the panel
        return cls(square, square, np.full(genes, np.nan), square, square)

    @classmethod
    def of(cls, panel: Panel, stored: Mapping[str, np.ndarray], effects: Effects | None) -> MeasuredPairs:
        """Of a run: what its network stage stored (NetworkFit.arrays, natural logarithms) and its
        effects.h5ad, as far as there are any.
        """
        found = cls.nothing(len(panel))
        if "effect" in stored and "effect_sd" in stored:
            effect, error = (stored[name] / np.log(2) for name in ("effect", "effect_sd"))
            found = replace(found, effect=effect, effect_se=error)
        counts = _cells(effects)
        cells, raised = (
            np.array([counts.get(gene + ending, np.nan) for gene in panel.genes], dtype=float)
            for ending in ("", keys.ACTIVATED)
        )
        if counts:
            found = replace(found, cells=cells)
        more = Raised.from_arrays(stored)
        if more is None:
            return found
        n, nothing = len(panel), found.p
        effect, error = (more.over(part / np.log(2), n) for part in (more.effect, more.effect_sd))
        return replace(found, activated=Activated(effect, error, raised, nothing, nothing))

    def with_tests(self, pairs: PairStatistics, panel: Panel) -> MeasuredPairs:
        """The same with the held-out tests of `pairs`."""
        places = np.ix_(*([panel.index[g] for g in names] for names in (pairs.sources, pairs.targets)))
        p, adjusted = self.p.copy(), self.p_adjusted.copy()
        p[places], adjusted[places] = pairs.p, pairs.adjusted
        found = replace(self, p=p, p_adjusted=adjusted)
        if self.activated is None or pairs.by_direction is None:
            return found
        down, up = (self.p.copy() for _ in range(2))
        columns = [panel.index[gene] for gene in pairs.targets]
        for name, values in zip(pairs.by_direction.sources, pairs.by_direction.p, strict=True):
            (up if keys.is_raised(name) else down)[panel.index[keys.genes_of(name)[0]], columns] = values
        down[~np.isfinite(self.activated.effect).any(axis=1)] = np.nan
        return replace(found, activated=replace(self.activated, p=up, p_knocked_down=down))

    def under(self, panel: Panel) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Perturbation -> (n,) effect and (n,) its standard error, of all genes that have any: those that are
        knocked down (or what else was done to them) in panel order, then those activated in other cells.
        """
        sets = [("", self.effect, self.effect_se)]
        if self.activated is not None:
            sets.append((keys.ACTIVATED, self.activated.effect, self.activated.effect_se))
        return {
            gene + ending: (effect[i], error[i])
            for ending, effect, error in sets
            for i, gene in enumerate(panel.genes)
            if np.isfinite(effect[i]).any()
        }

    def columns(self, source: np.ndarray, target: np.ndarray) -> dict[str, np.ndarray]:
        """Column of an edge table -> (k,) values at the pairs source (k,), target (k,)."""
        columns = {
            keys.EFFECT: self.effect[source, target],
            keys.EFFECT_SE: self.effect_se[source, target],
            keys.P: self.p[source, target],
            keys.P_ADJUSTED: self.p_adjusted[source, target],
            keys.CELLS: self.cells[source],
        }
        if self.activated is None:
            return columns
        return columns | {
            keys.EFFECT_ACTIVATED: self.activated.effect[source, target],
            keys.EFFECT_ACTIVATED_SE: self.activated.effect_se[source, target],
            keys.P_KNOCKED_DOWN: self.activated.p_knocked_down[source, target],
            keys.P_ACTIVATED: self.activated.p[source, target],
            keys.CELLS_ACTIVATED: self.activated.cells[source],
        }


def _cells(effects: Effects | None) -> dict[str, float]:
    """Perturbation -> training cells behind its effects; empty where that is not known."""
    column = keys.cell_count(keys.OBSERVED_TRAIN)
    if effects is None or column not in effects.obs:
        return {}
    return dict(zip(effects.obs_names.astype(str), effects.obs[column].astype(float), strict=True))


def tests_at_once(cells: PreparedCells) -> PairStatistics | None:
    """The tests of all pairs in the held-out cells; None where these are more than MOST_TESTED."""
    if cells.cells.n_obs * len(cells.panel) > MOST_TESTED:
        return None
    from gpovae_core.evaluation.held_out import held_out_pairs

    return held_out_pairs(cells)
