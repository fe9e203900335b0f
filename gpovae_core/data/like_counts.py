"""Whether a matrix holds counts of molecules, by its values alone."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse

from gpovae_core.data.backed import FileMatrix
from gpovae_core.data.recover import changed
from gpovae_core.errors import Problem

LARGEST_EXACT = 2**24  # whole numbers up to here are exact in float32
ALMOST = 1e-3
"""Counts that went through a calculation may be off by so much (4.9999); they are rounded."""
_SAMPLED = 5000
"""What distinguishes counts from other whole numbers is looked for in so many cells."""
_UNDERSPREAD = 0.5
"""Counts of molecules vary at least as much as a Poisson number; values whose variance is below this share of
it are no counts.
"""
_FEWEST_CELLS, _FEWEST_GENES, _COUNTED = 30, 5, 2.0
"""That is asked of so many cells and genes with a mean of at least so many counts."""
FIX = "Training needs the raw UMI counts: put them in X, or in a layer called 'counts'."


def fault(matrix: Any, name: str) -> Problem | None:
    """Why a matrix holds no whole non-negative numbers, as a Problem, or None where it does."""
    if matrix is None:
        return Problem("no-counts", f"{name} is empty: there is no matrix of counts.", FIX)
    if not np.issubdtype(matrix.dtype, np.number) and matrix.dtype != np.bool_:
        return Problem("no-numbers", f"{name} holds no numbers but {matrix.dtype}.", FIX)
    largest, total = 0.0, 0.0
    broken: Problem | None = None
    for values in _blocks(matrix):
        found = _bad_values(values, name)
        if found is not None and found.code != "not-raw-counts":
            return found
        broken = broken or found
        if values.size:
            largest = max(largest, float(values.max()))
            total += float(values.sum(dtype=np.float64))
    if broken is not None:
        return broken
    if largest > LARGEST_EXACT:
        message = (
            f"{name} holds a count of {largest:,.0f}; counts above {LARGEST_EXACT:,} are not exact in "
            "single precision."
        )
        return Problem(
            "counts-too-large",
            message,
            "No cell has so many molecules of a gene: check what the matrix holds.",
        )
    if total == 0:
        return Problem("no-counts", f"{name} holds only zeros.", FIX)
    if largest <= 1:
        message = f"{name} holds nothing but zeros and ones: it says whether a gene was seen, not how often."
        return Problem("counts-binary", message, FIX)
    return None


def almost_whole(matrix: Any) -> bool:
    """Whether all values are whole but for what a calculation adds (4.9999)."""
    return all(
        bool((np.abs(values - np.rint(values)) <= ALMOST).all())
        and bool(((values >= 0.5) | (values <= 1e-6)).all())
        for values in _blocks(matrix)
    )


def rounded(matrix: Any) -> Any:
    def whole(_rows: slice, block: sparse.csr_matrix) -> sparse.csr_matrix:
        found = block.copy()
        found.data = np.rint(block.data)
        found.eliminate_zeros()
        return found

    return changed(matrix, whole)


def unlike_counts(matrix: Any, name: str) -> Problem | None:
    """Why whole numbers are no counts of molecules, as a Problem, or None where they may be.

    Molecules that are counted vary at least as much as a Poisson number: the total of a cell over cells, and
    a gene over cells. Totals that vary less were made equal, and rounded after that; where all are the same
    number, cells were brought to one depth by drawing molecules, which leaves counts. A cell whose smallest
    values are 4, 8, 12 had its counts multiplied.
    """
    part = some_cells(matrix)
    values = part.data
    if values.size and values.min() == values.max():
        message = f"{name} holds no other number than {values.max():,.0f} beside zero."
        return Problem("counts-binary", message, FIX)
    totals = np.asarray(part.sum(axis=1), dtype=np.float64).ravel()
    totals = totals[totals > 0]
    if len(totals) < _FEWEST_CELLS:
        return None
    hint = "Rounding does not bring counts back. " + FIX
    if 0 < totals.var() < _UNDERSPREAD * totals.mean():
        message = (
            f"{name} holds whole numbers, but every cell has about {np.median(totals):,.0f} in all (standard "
            f"deviation {totals.std():,.1f}): they look normalised and rounded."
        )
        return Problem("counts-rounded", message, hint)
    whole = np.rint(values).astype(np.int64)
    divisor = int(np.gcd.reduce(whole)) if whole.size else 1
    if divisor > 1:
        message = (
            f"{name} holds whole numbers, but every one is a multiple of {divisor:,}: counts were "
            "multiplied by it or normalised."
        )
        return Problem("counts-rounded", message, f"Divide by {divisor:,} if nothing else was done. {FIX}")
    if _same_values(part):
        message = (
            f"{name} holds whole numbers, but the same ones in every cell, for other genes: they look "
            "like ranks or quantile-normalised."
        )
        return Problem("counts-rounded", message, hint)
    if _multiplied(part):
        message = (
            f"{name} holds whole numbers, but the values of a cell lie as far apart as its smallest one: "
            "they look normalised and rounded."
        )
        return Problem("counts-rounded", message, hint)
    mean = np.asarray(part.mean(axis=0), dtype=np.float64).ravel()
    squares = np.asarray(part.multiply(part).mean(axis=0), dtype=np.float64).ravel()
    seen = mean >= _COUNTED
    if seen.sum() >= _FEWEST_GENES:
        spread = float(np.median((squares - mean**2)[seen] / mean[seen]))
        if spread < _UNDERSPREAD:
            message = (
                f"{name} holds whole numbers, but genes vary less over cells than counted molecules can "
                f"(variance {spread:.2f} times the mean): they look like rounded logarithms or ranks."
            )
            return Problem("counts-rounded", message, hint)
    return None


def some_cells(matrix: Any) -> sparse.csr_matrix:
    """Some of the cells, float64, without stored zeros."""
    if isinstance(matrix, FileMatrix):
        _, block = next(matrix.blocks())
        part: Any = block[:_SAMPLED]
    else:
        by_row = matrix.tocsr() if sparse.issparse(matrix) else matrix
        rows = np.linspace(0, matrix.shape[0] - 1, min(matrix.shape[0], _SAMPLED), dtype=int)
        part = by_row[rows]
    found = sparse.csr_matrix(part, dtype=np.float64, copy=True)
    found.eliminate_zeros()
    return found


def _same_values(part: sparse.csr_matrix) -> bool:
    """Whether all cells hold the same values in another order."""
    rows = [np.sort(part.data[a:b]) for a, b in itertools.pairwise(part.indptr[:501])]
    first = rows[0]
    return len(np.unique(first)) >= 4 and all(np.array_equal(row, first) for row in rows)


def _multiplied(part: sparse.csr_matrix) -> bool:
    """Whether the second smallest value of nearly every cell is about twice its smallest or more, where that
    is 3 or more.
    """
    apart = looked = 0
    starts = part.indptr
    for row in range(min(len(starts) - 1, 500)):
        values = np.unique(part.data[starts[row] : starts[row + 1]])
        if len(values) < 4:
            continue
        looked += 1
        apart += bool(values[0] >= 3 and values[1] >= 2 * values[0] - 1)
    return looked >= _FEWEST_CELLS and apart >= 0.5 * looked


def _blocks(matrix: Any, size: int = 1 << 22) -> Iterator[np.ndarray]:
    """The stored values in blocks: nothing of the size of a dense (n_obs, n_vars) copy is ever made."""
    if isinstance(matrix, FileMatrix):
        yield from matrix.values()
        return
    if sparse.issparse(matrix):
        for start in range(0, len(matrix.data), size):
            yield matrix.data[start : start + size]
        return
    rows = max(1, size // max(1, matrix.shape[1]))
    for start in range(0, matrix.shape[0], rows):
        yield np.asarray(matrix[start : start + rows]).ravel()


def _bad_values(values: np.ndarray, name: str) -> Problem | None:
    if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
        kind = "missing values (NaN)" if np.isnan(values).any() else "infinite values"
        return Problem("counts-not-finite", f"{name} holds {kind}; counts are whole numbers.", FIX)
    if np.issubdtype(values.dtype, np.number) and values.size and values.min() < 0:
        message = (
            f"{name} holds negative values (e.g. {values.min():.3g}): it looks scaled or batch-corrected, "
            "not raw counts."
        )
        return Problem("counts-negative", message, FIX)
    if np.issubdtype(values.dtype, np.floating):
        broken = values != np.round(values)
        if broken.any():
            example, largest = values[broken][0], values.max()
            guess = "log-normalised" if largest < 25 else "normalised"
            message = (
                f"{name} does not hold raw counts but values such as {example:.3g} (largest {largest:.3g}): "
                f"it looks {guess}."
            )
            return Problem("not-raw-counts", message, FIX)
    return None


def as_csr(matrix: Any) -> sparse.csr_matrix:
    """(n_obs, n_vars) CSR float32 with sorted indices and no stored zeros; a new matrix, the source is not
    changed.
    """
    result = sparse.csr_matrix(matrix, dtype=np.float32, copy=True)
    result.sum_duplicates()
    result.eliminate_zeros()
    return result
