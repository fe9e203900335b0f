"""What only the page Network reads or computes of a run, kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.network.message import network_message
from dashboard.network.places import layout
from dashboard.network.references import all_references
from dashboard.network.scene import default_threshold
from dashboard.network.slider import false_edge_rate
from dashboard.shared import contents
from dashboard.shared.cached import of_run, stamp
from dashboard.shared.networks import NETWORK_FILES, Shown, network, shown_network, stage
from gpovae_core import keys
from gpovae_core.errors import RunError
from gpovae_core.network.agreement import ListedShare, listed_share
from gpovae_core.network.communities import communities
from gpovae_core.network.compare import NetworkComparison, compare_networks, equal_edges
from gpovae_core.network.curves import ThresholdCurves, steps, threshold_curves
from gpovae_core.network.differences import Differences, differences
from gpovae_core.questions.elsewhere import of_run as elsewhere_of_run
from gpovae_core.questions.transfer import Transfer, transfer
from gpovae_core.reporting.tables import false_edge_table
from gpovae_core.runs.folder import RunFolder

if TYPE_CHECKING:  # scipy.stats, a second: not before the first page stands
    from gpovae_core.effects.pairs import PairStatistics
    from gpovae_core.network.inspection import HeldOutCells
    from gpovae_core.network.parts import PartedCells

PAIRS_AT_ONCE = 10_000_000
"""Held-out cells times genes that are tested without being asked to: some ten seconds."""
ASKED = "gpovae_pairs"
"""Key in the session: paths of the runs whose pairs were asked for."""


def version(run: RunFolder) -> str:
    """A name for the network of a run as it is now: changes when its files do."""
    return f"{run.path}|{stamp(run, *NETWORK_FILES)}"


# The network ------------------------------------------------------------------------------------------------


@of_run(*NETWORK_FILES, kind="resource", entries=4, spinner="Laying out the network …")
def places(run: RunFolder) -> np.ndarray:
    """(n, 2) float32 places of the genes, the same for every measure."""
    return layout(network(run))


@of_run(
    *NETWORK_FILES,
    "evaluation.json",
    "null.json",
    "cells.h5ad",
    "network.safetensors",
    kind="resource",
    entries=8,
    spinner="Sorting the edges …",
)
def network_data(
    run: RunFolder, which: Shown, self_loops: bool, references: tuple[str, ...]
) -> dict[str, Any]:
    """What the workbench is sent of a network; references: names of the tables that are asked."""
    shown, whole = shown_network(run, which), shown_network(run, Shown(which.measure, True, which.often))
    on_w = shown_network(run, Shown("W", which.blind))
    found = network(run)
    return network_message(
        shown,
        default_threshold(run, on_w, shown),
        loops=self_loops,
        whole=None if which.blind or shown is whole else whole,
        with_rare=shown_network(run, Shown(which.measure, which.blind)) if which.often else None,
        false_rate=None if which.often else false_edge_rate(false_edges(run), shown),
        references=[ref for ref in all_references(found.simulated) if ref.name in references],
        left_out=contents.left_out(run),
        without_controls=contents.without_controls(run),
        own_change=None if (fit := stage(run)) is None else fit.own_change,
    )


@of_run(*NETWORK_FILES, kind="resource", entries=16, spinner="Looking for communities …")
def network_communities(run: RunFolder, which: Shown, threshold: float) -> np.ndarray:
    """(n,) community of every gene, see gpovae_core.network.communities."""
    return communities(shown_network(run, which), threshold)


# Tests on the held-out cells --------------------------------------------------------------------------------


@of_run("cells.h5ad", kind="data", entries=32)
def pairs_size(run: RunFolder) -> int:
    """Held-out cells times measured genes of the panel: what testing every pair grows with; 0 without
    cells.
    """
    if not run.has("cells.h5ad"):
        return 0
    cells = contents.cells(run)
    return int(cells.where(splits=keys.HELD_OUT).sum()) * len(cells.panel_columns)


@of_run("cells.h5ad", kind="resource", entries=4, spinner="Reading the held-out cells, once per run …")
def held_out(run: RunFolder) -> HeldOutCells | None:
    """Counts of the panel in the held-out cells, and their effects; None where the run holds no cells. Only
    what an edge shows needs them.
    """
    if not run.has("cells.h5ad"):
        return None
    from gpovae_core.network.inspection import HeldOutCells

    return HeldOutCells.of(contents.cells(run))


@of_run("cells.h5ad", kind="resource", entries=4, spinner="Sorting the cells by guide and batch …")
def parted(run: RunFolder) -> PartedCells | None:
    """The cells by guide, batch and donor; None where the run holds none, or nothing of that is known."""
    if not run.has("cells.h5ad"):
        return None
    from gpovae_core.network.parts import PartedCells

    return PartedCells.of(contents.cells(run))


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
    return tested_pairs(run) if run.has("cells.h5ad") and pairs_wait(run) is None else None


def pairs_at_hand(run: RunFolder) -> PairStatistics | None:
    """`pairs`, where somebody has asked for them already: a click does not wait for them."""
    return pairs(run) if str(run.path) in st.session_state.get(ASKED, ()) else None


def held_out_here(run: RunFolder) -> bool:
    """Whether the run holds cells at all."""
    return run.has("cells.h5ad")


def ask_for_pairs(run: RunFolder) -> None:
    """From now on `pairs` computes them for this run, however long that takes."""
    st.session_state[ASKED] = {*st.session_state.get(ASKED, ()), str(run.path)}


def pairs_wait(run: RunFolder) -> float | None:
    """About how many seconds `pairs` would take if it were asked for; None where it does not wait to be
    asked.
    """
    size = pairs_size(run)
    if size <= PAIRS_AT_ONCE or str(run.path) in st.session_state.get(ASKED, ()):
        return None
    return size / PAIRS_AT_ONCE * 15


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


@of_run(*NETWORK_FILES, kind="data", entries=8)
def listed_shares(run: RunFolder, which: Shown, references: tuple[str, ...]) -> list[ListedShare]:
    """How many edges these tables list, at every step of the slider."""
    shown = shown_network(run, which)
    tables = all_references(network(run).simulated)
    return [listed_share(shown, ref, steps(shown)) for ref in tables if ref.name in references]


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


# Other cells ------------------------------------------------------------------------------------------------


@of_run(
    *NETWORK_FILES,
    "network.safetensors",
    "cells.h5ad",
    kind="data",
    entries=4,
    spinner="Measuring effects in the other cells …",
)
def transferred(run: RunFolder, other: RunFolder, threshold: float | None) -> Transfer:
    """The network of a run in the cells of another one; None: at the threshold of its settings."""
    return transfer(run, elsewhere_of_run(other, run.panel().genes, run.settings()), threshold)


@of_run(
    *NETWORK_FILES,
    "cells.h5ad",
    kind="data",
    entries=4,
    spinner="Comparing the conditions, with permuted labels …",
)
def conditions_compared(run: RunFolder, other: RunFolder, threshold: float | None) -> Differences:
    """The networks of two conditions; None: at the threshold of the first run's settings."""
    return differences(run, other, threshold)


@of_run(*NETWORK_FILES, kind="data", entries=8, spinner="Comparing the networks …")
def runs_compared(
    run: RunFolder, other: RunFolder, which: Shown, threshold: float, equal: bool
) -> NetworkComparison | None:
    """The shown network above the threshold beside that of another run: with as many edges, or above the same
    threshold. None where the other has no edge between genes of both.
    """
    shown, beside = shown_network(run, which), shown_network(other, Shown(which.measure, which.blind))
    cut = equal_edges(shown, threshold, beside) if equal else min(threshold, beside.top)
    return None if cut is None else compare_networks(shown, threshold, beside, cut)
