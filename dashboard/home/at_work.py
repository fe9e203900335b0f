"""What is being trained or waits for it, with its progress, renewed while anybody looks."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import contents, job_view, listing, shell
from dashboard.shared.words import plain
from gpovae_core.runs.folder import RunFolder


def show() -> None:
    busy = listing.at_work()
    if not busy:
        return
    with st.container(border=True):
        st.fragment(run_every=job_view.EVERY)(_look)([run.name for run in busy])
        if st.button("Watch it" if len(busy) == 1 else "Watch them", key="home_watch"):
            shell.choose_run(busy[0].name)
            shell.go("pages/train.py")


def _look(names: list[str]) -> None:
    busy = listing.at_work()
    if [run.name for run in busy] != names:
        st.rerun()
    for run in busy:
        with shell.errors_in_words():
            _progress(run)


def _progress(run: RunFolder) -> None:
    st.markdown(f"**{plain(run.name)}**")
    job_view.progress(run, run.status(), contents.metrics(run))
