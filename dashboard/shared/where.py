"""Where a run, an ensemble or a sweep is to be worked on: this machine, or a site of clusters.toml."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import listing
from dashboard.shared.words import plain
from gpovae_core.errors import SettingsError
from gpovae_core.runs.clusters.sites import Request, Site, read_sites, request

HERE = "this machine"


def choose(key: str) -> Request | None:
    """The choice, and what a job over there gets; None: this machine. Nothing is shown where there is no
    clusters.toml, and what is wrong with one is said.
    """
    try:
        sites = read_sites(listing.runs_folder())
    except SettingsError as error:
        st.error(plain(error))
        return None
    if not sites:
        return None
    names = ["", *sites]
    if st.session_state.get(f"{key}_where", "") not in names:  # gone from the file since
        del st.session_state[f"{key}_where"]
    widths = [2, 1, 1, 1, 1]
    first, *rest = st.columns(widths, vertical_alignment="bottom")
    name = first.selectbox(
        "Where to run",
        names,
        format_func=lambda name: f"{name}: {sites[name].about}".removesuffix(": ") if name else HERE,
        key=f"{key}_where",
    )
    if not name:
        return None
    asked = [
        column.number_input(label, least, None, value, step, key=f"{key}_{name}_{label}")
        for column, (label, least, value, step) in zip(rest, _fields(sites[name]), strict=True)
    ]
    gpus, cores, memory, hours = asked
    st.caption(
        "A job of its own in the queue of that cluster. Cells and runs have to lie on a disk that its nodes "
        "see at the same place."
    )
    return request(
        name, sites[name], gpus=int(gpus), cores=int(cores), memory_gb=float(memory), hours=float(hours)
    )


def _fields(site: Site) -> tuple[tuple[str, float, float, float], ...]:
    """Label, least value, value at first and step of what a job gets."""
    return (
        ("GPUs", 0, site.gpus, 1),
        ("Cores", 1, site.cores, 1),
        ("Memory, GB", 0.5, max(0.5, site.memory_gb), 1.0),
        ("Time limit, h", 0.1, max(0.1, site.hours), 1.0),
    )


def options(asked: Request | None) -> list[str]:
    """The choice as options of a command."""
    if asked is None:
        return []
    values = {"gpus": asked.gpus, "jobs": asked.cores, "memory": asked.memory_gb, "hours": asked.hours}
    given = [part for name, value in values.items() for part in (f"--{name}", f"{value:g}")]
    return ["--on", asked.site, *given]
