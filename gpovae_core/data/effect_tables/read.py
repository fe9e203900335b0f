"""Effects in the place of cells: a table of log fold changes with standard errors, perturbation by gene, as
an AnnData with layers, as a long table (text or parquet), or as a folder with one table for each
perturbation.

Columns are found by the names that the field's programs write (`known`), the labels and symbols among several
by what they hold. Where the errors are missing they follow from the intervals, the statistic or the p values.
Everything decided is said in the report; what cannot be decided is refused, with what to add.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gpovae_core.data.effect_tables import known
from gpovae_core.data.effect_tables.finish import finished
from gpovae_core.data.effect_tables.folder import PACKED, from_folder, tables_in
from gpovae_core.data.effect_tables.known import EffectColumns, first_of
from gpovae_core.data.effect_tables.layers import from_anndata, is_store
from gpovae_core.data.effect_tables.long import MOST_BYTES, PARQUET, parquet_columns
from gpovae_core.data.effect_tables.pairs import from_table
from gpovae_core.data.effect_tables.report import MeasuredEffects
from gpovae_core.data.files import has_hdf5_signature, has_hdf5_start, refuse, start_of
from gpovae_core.data.gzips import open_gzip
from gpovae_core.data.room import copy_within
from gpovae_core.data.store import scratch_folder
from gpovae_core.data.text_tables import open_table

_GZIP = b"\x1f\x8b"


def holds_effects(path: Path, name: str | None = None) -> bool:
    """Whether a file or folder is a table of effects, by the names of its columns or layers; never raises.
    name: that it has, where that is not its own.
    """
    path = Path(path)
    try:
        if path.is_dir():
            if is_store(path):
                return known.looks_like_effects([one.name for one in (path / "layers").iterdir()])
            tables = tables_in(path)
            return len(tables) > 1 and holds_effects(tables[0]) and not _names_perturbations(tables[0])
        if has_hdf5_signature(path):
            import h5py

            with h5py.File(path, "r") as file:
                layers: Any = file.get("layers", ())
                return known.looks_like_effects(list(layers))
        if start_of(path, 4) == PARQUET:
            return known.looks_like_effects(parquet_columns(path))
        if (name or path.name).casefold().endswith(".parquet.gz"):
            with _unpacked(path) as plain:
                return known.looks_like_effects(parquet_columns(plain))
        if not (name or path.name).casefold().endswith(PACKED):
            return False
        return known.looks_like_effects(open_table(path, MOST_BYTES).header)
    except Exception:  # whatever it is, it is none
        return False


def _names_perturbations(path: Path) -> bool:
    """Whether a table says which gene was perturbed, so that it needs no name for that."""
    parquet = start_of(path, 4) == PARQUET
    names = parquet_columns(path) if parquet else list(open_table(path, MOST_BYTES).header)
    return first_of(names, [name for name in known.PERTURBATIONS if name not in known.GENES]) is not None


def read_effects(path: Path, columns: EffectColumns | None = None) -> MeasuredEffects:
    """The effects in a file or folder. columns: what is told of it; the rest is found. Raises DataError that
    says what is wrong and how to mend it.
    """
    path, columns = Path(path), columns or EffectColumns()
    if not path.exists():
        refuse("file-missing", f"There is no file '{path}'.", "Check the name and the folder it is in.")
    with _unpacked(path) as plain:
        if plain.is_dir() and not is_store(plain):
            raw = from_folder(plain, columns)
        elif plain.is_dir() or has_hdf5_signature(plain):
            raw = from_anndata(plain, columns)
        else:
            raw = from_table(plain, columns)
    return finished(raw, path.name)


@contextmanager
def _unpacked(path: Path) -> Iterator[Path]:
    """The file itself; where gzip holds an .h5ad or a parquet file, what is in it, for as long as it is read.
    Tables of text are read as they are.
    """
    if path.is_dir() or start_of(path, 2) != _GZIP:
        yield path
        return
    try:
        with gzip.open(path) as packed:
            start = packed.read(2048)
    except (OSError, EOFError, zlib.error) as error:
        refuse("file-damaged", f"'{path.name}' cannot be unpacked ({error}).", "Copy it again.", error)
    if not (start.startswith(PARQUET) or has_hdf5_start(start)):
        yield path
        return
    with scratch_folder() as folder:
        plain = folder / path.name.removesuffix(".gz")
        with open_gzip(path) as packed, plain.open("wb") as out:
            copy_within(packed, out, folder, f"What is packed in '{path.name}'")
        yield plain
