from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from gpovae_core.data.read import read_cells
from gpovae_core.errors import DataError
from tests.data.small import small_cells


def _bytes(name: str, content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def _folder(name: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).mkdir()
        (folder / name / "notes.txt").write_text("hello")
        return folder / name

    return make


def _written(cells: AnnData, name: str = "cells.h5ad") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        cells.write_h5ad(folder / name)
        return folder / name

    return make


def _truncated(folder: Path) -> Path:
    path = _written(small_cells())(folder)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def _foreign_hdf5(folder: Path) -> Path:
    with h5py.File(folder / "matrix.h5ad", "w") as file:
        file["matrix/data"] = np.arange(3)
    return folder / "matrix.h5ad"


def _half_anndata(folder: Path) -> Path:
    with h5py.File(folder / "half.h5ad", "w") as file:
        file["obs"] = np.arange(3)
        file["var"] = np.arange(3)
    return folder / "half.h5ad"


def _foreign_zarr(folder: Path) -> Path:
    import zarr

    zarr.open_group(str(folder / "other.zarr"), mode="w").create_group("images")
    return folder / "other.zarr"


def _repeated_ids() -> AnnData:
    cells = small_cells()
    cells.obs_names = ["same", "same", *cells.obs_names[2:]]
    return cells


def _empty(n_obs: int, n_vars: int) -> AnnData:
    obs, var = (
        pd.DataFrame(index=[f"c{i}" for i in range(n_obs)]),
        pd.DataFrame(index=[f"g{i}" for i in range(n_vars)]),
    )
    return AnnData(sparse.csr_matrix((n_obs, n_vars), dtype=np.float32), obs=obs, var=var)


@pytest.mark.parametrize(
    ("make", "code", "words"),
    [
        pytest.param(
            lambda folder: folder / "nowhere.h5ad", "file-missing", "nowhere.h5ad", id="missing file"
        ),
        pytest.param(
            lambda folder: folder / "nowhere.zarr", "file-missing", "nowhere.zarr", id="missing zarr"
        ),
        pytest.param(_folder("plain.zarr"), "not-zarr", "ordinary folder", id="a folder that is no zarr"),
        pytest.param(_bytes("file.zarr", b"abc"), "not-zarr", "a file", id="a file called zarr"),
        pytest.param(_foreign_zarr, "not-anndata", "obs and var missing", id="zarr without AnnData"),
        pytest.param(_folder("folder.h5ad"), "not-a-file", "is a folder", id="a folder called h5ad"),
        pytest.param(
            _bytes("picture.h5ad", b"\x89PNG\r\n\x1a\n" + bytes(50)),
            "not-hdf5",
            "PNG picture",
            id="renamed PNG",
        ),
        pytest.param(
            _bytes("page.h5ad", b"<html>404</html>"),
            "not-hdf5",
            "web page",
            id="a download that was an error page",
        ),
        pytest.param(_bytes("empty.h5ad", b""), "file-empty", "0 bytes", id="empty file"),
        pytest.param(_truncated, "file-damaged", "cut off or damaged", id="truncated"),
        pytest.param(_foreign_hdf5, "not-anndata", "found matrix", id="HDF5 without AnnData"),
        pytest.param(
            _half_anndata,
            "not-anndata",
            "cannot be read as AnnData",
            id="HDF5 with obs and var of another kind",
        ),
        pytest.param(_bytes("cells.csv", b"a,b\n1,2\n"), "unknown-file-type", "'.csv' file", id="csv"),
        pytest.param(_bytes("cells", b"abc"), "unknown-file-type", "without an ending", id="no ending"),
        pytest.param(_folder("folder"), "unknown-file-type", "a folder", id="folder"),
        pytest.param(_written(_repeated_ids()), "duplicate-cell-ids", "e.g. same", id="duplicate cell ids"),
        pytest.param(_written(_empty(0, 3)), "no-cells", "0 cells (3 genes)", id="0 cells"),
        pytest.param(_written(_empty(3, 0)), "no-genes", "0 genes (3 cells)", id="0 genes"),
    ],
)
@pytest.mark.filterwarnings("ignore:Observation names are not unique")
def test_a_file_that_cannot_be_read_says_what_it_is(
    tmp_path: Path, make: Callable[[Path], Path], code: str, words: str
) -> None:
    with pytest.raises(DataError) as raised:
        read_cells(make(tmp_path))
    (problem,) = raised.value.problems
    assert problem.code == code
    assert words in problem.message
    assert problem.severity == "error"
    assert problem.hint


@pytest.mark.parametrize("ending", ["h5ad", "zarr"])
def test_both_formats_give_back_the_cells_and_stay_sparse(tmp_path: Path, ending: str) -> None:
    cells = small_cells()
    path = tmp_path / f"cells.{ending}"
    cells.write_h5ad(path) if ending == "h5ad" else cells.write_zarr(path)
    back = read_cells(path)
    assert sparse.issparse(back.X)
    assert (back.X != cells.X).nnz == 0
    assert list(back.obs_names) == list(cells.obs_names)
    assert list(back.obs["perturbation"]) == list(cells.obs["perturbation"])


def test_an_empty_raw_as_some_writers_leave_it_is_no_raw(tmp_path):
    import h5py
    from anndata.io import write_elem

    cells = AnnData(
        sparse.csr_matrix(np.eye(3, dtype=np.float32)),
        pd.DataFrame(index=list("abc")),
        pd.DataFrame(index=list("xyz")),
    )
    with h5py.File(tmp_path / "x.h5ad", "w") as file:
        write_elem(file, "/", cells)
        assert "raw" in file
    assert read_cells(tmp_path / "x.h5ad").shape == (3, 3)
