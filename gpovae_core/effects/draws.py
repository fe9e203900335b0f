"""Controls drawn in the place of perturbed cells: of the same batches, donors and conditions, and as deep."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpovae_core import keys
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.store import columns_of, row_blocks, rows_of
from gpovae_core.effects.design import MOST_DEPTHS, Design

LARGE = 0.1
"""Share of the controls' counts above which a gene is left out of the depth by which controls are drawn. What
it brings into a null goes with the square of its share: a gene that nine tenths are lost of, simulated with
300 cells, shows an effect of 0.3 standard errors there at a share of 0.09, of 1 at 0.11 and of 10 at 0.42.
"""
LEAST_LEFT = 50
"""Counts of the other genes in the median control without which none is left out: 50 tell the depth of a cell
to a seventh, where cells of a screen differ by a third and more.
"""


def depth_to_draw_by(prepared: PreparedCells, design: Design) -> np.ndarray:
    """(n_obs,) counts of every cell, of all genes but the `large_genes`: controls that stand in for perturbed
    cells are drawn as deep as these by this number. `design.size` itself where no gene is large.

    Depth stands for what the sequencing did to a cell, which a control has to share with the cell whose place
    it takes. Where one gene makes up much of the counts, it also stands for that gene: cells that lose it are
    shallow, the controls as shallow as they are those that have little of it, and the null shows the very
    effect that it should be free of. What is compared, and within what, stays `design.size`.
    """
    large = large_genes(prepared, design)
    if not large:
        return design.size
    return design.size - _counts_of(prepared.counts, prepared.cells.var_names.get_indexer(list(large)))


def large_genes(prepared: PreparedCells, design: Design) -> dict[str, float]:
    """Gene -> its share of `design.size`, over the training controls that pass, where that is above LARGE;
    the largest first.

    Empty where leaving them out would not help: where another gene would hold more of what is left than the
    largest holds of all (a panel of five genes, all of them large), or less than LEAST_LEFT is left. Where
    the file gives the counts of the whole transcriptome shares are of those: a gene that is large in the
    file alone stays in, and one that is not in the file is not seen.
    """
    chosen = prepared.where(keys.CONTROL, (keys.TRAIN,)) & prepared.passing & (design.size > 0)
    pool = np.flatnonzero(chosen)
    if not len(pool):
        return {}
    counts = rows_of(prepared.counts, pool)
    genes = len(prepared.cells.var_names)
    total = np.sum([np.bincount(b.indices, b.data, minlength=genes) for _, b in row_blocks(counts)], axis=0)
    share = total / design.size[pool].sum()
    large = np.flatnonzero(share > LARGE)
    if not len(large):
        return {}
    left = design.size[pool] - _counts_of(counts, large)
    most = np.delete(share, large).max(initial=0.0) * design.size[pool].sum()
    if np.median(left) < LEAST_LEFT or most > share[large].max() * left.sum():
        return {}
    names = prepared.cells.var_names[large[np.argsort(-share[large], kind="stable")]]
    return {str(gene): float(share[prepared.cells.var_names.get_loc(gene)]) for gene in names}


def _counts_of(counts: Any, columns: np.ndarray) -> np.ndarray:
    """(n_obs,) of these columns together."""
    return np.asarray(columns_of(counts, columns).sum(axis=1), dtype=np.float64).ravel()


def drawn_like(
    rng: np.random.Generator, wanted: np.ndarray, pool: np.ndarray, most: float = 0.5
) -> np.ndarray:
    """(k,) places in the pool, as many of every class as there are cells wanted of it.

    wanted: (cells,) and pool: (n,) numbers of `effects.design.by_depth`; most: share that is taken at most of
    a class, and of a stratum. What one depth lacks comes from any other of its stratum.
    """
    order = rng.permutation(len(pool))
    chosen: list[np.ndarray] = []
    classes, sizes = np.unique(wanted, return_counts=True)
    for stratum in np.unique(classes // MOST_DEPTHS):
        own = order[pool[order] // MOST_DEPTHS == stratum]
        limit, found = int(most * len(own)), np.zeros(0, dtype=int)
        here = classes // MOST_DEPTHS == stratum
        for one, size in zip(classes[here], sizes[here], strict=True):
            members = own[pool[own] == one]
            found = np.append(found, members[: min(size, int(np.ceil(most * len(members))))])
        others = own[~np.isin(own, found)]
        found = np.append(found, others[: max(0, sizes[here].sum() - len(found))])
        chosen.append(rng.permutation(found)[:limit] if len(found) > limit else found)
    return np.concatenate([*chosen, np.zeros(0, dtype=int)]).astype(int)


def every_second(kinds: np.ndarray) -> np.ndarray:
    """(n,) bool: half of every kind, those that come second."""
    order = np.argsort(kinds, kind="stable")
    start = np.searchsorted(kinds[order], kinds[order])
    chosen = np.zeros(len(kinds), dtype=bool)
    chosen[order] = (np.arange(len(kinds)) - start) % 2 == 1
    return chosen
