"""Below two networks side by side: does this one hold in the cells of the other run?"""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.network import cached
from dashboard.network.scene import TABLE_ROWS, Scene
from dashboard.shared import shell
from dashboard.shared.figures import download_table
from dashboard.shared.glossary import show_table
from dashboard.shared.words import number, plain
from gpovae_core.questions.transfer import EDGES, Transfer
from gpovae_core.reporting.transfer import transfer_tables, warning
from gpovae_core.runs.folder import RunFolder


def show(scene: Scene, other: RunFolder) -> None:
    """On request: it reads the cells of the other run."""
    asked = st.toggle(
        f"Does {plain(scene.run.name)} hold in the cells of {plain(other.name)}?",
        key="transfer_asked",
        help="Its edges and what T_K predicts, against the effects that are measured in the other cells.",
    )
    if not asked:
        return
    threshold = scene.threshold if scene.which.measure == "W" else None
    with shell.errors_in_words():
        answer(cached.transferred(scene.run, other, threshold), scene.run.name)


def answer(found: Transfer, name: str) -> None:
    edges = found.groups[EDGES]
    st.markdown(
        f"**{edges.seen:,} of {edges.tested:,} edges are seen there with their sign, "
        f"{edges.other_sign:,} with the other one.** {found.edges_here:,} edges with W above "
        f"{found.threshold:.4g}; {len(found.perturbations):,} genes are perturbed in both runs, "
        f"{found.genes:,} measured in both."
    )
    for words in warning(found):
        st.caption(plain(words))
    pairs, effects = transfer_tables(found)
    left, right = st.columns(2)
    with left:
        show_table(pairs)
        st.caption(
            "Seen there: significant among the edges (Benjamini and Hochberg) and in the expected direction. "
            "Would be seen: the share if every effect there were what this run believes it is, measured as "
            "well as it is there."
        )
    with right:
        show_table(effects)
        st.caption(
            f"Against {number(found.pairs)} effects there, each weighed by how well it is measured, the "
            "perturbed genes themselves left out."
        )
    shown = found.edges.head(TABLE_ROWS)
    show_table(
        pd.DataFrame(
            {
                "Source": shown["source"],
                "Target": shown["target"],
                "W": shown["weight"],
                "There": shown["state"],
                "Effect here": shown["effect_here"],
                "Effect there": shown["effect_there"],
                "Adjusted p there": shown["p_adjusted"],
            }
        ),
        height=300,
        column_config={
            "W": st.column_config.NumberColumn(format="%.3f"),
            "Effect here": st.column_config.NumberColumn(format="%+.2f", help="log2 fold change"),
            "Effect there": st.column_config.NumberColumn(format="%+.2f", help="log2 fold change"),
            "Adjusted p there": st.column_config.NumberColumn(format="%.2g"),
        },
    )
    download_table(found.edges, "Download the edges there (CSV)", f"{name}_there.csv", "download_transfer")
