"""A run at one look: what it found, how good that is, a picture of it, and where to go from here."""

from __future__ import annotations

from pathlib import PurePath

import streamlit as st

from dashboard.home import cached
from dashboard.shared import contents, job_view, listing, shell
from dashboard.shared.figures import chart_for_any_width
from dashboard.shared.words import ago, plain
from gpovae_core.evaluation.scores import Evaluation
from gpovae_core.plots.overview import not_drawn, overview_picture
from gpovae_core.reporting import sentences
from gpovae_core.reporting.findings import findings
from gpovae_core.runs import shipped
from gpovae_core.runs.folder import RunFolder

WAYS = (
    ("Open its network", "pages/network.py", "model.safetensors"),
    ("Measured and predicted effects", "pages/response.py", "effects.h5ad"),
    ("Ask what if", "pages/whatif.py", "cells.h5ad"),
    ("All scores", "pages/benchmark.py", "evaluation.json"),
)
"""Button, page, and the file without which there is nothing to see there."""


def show(name: str, run: RunFolder, title: str = "") -> None:
    """title: what kind of run it is; without one the name stands alone."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.subheader(f"{title}: {plain(name)}" if title else plain(name), anchor=False, width="content")
        st.caption(facts(run), width="content")
    if shell.is_simulated(run):
        st.markdown(shell.SIMULATED)
    elif run.path == shipped.DEMOS[shipped.REAL_DEMO]:
        st.caption(shell.REAL_CELLS)
    if not run.has("model.safetensors"):
        st.info(f"{plain(name)} has no network yet.")
        job_view.watch(run, whole=False)
        return
    left, right = st.columns([1, 1], gap="medium")
    with left:
        scores = None
        with shell.errors_in_words():
            scores = contents.evaluation(run)
            what_it_found(run, scores)
        ways(name, run)
        if scores is not None:
            how_good(scores)
    with right, shell.errors_in_words():
        found = cached.overview_of(run)
        wide, narrow = (overview_picture(found, narrow=narrow) for narrow in (False, True))
        chart_for_any_width(wide, narrow, key="home_picture", config={"displayModeBar": False})
        if left_out := not_drawn(found):
            st.caption(left_out)


def facts(run: RunFolder) -> str:
    """The cells it was made from, which perturbations of theirs it does without, and how old it is."""
    status, source = run.status(), run.source()
    data = PurePath(source.imported or source.path).name
    when = f" · {ago(status.silent())} ago" if status.state == "done" and not listing.is_demo(run) else ""
    left_out = contents.left_out(run)
    without = f" · {plain(left_out.removesuffix('.'))}" if left_out else ""
    return f"from {plain(data)}{without} · {plain(status.state)}{when}"


def what_it_found(run: RunFolder, scores: Evaluation | None) -> None:
    told = findings(cached.overview_of(run), None if scores is None else scores.network)
    st.markdown("**What it found**\n" + "\n".join(f"- {plain(line)}" for line in told))


def how_good(scores: Evaluation) -> None:
    judged = [*sentences.verdicts_in_short(scores), f"Held out: {sentences.held_out_in_words(scores)}"]
    lines = [sentences.in_one_sentence(scores, strong="**"), *(plain(line) for line in judged)]
    st.markdown("**How good that is**\n" + "\n".join(f"- {line}" for line in lines if line))


def ways(name: str, run: RunFolder) -> None:
    """Where to go from here, the network first."""
    with st.container(horizontal=True):
        for place, (label, page, needs) in enumerate(WAYS):
            kind = "secondary" if place else "primary"
            if run.has(needs) and st.button(label, key=f"home_way_{place}", type=kind):
                shell.choose_run(name)
                shell.go(page)
