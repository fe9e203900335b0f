"""The tab with files of the network to take along, and the reference networks."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from dashboard.network import cached, references
from dashboard.network.drawing import MOST_EDGES, ego_edges
from dashboard.network.scene import Scene, ego_hops
from dashboard.shared import state
from gpovae_core import keys
from gpovae_core.network.exports import FORMATS, View, export_bytes


def show(scene: Scene) -> None:
    left, middle, right = st.columns([3, 3, 2], vertical_alignment="bottom")
    all_of_them = left.radio(
        "What", ["What the picture shows", "All edges at the threshold"], horizontal=True, key="export_what"
    ) != ("What the picture shows")
    chosen = middle.selectbox(
        "File format", list(FORMATS), format_func=lambda name: FORMATS[name].label, key="export_format"
    )
    scene = _with_tests(scene)
    view = export_view(scene, all_of_them)
    count = len(view.edges) if view.edges is not None else int(scene.shown.count_edges([scene.threshold])[0])
    right.download_button(
        f"Download {count:,} edges",
        lambda: export_bytes(scene.shown, scene.threshold, chosen, view),
        file_name=f"{scene.run.name}_{scene.shown.measure}{scene.threshold:g}{FORMATS[chosen].suffix}",
        mime=FORMATS[chosen].mime,
        on_click="ignore",
    )
    st.caption(
        "Run, threshold, focus, places of the genes and all settings travel inside the file (SIF holds "
        "names only). PNG and SVG of the picture: the buttons above it."
    )
    references.show(scene.network.panel.genes)


def _with_tests(scene: Scene) -> Scene:
    """With the held-out tests in its edge tables, where all pairs of the run are tested."""
    found = cached.pairs(scene.run)
    return scene if found is None else replace(scene, shown=scene.shown.with_tests(found))


def export_view(scene: Scene, all_of_them: bool) -> View:
    focus: str | None = state.get(state.FOCUS)
    ego = state.get(state.VIEW) == state.EGO
    facts: dict[str, str | float | bool] = {
        "view": "all edges" if all_of_them else state.get(state.VIEW),
        "measure": scene.shown.measure,
    }
    if scene.which.often:
        facts["found_again_in_at_least"] = scene.which.often
    if focus is not None:
        facts["focus"] = focus
    if ego and focus is not None and not all_of_them:
        facts |= {"hops": float(ego_hops(scene.shown)), "around": state.get(state.DIRECTION)}
    if all_of_them:
        found = (
            scene.shown.edges(scene.threshold, scene.picture.self_loops) if scene.picture.self_loops else None
        )
    elif ego and focus is not None:
        hops, direction = ego_hops(scene.shown), state.get(state.DIRECTION)
        found = ego_edges(scene.shown, focus, hops, direction, scene.threshold, scene.picture.self_loops)[0]
        found = found.loc[found[keys.WEIGHT] > scene.threshold]
    else:
        found = scene.shown.edges(scene.threshold, scene.picture.self_loops, top=MOST_EDGES).head(MOST_EDGES)
    return View(found, scene.picture.positions, facts)
