"""Files of cells for the page Data, read and described once per file and settings. Every cache is small:
cells are large.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import streamlit as st

from gpovae_core.config import DataSettings
from gpovae_core.data.describe import CriterionView, knock_downs, panel_of, quality
from gpovae_core.data.folder import data_folder, inside
from gpovae_core.data.schema import Panel
from gpovae_core.data.validate import Examination, Reading
from gpovae_core.errors import DataError

if TYPE_CHECKING:
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells

Stamp = tuple[str, int, int]
EXAMINED_BY = (
    "label_column",
    "control_label",
    "counts_layer",
    "symbol_column",
    "min_cells",
    "strong_knockdown_only",
    "knockdown_percentile",
    "target_sum",
)
"""Settings that decide which cells and genes are used; the others act on those."""


def path_of(name: str) -> Path:
    """The file of that name in the data folder. Raises DataError for a name that leads out of it."""
    return inside(data_folder(), name)


def stamp(path: Path) -> Stamp:
    stat = path.stat()
    return str(path), stat.st_mtime_ns, stat.st_size


@st.cache_resource(max_entries=1, ttl=3600, show_spinner=False)
def _cells(stamped: Stamp) -> AnnData | BackedCells:
    from gpovae_core.data.read import read_cells

    return read_cells(Path(stamped[0]))


@st.cache_resource(max_entries=2, ttl=3600, show_spinner=False)
def _examination(stamped: Stamp, chosen: str) -> tuple[Examination, tuple[str, ...]]:
    from gpovae_core.data.validate import examine

    cells = _cells(stamped)
    return examine(cells, DataSettings.model_validate_json(chosen)), tuple(map(str, cells.obs.columns))


def _only(settings: DataSettings, fields: tuple[str, ...]) -> str:
    """The settings as text, with all but `fields` at their defaults: what does not matter must not make a
    cache miss.
    """
    return DataSettings(**{name: getattr(settings, name) for name in fields}).model_dump_json()


def examination(stamped: Stamp, settings: DataSettings) -> tuple[Examination, tuple[str, ...]]:
    """(what is wrong and what would be used, columns of obs). Shared between sessions: never change it.
    Raises DataError.
    """
    return _examination(stamped, _only(settings, EXAMINED_BY))


def _reading(stamped: Stamp, chosen: str) -> tuple[Reading, DataSettings]:
    settings = DataSettings.model_validate_json(chosen)
    found, _ = examination(stamped, settings)
    if found.reading is None:
        raise DataError([problem for problem in found.problems if problem.severity == "error"])
    return found.reading, settings


@st.cache_resource(max_entries=4, ttl=3600, show_spinner=False)
def _quality(stamped: Stamp, chosen: str) -> tuple[list[CriterionView], int]:
    return quality(*_reading(stamped, chosen))


def criteria(stamped: Stamp, settings: DataSettings) -> tuple[list[CriterionView], int]:
    """Every quality criterion with its values, and the cells that fail any."""
    return _quality(
        stamped, _only(settings, (*EXAMINED_BY, "artifact_criteria", "artifact_mads", "detect_doublets"))
    )


@st.cache_data(max_entries=8, ttl=3600, show_spinner=False)
def _knock_downs(stamped: Stamp, chosen: str) -> pd.DataFrame:
    reading, _ = _reading(stamped, chosen)
    return knock_downs(reading.counts, reading.genes, reading.labels.to_numpy(dtype=object))


def knock_down_table(stamped: Stamp, settings: DataSettings) -> pd.DataFrame:
    """Own expression of every perturbed gene, see describe.knock_downs."""
    return _knock_downs(stamped, _only(settings, EXAMINED_BY))


@st.cache_data(max_entries=8, ttl=3600, show_spinner=False)
def _counts_per_cell(stamped: Stamp, chosen: str) -> np.ndarray:
    reading, _ = _reading(stamped, chosen)
    return np.asarray(reading.counts.sum(axis=1), dtype=np.float64).ravel()


def counts_per_cell(stamped: Stamp, settings: DataSettings) -> np.ndarray:
    """(n_obs,) counts of every cell that is used."""
    return _counts_per_cell(stamped, _only(settings, EXAMINED_BY))


@st.cache_resource(max_entries=4, ttl=3600, show_spinner=False)
def _panel(stamped: Stamp, chosen: str) -> Panel:
    return panel_of(*_reading(stamped, chosen))


PANEL_BY = ("panel", "panel_all_below", "extended_per_perturbation", "extended_min_abs_lfc", "extended_max_p")
SPLIT_BY = ("train_fraction", "validation_fraction", "unseen", "seed")


def panel(stamped: Stamp, settings: DataSettings) -> Panel:
    """The panel that training would use; the slow part where a Wilcoxon test picks it."""
    return _panel(stamped, _only(settings, (*EXAMINED_BY, *PANEL_BY, *SPLIT_BY)))
