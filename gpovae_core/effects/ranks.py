"""Rank sums of every source against the controls of the same strata, all targets of a block at once.

Only what is stored is sorted: cells at zero are one run of equal values, counted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from scipy import sparse

from gpovae_core.data.cores import at_once
from gpovae_core.data.progress import Progress, tell
from gpovae_core.effects.rank_test import RankSums

_AT_ONCE = 200_000
"""Stored values, or comparisons times targets, of a block: as many as stay close to the processor."""


@dataclass(frozen=True)
class Ranked:
    """Of s sources against t targets: u, (s, t) Mann and Whitney's U of the control cells, summed over
    strata; sign: +1 where the perturbed cells rank higher than is expected, -1 lower, 0 neither; p, testable:
    of `rank_test`. NaN, and False, where no stratum holds cells of both sides.
    """

    u: np.ndarray
    sign: np.ndarray
    p: np.ndarray
    testable: np.ndarray


def ranked(
    values: Any, group: np.ndarray, stratum: np.ndarray, sources: int, progress: Progress | None = None
) -> Ranked:
    """values: sparse (cells, t); group: (cells,) number of the cell's source, -1 for a control, anything
    below for cells that do not count; stratum: (cells,) numbers, within which cells are ranked.
    """
    matrix = sparse.csc_matrix(values, dtype=np.float64)
    matrix.sum_duplicates()
    cells = np.flatnonzero(group >= -1)
    _, t = cast("tuple[int, int]", matrix.shape)
    u, sign, p = np.full((3, sources, t), np.nan)
    testable = np.zeros((sources, t), dtype=bool)
    plan = _Plan.of(group, stratum, cells)
    if not len(plan.source):
        return Ranked(u, sign, p, testable)
    signed = np.zeros(t, dtype=bool)
    if len(matrix.data) and matrix.data.min() < 0:
        least = np.minimum.reduceat(np.append(matrix.data, 0.0), matrix.indptr[:-1])
        signed = (least < 0) & (np.diff(matrix.indptr) > 0)
    filled = np.where(signed, len(group), np.diff(matrix.indptr))

    def blocks() -> Iterator[tuple[np.ndarray, bool]]:
        for kind in np.unique(signed):
            chosen = np.flatnonzero(signed == kind)
            cost = np.cumsum(np.maximum(filled[chosen], len(plan.source)))
            for columns in np.split(chosen, np.flatnonzero(np.diff(cost // _AT_ONCE)) + 1):
                yield columns, bool(kind)

    def tested(block: tuple[np.ndarray, bool]) -> tuple[np.ndarray, ...]:
        sums, other = _block(plan, matrix[:, block[0]], block[1])
        return block[0], other, np.sign(sums.excess), sums.p_values(), sums.testable()

    done = 0
    for columns, *found in at_once(tested, blocks()):
        done += len(columns)
        tell(progress, "comparing ranks", done / t)
        places = np.ix_(plan.seen, columns)
        u[places], sign[places], p[places], testable[places] = found
    return Ranked(u, sign, p, testable)


@dataclass(frozen=True)
class _Plan:
    """Comparisons, each of a source with the controls of one stratum, those of a source together.

    source, stratum, m, n: (q,) of each comparison, with its cells and controls; first: where those of each of
    the sources `seen` begin; comparison: (cells,) of every cell, -1; base: (cells,) stratum of every control,
    -1; controls: (strata,).
    """

    source: np.ndarray
    stratum: np.ndarray
    m: np.ndarray
    n: np.ndarray
    first: np.ndarray
    seen: np.ndarray
    comparison: np.ndarray
    base: np.ndarray
    controls: np.ndarray

    @classmethod
    def of(cls, group: np.ndarray, stratum: np.ndarray, cells: np.ndarray) -> _Plan:
        number = np.full(len(group), -1)
        names, number[cells] = np.unique(stratum[cells], return_inverse=True)
        control, treated = group == -1, group >= 0
        controls = np.bincount(number[control], minlength=len(names))
        treated &= np.isin(number, np.flatnonzero(controls))
        key = group[treated] * len(names) + number[treated]
        compared, place, m = np.unique(key, return_inverse=True, return_counts=True)
        comparison = np.full(len(group), -1)
        comparison[treated] = place
        source, where = np.divmod(compared, max(len(names), 1))
        seen, first = np.unique(source, return_index=True)
        base = np.where(control, number, -1)
        return cls(source, where, m, controls[where], first, seen, comparison, base, controls)


def _block(plan: _Plan, matrix: Any, signed: bool) -> tuple[RankSums, np.ndarray]:
    """The rank sums of some targets, and (r, t) U of the control cells. matrix: csc (cells, t)."""
    t = matrix.shape[1]
    if signed:  # zero is not the least value, so its cells are ranked like all others
        dense = matrix.toarray()
        cell, gene = (x.ravel(order="F") for x in np.indices(dense.shape))
        data = dense.ravel(order="F")
    else:
        stored = matrix.data != 0
        gene = np.repeat(np.arange(t), np.diff(matrix.indptr))[stored]
        cell, data = matrix.indices[stored], matrix.data[stored]
    codes = np.unique(data, return_inverse=True)[1].ravel().astype(np.int64)
    several = int(codes.max(initial=0)) + 1
    strata, q = len(plan.controls), len(plan.source)

    base = plan.base[cell]
    at = base >= 0
    block = gene[at] * strata + base[at]
    ordered = np.sort(block * several + codes[at])
    shown = np.bincount(block, minlength=t * strata)
    tied = _tie_sums(ordered, several, t * strata).reshape(t, strata).T[plan.stratum]
    start = np.concatenate([[0], np.cumsum(shown)])
    zeros = plan.n[:, None] - shown.reshape(t, strata).T[plan.stratum]  # (q, t) controls

    own = plan.comparison[cell]
    at = own >= 0
    runs, weight = np.unique((own[at] * t + gene[at]) * several + codes[at], return_counts=True)
    pair, code = np.divmod(runs, several)
    comparison, target = np.divmod(pair, t)
    block = target * strata + plan.stratum[comparison]
    left, right = (np.searchsorted(ordered, block * several + code, side) for side in ("left", "right"))
    equal = (right - left).astype(np.float64)

    def by_pair(values: np.ndarray) -> np.ndarray:
        return np.bincount(pair, values, minlength=q * t).reshape(q, t)

    held = by_pair(weight)
    silent = plan.m[:, None] - held
    below = zeros.ravel()[pair] + left - start[block]
    wins = by_pair(weight * (below + equal / 2)) + silent * zeros / 2
    ties = tied + by_pair(_cubes(equal + weight) - _cubes(equal)) + _cubes(zeros + silent)
    lost = (plan.m * plan.n)[:, None] - wins
    none = np.zeros((q, t)) if signed else zeros + silent
    sums = RankSums.of(wins, plan.m[:, None], plan.n[:, None], ties, none, plan.first)
    return sums, np.add.reduceat(lost, plan.first, axis=0)


def _tie_sums(ordered: np.ndarray, several: int, blocks: int) -> np.ndarray:
    """(blocks,) sum of t^3 - t over the t-fold codes of every block; ordered: block times several + code."""
    run, times = np.unique(ordered, return_counts=True)
    return np.bincount(run // several, _cubes(times.astype(np.float64)), minlength=blocks)


def _cubes(t: np.ndarray) -> np.ndarray:
    return t * (t * t - 1)
