"""AnnData in an HDF5 file, as `adata.write_h5ad` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gpovae_core.data.files import MAKE_ONE, first_line, has_hdf5_signature, looks_like, refuse
from gpovae_core.data.readers import Reader
from gpovae_core.errors import DataError

if TYPE_CHECKING:
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells

_PARTS = {"obs", "var"}
_UNREADABLE = (OSError, RuntimeError, KeyError)
"""What h5py raises for a file that is cut off or damaged."""


def recognises(path: Path) -> bool:
    """HDF5 with obs and var, which does not say that it is something else (MuData has both too)."""
    import h5py

    try:
        if not path.is_file() or not has_hdf5_signature(path):
            return False
        with h5py.File(path, "r") as file:
            return set(file) >= _PARTS and file.attrs.get("encoding-type", "anndata") == "anndata"
    except _UNREADABLE:
        return False


def read(path: Path) -> AnnData | BackedCells:
    import anndata
    import h5py

    from gpovae_core.data.backed import open_backed

    _check_content(path)
    on_disk = _check_header(path)
    try:
        return open_backed(h5py.File(path, "r")) if on_disk else anndata.read_h5ad(path)
    except Exception as error:  # whatever a damaged or foreign file makes h5py and anndata raise
        refuse(
            "not-anndata",
            f"'{path.name}' cannot be read as AnnData ({first_line(error)}).",
            MAKE_ONE,
            error,
        )


def _check_content(path: Path) -> None:
    if path.is_dir():
        refuse(
            "not-a-file",
            f"'{path.name}' is a folder; expected a .h5ad file.",
            "If it is a zarr store, give its name the ending .zarr.",
        )
    if path.stat().st_size == 0:
        refuse("file-empty", f"'{path.name}' is empty (0 bytes).", "Copy or download it again.")
    if not has_hdf5_signature(path):
        refuse(
            "not-hdf5",
            f"'{path.name}' is not an HDF5 file, whatever its ending says{looks_like(path)}.",
            MAKE_ONE,
        )


def _check_header(path: Path) -> bool:
    """Whether the counts stay in the file. Raises DataError for one without cells or too large for this
    machine.
    """
    import h5py

    from gpovae_core.data.backed import must_stay_on_disk
    from gpovae_core.data.memory import too_large

    try:
        with h5py.File(path, "r") as file:
            missing = sorted(_PARTS - set(file))
            found = ", ".join(sorted(file)[:6]) or "nothing"
            on_disk = must_stay_on_disk(file)
        huge = too_large(path)
    except _UNREADABLE as error:
        refuse(
            "file-damaged",
            f"'{path.name}' begins like an HDF5 file but is cut off or damaged ({first_line(error)}).",
            "Copy or download it again, and compare the sizes.",
            error,
        )
    if missing:
        message = (
            f"'{path.name}' is an HDF5 file but holds no AnnData: {' and '.join(missing)} missing; found "
            f"{found}."
        )
        refuse("not-anndata", message, MAKE_ONE + " (10x .h5 files: `scanpy.read_10x_h5`.)")
    if huge:
        raise DataError([huge])
    return on_disk


READER = Reader("h5ad", "a .h5ad file", (".h5ad",), 0, recognises, read)
