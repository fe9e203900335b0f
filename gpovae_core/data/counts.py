"""Finding the raw counts in a file: X, a layer, or raw, whichever holds whole non-negative numbers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from scipy import sparse

from gpovae_core.data.backed import FileMatrix
from gpovae_core.errors import Problem

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells

LARGEST_EXACT = 2**24  # whole numbers up to here are exact in float32
_USUAL_LAYERS = ("counts", "raw_counts", "count", "raw", "umi", "umis", "spliced_unspliced")
_FIX = "Training needs the raw UMI counts: put them in X, or in a layer called 'counts'."


@dataclass(frozen=True)
class Counts:
    """matrix: (n_obs, n_vars) raw counts as stored (None where there are none); var: the genes of its
    columns; sources: every matrix of the file by the name that counts_layer knows it by.
    """

    matrix: Any
    var: pd.DataFrame | None
    source: str
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sources: tuple[str, ...] = ()


def find_counts(cells: AnnData | BackedCells, wanted: str | None = None) -> Counts:
    """The matrix of raw counts: `wanted` where given, else X, else the usual layers, raw, and any other
    layer.

    wanted: 'X', 'raw' or the name of a layer (`DataSettings.counts_layer`).
    """
    found = _find(cells) if wanted is None else _wanted_counts(cells, wanted)
    return replace(found, sources=("X", *_other_sources(cells)))


def _find(cells: AnnData | BackedCells) -> Counts:
    x_fault = fault(cells.X, "X")
    if x_fault is None:
        return Counts(cells.X, cast("pd.DataFrame", cells.var), "X")
    for source in _other_sources(cells):
        matrix, var = _stored(cells, source)
        if fault(matrix, source) is None:
            place = "raw" if source == "raw" else f"the layer '{source}'"
            message = f"{x_fault.message} Raw counts were found in {place} and are used instead."
            return Counts(matrix, var, source, [Problem("counts-not-in-x", message, severity="warning")])
    looked = ["X", *_other_sources(cells)]
    tried = f" Looked in {', '.join(looked)} and found no raw counts." if len(looked) > 1 else ""
    problem = Problem(x_fault.code, f"{x_fault.message}{tried}", x_fault.hint)
    return Counts(None, None, "X", [problem])


def _wanted_counts(cells: AnnData | BackedCells, wanted: str) -> Counts:
    known = ["X", *_other_sources(cells)]
    if wanted not in known:
        message = f"counts_layer is '{wanted}', but the file has only: {', '.join(known)}."
        return Counts(None, None, wanted, [Problem("counts-layer-missing", message, "Choose one of them.")])
    matrix, var = _stored(cells, wanted)
    problem = fault(matrix, wanted)
    return Counts(None, None, wanted, [problem]) if problem else Counts(matrix, var, wanted)


def _other_sources(cells: AnnData | BackedCells) -> list[str]:
    layers = list(map(str, cells.layers))
    usual = [name for wish in _USUAL_LAYERS for name in layers if name.casefold() == wish]
    raw = ["raw"] if cells.raw is not None and "raw" not in usual else []
    return [*usual, *raw, *sorted(set(layers) - set(usual))]


def _stored(cells: AnnData | BackedCells, source: str) -> tuple[Any, pd.DataFrame]:
    if source == "X":
        return cells.X, cast("pd.DataFrame", cells.var)
    if source in cells.layers:
        return cells.layers[source], cast("pd.DataFrame", cells.var)
    raw: Any = cells.raw
    return raw.X, cast("pd.DataFrame", raw.var)


def fault(matrix: Any, name: str) -> Problem | None:
    """Why a matrix holds no raw counts, as a Problem, or None where it does."""
    if matrix is None:
        return Problem("no-counts", f"{name} is empty: there is no matrix of counts.", _FIX)
    if not np.issubdtype(matrix.dtype, np.number) and matrix.dtype != np.bool_:
        return Problem("not-raw-counts", f"{name} holds no numbers but {matrix.dtype}.", _FIX)
    largest, total = 0.0, 0.0
    for values in _blocks(matrix):
        found = _bad_values(values, name)
        if found:
            return found
        if values.size:
            largest = max(largest, float(values.max()))
            total += float(values.sum(dtype=np.float64))
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
        return Problem("no-counts", f"{name} holds only zeros.", _FIX)
    return None


def _blocks(matrix: Any, size: int = 1 << 22) -> Any:
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
        return Problem("counts-not-finite", f"{name} holds {kind}; counts are whole numbers.", _FIX)
    if np.issubdtype(values.dtype, np.number) and values.size and values.min() < 0:
        message = (
            f"{name} holds negative values (e.g. {values.min():.3g}): it looks scaled or batch-corrected, "
            "not raw counts."
        )
        return Problem("counts-negative", message, _FIX)
    if np.issubdtype(values.dtype, np.floating):
        broken = values != np.round(values)
        if broken.any():
            example, largest = values[broken][0], values.max()
            guess = "log-normalised" if largest < 25 else "normalised"
            message = (
                f"{name} does not hold raw counts but values such as {example:.3g} (largest {largest:.3g}): "
                f"it looks {guess}."
            )
            return Problem("not-raw-counts", message, _FIX)
    return None


def as_csr(matrix: Any) -> sparse.csr_matrix:
    """(n_obs, n_vars) CSR float32 with sorted indices and no stored zeros; a new matrix, the source is not
    changed.
    """
    result = sparse.csr_matrix(matrix, dtype=np.float32, copy=True)
    result.sum_duplicates()
    result.eliminate_zeros()
    return result
