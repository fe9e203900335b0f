"""Train: put a run together, see what it will cost, start it, watch it, stop it, resume it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.shared import data_files, job_view, loaders, settings_form, shell, state
from dashboard.shared.run_summary import command, state_in_words
from dashboard.shared.words import ago, plain
from gpovae_core.config import Settings
from gpovae_core.data.memory import free_memory
from gpovae_core.errors import GpoVaeError, RunError
from gpovae_core.runs import jobs
from gpovae_core.runs.archive import check_run_name, free_name
from gpovae_core.runs.folder import RunFolder

NAME = "train_name"


def at_work() -> list[RunFolder]:
    """Runs that are being worked on or wait for it, in their order."""
    found = []
    for run in loaders.all_runs().values():
        try:
            status = run.status()
        except GpoVaeError:
            continue
        if status.busy and not status.dead():
            found.append((status.state == "queued", status.started, run))
    return [run for *_, run in sorted(found, key=lambda item: item[:2])]


def jobs_part() -> None:
    """The open run if there is anything to watch about it, and the others at work."""
    busy = at_work()
    name = state.get(state.RUN)
    opened = loaders.all_runs().get(name) if name is not None else None
    if opened is not None:
        with shell.errors_in_words():
            status = RunFolder.open(opened.path).status()
            if status.state not in ("done", "imported"):
                st.subheader(job_view.headline(opened, status))
                if status.message:
                    st.caption(plain(status.message))
                job_view.watch(opened)
            elif st.session_state.get("started_here") == name:
                finished(opened)
    others = [run for run in busy if opened is None or run.name != opened.name]
    if others:
        st.markdown(
            "**Also at work**"
            if opened is not None and opened.name in {run.name for run in busy}
            else "**At work**"
        )
        for run in others:
            words = state_in_words(run.status())
            st.button(
                f"{run.name}: {words}", key=f"watch_{run.name}", on_click=shell.choose_run, args=(run.name,)
            )


def finished(run: RunFolder) -> None:
    st.success(f"**{plain(run.name)} is done:** {plain(run.status().message)}.")
    left, right, _ = st.columns([1, 1, 4])
    left.page_link("pages/network.py", label="**Open in Network →**")
    right.page_link("pages/runs.py", label="Scores →")


def new_run() -> None:
    st.subheader("A new run")
    cloned = st.session_state.get("cloned_from")
    if cloned:
        st.caption(f"Starts from the settings of {plain(cloned)}; change what you like.")
    name = state.get(state.DATA)
    if name is None:
        st.info(
            "Choose the cells first."
            + (" Those of the cloned run are not in the data folder." if cloned else "")
        )
        st.page_link("pages/data.py", label="Choose cells on the page Data →")
        return
    with shell.errors_in_words():
        source = data_files.path_of(name)
        if not usable(name, source):
            return
        st.markdown("##### Settings")
        settings_form.preset_choice()
        settings_form.in_sight()
        st.caption("Everything else, with what it means:")
        settings_form.folded()
        settings = settings_form.draft_settings()
        st.markdown("##### What it will take")
        cost(source, settings)
        start(name, source, settings)


def usable(name: str, source: Path) -> bool:
    """One line about the cells, or what is wrong with them."""
    with st.spinner(f"Looking through {plain(name)} …", show_time=True):
        found, _ = data_files.examination(data_files.stamp(source), settings_form.draft_settings().data)
    if not found.ok:
        st.error(f"{plain(name)} cannot be used as it is. The page Data says why, and what to do.")
        st.page_link("pages/data.py", label="Go to Data →")
        return False
    summary = found.summary
    st.markdown(
        f"Cells: **{plain(name)}** · {summary['cells_kept']:,} cells · {len(summary['perturbations']):,} "
        f"perturbations · {summary['control_cells']:,} controls · {summary['genes']:,} genes measured"
    )
    st.page_link("pages/data.py", label="Look at them, or choose others")
    return True


def cost(source: Path, settings: Settings) -> None:
    """Time per epoch, memory and device, measured here on a few steps; measured by itself the first time."""
    known = jobs.estimate(source, settings)
    first = (str(source), settings.preset)
    if (
        known.probe is None
        and not known.running
        and not known.problem
        and st.session_state.get("estimated") != first
    ):
        st.session_state["estimated"] = first
        jobs.start_estimate(source, settings)
        known = jobs.Estimate(running=True)
    if known.running:
        _wait_for_estimate(source, settings)
        return
    if known.probe is None:
        if known.problem:
            st.warning(f"It could not be measured: {plain(known.problem)}")
        st.button(
            "Measure a few steps with these settings",
            key="measure",
            on_click=jobs.start_estimate,
            args=(source, settings),
        )
        return
    probe, epochs = known.probe, settings.training.epochs
    device = "the processor (CPU)" if probe.device == "cpu" else probe.device
    st.markdown(
        f"**{probe.seconds_per_epoch:.1f} s per epoch** on **{plain(device)}** · "
        f"**{probe.peak_bytes / 1e9:.1f} GB of memory** ({free_memory() / 1e9:.1f} GB free) · at most "
        f"{ago(epochs * probe.seconds_per_epoch)} for {epochs:,} epochs"
    )
    st.caption(
        f"Measured here on a few of {probe.steps_per_epoch:,} steps: {probe.cells:,} training cells, "
        f"{probe.panel:,} genes in the network, {probe.parameters:,} weights. The early stop usually comes "
        "long before the last epoch; scoring follows. Other work on this machine makes it slower."
    )
    if probe.peak_bytes > 0.8 * free_memory():
        st.warning(
            "This is close to all the memory that is free. Close other programs, or train on a larger "
            "machine."
        )


def _wait_for_estimate(source: Path, settings: Settings) -> None:
    @st.fragment(run_every=1.0)
    def wait() -> None:
        if not jobs.estimate(source, settings).running:
            st.rerun()
        st.caption("Preparing the cells and timing a few steps … You can start without waiting for it.")

    wait()


def start(name: str, source: Path, settings: Settings) -> None:
    """Name and button. The run appears at once; its job starts when it is its turn."""
    folder = loaders.runs_folder()
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
        args=(source, settings),
        width="stretch",
    )
    waiting = at_work()
    if waiting:
        st.caption(f"It will wait for {plain(', '.join(run.name for run in waiting))}.")
    with st.expander("The same in a terminal"):
        words = (
            "gpovae",
            "train",
            source,
            "--run",
            folder / str(st.session_state[NAME]),
            *jobs.as_options(settings),
        )
        st.code(command(*words), language="bash")


def submit(source: Path, settings: Settings) -> None:
    folder = loaders.runs_folder()
    try:
        name = check_run_name(st.session_state[NAME])
        if name in loaders.all_runs():
            raise RunError(f"There is already a run called '{name}'. Choose another name.")
        folder.mkdir(parents=True, exist_ok=True)
        run = jobs.submit(source, folder / name, settings)
    except (GpoVaeError, OSError) as error:
        st.session_state["job_problem"] = str(error)
        return
    shell.choose_run(run.name)
    st.session_state.pop("cloned_from", None)
    st.session_state["started_here"] = run.name
    st.session_state["named_for"] = None


shell.title("Train", "Training goes on in the background: close this page, come back, and it is still there.")
job_view.problem_of_last_click()
jobs_part()
new_run()
