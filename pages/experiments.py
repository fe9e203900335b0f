"""Experiments: many runs as one: ablations and sweeps over settings, with error bars over seeds."""

import streamlit as st

from dashboard.experiments import view as experiments
from dashboard.shared import loaders, shell, state
from dashboard.shared.words import plain

shell.title(
    "Experiments",
    "What a setting does: the same cells trained at several points of a plan, once per seed, as ordinary "
    "runs.",
)
problem = st.session_state.pop(experiments.PROBLEM, None)
if problem:
    st.error(plain(problem))
sweeps = [sweep.name for sweep in loaders.all_sweeps()]
if sweeps:
    chosen = state.get(state.SWEEP)
    if chosen not in sweeps:
        state.put(**{state.SWEEP: sweeps[0]})
    st.selectbox("Sweep", sweeps, **state.bound(state.SWEEP))
    with shell.errors_in_words():
        experiments.show(state.get(state.SWEEP))
else:
    st.info("No sweeps here yet. Start one below.")
with st.expander("Start a new one", expanded=not sweeps), shell.errors_in_words():
    experiments.start()
