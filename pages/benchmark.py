"""Benchmark: where a run stands between what needs no model and what the data allow; several runs side by
side; reports to take away.
"""

import streamlit as st

from dashboard.benchmark import view
from dashboard.shared import loaders, shell, state
from dashboard.shared.words import plain

COMPARED = "benchmark_runs"

shell.title(
    "Benchmark",
    "Every score on held-out cells, between a baseline that needs no information and a ceiling that the "
    "noise in the data sets.",
)
run = shell.opened_run()
if run is not None:
    opened = state.get(state.RUN)
    others = [
        name for name, other in loaders.all_runs().items() if name != opened and other.has("evaluation.json")
    ]
    if others:
        chosen = st.multiselect(
            "Beside it",
            others,
            key=COMPARED,
            placeholder="Compare with other evaluated runs",
            persist_state="session",
        )
    else:
        chosen = []
    with shell.errors_in_words():
        if chosen:
            st.markdown(
                f"##### {plain(opened)} beside {len(chosen)} other run{'s' if len(chosen) > 1 else ''}"
            )
            view.several_runs(view.evaluated([opened, *chosen]))
        else:
            view.one_run(run)
