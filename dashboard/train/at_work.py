"""The open run as far as there is anything to watch about it, and the others at work."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import job_view, listing, shell, state
from dashboard.shared.run_summary import state_in_words
from dashboard.shared.words import plain
from gpovae_core.runs.folder import RunFolder


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
            if status.state not in ("done", "imported"):
                st.subheader(job_view.headline(opened, status))
                if status.message:
                    st.caption(plain(status.message))
                job_view.watch(opened)
            elif st.session_state.get("started_here") == name:
                finished(opened)
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


def finished(run: RunFolder) -> None:
    st.success(f"**{plain(run.name)} is done:** {plain(run.status().message)}.")
    with st.container(horizontal=True):
        if st.button("Open its network", type="primary", key="train_network"):
            st.switch_page("pages/network.py")
        if st.button("Its scores", key="train_scores"):
            st.switch_page("pages/benchmark.py")
