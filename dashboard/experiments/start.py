"""Start a sweep on the cells chosen on the page Data."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.experiments.progress import PROBLEM
from dashboard.shared import data_files, listing, state, where
from dashboard.shared.glossary import meaning
from dashboard.shared.words import plain
from gpovae_core.errors import GpoVaeError, RunError
from gpovae_core.runs.archive import check_run_name, free_name
from gpovae_core.runs.clusters.sites import Request
from gpovae_core.sweeps import folder as sweeping
from gpovae_core.sweeps.plan import SweepPlan, find_plan, plan_from, shipped_plans

NAME = "experiments_name"


def what_there_is() -> None:
    """The sweeps that come with the program, and what each asks."""
    for plan in shipped_plans().values():
        st.markdown(f"- **{plain(plan.title)}.** {plain(plan.about)}")


def show() -> None:
    """Start a shipped sweep, or one of a file, on the cells chosen on the page Data."""
    shipped = shipped_plans()
    chosen = st.selectbox(
        "What to try", list(shipped), format_func=lambda name: shipped[name].title, key="sweep_plan"
    )
    about = st.empty()
    with st.expander("Something else, from a file of your own"):
        upload = st.file_uploader(
            "A file that says what to try (.toml, .json; docs/experiments.md has one)",
            type=["toml", "json"],
            key="sweep_file",
        )
    plan = shipped[chosen]
    if upload is not None:
        plan = _uploaded(upload.name, upload.getvalue())
    about.caption(plain(plan.about))
    name = state.get(state.DATA)
    source = data_files.path_of(name)
    left, middle, right = st.columns(3)
    seeds = left.number_input(
        "Seeds",
        min_value=1,
        max_value=20,
        value=len(plan.seeds),
        key=f"sweep_seeds_{chosen}",
        help=meaning("seed"),
    )
    epochs = middle.number_input(
        "Most epochs",
        min_value=1,
        value=plan.settings(plan.points()[0] if plan.sampler == "grid" else {}, 0).training.epochs,
        key="sweep_epochs",
        help=meaning("epoch"),
    )
    workers = right.number_input(
        "Runs at a time", min_value=1, max_value=16, value=1, key="sweep_new_workers"
    )
    asked = where.choose("sweep")
    st.markdown(
        f"Cells: **{plain(name)}** · {plan.size:,} points (a point is one choice of what is tried) × "
        f"{int(seeds)} seed{'s' if seeds > 1 else ''} = **{plan.size * int(seeds):,} runs**. Each takes as "
        "long as a run of these cells takes on the page "
        + (
            "Train; they wait while a run of yours is trained."
            if asked is None
            else "Train. Each of the runs at a time is a job of its own, with all of that."
        )
    )
    if not st.session_state.get(NAME):
        st.session_state[NAME] = free_name(listing.runs_folder(), chosen)
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    left.text_input("Name of the sweep", key=NAME, max_chars=80)
    right.button(
        "Start the sweep",
        key="sweep_start",
        type="primary",
        on_click=submit,
        args=(plan, source, int(seeds), int(epochs), int(workers), asked),
        width="stretch",
    )


def _uploaded(name: str, content: bytes) -> SweepPlan:
    import tempfile

    with tempfile.TemporaryDirectory() as aside:
        path = Path(aside) / f"sweep{Path(name).suffix.lower()}"
        path.write_bytes(content)
        return find_plan(str(path))


def submit(
    plan: SweepPlan, source: Path, seeds: int, epochs: int, workers: int, asked: Request | None
) -> None:
    root = listing.runs_folder()
    try:
        name = check_run_name(st.session_state[NAME])
        if (root / name).exists():
            raise RunError(f"There is already something called '{name}'. Choose another name.")
        values = plan.model_dump()
        values["changes"].setdefault("training", {})["epochs"] = epochs
        values["seeds"] = [*plan.seeds, *(k for k in range(1000) if k not in plan.seeds)][:seeds]
        root.mkdir(parents=True, exist_ok=True)
        sweeping.submit(root / name, plan_from(values, name), source, workers, asked)
    except (GpoVaeError, OSError) as error:
        st.session_state[PROBLEM] = str(error)
        return
    st.session_state[NAME] = None
    state.put(**{state.SWEEP: name})
