"""The page What if: a question, its answer beside others, and how good such answers are."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import state
from dashboard.shared.words import plain
from dashboard.whatif import details, how_good, question, ranking, scenarios, side_by_side
from dashboard.whatif.scene import answered
from gpovae_core.runs.folder import RunFolder

REFERENCES = {"test": "Held-out cells", "all": "All cells"}


def show(run: RunFolder) -> None:
    if run.without_cells:
        st.info(plain(run.without_cells))
        return
    question.new_scenario(run)
    if question.REFUSED in st.session_state:
        st.error(plain(st.session_state.pop(question.REFUSED)))
    left, right = st.columns([5, 1], vertical_alignment="bottom")
    left.radio(
        "Compare with",
        list(REFERENCES),
        format_func=REFERENCES.__getitem__,
        horizontal=True,
        **state.bound(state.REFERENCE),
    )
    with right:
        question.keep_in_a_file(run)
    ranking.show(run)
    if not scenarios.of_run(run.name):
        question.examples(run)
    found = answered(run)
    if found:
        side_by_side.show(run, found)
        details.show(run, found)
    how_good.show(run)
