"""Cells that another program predicted, as effects: the form of cell-eval and the Virtual Cell Challenge."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gpovae_core.data.labelled import cells_of
from gpovae_core.data.labels.controls import control_kind
from gpovae_core.errors import QueryError

if TYPE_CHECKING:
    from scipy import sparse

LABELS = ("target_gene", "perturbation", "gene", "target", "condition")
"""Columns of obs in which the perturbed gene is looked for, in this order."""
LARGEST_LOG = 25.0
"""Above this no value is the logarithm of a count."""
LOGARITHM_OF = 1e4
ALIKE = 0.01
"""How far apart, relative, the sums of cells may be that were brought to one depth."""
EXPECTED = (
    "Expected predicted cells as .h5ad: the perturbed gene of every cell in obs['target_gene'], control "
    "cells ('non-targeting') among them, and X with counts or with log(counts per 10,000 + 1)."
)


def effects_of_cells(path: Path) -> pd.DataFrame:
    """(perturbations x genes) difference of mean log2(counts per 10,000 + 1) against the control cells of the
    file.

    Whole numbers are taken for counts and brought to 10,000 a cell; other values for natural logarithms,
    which are brought to the same where all cells add up to one other depth. Raises QueryError that says what
    is wrong: no such file, no labels, no control cells, values that are neither.
    """
    from gpovae_core.data.backed import BackedCells
    from gpovae_core.data.readers import h5ad

    path = Path(path)
    if not path.is_file():
        raise QueryError(f"There is no file of predicted cells '{path}'.")
    cells: Any = h5ad.read(path)
    if isinstance(cells, BackedCells):
        raise QueryError(
            f"'{path.name}' is too large to be held in memory: give fewer cells of each perturbation, or the "
            "effects as a table."
        )
    column, labels = _labels(path, cells.obs)
    if cells.X is None:
        raise QueryError(f"'{path.name}' holds no X. {EXPECTED}")
    values = _logarithms(path, cells.X)
    control = np.array([control_kind(label) is not None for label in labels])
    if not control.any():
        some = ", ".join(dict.fromkeys(labels.tolist()))[:80]
        raise QueryError(f"'{path.name}' has no control cells in obs['{column}'] ({some}). {EXPECTED}")
    names = pd.Index(dict.fromkeys(labels[~control].tolist()))
    if not len(names):
        raise QueryError(f"'{path.name}' has control cells alone. {EXPECTED}")
    groups = cells_of(labels, names.tolist())
    base = _mean(values, np.flatnonzero(control))
    table = np.stack([_mean(values, rows) - base for rows in groups]) / np.log(2)
    genes = pd.Index(cells.var_names.astype(str))
    if genes.has_duplicates:
        raise QueryError(f"'{path.name}' has {genes[genes.duplicated()][0]!r:.60} twice among its genes.")
    return pd.DataFrame(table, index=names, columns=genes)


def _labels(path: Path, obs: pd.DataFrame) -> tuple[str, np.ndarray]:
    column = next((name for name in LABELS if name in obs), None)
    if column is None:
        found = ", ".join(map(str, obs.columns))[:120] or "none"
        raise QueryError(f"'{path.name}' has the columns {found} in obs. {EXPECTED}")
    return column, obs[column].astype(str).to_numpy(dtype=object)


def _logarithms(path: Path, matrix: sparse.csr_matrix | np.ndarray) -> sparse.csr_matrix:
    """(cells, genes) log(counts per 10,000 + 1), natural logarithm."""
    from scipy import sparse

    values = sparse.csr_matrix(matrix, dtype=np.float64)
    if not np.isfinite(values.data).all() or (values.data < 0).any():
        raise QueryError(
            f"'{path.name}' has values below zero, or that are no finite numbers: scaled values are neither "
            f"counts nor their logarithms. {EXPECTED}"
        )
    counts = bool((values.data == np.round(values.data)).all())
    if not counts and values.data.max(initial=0.0) > LARGEST_LOG:
        raise QueryError(
            f"'{path.name}' has values up to {values.data.max():.3g} that are no whole numbers: neither "
            f"counts nor logarithms. {EXPECTED}"
        )
    if not counts:
        values.data = np.expm1(values.data)
    totals = np.asarray(values.sum(axis=1)).ravel()
    some = totals[totals > 0]
    if len(some) and (counts or np.ptp(some) <= ALIKE * some.mean()):
        scale = np.divide(LOGARITHM_OF, totals, out=np.zeros_like(totals), where=totals > 0)
        values = sparse.csr_matrix(sparse.diags(scale) @ values)
    values.data = np.log1p(values.data)
    return values


def _mean(values: sparse.csr_matrix, rows: np.ndarray) -> np.ndarray:
    return np.asarray(values[rows].mean(axis=0)).ravel()
