"""Writing cells and effects to disk, and names into tables that a spreadsheet may open."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpovae_core.data.atomic import replacing

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData


FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


def no_formulas(values: Iterable[Any]) -> list[Any]:
    """Values of a column of a table: a text that a spreadsheet would run as a formula gets an apostrophe in
    front.
    """
    return [f"'{v}" if isinstance(v, str) and v.startswith(FORMULA_STARTS) else v for v in values]


def write_table(table: pd.DataFrame, names: Iterable[str], path: Path) -> None:
    """A table as .csv (packed where the ending says so), replaced as a whole; `names`: its columns that a
    spreadsheet may take for formulas. Raises OSError.
    """
    from pandas.io.common import infer_compression

    packing: Any = infer_compression(path, "infer")
    safe = table.assign(**{name: no_formulas(table[name]) for name in names})
    with replacing(path) as aside:
        safe.to_csv(aside, index=False, compression=packing)


def write_cells(cells: AnnData, path: Path) -> None:
    """An .h5ad file, compressed. Built in memory and written at once: on a full disk HDF5 does not just fail,
    it brings the process down when it next closes a file. Raises OSError."""
    import h5py
    from anndata.io import write_elem

    with h5py.File(path.name, "w", driver="core", backing_store=False) as file:
        write_elem(file, "/", cells, dataset_kwargs={"compression": "gzip"})
        if cells.raw is None and "raw" in file:
            del file["raw"]  # an empty value, which older readers stumble over
        file.flush()
        image = file.id.get_file_image()
    with replacing(path) as aside:
        aside.write_bytes(image)
