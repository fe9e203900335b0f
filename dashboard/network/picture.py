"""The picture of the network, and what a click in it does."""

from __future__ import annotations

import streamlit as st

from dashboard.network import cached, history, paths
from dashboard.network.component import Answers, graph_in_browser, network_picture
from dashboard.network.drawing import Sight, message
from dashboard.network.edge import chosen_edge
from dashboard.network.scene import Scene, ego_hops, set_threshold
from dashboard.network.slider import false_edge_rate
from dashboard.shared import state
from gpovae_core.network.paths import PathTrace


def show(scene: Scene) -> None:
    found, shown = scene.trace, scene.shown
    grouped = state.get(state.VIEW) == state.COMMUNITIES
    undo, redo = history.possible()
    sight = Sight(
        mode=state.get(state.VIEW),
        focus=state.get(state.FOCUS),
        hops=ego_hops(shown),
        direction=state.get(state.DIRECTION),
        threshold=scene.threshold,
        goal=state.get(state.PATH_TARGET),
        path=paths.lit_path(found),
        paths=tuple(path.genes for path in found.paths) if found else (),
        edge=chosen_edge(shown),
        members=cached.network_communities(scene.run, scene.which, scene.threshold) if grouped else None,
        highlight=state.get(state.COMMUNITY) if grouped else None,
        undo=undo,
        redo=redo,
        false_rate=None if scene.which.often else false_edge_rate(cached.false_edges(scene.run), shown),
    )
    network_picture(
        message(scene.picture, shown, cached.version(scene.run), sight, graph_in_browser()), answers(found)
    )


def answers(found: PathTrace | None) -> Answers:
    def edge(source: str, target: str) -> None:
        paths.pick_path(found, source, target)
        state.put(**{state.EDGE_SOURCE: source, state.EDGE_TARGET: target})

    return Answers(
        gene=lambda gene: state.put(**{state.FOCUS: gene, state.EDGE_SOURCE: None, state.EDGE_TARGET: None}),
        aimed=aim,
        edge=edge,
        threshold=set_threshold,
        loops=lambda shown: state.put(**{state.LOOPS: shown or None}),
        blind=lambda shown: state.put(**{state.BLIND: shown or None}),
        step=history.step,
        reset=lambda: state.put(
            **dict.fromkeys(
                (*history.REMEMBERED, state.HOPS, state.DIRECTION, state.COMMUNITY, state.LOOPS, state.BLIND)
            )
        ),
    )


def aim(gene: str) -> None:
    """A shift-click: this gene is the target; the chosen gene is the source where none is named yet."""
    focus = state.get(state.FOCUS)
    if not state.get(state.PATH_SOURCE) and focus is not None and focus != gene:
        state.put(**{state.PATH_SOURCE: (focus,)})
    state.put(**{state.PATH_TARGET: gene, state.PATH_ROW: None})
    st.session_state[state.NETWORK_PART] = "Paths"
