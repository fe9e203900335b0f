"""The page Experiments: the chosen sweep, and a form to start another."""

from __future__ import annotations

import streamlit as st

from dashboard.experiments import outcome, progress, start
from dashboard.shared import listing, shell, state
from dashboard.shared.words import plain


def show() -> None:
    problem = st.session_state.pop(progress.PROBLEM, None)
    if problem:
        st.error(plain(problem))
    sweeps = [sweep.name for sweep in listing.all_sweeps()]
    if sweeps:
        chosen = state.get(state.SWEEP)
        if chosen not in sweeps:
            state.put(**{state.SWEEP: sweeps[0]})
        st.selectbox("Sweep", sweeps, **state.bound(state.SWEEP))
        with shell.errors_in_words():
            one_sweep(state.get(state.SWEEP))
    else:
        st.info("No sweeps here yet. Start one below.")
    with st.expander("Start a new one", expanded=not sweeps), shell.errors_in_words():
        start.show()


def one_sweep(name: str) -> None:
    """Everything about one sweep: how far it is, and what came out so far."""
    folder = listing.open_sweep(name)
    st.subheader(plain(folder.plan.title))
    if folder.plan.about:
        st.caption(plain(folder.plan.about))
    progress.show(folder)
    outcome.show(folder)
