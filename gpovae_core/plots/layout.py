"""Where the genes of a network are drawn: computed once per run, so that no gene moves when the threshold
does.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np

SIZE = 1000.0
"""Radius within which nine tenths of the connected genes are laid out; pixels at zoom 1."""
MOST_SPREAD = 800
"""Genes up to which the slower, better spaced layout is taken (about 2 s there)."""
STRETCH = 1.4
"""Width over height: screens are wide."""


def network_layout(
    genes: int, sources: np.ndarray, targets: np.ndarray, weights: np.ndarray, seed: int = 0
) -> np.ndarray:
    """(genes, 2) positions by force-directed layout for genes with an edge, rows below them for genes without
    any.

    sources, targets: (m,) gene numbers; weights: (m,) above 0, larger pulls closer. The same input gives the
    same layout.
    """
    import igraph

    apart = sources != targets
    sources, targets, weights = sources[apart], targets[apart], weights[apart]
    connected = np.unique(np.concatenate([sources, targets]))
    positions = np.zeros((genes, 2))
    if len(connected):
        graph = igraph.Graph(
            n=len(connected),
            edges=np.column_stack(
                [np.searchsorted(connected, sources), np.searchsorted(connected, targets)]
            ).tolist(),
        )
        igraph.set_random_number_generator(random.Random(seed))  # noqa: S311 (igraph jiggles points and takes no seed as an argument)
        try:
            drawn = _force_directed(graph, weights)
        finally:
            igraph.set_random_number_generator(random)
        positions[connected] = _fit(np.asarray(drawn.coords))
    _place_rest(positions, np.setdiff1d(np.arange(genes), connected), bool(len(connected)))
    positions[:, 0] *= STRETCH
    return positions


def _force_directed(graph: Any, weights: np.ndarray) -> Any:
    """GraphOpt keeps genes four times further apart than Fruchterman-Reingold, which crowds hubs, but its
    cost grows with n^2.
    """
    if graph.vcount() <= MOST_SPREAD:
        return graph.layout_graphopt(niter=300)
    return graph.layout_fruchterman_reingold(weights=weights.tolist(), niter=500)


def _fit(coords: np.ndarray) -> np.ndarray:
    """Centre on the median and pull far outliers in, so that a small separate piece does not shrink all the
    rest.
    """
    centred = coords - np.median(coords, axis=0)
    radius = np.linalg.norm(centred, axis=1)
    body = float(np.quantile(radius, 0.9)) or 1.0
    scaled = radius / body
    pulled = np.where(scaled <= 1, scaled, 1 + np.log(np.maximum(scaled, 1)) / 2)
    return centred * (np.divide(pulled, radius, out=np.zeros_like(radius), where=radius > 0) * SIZE)[:, None]


def _place_rest(positions: np.ndarray, rest: np.ndarray, below: bool) -> None:
    """Genes without an edge go into rows of a grid, under the network where there is one."""
    if len(rest) == 0:
        return
    columns = max(1, int(np.ceil(np.sqrt(len(rest) * (4.0 if below else 1.0)))))
    step = 2 * SIZE / max(columns, 8)
    row, column = np.divmod(np.arange(len(rest)), columns)
    width = min(columns, len(rest))
    top = positions[:, 1].max() + 2 * step if below else -step * row.max() / 2
    positions[rest] = np.column_stack([(column - (width - 1) / 2) * step, top + row * step])
