"""Sweeps on a page: which there are, how far they are, what came out, and how to start one. `outcome` serves
other pages too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.shared import data_files, loaders, shell, state
from dashboard.shared.figures import chart
from dashboard.shared.glossary import show_table
from dashboard.shared.run_summary import command
from dashboard.shared.words import number, plain
from gpovae_core.errors import GpoVaeError, RunError
from gpovae_core.runs.archive import check_run_name, free_name
from gpovae_core.sweeps import folder as sweeping
from gpovae_core.sweeps.folder import SweepFolder
from gpovae_core.sweeps.measures import MEASURES
from gpovae_core.sweeps.plan import SweepPlan, find_plan, plan_from, shipped_plans
from gpovae_core.sweeps.results import NUMBER, RUN, SPREAD, STATE, WORDS, Results

EVERY = 2.0
"""Seconds between two looks at a sweep that is worked on."""
CHOSEN = "experiments_point"
PROBLEM = "experiments_problem"
NAME = "experiments_name"
SHOWN = ("ate_rho", "mu_wd_top", "mu_wd", "edges", "edges_other", "w_other")
"""Measures in the table, after the objectives, each with its baseline and ceiling."""


def show(name: str) -> None:
    """Everything about one sweep: how far it is, buttons, and what came out so far; renewed while somebody
    works on it.
    """
    folder = loaders.open_sweep(name)
    st.subheader(plain(folder.plan.title))
    if folder.plan.about:
        st.caption(plain(folder.plan.about))
    if folder.alive():
        st.fragment(run_every=EVERY)(_look)(name)
    else:
        progress(folder)
    outcome(folder)


def _look(name: str) -> None:
    with shell.errors_in_words():
        folder = loaders.open_sweep(name)
        if not folder.alive():
            st.rerun()
        progress(folder)


def progress(folder: SweepFolder) -> None:
    """How many points are finished, what every worker does, and the buttons to stop it or to go on."""
    found, alive = loaders.sweep_results(folder), folder.alive()
    finished = found.count("done", "failed")
    parts = [f"{finished:,} of {found.total:,} points finished"]
    parts += [f"{count:,} {word}" for word in ("failed", "interrupted") if (count := found.count(word))]
    st.progress(finished / max(1, found.total), text="; ".join(parts))
    for worker in alive:
        st.caption(plain(worker.status().stage or "starting"))
    last = next(iter(folder.workers()), None)
    if last is not None and not alive and last.status().state == "failed":
        st.error(plain(f"The last worker failed: {last.status().message}"))
    left, right, rest = st.columns([1, 1, 3], vertical_alignment="bottom")
    if alive:
        left.button(
            "Stop",
            key="sweep_stop",
            on_click=_stop,
            args=(folder,),
            help="Finished epochs and runs are kept; it can go on later.",
        )
    elif finished < found.total or found.count("failed"):
        workers = right.number_input(
            "Runs at a time", min_value=1, max_value=16, value=1, key="sweep_workers"
        )
        word = "Go on" if finished < found.total else "Try failed points again"
        left.button(
            word,
            key="sweep_go_on",
            type="primary",
            on_click=_go_on,
            args=(folder, int(workers), finished >= found.total),
        )
        rest.code(command("gpovae", "sweep", folder.path), language="bash")


def _stop(folder: SweepFolder) -> None:
    if not sweeping.stop(folder):
        st.toast(
            "There is no process here that could be stopped: it has just ended, or it runs on another "
            "machine."
        )


def _go_on(folder: SweepFolder, workers: int, retry: bool) -> None:
    try:
        sweeping.launch(folder, workers, retry)
    except (GpoVaeError, OSError) as error:
        st.session_state[PROBLEM] = str(error)


def outcome(folder: SweepFolder) -> None:
    """Table, Pareto front and bars of a sweep; a click on a point offers its runs."""
    from gpovae_core.plots import sweeps as figures

    found = loaders.sweep_results(folder)
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
    points: Any = found.points
    choice = [
        *objectives,
        *(name for name in MEASURES if name not in objectives and points[name].notna().any()),
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
    if len(objectives) == 1:
        runs_of_point(folder, found)


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
    st.session_state[key] = chosen if chosen in names else None
    st.selectbox(
        "Point",
        numbers,
        index=None,
        key=key,
        placeholder="Click a point, or choose one",
        format_func=lambda n: f"{n}: {names[n]}",
        on_change=lambda: st.session_state.update({CHOSEN: (folder.name, st.session_state[key])}),
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


def start() -> None:
    """Start a shipped configuration, or a sweep file, on the cells chosen on the page Data."""
    shipped = shipped_plans()
    chosen = st.selectbox(
        "Configuration", list(shipped), format_func=lambda name: shipped[name].title, key="sweep_plan"
    )
    upload = st.file_uploader(
        "... or a sweep file of your own (.toml, .json)", type=["toml", "json"], key="sweep_file"
    )
    plan = shipped[chosen]
    if upload is not None:
        plan = _uploaded(upload.name, upload.getvalue())
    st.caption(plain(plan.about))
    name = state.get(state.DATA)
    if name is None:
        st.info("Choose the cells first.")
        st.page_link("pages/data.py", label="Choose cells on the page Data →")
        return
    source = data_files.path_of(name)
    left, middle, right = st.columns(3)
    seeds = left.number_input(
        "Seeds", min_value=1, max_value=20, value=len(plan.seeds), key=f"sweep_seeds_{chosen}"
    )
    epochs = middle.number_input(
        "Most epochs",
        min_value=1,
        value=plan.settings(plan.points()[0] if plan.sampler == "grid" else {}, 0).training.epochs,
        key="sweep_epochs",
    )
    workers = right.number_input(
        "Runs at a time", min_value=1, max_value=16, value=1, key="sweep_new_workers"
    )
    st.markdown(
        f"Cells: **{plain(name)}** · {plan.size:,} points × {int(seeds)} seed{'s' if seeds > 1 else ''} = "
        f"**{plan.size * int(seeds):,} runs**. Each takes as long as a run of these cells takes on the page "
        "Train; they wait while a run of yours is trained."
    )
    if not st.session_state.get(NAME):
        st.session_state[NAME] = free_name(loaders.runs_folder(), chosen)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    left.text_input("Name of the sweep", key=NAME, max_chars=80)
    right.button(
        "Start the sweep",
        key="sweep_start",
        type="primary",
        on_click=submit,
        args=(plan, source, int(seeds), int(epochs), int(workers)),
        width="stretch",
    )


def _uploaded(name: str, content: bytes) -> SweepPlan:
    import tempfile

    with tempfile.TemporaryDirectory() as aside:
        path = Path(aside) / f"sweep{Path(name).suffix.lower()}"
        path.write_bytes(content)
        return find_plan(str(path))


def submit(plan: SweepPlan, source: Path, seeds: int, epochs: int, workers: int) -> None:
    root = loaders.runs_folder()
    try:
        name = check_run_name(st.session_state[NAME])
        if (root / name).exists():
            raise RunError(f"There is already something called '{name}'. Choose another name.")
        values = plan.model_dump()
        values["changes"].setdefault("training", {})["epochs"] = epochs
        values["seeds"] = [*plan.seeds, *(k for k in range(1000) if k not in plan.seeds)][:seeds]
        root.mkdir(parents=True, exist_ok=True)
        sweeping.launch(SweepFolder.create(root / name, plan_from(values, name), source), workers)
    except (GpoVaeError, OSError) as error:
        st.session_state[PROBLEM] = str(error)
        return
    st.session_state[NAME] = None
    state.put(**{state.SWEEP: name})
