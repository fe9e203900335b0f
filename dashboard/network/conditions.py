"""Below two networks side by side: which edges differ between the conditions of the two runs?"""

from __future__ import annotations

import streamlit as st

from dashboard.network import beside, cached
from dashboard.network.scene import TABLE_ROWS, Scene
from dashboard.shared import shell
from dashboard.shared.figures import download_table
from dashboard.shared.glossary import show_table
from dashboard.shared.words import plain
from gpovae_core.network.differences import PERMUTATIONS, STATES, Differences
from gpovae_core.reporting.conditions import differences_table, method, state_words, summary
from gpovae_core.runs.folder import RunFolder


def show(scene: Scene, other: RunFolder) -> None:
    """On request: it permutes the labels of the cells of both runs."""
    asked = st.toggle(
        f"Two conditions of one screen: which edges differ between {plain(scene.run.name)} and "
        f"{plain(other.name)}?",
        key=beside.ASKED,
        help=(
            "For runs of one file under two conditions (Train: a run for each condition). Permutes the "
            f"labels {PERMUTATIONS} times: a minute or more for large screens."
        ),
    )
    if not asked:
        return
    threshold = scene.threshold if scene.which.measure == "W" else None
    with shell.errors_in_words():
        answer(cached.conditions_compared(scene.run, other, threshold), scene.run.name)
        if beside.put_at_hand(scene, other):
            st.rerun()


def answer(found: Differences, name: str) -> None:
    st.markdown(plain(summary(found)))
    st.caption(plain(" ".join([method(found), *found.notes])))
    words = state_words(found)
    chosen = st.multiselect(
        "Show", STATES, default=STATES, format_func=lambda state: words[state], key="differences_shown"
    )
    shown = found.edges.loc[found.edges["state"].isin(chosen)]
    fold = st.column_config.NumberColumn(
        format="%+.2f", help="log2 fold change at the mean of the source's own changes under both"
    )
    table = differences_table(found, shown.head(TABLE_ROWS))
    show_table(
        table,
        height=360,
        column_config={
            title: fold if "Effect" in title else st.column_config.NumberColumn(format="%.3f")
            for title in table.columns[3:]
        },
    )
    download_table(
        found.edges, "Download the differences (CSV)", f"{name}_differences.csv", "download_differ"
    )
