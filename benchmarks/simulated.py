"""What the benchmarks on simulated networks share: the truth in panel order, and the simplest rankings of
pairs.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import norm

from gpovae_core import keys
from gpovae_core.data.expression import log_expression
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.simulate import Simulation, downstream
from gpovae_core.effects.averages import average_effects
from gpovae_core.effects.design import Exchangeable
from gpovae_core.effects.pairs import pair_statistics


def true_pairs(simulation: Simulation, prepared: PreparedCells) -> tuple[np.ndarray, np.ndarray]:
    """(n, n) bool: the true edges, and the pairs that are scored (perturbed source, measured target, no
    self-loops).
    """
    panel = prepared.panel
    scored = panel.is_perturbed[:, None] & panel.is_measured[None, :] & ~np.eye(len(panel), dtype=bool)
    return true_strengths(simulation, prepared) != 0, scored


def true_strengths(simulation: Simulation, prepared: PreparedCells) -> np.ndarray:
    """(n, n) signed strength of the true direct edges between panel genes, 0 elsewhere."""
    return _in_panel_order(simulation.edges, prepared)


def true_reach(simulation: Simulation, prepared: PreparedCells) -> np.ndarray:
    """(n, n) bool: the target can be reached from the source over true edges, through whatever genes."""
    paths = downstream(simulation.edges, hops=len(simulation.edges))
    return _in_panel_order(paths.assign(**{keys.WEIGHT: 1.0}), prepared) != 0


def mean_difference(prepared: PreparedCells) -> np.ndarray:
    """(n, n) absolute mean difference on training cells; zeros where nothing was measured."""
    panel = prepared.panel
    table = average_effects(prepared, (keys.TRAIN,)).mean.abs()
    return table.reindex(index=list(panel.genes), columns=list(panel.genes)).fillna(0.0).to_numpy()


def mann_whitney(prepared: PreparedCells) -> np.ndarray:
    """(n, n) absolute z of Mann and Whitney's test on training cells; zeros where nothing was measured."""
    panel, training = prepared.panel, np.flatnonzero(prepared.where(splits=(keys.TRAIN,)))
    expression = log_expression(prepared.counts, prepared.library_size)[training][:, prepared.panel_columns]
    measured = np.flatnonzero(panel.is_measured)
    found = pair_statistics(
        expression,
        prepared.labels[training],
        panel.data.perturbed,
        [panel.genes[i] for i in measured],
        among=Exchangeable.of(prepared, (keys.TRAIN,)),
    )
    result = np.zeros((len(panel), len(panel)))
    result[np.ix_(np.arange(len(found.sources)), measured)] = np.nan_to_num(
        norm.isf(np.maximum(found.p, 1e-300) / 2)
    )
    return result


def _in_panel_order(edges: pd.DataFrame, prepared: PreparedCells) -> np.ndarray:
    index, result = prepared.panel.index, np.zeros((len(prepared.panel), len(prepared.panel)))
    for source, target, weight in zip(
        edges[keys.SOURCE], edges[keys.TARGET], edges[keys.WEIGHT], strict=True
    ):
        if source in index and target in index:
            result[index[source], index[target]] = weight
    return result
