"""The comparison that is open below the workbench, as its picture shows it: edge by edge, in both networks or
in one alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.network import cached
from dashboard.network.message import MOST_EDGES
from dashboard.network.scene import Scene
from dashboard.shared import listing, state
from gpovae_core import keys
from gpovae_core.errors import GpoVaeError
from gpovae_core.network import compare, differences
from gpovae_core.network.compare import NetworkComparison
from gpovae_core.runs.folder import RunFolder

PART = "Compare runs"
AT, EQUAL = "compare_at", "the same number of edges"
"""Key of the choice of the other network's threshold, and the value that the page begins with."""
ASKED = "differences_asked"
"""Key of the toggle that asks for the differences between two conditions."""
_AT_HAND = "gpovae_differences_at_hand"
_SENT = "gpovae_comparison_in_browser"
BOTH, HERE, THERE, OTHER_SIGN, OTHER_STRENGTH, UNTOLD = range(6)
"""States of an edge in the browser (assets/network/model.js has the same numbers)."""
_OF_RUNS = {compare.SHARED: BOTH, compare.LOST: HERE, compare.GAINED: THERE}
_OF_CONDITIONS = {
    differences.BOTH: BOTH,
    differences.ONLY_A: HERE,
    differences.ONLY_B: THERE,
    differences.OTHER_SIGN: OTHER_SIGN,
    differences.OTHER_STRENGTH: OTHER_STRENGTH,
    differences.UNCLEAR: UNTOLD,
}


def other_run(scene: Scene) -> RunFolder | None:
    """The run of the comparison that is open; None where none is."""
    name = state.get(state.COMPARED)
    if state.get(state.PART) != PART or name is None or name == state.get(state.RUN):
        return None
    try:
        return listing.open_run(name)
    except GpoVaeError:  # the part below says what is wrong with it
        return None


def of_runs(scene: Scene, other: RunFolder) -> NetworkComparison | None:
    """Both networks at the thresholds that were asked for; None where the other has no edge to compare."""
    equal = st.session_state.get(AT, EQUAL) == EQUAL
    return cached.runs_compared(scene.run, other, scene.which, scene.threshold, equal)


def put_at_hand(scene: Scene, other: RunFolder) -> bool:
    """The differences between these conditions have been found: from now on the picture shows them. Whether
    that is news.
    """
    found = _differences_of(scene, other)
    news = st.session_state.get(_AT_HAND) != found
    st.session_state[_AT_HAND] = found
    return news


def _differences_of(scene: Scene, other: RunFolder) -> tuple[str, str, float]:
    return str(scene.run.path), str(other.path), scene.threshold


def message(scene: Scene, version: str, known: bool) -> dict[str, Any] | None:
    """What the browser is sent of the open comparison, None without one; its edges once. version, known: of
    the network that it is laid over, and whether the browser has that.
    """
    other = other_run(scene)
    try:
        told = None if other is None else _told(scene, other)
    except GpoVaeError:
        told = None
    if other is None or told is None:
        st.session_state.pop(_SENT, None)
        return None
    said = f"{version}|{cached.version(other)}|{scene.threshold}|{told['tested']}|{told['threshold']}"
    edges = told.pop("edges")
    if not (known and st.session_state.get(_SENT) == said):
        told["edges"] = edge_lists(edges, scene)
    st.session_state[_SENT] = said
    return told | {"version": said, "name": state.get(state.COMPARED)}


def _told(scene: Scene, other: RunFolder) -> dict[str, Any] | None:
    """edges with their `code`, and what the legend says of them; the conditions where they are asked for and
    found, else the two networks as they are.
    """
    asked = bool(st.session_state.get(ASKED)) and scene.which.measure == "W"
    if asked and st.session_state.get(_AT_HAND) == _differences_of(scene, other):
        found = cached.conditions_compared(scene.run, other, scene.threshold)
        edges = found.edges.assign(code=found.edges["state"].map(_OF_CONDITIONS.get))
        return {"tested": True, "level": found.level, "threshold": found.threshold, "edges": edges}
    found = of_runs(scene, other)
    if found is None:
        return None
    edges = found.edges.assign(code=found.edges["state"].map(_OF_RUNS.get), fdr=np.nan)
    turned = (edges["code"] == BOTH) & (edges["sign_a"] * edges["sign_b"] < 0)
    edges.loc[turned, "code"] = OTHER_SIGN
    expected = float(found.expected) if np.isfinite(found.expected) else None
    return {"tested": False, "expected": expected, "threshold": found.threshold_b, "edges": edges}


def edge_lists(edges: pd.DataFrame, scene: Scene) -> dict[str, list[Any]]:
    """source, target (numbers in the panel), code, weight here and there, sign there, fdr (None: unknown); of
    the edges that the other network has alone the strongest MOST_EDGES.
    """
    index = scene.shown.panel.index
    alone = edges.loc[edges["code"] == THERE].nlargest(MOST_EDGES, "weight_b")
    kept = pd.concat([edges.loc[edges["code"] != THERE], alone])
    return {
        "source": [index[gene] for gene in kept[keys.SOURCE]],
        "target": [index[gene] for gene in kept[keys.TARGET]],
        "code": kept["code"].astype(int).tolist(),
        "here": kept["weight_a"].astype(float).tolist(),
        "there": kept["weight_b"].astype(float).tolist(),
        "sign": kept["sign_b"].astype(int).tolist(),
        "fdr": [None if np.isnan(rate) else float(rate) for rate in kept["fdr"]],
    }
