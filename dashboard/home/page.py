"""The page Home: what this does and the demo, where there is no run of one's own; else what is at work, and
what a run found.
"""

from __future__ import annotations

import streamlit as st

from dashboard.home import at_work, one_run
from dashboard.shared import demos, job_view, listing, shell, state
from dashboard.shared.words import plain
from gpovae_core.errors import GpoVaeError
from gpovae_core.runs.folder import RunFolder

MOST_LISTED = 8
"""Other runs offered by name; the page Runs has all."""


def show() -> None:
    job_view.problem_of_last_click()
    runs = listing.all_runs()
    if any(not listing.is_demo(run) for run in runs.values()):
        with_runs(runs)
    else:
        first_time(runs)


def first_time(runs: dict[str, RunFolder]) -> None:
    """What this does in one sentence, two ways to go on, and the demo open behind them."""
    st.title("Which gene regulates which, read from your Perturb-seq screen", anchor=False)
    st.markdown(
        "From single cells in which one gene at a time was knocked down, to a network that you can question: "
        "every edge beside the cells behind it, every score beside what needs no model. All of it stays on "
        "this computer."
    )
    demo = listing.newest()
    with st.container(horizontal=True):
        if st.button("Use my data", type="primary", key="home_data"):
            shell.go("pages/data.py")
        if demo is not None and st.button("Try the demo", key="home_demo"):
            shell.choose_run(demo)
            shell.go("pages/network.py")
    said = state.get(state.RUN)
    shown = said if said is not None and readable(said) else demo
    if shown is not None:
        with st.container(border=True), shell.errors_in_words():
            one_run.show(shown, listing.open_run(shown), title="The demo")
    with st.container(horizontal=True):
        demos.show(runs, but=shown)


def with_runs(runs: dict[str, RunFolder]) -> None:
    """What is at work, then the open run, else the newest that has a network."""
    st.html(f'<h1 style="{shell.UNSEEN}">Home</h1>')
    at_work.show()
    newest, shown = listing.newest(), state.get(state.RUN)
    if shown is None or not readable(shown):
        shown = newest
    if shown is not None:
        demo = listing.is_demo(runs[shown]) if shown in runs else False
        title = "The demo" if demo else "Your newest run" if shown == newest else ""
        with shell.errors_in_words():
            one_run.show(shown, listing.open_run(shown), title)
    others(runs, shown)


def readable(name: str) -> bool:
    """Whether there is something to show of the run of the address; in words where it cannot be opened."""
    try:
        run = listing.open_run(name)
        return run.has("model.safetensors") or not run.status().busy  # what is at work stands above
    except GpoVaeError as error:
        st.error(plain(error))
        return False


def others(runs: dict[str, RunFolder], shown: str | None) -> None:
    """The way to the cells for another run, the other runs by name, and the demos."""
    own = [name for name, run in runs.items() if not listing.is_demo(run)]
    names = [name for name in own if name != shown]
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Use my data", key="home_data"):
            shell.go("pages/data.py")
        if names:
            st.caption("Other runs:", width="content")
        for name in names[:MOST_LISTED]:
            st.button(plain(name), key=f"home_open_{name}", on_click=shell.choose_run, args=(name,))
        if len(names) > MOST_LISTED and st.button(f"All {len(own)} runs", key="home_runs"):
            shell.go("pages/runs.py")
        demos.show(runs, but=shown)
