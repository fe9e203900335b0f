"""The page Network: the workbench on the first screen, and below it the rarer questions, one at a time."""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard.network import (
    communities,
    comparison,
    ensemble,
    exports,
    history,
    neighbours,
    paths,
    picture,
    thresholds,
)
from dashboard.network.scene import Scene, scene_of
from dashboard.shared import contents, shell, state
from dashboard.shared.words import plain
from gpovae_core.errors import GpoVaeError
from gpovae_core.reporting.sentences import false_rate_of_effects, null_in_words
from gpovae_core.runs import shipped
from gpovae_core.runs.folder import RunFolder

PARTS = {
    "Paths": paths.show,
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
    "Regulates, regulated by": _SIGHT,
    "Which threshold?": (*_CUT, state.PATH_HOPS, state.PINNED),
    "How sure?": _CUT,
    "Communities": _CUT,
    "Compare runs": (*_CUT, state.COMPARED),
    "Export and references": _SIGHT,
}
"""What each part shows something of; where nothing of it has changed, a click in the workbench need not draw
it anew.
"""
TABS = "network_part"
"""Key of the tabs in the session: the name of the open one."""
_SHOWN = "gpovae_part_shown"
_DRAWN = "gpovae_part_drawn"
WIDE = """<style>
[data-testid=stMainBlockContainer]{padding:3.9rem .75rem 1rem;max-width:none}
[data-testid=stMainBlockContainer]>div>[data-testid=stVerticalBlock]{gap:.4rem}
@media(min-width:760px){[data-testid=stSidebar],[data-testid=stExpandSidebarButton]{display:none}}
</style>"""
"""The workbench takes the whole window: the run is chosen in its bar, not in a sidebar."""


def show(run: RunFolder) -> None:
    if run.without_network:
        st.info(plain(run.without_network))
        st.page_link("pages/response.py", label="Go to Response")
        return
    st.html(WIDE)
    try:
        scene = scene_of(run)
    except GpoVaeError as error:  # a run that cannot be read says so here, once
        st.error(plain(error))
        shell.another_way(state.get(state.RUN))
        return
    up_to_date()
    explorer(run)
    ensemble.under_way(run)
    more(scene)
    shell.notices(run)
    if run.path == shipped.DEMOS[shipped.REAL_DEMO]:
        st.caption(shell.REAL_CELLS)
    with shell.errors_in_words():
        trust(scene)


@st.fragment
def explorer(run: RunFolder) -> None:
    """The workbench. A choice in it runs this part alone, the whole page where another run was chosen or the
    open part depends on the change.
    """
    if outdated() or not run.path.is_dir():  # deleted meanwhile: the whole page says so
        st.rerun()
    picture.leave()
    state.sync_url()
    scene = scene_of(run)
    history.record()
    picture.show(scene, list(PARTS))


def more(scene: Scene) -> None:
    """The part that was asked for, and a way to the others."""
    part = open_part()
    if part is None:
        return
    state.put(**{state.PART: part})
    st.session_state[TABS] = st.session_state[_SHOWN] = part
    with st.container(key="network_more"):
        st.button("Close", key="network_close", type="tertiary", on_click=close)
        shell.tabs(TABS, {name: partial(show_part, scene) for name, show_part in PARTS.items()})


def open_part() -> str | None:
    """The part that was asked for: by its tab, the menu, a link; Paths where another page asks for some."""
    tab = st.session_state.get(TABS)
    if tab in PARTS and tab != st.session_state.get(_SHOWN):
        state.put(**{state.PART: tab})
    part = state.get(state.PART)
    if part is None and state.get(state.PATH_SOURCE) and state.get(state.PATH_TARGET):
        return "Paths"
    return part if part in PARTS else None


def close() -> None:
    """With its part closed nobody asks for paths any more."""
    for key in (_SHOWN, TABS):  # the tab that was open would ask for its part again
        st.session_state.pop(key, None)
    state.put(**dict.fromkeys((state.PART, state.PATH_SOURCE, state.PATH_TARGET)))


def trust(scene: Scene) -> None:
    """What the edges rest on; how many of them are in doubt, the card says."""
    scores = contents.evaluation(scene.run)
    words = None if scores is None else null_in_words(scores)
    if words:
        st.caption(words)
    effects = scene.run.effects_report()
    if effects is not None:
        st.caption(plain(f"Made from a table of effects, without cells. {false_rate_of_effects(effects)}"))


def _inputs() -> tuple[object, ...]:
    part = open_part()
    return state.get(state.RUN), part, *(state.get(name) for name in (DEPENDS[part] if part else ()))


def up_to_date() -> None:
    """The open part is being drawn from what the session holds now."""
    st.session_state[_DRAWN] = _inputs()


def outdated() -> bool:
    """Whether the part on the screen was drawn from something else than what the session holds now."""
    return st.session_state.get(_DRAWN) != _inputs()
