"""The way to the demo runs, whatever runs of one's own there are."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import shell
from gpovae_core.runs import shipped
from gpovae_core.runs.folder import RunFolder

LABELS = {
    shipped.DEMOS[shipped.REAL_DEMO]: "Demo of real cells",
    shipped.DEMOS[shipped.DEMO]: "Demo of simulated cells",
}
"""Folder of a demo run -> its button."""


def show(runs: dict[str, RunFolder], but: str | None = None) -> None:
    """A button for every demo run but that one; it opens the run at one look, on Home."""
    for name, run in runs.items():
        label = LABELS.get(run.path)
        if label is None or name == but:
            continue
        if st.button(label, key=f"demo_{name}", on_click=shell.choose_run, args=(name,)):
            shell.go("pages/home.py")
