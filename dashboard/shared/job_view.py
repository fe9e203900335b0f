"""A run while it is worked on: what it does, how far it is, how long it will take; stop, resume, and the last
words of a dead one.
"""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import streamlit as st

from dashboard.shared import contents, listing, settings_form, shell, state, where
from dashboard.shared.figures import chart
from dashboard.shared.run_summary import command, state_in_words
from dashboard.shared.words import ago, number, plain
from gpovae_core.data.folder import data_folder
from gpovae_core.errors import GpoVaeError
from gpovae_core.plots import training
from gpovae_core.runs import jobs
from gpovae_core.runs.clusters import submit as clusters
from gpovae_core.runs.clusters.sites import Request
from gpovae_core.runs.clusters.told import how_it_ended, in_words
from gpovae_core.runs.folder import RunFolder, Status, tail

EVERY = 2.0
"""Seconds between two looks at a run that is being worked on."""
WORDS = {
    "queued": "Waiting for its turn",
    "preparing": "Preparing the cells",
    "training": "Training",
    "evaluating": "Scoring",
}


def watch(run: RunFolder, whole: bool = True) -> None:
    """Everything about a run at work, renewed every EVERY seconds; when it comes to rest, so does the page.

    whole: with numbers, curves and log; otherwise only how far it is and what can be done.
    """
    status = run.status()
    if status.busy and not status.dead():
        st.fragment(run_every=EVERY)(_look)(run, whole)
    else:
        show(run, status, whole)


def _look(run: RunFolder, whole: bool) -> None:
    if not run.path.is_dir():  # thrown away meanwhile: the page says so
        st.rerun()
    with shell.errors_in_words():
        status = run.status()
        if not status.busy or status.dead():
            st.rerun()
        show(run, status, whole)


def show(run: RunFolder, status: Status, whole: bool = True) -> None:
    """State, progress, numbers, curves and log, as they are now."""
    table = contents.metrics(run)
    if status.dead():
        dead(run, status)
    elif status.busy:
        progress(run, status, table)
    buttons(run, status)
    if not whole:
        return
    if not table.empty:
        facts(table, status)
        curves(run, table)
    log = tail(run.path / "log.txt", 8)
    if log:
        st.caption("Log")
        st.code("\n".join(log), language=None)


def progress(run: RunFolder, status: Status, table: pd.DataFrame) -> None:
    """A bar with what is being done, where, and the time left where it can be told."""
    words = WORDS.get(status.state, status.state.capitalize())
    if status.job:
        there = in_words(status)
        words = there[:1].upper() + there[1:]
        if status.state == "queued" or status.waits():
            st.progress(0.0, text=plain(words))
            then = f", and goes on after epoch {status.epoch:,}" if status.epoch else ""
            st.caption(f"Job {status.job}. It starts by itself{then}.")
            return
    if status.state == "queued":
        waiting = [other.name for other in jobs.ahead_of(run, list(listing.all_runs().values()))]
        line = f"{words}: after {', '.join(waiting)}" if waiting else "Starting"
        st.progress(0.0, text=plain(line))
        st.caption(
            "One run trains at a time, so that two do not take each other's processor. It starts by itself."
        )
        return
    stage = status.stage.partition(": ")[2] if status.state == "preparing" else ""
    if status.state == "training":
        most = run.settings().training.epochs
        stage = f"epoch {status.epoch:,} of at most {most:,}{of_the_next(status, most)}"
        stage += time_left(run, status, table)
        stage = status.message if status.message and not status.epoch else stage
    elif status.state == "evaluating":
        stage = status.stage
    share = status.share if status.share is not None else 0.0
    st.progress(min(1.0, share), text=plain(f"{words}: {stage}" if stage else words))
    silent = status.silent()
    if silent > 60:
        there = "the scheduler says that its job runs" if status.job else "its process is there"
        st.caption(f"No sign of life for {ago(silent)}, but {there}: the machine may be busy or asleep.")


def of_the_next(status: Status, most: int) -> str:
    """', 45 % of the next': in a large screen an epoch takes a minute, in which nothing else would move."""
    done = (status.share or 0.0) * most - status.epoch
    return f", {done:.0%} of the next" if 0 < done < 1 else ""


def time_left(run: RunFolder, status: Status, table: pd.DataFrame) -> str:
    """', at most 2 h left' from the median time of the last epochs, and when the early stop would come at the
    soonest.
    """
    if table.empty or "seconds" not in table:
        return ""
    training_settings = run.settings().training
    each = float(table["seconds"].tail(10).median())
    left = max(0, training_settings.epochs - status.epoch) * each
    words = f"; at most {ago(left)} left"
    if status.best_epoch is not None:
        patience = max(0, training_settings.patience - (status.epoch - status.best_epoch))
        words += (
            f", in {ago(patience * each)} if the validation loss no longer falls"
            if patience * each < left
            else ""
        )
    return words


def facts(table: pd.DataFrame, status: Status) -> None:
    last = table.iloc[-1]
    best = table["validation_loss"].min() if "validation_loss" in table else None
    shown = [
        (
            "Epochs finished",
            f"{int(last['epoch']):,}",
            f"best: {status.best_epoch}" if status.best_epoch else "",
        ),
        (
            "Validation loss",
            number(float(last.get("validation_loss", float("nan"))), 2),
            f"least: {number(best, 2)}, nats per cell",
        ),
        (
            "Edges above 0.5",
            number(int(last["edges"])) if "edges" in last else "not defined",
            "between different genes",
        ),
        ("Spread of W", number(float(last.get("w_sd", float("nan")))), "standard deviation; 0 at the start"),
        (
            "Time per epoch",
            f"{float(last.get('seconds', float('nan'))):.1f} s",
            f"median {table['seconds'].median():.1f} s",
        ),
    ]
    for column, (label, value, below) in zip(st.columns(len(shown)), shown, strict=True):
        with column:
            st.caption(label)
            st.markdown(f"**{plain(value)}**  \n:small[{plain(below)}]" if below else f"**{plain(value)}**")


def curves(run: RunFolder, table: pd.DataFrame) -> None:
    left, right = st.columns(2)
    chart(training.loss_curves(table, run.status().best_epoch), key="live_loss", place=left)
    chart(training.penalty_curves(table), key="live_penalties", place=right)
    chart(training.spread_curves(table), key="live_spread", place=left)
    chart(training.edge_curve(table), key="live_edges", place=right)


def dead(run: RunFolder, status: Status) -> None:
    """Its process is gone: say when it was last heard of, what it said, and that nothing finished is lost."""
    when = time.strftime("%H:%M:%S on %d %B", time.localtime(status.heartbeat))
    doing = WORDS.get(status.state, status.state).lower()
    kept = f"Its {status.epoch:,} finished epochs are kept." if status.epoch else "No epoch had finished."
    why = (
        f"While it was {doing} at {plain(status.site)}: {plain(how_it_ended(status))}."
        if status.job
        else f"Its process ended while it was {doing}, without saying why: killed, out of memory, or the "
        "machine was switched off."
    )
    st.error(f"**This run is dead.** {why} Last sign of life at {when}. {kept}")
    words = run.last_words()
    if words:
        st.caption("Its last words")
        st.code("\n".join(words), language=None)


def buttons(run: RunFolder, status: Status) -> None:
    """Stop or resume, clone, and where to look at the result."""
    at_work = status.busy and not status.dead()
    resumable = (
        not at_work and status.state != "imported" and (status.busy or status.state in ("stopped", "failed"))
    )
    asked = clusters.kept(run)
    with st.container(horizontal=True):
        if at_work:
            st.button(
                "Stop training",
                key="job_stop",
                on_click=_stop,
                args=(run,),
                help="Ends after the step at hand. Every finished epoch is kept.",
            )
        elif resumable:
            st.button(
                "Resume" if asked is None else plain(f"Resume at {asked.site}"),
                key="job_resume",
                type="primary",
                on_click=_resume,
                args=(run, asked),
                help="Goes on after the last finished epoch.",
            )
            if asked is not None:
                st.button("Resume on this machine", key="job_resume_here", on_click=_resume, args=(run, None))
        _results(run, main=not at_work and not resumable)
        tip = "A new run that starts from these settings."
        if status.state != "imported" and st.button(
            "Clone with changes", key="job_clone", on_click=clone, args=(run,), help=tip
        ):
            shell.go("pages/train.py")
    if resumable:
        st.caption("The same in a terminal:")
        again = ("gpovae", "train", run.source().path, "--run", run.path, "--resume")
        st.code(command(*again, *where.options(asked)), language="bash")


def _results(run: RunFolder, main: bool) -> None:
    """Where to look at the result of the open run. main: there is nothing else to do with it."""
    if run.has("model.safetensors") and st.button(
        "Open its network", key="job_network", type="primary" if main else "secondary"
    ):
        shell.go("pages/network.py")
    if run.has("effects.h5ad") and st.button("Open its predictions", key="job_predictions"):
        shell.go("pages/response.py")


def _stop(run: RunFolder) -> None:
    try:
        if not jobs.stop(run):
            st.toast(
                "There is no process here that could be stopped: it has just ended, or it runs on another "
                "machine."
            )
    except GpoVaeError as error:
        st.toast(plain(error))


def _resume(run: RunFolder, asked: Request | None) -> None:
    try:
        jobs.resume(run, asked=asked)
    except (GpoVaeError, OSError) as error:
        st.session_state["job_problem"] = str(error)


def problem_of_last_click() -> None:
    """What went wrong in a button's callback, shown once."""
    text = st.session_state.pop("job_problem", None)
    if text:
        st.error(plain(text))


def clone(run: RunFolder) -> None:
    """Put a run's settings, and its file where that is in the data folder, into the form of a new run."""
    settings_form.start_from(run.settings())
    source = run.source().path
    root = data_folder().resolve()
    path = Path(source)
    inside = path.is_absolute() and path.is_relative_to(root) and path.exists()
    state.put(**{state.DATA: path.relative_to(root).as_posix() if inside else None})
    st.session_state["cloned_from"] = run.name


def headline(run: RunFolder, status: Status) -> str:
    """Name and state; of a run at work the name alone, since its progress below renews itself and the
    headline does not.
    """
    if status.busy and not status.dead():
        return plain(run.name)
    return f"{plain(run.name)}: {plain(state_in_words(status))}"
