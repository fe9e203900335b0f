"""What only the page Network reads or computes of a run, kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.network.drawing import Picture, layout, picture
from dashboard.shared import contents
from dashboard.shared.cached import Stamp, of_run, stamp
from dashboard.shared.networks import NETWORK_FILES, Shown, network, shown_network
from gpovae_core.errors import RunError
from gpovae_core.network.communities import communities
from gpovae_core.network.curves import ThresholdCurves, threshold_curves
from gpovae_core.network.references import ReferenceNetwork, networks_folder, read_references
from gpovae_core.reporting.tables import false_edge_table
from gpovae_core.runs.folder import RunFolder

if TYPE_CHECKING:  # scipy.stats, a second: not before the first page stands
    from gpovae_core.effects.pairs import PairStatistics
    from gpovae_core.network.inspection import HeldOutCells

PAIRS_AT_ONCE = 10_000_000
"""Held-out cells times genes that are tested without being asked to: some ten seconds."""
ASKED = "gpovae_pairs"
"""Key in the session: paths of the runs whose pairs were asked for."""


def version(run: RunFolder) -> str:
    """A name for the network of a run as it is now: changes when its files do."""
    return f"{run.path}|{stamp(run, *NETWORK_FILES)}"


# The picture ------------------------------------------------------------------------------------------------


@of_run(*NETWORK_FILES, kind="resource", entries=4, spinner="Laying out the network …")
def places(run: RunFolder) -> np.ndarray:
    """(n, 2) float32 places of the genes, the same for every measure."""
    return layout(network(run))


@of_run(*NETWORK_FILES, kind="resource", entries=8, spinner="Sorting the edges …")
def network_picture(run: RunFolder, which: Shown, self_loops: bool = False) -> Picture:
    """Layout and strongest edges of what is looked at."""
    shown, whole = shown_network(run, which), shown_network(run, Shown(which.measure, True, which.often))
    with_rare = shown_network(run, Shown(which.measure, which.blind)) if which.often else None
    return picture(
        shown,
        places(run),
        self_loops,
        None if which.blind or shown is whole else whole,
        which.often,
        with_rare,
    )


@of_run(*NETWORK_FILES, kind="resource", entries=16, spinner="Looking for communities …")
def network_communities(run: RunFolder, which: Shown, threshold: float) -> np.ndarray:
    """(n,) community of every gene, see gpovae_core.network.communities."""
    return communities(shown_network(run, which), threshold)


# Tests on the held-out cells --------------------------------------------------------------------------------


@of_run("cells.h5ad", kind="resource", entries=4, spinner="Reading the held-out cells …")
def held_out(run: RunFolder) -> HeldOutCells | None:
    """Expression of the panel in the held-out cells; None where the run holds no cells."""
    if not run.has("cells.h5ad"):
        return None
    from gpovae_core.network.inspection import HeldOutCells

    return HeldOutCells.of(contents.cells(run))


@of_run(
    "cells.h5ad",
    kind="resource",
    entries=4,
    spinner="Testing every pair of genes on the held-out cells, once per run …",
)
def tested_pairs(run: RunFolder) -> PairStatistics:
    """Every perturbation against every panel gene, however long that takes."""
    from gpovae_core.evaluation.held_out import held_out_pairs

    return held_out_pairs(contents.cells(run))


def pairs(run: RunFolder) -> PairStatistics | None:
    """Every perturbation against every panel gene; None without cells, or where it takes long and nobody has
    asked (`ask_for_pairs`).
    """
    cells = held_out(run)
    if cells is None or (cells.size > PAIRS_AT_ONCE and str(run.path) not in st.session_state.get(ASKED, ())):
        return None
    return tested_pairs(run)


def ask_for_pairs(run: RunFolder) -> None:
    """From now on `pairs` computes them for this run, however long that takes."""
    st.session_state[ASKED] = {*st.session_state.get(ASKED, ()), str(run.path)}


def pairs_wait(run: RunFolder) -> float | None:
    """About how many seconds `pairs` would take if it were asked for; None where it does not wait to be
    asked.
    """
    cells = held_out(run)
    if cells is None or pairs(run) is not None:
        return None
    return cells.size / PAIRS_AT_ONCE * 15


# Thresholds -------------------------------------------------------------------------------------------------


@of_run(*NETWORK_FILES, "cells.h5ad", kind="resource", entries=8, spinner="Going through the thresholds …")
def _curves(run: RunFolder, which: Shown, tested: bool, hops: int) -> ThresholdCurves:
    settings = run.settings().evaluation
    found = tested_pairs(run) if tested else None
    return threshold_curves(
        shown_network(run, which), found, hops, settings.omission_hops, settings.significance
    )


def curves(run: RunFolder, which: Shown, hops: int) -> ThresholdCurves:
    """What every threshold does to the network; only edges and genes where the pairs are not tested."""
    return _curves(run, which, pairs(run) is not None, hops)


@of_run("null.json", kind="data", entries=32)
def null(run: RunFolder) -> dict[str, Any]:
    """What `gpovae null` found on the cells of this run; empty where it was not asked."""
    return run.null()


def false_edges(run: RunFolder) -> pd.DataFrame | None:
    """Estimated false-edge rate per threshold on W (threshold, estimated_false_edge_rate): from the run's
    evaluation, else its null.
    """
    try:
        scores = contents.evaluation(run)
    except RunError:  # damaged scores say so where they are shown, and take no network away
        scores = None
    table = false_edge_table(None if scores is None else scores.network, null(run))
    return None if table.empty else table


# Reference networks -----------------------------------------------------------------------------------------


@st.cache_resource(max_entries=2, show_spinner="Reading the reference networks …")
def _references(folder: str, stamped: Stamp) -> tuple[list[ReferenceNetwork], list[str]]:
    return read_references(Path(folder))


def references() -> tuple[list[ReferenceNetwork], list[str]]:
    """Reference networks of the folder, and in words what could not be read there."""
    folder = networks_folder()
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    stamped = tuple(
        (file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.is_file()
    )
    return _references(str(folder), stamped)
