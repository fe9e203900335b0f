"""AnnData in a zarr store that was packed into one zip file."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from gpovae_core.data.files import MAKE_ONE, first_line, refuse
from gpovae_core.data.readers import Reader
from gpovae_core.data.room import RoomError
from gpovae_core.data.zips import ZipLimits, open_zip

if TYPE_CHECKING:
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells

_MARKS = ("zarr.json", ".zgroup")
_UNREADABLE = (OSError, zipfile.BadZipFile, RuntimeError, ValueError)
LIMITS = ZipLimits(entries=50_000, unpacked=2 * 10**12)
"""A store has an entry for every chunk, and chunks are packed before they come into the archive."""


def recognises(path: Path) -> bool:
    try:
        return path.is_file() and zipfile.is_zipfile(path) and _root_in(path) is not None
    except RoomError:  # `read` says what is too much of it
        return path.name.casefold().endswith(READER.endings)
    except _UNREADABLE:
        return False


def _root_in(path: Path) -> str | None:
    """The folder in the zip that is the store, "" for the zip itself; None where there is none."""
    with open_zip(path, LIMITS) as packed:
        names = set(packed.namelist())
    roots = {str(PurePosixPath(name).parent) for name in names if PurePosixPath(name).name in _MARKS}
    roots = {"" if root == "." else root for root in roots}
    for root in sorted(roots, key=len):
        before = f"{root}/" if root else ""
        if all(any(f"{before}{part}/{mark}" in names for mark in _MARKS) for part in ("obs", "var")):
            return root
    return None


def read(path: Path) -> AnnData | BackedCells:
    import anndata
    import zarr
    from zarr.storage import ZipStore

    from gpovae_core.data.parts import read_root

    if not recognises(path):
        message = f"'{path.name}' is no zip file with a zarr store of AnnData inside."
        refuse("not-zarr", message, MAKE_ONE)
    root_in = _root_in(path)
    try:
        root = zarr.open_group(ZipStore(path, mode="r"), path=root_in or "", mode="r")
        return read_root(root, lambda: anndata.read_zarr(root))
    except Exception as error:
        refuse(
            "not-anndata", f"'{path.name}' cannot be read as AnnData ({first_line(error)}).", MAKE_ONE, error
        )


READER = Reader("zarr_zip", "a zipped zarr store (.zarr.zip)", (".zarr.zip",), 31, recognises, read)
