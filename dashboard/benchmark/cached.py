"""What only the page Benchmark reads of a run, kept."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import listing
from dashboard.shared.cached import of_run
from dashboard.shared.words import plain
from gpovae_core.errors import GpoVaeError
from gpovae_core.reporting.document import RunReport
from gpovae_core.runs.folder import RunFolder


@of_run("config.json", "status.json", "evaluation.json", "null.json", "cells.h5ad", kind="data", entries=64)
def report_of(run: RunFolder) -> RunReport:
    """What is known of a run. Raises RunError where it was not evaluated."""
    return RunReport.of(run)


def evaluated(names: list[str]) -> list[RunReport]:
    """The reports of those runs that can be read; the others are named with their fault."""
    found = []
    for name in names:
        try:
            found.append(report_of(listing.open_run(name)))
        except GpoVaeError as error:
            st.warning(plain(error))
    return found
