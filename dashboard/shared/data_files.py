"""Files of cells, read and examined once per file and settings. Every cache is small: cells are large."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from gpovae_core.config import DataSettings
from gpovae_core.data.folder import data_folder, inside
from gpovae_core.data.validate import Examination

if TYPE_CHECKING:
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells

Stamp = tuple[str, int, int]
EXAMINED_BY = (
    "label_column",
    "control_label",
    "pair_separator",
    "unclear_labels",
    "non_perturbed",
    "counts_layer",
    "symbol_column",
    "other_features",
    "guides",
    "guide_targets",
    "guide_rule",
    "guide_umis",
    "guide_share",
    "batch",
    "donor",
    "guide",
    "condition",
    "conditions",
    "condition_as_batch",
    "size_factor",
    "min_cells",
    "strong_knockdown_only",
    "knockdown_percentile",
    "target_sum",
    "panel",
    "panel_all_below",
)
"""Settings that decide which cells and genes are used; the others act on those."""


def path_of(name: str) -> Path:
    """The file of that name in the data folder. Raises DataError for a name that leads out of it."""
    return inside(data_folder(), name)


def stamp(path: Path, settings: DataSettings | None = None) -> Stamp:
    """A file as it is now, with the files of guides that `settings` name beside it. Raises DataError for one
    of these outside the data folder.
    """
    files = [path, *(beside(settings) if settings is not None else ())]
    stats = [file.stat() for file in files]
    return str(path), sum(stat.st_mtime_ns for stat in stats), sum(stat.st_size for stat in stats)


def beside(settings: DataSettings) -> list[Path]:
    """The files of guides that settings name. Raises DataError for one that is not in the data folder."""
    named = [name for name in (settings.guides, settings.guide_targets) if name is not None]
    root = data_folder().resolve()
    return [inside(root, os.path.relpath(Path(name).resolve(), root)) for name in named]


@st.cache_resource(max_entries=1, ttl=3600, show_spinner=False)
def _cells(stamped: Stamp) -> AnnData | BackedCells:
    from gpovae_core.data.read import read_cells

    return read_cells(Path(stamped[0]))


@st.cache_resource(max_entries=2, ttl=3600, show_spinner=False)
def _examination(stamped: Stamp, chosen: str) -> tuple[Examination, tuple[str, ...]]:
    from gpovae_core.data.validate import examine

    cells = _cells(stamped)
    return examine(cells, DataSettings.model_validate_json(chosen)), tuple(map(str, cells.obs.columns))


def only(settings: DataSettings, fields: tuple[str, ...]) -> str:
    """The settings as text, with all but `fields` at their defaults: what does not matter must not make a
    cache miss.
    """
    return DataSettings(**{name: getattr(settings, name) for name in fields}).model_dump_json()


def examination(stamped: Stamp, settings: DataSettings) -> tuple[Examination, tuple[str, ...]]:
    """(what is wrong and what would be used, columns of obs). Shared between sessions: never change it.
    Raises DataError.
    """
    return _examination(stamped, only(settings, EXAMINED_BY))
