"""Which matrix of a file holds the counts: by what it holds, then by its name; whole numbers alone do not
do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from gpovae_core.config import DataSettings
from gpovae_core.data.counts import find_counts
from gpovae_core.data.validate import examine
from tests.data.small import small_cells


def rows_to(total: float, values: Any) -> np.ndarray:
    counts = values.toarray()
    return counts * (total / counts.sum(axis=1, keepdims=True))


def rounded_logarithms(values: Any) -> np.ndarray:
    return np.round(np.log1p(rows_to(1e4, values)))


def rounded_part(values: Any) -> np.ndarray:
    """Rounded CP10k of some of the genes: the totals vary."""
    rare = sparse.csr_matrix(np.random.default_rng(0).poisson(values.toarray() / 3.0))
    return np.round(rows_to(1e3, rare))[:, :20].repeat(2, axis=1)[:, : values.shape[1]]


NOT_COUNTS: list[tuple[str, Callable[[Any], Any], str]] = [
    ("rounded CP10k", lambda x: np.round(rows_to(1e4, x)), "counts-rounded"),
    ("rounded CPM", lambda x: np.round(rows_to(1e6, x)), "counts-rounded"),
    ("rounded to their median", lambda x: np.round(rows_to(180.0, x)), "counts-rounded"),
    ("rounded logarithms", rounded_logarithms, "counts-rounded"),
    ("rounded CP10k of a part", rounded_part, "counts-rounded"),
    ("zeros and ones", lambda x: (x.toarray() > 0).astype(np.float32), "counts-binary"),
    ("true and false", lambda x: x.toarray() > 0, "counts-binary"),
    ("zeros and threes", lambda x: 3.0 * (x.toarray() > 0), "counts-binary"),
]


@pytest.mark.parametrize(
    ("change", "code"), [row[1:] for row in NOT_COUNTS], ids=[row[0] for row in NOT_COUNTS]
)
def test_whole_numbers_are_not_yet_counts(change: Callable[[Any], Any], code: str) -> None:
    cells = small_cells()
    counts = cells.X.copy()
    cells.X = change(cells.X)
    found = find_counts(cells)
    assert found.matrix is None
    assert [problem.code for problem in found.problems] == [code]
    cells.layers["my_umis"] = counts
    found = find_counts(cells)
    assert found.source == "my_umis"
    assert (found.matrix != counts).nnz == 0


def test_cells_drawn_down_to_one_depth_are_counts() -> None:
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.ones(40), size=100)
    cells = AnnData(np.array([rng.multinomial(500, share) for share in shares], dtype=np.float32))
    assert find_counts(cells).problems == []


def parts(matrix: bool = False) -> AnnData:
    cells = small_cells()
    counts = cells.X.toarray().astype(int)
    rng = np.random.default_rng(1)
    spliced = rng.binomial(counts, 0.7)
    unspliced = rng.binomial(counts - spliced, 0.8)
    kinds = {"spliced": spliced, "unspliced": unspliced, "ambiguous": counts - spliced - unspliced}
    for name, values in kinds.items():
        cells.layers[name] = sparse.csr_matrix(values.astype(np.float32))
    if matrix:
        cells.layers["matrix"] = cells.X.copy()
    return cells


@pytest.mark.parametrize("x", ["spliced", "logarithms", "nothing"])
def test_layers_with_a_part_of_the_molecules_are_asked_about(x: str) -> None:
    cells = parts()
    whole = cells.X.copy()
    if x == "spliced":
        cells.X = cells.layers["spliced"].copy()
    elif x == "logarithms":
        cells.X = sparse.csr_matrix(np.log1p(rows_to(1e4, cells.X)))
    else:
        cells.X = None
    examination = examine(cells, DataSettings())
    decision = examination.decisions[0]
    assert not examination.ok
    assert decision.asked
    values = [option.value for option in decision.options]
    joined = "spliced+unspliced+ambiguous"
    assert {"spliced", "unspliced", "ambiguous", joined} <= set(values)
    summed = find_counts(cells, joined)
    assert (summed.matrix != whole).nnz == 0
    (warning,) = find_counts(cells, "spliced").problems
    assert warning.severity == "warning"


def test_the_matrix_beside_its_parts_is_taken() -> None:
    cells = parts(matrix=True)
    cells.X = cells.layers["spliced"].copy()
    found = find_counts(cells)
    assert found.source == "matrix"
    assert found.matrix.sum() == cells.layers["matrix"].sum()


def test_whole_numbers_in_x_yield_to_a_layer_that_says_counts() -> None:
    cells = small_cells()
    cells.layers["counts"] = cells.X.copy()
    assert find_counts(cells).source == "X", "both hold the same"
    cells.X = sparse.csr_matrix(np.ceil(cells.X.toarray() * 0.6))
    found = find_counts(cells)
    assert found.source == "counts"
    assert "both hold whole numbers" in found.problems[0].message
    assert find_counts(cells, "X").source == "X"


def test_raw_with_more_genes_wins_and_has_the_columns_of_var() -> None:
    whole = small_cells()
    whole.var["gene_symbol"] = whole.var_names
    whole.var_names = [f"ENSG{i:011d}" for i in range(whole.n_vars)]
    cells = whole[:, :12].copy()
    cells.raw = AnnData(whole.X, var=pd.DataFrame(index=whole.var_names))
    found = find_counts(cells)
    assert found.source == "raw"
    assert found.matrix.shape[1] == 30
    assert found.var is not None
    assert list(found.var["gene_symbol"][:12]) == list(cells.var["gene_symbol"])
    assert "12 genes" in found.problems[0].message


@pytest.mark.parametrize("off", [-1e-4, 5e-7, -9e-4])
def test_counts_that_are_almost_whole_are_rounded_and_it_is_said(off: float) -> None:
    cells = small_cells()
    counts = cells.X.copy()
    cells.X = cells.X.astype(np.float64)
    cells.X.data += off
    found = find_counts(cells)
    assert (found.matrix != counts).nnz == 0
    assert "rounded" in found.how
    assert len(found.notes) == 1


@pytest.mark.parametrize("mark", ["False", "True", np.array([0, 1, 2]), np.array([True]), 1, {"a": 1}, None])
def test_only_the_own_mark_says_that_cells_are_simulated(mark: Any) -> None:
    cells = small_cells()
    cells.uns["simulated"] = mark
    assert examine(cells, DataSettings()).summary["simulated"] is False
    cells.uns["simulated"] = np.bool_(True)
    assert examine(cells, DataSettings()).summary["simulated"] is True
