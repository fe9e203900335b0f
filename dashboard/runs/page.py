"""The page Runs: what is there; one run in detail, or several compared."""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard.runs import comparison, details, importing, manage, table
from dashboard.shared import demos, job_view, listing, shell, state


def show() -> None:
    job_view.problem_of_last_click()
    runs = listing.all_runs()
    if runs:
        table.show(runs)
    with st.container(horizontal=True):
        demos.show(runs)
    if all(listing.is_demo(run) for run in runs.values()):
        table.no_runs()
    with st.expander("Import a run, a checkpoint or a matrix"):
        importing.show()
    manage.trash()
    compared = [name for name in st.session_state.get(table.COMPARED, []) if name in runs]
    if len(compared) > 1:
        with shell.errors_in_words():
            comparison.show(compared)
    elif (name := state.get(state.RUN) or listing.newest()) is not None:
        one_run(name)


def one_run(name: str) -> None:
    run = listing.open_run(name)
    details.heading(name, run)
    with shell.errors_in_words():
        details.warnings(run)
    parts = {
        "Scores": details.scores,
        "Training": details.curves,
        "Health": details.health,
        "Data": details.preparation,
        "Settings": details.settings,
        "Rename, export, delete": manage.show,
    }
    shell.tabs("run_part", {title: partial(part, run) for title, part in parts.items()})
