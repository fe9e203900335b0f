"""AnnData in a zarr store, as `adata.write_zarr` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gpovae_core.data.files import MAKE_ONE, first_line, refuse
from gpovae_core.data.readers import Reader

if TYPE_CHECKING:
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells

_MARKS = (".zgroup", "zarr.json", ".zmetadata")


def recognises(path: Path) -> bool:
    """A folder with the mark of a zarr group, and obs and var in it."""
    return _is_store(path) and not _missing(path)


def read(path: Path) -> AnnData | BackedCells:
    import anndata
    import zarr

    from gpovae_core.data.parts import read_root

    if not _is_store(path):
        kind = "an ordinary folder" if path.is_dir() else "a file"
        refuse(
            "not-zarr",
            f"'{path.name}' is {kind}, not a zarr store (no .zgroup or zarr.json in it).",
            MAKE_ONE,
        )
    missing = _missing(path)
    if missing:
        refuse(
            "not-anndata",
            f"'{path.name}' is a zarr store but holds no AnnData: {' and '.join(missing)} missing.",
            MAKE_ONE,
        )
    try:
        root = zarr.open_group(path, mode="r")
        return read_root(root, lambda: anndata.read_zarr(path))
    except Exception as error:
        refuse(
            "not-anndata",
            f"'{path.name}' cannot be read as AnnData ({first_line(error)}).",
            MAKE_ONE,
            error,
        )


def _is_store(path: Path) -> bool:
    return path.is_dir() and any((path / name).exists() for name in _MARKS)


def _missing(path: Path) -> list[str]:
    return [name for name in ("obs", "var") if not (path / name).is_dir()]


READER = Reader("zarr", "a .zarr folder", (".zarr",), 1, recognises, read, folder=True)
