"""The open run as far as there is anything to watch about it, and the others at work."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import job_view, listing, shell, state
from dashboard.shared.run_summary import state_in_words
from dashboard.shared.words import plain
from gpovae_core.runs.folder import RunFolder, Status

AT_REST = {"done": "is trained", "imported": "was imported"}
"""What is said of an open run, by its state, where there is nothing to watch."""


def show() -> None:
    """The open run if there is anything to watch about it, and the others at work."""
    busy = listing.at_work()
    name = state.get(state.RUN)
    opened = None
    if name is not None:
        with shell.errors_in_words():
            opened = listing.open_run(name)
    if opened is not None:
        with shell.errors_in_words():
            status = RunFolder.open(opened.path).status()
            if status.state not in AT_REST:
                st.subheader(job_view.headline(opened, status))
                if status.message:
                    st.caption(plain(status.message))
                job_view.watch(opened)
            else:
                finished(opened, status)
    others = [run for run in busy if opened is None or run.name != opened.name]
    if others:
        st.markdown(
            "**Also at work**"
            if opened is not None and opened.name in {run.name for run in busy}
            else "**At work**"
        )
        for run in others:
            words = state_in_words(run.status())
            st.button(
                f"{run.name}: {words}", key=f"watch_{run.name}", on_click=shell.choose_run, args=(run.name,)
            )


def finished(run: RunFolder, status: Status) -> None:
    """That the open run is trained, or was imported, and where to go from there; the form below is for
    another one.
    """
    news = st.session_state.get("started_here") == state.get(state.RUN)
    if news:
        st.success(f"**{plain(run.name)} is done:** {plain(status.message)}.")
    with st.container(horizontal=True, vertical_alignment="center"):
        if not news:
            st.markdown(f"**{plain(run.name)}** {AT_REST[status.state]}.", width="content")
        kind = "primary" if news else "secondary"
        if not run.without_network and st.button("Open its network", type=kind, key="train_network"):
            shell.go("pages/network.py")
        if run.has("evaluation.json") and st.button("Its scores", key="train_scores"):
            shell.go("pages/benchmark.py")
        if status.state == "done":
            words = "Train another with its settings"
            st.button(words, key="train_again", on_click=job_view.clone, args=(run,))
