"""The tab with the effects along a path that was pinned on the page Network."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.response.scene import Scene, choose_gene
from dashboard.response.words import held_out_words, number_columns
from dashboard.shared import networks, questions, shell, state
from dashboard.shared.answers import BADGES, MEANING
from dashboard.shared.figures import chart_with_words, download_table
from dashboard.shared.glossary import show_table
from dashboard.shared.words import number, plain
from gpovae_core.plots import response
from gpovae_core.questions.reach import Question


def show(scene: Scene) -> None:
    genes = state.get(state.PATH)
    if len(genes) < 2:
        st.info(
            "No path is pinned. On the page Network, tab Paths, tick a path and press *Effects along the "
            "lit path*."
        )
        if st.button("Go to Network", key="path_network"):
            shell.go("pages/network.py")
        return
    unknown = [gene for gene in genes if gene not in scene.run.panel().index]
    if unknown:
        st.error(
            f"{plain(', '.join(unknown))}: not in the panel of this run, so this path is of another one. "
            "Pin a path of this run."
        )
        return
    source = genes[0]
    st.markdown(f"**{plain(' → '.join(genes))}**")
    table = path_table(scene, source)
    if table is None:
        st.info(
            f"{plain(source)} was never perturbed in these cells, and this run holds no cells to ask the "
            "model with."
        )
        return
    chart_with_words(
        response.path_bars(table, source, genes, selected=scene.gene),
        "path_bars",
        path_words(table, genes),
        scene.file(source, "path"),
        lambda gene: choose_gene(scene.run, gene),
    )
    gene_by_gene(scene, table, genes)


def gene_by_gene(scene: Scene, table: pd.DataFrame, genes: tuple[str, ...]) -> None:
    """The genes of the path as a table, to take along or to be rid of."""
    listed = table.set_index("gene").reindex(list(genes)).reset_index()
    if not scene.run.without_network:
        weights = networks.network(scene.run)
        steps = pairwise(genes)
        listed["W from the gene before"] = [
            np.nan,
            *(float(weights.weights[weights.panel.index[a], weights.panel.index[b]]) for a, b in steps),
        ]
    columns = [
        "gene",
        "W from the gene before",
        "observed",
        "low",
        "high",
        "adjusted",
        "predicted",
        "predicted_sd",
        "train_mean",
    ]
    listed = listed.filter(columns)
    words = {"adjusted": "adjusted p", "predicted_sd": "sd of model draws", "train_mean": "training mean"}
    show_table(listed.rename(columns=words), column_config=number_columns(listed, words))
    left, right = st.columns([1, 3])
    with left:
        download_table(
            listed, "Download this path (CSV)", f"{scene.file(genes[0], 'path')}.csv", "download_path"
        )
    right.button(
        "Unpin this path", key="unpin", type="tertiary", on_click=lambda: state.put(**{state.PATH: None})
    )


def path_table(scene: Scene, source: str) -> pd.DataFrame | None:
    """Response table of the first gene of a path: measured and predicted, or asked of the model where it was
    never perturbed.
    """
    if source in scene.effects.obs_names:
        if source in scene.unseen:
            st.markdown(held_out_words(scene.unseen[source]))
        return scene.table(source)
    if questions.predictor(scene.run) is None:
        return None
    answer = questions.answer(scene.run, Question({source: None}))
    st.caption(f"{BADGES[answer.basis]} {MEANING[answer.basis]}")
    words = {"effect": "predicted", "sd": "predicted_sd", "perturbed": "target"}
    table = answer.table.rename(columns=words).drop(columns=["low", "high"])
    unknown = ("observed", "observed_se", "shrunk", "train_mean")
    return response.with_tests(table.assign(**dict.fromkeys(unknown, np.nan)), None)


def path_words(table: pd.DataFrame, genes: tuple[str, ...]) -> str:
    rows = table.set_index("gene").reindex(list(genes))
    parts = [
        f"{plain(gene)} {number(row['observed'], 2)}, {number(row['predicted'], 2)}"
        for gene, row in rows.iterrows()
    ]
    return (
        f"Effect of perturbing {plain(genes[0])}, observed then predicted, log2 fold change of mean shares: "
        + "; ".join(parts)
        + ". If the effect travels this "
        "way, it is there at every gene of the path; one gene without it speaks for another way."
    )
