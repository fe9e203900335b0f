"""What stands around every page: the open run in the sidebar, the URL kept in step, errors shown in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st
from streamlit.runtime.pages_manager import PagesManager

from dashboard.shared import listing, state
from dashboard.shared.controls import on_page
from dashboard.shared.glossary import meaning
from dashboard.shared.words import plain
from gpovae_core.errors import GpoVaeError
from gpovae_core.runs.folder import RunFolder

TIGHT = "<style>[data-testid=stMainBlockContainer]{padding-top:2.5rem;padding-bottom:3rem}</style>"
"""Streamlit leaves a sixth of a laptop screen empty above the title."""
SIMULATED = (
    ":orange-badge[Simulated data] Made-up cells and gene names, for trying things out. Nothing here is "
    "biology."
)


@contextmanager
def errors_in_words() -> Iterator[None]:
    """Show a GpoVaeError as its message. Anything else is a mistake in this program and goes through."""
    try:
        yield
    except GpoVaeError as error:
        st.error(plain(on_page(str(error))))


def begin() -> None:
    """The first call in every page.

    Streamlit runs a file in pages/ on its own when a fresh server is first asked for that page by its
    address, because it learns of st.navigation only by running app.py once. Then tell it, and start over
    through app.py.
    """
    if PagesManager.uses_pages_directory:
        PagesManager.uses_pages_directory = False
        st.rerun()


def title(name: str, caption: str = "") -> None:
    """Title of a page; begins it."""
    begin()
    st.title(name)
    if caption:
        st.caption(caption)


def tabs(key: str, parts: dict[str, Callable[[], None]]) -> None:
    """One tab per part; only the open one is computed, and an error in it leaves the others usable."""
    for tab, part in zip(st.tabs(list(parts), key=key, on_change="rerun"), parts.values(), strict=True):
        if tab.open:
            with tab, errors_in_words():
                part()


def frame() -> None:
    """Keep the URL in step and put the open run into the sidebar. Called by app.py before the page."""
    state.sync_url()
    st.html(TIGHT)
    runs = listing.all_runs()
    with st.sidebar:
        if not runs:
            st.caption("No runs yet.")
            return
        chosen = state.get(state.RUN)
        options = list(runs)
        if chosen is not None and chosen not in runs:
            options = [chosen, *options]  # the page says that it does not exist; the choice stays visible
        st.selectbox(
            "Open run",
            options,
            help=meaning("run"),
            index=None,
            placeholder="Choose a run",
            format_func=lambda name: (
                f"{name} (simulated)" if name in runs and is_simulated(runs[name]) else name
            ),
            **state.bound(state.RUN, after=_forget_genes),
        )


def _forget_genes() -> None:
    """Another run has other genes: a focus that may not exist there would only be an error message."""
    genes = (
        state.FOCUS,
        state.MEASURED,
        state.PATH,
        state.PATH_SOURCE,
        state.PATH_TARGET,
        state.EDGE_SOURCE,
        state.EDGE_TARGET,
        state.PERTURBATIONS,
    )
    state.put(**dict.fromkeys((*genes, state.INFLUENCE, state.PINNED, state.COMMUNITY)))


def choose_run(name: str) -> None:
    """Open a run from a page."""
    if name != state.get(state.RUN):
        _forget_genes()
    state.put(**{state.RUN: name})


def is_simulated(run: RunFolder) -> bool:
    """Whether the cells are simulated; a run too damaged to say so counts as real."""
    try:
        return run.source().simulated
    except GpoVaeError:
        return False


def opened_or_newest() -> RunFolder | None:
    """The open run; where none is, the newest that has a network is opened, else the demo. None, with what to
    do next, where there is no run at all.
    """
    name = state.get(state.RUN) or listing.newest()
    if name is None:
        return opened_run()
    choose_run(name)
    state.sync_url()
    return listing.open_run(name)


def opened_run() -> RunFolder | None:
    """The open run, with the notice that it is simulated where it is; None, with what to do next, where none
    is open.
    """
    name = state.get(state.RUN)
    if name is None:
        st.info("No run is open. Choose one in the sidebar, or on the page Runs.")
        st.page_link("pages/runs.py", label="Go to Runs")
        return None
    run = listing.open_run(name)
    if is_simulated(run):
        st.markdown(SIMULATED)
    return run
