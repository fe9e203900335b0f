"""Observed effects: the arithmetic of normalised expression, per cell and averaged over cells.

Kernels on arrays first, the wrapper on prepared cells last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, overload

import numpy as np
from scipy import sparse

from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.store import HELD, StoredCounts, columns_of, cuts, row_blocks, rows_of, shape_of

EFFECT_SCALE = 1e4
"""Counts per cell behind every treatment effect: log2(1 + 1e4 x / l), whatever `DataSettings.target_sum` is
for training.
"""


@overload
def log_expression(
    counts: sparse.csr_matrix, library_size: np.ndarray | None = None, target_sum: float = EFFECT_SCALE
) -> sparse.csr_matrix: ...


@overload
def log_expression(
    counts: StoredCounts, library_size: np.ndarray | None = None, target_sum: float = EFFECT_SCALE
) -> LogExpression: ...


def log_expression(
    counts: sparse.csr_matrix | StoredCounts,
    library_size: np.ndarray | None = None,
    target_sum: float = EFFECT_SCALE,
) -> sparse.csr_matrix | LogExpression:
    """log(1 + target_sum x / l), natural logarithm, same sparsity as `counts` (n_obs, n_vars); a cell without
    counts stays zero.

    library_size: (n_obs,) UMIs per cell; row sums of `counts` where None. Of counts on disk: what computes it
    for the rows asked for.
    """
    totals = (
        np.asarray(counts.sum(axis=1)).ravel()
        if library_size is None
        else np.asarray(library_size, dtype=np.float64)
    )
    scale = np.divide(target_sum, totals, out=np.zeros(len(totals)), where=totals > 0)
    return LogExpression(counts, scale) if isinstance(counts, StoredCounts) else _log_scaled(counts, scale)


def _log_scaled(counts: sparse.csr_matrix, scale: np.ndarray) -> sparse.csr_matrix:
    """log(1 + scale x); scale: (n_obs,)."""
    result: Any = counts.tocsr().astype(np.float64)
    result.data *= np.repeat(scale, np.diff(result.indptr))
    np.log1p(result.data, out=result.data)
    return result


class LogExpression:
    """log_expression of counts that are too large for a copy: `expression[rows]` and `expression[rows,
    columns]` compute what is asked for.

    expression[:, columns] holds these columns of the counts in memory, and still computes the logarithms of
    the rows asked for.
    """

    def __init__(
        self,
        counts: StoredCounts | sparse.csr_matrix,
        scale: np.ndarray,
        only: np.ndarray | None = None,
    ) -> None:
        """scale: (n_obs,) what the counts of a cell are multiplied by before the logarithm; only: columns."""
        self.counts, self.scale, self.only = counts, scale, only
        self.shape: Any = shape_of(counts) if only is None else (shape_of(counts)[0], len(only))

    def __getitem__(self, asked: Any) -> Any:
        if isinstance(asked, tuple):
            rows, columns = asked
            if isinstance(rows, slice) and rows == slice(None):
                return LogExpression(columns_of(self.counts, columns), self.scale)
            return self[rows][:, columns]
        chosen: Any = self.counts[asked]
        return _log_scaled(chosen if self.only is None else chosen[:, self.only], self.scale[asked])

    def of_columns(
        self, columns: np.ndarray, progress: Progress | None = None, doing: str = ""
    ) -> LogExpression:
        """The same of these columns; their counts are held in memory where they are not too many."""
        if self.counts.nnz * len(columns) > HELD * self.shape[1]:
            return LogExpression(self.counts, self.scale, columns)
        return LogExpression(columns_of(self.counts, columns, progress, doing), self.scale)

    def take(self, rows: np.ndarray) -> LogExpression:
        """These rows, still to be computed."""
        return LogExpression(rows_of(self.counts, rows), self.scale[rows])

    def column_cuts(self, most: int, progress: Progress | None = None, doing: str = "") -> Iterator[slice]:
        """All genes in order, some at a time: as many as have about `most` stored values."""
        filled = np.zeros(self.shape[1], dtype=np.int64)
        for rows, block in row_blocks(self.counts):
            filled += np.bincount(block.indices, minlength=self.shape[1])
            tell(progress, doing, rows.stop / self.shape[0])
        return cuts(filled, most)

    def columns(self, genes: slice, read: Callable[[float], None]) -> sparse.csc_matrix:
        """(n_obs, genes) by gene; all counts are gone through for it, `read` is told the share of them."""
        parts = []
        for rows, block in row_blocks(self.counts):
            parts.append(_log_scaled(block[:, genes], self.scale[rows]))
            read(rows.stop / self.shape[0])
        return sparse.csc_matrix(sparse.vstack(parts, format="csc"))


def absolute_cell_effects(
    expression: sparse.csr_matrix | LogExpression,
    cells: np.ndarray,
    controls: np.ndarray,
    columns: np.ndarray | slice,
) -> np.ndarray:
    """dX (b, m): abs(expression[cell] - expression[its control]) at `columns`; zeros where the control is -1
    (control cells).
    """
    paired = controls >= 0
    own, control = (expression[rows][:, columns].toarray() for rows in (cells[paired], controls[paired]))
    result = np.zeros((len(cells), own.shape[1]), dtype=np.float32)
    result[paired] = np.abs(own - control)
    return result


def log2_moments(expression: Any, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, int]:
    """Mean and unbiased variance per gene of the cells at `rows`, in log2 units, and how many cells there
    are.
    """
    chosen = expression[rows]
    n = chosen.shape[0]
    if n == 0:
        return np.full(expression.shape[1], np.nan), np.full(expression.shape[1], np.nan), 0
    mean = np.asarray(chosen.mean(axis=0)).ravel()
    square = np.asarray(chosen.multiply(chosen).mean(axis=0)).ravel()
    variance = np.maximum(square - mean**2, 0.0) * (n / (n - 1) if n > 1 else np.nan)
    return mean / np.log(2), variance / np.log(2) ** 2, n
