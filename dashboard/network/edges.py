"""The tab with the edges at the threshold."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.network.scene import TABLE_ROWS, Scene, ego_hops, set_threshold
from dashboard.network.slider import step_below
from dashboard.network.words import SIGNS, sign_words
from dashboard.shared import state
from dashboard.shared.glossary import show_table
from dashboard.shared.words import plain
from gpovae_core import keys
from gpovae_core.network.grn import GeneNetwork

DIRECT, NO_EVIDENCE = "source was perturbed", "no direct evidence: source never perturbed, or held out"


def show(scene: Scene) -> None:
    shown, threshold = scene.shown, scene.threshold
    total = int(shown.count_edges([threshold], scene.picture.self_loops)[0])
    if total == 0:
        no_edges(shown, threshold)
        return
    focus = state.get(state.FOCUS)
    if state.get(state.VIEW) == state.EGO and focus is not None:
        found = shown.neighbourhood(
            focus, ego_hops(shown), state.get(state.DIRECTION), threshold, scene.picture.self_loops
        ).edges
        st.caption(
            f"{len(found):,} edges with {scene.above} between the genes around {plain(focus)}, strongest "
            "first."
        )
    else:
        found = shown.edges(threshold, scene.picture.self_loops, top=TABLE_ROWS)
        st.caption(f"{total:,} edges with {scene.above}, strongest first.")
        if total > TABLE_ROWS:
            st.caption(f"The strongest {TABLE_ROWS:,} are listed; the download under Export has all.")
    table = edge_table(shown, found)
    key = f"edges_{shown.measure}_{threshold}_{focus}_{state.get(state.VIEW)}"

    def open_edge() -> None:
        rows = st.session_state[key].selection.rows
        if rows:
            row = table.iloc[rows[0]]
            state.put(**{state.EDGE_SOURCE: row["Source"], state.EDGE_TARGET: row["Target"]})

    st.caption("Tick an edge to see its evidence.")
    show_table(
        table,
        key=key,
        on_select=open_edge,
        selection_mode="single-row",
        column_config={
            "Effect": SIGNS,
            shown.measure: st.column_config.NumberColumn(format="%.4f"),
            "Open detours": st.column_config.NumberColumn(
                format="%d",
                help=(
                    "Genes that nobody perturbed and that the source changes more than the target: the "
                    "edge may run over one."
                ),
            ),
            "Found again": st.column_config.NumberColumn(
                format="percent", help="Share of the ensemble's networks that have this edge."
            ),
        },
    )


def no_edges(shown: GeneNetwork, threshold: float) -> None:
    st.info(f"No edge between different genes has {shown.measure} above {threshold:.4g}.")
    best = shown.suggest_threshold(1)
    if best is not None:
        lower = step_below(best, shown.top)
        st.button(
            f"Lower the threshold to {lower:.4g}, where the first edges appear",
            on_click=set_threshold,
            args=(lower,),
        )


def edge_table(network: GeneNetwork, found: pd.DataFrame) -> pd.DataFrame:
    found = found.head(TABLE_ROWS)
    has_evidence = dict(zip(network.panel.genes, network.has_evidence.tolist(), strict=True))
    detours = {"Open detours": found[keys.OPEN_DETOURS]} if keys.OPEN_DETOURS in found else {}
    again = {"Found again": found[keys.FREQUENCY]} if keys.FREQUENCY in found else {}
    return pd.DataFrame(
        {
            "Source": found[keys.SOURCE],
            "Effect": sign_words(found[keys.SIGN]),
            "Target": found[keys.TARGET],
            network.measure: found[keys.WEIGHT],
            **detours,
            **again,
            "Evidence": [DIRECT if has_evidence[gene] else NO_EVIDENCE for gene in found[keys.SOURCE]],
        }
    )
