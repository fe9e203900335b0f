"""The workbench: what the browser is sent for it, and what the page does when somebody chooses something
there.
"""

from __future__ import annotations

import base64
import time
from functools import partial
from typing import Any

import numpy as np
import streamlit as st

from dashboard.network import beside, cached, evidence, history, paths
from dashboard.network.component import Answers, graph_in_browser, workbench
from dashboard.network.exports import chosen_figure, chosen_file
from dashboard.network.message import Sight, adjusted_of
from dashboard.network.references import all_references
from dashboard.network.scene import Scene, chosen_edge, set_threshold
from dashboard.shared import listing, shell, state
from dashboard.shared.words import plain
from gpovae_core.errors import GpoVaeError

_SEQ = "gpovae_sight"
"""Key in the session: number of the browser's last message, so that it knows which answers are late."""
_TESTS = "gpovae_tests_in_browser"
_FILE = "gpovae_file"
_LEAVE = "gpovae_leave"


def leave() -> None:
    """To the page Response, where it was asked for. Call before the address is written: it changes with the
    page.
    """
    if st.session_state.pop(_LEAVE, False):
        shell.go("pages/response.py")


def show(scene: Scene, parts: list[str]) -> None:
    workbench(_message(scene, parts), _answers(scene))


def _message(scene: Scene, parts: list[str]) -> dict[str, Any]:
    loops = state.get(state.LOOPS)
    references = all_references(scene.network.simulated)
    names = tuple(reference.name for reference in references)
    graph = cached.network_data(scene.run, scene.which, loops, names)
    version = f"{cached.version(scene.run)}|{scene.which}|{loops}|{names}"
    known = version == graph_in_browser()
    runs = listing.all_runs()
    message = {
        "version": version,
        "open": state.get(state.RUN),
        "runs": [
            {"name": name, "label": f"{name} (simulated)" if shell.is_simulated(run) else name}
            for name, run in runs.items()
        ],
        "parts": parts,
        "reach": state.reached_for(),
        "view": _sight(scene).message(),
        "evidence": _evidence(scene),
        "file": st.session_state.pop(_FILE, None),
        "tests": _tests(scene, graph, version, known),
        "compared": beside.message(scene, version, known),
        "tests_ready": cached.held_out_here(scene.run) and cached.pairs_wait(scene.run) is None,
    }
    later = {"stops", "digits", "hidden", "rare", "has_ensemble", "legend"}
    return message | {name: value for name, value in graph.items() if name in later or not known}


def _tests(scene: Scene, graph: dict[str, Any], version: str, known: bool) -> list[float | None] | None:
    """Adjusted p of the edges, once for each network in the browser, as soon as the pairs are tested."""
    pairs = cached.pairs_at_hand(scene.run)
    if pairs is None or (known and st.session_state.get(_TESTS) == version):
        return None
    st.session_state[_TESTS] = version
    return adjusted_of(graph["edges"], scene.shown.with_tests(pairs))


def _sight(scene: Scene) -> Sight:
    undo, redo = history.possible()
    community = state.get(state.COMMUNITY)
    mark = None
    if community is not None:
        members = cached.network_communities(scene.run, scene.which, scene.threshold)
        mark = tuple(np.array(scene.shown.panel.genes, dtype=object)[members == community])
    traced = paths.lit_path(scene.trace) if state.get(state.PART) in (None, "Paths") else ()
    return Sight(
        threshold=scene.threshold,
        gene=state.get(state.FOCUS),
        edge_from=state.get(state.EDGE_SOURCE),
        edge_to=state.get(state.EDGE_TARGET),
        view=state.get(state.VIEW),
        bundle=state.get(state.BUNDLE),
        hops=state.get(state.HOPS),
        direction=state.get(state.DIRECTION),
        row=state.get(state.PATH_ROW),
        mark=mark,
        path=traced,
        measure=scene.shown.measure,
        often=scene.which.often,
        shares=state.SHARES,
        loops=state.get(state.LOOPS),
        blind=scene.which.blind,
        part=state.get(state.PART),
        undo=undo,
        redo=redo,
        seq=st.session_state.get(_SEQ, 0),
    )


def _evidence(scene: Scene) -> dict[str, Any] | None:
    """What the card says beyond the browser's own knowledge; in words what keeps it from saying more."""
    ends, focus, bundle = chosen_edge(scene.shown), state.get(state.FOCUS), state.get(state.BUNDLE)
    try:
        if ends is not None:
            return evidence.of_pair(scene.run, *ends)
        if bundle:
            return evidence.of_bundle(scene.shown, bundle, scene.threshold)
        if focus is None:
            return None
        return evidence.of_gene(scene.run, scene.shown, scene.which, focus, scene.threshold)
    except GpoVaeError as error:
        return {
            "of": list(ends or bundle or (focus,)),
            "sections": [{"title": "", "lines": [str(error)], "kind": "doubt"}],
        }


# What the browser says --------------------------------------------------------------------------------------

_TEXTS = (state.FOCUS, state.EDGE_SOURCE, state.EDGE_TARGET, state.VIEW, state.DIRECTION, state.HOPS)


def _answers(scene: Scene) -> Answers:
    return Answers(sight=partial(take_sight, scene), asked=partial(ask, scene))


def take_sight(scene: Scene, said: dict[str, Any]) -> None:
    """Keep what is looked at. Whatever has another shape than it should is passed over."""
    state.heard()
    index = scene.shown.panel.index
    values: dict[str, Any] = {state.COMMUNITY: None}
    for name in _TEXTS:
        value = said.get(name)
        values[name] = None if value is None else state.parse(name, str(value))
    for name in (state.FOCUS, state.EDGE_SOURCE, state.EDGE_TARGET):
        if values[name] not in index:
            values[name] = None
    bundle = said.get("bundle")
    genes = bundle if isinstance(bundle, list | tuple) else ()
    values[state.BUNDLE] = tuple(gene for gene in genes if isinstance(gene, str) and gene in index) or None
    row = said.get("row")
    values[state.PATH_ROW] = row if isinstance(row, int) and row > 0 else None
    state.put(**values)
    if values[state.EDGE_SOURCE] and values[state.EDGE_TARGET]:
        paths.pick_path(scene.trace, values[state.EDGE_SOURCE], values[state.EDGE_TARGET])
    threshold = said.get("threshold")
    if (
        isinstance(threshold, int | float)
        and 0.0 <= threshold <= scene.shown.top
        and threshold != scene.threshold
    ):
        set_threshold(float(threshold))
    if isinstance(seq := said.get("seq"), int):
        st.session_state[_SEQ] = seq


def ask(scene: Scene, what: str, value: Any) -> None:
    """Do what the browser cannot."""
    state.heard()
    if what == "tests":
        cached.ask_for_pairs(scene.run)
    elif what == "step" and value in (-1, 1):
        history.step(int(value))
    elif what == "reset":
        _reset()
    elif what == "run" and value in list(listing.all_runs()):
        shell.choose_run(value)
    elif what == "part" and isinstance(value, str):
        state.put(**{state.PART: value})
    elif what == "set" and isinstance(value, dict):
        _set(value)
    elif what == "file" and isinstance(value, dict):
        _keep_file(chosen_file(scene, value))
    elif what == "figure" and isinstance(value, dict):
        _make_figure(scene, value)
    elif what == "paths":
        _all_paths(scene)
    elif what in ("response", "along"):
        _to_response(scene, along=what == "along")


def _reset() -> None:
    names = (*history.REMEMBERED, state.HOPS, state.DIRECTION, state.COMMUNITY, state.LOOPS, state.BLIND)
    state.put(**dict.fromkeys((*names, state.PATH_ROW)))


def _set(values: dict[str, Any]) -> None:
    """The rare settings in the menu View."""
    if values.get(state.MEASURE) in ("W", "T"):
        state.put(**{state.MEASURE: values[state.MEASURE]})
    for name in (state.LOOPS, state.BLIND):
        if isinstance(values.get(name), bool):
            state.put(**{name: values[name] or None})
    if values.get(state.OFTEN) in state.SHARES:
        state.put(**{state.OFTEN: float(values[state.OFTEN]) or None})


def _make_figure(scene: Scene, wanted: dict[str, Any]) -> None:
    try:
        _keep_file(chosen_figure(scene, wanted))
    except GpoVaeError as error:
        st.toast(plain(str(error)))


def _keep_file(made: tuple[str, str, bytes] | None) -> None:
    """For the browser, which saves it as soon as it has it."""
    if made is not None:
        name, mime, content = made
        st.session_state[_FILE] = {
            "name": name,
            "mime": mime,
            "content": base64.b64encode(content).decode(),
            "at": time.time(),
        }


def _all_paths(scene: Scene) -> None:
    ends = chosen_edge(scene.shown)
    if ends is not None:
        values = {state.PATH_SOURCE: (ends[0],), state.PATH_TARGET: ends[1], state.PART: "Paths"}
        state.put(**values, **{state.PATH_ROW: None})


def _to_response(scene: Scene, along: bool) -> None:
    """To the page Response: of the chosen gene, or along the way from source to target that is lit."""
    ends = chosen_edge(scene.shown)
    if along and ends is not None:
        ways = evidence.of_pair(scene.run, *ends)["paths"]
        if ways:
            row = min(state.get(state.PATH_ROW), len(ways) - 1)
            paths.follow(scene.run, tuple(ways[row]["genes"]))
    elif state.get(state.FOCUS) in scene.shown.panel.data.perturbed:
        state.put(**{state.PERTURBATIONS: (state.get(state.FOCUS),)})
    st.session_state[_LEAVE] = True
