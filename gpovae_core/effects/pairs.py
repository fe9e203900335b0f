"""Does perturbing i move j? Wasserstein distance and Mann-Whitney's test of every (source, target) pair of
some cells.

Row = source (perturbed gene), column = target (measured gene), as everywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse, special, stats

from gpovae_core import keys
from gpovae_core.data.cores import at_once
from gpovae_core.data.progress import Progress, stretch, tell
from gpovae_core.effects.design import Exchangeable
from gpovae_core.effects.ranks import Ranked, ranked

EXACT_BELOW = 9
"""scipy.stats.mannwhitneyu(method="auto") is exact where a sample has fewer cells than this and no value
occurs twice.
"""


_TARGETS = 64
"""Targets that one core works on at a time."""


@dataclass(frozen=True)
class PairStatistics:
    """Every source against every target, arrays (s, t); NaN where a side has no cells.

    wasserstein: 1-Wasserstein distance of the target's expression in control cells and in cells with the
    source perturbed; u: Mann-Whitney statistic of the control cells, summed over strata; p: its two-sided p
    value by `rank_test`, in one stratum exact as in scipy for few cells without equal values;
    sign: of the test, +1 where the target ranks higher with the source perturbed, -1 lower, 0 neither;
    mean_difference: perturbed minus control; source_cells: (s,) cells per source; testable: bool, whether
    enough cells show the target (`rank_test`).
    The pair of a gene with itself (the knock-down) is there, but is no edge. by_direction: the tests of every
    perturbation, where a source is a gene that is knocked down in some cells and activated in others
    (`of_genes`); None where none is.
    """

    sources: tuple[str, ...]
    targets: tuple[str, ...]
    wasserstein: np.ndarray
    u: np.ndarray
    p: np.ndarray
    sign: np.ndarray
    mean_difference: np.ndarray
    source_cells: np.ndarray
    control_cells: int
    testable: np.ndarray
    by_direction: PairStatistics | None = None

    @cached_property
    def evaluated(self) -> np.ndarray:
        """(s, t) bool: pairs that could be an edge and can be tested: cells on both sides, enough of which
        show the target.
        """
        itself = (
            np.asarray(self.sources, dtype=object)[:, None] == np.asarray(self.targets, dtype=object)[None, :]
        )
        return np.isfinite(self.p) & self.testable & ~itself

    @cached_property
    def adjusted(self) -> np.ndarray:
        """(s, t) Benjamini-Hochberg p over all `evaluated` pairs; NaN elsewhere."""
        result = np.full(self.p.shape, np.nan)
        if self.evaluated.any():
            result[self.evaluated] = stats.false_discovery_control(self.p[self.evaluated])
        return result


def pair_statistics(
    expression: sparse.csr_matrix | np.ndarray,
    labels: np.ndarray,
    sources: Sequence[str],
    targets: Sequence[str],
    control: str = keys.CONTROL,
    among: Exchangeable | None = None,
    progress: Progress | None = None,
) -> PairStatistics:
    """Compare control cells with the cells of every source, target by target.

    expression: (cells, t), columns in the order of `targets`; labels: (cells,); among: of the same cells,
    within what they are ranked, all together where None. Wasserstein distance and mean difference know no
    strata. Exact, not sampled: per target one sort of the controls and one of the perturbed cells serve all
    sources, so the cost grows with cells, not with sources x controls.
    """
    labels = np.asarray(labels, dtype=object)
    group = _groups(labels, sources)
    sizes = np.bincount(group[group >= 0], minlength=len(sources))
    order = np.flatnonzero(group >= 0)
    order = order[np.argsort(group[order], kind="stable")]  # cells of a source stand together
    controls = np.flatnonzero(labels == control)
    plan = _Plan.of(sizes, len(controls))

    matrix: Any = sparse.csr_matrix(expression, dtype=np.float64)
    treated, base = matrix[order].tocsc(), matrix[controls].tocsc()
    treated.sort_indices()
    wasserstein, mean = (np.full((len(targets), len(sources)), np.nan) for _ in range(2))
    if len(controls) and len(order):

        def some(columns: np.ndarray) -> tuple[np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
            return columns, [
                _one_target(plan, _column(base, column), *_stored(treated, column)) for column in columns
            ]

        blocks = np.split(np.arange(len(targets)), np.arange(_TARGETS, len(targets), _TARGETS))
        for done, (columns, found) in enumerate(at_once(some, blocks), start=1):
            tell(progress, "comparing distributions", 0.5 * done / len(blocks))
            wasserstein[columns], mean[columns] = zip(*found, strict=True)
    test = rank_tests(matrix, labels, sources, control, among, stretch(progress, 0.5, 1.0))
    return PairStatistics(
        sources=tuple(sources),
        targets=tuple(targets),
        wasserstein=wasserstein.T,
        u=test.u,
        p=test.p,
        sign=test.sign,
        mean_difference=mean.T,
        source_cells=sizes,
        control_cells=len(controls),
        testable=test.testable,
    )


def pairs_of_genes(
    expression: sparse.csr_matrix | np.ndarray,
    labels: np.ndarray,
    genes: Sequence[str],
    targets: Sequence[str],
    among: Callable[[list[str]], Exchangeable],
    progress: Progress | None = None,
) -> PairStatistics:
    """`pair_statistics` with genes for sources, whatever was done to them: of a gene that is knocked down in
    some cells and activated in others, what both say (`of_genes`). among: of the perturbations it is given.
    """
    names = perturbations_of(genes, labels)
    return of_genes(
        pair_statistics(expression, labels, names, targets, among=among(names), progress=progress)
    )


def perturbations_of(genes: Sequence[str], labels: np.ndarray) -> list[str]:
    """The perturbations that speak for the rows of genes, in their order; labels: (cells,)."""
    present = set(labels)
    return [name for gene in genes for name in keys.directions_of(gene, present) or (gene,)]


def of_genes(found: PairStatistics) -> PairStatistics:
    """One row for every gene; `found` itself where none was activated beside others that are knocked down.

    Of a gene with both, p is thrice (Bonferroni) the smallest of three: that of the knock-down, that of the
    activation, and that of both together, their z with opposite signs, over the root of two (Stouffer). The
    last finds an edge that shows a little in either, the first two one that shows in one direction alone, or
    the same way in both. Controls that both share make the third too large, never too small. Where one
    direction cannot be tested p is that of the other. Distances are the mean of both; signs and differences
    are those of the knock-down and of the activation turned round. U is not defined.
    """
    names = {name: row for row, name in enumerate(found.sources)}
    genes = tuple(dict.fromkeys(keys.genes_of(name)[0] for name in found.sources))
    if genes == found.sources:
        return found
    own = [[names[name] for name in keys.directions_of(gene, names)] for gene in genes]
    rows = np.array([[of_gene[0], of_gene[-1]] for of_gene in own]).T
    two = (rows[0] != rows[1])[:, None]
    turned = np.where([keys.is_raised(name) for name in found.sources], -1.0, 1.0)[:, None]
    sign, difference = found.sign * turned, found.mean_difference * turned
    p, joint = _of_both(*(np.where(found.testable, part, np.nan)[rows] for part in (found.p, sign)))
    return PairStatistics(
        sources=genes,
        targets=found.targets,
        wasserstein=_mean(found.wasserstein[rows]),
        u=np.where(two, np.nan, found.u[rows[0]]),
        p=np.where(two, p, found.p[rows[0]]),
        sign=np.where(two, joint, sign[rows[0]]),
        mean_difference=_mean(difference[rows]),
        source_cells=found.source_cells[rows[0]] + np.where(two[:, 0], found.source_cells[rows[1]], 0),
        control_cells=found.control_cells,
        testable=np.logical_or(*found.testable[rows]),
        by_direction=found,
    )


def _of_both(p: np.ndarray, sign: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(g, t) p and sign of two directions (2, g, t), NaN where one cannot be tested; see `of_genes`."""
    z = sign * -special.ndtri(np.clip(p, 1e-300, 1.0) / 2)
    together = z.sum(axis=0) / np.sqrt(2)
    smaller, surer = np.fmin(*p), np.where(p[1] < np.nan_to_num(p[0], nan=np.inf), sign[1], sign[0])
    least = np.minimum(3 * np.minimum(smaller, 2 * special.ndtr(-np.abs(together))), 1.0)
    both = np.isfinite(together)
    return np.where(both, least, smaller), np.where(both, np.sign(together), surer)


def _mean(parts: np.ndarray) -> np.ndarray:
    """(g, t) mean of two (2, g, t), or the one that is known."""
    mean = parts[0] + (parts[1] - parts[0]) / 2
    return np.where(np.isfinite(mean), mean, np.where(np.isfinite(parts[0]), *parts))


def rank_tests(
    expression: Any,
    labels: np.ndarray,
    sources: Sequence[str],
    control: str = keys.CONTROL,
    among: Exchangeable | None = None,
    progress: Progress | None = None,
) -> Ranked:
    """The rank test alone, as in `pair_statistics`. expression: (cells, t)."""
    given: Any = sparse.csr_matrix(expression, dtype=np.float64)
    matrix, labels = given, np.asarray(labels, dtype=object)
    stratum, told = np.zeros(len(labels), dtype=int), labels
    if among is not None:
        matrix, labels, stratum = among.apply(given, labels)
    group = _groups(labels, sources)
    group[(group < 0) & (labels != control)] = -2
    matrix = sparse.csc_matrix(matrix)  # here, so that the rows are let go
    found = ranked(matrix, group, stratum, len(sources), progress)
    if len(np.unique(stratum[group >= -1])) == 1:
        _refine_exact(found.p, matrix, group)
    lifted = [row for row, name in enumerate(sources) if among is not None and name in among.lifted]
    for other in among.otherwise if among is not None and lifted else ():
        again = rank_tests(given, told, [sources[row] for row in lifted], control, other)
        found.p[lifted] = np.fmax(found.p[lifted], again.p)
        found.testable[lifted] &= again.testable
    return found


def _groups(labels: np.ndarray, sources: Sequence[str]) -> np.ndarray:
    """(cells,) position of the cell's label in `sources`, -1 where it is none of them."""
    position = {name: i for i, name in enumerate(sources)}
    return np.fromiter((position.get(label, -1) for label in labels), dtype=np.int64, count=len(labels))


@dataclass(frozen=True)
class _Plan:
    """What all targets share: which group a treated cell belongs to, and where its rank lies on the controls'
    axis.

    Rank k of m cells lies at k n / m controls: `whole` and `part` hold it for every k of every group, `first`
    where a group starts.
    """

    sizes: np.ndarray
    group: np.ndarray
    n: int
    first: np.ndarray
    whole: np.ndarray
    part: np.ndarray

    @classmethod
    def of(cls, sizes: np.ndarray, n: int) -> _Plan:
        group = np.repeat(np.arange(len(sizes)), sizes)
        first = (
            np.concatenate([[0], np.cumsum(sizes + 1)[:-1]]).astype(np.int64)
            if len(sizes)
            else np.zeros(0, dtype=np.int64)
        )
        size = np.repeat(np.maximum(sizes, 1), sizes + 1)
        rank = np.arange(len(size)) - np.repeat(first, sizes + 1)
        return cls(sizes, group, n, first, rank * n // size, (rank * n % size) / size)


def _column(matrix: Any, column: int) -> np.ndarray:
    values = np.zeros(matrix.shape[0])
    inside = slice(matrix.indptr[column], matrix.indptr[column + 1])
    values[matrix.indices[inside]] = matrix.data[inside]
    return values


def _stored(matrix: Any, column: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and values of a column other than zero; all rows where zero is not its least value."""
    inside = slice(matrix.indptr[column], matrix.indptr[column + 1])
    rows, values = matrix.indices[inside], matrix.data[inside]
    if len(values) and values.min() < 0:
        return np.arange(matrix.shape[0]), _column(matrix, column)
    positive = values != 0
    return (rows, values) if positive.all() else (rows[positive], values[positive])


def _one_target(
    plan: _Plan, control: np.ndarray, rows: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Wasserstein distance and mean difference of every group, each (s,).

    control: (n,) values; rows, values: treated cells that are not at the least value zero. Equal values of a
    group form one run from rank `low` to rank `high`; its zeros are the first run.
    """
    control = np.sort(control)
    group, value, low, high = _runs(plan, rows, values)
    right = np.searchsorted(control, value, "right")
    s = len(plan.sizes)
    filled = plan.sizes > 0
    total = np.bincount(group, (high - low) * value, minlength=s)
    mean = total / np.maximum(plan.sizes, 1) - control.mean()
    distance = (
        np.bincount(group, _transport(plan, control, group, value, low, high, right), minlength=s) / plan.n
    )
    return np.where(filled, distance, np.nan), np.where(filled, mean, np.nan)


def _runs(
    plan: _Plan, rows: np.ndarray, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Runs of equal values within a group: its group, its value, and the ranks in its group it reaches from
    and to.
    """
    by_value = np.argsort(values)
    group = plan.group[rows[by_value]]
    # 16-bit keys let numpy take its linear-time stable sort
    by_group = np.argsort(group.astype(np.int16) if len(plan.sizes) < 2**15 else group, kind="stable")
    group, values = group[by_group], values[by_value][by_group]
    stored = np.bincount(group, minlength=len(plan.sizes))
    zeros = plan.sizes - stored
    start = np.cumsum(stored) - stored
    low = np.arange(len(group)) - start[group] + zeros[group]
    fresh = np.ones(len(group), dtype=bool)
    fresh[1:] = (group[1:] != group[:-1]) | (values[1:] != values[:-1])
    kept = np.flatnonzero(fresh)
    length = np.diff(np.append(kept, len(group)))
    silent = np.flatnonzero(zeros)
    return (
        np.concatenate([silent, group[kept]]),
        np.concatenate([np.zeros(len(silent)), values[kept]]),
        np.concatenate([np.zeros(len(silent), dtype=np.int64), low[kept]]),
        np.concatenate([zeros[silent], low[kept] + length]),
    )


def _transport(
    plan: _Plan,
    control: np.ndarray,
    group: np.ndarray,
    value: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
    below: np.ndarray,
) -> np.ndarray:
    """Each run's share of n times the 1-Wasserstein distance: integral of |Q(r) - value| over the ranks r it
    covers.

    Q(r) is the r-th smallest control. On r from a to b it is at most `value` up to r = `below` and above it
    from there, so with f = below clipped to [a, b] and J(r) the integral of Q from 0 to r: value (2f - a - b)
    - 2 J(f) + J(a) + J(b).
    """
    sums = np.concatenate([[0.0], np.cumsum(control)])
    padded = np.append(control, 0.0)

    def reach(rank: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        at = plan.first[group] + rank
        whole, part = plan.whole[at], plan.part[at]
        return whole + part, sums[whole] + part * padded[whole]

    (a, area_a), (b, area_b) = reach(low), reach(high)
    f = np.clip(below, a, b)
    area_f = np.where(below <= a, area_a, np.where(below >= b, area_b, sums[below]))
    return value * (2 * f - a - b) - 2 * area_f + area_a + area_b


def _refine_exact(p: np.ndarray, matrix: Any, group: np.ndarray) -> None:
    """Put exact p values, in place, where scipy's automatic choice takes them: few cells on a side and no
    ties. They are rare.
    """
    controls = np.flatnonzero(group == -1)
    sizes = np.bincount(group[group >= 0], minlength=len(p))
    few = np.flatnonzero((sizes > 0) & (np.minimum(sizes, len(controls)) < EXACT_BELOW))
    if not len(controls) or not len(few):
        return
    columns = matrix.tocsc()
    for source in few:
        rows = np.concatenate([controls, np.flatnonzero(group == source)])
        for part in np.array_split(np.arange(p.shape[1]), p.shape[1] // 256 + 1):
            dense = np.asarray(columns[:, part].tocsr()[rows].toarray())
            ordered = np.sort(dense, axis=0)
            untied = (ordered[1:] != ordered[:-1]).all(axis=0)
            if untied.any():
                base, own = dense[: len(controls), untied], dense[len(controls) :, untied]
                p[source, part[untied]] = stats.mannwhitneyu(base, own, axis=0, method="exact").pvalue
