"""What stands around every page: the choice of a run, the URL kept in step, errors shown in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any, NoReturn

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.runtime.pages_manager import PagesManager

from dashboard.shared import listing, state
from dashboard.shared.controls import on_page
from dashboard.shared.glossary import meaning
from dashboard.shared.words import plain
from gpovae_core.data.room import is_full
from gpovae_core.errors import GpoVaeError
from gpovae_core.runs import shipped
from gpovae_core.runs.folder import RunFolder

STYLE = """<style>
[data-testid=stMainBlockContainer]{padding:3.9rem 1.25rem 2rem;max-width:1600px}
[data-testid=stMainBlockContainer]>div>[data-testid=stVerticalBlock]{gap:.75rem}
[data-testid=stCaptionContainer],[data-testid=stCaptionContainer] p{
  color:light-dark(#565b66,#b6bac3);opacity:1}
h1{padding:0 0 .25rem!important;font-size:1.9rem!important}
.js-plotly-plot [class$=tick] text,.js-plotly-plot [class$=title],.js-plotly-plot .cbaxis text,
.js-plotly-plot .annotation-text,.js-plotly-plot .legendtext,.js-plotly-plot .textpoint text{
  fill:light-dark(#4b4f5a,#c3c7d0)!important
}
[data-testid=stBaseButton-primary]:enabled *,[data-testid=stMultiSelectTagsContainer] span{
  color:light-dark(#fff,#08131c)
}
[data-testid=stCode] .token{color:inherit!important}
@media(min-width:761px){[data-testid=stElementContainer]:has(details.fold){display:none}}
@media(max-width:1000px){
  .st-key-bar [data-testid=stHorizontalBlock]{flex-wrap:wrap}
  .st-key-bar [data-testid=stColumn]{flex:1 1 11rem;min-width:11rem}
}
@media(max-width:640px){.js-plotly-plot .annotation:has(.annotation-arrow-g){display:none}}
@media(max-width:640px){[class*=_if_wide]{display:none}}
@media(min-width:641px){[class*=_if_narrow]{display:none}}
@media(max-width:760px){
  details.fold{
    padding:.45rem .75rem;border:1px solid light-dark(#c8ccd4,#4a4f5a);border-radius:.5rem
  }
  details.fold summary{cursor:pointer;overflow-wrap:anywhere}
  [data-testid=stElementContainer]:has(details.fold:not([open]))~:has(>.st-key-bar){display:none}
}
</style>"""
"""Streamlit leaves a sixth of a laptop screen empty above the title, and its captions and the text of its
charts are too pale to be read by everybody.
"""
UNSEEN = (
    "position:absolute;width:1px;height:1px;margin:0;padding:0;overflow:hidden;clip-path:inset(50%);"
    "white-space:nowrap"
)
"""Style of what only screen readers need: the navigation says already which page this is."""
SIMULATED = (
    ":orange-badge[Simulated data] Made-up cells and gene names, for trying things out. Nothing here is "
    "biology."
)

REAL_CELLS = (
    "Demo of real cells: knock-outs in stimulated THP-1 cells, ECCITE-seq of Papalexi et al., Nature "
    "Genetics 53 (2021), 322-331; counts as in Katsevich-Lab's sceptreIGVF and sceptredata (MIT licence)."
)


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Show a GpoVaeError as its message, and say that a disk is full. Anything else is a mistake in this
    program and goes through.
    """
    try:
        yield
    except GpoVaeError as error:
        st.error(plain(on_page(str(error))))
    except OSError as error:
        if not is_full(error):
            raise
        st.error("The disk is full, so this could not be written. Make room there, then try again.")


_FRAMED, _STARTED_OVER = "gpovae_framed", "gpovae_started_over"
"""Keys in the session: app.py has been through before this page; a page without it has started over."""


def go(page: str) -> NoReturn:
    """To another page, which shows what is open and chosen. Streamlit would empty the address on the way, and
    every address on the way is one more press of the back button.
    """
    st.switch_page(page, query_params=state.take_along())


def begin() -> None:
    """The first call in every page.

    Streamlit runs a file in pages/ on its own when a fresh server is first asked for that page by its
    address, because it learns of st.navigation only by running app.py once. Then tell it, and start over
    through app.py: so does every session that began before it was told, once.
    """
    framed = st.session_state.pop(_FRAMED, False)
    if PagesManager.uses_pages_directory or (not framed and not st.session_state.get(_STARTED_OVER)):
        PagesManager.uses_pages_directory = False
        st.session_state[_STARTED_OVER] = True
        st.rerun()


def title(name: str, caption: str = "") -> None:
    """Title of a page; begins it."""
    begin()
    st.title(name)
    if caption:
        st.caption(caption)


def begin_on_a_run(name: str) -> RunFolder | None:
    """Begin a page about a run: its name for screen readers, and the run that it is about (see
    opened_or_newest).
    """
    begin()
    st.html(f'<h1 style="{UNSEEN}">{name}</h1>')
    return opened_or_newest()


def bar(widths: Sequence[float], words: str, *, folded: bool) -> Sequence[DeltaGenerator]:
    """Columns for the controls above an answer. On a telephone, and where letters are large, they would fill
    the screen: there they are folded into one line, so that the answer comes first.

    words: what is chosen in them, for that line; folded: false where there is no answer yet.
    """
    st.html(f'<details class="fold"{"" if folded else " open"}><summary>{escape(words)}</summary></details>')
    return st.container(key="bar").columns(widths, vertical_alignment="bottom")


def tabs(key: str, parts: dict[str, Callable[[], None]], name: str | None = None) -> None:
    """One tab per part; only the open one is computed, and an error in it leaves the others usable.

    name: under which the open one is kept in state, and so in the address; the first tab is none.
    """
    if name is not None:
        _choose_tab(key, list(parts), name)
    drawn = st.tabs(list(parts), key=key, on_change=state.heard)
    if name is not None:
        _keep_tab(key, list(parts), name)
    for tab, part in zip(drawn, parts.values(), strict=True):
        if tab.open:
            with tab, errors_in_words():
                part()


def _choose_tab(key: str, titles: list[str], name: str) -> None:
    """A tab that was clicked since it was last drawn stays open; otherwise the address decides."""
    clicked = st.session_state.get(key) in titles and st.session_state[key] != st.session_state.get(
        f"{key}_drawn"
    )
    if not clicked and not state.held_by_browser(key):
        st.session_state[key] = state.get(name) if state.get(name) in titles else titles[0]


def _keep_tab(key: str, titles: list[str], name: str) -> None:
    opened = st.session_state.get(key)
    st.session_state[f"{key}_drawn"] = opened
    state.put(**{name: opened if opened in titles[1:] else None})
    state.sync_url()


def frame() -> None:
    """Keep the URL in step. Called by app.py before the page."""
    st.session_state[_FRAMED] = True
    state.sync_url()
    st.html(STYLE)


def finish() -> None:
    """Called by app.py after the page."""
    if state.read_back():
        st.rerun()


def run_choice(place: Any = st) -> None:
    """The open run, and the others to choose from, where a page has it: first in its bar."""
    runs = listing.all_runs()
    chosen = state.get(state.RUN)
    options = list(runs)
    if chosen is not None and chosen not in runs:
        options = [chosen, *options]  # one of a sweep, or one that is gone: the choice stays visible
    place.selectbox(
        "Open run",
        options,
        help=meaning("run"),
        index=None,
        placeholder="Choose a run",
        format_func=lambda name: f"{name} (simulated)" if name in runs and is_simulated(runs[name]) else name,
        **state.bound(state.RUN, after=_another_run),
    )


_OF_A_RUN = (
    state.FOCUS,
    state.MEASURED,
    state.PATH,
    state.PATH_SOURCE,
    state.PATH_TARGET,
    state.EDGE_SOURCE,
    state.EDGE_TARGET,
    state.PERTURBATIONS,
    state.INFLUENCE,
    state.PINNED,
    state.COMMUNITY,
    state.ASKED,
    state.DETAIL,
    state.BESIDE,
)


def _another_run() -> None:
    """Another run has other genes: a focus that may not exist there would only be an error message. What-if
    questions wait for their run.
    """
    state.put(**dict.fromkeys(_OF_A_RUN))


def choose_run(name: str) -> None:
    """Open a run from a page."""
    state.heard()
    if name != state.get(state.RUN):
        state.put(**{state.RUN: name})
        _another_run()


def is_simulated(run: RunFolder) -> bool:
    """Whether the cells are simulated; a run too damaged to say so counts as real."""
    try:
        return run.source().simulated
    except GpoVaeError:
        return False


_BY_ITSELF = "gpovae_opened_by_itself"
"""Key in the session: name of the run that was opened because none was."""


def opened_or_newest() -> RunFolder | None:
    """The open run; where none is, the newest that has a network is opened, else the demo. None, with what is
    wrong and what to do next, where there is none, or where it cannot be opened.
    """
    name = state.get(state.RUN)
    if name is None:
        name = listing.newest()
        if name is None:
            st.info("No run is open, as there is none yet. Train a first one on your cells.")
            if st.button("Use my data", type="primary", key="dead_end_data"):
                go("pages/data.py")
            return None
        choose_run(name)
        st.session_state[_BY_ITSELF] = name
        state.sync_url()
    try:
        return listing.open_run(name)
    except GpoVaeError as error:
        st.error(plain(error))
        another_way(name)
        return None


def another_way(gone: str) -> None:
    """Where to go when a run cannot be opened."""
    run_choice(st.container(width=320))
    other = listing.newest(but=gone)
    if other is not None:
        what = "the demo" if listing.is_demo(listing.all_runs()[other]) else "the newest run"
        st.button(
            f"Open {what}, {plain(other)}",
            key="open_another",
            type="primary",
            on_click=choose_run,
            args=(other,),
        )


def notices(run: RunFolder) -> None:
    """What is to be known of the run on every page: that it opened by itself, that it is simulated."""
    if st.session_state.get(_BY_ITSELF) == state.get(state.RUN) is not None:
        st.caption(opened_in_words(run))
    if is_simulated(run):
        st.markdown(SIMULATED)


def opened_in_words(run: RunFolder) -> str:
    """Why this run is the open one, where nobody has chosen any."""
    if not listing.is_demo(run):
        return f"No run was open: this is the newest, {plain(run.name)}."
    which = "demo of real cells" if run.path == shipped.DEMOS[shipped.REAL_DEMO] else "demo"
    return f"There is no run of yours yet, so the {which} is open."
