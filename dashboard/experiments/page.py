"""The page Experiments: the chosen sweep, and a form to start another."""

from __future__ import annotations

import streamlit as st

from dashboard.experiments import outcome, progress, start
from dashboard.shared import listing, no_cells, shell, state
from dashboard.shared.glossary import meaning
from dashboard.shared.words import plain
from gpovae_core.reporting.glossary import term


def show() -> None:
    problem = st.session_state.pop(progress.PROBLEM, None)
    if problem:
        st.error(plain(problem))
    sweeps = [sweep.name for sweep in listing.all_sweeps()]
    if not sweeps:
        first_time()
        return
    chosen = state.get(state.SWEEP)
    if chosen not in sweeps:
        state.put(**{state.SWEEP: sweeps[0]})
    st.selectbox("Sweep", sweeps, help=meaning("sweep", "seed"), **state.bound(state.SWEEP))
    with shell.errors_in_words():
        one_sweep(state.get(state.SWEEP))
    with st.expander("Start another sweep"), shell.errors_in_words():
        if state.get(state.DATA) is None:
            choose_cells()
        else:
            start.show()


def first_time() -> None:
    """The form of a first sweep under what a sweep is, in view; without cells the way to them, and which
    sweeps there are.
    """
    if state.get(state.DATA) is None:
        choose_cells()
        in_words()
        st.markdown("**What can be tried**")
        start.what_there_is()
        return
    in_words()
    with shell.errors_in_words():
        start.show()


def in_words() -> None:
    """The words of this page, each explained where it is first used."""
    st.markdown(
        f"A **sweep**: {_lower(term('sweep').short)} A **seed**: {_lower(term('seed').short)} Whether a "
        "setting matters shows in whether its scores differ by more than those of its seeds."
    )


def choose_cells() -> None:
    no_cells.show(
        "Here the same cells are trained on several times, to see what a setting does and what is chance.",
        key="sweep_data",
    )


def one_sweep(name: str) -> None:
    """Everything about one sweep: how far it is, and what came out so far."""
    folder = listing.open_sweep(name)
    st.subheader(plain(folder.plan.title))
    if folder.plan.about:
        st.caption(plain(folder.plan.about))
    progress.show(folder)
    outcome.show(folder)


def _lower(words: str) -> str:
    return words[:1].lower() + words[1:]
