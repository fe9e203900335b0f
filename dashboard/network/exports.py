"""The tab with files of the network to take along, and the reference networks."""

from __future__ import annotations

from dataclasses import replace
from math import isfinite
from typing import Any

import numpy as np
import streamlit as st

from dashboard.network import cached, references
from dashboard.network.cached import places
from dashboard.network.message import MOST_EDGES
from dashboard.network.scene import Scene, chosen_edge, ego_hops
from dashboard.shared import networks, state
from gpovae_core import __version__, keys
from gpovae_core.errors import QueryError
from gpovae_core.network.contrary import contrary_edges
from gpovae_core.network.exports import FORMATS, View, export_bytes
from gpovae_core.plots.paper import FORMATS as FIGURE_FORMATS
from gpovae_core.plots.paper import Drawing, check, drawing_bytes, read_keys, read_strokes
from gpovae_core.plots.paper_network import network_drawing, signs_legend


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
    tables = references.all_references(scene.network.simulated)
    count = len(view.edges) if view.edges is not None else int(scene.shown.count_edges([scene.threshold])[0])
    right.download_button(
        f"Download {count:,} edges",
        lambda: export_bytes(scene.shown, scene.threshold, chosen, view, tables),
        file_name=f"{scene.run.name}_{scene.shown.measure}{scene.threshold:g}{FORMATS[chosen].suffix}",
        mime=FORMATS[chosen].mime,
        on_click="ignore",
    )
    st.caption(
        "Run, threshold, focus, places of the genes, all settings and what reference networks say of every "
        "edge travel inside the file (SIF holds names only). PNG and SVG of the picture, and figures for a "
        "paper: the buttons above it. The table on the first screen has its own: what it lists, as CSV or "
        "for Cytoscape."
    )
    references.show(scene.network.panel.genes)


def _with_tests(scene: Scene) -> Scene:
    """With the held-out tests in its edge tables, where all pairs of the run are tested."""
    found = cached.pairs(scene.run)
    return scene if found is None else replace(scene, shown=scene.shown.with_tests(found))


def export_view(scene: Scene, all_of_them: bool) -> View:
    focus, loops = state.get(state.FOCUS), state.get(state.LOOPS)
    facts = _facts(scene, "all edges" if all_of_them else state.get(state.VIEW) or "whole")
    if all_of_them:
        found = scene.shown.edges(scene.threshold, loops) if loops else None
    elif focus is not None:
        hops, direction = ego_hops(scene.shown), state.get(state.DIRECTION)
        facts |= {"hops": float(hops), "around": direction}
        found = scene.shown.neighbourhood(focus, hops, direction, scene.threshold, loops).edges
        ends = {"out": found[keys.SOURCE] == focus, "in": found[keys.TARGET] == focus}
        if hops == 1:
            found = found.loc[ends.get(direction, ends["out"] | ends["in"])].reset_index(drop=True)
    else:
        found = scene.shown.edges(scene.threshold, loops, top=MOST_EDGES).head(MOST_EDGES)
    return View(found, places(scene.run).astype(float), facts)


def _facts(scene: Scene, view: str) -> dict[str, str | float | bool]:
    facts: dict[str, str | float | bool] = {"view": view, "measure": scene.shown.measure}
    if scene.which.often:
        facts["found_again_in_at_least"] = scene.which.often
    if (focus := state.get(state.FOCUS)) is not None:
        facts["focus"] = focus
    return facts


def chosen_file(scene: Scene, wanted: dict[str, Any]) -> tuple[str, str, bytes] | None:
    """Name, MIME type and content of the file that the table of the workbench asks for; None where what is
    asked makes no sense.

    wanted: format, edges (pairs of gene numbers, in order) and places (gene number, x, y) of the picture.
    """
    form, pairs = wanted.get("format"), numbers(wanted.get("edges"), 2)
    if form not in FORMATS or len(pairs) == 0:
        return None
    scene = _with_tests(scene)
    n, genes = len(scene.shown), np.array(scene.shown.panel.genes, dtype=object)
    pairs = pairs[((pairs >= 0) & (pairs < n)).all(axis=1)].astype(int)
    table = scene.shown.edges(0.0, True, top=MOST_EDGES).set_index([keys.SOURCE, keys.TARGET])
    order = [pair for pair in map(tuple, genes[pairs]) if pair in table.index]
    spots = places(scene.run).astype(float)
    for gene, x, y in numbers(wanted.get("places"), 3):
        if 0 <= gene < n:
            spots[int(gene)] = x, y
    view = View(table.loc[order].reset_index(), spots, _facts(scene, "the table"))
    name = f"{scene.run.name}_{scene.shown.measure}{scene.threshold:g}{FORMATS[form].suffix}"
    tables = references.all_references(scene.network.simulated)
    return name, FORMATS[form].mime, export_bytes(scene.shown, scene.threshold, form, view, tables)


def numbers(given: Any, width: int) -> np.ndarray:
    """(k, width) finite numbers out of what a browser sent; rows of another shape are passed over."""
    rows = given if isinstance(given, list | tuple) else ()
    kept = [
        row
        for row in rows
        if isinstance(row, list | tuple)
        and len(row) == width
        and all(isinstance(value, int | float) and isfinite(value) for value in row)
    ]
    return np.array(kept, dtype=float).reshape(-1, width)


WIDE_ENOUGH = 150.0
"""Millimetres from which the names of the groups fit beside the map as it is on the screen; on less it is
drawn as `gpovae figure` does.
"""


def chosen_figure(scene: Scene, wanted: dict[str, Any]) -> tuple[str, str, bytes]:
    """Name, MIME type and content of the figure of a picture: its strokes, as the browser's pen made them.

    wanted: format, mm (its width), width and height of the sheet, strokes, view, drawn (how many edges they
    are), contrary (whether one has the mark of a sign against its effect), told (what an open comparison
    tells apart: words and colour of each). Raises QueryError for what no picture is.
    """
    form, across = str(wanted.get("format")), wanted.get("mm")
    sheet = numbers([[wanted.get("width"), wanted.get("height")]], 2)
    if not isinstance(across, int | float) or len(sheet) == 0 or not (sheet > 0).all():
        raise QueryError("A figure needs its width in millimetres, and the size of its sheet.")
    check(form, float(across))
    certain = scene.network.ensemble is not None
    view, focus = str(wanted.get("view")), state.get(state.FOCUS)
    strokes = read_strokes(wanted.get("strokes"))
    name = f"{scene.run.name}_{scene.shown.measure}{scene.threshold:g}_{across:g}mm.{form}"
    if view == state.WHOLE and across < WIDE_ENOUGH:
        fit = networks.stage(scene.run)
        contrary = contrary_edges(scene.shown, None if fit is None else fit.own_change)
        narrow = network_drawing(scene.shown, scene.threshold, focus, float(across), contrary)
        return name, FIGURE_FORMATS[form], drawing_bytes(narrow, form, float(across))
    drawn, told = wanted.get("drawn"), read_keys(wanted.get("told", []))
    edges = int(scene.shown.count_edges([scene.threshold], state.get(state.LOOPS))[0])
    drawing = Drawing(
        float(sheet[0, 0]),
        float(sheet[0, 1]),
        strokes,
        (*signs_legend(certain, view, wanted.get("contrary") is True), *told),
        figure_caption(
            scene,
            edges,
            drawn if isinstance(drawn, int) else edges,
            focus if view == state.EGO else None,
            state.get(state.COMPARED) if told else None,
        ),
        figure_facts(scene, view, edges),
    )
    return name, FIGURE_FORMATS[form], drawing_bytes(drawing, form, float(across))


def figure_facts(scene: Scene, view: str, edges: int) -> dict[str, Any]:
    """What travels inside the file of a figure."""
    facts: dict[str, Any] = _facts(scene, view) | {
        "run": scene.run.name,
        "threshold": scene.threshold,
        "edges": edges,
        "settings": scene.network.settings,
        "gpovae": __version__,
    }
    if view == state.EGO:
        facts |= {"hops": ego_hops(scene.shown), "around": state.get(state.DIRECTION)}
    if (pair := chosen_edge(scene.shown)) is not None:
        facts["edge"] = pair
    return facts | ({"simulated": True} if scene.network.simulated else {})


def figure_caption(scene: Scene, edges: int, drawn: int, around: str | None, beside: str | None) -> str:
    """What stands below a figure of the network. drawn: how many of its edges; around: the gene in the
    middle; beside: the run of an open comparison.
    """
    words = f"{scene.run.name}: network with {scene.above}, {edges:,} edges"
    where = f" around {around}" if around else ""
    if drawn < edges:
        words += f"; shown: {drawn:,} of them{where}."
    else:
        words += f"; shown{where}." if where else "."
    if beside:
        words += f" Beside {beside}."
    if (found := scene.network.ensemble) is not None:
        words += f" How often edges come back: {found.members:,} networks from other draws of the cells."
    return words + (" Simulated data." if scene.network.simulated else "")
