"""Counts come back from normalised values, cell by cell, whatever the total, the logarithm and the storage;
what no count was scaled to is told by its cells.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scanpy
from anndata import AnnData
from scipy import sparse

from gpovae_core.config import DataSettings
from gpovae_core.data import store
from gpovae_core.data.read import read_cells
from gpovae_core.data.recover import recover
from gpovae_core.data.validate import examine
from tests.data.small import small_cells

LOGS = {"natural": None, "base 2": 2, "base 10": 10}


def drawn(cells: int = 120, genes: int = 400, seed: int = 0) -> sparse.csr_matrix:
    """(cells, genes) counts with library sizes as they are met: most values are 0, the rest mostly 1."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(genes, 0.3))
    library = rng.lognormal(7.0, 0.5, cells)
    return sparse.csr_matrix(rng.poisson(library[:, None] * shares).astype(np.float32))


def normalised(counts: sparse.csr_matrix, total: float | None, log: str = "natural") -> Any:
    cells = AnnData(counts.copy())
    scanpy.pp.normalize_total(cells, target_sum=total)
    if log != "none":
        scanpy.pp.log1p(cells, base=LOGS[log])
    return cells.X


@pytest.mark.parametrize("total", [1e4, None, 1e6, 5432.0])
@pytest.mark.parametrize("log", [*LOGS, "none"])
def test_counts_come_back_cell_by_cell(total: float | None, log: str) -> None:
    counts = drawn()
    found = recover(normalised(counts, total, log))
    assert found.failed == 0
    assert (found.matrix != counts).nnz == 0
    want = float(np.median(np.asarray(counts.sum(axis=1)))) if total is None else total
    assert found.total == pytest.approx(want, rel=1e-4)
    assert found.library is None, "all genes are there: the counts say it"


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_storage_does_not_matter(dense: bool, kind: type) -> None:
    counts = drawn()
    values = normalised(counts, 1e4).astype(kind)
    found = recover(values.toarray() if dense else values)
    assert (found.matrix != counts).nnz == 0


@pytest.mark.parametrize("total", [1e4, None, 2500.0])
def test_library_sizes_are_told_by_the_scale_where_genes_are_missing(total: float | None) -> None:
    counts = drawn(300)
    values = normalised(counts, total)[:, :150]
    found = recover(values)
    assert (found.matrix != counts[:, :150]).nnz == 0
    assert found.library is not None
    np.testing.assert_array_equal(found.library, np.asarray(counts.sum(axis=1)).ravel())


def test_a_column_of_library_sizes_takes_common_divisors_out() -> None:
    counts = drawn(200).toarray()
    counts[7] *= 2.0  # all even: values alone cannot tell
    cells = sparse.csr_matrix(counts)
    values = normalised(cells, 1e4)
    assert (recover(values).matrix != cells).nnz > 0
    library = np.asarray(cells.sum(axis=1)).ravel()
    assert (recover(values, [np.ones(200), library]).matrix != cells).nnz == 0


def test_logarithms_of_counts_that_were_never_scaled() -> None:
    counts = drawn()
    counts.data *= 2  # every cell even, and no step but 1 is right
    found = recover(counts.log1p())
    assert (found.matrix != counts).nnz == 0
    assert found.total is None


def test_a_few_decimals_are_enough() -> None:
    counts = drawn()
    values = normalised(counts, 1e4, "none")
    values.data = np.round(values.data, 2)
    assert (recover(values).matrix != counts).nnz == 0


def corrected(values: np.ndarray) -> np.ndarray:
    return values / values.std(axis=0).clip(min=0.1)


def imputed(values: np.ndarray) -> np.ndarray:
    return 0.7 * values + 0.3 * np.roll(values, 1, axis=0)


def decimals(values: np.ndarray) -> np.ndarray:
    return np.round(imputed(values), 2)


@pytest.mark.parametrize("change", [corrected, imputed, decimals])
def test_what_was_worked_on_further_is_refused_with_the_share_of_cells(change: Any) -> None:
    found = recover(change(normalised(drawn(), 1e4).toarray()))
    assert found.matrix is None
    assert found.failed > 0.9 * found.cells


def test_one_damaged_value_among_counts_is_no_scale() -> None:
    counts = drawn()
    counts.data[5] = 0.5
    found = recover(counts)
    assert found.matrix is None
    assert found.failed == 1


def test_one_cell_that_fails_is_enough_and_named() -> None:
    cells = small_cells()
    cells.X = normalised(cells.X, 1e4).toarray()
    cells.X[11] *= np.linspace(1.0, 1.3, cells.n_vars)
    examination = examine(cells, DataSettings())
    assert not examination.ok
    (problem,) = examination.problems
    assert f"(1 of {cells.n_obs})" in problem.message


def test_a_file_of_logarithms_is_used_and_says_so(tmp_path: Any) -> None:
    whole = small_cells()
    cells = whole.copy()
    scanpy.pp.normalize_total(cells, target_sum=1e4)
    scanpy.pp.log1p(cells)
    cells[:, :20].copy().write_h5ad(tmp_path / "cells.h5ad")
    examination = examine(read_cells(tmp_path / "cells.h5ad"), DataSettings())
    reading = examination.reading
    assert reading is not None
    want = whole[list(reading.labels.index), list(reading.genes)].X
    assert (reading.counts != want).nnz == 0
    assert "log-normalised values (natural logarithm" in examination.summary["counts_how"]
    assert "recovered" in examination.decisions[0].taken
    assert any("Cells had been scaled to 1e+04" in note for note in examination.summary["notes"])
    library = np.asarray(whole[list(reading.labels.index)].X.sum(axis=1)).ravel()
    np.testing.assert_array_equal(reading.design.values["size_factor"], library)


def test_counts_that_stay_in_the_file_are_recovered_there(tmp_path: Any, monkeypatch: Any) -> None:
    whole = small_cells()
    cells = whole.copy()
    scanpy.pp.normalize_total(cells, target_sum=1e4)
    scanpy.pp.log1p(cells)
    cells.write_h5ad(tmp_path / "cells.h5ad")
    monkeypatch.setattr("gpovae_core.data.backed.HELD", 100)
    monkeypatch.setattr(store, "BLOCK", 900)
    monkeypatch.setattr("gpovae_core.data.backed.BLOCK", 900)
    examination = examine(read_cells(tmp_path / "cells.h5ad"), DataSettings())
    reading = examination.reading
    assert reading is not None
    want = whole[list(reading.labels.index), list(reading.genes)].X
    assert (reading.counts[np.arange(len(reading.labels))] != want).nnz == 0


def test_raw_counts_elsewhere_win() -> None:
    cells = small_cells()
    cells.layers["umis"] = cells.X.copy()
    cells.X = normalised(cells.X, 1e4)
    assert examine(cells, DataSettings()).summary["counts_from"] == "umis"
