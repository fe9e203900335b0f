"""The place for ablations on the page Benchmark: what the settings do, from runs on the same data."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.shared import loaders
from dashboard.shared.glossary import show_table
from dashboard.shared.words import plain
from gpovae_core.errors import GpoVaeError
from gpovae_core.reporting.document import RunReport, comparison_table, groups
from gpovae_core.runs.folder import RunFolder

MOST_RUNS = 60


def ablations(report: RunReport, report_of: Callable[[RunFolder], RunReport]) -> None:
    """Every evaluated run on the same data, those that differ in their seeds alone together, against what
    they change.
    """
    same = [report]
    for name, run in list(loaders.all_runs().items())[:MOST_RUNS]:
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
