"""A new run: cells, settings, what it will take, and the button."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.shared import data_files, listing, no_cells, settings_form, shell, state, where
from dashboard.shared.run_summary import command
from dashboard.shared.words import plain
from dashboard.train import cost
from gpovae_core.config import Settings
from gpovae_core.data.validate import Examination
from gpovae_core.errors import GpoVaeError, RunError
from gpovae_core.runs import jobs
from gpovae_core.runs.archive import check_run_name, free_name
from gpovae_core.runs.clusters.sites import Request

NAME = "train_name"
CONDITION_FIELDS = ("data.conditions", "data.condition_as_batch")
"""Chosen beside what is said of the conditions, where there are several."""


def show() -> None:
    st.subheader("A new run")
    started = st.session_state.pop("sweep_started", None)
    if started:
        st.success(f"{plain(started)}: a run for each condition has been started.")
        st.page_link("pages/experiments.py", label="Watch them on the page Experiments →")
    cloned = st.session_state.get("cloned_from")
    name = state.get(state.DATA)
    if cloned:
        gone = " Its cells are not in the data folder." if name is None else ""
        st.caption(f"Starts from the settings of {plain(cloned)}; change what you like.{gone}")
    if name is None:
        no_cells.show(
            "Here the model is fitted to your cells, and a run comes out: a network, predicted effects, and "
            "how good both are.",
            key="train_data",
        )
        return
    with shell.errors_in_words():
        source = data_files.path_of(name)
        if not usable(name, source):
            return
        top = st.container()
        st.markdown("##### Settings")
        settings_form.preset_choice()
        settings_form.in_sight()
        st.caption("Everything else, with what it means:")
        several = len(_examined(source).summary["conditions"]) > 1
        settings_form.folded(leave_out=CONDITION_FIELDS if several else ())
        settings = settings_form.draft_settings()
        with top:  # what most people want needs no scrolling past the settings that made it
            cost.show(source, settings)
            asked = where.choose("train")
            start(name, source, settings, asked, cost.anyway(source, settings, asked))
        if len(settings.data.conditions or _examined(source).summary["conditions"]) > 1:
            each_condition(source, settings, asked)


def _examined(source: Path) -> Examination:
    """The file as the settings so far read it."""
    settings = settings_form.draft_settings().data
    return data_files.examination(data_files.stamp(source, settings), settings)[0]


def usable(name: str, source: Path) -> bool:
    """One line about the cells, or what is wrong with them."""
    with st.spinner(f"Looking through {plain(name)} …", show_time=True):
        found = _examined(source)
    if not found.ok:
        st.error(f"{plain(name)} cannot be used as it is. The page Data says why, and what to do.")
        if st.button("Go to Data", type="primary", key="train_unusable"):
            shell.go("pages/data.py")
        return False
    summary = found.summary
    st.markdown(
        f"Cells: **{plain(name)}** · {summary['cells_kept']:,} cells · {len(summary['perturbations']):,} "
        f"perturbations · {summary['control_cells']:,} controls · {summary['genes']:,} genes measured"
    )
    st.page_link("pages/data.py", label="Look at them, or choose others →")
    several = summary["conditions"]
    if len(several) > 1:
        conditions(found, list(several))
    return True


def conditions(found: Examination, names: list[str]) -> None:
    """What is to be done with the conditions of the screen: some, all as batches, or a run for each."""
    st.markdown("##### Conditions")
    for problem in found.problems:
        if problem.code == "several-conditions":
            st.warning(plain(problem.message))
    left, right = st.columns(2)
    with left:
        settings_form.field(CONDITION_FIELDS[0], explained=True, words={name: name for name in names})
    with right:
        settings_form.field(CONDITION_FIELDS[1], explained=True)


def start(name: str, source: Path, settings: Settings, asked: Request | None, anyway: bool) -> None:
    """Name and button. The run appears at once; its job starts when it is its turn. anyway: although it is
    reckoned not to fit.
    """
    folder = listing.runs_folder()
    if st.session_state.get("named_for") != name or not st.session_state.get(NAME):
        st.session_state["named_for"] = name
        st.session_state[NAME] = free_name(folder, Path(name).stem)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    left.text_input("Name of the run", key=NAME, max_chars=80)
    right.button(
        "Start training",
        type="primary",
        key="train_start",
        on_click=submit,
        args=(source, settings, asked, anyway),
        width="stretch",
    )
    waiting = [run for run in listing.at_work() if not run.status().job]
    if waiting and asked is None:
        st.caption(f"It will wait for {plain(', '.join(run.name for run in waiting))}.")
    with st.expander("The same in a terminal"):
        words = (
            "gpovae",
            "train",
            source,
            "--run",
            folder / str(st.session_state[NAME]),
            *jobs.as_options(settings),
            *where.options(asked),
            *(["--anyway"] if anyway else []),
        )
        st.code(command(*words), language="bash")


def each_condition(source: Path, settings: Settings, asked: Request | None) -> None:
    """A run for each condition, as one job."""
    st.button(
        "Train each condition by itself",
        key="train_each_condition",
        on_click=submit_each,
        args=(source, settings, asked),
    )
    st.caption(
        "A run for each condition (for each of those chosen above), all over one panel of genes, one after "
        "the other. They stand on the page Experiments."
    )


def submit_each(source: Path, settings: Settings, asked: Request | None) -> None:
    from gpovae_core.sweeps import folder as sweeping
    from gpovae_core.sweeps.conditions import plan_of_conditions

    root = listing.runs_folder()
    try:
        name = check_run_name(st.session_state[NAME])
        if (root / name).exists():
            raise RunError(f"There is already something called '{name}'. Choose another name.")
        root.mkdir(parents=True, exist_ok=True)
        sweeping.submit(root / name, plan_of_conditions(source, settings), source, asked=asked)
    except (GpoVaeError, OSError) as error:
        st.session_state["job_problem"] = str(error)
        return
    st.session_state["named_for"] = None
    st.session_state["sweep_started"] = name
    state.put(**{state.SWEEP: name})


def submit(source: Path, settings: Settings, asked: Request | None = None, anyway: bool = False) -> None:
    folder = listing.runs_folder()
    try:
        name = check_run_name(st.session_state[NAME])
        if name in listing.all_runs():
            raise RunError(f"There is already a run called '{name}'. Choose another name.")
        folder.mkdir(parents=True, exist_ok=True)
        run = jobs.submit(source, folder / name, settings, asked, anyway)
    except (GpoVaeError, OSError) as error:
        st.session_state["job_problem"] = str(error)
        return
    shell.choose_run(run.name)
    st.session_state.pop("cloned_from", None)
    st.session_state["started_here"] = run.name
    st.session_state["named_for"] = None
