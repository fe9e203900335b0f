"""One scenario in detail."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.shared import shell, state
from dashboard.shared.words import plain
from dashboard.whatif import effects, interactions, paths, side_by_side
from dashboard.whatif.scene import Answered
from gpovae_core.runs.folder import RunFolder

TABS = "whatif_part"
"""Key of the tabs in the session: the name of the open one."""


def chosen(found: dict[str, Answered]) -> Answered:
    """The scenario that is looked at: the one chosen, else the last that was asked."""
    name = state.get(state.DETAIL)
    return found[name] if name in found else list(found.values())[-1]


def show(run: RunFolder, found: dict[str, Answered], one: Answered) -> None:
    """The parts of the chosen scenario; the first shows all of them beside each other."""

    def beside() -> None:
        side_by_side.figure(run, found)
        with st.expander(f"Every gene: {plain(one.scenario.name)}"):
            effects.show(run, one)

    parts: dict[str, Callable[[], None]] = {"Effects": beside}
    if len(one.scenario.asked.genes) > 1:
        parts["Do they add up?"] = lambda: interactions.show(run, one)
    parts["Paths"] = lambda: paths.show(run, one)
    shell.tabs(TABS, parts, state.WHATIF_PART)
