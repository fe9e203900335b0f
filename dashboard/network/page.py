"""The page Network: the learned network at a threshold, the gene or edge chosen in it, and the questions
below the picture.
"""

from __future__ import annotations

import streamlit as st

from dashboard.network import (
    communities,
    comparison,
    controls,
    edges,
    ensemble,
    exports,
    history,
    inspector,
    neighbours,
    paths,
    picture,
    thresholds,
)
from dashboard.network.scene import Scene, scene_of
from dashboard.shared import contents, shell, state
from dashboard.shared.words import plain
from gpovae_core.reporting.sentences import false_rate_of_effects, null_in_words
from gpovae_core.runs.folder import RunFolder

PARTS = {
    "Paths": paths.show,
    "Edges": edges.show,
    "Regulates, regulated by": neighbours.show,
    "Which threshold?": thresholds.show,
    "How sure?": ensemble.show,
    "Communities": communities.show,
    "Compare runs": comparison.show,
    "Export and references": exports.show,
}
_CUT = (state.RUN, state.MEASURE, state.THRESHOLD, state.INFLUENCE, state.LOOPS, state.BLIND, state.OFTEN)
_SIGHT = (*_CUT, state.FOCUS, state.VIEW, state.HOPS, state.DIRECTION, state.COMMUNITY)
DEPENDS = {
    "Paths": (*_CUT, state.PATH_SOURCE, state.PATH_TARGET, state.PATH_HOPS, state.PATH_ROW),
    "Edges": _SIGHT,
    "Regulates, regulated by": _SIGHT,
    "Which threshold?": (*_CUT, state.PATH_HOPS, state.PINNED),
    "How sure?": _CUT,
    "Communities": _CUT,
    "Compare runs": (*_CUT, state.COMPARED),
    "Export and references": _SIGHT,
}
"""What each tab shows something of; where nothing of it has changed, a click in the picture need not draw the
tab anew.
"""
_DRAWN = "gpovae_tab_drawn"


def show(run: RunFolder) -> None:
    scene = scene_of(run)  # a run that cannot be read says so here, once
    up_to_date()
    explorer(run)
    with shell.errors_in_words():
        trust(scene)
    shell.tabs(state.NETWORK_PART, {name: lambda part=part: part(scene) for name, part in PARTS.items()})


@st.fragment
def explorer(run: RunFolder) -> None:
    """The picture with what stands around it. A click runs this part alone, the whole page where the open tab
    depends on the change.
    """
    if outdated():
        st.rerun()
    state.sync_url()
    scene = scene_of(run)
    history.record()
    controls.show(scene.network)
    left, right = st.columns([7, 3])
    with right, shell.errors_in_words():  # first: the browser paints the picture last, and that takes longest
        inspector.show(scene)
    with left:
        picture.show(scene)


def trust(scene: Scene) -> None:
    """What the edges rest on, before anybody reads them as confidence."""
    scores = contents.evaluation(scene.run)
    words = None if scores is None else null_in_words(scores)
    if words:
        st.caption(words)
    effects = scene.run.effects_report()
    if effects is not None:
        st.caption(plain(f"Made from a table of effects, without cells. {false_rate_of_effects(effects)}"))
    counted = scene.shown.count_open(scene.threshold)
    if counted is not None and counted[0]:
        judged, in_doubt = counted
        st.caption(
            f"Direct or not: of the {judged:,} edges out of perturbed genes with {scene.above}, "
            f"{in_doubt:,} may run over a gene that nobody perturbed, as their source changes such a gene "
            "more than the target. No cell of this screen tells that from a direct edge."
        )


def _inputs() -> tuple[object, ...]:
    part = st.session_state.get(state.NETWORK_PART) or next(iter(PARTS))
    return part, *(state.get(name) for name in DEPENDS[part])


def up_to_date() -> None:
    """The open tab is being drawn from what the session holds now."""
    st.session_state[_DRAWN] = _inputs()


def outdated() -> bool:
    """Whether the tab on the screen was drawn from something else than what the session holds now."""
    return st.session_state.get(_DRAWN) != _inputs()
