"""The table of all runs, and what to do where there is none."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping, Set
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.shared import contents, listing, run_summary, shell
from dashboard.shared.glossary import explained, show_table
from gpovae_core.data.folder import data_folder
from gpovae_core.errors import GpoVaeError
from gpovae_core.evaluation.scores import Evaluation
from gpovae_core.runs.folder import RunFolder

COMPARED = "compared_runs"
FIRST = ("name", "state", "progress", "model", "train_mean", "ceiling", "edges", "kind", "data")
"""Columns that are shown at once; progress only where there is any."""
ON_A_TELEPHONE = ("name", "state", "model", "train_mean", "ceiling")
"""State only where a run is not done."""
FORMATS = {
    run_summary.COLUMNS["differs"]: st.column_config.TextColumn(
        help="Settings that differ from the preset.", width=160
    ),
    run_summary.COLUMNS["progress"]: st.column_config.ProgressColumn(
        format="percent",
        help="Of what it is doing now; the early stop may end a training long before.",
    ),
    run_summary.COLUMNS["data"]: st.column_config.TextColumn(width=140),
    **{
        run_summary.COLUMNS[key]: st.column_config.NumberColumn(label, format="%.3f", help=text, width=width)
        for key, label, width, text in (
            ("model", "rho", 54, "Held-out cells, all perturbations and genes pooled."),
            (
                "train_mean",
                "Baseline",
                70,
                "What the plain mean of the training cells of each perturbation reaches. A model "
                "should beat it.",
            ),
            (
                "ceiling",
                "Ceiling",
                58,
                "How well two halves of the data predict each other: no model can be expected to do better.",
            ),
        )
    },
    run_summary.COLUMNS["edges"]: st.column_config.NumberColumn(
        help="Edges from perturbed genes to measured genes at the threshold. Network counts others, too."
    ),
    run_summary.COLUMNS["pairs"]: st.column_config.NumberColumn(
        help="Pairs of genes that could have had an edge."
    ),
}


MOST_STATE = 20
"""Letters of a state that widen its column; a fault is longer."""
LONG_STATE = {run_summary.COLUMNS["state"]: st.column_config.TextColumn(width=140)}
NARROW = {
    run_summary.COLUMNS["name"]: st.column_config.TextColumn(width=130),
    run_summary.COLUMNS["state"]: st.column_config.TextColumn(width=60),
}
"""How columns of a telephone differ."""


def show(runs: dict[str, RunFolder]) -> None:
    """The runs to tick, with what tells them apart; the other columns fold."""
    rows = [run_summary.run_row(name, run, evaluation_or_nothing(run)) for name, run in runs.items()]
    table = pd.DataFrame(rows)
    states = [str(row["state"]) for row in rows]
    idle = {"progress"} if all(pd.isna(row["progress"]) for row in rows) else set()
    done = {"state"} if set(states) == {"done"} else set()
    fault = LONG_STATE if max(map(len, states)) > MOST_STATE else {}
    table = table.rename(columns=run_summary.COLUMNS)
    st.caption(
        "Tick a row to open that run, several to compare them. rho (ATE-rho) is the correlation of "
        "predicted with observed effects in held-out cells: better than the baseline (the plain mean of "
        "the training cells)? Near the ceiling (what the noise in the data allows)?"
    )
    with st.container(key="runs_if_wide"):
        whole = st.session_state.get("runs_whole", False)
        _to_tick(table, run_summary.COLUMNS if whole else FIRST, idle, "runs_table", FORMATS | fault)
        rare = "Preset, epochs, pairs and changed settings too"
        st.checkbox(rare, key="runs_whole", help=explained(rare))
    with st.container(key="runs_if_narrow"):
        _to_tick(table, ON_A_TELEPHONE, done, "runs_table_narrow", FORMATS | NARROW)


def _to_tick(
    table: pd.DataFrame, columns: Iterable[str], but: Set[str], key: str, config: Mapping[str, Any]
) -> None:
    """The table with these of its columns but some; a tick opens the run, several compare. key: of the
    widget.
    """
    names = table[run_summary.COLUMNS["name"]].tolist()

    def open_selected() -> None:
        selected = [names[row] for row in st.session_state[key].selection.rows if row < len(names)]
        st.session_state[COMPARED] = selected if len(selected) > 1 else []
        if len(selected) == 1:
            shell.choose_run(selected[0])

    show_table(
        table,
        key=key,
        on_select=open_selected,
        selection_mode="multi-row",
        column_config=config,
        column_order=[run_summary.COLUMNS[column] for column in columns if column not in but],
    )


def evaluation_or_nothing(run: RunFolder) -> Evaluation | None:
    try:
        return contents.evaluation(run)
    except GpoVaeError:
        return None


def no_runs() -> None:
    st.info("No runs of your own yet. Choose your cells, then train a first run.")
    if st.button("Use my data", type="primary", key="runs_data"):
        shell.go("pages/data.py")
    with st.expander("The same in a terminal"):
        in_a_terminal()


def in_a_terminal() -> None:
    """The commands of a first run, with the folders that the pages look in."""
    folder = listing.runs_folder().resolve()
    st.markdown(f"This page looks in `{folder}`:")
    train = shlex.join(["gpovae", "train", "my_screen.h5ad", "--run", str(folder / "first")])
    st.code(train, language="bash", wrap_lines=True)
    st.markdown("No data at hand? Make some, with a network that is known, and choose it on the page Data:")
    toy = shlex.join(["gpovae", "simulate", str(data_folder().resolve() / "toy.h5ad")])
    st.code(f"{toy} --genes 60 --perturbations 20 --cells 3000", language="bash", wrap_lines=True)
