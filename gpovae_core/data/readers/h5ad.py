"""AnnData in an HDF5 file, as `adata.write_h5ad` writes it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gpovae_core.data.files import MAKE_ONE, first_line, refuse
from gpovae_core.data.readers import Reader

if TYPE_CHECKING:
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells

_PARTS = {"obs", "var"}


def recognises(path: Path) -> bool:
    """HDF5 with obs and var, which does not say that it is something else (MuData has both too)."""
    from gpovae_core.data import hdf5

    inside = hdf5.looks(path)
    return (
        inside is not None
        and set(inside) >= _PARTS
        and inside[""].get("encoding-type", "anndata") == "anndata"
        and "mod" not in inside
    )


def read(path: Path) -> AnnData | BackedCells:
    import anndata

    from gpovae_core.data import hdf5
    from gpovae_core.data.backed import must_stay_on_disk
    from gpovae_core.data.parts import read_root

    root = hdf5.opened(path, "a .h5ad file")
    _check_parts(path, sorted(root))
    hdf5.must_fit(path, lambda: must_stay_on_disk(root))
    try:
        return read_root(root, lambda: anndata.read_h5ad(path))
    except Exception as error:  # whatever a damaged or foreign file makes h5py and anndata raise
        refuse(
            "not-anndata",
            f"'{path.name}' cannot be read as AnnData ({first_line(error)}).",
            MAKE_ONE,
            error,
        )


def _check_parts(path: Path, found: list[str]) -> None:
    missing = sorted(_PARTS - set(found))
    if missing:
        message = (
            f"'{path.name}' is an HDF5 file but holds no AnnData: {' and '.join(missing)} missing; found "
            f"{', '.join(found[:6]) or 'nothing'}."
        )
        refuse("not-anndata", message, MAKE_ONE)


READER = Reader("h5ad", "a .h5ad file", (".h5ad",), 0, recognises, read)
