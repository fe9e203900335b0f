"""How sure is an edge? The tab with the ensemble of a run: make it, watch it, and read what it says."""

from __future__ import annotations

import math

import pandas as pd
import streamlit as st

from dashboard.network.scene import Scene
from dashboard.shared import listing, networks, shell, where
from dashboard.shared.figures import chart
from dashboard.shared.glossary import show_table
from dashboard.shared.networks import Shown
from dashboard.shared.run_summary import command
from dashboard.shared.words import number, percent, plain
from gpovae_core.errors import GpoVaeError
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.plots import network as figures
from gpovae_core.runs import jobs
from gpovae_core.runs.clusters.sites import Request
from gpovae_core.runs.clusters.told import how_it_ended, in_words
from gpovae_core.runs.ensemble import (
    Ensemble,
    EnsembleJob,
    EnsemblePlan,
    at_work,
    needs_training,
    read_ensemble,
    submit_ensemble,
)
from gpovae_core.runs.folder import RunFolder

EVERY = 1.0
"""Seconds between two looks at an ensemble that is being made."""
VARY = {"both": "cells and seeds", "cells": "cells", "seeds": "seeds"}
BANDS = ((0.95, 1.01), (0.8, 0.95), (0.5, 0.8), (0.0, 0.5))


def show(scene: Scene) -> None:
    """How often edges come back when the cells are drawn again; made here where it was not yet."""
    job(scene.run)
    found = scene.network.ensemble
    if found is not None:
        agreement(scene.run, found, networks.shown_network(scene.run, Shown("W", scene.which.blind)))


def job(run: RunFolder) -> None:
    """The job: progress and a button to stop it where it is at work, else what there is and a form to make
    one.
    """
    with shell.errors_in_words():
        if at_work(run):
            st.fragment(run_every=EVERY)(_look)(run)
            return
        _last_job(run)
        read_ensemble(run)  # says in words what is wrong with it, if anything is
    form(run)


def under_way(run: RunFolder) -> None:
    """A line that moves while the networks are being found again that say how often edges come back; the page
    is drawn anew when they are there.
    """
    if at_work(run):
        st.fragment(run_every=2 * EVERY)(_line)(run)


def _line(run: RunFolder) -> None:
    if not at_work(run):
        st.rerun()
    job = EnsembleJob.of(run)
    try:
        planned = job.plan().members
    except GpoVaeError:  # in the first moment there is none
        planned = run.settings().network.ensemble
    st.caption(
        f"How often edges come back is being found out: {job.finished():,} of {planned:,} networks, from "
        "other draws of the cells. Map and table show it when it is there; stop it under More, How sure?"
    )


def _look(run: RunFolder) -> None:
    with shell.errors_in_words():
        if not at_work(run):
            st.rerun()
        job = EnsembleJob.of(run)
        status = job.status()
        doing = ": ".join(filter(None, (in_words(status), status.stage))) or "starting"
        st.progress(status.share or 0.0, text=plain(f"Finding the network again: {doing}"))
        st.button(
            "Stop",
            key="ensemble_stop",
            on_click=_stop,
            args=(job,),
            help="Finished members are kept; it can go on later.",
        )


def _stop(job: EnsembleJob) -> None:
    try:
        if not jobs.stop(job):
            st.toast(
                "There is no process here that could be stopped: it has just ended, or it runs on another "
                "machine."
            )
    except GpoVaeError as error:
        st.toast(plain(error))


def _last_job(run: RunFolder) -> None:
    """What became of the last one, where it did not come to its end."""
    job = EnsembleJob.of(run)
    if not job.has("status.json"):
        return
    status = job.status()
    if status.dead():
        why = f" ({plain(how_it_ended(status))})" if status.job else ""
        st.error(
            f"The ensemble was cut off after {job.finished():,} members{why}; they are kept. Start it again "
            "to go on."
        )
        words = job.last_words()
        if words:
            st.code("\n".join(words), language=None)
    elif status.state == "failed":
        st.error(plain(f"The ensemble failed: {status.message}"))
    elif status.state == "stopped":
        st.info(plain(f"The ensemble was {status.message}. Start it again to go on."))


def form(run: RunFolder) -> None:
    """Numbers and a button; nothing for runs without cells."""
    if not run.has("cells.h5ad"):
        st.info("This run holds no cells, so its network cannot be found again from other draws of them.")
        return
    trained = needs_training(run.settings())
    st.caption(
        (
            "The network is found again and again from cells drawn anew (with replacement, within each "
            "perturbation): an edge that rests on a few cells does not come back. "
        )
        + (
            "In this run W is trained, so every member is a whole training and takes as long as this run did."
            if trained
            else "In this run W comes from calibrated effects, without training: a member takes seconds."
        )
    )
    if listing.is_demo(run):
        st.caption("The demo run comes with its ensemble; for another, train a run of your own.")
        return
    left, middle, right = st.columns([1, 1, 1], vertical_alignment="bottom")
    members = left.number_input(
        "Networks",
        min_value=2,
        max_value=1000,
        value=20 if not trained else 5,
        step=5,
        key="ensemble_members",
    )
    vary = "cells"
    if trained:
        vary = middle.selectbox("What differs", list(VARY), format_func=VARY.__getitem__, key="ensemble_vary")
    else:
        middle.markdown("What differs: **cells**")
    asked = where.choose("ensemble")
    have = EnsembleJob.of(run).finished()
    words = "Go on with the ensemble" if have else "Make an ensemble"
    right.button(
        words,
        key="ensemble_start",
        on_click=_start,
        args=(run, int(members), str(vary), asked),
        width="stretch",
    )
    problem = st.session_state.pop("ensemble_problem", None)
    if problem:
        st.error(plain(problem))
    with st.expander("The same in a terminal"):
        st.code(
            command(
                *("gpovae", "ensemble", run.path, "--members", members, "--vary", vary), *where.options(asked)
            ),
            language="bash",
        )


def _start(run: RunFolder, members: int, vary: str, asked: Request | None) -> None:
    try:
        submit_ensemble(run, EnsemblePlan.model_validate({"members": members, "vary": vary}), asked)
    except (GpoVaeError, OSError) as error:
        st.session_state["ensemble_problem"] = str(error)


def agreement(run: RunFolder, found: Ensemble, network: GeneNetwork) -> None:
    """How many edges come back how often, and how much two members agree."""
    edges = network.edges(found.threshold)
    st.markdown(
        f"**{found.members:,} networks, which differ in their {VARY.get(found.vary, found.vary)}.** With W "
        f"above {found.threshold:g} this run has {len(edges):,} edges; a member has "
        f"{number(found.edges, 1)} out of perturbed genes on average."
    )
    table, picture = st.columns([2, 3])
    with table:
        show_table(bands(edges))
        st.caption(
            "Found again: share of the members that have the edge too. It says how much an edge hangs on "
            "which cells happened to be measured; what misleads in all of the cells alike misleads every "
            "member."
        )
        csv = found.stability.to_csv(index=False).encode()
        st.download_button(
            "Download this chart's numbers (CSV)",
            csv,
            f"{run.name}_stability.csv",
            "text/csv",
            on_click="ignore",
        )
    chart(
        figures.stability_chart(found.stability, found.edges),
        key="stability",
        config={"displayModeBar": False},
        place=picture,
    )


def bands(edges: pd.DataFrame) -> pd.DataFrame:
    """Edges of a table with frequencies, by how often they come back."""
    rows = []
    for low, high in BANDS:
        part = edges[(edges["frequency"] >= low - 1e-6) & (edges["frequency"] < high - 1e-6)]
        title = (
            f"at least {low:.0%}" if high > 1 else f"{low:.0%} to {high:.0%}" if low else f"below {high:.0%}"
        )
        share = part["sign_agreement"].mean()
        agree = percent(float(share)) if math.isfinite(share) else "not known"
        rows.append({"Found again in": title, "Edges of this run": len(part), "Sign agrees, mean": agree})
    return pd.DataFrame(rows)


def edge_in_words(found: Ensemble, source: int, target: int) -> str:
    """'Found again in 18 of 20 networks …' for the inspector."""
    frequency, agree = float(found.frequency[source, target]), float(found.sign_agreement[source, target])
    sign = "" if not math.isfinite(agree) else f"; its sign agrees in {agree:.0%} of these"
    return (
        f"Found again in {round(frequency * found.members):,} of {found.members:,} networks (W above "
        f"{found.threshold:g}){sign}. W over all of them: {found.mean[source, target]:.2f}, standard "
        f"deviation {found.sd[source, target]:.2f}."
    )
