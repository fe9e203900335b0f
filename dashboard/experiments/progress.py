"""How far a sweep is, and the buttons to stop it or to go on."""

from __future__ import annotations

import streamlit as st

from dashboard.experiments import cached
from dashboard.shared import listing, shell, where
from dashboard.shared.run_summary import command
from dashboard.shared.words import plain
from gpovae_core.errors import GpoVaeError
from gpovae_core.runs.clusters.sites import Request
from gpovae_core.runs.clusters.told import in_words
from gpovae_core.sweeps import folder as sweeping
from gpovae_core.sweeps.folder import SweepFolder, Worker
from gpovae_core.sweeps.results import Results

EVERY = 2.0
"""Seconds between two looks at a sweep that is worked on."""
PROBLEM = "experiments_problem"


def show(folder: SweepFolder) -> None:
    """Renewed while somebody works on it."""
    if folder.alive():
        st.fragment(run_every=EVERY)(_look)(folder.name)
    else:
        progress(folder)


def _look(name: str) -> None:
    with shell.errors_in_words():
        folder = listing.open_sweep(name)
        if not folder.alive():
            st.rerun()
        progress(folder)


def progress(folder: SweepFolder) -> None:
    """How many points are finished, what every worker does, and the buttons to stop it or to go on."""
    found, alive = cached.sweep_results(folder), folder.alive()
    finished = found.count("done", "failed")
    parts = [f"{finished:,} of {found.total:,} points finished"]
    parts += [f"{count:,} {word}" for word in ("failed", "interrupted") if (count := found.count(word))]
    st.progress(finished / max(1, found.total), text="; ".join(parts))
    for worker in alive:
        status = worker.status()
        st.caption(plain(": ".join(filter(None, (in_words(status), status.stage))) or "starting"))
    last = next(iter(folder.workers()), None)
    if last is not None and not alive:
        _how_it_ended(last)
    asked = where.choose("sweep_go_on") if _can_go_on(found, alive) else None
    left, right, rest = st.columns([1, 1, 3], vertical_alignment="bottom")
    if alive:
        left.button(
            "Stop",
            key="sweep_stop",
            on_click=_stop,
            args=(folder,),
            help="Finished epochs and runs are kept; it can go on later.",
        )
    elif _can_go_on(found, alive):
        workers = right.number_input(
            "Runs at a time", min_value=1, max_value=16, value=1, key="sweep_workers"
        )
        word = "Go on" if finished < found.total else "Try failed points again"
        left.button(
            word,
            key="sweep_go_on",
            type="primary",
            on_click=_go_on,
            args=(folder, int(workers), finished >= found.total, asked),
        )
        rest.code(command("gpovae", "sweep", folder.path), language="bash")


def _can_go_on(found: Results, alive: list[Worker]) -> bool:
    return not alive and (found.count("done", "failed") < found.total or found.count("failed") > 0)


def _how_it_ended(last: Worker) -> None:
    """What became of the worker that began last, where it did not come to its end."""
    status = last.status()
    if status.state == "failed":
        st.error(plain(f"The last worker failed: {status.message}"))
    elif status.job:
        st.error(plain(f"The last worker is gone: {in_words(status)}"))
    elif status.state == "stopped":
        st.caption(plain(f"The last worker: {status.message}"))


def _stop(folder: SweepFolder) -> None:
    try:
        if not sweeping.stop(folder):
            st.toast(
                "There is no process here that could be stopped: it has just ended, or it runs on another "
                "machine."
            )
    except GpoVaeError as error:
        st.session_state[PROBLEM] = str(error)


def _go_on(folder: SweepFolder, workers: int, retry: bool, asked: Request | None) -> None:
    try:
        sweeping.launch(folder, workers, retry, asked)
    except (GpoVaeError, OSError) as error:
        st.session_state[PROBLEM] = str(error)
