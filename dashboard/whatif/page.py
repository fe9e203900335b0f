"""The page What if: a question, its answer in a sentence and beside others, and how good such answers are."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import questions, shell, state
from dashboard.shared.words import plain
from dashboard.whatif import details, how_good, question, ranking, scenarios, side_by_side
from dashboard.whatif.scene import answered
from gpovae_core.runs.folder import RunFolder


def show(run: RunFolder) -> None:
    asked = bool(state.get(state.ASKED) or scenarios.of_run(run.name))
    places = shell.bar(
        [2.3, 4, 1.1, 2.8, 1.3, 1.5], f"{state.get(state.RUN)}: ask something else", folded=asked
    )
    shell.run_choice(places[0])
    if run.without_cells:
        st.info(plain(run.without_cells))
        return
    for problem in scenarios.from_address(run.name, questions.reach(run).panel):
        st.error(plain(problem))
    question.new_scenario(run, places)
    if question.REFUSED in st.session_state:
        st.error(plain(st.session_state.pop(question.REFUSED)))
    if not scenarios.of_run(run.name):
        question.examples(run)
    found = answered(run)
    if found:
        one = details.chosen(found)
        side_by_side.show(run, found, one)
        shell.notices(run)
        details.show(run, found, one)
    else:
        shell.notices(run)
    ranking.show(run)
    with st.expander("How good are answers about genes that were never perturbed?"):
        how_good.show(run)
