"""An HDF5 form of cells that was packed with gzip (`cells.h5ad.gz`, as GEO keeps them)."""

from __future__ import annotations

import gzip
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from gpovae_core.data.files import MAKE_ONE, first_line, has_hdf5_start, refuse, start_of
from gpovae_core.data.readers import Reader, reader_of

if TYPE_CHECKING:
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells

_BROKEN = (OSError, EOFError, zlib.error)


def recognises(path: Path) -> bool:
    try:
        if not path.is_file() or start_of(path, 2) != b"\x1f\x8b":
            return False
        with gzip.open(path) as file:
            return has_hdf5_start(file.read(2048))
    except _BROKEN:
        return False


def read(path: Path) -> AnnData | BackedCells:
    """Its content, unpacked into a scratch file that is left for what stays there."""
    from gpovae_core.data.effect_tables.read import holds_effects
    from gpovae_core.data.gzips import open_gzip
    from gpovae_core.data.room import copy_within
    from gpovae_core.data.store import scratch_file

    if not recognises(path):
        message = f"'{path.name}' is no gzip file with cells in HDF5 inside."
        refuse("not-gzip", message, "Unpack it, and give the file that was inside.")
    unpacked = scratch_file()
    try:
        with open_gzip(path) as packed, unpacked.open("wb") as plain:
            copy_within(packed, plain, unpacked.parent, f"What is packed in '{path.name}'")
        if holds_effects(unpacked):
            message = f"'{path.name}' is a table of effects (log fold changes with errors), not of cells."
            refuse("effects-not-cells", message, "Unpack it (gunzip), and give the file that was inside.")
        reader = reader_of(unpacked)
        if reader is None:
            message = f"'{path.name}' holds an HDF5 file, but no cells."
            refuse("not-anndata", message, MAKE_ONE)
        return reader.read(unpacked)
    except _BROKEN as error:
        refuse(
            "file-damaged",
            f"'{path.name}' cannot be unpacked ({first_line(error)}).",
            "Copy or download it again; there has to be room for the unpacked file.",
            error,
        )
    finally:
        if os.name == "posix":  # what is open stays readable there
            unpacked.unlink(missing_ok=True)


READER = Reader("gzip", "a .h5ad.gz file", (".h5ad.gz", ".h5mu.gz", ".h5.gz"), 30, recognises, read)
