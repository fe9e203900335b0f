"""What controls called perturbed would score: the floor of every number that nothing has to be learned for.

The draw of a source hangs on the names of its cells, not on its place, so that the order of genes and cells
does not matter.
"""

from __future__ import annotations

import zlib

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.data.expression import log_expression
from gpovae_core.data.labelled import cells_of
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.design import Design, Exchangeable, by_depth, depth_strata
from gpovae_core.effects.draws import depth_to_draw_by, drawn_like, every_second
from gpovae_core.effects.pairs import PairStatistics, pairs_of_genes, perturbations_of
from gpovae_core.evaluation.network import score_edges
from gpovae_core.methods.method import Inputs

DRAWS = 5


def null_differences(inputs: Inputs, seed: int, draws: int = DRAWS) -> list[np.ndarray]:
    """`draws` rankings (s, t) by the size of the mean difference, as the method of that name makes them, with
    as many training controls as a source has training cells (at most half of all), of the same batches,
    donors and conditions and as deep, in their place, against the others. An empty list with fewer than four
    controls.
    """
    prepared = inputs.prepared
    training = np.flatnonzero(prepared.where(splits=(keys.TRAIN,)))
    place = {cell: row for row, cell in enumerate(training.tolist())}
    cells = _by_name(prepared, np.flatnonzero(prepared.where(keys.CONTROL, (keys.TRAIN,))))
    n = len(cells)
    if n < 4:
        return []
    controls = inputs.expression[np.array([place[cell] for cell in cells.tolist()])]
    design = Design.of(prepared)
    depth = depth_to_draw_by(prepared, design)[training]
    classes = by_depth(depth, design.stratum[training], prepared.labels[training] == keys.CONTROL)
    kind = dict(zip(training.tolist(), classes.tolist(), strict=True))
    kinds = np.array([kind[cell] for cell in cells.tolist()], dtype=int)
    total = np.asarray(controls.sum(axis=0)).ravel()
    names = perturbations_of(inputs.sources, inputs.labels)
    of_sources = cells_of(prepared.labels, names, prepared.where(splits=(keys.TRAIN,)))
    ids = prepared.cells.obs_names.to_numpy(dtype=str)
    found = []
    for draw in range(draws):
        sums, sizes = np.zeros((len(names), len(total))), np.ones((len(names), 1))
        for row, own in enumerate(of_sources):
            wanted = np.array([kind[cell] for cell in own.tolist()], dtype=int)
            rng = _rng(ids[own], seed, draw)
            chosen = drawn_like(rng, wanted, kinds)
            if not len(chosen):
                chosen = rng.permutation(n)[:1]
            sums[row], sizes[row] = np.asarray(controls[chosen].sum(axis=0)).ravel(), len(chosen)
        values = sums / sizes - (total - sums) / (n - sizes)
        differences = pd.DataFrame(values, index=pd.Index(names), columns=pd.Index(inputs.genes))
        found.append(np.abs(inputs.of_table(differences)))
    return found


def null_omission(inputs: Inputs, pairs: PairStatistics, significance: float, seed: int) -> float | None:
    """Share of raw p below the level over all pairs of `pairs` where held-out controls stand in the place of
    perturbed cells; None with fewer than four.

    Half of the controls stay controls; the cells of a source are drawn from the other half, as many as it has
    of every batch, donor, condition and depth, as far as they go. The depth is that of all counts, within
    whose classes the test ranks: there any control could be any other.
    """
    prepared = inputs.prepared
    cells = _by_name(prepared, np.flatnonzero(prepared.where(keys.CONTROL, (keys.TEST,))))
    if len(cells) < 4 or not pairs.sources:
        return None
    here = np.flatnonzero(prepared.where(splits=(keys.TEST,)))
    among, at = Exchangeable.of(prepared, (keys.TEST,)), {cell: row for row, cell in enumerate(here.tolist())}
    kind = depth_strata(prepared, (keys.TEST,))
    cells = np.random.default_rng(seed).permutation(cells)
    kinds = kind[[at[cell] for cell in cells.tolist()]]
    lent = every_second(kinds)
    pool, kept = cells[lent], cells[~lent]
    names = perturbations_of(pairs.sources, prepared.labels[here])
    ids = prepared.cells.obs_names.to_numpy(dtype=str)
    drawn = []
    for own in cells_of(prepared.labels, names, prepared.where(splits=(keys.TEST,))):
        wanted = kind[[at[cell] for cell in own.tolist()]]
        drawn.append(pool[drawn_like(_rng(ids[own], seed, 0), wanted, kinds[lent], most=1.0)])
    labels = np.repeat([keys.CONTROL, *names], [len(kept), *map(len, drawn)]).astype(object)
    values = inputs.log_counts
    if values is None:
        values = log_expression(prepared.counts, prepared.library_size)
    columns = prepared.cells.var_names.get_indexer(list(pairs.targets))
    rows = np.concatenate([kept, *drawn])
    among = among.at(np.array([at[cell] for cell in rows.tolist()]))
    chosen = values[:, columns][rows]
    null = pairs_of_genes(chosen, labels, pairs.sources, pairs.targets, lambda _: among)
    return score_edges(null, null.evaluated, significance).raw_share


def _by_name(prepared: PreparedCells, cells: np.ndarray) -> np.ndarray:
    return cells[np.argsort(prepared.cells.obs_names.to_numpy(dtype=str)[cells], kind="stable")]


def _rng(ids: np.ndarray, seed: int, draw: int) -> np.random.Generator:
    """Of a draw in the place of the cells with these names."""
    return np.random.default_rng([seed, draw, zlib.crc32(min(ids).encode()) if len(ids) else 0])
