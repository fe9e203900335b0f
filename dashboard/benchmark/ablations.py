"""The tab with ablations: what the settings do, from runs on the same data."""

from __future__ import annotations

import streamlit as st

from dashboard.benchmark.cached import report_of
from dashboard.shared import listing
from dashboard.shared.glossary import show_table
from dashboard.shared.words import plain
from gpovae_core.errors import GpoVaeError
from gpovae_core.reporting.document import RunReport, comparison_table, groups

MOST_RUNS = 60


def show(report: RunReport) -> None:
    """Every evaluated run on the same data, those that differ in their seeds alone together, against what
    they change.
    """
    same = [report]
    for name, run in list(listing.all_runs().items())[:MOST_RUNS]:
        if name == report.name or not run.has("evaluation.json"):
            continue
        try:
            other = report_of(run)
        except GpoVaeError:  # a damaged run says so where it is opened
            continue
        if other.data == report.data:
            same.append(other)
    if len(groups(same)) < 2:
        st.info(
            f"No other settings have been tried on {plain(report.data)} yet. Train it again with one "
            "setting changed, then come back."
        )
        return
    show_table(comparison_table(same))
    st.caption(
        "One column per choice of settings, named by its preset and what differs from it. Runs that differ "
        "in their seeds alone are taken together: mean ± standard deviation over seeds."
    )
