"""What came out of a sweep: table, Pareto front, bars, and the runs behind a point."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from dashboard.experiments import cached
from dashboard.shared import shell, state
from dashboard.shared.figures import chart
from dashboard.shared.glossary import show_table
from dashboard.shared.words import number, plain
from gpovae_core.sweeps.folder import SweepFolder
from gpovae_core.sweeps.measures import MEASURES
from gpovae_core.sweeps.plan import SweepPlan
from gpovae_core.sweeps.results import NUMBER, RUN, SPREAD, STATE, WORDS, Results

CHOSEN = "experiments_point"
SHOWN = ("ate_rho", "mu_wd_top", "mu_wd", "edges", "edges_other", "w_other")
"""Measures in the table, after the objectives, each with its baseline and ceiling."""


def show(folder: SweepFolder) -> None:
    """Table, Pareto front and bars of a sweep; a click on a point offers its runs."""
    from gpovae_core.plots import sweeps as figures

    found = cached.sweep_results(folder)
    if not found.count("done"):
        reasons = sorted(set(found.points["reason"]) - {""}) if len(found.points) else []
        for reason in reasons[:5]:
            st.warning(plain(reason))
        st.info("No point has finished yet. Scores stand here as soon as one has.")
        return
    objectives = list(folder.plan.objectives)
    if len(objectives) > 1:
        front(folder, found, objectives, figures)
    show_table(table(folder.plan, found), key=f"sweep_table_{folder.name}")
    seeds = len(folder.plan.seeds)
    st.caption(
        f"Mean ± standard deviation over {seeds} seed{'s' if seeds > 1 else ''} (of split, weights, batches "
        f"and draws); held-out cells. 'Strongest edges' are the {folder.plan.top:,} strongest pairs of "
        "every run, so that networks are compared at equal numbers of edges. muWD of all edges above the "
        "threshold falls with their number, whatever the method: read it beside the edges."
    )
    bars(folder, found, figures)
    downloads(folder, found)
    if len(objectives) == 1:
        runs_of_point(folder, found)


def bars(folder: SweepFolder, found: Results, figures: Any) -> None:
    """One measure, point by point, with the runs of each."""
    points: Any = found.points
    choice = [
        *folder.plan.objectives,
        *(name for name in MEASURES if name not in folder.plan.objectives and points[name].notna().any()),
    ]
    picked = st.selectbox(
        "Measure", choice, format_func=lambda name: MEASURES[name].title, key=f"sweep_measure_{folder.name}"
    )
    if picked is not None:
        chart(
            figures.measure_bars(found.points, found.runs, picked),
            key="sweep_bars",
            config={"displayModeBar": False},
        )


def downloads(folder: SweepFolder, found: Results) -> None:
    left, right = st.columns(2)
    left.download_button(
        "Download all runs (CSV)",
        found.runs.to_csv(index=False).encode(),
        f"{folder.name}_runs.csv",
        "text/csv",
    )
    right.download_button(
        "Download all points (CSV)",
        found.points.to_csv(index=False).encode(),
        f"{folder.name}_points.csv",
        "text/csv",
    )


def front(folder: SweepFolder, found: Results, objectives: list[str], figures: Any) -> None:
    """The Pareto front, and beside it the runs of the point that was clicked."""
    left, right = st.columns([3, 2])
    key = f"sweep_front_{folder.name}"

    def pick() -> None:
        points = st.session_state[key].selection.points
        if points:
            st.session_state[CHOSEN] = (folder.name, int(points[0]["customdata"][0]))

    chosen = chosen_point(folder)
    figure = figures.pareto(found.points, objectives[0], objectives[1], chosen)
    chart(
        figure, key=key, on_select=pick, selection_mode="points", config={"displayModeBar": False}, place=left
    )
    with right:
        runs_of_point(folder, found)


def chosen_point(folder: SweepFolder) -> int | None:
    """Number of the point of this sweep that was clicked last; None where none was."""
    name, chosen = st.session_state.get(CHOSEN, (None, None))
    return chosen if name == folder.name else None


def runs_of_point(folder: SweepFolder, found: Results) -> None:
    """Buttons that open the runs of a point."""
    numbers = found.points[NUMBER].tolist()
    names = dict(zip(numbers, found.points[WORDS], strict=True))
    chosen = chosen_point(folder)
    key = f"sweep_chosen_{folder.name}"
    st.selectbox(
        "Point",
        numbers,
        index=None,
        key=key,
        placeholder="Click a point, or choose one",
        format_func=lambda n: f"{n}: {names[n]}",
        on_change=state.drawn(
            key,
            chosen if chosen in names else None,
            lambda number: st.session_state.update({CHOSEN: (folder.name, number)}),
        ),
    )
    if chosen not in names:
        st.caption("Its runs open from here, one per seed.")
        return
    row = found.points.set_index(NUMBER).loc[chosen]
    st.markdown(
        f"**{plain(row[WORDS])}**: {plain(row[STATE])}"
        + (f". {plain(row['reason'])}" if row["reason"] else "")
    )
    here = folder.runs()
    own = found.runs[found.runs[NUMBER] == chosen] if len(found.runs) else found.runs
    for _, run in own.iterrows():
        if run[RUN] in here:
            st.button(
                f"Open the run of seed {run['seed']}",
                key=f"open_{folder.name}_{run[RUN]}",
                on_click=_open,
                args=(folder, run[RUN]),
            )
        else:
            st.caption(f"The run of seed {run['seed']} is on another machine.")
    if len(own):
        st.page_link("pages/network.py", label="Network of the open run →")
        st.page_link("pages/runs.py", label="Its scores →")


def _open(folder: SweepFolder, run: str) -> None:
    shell.choose_run(f"{folder.name}/{run}")


def table(plan: SweepPlan, found: Results) -> pd.DataFrame:
    """One row per point: state, objectives and other measures with their spread, each beside baseline and
    ceiling.
    """
    names = list(dict.fromkeys([*plan.objectives, *SHOWN]))
    rows = []
    for row in found.points.to_dict("records"):
        words: dict[str, Any] = {
            "Point": f"{row[NUMBER]}: {row[WORDS]}",
            "State": row[STATE],
            "On the front": "yes" if row["on_front"] else "",
        }
        for name in names:
            measure = MEASURES[name]
            words[measure.title] = _cell(row[name], row[name + SPREAD], measure.whole)
            for other in (measure.baseline, measure.ceiling):
                if other is not None:
                    words[MEASURES[other].title] = _cell(row[other], None, False)
        words["Why not"] = row["reason"]
        rows.append(words)
    shown = pd.DataFrame(rows)
    return shown.loc[:, [name for name in shown if name == "Point" or (shown[name] != "").any()]]


def _cell(value: float, spread: float | None, whole: bool) -> str:
    if pd.isna(value):
        return ""
    digits = 1 if whole else 3
    return number(float(value), digits) + (
        "" if spread is None or pd.isna(spread) else f" ± {number(float(spread), digits)}"
    )
