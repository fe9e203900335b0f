"""The drawn network of a run, cached: layout once per run, strongest edges once per choice."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from dashboard.network.drawing import Picture, layout, picture
from dashboard.shared.loaders import NETWORK_FILES, Stamp, network, shown_network, stamp
from gpovae_core.runs.folder import RunFolder

if TYPE_CHECKING:  # with torch, which the other pages do not need
    pass
if TYPE_CHECKING:  # scipy.stats, a second: not before the first page stands
    pass


@st.cache_resource(max_entries=4, show_spinner="Laying out the network …")
def _layout(path: str, stamped: Stamp) -> Any:
    return layout(network(RunFolder(Path(path))))


@st.cache_resource(max_entries=8, show_spinner="Sorting the edges …")
def _picture(path: str, stamped: Stamp, measure: str, self_loops: bool, blind: bool, often: float) -> Picture:
    run = RunFolder(Path(path))
    shown, whole = shown_network(run, measure, blind, often), shown_network(run, measure, True, often)
    with_rare = shown_network(run, measure, blind) if often else None
    return picture(
        shown,
        _layout(path, stamped),
        self_loops,
        None if blind or shown is whole else whole,
        often,
        with_rare,
    )


def network_picture(
    run: RunFolder, measure: str = "W", self_loops: bool = False, blind: bool = True, often: float = 0.0
) -> Picture:
    """Layout, the same for every measure, and strongest edges; computed once."""
    return _picture(
        str(run.path),
        stamp(run, *NETWORK_FILES),
        measure,
        self_loops,
        blind,
        often if measure == "W" else 0.0,
    )
