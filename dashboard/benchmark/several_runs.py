"""Several runs side by side."""

from __future__ import annotations

import streamlit as st

from dashboard.benchmark import take_away
from dashboard.shared.figures import chart
from dashboard.shared.glossary import show_table
from dashboard.shared.words import plain
from gpovae_core.evaluation.summary import OWN
from gpovae_core.methods import registry
from gpovae_core.plots import benchmark as figures
from gpovae_core.reporting import document as reporting
from gpovae_core.reporting.document import RunReport


def show(reports: list[RunReport]) -> None:
    together = reporting.groups(reports)
    show_table(reporting.comparison_table(reports))
    seeds = sum(len(members) > 1 for members in together.values())
    words = (
        "Runs that differ in their seeds alone stand together: mean ± standard deviation. " if seeds else ""
    )
    st.caption(
        plain(
            f"{words}Scores of runs on different data are not comparable as they stand; shares of the "
            "achievable are, with care."
        )
    )
    curves = {report.name: report.matched for report in reports}
    left, right = st.columns(2)
    measure = left.selectbox(
        "Measure",
        list(figures.MEASURES),
        format_func=lambda key: figures.MEASURES[key][0],
        key="benchmark_measure",
    )
    ranking = right.selectbox("Ranking", list(OWN), format_func=registry.title, key="benchmark_ranking")
    if measure is not None and ranking is not None:
        figure = figures.compared_curves(curves, measure, ranking)
        chart(figure, key="compared_curves", config={"displayModeBar": False})
    take_away.show(reports)
