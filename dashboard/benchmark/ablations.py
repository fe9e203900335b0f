"""The tab with ablations: what the settings do, from runs on the same data."""

from __future__ import annotations

import streamlit as st

from dashboard.benchmark.cached import report_of
from dashboard.shared import job_view, listing, shell
from dashboard.shared.glossary import show_table
from dashboard.shared.words import plain
from gpovae_core.errors import GpoVaeError
from gpovae_core.reporting.document import RunReport, comparison_table, groups
from gpovae_core.runs.folder import RunFolder

MOST_RUNS = 60


def show(run: RunFolder, report: RunReport) -> None:
    """Every evaluated run on the same data, those that differ in their seeds alone together, against what
    they change.
    """
    same = [report]
    for name, one in list(listing.all_runs().items())[:MOST_RUNS]:
        if name == report.name or not one.has("evaluation.json"):
            continue
        try:
            other = report_of(one)
        except GpoVaeError:  # a damaged run says so where it is opened
            continue
        if other.data == report.data:
            same.append(other)
    if len(groups(same)) < 2:
        st.info(
            f"No other settings have been tried on {plain(report.data)} yet. Train it again with one "
            "setting changed, or try several at once, then come back."
        )
        with st.container(horizontal=True):
            if run.status().state == "done" and st.button(
                "Train it with a setting changed", type="primary", key="ablations_train"
            ):
                job_view.clone(run)
                shell.go("pages/train.py")
            if st.button("Try several at once", key="ablations_sweep"):
                shell.go("pages/experiments.py")
        return
    show_table(comparison_table(same))
    st.caption(
        "One column per choice of settings, named by its preset and what differs from it. Runs that differ "
        "in their seeds alone are taken together: mean ± standard deviation over seeds."
    )
