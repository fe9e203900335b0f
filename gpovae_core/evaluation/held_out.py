"""The held-out cells that networks are judged by: every pair of genes that they can test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from scipy import sparse

from gpovae_core import keys
from gpovae_core.data.expression import log_expression
from gpovae_core.data.progress import Progress
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.design import Exchangeable
from gpovae_core.effects.lift import exchangeable
from gpovae_core.effects.pairs import PairStatistics, pairs_of_genes
from gpovae_core.evaluation.listing import listed
from gpovae_core.methods.fitted import NetworkFit


def held_out_pairs(
    prepared: PreparedCells, expression: sparse.csr_matrix | None = None, progress: Progress | None = None
) -> PairStatistics:
    """Every gene that is perturbed alone in held-out cells against every measured panel gene, on the held-out
    cells; one that is knocked down in some and activated in others by both (`effects.pairs.of_genes`).

    Genes held out as a whole are no sources: no cell speaks for or against their row of W, which would be
    scored beside learned ones. expression: `log_expression` of all cells where it is at hand. Combinations
    are no sources: their effect is no one gene's.
    """
    values = log_expression(prepared.counts, prepared.library_size) if expression is None else expression
    return _pairs(prepared, values, lambda sources: exchangeable(prepared, (keys.TEST,), sources), progress)


def _pairs(
    prepared: PreparedCells,
    values: sparse.csr_matrix,
    among: Callable[[list[str]], Exchangeable],
    progress: Progress | None,
) -> PairStatistics:
    """See `held_out_pairs`; among: of the held-out cells, for some sources."""
    kept = np.flatnonzero(prepared.where(splits=(keys.TEST,)))
    labels = prepared.labels[kept]
    present = set(labels)
    sources = [gene for gene in prepared.panel.data.perturbed if keys.directions_of(gene, present)]
    targets = [str(gene) for gene in prepared.cells.var_names[prepared.panel_columns]]
    inside = values[:, prepared.panel_columns][kept]
    return pairs_of_genes(inside, labels, sources, targets, among, progress)


def pairs_without_lift(
    prepared: PreparedCells, fit: NetworkFit, progress: Progress | None = None
) -> PairStatistics:
    """The held-out pairs once more, with the cells of each perturbation scaled by the common lift that its
    training cells showed, be it clear (effects.lift) or not.
    """
    lift = fit.lifts(prepared.panel)
    scale = np.exp([lift.get(label, 0.0) for label in prepared.labels])
    values = log_expression(prepared.counts, prepared.library_size * scale)
    inside = scale[prepared.where(splits=(keys.TEST,))]
    plain = Exchangeable.of(prepared, (keys.TEST,), inside)
    # the values are divided by the lift already, so that only the classes of depth have to know it
    return _pairs(prepared, values, lambda _: replace(plain, scale=plain.scale * inside), progress)


def sources_left_out(prepared: PreparedCells, pairs: PairStatistics) -> list[str]:
    """In words, which perturbations are no sources of `pairs`, and why."""
    notes = []
    combinations = [name for name in prepared.perturbations if keys.PAIR_SEPARATOR in name]
    if combinations:
        notes.append(f"Combinations are not counted as sources of edges: {listed(combinations)}.")
    silent = [
        gene for gene in prepared.panel.data.perturbed if gene not in (*pairs.sources, *prepared.unseen)
    ]
    if silent:
        notes.append(f"No held-out cells of their own, so their edges are not scored: {listed(silent)}.")
    if pairs.control_cells == 0:
        notes.append("There are no held-out control cells, so no edge can be scored.")
    return notes
