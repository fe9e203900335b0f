"""Reading cells from disk, with an answer in words for everything that holds none."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gpovae_core.data.effects_file import holds_effects
from gpovae_core.data.files import MAKE_ONE, refuse
from gpovae_core.data.readers import forms_in_words, reader_of
from gpovae_core.data.wording import counted
from gpovae_core.errors import DataError, Problem

if TYPE_CHECKING:
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells


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
    _check_shape_and_ids(cells, path.name)
    return cells


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
