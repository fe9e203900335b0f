"""A reader is one file: put there, its form is read, listed in the data folder, taken as an upload, and
named in the words for everything else.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from gpovae_core.data import readers
from gpovae_core.data.folder import list_files, save_upload, upload_endings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.read import read_cells
from gpovae_core.data.readers import Reader, all_readers, forms_in_words, reader_of
from gpovae_core.errors import DataError
from tests.data.small import small_cells
from tests.test_startup import HEAVY, loaded_by
from tests.toy import tiny_settings, toy_simulation

TOY = '''
from gpovae_core.data.readers import Reader

FIRST = b"toy cells"


def recognises(path):
    return path.is_file() and path.open("rb").readline().strip() == FIRST


def read(path):
    """A table of counts, one line a cell: id, label, counts."""
    import anndata
    import pandas as pd
    from scipy import sparse

    table = pd.read_csv(path, skiprows=1, index_col=0, dtype={"perturbation": str})
    counts = table.drop(columns="perturbation")
    found = anndata.AnnData(sparse.csr_matrix(counts.to_numpy(dtype="float32")), table[["perturbation"]])
    found.var_names = list(counts.columns)
    return found


READER = Reader("toy", "a table of toy cells", (".toy.csv",), 90, recognises, read)
'''
TOY_FOLDER = """
from gpovae_core.data.readers import Reader


def recognises(path):
    return (path / "toy_counts.npy").is_file()


def read(path):
    import anndata
    import numpy as np

    return anndata.AnnData(np.load(path / "toy_counts.npy"))


READER = Reader("toy_folder", "a folder of toy counts", (), 91, recognises, read, folder=True)
"""


@pytest.fixture
def toy_readers(tmp_path, monkeypatch) -> Iterator[None]:
    """Two more files in a second folder in which the package looks for readers, forgotten afterwards."""
    folder = tmp_path / "more_readers"
    folder.mkdir()
    (folder / "toy_table.py").write_text(TOY)
    (folder / "toy_folder.py").write_text(TOY_FOLDER)
    monkeypatch.setattr(readers, "__path__", [*readers.__path__, str(folder)])
    all_readers.cache_clear()
    yield
    all_readers.cache_clear()
    for name in ("toy_table", "toy_folder"):
        sys.modules.pop(f"{readers.__name__}.{name}", None)


def toy_table(path: Path) -> Path:
    cells = toy_simulation().adata
    table = pd.DataFrame(cells.X.toarray(), index=cells.obs_names, columns=cells.var_names)
    table.insert(0, "perturbation", cells.obs["perturbation"].astype(str))
    path.write_text("toy cells\n" + table.to_csv())
    return path


def test_a_reader_in_one_file_makes_its_form_readable_and_listed(tmp_path, toy_readers):
    folder = tmp_path / "data"
    (folder / "screens" / "counts").mkdir(parents=True)
    path = toy_table(folder / "screens" / "first.toy.csv")
    np.save(folder / "screens" / "counts" / "toy_counts.npy", np.ones((3, 2), dtype=np.float32))
    (folder / "notes.csv").write_text("a,b\n1,2\n")

    cells = read_cells(path)
    assert (cells.X != toy_simulation().adata.X).nnz == 0
    assert list(cells.obs["perturbation"]) == list(toy_simulation().adata.obs["perturbation"].astype(str))
    prepared = prepare(path, tiny_settings().data)
    assert prepared.report.source == "first.toy.csv"
    assert read_cells(folder / "screens" / "counts").shape == (3, 2)

    listed = {file.name: file.size for file in list_files(folder)}
    assert listed == {"screens/first.toy.csv": path.stat().st_size, "screens/counts": None}

    with pytest.raises(DataError) as raised:
        read_cells(folder / "notes.csv")
    assert str(raised.value).startswith(
        "'notes.csv' is a '.csv' file; expected a .h5ad file, a .zarr folder, a .h5mu file, a 10x .h5 "
        "file, a 10x folder (matrix.mtx), a .h5ad.gz file, a zipped zarr store (.zarr.zip), a table of toy "
        "cells or a folder of toy counts."
    )


def test_what_is_one_file_can_be_uploaded_and_keeps_its_whole_ending(tmp_path, toy_readers):
    forms = [".h5ad", ".h5mu", ".h5", ".h5ad.gz", ".h5mu.gz", ".h5.gz", ".zarr.zip"]
    assert upload_endings() == [*forms, ".toy.csv"]
    names = [save_upload(tmp_path, "x.toy.csv", io.BytesIO(bytes([n]))).name for n in (1, 2, 1)]
    assert names == ["x.toy.csv", "x_2.toy.csv", "x.toy.csv"]
    effects = b"perturbation,gene,log2fc,se\nA,B,1,1\n"
    assert save_upload(tmp_path, "effects.csv", io.BytesIO(effects)).name == "effects.csv"
    with pytest.raises(DataError, match=r"expected a \.h5ad file, .* or a table of toy cells\."):
        save_upload(tmp_path, "x.csv", io.BytesIO(b""))


def test_a_form_goes_by_the_content_and_then_by_the_name(tmp_path, toy_readers):
    hidden = toy_table(tmp_path / "cells.dat")
    named = toy_table(tmp_path / "cells.h5ad")
    for path in (hidden, named):
        reader = reader_of(path)
        assert reader is not None
        assert reader.key == "toy"
    small_cells().write_h5ad(tmp_path / "export.bin")
    assert read_cells(tmp_path / "export.bin").shape == small_cells().shape
    small_cells().write_h5ad(tmp_path / "SHOUTED.H5AD")
    assert [file.name for file in list_files(tmp_path)] == ["cells.h5ad", "SHOUTED.H5AD"]
    small_cells().write_zarr(tmp_path / "store")
    assert read_cells(tmp_path / "store").shape == small_cells().shape
    (tmp_path / "wrong.toy.csv").write_text("a,b\n1,2\n")
    reader = reader_of(tmp_path / "wrong.toy.csv")
    assert reader is not None
    assert reader.key == "toy", "who has the name says what is wrong with the content"


def test_hdf5_that_says_what_else_it_is_is_no_anndata(tmp_path):
    path = tmp_path / "cells.h5mu"
    small_cells().write_h5ad(path)
    with h5py.File(path, "r+") as file:
        file.attrs["encoding-type"] = "MuData"
    assert not any(reader.recognises(path) for reader in all_readers())
    with pytest.raises(DataError, match=r"'cells\.h5mu' holds no modalities"):
        read_cells(path)


@pytest.mark.parametrize("make", [lambda path: path.write_bytes(b""), lambda path: path.mkdir()])
def test_recognising_never_raises(tmp_path, make):
    make(tmp_path / "odd")
    assert [reader.key for reader in all_readers() if reader.recognises(tmp_path / "odd")] == []
    (tmp_path / "cut").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    assert reader_of(tmp_path / "cut") is None


def test_readers_have_keys_and_an_order_of_their_own_and_are_listed_without_heavy_libraries():
    for field in ("key", "title", "order"):
        assert len({getattr(reader, field) for reader in all_readers()}) == len(all_readers()), field
    assert all(isinstance(reader, Reader) for reader in all_readers())
    assert forms_in_words().startswith("a .h5ad file, a .zarr folder, ")
    listed = "from gpovae_core.data.readers import forms_in_words; forms_in_words()"
    assert loaded_by(listed, (*HEAVY, "numpy", "scipy", "pandas", "h5py", "zarr", "pydantic")) == set()
