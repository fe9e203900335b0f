"""The best paths from one or several genes to a target, and how much of the hop influence they carry.

Exact without listing all paths. Minus log W, rounded to a grid, makes the length of an edge; together with
the number of hops it is a whole number held exactly in a float64, so sums do not depend on their order and
ties are real ties. The longest part of the work is a table of shortest remaining lengths to the target (one
min-plus product of matrix and vector per hop). On it runs Lawler's procedure: the paths not yet shown are
divided into sets, each "all paths that begin with this prefix and do not go on to these genes"; the set with
the best bound is looked at next. The bound of a set lets a path run through its own prefix again; only when
such a bound comes first is it replaced by the true best path of the set. Every path shown adds at most K
sets, so ties in any number cost nothing.

Lawler, Management Science 18 (1972) 401-405; with a limit on hops the remaining length is a Bellman-Ford
table.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from gpovae_core.errors import QueryError
from gpovae_core.model.hops import HopSeries
from gpovae_core.network.grn import GeneNetwork, check_hops, check_threshold

MOST_HOPS = 15
"""Longest path asked for: lengths of more hops would no longer be exact in a float64."""

_GRID = 2.0**35  # steps of log W: paths whose probabilities agree to about ten digits count as equal
# an edge's length is (steps of -log W) * _SCALE + _HOP, so that of equal products the one with fewer hops is
# shorter
_HOP = 1.0
_SCALE = 16.0  # more than MOST_HOPS
_BLOCK = 128  # rows at a time: the temporary stays in the cache


@dataclass(frozen=True)
class TracedPath:
    """One way from a source to the target.

    weights: W of its edges; probability: their product; share: its part of the hop influence (see PathTrace);
    sign: product of the signs of its edges, 0 where one of them is unknown.
    """

    genes: tuple[str, ...]
    weights: tuple[float, ...]
    probability: float
    share: float
    sign: int

    @property
    def hops(self) -> int:
        return len(self.weights)


@dataclass(frozen=True)
class PathTrace:
    """Answer of trace_paths.

    influence: T_K from the sources (summed) to the target, all edges whatever the threshold; see
    GeneNetwork.walks. share_by_hops: for k = 1..K the part of it that walks of k edges carry, walks that
    revisit genes included; sums to 1. explained: the part that the shown paths carry; remainder: 1 -
    explained, the part of further paths and of walks that revisit genes. All shares are 0 where the influence
    is. With a strength matrix effects have signs and can cancel: shares still sum to 1, but one may be above
    1 or below 0.
    """

    sources: tuple[str, ...]
    target: str
    hops: int
    threshold: float
    paths: tuple[TracedPath, ...]
    influence: float
    share_by_hops: tuple[float, ...]
    explained: float
    remainder: float

    def table(self) -> pd.DataFrame:
        """One row per path: path (genes joined by arrows), source, hops, probability, share, weakest (edge
        weight), sign.
        """
        rows = [
            (" → ".join(p.genes), p.genes[0], p.hops, p.probability, p.share, min(p.weights), p.sign)
            for p in self.paths
        ]
        return pd.DataFrame(
            rows, columns=pd.Index(["path", "source", "hops", "probability", "share", "weakest", "sign"])
        )


def trace_paths(
    network: GeneNetwork,
    sources: str | Sequence[str],
    target: str,
    hops: int = 5,
    top: int = 20,
    threshold: float = 0.0,
) -> PathTrace:
    """The `top` most probable paths of at most `hops` edges from any of `sources` to `target`, no gene twice
    in a path.

    The probability of a path is the product of W over its edges, all of them strictly above `threshold`.
    Equally probable paths (to about ten digits): fewer hops first, then by gene names. Fewer than `top` paths
    are returned where there are no more.

    Raises QueryError for unknown genes, a source that is the target, a threshold outside [0, 1], hops outside
    1..15.
    """
    check_threshold(threshold)
    check_hops(hops, MOST_HOPS)
    if top < 1:
        raise QueryError(f"top must be 1 or more, got {top}.")
    starts, end = _places(network, [sources] if isinstance(sources, str) else list(sources), target)
    matrix, series = network.walks(hops)
    by_hops = np.sum(
        [_influence_by_hops(matrix, start, end, series, network.passed_on(start)) for start in starts], axis=0
    )
    total = float(by_hops.sum())
    found = _best_paths(_edge_lengths(network.weights, threshold), network, starts, end, hops, top)
    paths = tuple(_traced(network, places, matrix, series, total) for places in found)
    explained = float(sum(path.share for path in paths))
    genes = network.panel.genes
    return PathTrace(
        sources=tuple(genes[start] for start in starts),
        target=genes[end],
        hops=hops,
        threshold=threshold,
        paths=paths,
        influence=total,
        share_by_hops=tuple((by_hops / total).tolist()) if total else (0.0,) * hops,
        explained=explained,
        remainder=_remainder(explained, signed=network.strength is not None) if total else 0.0,
    )


def _places(network: GeneNetwork, sources: list[str], target: str) -> tuple[list[int], int]:
    if not sources:
        raise QueryError("Name at least one source gene.")
    starts = list(dict.fromkeys(network.panel.position(gene) for gene in sources))
    end = network.panel.position(target)
    if end in starts:
        raise QueryError(
            f"'{network.panel.genes[end]}' is both source and target: a path visits no gene twice. Choose "
            "another target."
        )
    return starts, end


def _influence_by_hops(
    weights: np.ndarray, start: int, end: int, series: HopSeries, passed: np.ndarray
) -> np.ndarray:
    """(K,) c_k times the sum over all walks of k edges from start to end; sums to T_K. passed: (n,) factor on
    every edge of a walk but its first, by where it starts.
    """
    walk, into_end = weights[start], passed * weights[:, end]
    parts = [walk[end]]
    for hop in range(1, len(series.weights)):
        parts.append(walk @ into_end * series.step)
        if hop + 1 < len(series.weights):
            walk = ((walk * passed) @ weights) * series.step
    return np.array(parts) * series.weights


def _remainder(explained: float, signed: bool) -> float:
    """What the shown paths leave; where effects have signs they can cancel, so the rest may be below zero and
    is left as it is.
    """
    return 1.0 - explained if signed else max(0.0, 1.0 - explained)


def _traced(
    network: GeneNetwork, places: tuple[int, ...], matrix: np.ndarray, series: HopSeries, total: float
) -> TracedPath:
    steps = (list(places[:-1]), list(places[1:]))
    weights = network.weights[steps]
    probability = float(np.prod(weights))
    carried = float(np.prod(matrix[steps]) * np.prod(network.passed_on(places[0])[list(places[1:-1])]))
    share = carried * series.coefficient(len(weights)) / total if total else 0.0
    genes = tuple(network.panel.genes[place] for place in places)
    return TracedPath(genes, tuple(weights.tolist()), probability, share, int(np.prod(network.signs[steps])))


def _edge_lengths(weights: np.ndarray, threshold: float) -> np.ndarray:
    """(n, n) whole numbers: -log W in steps of the grid, times _SCALE, plus one hop; infinite where there is
    no edge.
    """
    lengths = np.empty(weights.shape)
    for low in range(0, len(weights), _BLOCK):
        source, block = weights[low : low + _BLOCK], lengths[low : low + _BLOCK]
        absent = source <= threshold
        with np.errstate(divide="ignore"):  # minus log 0 is infinite, as it should be
            np.log(source, out=block)
        block *= -_GRID
        np.rint(block, out=block)
        block *= _SCALE
        block += _HOP
        block[absent] = np.inf
    np.fill_diagonal(lengths, np.inf)
    return lengths


class _Remaining:
    """remaining[r][v]: least length from gene v to the end in at most r edges, never entering the genes of
    `without`.
    """

    def __init__(self, lengths: np.ndarray, end: int, without: Sequence[int], most: int) -> None:
        table = [np.full(len(lengths), np.inf)]
        table[0][end] = 0.0
        for _ in range(most):
            onward = table[-1].copy()
            onward[list(without)] = np.inf
            table.append(np.minimum(table[-1], _shortest_step(lengths, onward)))
        self.table = table

    def __getitem__(self, edges: int) -> np.ndarray:
        return self.table[edges]


def _shortest_step(lengths: np.ndarray, onward: np.ndarray) -> np.ndarray:
    """(n,) min over u of lengths[v, u] + onward[u], in blocks of rows."""
    result = np.empty(len(lengths))
    usable = np.flatnonzero(np.isfinite(onward))
    if len(usable) == 1:  # the first hop: one column of the matrix
        return lengths[:, usable[0]] + onward[usable[0]]
    buffer = np.empty((_BLOCK, len(lengths)))
    for low in range(0, len(lengths), _BLOCK):
        block = lengths[low : low + _BLOCK]
        part = buffer[: len(block)]
        np.add(block, onward, out=part)
        part.min(axis=1, out=result[low : low + _BLOCK])
    return result


@dataclass(order=True)
class _PathSet:
    """All paths that begin with `prefix` and do not go on to `barred`, by a lower bound of their length.

    names: places in name order of the prefix, or of the whole best path once that is known; a prefix sorts
    before what it begins, so among equal bounds the order is that of gene names.
    """

    bound: float
    names: tuple[int, ...]
    prefix: tuple[int, ...] = field(compare=False)
    barred: frozenset[int] = field(compare=False)
    spent: float = field(compare=False)  # length of the prefix
    best: tuple[int, ...] | None = field(compare=False, default=None)


class _Search:
    """Lawler's procedure from several starts to one end."""

    def __init__(self, lengths: np.ndarray, by_name: np.ndarray, end: int, hops: int) -> None:
        self.lengths, self.end, self.hops = lengths, end, hops
        self.rank = np.empty(len(by_name), dtype=np.intp)
        self.rank[by_name] = np.arange(len(by_name))
        self.remaining: dict[frozenset[int], _Remaining] = {}
        self.queue: list[_PathSet] = []

    def table(self, prefix: tuple[int, ...]) -> tuple[_Remaining, list[int]]:
        """The tightest table there is already for paths that begin with `prefix`, and the genes it avoids."""
        own = self.remaining.get(frozenset(prefix))
        # The start is never entered again, so its own table is always there and holds for every longer
        # prefix.
        return (own, list(prefix)) if own else (self.remaining[frozenset(prefix[:1])], [prefix[0]])

    def begin(self, start: int) -> None:
        self.remaining[frozenset((start,))] = _Remaining(self.lengths, self.end, (start,), self.hops - 1)
        self.push((start,), frozenset(), 0.0)

    def push(self, prefix: tuple[int, ...], barred: frozenset[int], spent: float) -> None:
        bound = float(self.next_lengths(prefix, barred, spent).min())
        if np.isfinite(bound):
            heapq.heappush(self.queue, _PathSet(bound, self.named(prefix), prefix, barred, spent))

    def named(self, places: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(self.rank[list(places)].tolist())

    def next_lengths(self, prefix: tuple[int, ...], barred: frozenset[int], spent: float) -> np.ndarray:
        """(n,) bound of the paths that go on from the prefix to each gene."""
        remaining, _ = self.table(prefix)
        total = spent + self.lengths[prefix[-1]] + remaining[self.hops - len(prefix)]
        total[list(prefix)] = np.inf
        total[list(barred)] = np.inf
        return total

    def resolve(self, item: _PathSet) -> None:
        """Put the set back into the queue with its true best path, or drop it where it has none."""
        path, length = self.follow(item)
        if path and len(set(path)) < len(path):
            # The bound ran through the prefix: pay for the table that avoids it. What it finds cannot visit a
            # gene twice.
            self.remaining[frozenset(item.prefix)] = _Remaining(
                self.lengths, self.end, item.prefix, self.hops - len(item.prefix)
            )
            path, length = self.follow(item)
        if path:
            heapq.heappush(
                self.queue, _PathSet(length, self.named(path), item.prefix, item.barred, item.spent, path)
            )

    def follow(self, item: _PathSet) -> tuple[tuple[int, ...], float]:
        """Best path of the set by the table at hand, of equals the first by name; empty where there is
        none.
        """
        remaining, avoided = self.table(item.prefix)
        total = self.next_lengths(item.prefix, item.barred, item.spent)
        length = float(total.min())
        if not np.isfinite(length):
            return (), length
        path = [*item.prefix, self.first(total)]
        while path[-1] != self.end:
            onward = self.lengths[path[-1]] + remaining[self.hops - len(path)]
            onward[avoided] = np.inf
            path.append(self.first(onward))
        return tuple(path), length

    def first(self, lengths: np.ndarray) -> int:
        least = np.flatnonzero(lengths == lengths.min())
        return int(least[np.argmin(self.rank[least])])

    def split(self, item: _PathSet) -> None:
        """What is left of a set when its best path has been taken: one set for every gene at which another
        may leave it.
        """
        path = item.best
        assert path is not None
        spent = item.spent
        for cut in range(len(item.prefix), len(path)):
            prefix = path[:cut]
            barred = (item.barred if cut == len(item.prefix) else frozenset()) | {path[cut]}
            self.push(prefix, barred, spent)
            spent += float(self.lengths[path[cut - 1], path[cut]])


def _best_paths(
    lengths: np.ndarray, network: GeneNetwork, starts: list[int], end: int, hops: int, top: int
) -> list[tuple[int, ...]]:
    search = _Search(lengths, network.by_name, end, hops)
    for start in starts:
        search.begin(start)
    found: list[tuple[int, ...]] = []
    while search.queue and len(found) < top:
        item = heapq.heappop(search.queue)
        if item.best is None:
            search.resolve(item)
        else:
            found.append(item.best)
            search.split(item)
    return found
