"""Time per epoch, memory and device of a run, measured here on a few steps."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.shared import listing
from dashboard.shared.controls import on_page
from dashboard.shared.words import ago, plain
from gpovae_core.config import Settings
from gpovae_core.data.memory import free_memory
from gpovae_core.data.room import NotEnoughError
from gpovae_core.runs import jobs, needs
from gpovae_core.runs.clusters.sites import Request

EARLY_STOPS = (65, 437)
"""Epochs after which training stopped by itself, least and most of those in docs/results.md."""


def show(source: Path, settings: Settings) -> None:
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
    typical = [ago(min(n, epochs) * probe.seconds_per_epoch) for n in EARLY_STOPS]
    device = "the processor (CPU)" if probe.device == "cpu" else probe.device
    st.markdown(
        f"**{' to '.join(dict.fromkeys(typical))}** as a rule, at most "
        f"{ago(epochs * probe.seconds_per_epoch)} · {probe.seconds_per_epoch:.1f} s per epoch on "
        f"**{plain(device)}** · **{probe.peak_bytes / 1e9:.1f} GB of memory** "
        f"({free_memory() / 1e9:.1f} GB free)"
    )
    st.caption(
        f"Measured here on a few of {probe.steps_per_epoch:,} steps: {probe.cells:,} training cells, "
        f"{probe.panel:,} genes in the network, {probe.parameters:,} weights. The early stop came after "
        f"{EARLY_STOPS[0]} to {EARLY_STOPS[1]} of {epochs:,} epochs in the runs of docs/results.md; scoring "
        "follows. Other work on this machine makes it slower."
    )
    if probe.peak_bytes > 0.8 * free_memory():
        st.warning(
            "This is close to all the memory that is free. Close other programs, or train on a larger "
            "machine."
        )


def anyway(source: Path, settings: Settings, asked: Request | None) -> bool:
    """Where it is reckoned not to fit into memory or disk, say so, and ask whether to begin all the same."""
    waits = asked is None and any(not run.status().job for run in listing.at_work())
    try:
        needs.check_training(source, listing.runs_folder(), settings, asked, later=waits)
    except NotEnoughError as error:
        st.warning(plain(on_page(str(error))))
        return st.checkbox("Start it all the same", key="train_anyway")
    return False


def _wait_for_estimate(source: Path, settings: Settings) -> None:
    @st.fragment(run_every=1.0)
    def wait() -> None:
        if not jobs.estimate(source, settings).running:
            st.rerun()
        st.caption("Preparing the cells and timing a few steps … You can start without waiting for it.")

    wait()
