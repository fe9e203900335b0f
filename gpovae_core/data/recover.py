"""Raw counts out of normalised values: a cell whose counts were scaled, and perhaps logged, holds whole
multiples of one step, and the step is found from the values themselves.

Normalising multiplies the counts of a cell by its own factor (target / library size) and often takes
log(1 + x) after that. Undone, every value is count times step, and the smallest is a small multiple of the
step. Nothing of this holds after regression, scaling by gene, imputation or integration, so these are told
by it. A cell whose counts have a common divisor comes back divided by it, unless its library size is known;
with more than a few genes counted that does not happen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse

from gpovae_core.data.backed import ChangedMatrix, FileMatrix

MOST_STEPS = 50
"""The smallest value of a cell is looked for among so many multiples of its step."""
SINGLE = 2.0**-24
"""Relative rounding error of single precision, in which most files were normalised whatever they store."""
ROUNDINGS = 4.0
"""So many rounding errors are allowed for in every value."""
SLACK, LOOSEST = 0.01, 0.25
"""A count may be off by SLACK beside its rounding error, and a value that may be off by LOOSEST cannot be
verified.
"""
SURE = 5
"""Values of a cell from which on a common divisor of its counts is out of the question."""
MOST_DIVISOR = 20
"""Common divisors that are looked for in cells with fewer values."""
SAMPLE = 200
"""The way in which values were made is told from so many cells, those with most genes."""
FEWEST_SURE, MOST_SURE = 20, 0.95
"""What all cells were scaled to is told from at least so many cells, of which this share has to agree."""
LARGEST_TOTAL = 100_000
"""Totals up to here are looked through, and a million."""
SAME_STEP = 1e-4
"""Steps that differ by less than this share are one step."""
SAME_TOTAL = 1e-3
"""Totals of cells that differ by less than this share of their median are one total."""
_ROWS = 1 << 16


@dataclass(frozen=True)
class Way:
    """How values were made of scaled counts. words: as in 'log-normalised (natural logarithm)'; base: of the
    logarithm of 1 + x, None where there is none.
    """

    words: str
    base: float | None

    def undone(self, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Scaled counts, and how far off each may be by rounding; both float64."""
        stored = np.asarray(values, dtype=np.float64)
        if self.base is None:
            return stored, ROUNDINGS * SINGLE * stored
        exponent = stored * np.log(self.base)
        scaled = np.expm1(np.minimum(exponent, 700.0))
        return scaled, ROUNDINGS * SINGLE * ((1.0 + scaled) * exponent + scaled)


WAYS = (
    Way("log-normalised values (natural logarithm of 1 + x)", float(np.e)),
    Way("log-normalised values (logarithm to base 2 of 1 + x)", 2.0),
    Way("log-normalised values (logarithm to base 10 of 1 + x)", 10.0),
    Way("scaled values (not logged)", None),
)


@dataclass(frozen=True)
class Recovered:
    """matrix: (n_obs, n_vars) counts, CSR float32 or in the file; None where some cells failed. way: how the
    values had been made; step: (n_obs,) what one count had become, NaN for a failing cell and one without
    counts; cells, failed: looked at, and those among them whose values are no whole multiples of one step.
    total: what every cell had been scaled to, None where that is not known; library: (n_obs,) counts of every
    cell before genes were left out, None where the counts of the matrix are all, or nothing tells; doubtful:
    cells with so few values that their counts may have had a common divisor.
    """

    matrix: Any
    way: Way
    step: np.ndarray
    cells: int
    failed: int
    total: float | None = None
    library: np.ndarray | None = None
    doubtful: int = 0


def recover(matrix: Any, known: Sequence[np.ndarray] = ()) -> Recovered:
    """The counts behind non-negative finite values, every cell verified.

    matrix: (n_obs, n_vars), dense, sparse or in a file; known: (n_obs,) columns that may hold the library
    sizes.
    """
    way, sample, failed = _way(matrix)
    if failed == sample:
        return Recovered(None, way, np.zeros(0), sample, failed)
    unscaled = way.base is not None and all(
        _whole(*way.undone(block.data)).all() for _, block in _row_blocks(matrix)
    )
    step, sums = np.full(matrix.shape[0], np.nan), np.zeros(matrix.shape[0])
    valued = np.zeros(matrix.shape[0], dtype=np.int64)
    failed = filled = 0
    for rows, block in _row_blocks(matrix):
        scaled, error = way.undone(block.data)
        full = np.diff(block.indptr) > 0
        found = np.where(full, 1.0, np.nan) if unscaled else steps(scaled, error, block.indptr)
        failed += int((full & np.isnan(found)).sum())
        filled += int(full.sum())
        step[rows] = found
        valued[rows] = np.diff(block.indptr)
        sums[rows] = np.bincount(
            np.repeat(np.arange(len(full)), np.diff(block.indptr)), scaled, minlength=len(full)
        )
    if not failed and not unscaled:
        failed = _of_one_step(step)
    if failed:
        return Recovered(None, way, step, filled, failed)
    total, library, step, told = _library(sums, step, valued >= SURE, known)
    doubtful = 0 if unscaled or told else int((np.isfinite(step) & (valued < SURE)).sum())
    return Recovered(_changed(matrix, way, step), way, step, filled, 0, total, library, doubtful)


def steps(scaled: np.ndarray, error: np.ndarray, indptr: np.ndarray) -> np.ndarray:
    """(rows,) the largest number of which all values of a row are whole multiples, NaN where there is none.

    scaled: positive values, row after row; error: how far off each may be; indptr: where rows begin.
    """
    lengths = np.diff(indptr)
    result = np.full(len(lengths), np.nan)
    left = np.flatnonzero(lengths)
    if not len(left):
        return result
    smallest = np.minimum.reduceat(scaled, indptr[:-1][left])
    lengths = lengths[left]
    for times in range(1, MOST_STEPS + 1):
        starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        of = np.repeat(np.arange(len(left)), lengths)
        counts = np.rint(scaled / (smallest / times)[of])
        step = np.add.reduceat(scaled * counts, starts) / np.add.reduceat(counts * counts, starts)
        slack = SLACK + error / step[of]
        fits = (np.abs(scaled / step[of] - counts) <= slack) & (slack <= LOOSEST)
        good = np.logical_and.reduceat(fits, starts)
        result[left[good]] = step[good]
        if good.all():
            break
        stay = ~good[of]
        scaled, error = scaled[stay], error[stay]
        left, smallest, lengths = left[~good], smallest[~good], lengths[~good]
    return result


def _of_one_step(step: np.ndarray) -> int:
    """Cells that are no normalised counts because most of all share one step: values that were rounded to
    decimals, or counts with a damaged value among them. Normalising gives every cell a step of its own.
    """
    found = step[np.isfinite(step)]
    usual = float(np.median(found))
    shared = np.abs(found - usual) <= SAME_STEP * usual
    if len(found) < FEWEST_SURE or shared.mean() < 0.5:
        return 0
    return len(found) if shared.all() else int((~shared).sum())


def _whole(scaled: np.ndarray, error: np.ndarray) -> np.ndarray:
    slack = SLACK + error
    return (np.abs(scaled - np.rint(scaled)) <= slack) & (slack <= LOOSEST)


def _way(matrix: Any) -> tuple[Way, int, int]:
    """The way that fits most of the cells with most genes, how many were looked at, and how many failed."""
    _, block = next(_row_blocks(matrix))
    lengths = np.diff(block.indptr)
    chosen = block[np.argsort(-lengths, kind="stable")[:SAMPLE]]
    chosen = chosen[np.diff(chosen.indptr) > 0]
    largest = float(chosen.data.max(initial=0.0))
    best = (WAYS[-1], chosen.shape[0], chosen.shape[0])
    for way in WAYS:
        if way.base is not None and largest * np.log(way.base) > np.log(1e12):
            continue  # no cell has so many counts
        failed = int(np.isnan(steps(*way.undone(chosen.data), chosen.indptr)).sum())
        if failed < best[2]:
            best = (way, chosen.shape[0], failed)
    if best[2] == best[1] and largest < 25.0:  # none fits: called by what it looks like
        best = (WAYS[0], best[1], best[2])
    return best


def _row_blocks(matrix: Any) -> Iterator[tuple[slice, sparse.csr_matrix]]:
    """(rows, their values) without stored zeros."""
    if isinstance(matrix, FileMatrix):
        yield from matrix.blocks()
        return
    by_row = matrix.tocsr() if sparse.issparse(matrix) else matrix
    for start in range(0, by_row.shape[0], _ROWS):
        rows = slice(start, min(start + _ROWS, by_row.shape[0]))
        part = by_row[rows]
        block = sparse.csr_matrix(part if sparse.issparse(part) else np.asarray(part), copy=True)
        block.sum_duplicates()
        block.eliminate_zeros()
        yield rows, block


def _changed(matrix: Any, way: Way, step: np.ndarray) -> Any:
    def counts(rows: slice, block: sparse.csr_matrix) -> sparse.csr_matrix:
        scaled, _ = way.undone(block.data)
        whole = np.rint(scaled / np.repeat(step[rows], np.diff(block.indptr))).astype(np.float32)
        return sparse.csr_matrix((whole, block.indices, block.indptr), shape=block.shape)

    return changed(matrix, counts)


def changed(matrix: Any, change: Callable[[slice, sparse.csr_matrix], sparse.csr_matrix]) -> Any:
    """A matrix with its rows changed: in memory, or when they are read where it lies in a file."""
    if isinstance(matrix, FileMatrix):
        return ChangedMatrix(matrix, change)
    parts = [change(rows, block) for rows, block in _row_blocks(matrix)]
    return sparse.csr_matrix(sparse.vstack(parts, format="csr"))


def _library(
    sums: np.ndarray, step: np.ndarray, sure: np.ndarray, known: Sequence[np.ndarray]
) -> tuple[float | None, np.ndarray | None, np.ndarray, bool]:
    """(what cells had been scaled to, their library sizes where genes are missing, the steps with common
    divisors taken out as far as library sizes tell, whether one of `known` tells).

    sums: (n_obs,) scaled counts of every cell; sure: (n_obs,) bool, cells with enough values for a common
    divisor to be out of the question; known: columns that may hold library sizes. A column holds them where
    it is the same multiple of 1 / step in nearly all sure cells. All genes are there where the sums are one
    total. Where they are not, the total is the one that makes library sizes whole numbers.
    """
    full = np.isfinite(step)
    sure = sure & full if (sure & full).any() else full
    if np.allclose(step[full], 1.0, rtol=1e-6):
        return None, None, step, False
    one_total = float(np.median(sums[full]))
    everything = bool(np.abs(sums[full] - one_total).max() <= SAME_TOTAL * one_total)
    for library in known:
        totals = library[full] * step[full]
        total = float(np.median(totals[sure[full]]))
        times = np.rint(totals / total) if total > 0 else np.zeros(len(totals))
        if (times < 1).any() or (np.abs(totals / total - times) > SAME_TOTAL * times).any():
            continue
        if (times[sure[full]] == 1).mean() >= MOST_SURE and (sums[full] <= total * (1.0 + SAME_TOTAL)).all():
            exact = step.copy()
            exact[full] /= times
            return total, None if everything else library, exact, True
    if everything:
        return one_total, None, step, False
    target = _total(step[sure], float(sums[full].max()))
    if target is None:
        return None, None, step, False
    exact = step.copy()
    for times in range(2, MOST_DIVISOR + 1):
        odd = full & ~_near_whole(target / exact)
        exact[odd] = step[odd] / times
    return target, np.rint(target / exact), exact, False


def _total(step: np.ndarray, least: float) -> float | None:
    """The smallest total of at least `least`, in halves as a median is, that makes nearly every library size
    total / step a whole number; None where none does.
    """
    if len(step) < FEWEST_SURE:
        return None
    few = step[np.linspace(0, len(step) - 1, min(len(step), SAMPLE), dtype=int)]
    halves = np.arange(np.ceil(2 * least * (1.0 - SAME_TOTAL)), 2 * LARGEST_TOTAL + 1) / 2
    for some in np.array_split(np.append(halves, 1e6), 50):
        for total in some[_near_whole(some[:, None] / few[None, :]).mean(axis=1) >= MOST_SURE]:
            if _near_whole(total / step).mean() >= MOST_SURE:
                return float(total)
    return None


def _near_whole(values: np.ndarray) -> np.ndarray:
    return np.abs(values - np.rint(values)) <= SLACK + np.abs(values) * ROUNDINGS * SINGLE
