"""What only the page Data works out of a file of cells, kept by file and the settings that matter."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.shared.data_files import EXAMINED_BY, Stamp, examination, only
from gpovae_core.config import DataSettings
from gpovae_core.data.describe import CriterionView, knock_downs, panel_of, quality
from gpovae_core.data.reading import Reading
from gpovae_core.data.schema import Panel
from gpovae_core.errors import DataError

PANEL_BY = ("panel", "panel_all_below", "extended_per_perturbation", "extended_min_abs_lfc", "extended_max_p")
SPLIT_BY = ("train_fraction", "validation_fraction", "unseen", "seed")


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
        stamped, only(settings, (*EXAMINED_BY, "artifact_criteria", "artifact_mads", "detect_doublets"))
    )


@st.cache_data(max_entries=8, ttl=3600, show_spinner=False)
def _knock_downs(stamped: Stamp, chosen: str) -> pd.DataFrame:
    reading, _ = _reading(stamped, chosen)
    return knock_downs(reading.counts, reading.genes, reading.labels.to_numpy(dtype=object))


def knock_down_table(stamped: Stamp, settings: DataSettings) -> pd.DataFrame:
    """Own expression of every perturbed gene, see describe.knock_downs."""
    return _knock_downs(stamped, only(settings, EXAMINED_BY))


@st.cache_data(max_entries=8, ttl=3600, show_spinner=False)
def _counts_per_cell(stamped: Stamp, chosen: str) -> np.ndarray:
    reading, _ = _reading(stamped, chosen)
    return np.asarray(reading.counts.sum(axis=1), dtype=np.float64).ravel()


def counts_per_cell(stamped: Stamp, settings: DataSettings) -> np.ndarray:
    """(n_obs,) counts of every cell that is used."""
    return _counts_per_cell(stamped, only(settings, EXAMINED_BY))


@st.cache_resource(max_entries=4, ttl=3600, show_spinner=False)
def _panel(stamped: Stamp, chosen: str) -> Panel:
    return panel_of(*_reading(stamped, chosen))


def panel(stamped: Stamp, settings: DataSettings) -> Panel:
    """The panel that training would use; the slow part where a Wilcoxon test picks it."""
    return _panel(stamped, only(settings, (*EXAMINED_BY, *PANEL_BY, *SPLIT_BY)))
