"""The tab with what a gene regulates, and what regulates it."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.network.scene import Scene, ego_hops
from dashboard.shared import state
from dashboard.shared.figures import download_table
from dashboard.shared.glossary import show_table
from dashboard.shared.words import number, plain
from gpovae_core.network.cards import measured_effects
from gpovae_core.network.grn import Direction


def show(scene: Scene) -> None:
    gene = state.get(state.FOCUS)
    if gene is None:
        st.info(
            "Choose a gene in the workbench: here stands what it regulates and what "
            "regulates it, over several hops."
        )
        return
    hops = ego_hops(scene.shown)
    st.caption(
        f"Within {hops} hop{'s' if hops > 1 else ''} over edges with {scene.above}. Hops is set in the "
        "menu View."
    )
    for column, direction, title in zip(
        st.columns(2), ("out", "in"), ("regulates", "is regulated by"), strict=True
    ):
        with column:
            neighbour_table(scene, gene, hops, direction, title)


def neighbour_table(scene: Scene, gene: str, hops: int, direction: Direction, title: str) -> None:
    found = scene.shown.reach(gene, hops, scene.threshold, direction)
    place, index = scene.network.panel.position(gene), scene.network.panel.index
    others = [index[name] for name in found["gene"]]
    known, _, unit = measured_effects(scene.network)
    effects = known[place, others] if direction == "out" else known[others, place]
    best = "Best path's probability" if scene.shown.measure == "W" else "T"
    table = pd.DataFrame(
        {"Gene": found["gene"], "Hops": found["hops"], best: found["probability"], "Measured effect": effects}
    )
    st.markdown(f"**{plain(gene)} {title} {number(len(table))} genes**")
    if table.empty:
        st.caption("None at this threshold.")
        return
    show_table(
        table,
        column_config={
            best: st.column_config.NumberColumn(format="%.4f"),
            "Measured effect": st.column_config.NumberColumn(format="%+.2f", help=unit),
        },
    )
    name = f"{scene.run.name}_{'regulates' if direction == 'out' else 'regulated_by'}.csv"
    download_table(table.assign(**{"Of gene": gene}), "Download (CSV)", name, f"download_{direction}")
