"""Files that go wrong in one way each: name -> (what makes it, words a person must read)."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from tests.data.small import small_cells

Maker = Callable[[Path], str]
"""Puts a file into a folder; returns the name by which a person would ask for it."""


def written(cells: AnnData, folder: Path) -> str:
    cells.write_h5ad(folder / "cells.h5ad")
    return "cells.h5ad"


def changed(change: Callable[[AnnData], AnnData | None]) -> Maker:
    def make(folder: Path) -> str:
        cells = small_cells()
        made = change(cells)
        return written(cells if made is None else made, folder)

    return make


def values(change: Callable[[np.ndarray], np.ndarray]) -> Maker:
    def apply(cells: AnnData) -> None:
        cells.X = sparse.csr_matrix(
            (change(cells.X.data.astype(np.float64)), cells.X.indices, cells.X.indptr), shape=cells.X.shape
        )

    return changed(apply)


def content(data: bytes, name: str = "cells.h5ad") -> Maker:
    def make(folder: Path) -> str:
        (folder / name).write_bytes(data)
        return name

    return make


def cut(share: float) -> Maker:
    def make(folder: Path) -> str:
        name = written(small_cells(), folder)
        whole = (folder / name).read_bytes()
        (folder / name).write_bytes(whole[: int(len(whole) * share)])
        return name

    return make


def scrambled(folder: Path) -> str:
    """The header is whole; bytes in the middle are not."""
    name = written(small_cells(), folder)
    whole = bytearray((folder / name).read_bytes())
    rng = np.random.default_rng(0)
    whole[4000 : len(whole) // 2] = rng.integers(0, 256, len(whole) // 2 - 4000, dtype=np.uint8).tobytes()
    (folder / name).write_bytes(bytes(whole))
    return name


def empty(n_obs: int, n_vars: int) -> Maker:
    obs, var = (
        pd.DataFrame(index=[f"c{i}" for i in range(n_obs)]),
        pd.DataFrame(index=[f"g{i}" for i in range(n_vars)]),
    )
    return lambda folder: written(
        AnnData(sparse.csr_matrix((n_obs, n_vars), dtype=np.float32), obs=obs, var=var), folder
    )


def objects_in_x(folder: Path) -> str:
    name = written(small_cells(), folder)
    with h5py.File(folder / name, "a") as file:
        del file["X"]
        file.create_dataset("X", data=np.full((240, 30), "3", dtype=object), dtype=h5py.string_dtype())
        file["X"].attrs.update({"encoding-type": "string-array", "encoding-version": "0.2.0"})
    return name


def huge_dense(folder: Path) -> str:
    """64 GB of zeros that were never written: a few kB on disk."""
    name = written(small_cells(), folder)
    with h5py.File(folder / name, "a") as file:
        del file["X"]
        made = file.create_dataset("X", shape=(2_000_000, 8_000), dtype="f4", chunks=(1000, 1000))
        made.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    return name


def matrix_of_the_wrong_shape(folder: Path) -> str:
    name = written(small_cells(), folder)
    with h5py.File(folder / name, "a") as file:
        file["X"].attrs["shape"] = [100, 30]
    return name


def labels(column: list[object]) -> Maker:
    def apply(cells: AnnData) -> None:
        cells.obs["perturbation"] = (column * (cells.n_obs // len(column) + 1))[: cells.n_obs]

    return changed(apply)


def many_labels(folder: Path) -> str:
    n = 100_000
    values = (1 + np.arange(n) % 7).astype(np.float32)
    counts = sparse.csr_matrix((values, (np.arange(n), np.arange(n) % 5)), shape=(n, 5))
    names = ["control"] + [f"GENE{i}" for i in range(1, n)]
    obs = pd.DataFrame({"perturbation": names}, index=[f"c{i}" for i in range(n)])
    return written(AnnData(counts, obs=obs, var=pd.DataFrame(index=list("ABCDE"))), folder)


def duplicate(what: str) -> Maker:
    def apply(cells: AnnData) -> None:
        names = list(getattr(cells, what))
        setattr(cells, what, [names[1], *names[1:]])

    return changed(apply)


def drop_label(cells: AnnData) -> None:
    del cells.obs["perturbation"]


def foreign(folder: Path) -> str:
    with h5py.File(folder / "cells.h5ad", "w") as file:
        file["matrix/data"] = np.arange(3)
    return "cells.h5ad"


def link_out(folder: Path) -> str:
    outside = folder.parent / "outside"
    outside.mkdir(exist_ok=True)
    written(small_cells(), outside)
    os.symlink(outside / "cells.h5ad", folder / "link.h5ad")
    return "link.h5ad"


def link_to_folder_out(folder: Path) -> str:
    link_out(folder)
    os.symlink(folder.parent / "outside", folder / "sub")
    return "sub/cells.h5ad"


def circle(folder: Path) -> str:
    os.symlink(folder / "a.h5ad", folder / "b.h5ad")
    os.symlink(folder / "b.h5ad", folder / "a.h5ad")
    return "a.h5ad"


def outside_by_name(name: str) -> Maker:
    def make(folder: Path) -> str:
        link_out(folder)
        return name.replace("OUTSIDE", str(folder.parent / "outside"))

    return make


def nested(folder: Path) -> str:
    """A group where the counts should be, deep in itself."""
    name = written(small_cells(), folder)
    with h5py.File(folder / name, "a") as file:
        del file["obs"]
        file["obs"] = h5py.SoftLink("/obs")
    return name


BROKEN: dict[str, tuple[Maker, str]] = {
    "empty file": (content(b""), "0 bytes"),
    "cut to half": (cut(0.5), "cut off or damaged"),
    "cut to a tenth": (cut(0.1), "cut off or damaged"),
    "the last bytes missing": (cut(0.98), "cut off or damaged"),
    "scrambled inside": (scrambled, "damaged"),
    "renamed PNG": (content(b"\x89PNG\r\n\x1a\n" + bytes(999)), "PNG picture"),
    "renamed zip": (content(b"PK\x03\x04" + bytes(999)), "zip archive"),
    "gzipped": (content(b"\x1f\x8b" + bytes(999)), "gzip file"),
    "an error page": (content(b"<html>404 not found</html>"), "web page"),
    "only the signature": (content(b"\x89HDF\r\n\x1a\n"), "cut off or damaged"),
    "a pickle": (content(b"\x80\x04\x95" + bytes(99)), "not an HDF5 file"),
    "HDF5 of another kind": (foreign, "holds no AnnData"),
    "obs that points at itself": (nested, "AnnData"),
    "0 cells": (empty(0, 5), "0 cells"),
    "0 genes": (empty(5, 0), "0 genes"),
    "text in X": (objects_in_x, "holds no numbers"),
    "X of another shape than obs": (matrix_of_the_wrong_shape, "cannot be"),
    "negative counts": (values(lambda x: -x), "negative values"),
    "fractions": (values(lambda x: x + 0.5), "does not hold raw counts"),
    "logarithms worked on further": (values(lambda x: np.log1p(x) ** 1.3), "looks log-normalised"),
    "NaN": (values(lambda x: np.where(x > 8, np.nan, x)), "missing values (NaN)"),
    "infinite": (values(lambda x: np.where(x > 8, np.inf, x)), "infinite values"),
    "beyond float32": (values(lambda x: x + 2.0**40), "not exact in single precision"),
    "only zeros": (values(lambda x: x * 0), "only zeros"),
    "no label column": (changed(drop_label), "No column of obs"),
    "labels all missing": (labels([np.nan]), "holds no labels"),
    "one label": (labels(["control"]), "at least 2 perturbations"),
    "no control": (labels(["GENE01", "GENE02", "GENE03"]), "control"),
    "labels of guides": (labels(["NT", "AAA_1", "AAA_2", "BBB_1", "BBB_2"]), "guides"),
    "100,000 labels of one cell": (many_labels, "1 control cell"),
    "duplicate barcodes": (duplicate("obs_names"), "Every cell needs an id of its own"),
    "duplicate genes": (duplicate("var_names"), "Every gene needs a name of its own"),
    "transposed": (changed(lambda cells: cells.T.copy()), "rows look like genes"),
    "dense and far too large": (huge_dense, "would need about"),
    "not there": (lambda folder: "nowhere.h5ad", "There is no file"),
    "a path with ..": (outside_by_name("../outside/cells.h5ad"), "leads out of the data folder"),
    "an absolute path": (outside_by_name("OUTSIDE/cells.h5ad"), "leads out of the data folder"),
    "a link out of the folder": (link_out, "leads out of the data folder"),
    "a linked folder": (link_to_folder_out, "leads out of the data folder"),
    "a circle of links": (circle, "cannot be followed"),
    "the folder itself": (lambda folder: ".", "leads out of the data folder"),
    "a name with a newline": (content(b"x", "a\nb.h5ad"), "no name of a file"),
    "a name with a backslash": (content(b"x", "a\\b.h5ad"), "no name of a file"),
    "a very long name": (lambda folder: "x" * 5000, "cannot be followed"),
    "a name with a zero byte": (lambda folder: "a\x00b", "no name of a file"),
}
