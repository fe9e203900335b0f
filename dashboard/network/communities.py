"""The tab with the communities: genes joined more among themselves than with the rest."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.network import cached
from dashboard.network.evidence import gene_sets
from dashboard.network.message import MOST_EDGES
from dashboard.network.scene import Scene
from dashboard.shared import state
from dashboard.shared.figures import download_table
from dashboard.shared.glossary import show_table
from dashboard.shared.words import plain
from gpovae_core.network.communities import community_table


def show(scene: Scene) -> None:
    members = cached.network_communities(scene.run, scene.which, scene.threshold)
    table = community_table(scene.shown, members, scene.threshold)
    if table.empty:
        st.info(f"No edge has {scene.above}, so there are no communities. Lower the threshold.")
        return
    st.caption(
        f"Genes joined more among themselves than with the rest (Louvain on the strongest {MOST_EDGES:,} "
        "edges at most, direction ignored). Tick one: its genes stand out in "
        "the picture."
    )
    key = f"communities_{scene.shown.measure}_{scene.threshold}"

    def look() -> None:
        rows = st.session_state[key].selection.rows
        ends = dict.fromkeys((state.FOCUS, state.EDGE_SOURCE, state.EDGE_TARGET, state.BUNDLE))
        state.put(**ends, **{state.COMMUNITY: rows[0] if rows else None})

    show_table(
        pd.DataFrame(
            {
                "Community": table["community"],
                "Genes": table["genes"],
                "Perturbed": table["perturbed"],
                "Edges inside": table["inside"],
                "Edges leaving": table["leaving"],
                "Best connected": table["hubs"],
            }
        ),
        key=key,
        on_select=look,
        selection_mode="single-row",
    )
    genes = scene.shown.panel.genes
    chosen = state.get(state.COMMUNITY)
    if chosen is not None:
        own = [gene for gene, member in zip(genes, members, strict=True) if member == chosen]
        for line in gene_sets(scene.shown, own):
            st.caption(plain(line))
    listed = pd.DataFrame({"gene": genes, "community": np.where(members < 0, "", (members + 1).astype(str))})
    download_table(
        listed,
        "Download genes and communities (CSV)",
        f"{scene.run.name}_communities.csv",
        "download_communities",
    )
