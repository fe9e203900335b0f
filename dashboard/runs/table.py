"""The table of all runs, and what to do where there is none."""

from __future__ import annotations

import shlex

import pandas as pd
import streamlit as st

from dashboard.shared import contents, listing, run_summary, shell
from dashboard.shared.glossary import show_table
from gpovae_core.data.folder import data_folder
from gpovae_core.errors import GpoVaeError
from gpovae_core.evaluation.scores import Evaluation
from gpovae_core.runs.folder import RunFolder

COMPARED = "compared_runs"
FORMATS = {
    run_summary.COLUMNS["state"]: st.column_config.TextColumn(width=140),
    run_summary.COLUMNS["differs"]: st.column_config.TextColumn(
        help="Settings that differ from the preset.", width=160
    ),
    run_summary.COLUMNS["progress"]: st.column_config.ProgressColumn(
        format="percent",
        help="Of what it is doing now; the early stop may end a training long before.",
    ),
    **{
        run_summary.COLUMNS[key]: st.column_config.NumberColumn(format="%.3f", help=text)
        for key, text in (
            ("model", "Held-out cells, all perturbations and genes pooled."),
            (
                "train_mean",
                "What the plain mean of the training cells of each perturbation reaches. A model "
                "should beat it.",
            ),
            (
                "ceiling",
                "How well two halves of the data predict each other: no model can be expected to do better.",
            ),
        )
    },
    run_summary.COLUMNS["edges"]: st.column_config.NumberColumn(
        help="Edges from perturbed genes to measured genes at the threshold."
    ),
    run_summary.COLUMNS["pairs"]: st.column_config.NumberColumn(
        help="Pairs of genes that could have had an edge."
    ),
}


def show(runs: dict[str, RunFolder]) -> None:
    rows = [run_summary.run_row(name, run, evaluation_or_nothing(run)) for name, run in runs.items()]
    table = pd.DataFrame(rows).rename(columns=run_summary.COLUMNS)
    names = list(runs)

    def open_selected() -> None:
        selected = [names[row] for row in st.session_state["runs_table"].selection.rows if row < len(names)]
        st.session_state[COMPARED] = selected if len(selected) > 1 else []
        if len(selected) == 1:
            shell.choose_run(selected[0])

    st.caption(
        "Tick a row to open that run, several to compare them. rho (ATE-rho) is the correlation of "
        "predicted with observed effects in held-out cells: better than the baseline (the plain mean of "
        "the training cells)? Near the ceiling (what the noise in the data allows)?"
    )
    show_table(
        table,
        key="runs_table",
        on_select=open_selected,
        selection_mode="multi-row",
        column_config=FORMATS,
    )


def evaluation_or_nothing(run: RunFolder) -> Evaluation | None:
    try:
        return contents.evaluation(run)
    except GpoVaeError:
        return None


def no_runs() -> None:
    st.info("No runs of your own yet. Choose your cells, then train a first run.")
    if st.button("Use my data", type="primary", key="runs_data"):
        st.switch_page("pages/data.py")
    folder = listing.runs_folder().resolve()
    st.markdown(f"This page looks in `{folder}`. In a terminal:")
    train = shlex.join(["gpovae", "train", "my_screen.h5ad", "--run", str(folder / "first")])
    st.code(train, language="bash", wrap_lines=True)
    st.markdown("No data at hand? Make some, with a network that is known, and choose it on the page Data:")
    toy = shlex.join(["gpovae", "simulate", str(data_folder().resolve() / "toy.h5ad")])
    st.code(f"{toy} --genes 60 --perturbations 20 --cells 3000", language="bash", wrap_lines=True)
