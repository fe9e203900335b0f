"""The tab with the genes that changed."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.response.scene import NO_CELLS, TABLE_ROWS, Scene, choose_gene
from dashboard.response.words import number_columns
from dashboard.shared.figures import chart_with_words, download_table
from dashboard.shared.glossary import show_table
from dashboard.shared.words import named
from gpovae_core import keys
from gpovae_core.plots import response

HOW_TESTED = (
    "log2 fold change of the gene's mean share of a cell's counts, without the common lift, with its "
    "95 % interval; shrunk: what is to be believed of it; p of the rank test of shares within batch, "
    "donor, condition and depth; {cells}, perturbed against control; adjusted after Benjamini-Hochberg over "
    "the genes of one perturbation."
)
FILE_NAMES = {
    keys.PERTURBATION: keys.SOURCE,
    "gene": keys.TARGET,
    "observed": keys.EFFECT,
    "observed_se": keys.EFFECT_SE,
    "low": "effect_low",
    "high": "effect_high",
    "shrunk": "effect_shrunk",
    "predicted": "effect_predicted",
    "adjusted": keys.P_ADJUSTED,
    "cells": keys.CELLS,
    "control": "log_expression_in_control",
}
"""Column of a response table -> its name in the downloaded file."""
COLUMNS = (
    keys.SOURCE,
    keys.TARGET,
    keys.EFFECT,
    keys.EFFECT_SE,
    "effect_low",
    "effect_high",
    "effect_shrunk",
    keys.P,
    keys.P_ADJUSTED,
    keys.CELLS,
    "effect_predicted",
    "log_expression_in_control",
)
TITLES = {
    keys.EFFECT: "log2 fold change",
    keys.EFFECT_SE: "± s.e.",
    "effect_low": "95 % from",
    "effect_high": "to",
    "log_expression_in_control": "mean in control",
    "effect_shrunk": "shrunk",
    keys.P_ADJUSTED: "adjusted p",
    "effect_predicted": "predicted",
}
"""Column of the file -> its title on the page."""


def show(scene: Scene) -> None:
    if not scene.chosen:
        st.info("Choose at least one perturbation above.")
        return
    if not scene.run.has("cells.h5ad"):
        st.info(NO_CELLS)
        return
    tables = {name: scene.table(name) for name in scene.chosen}
    for name, table in tables.items():
        if len(tables) > 1:
            st.subheader(named(name))
        if table["observed"].notna().to_numpy().any():
            figures(scene, name, table)
        else:
            st.info(f"No effect of {named(name)} was observed in {scene.cells}: no gene can be tested.")
    joined = pd.concat(tables, names=[keys.PERTURBATION]).reset_index(level=0)
    own = joined.drop(columns="target").rename(columns=FILE_NAMES)  # target: is this the perturbed gene?
    listed = own.filter(list(COLUMNS)).sort_values(by=keys.P_ADJUSTED, kind="stable")
    with st.expander("Every gene in a table"):
        st.caption(HOW_TESTED.format(cells=scene.cells))
        show_table(
            listed.head(TABLE_ROWS).rename(columns=TITLES),
            height=320,
            column_config=number_columns(listed, TITLES),
        )
        if len(listed) > TABLE_ROWS:
            st.caption(f"The first {TABLE_ROWS:,} of {len(listed):,} rows; the file holds all.")
    download_table(listed, "Download these tests (CSV)", f"{scene.file('tests')}.csv", "download_tests")


def figures(scene: Scene, name: str, table: pd.DataFrame) -> None:
    """Which genes changed, by how sure that is and by how much they are expressed."""
    sure = response.changed(table, scene.level)
    up, tested = int((sure["observed"] > 0).sum()), int(table["p"].notna().sum())
    left, right = st.columns(2)
    with left:
        chart_with_words(
            response.volcano(table, name, scene.level, selected=scene.gene),
            f"volcano_{name}",
            f"{len(sure):,} of all {tested:,} testable genes change with {named(name)} in {scene.cells} "
            f"(adjusted p below {scene.level:g}): {up:,} up, {len(sure) - up:,} down. Above the dotted line: "
            "significant."
            f"{untested_words(len(table) - tested)}",
            scene.file(name, "volcano"),
            lambda gene: choose_gene(scene.run, gene),
        )
    with right:
        chart_with_words(
            response.ma_plot(table, name, scene.level, selected=scene.gene),
            f"ma_{name}",
            f"The same fold changes of {named(name)} against how much the gene is expressed. At low "
            "expression few counts decide.",
            scene.file(name, "ma"),
            lambda gene: choose_gene(scene.run, gene),
        )


def untested_words(genes: int) -> str:
    """What is said of genes that too few cells show."""
    return f" {genes:,} genes are not tested: too few of these cells show them." if genes else ""
