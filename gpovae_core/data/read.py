"""Reading cells from disk, with an answer in words for everything that holds none."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from gpovae_core.data.effect_tables.read import holds_effects
from gpovae_core.data.files import MAKE_ONE, refuse
from gpovae_core.data.readers import forms_in_words, reader_of
from gpovae_core.data.wording import counted
from gpovae_core.errors import DataError, Problem

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells

_WRITTEN_BYTES = re.compile(r"""^b(?P<quote>['"]).*(?P=quote)$""", re.S)


def read_cells(path: Path | str) -> AnnData | BackedCells:
    """Cells of any form in `gpovae_core.data.readers`; sparse counts stay sparse, and in the file where there
    are too many to be held.

    Raises DataError, with one Problem that says what the path is instead, for a missing file, another kind of
    file, a damaged one, no cells, no genes, and cell ids that occur twice.
    """
    path = Path(path)
    if not path.exists():
        refuse("file-missing", f"There is no file '{path}'.", "Check the name and the folder it is in.")
    if holds_effects(path):
        refuse(
            "effects-not-cells",
            f"'{path.name}' is a table of effects (log fold changes with errors), not of cells.",
            f"Make a network of it without cells: gpovae network-from-effects {path.name} --run runs/NAME, "
            "or on the page Data.",
        )
    reader = reader_of(path)
    if reader is None:
        kind = (
            "a folder"
            if path.is_dir()
            else f"a '{path.suffix}' file"
            if path.suffix
            else "a file without an ending"
        )
        refuse("unknown-file-type", f"'{path.name}' is {kind}; expected {forms_in_words()}.", MAKE_ONE)
    cells = reader.read(path)
    for table in (cells.obs, cells.var, *([] if cells.raw is None else [cells.raw.var])):
        decode(cast("pd.DataFrame", table))
    _check_shape_and_ids(cells, path.name)
    return cells


def decode(table: pd.DataFrame) -> None:
    """Turn bytes into text, in columns, categories and the index; in place. Also text that is bytes as Python
    writes them (b'control'), where a whole column is.
    """
    import pandas as pd

    for place, column in enumerate(table.columns):
        values = table.iloc[:, place]
        if isinstance(values.dtype, pd.CategoricalDtype):
            found = _decoded(values.cat.categories.to_numpy(dtype=object))
            if found is not None and len(set(found)) == len(found):
                table[column] = values.cat.rename_categories(list(found))
        elif values.dtype == object or isinstance(values.dtype, pd.StringDtype):
            found = _decoded(values.to_numpy(dtype=object))
            if found is not None:
                table[column] = pd.Series(found, index=table.index, dtype=object)
    found = _decoded(table.index.to_numpy(dtype=object))
    if found is not None:
        table.index = pd.Index(found, dtype=object, name=table.index.name)


def _decoded(values: np.ndarray) -> np.ndarray | None:
    """Values without bytes; None where there are none."""
    is_bytes = np.array([isinstance(value, bytes) for value in values], dtype=bool)
    text = np.array([isinstance(value, str) for value in values], dtype=bool)
    found = values.copy()
    if is_bytes.any():
        found[is_bytes] = [value.decode("utf-8", "replace") for value in values[is_bytes]]
        return found
    if text.any() and all(_WRITTEN_BYTES.match(value) for value in values[text]):
        found[text] = [value[2:-1] for value in values[text]]
        return found
    return None


def _check_shape_and_ids(cells: AnnData | BackedCells, name: str) -> None:
    if cells.n_obs == 0:
        refuse(
            "no-cells",
            f"'{name}' holds 0 cells ({counted(cells.n_vars, 'gene')}).",
            "Check the filter that wrote it.",
        )
    if cells.n_vars == 0:
        refuse(
            "no-genes",
            f"'{name}' holds 0 genes ({counted(cells.n_obs, 'cell')}).",
            "Check the filter that wrote it.",
        )
    problem = duplicate_cell_ids(cells)
    if problem:
        raise DataError([problem])


def duplicate_cell_ids(cells: AnnData | BackedCells) -> Problem | None:
    """The problem with cell ids that occur more than once (compared as text), or None."""
    ids = cells.obs_names.astype(str)
    repeated = ids[ids.duplicated()].unique()
    if not len(repeated):
        return None
    shown = ", ".join(map(str, repeated[:3]))
    message = (
        f"Every cell needs an id of its own; {counted(len(repeated), 'id')} used more than once, e.g. "
        f"{shown}."
    )
    hint = (
        "Usual after joining batches: `anndata.concat(..., index_unique='-')`, or "
        "`adata.obs_names_make_unique()`."
    )
    return Problem("duplicate-cell-ids", message, hint)
