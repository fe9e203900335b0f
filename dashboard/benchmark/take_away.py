"""Reports to take away."""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard.shared.words import plain
from gpovae_core.reporting import document as reporting
from gpovae_core.reporting.document import RunReport


def show(reports: list[RunReport]) -> None:
    """The report as a page, as JSON, as text; and the Methods paragraph to copy."""
    name = reports[0].name if len(reports) == 1 else "runs"
    forms = {
        "Page (HTML)": (reporting.report_html, "html", "text/html"),
        "JSON": (reporting.report_json, "json", "application/json"),
        "Methods (text)": (reporting.report_text, "txt", "text/plain"),
    }
    for column, (label, (make, ending, kind)) in zip(st.columns(len(forms)), forms.items(), strict=True):
        column.download_button(
            label,
            data=partial(_bytes, make, reports),
            file_name=f"{name}_benchmark.{ending}",
            mime=kind,
            key=f"benchmark_{ending}",
            on_click="ignore",
            width="stretch",
        )
    st.caption(
        "The page opens without this program and asks nothing of another host. In a terminal: gpovae "
        "report RUN \\-\\-out report.html"
    )
    if len(reports) == 1:
        st.markdown("##### Methods")
        st.markdown(plain(reports[0].methods()))


def _bytes(make, reports: list[RunReport]) -> bytes:
    return make(reports).encode()
