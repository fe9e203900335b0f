"""One scenario in detail."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.shared import shell
from dashboard.shared.words import plain
from dashboard.whatif import effects, interactions, paths
from dashboard.whatif.scene import Answered
from gpovae_core.runs.folder import RunFolder


def show(run: RunFolder, found: dict[str, Answered]) -> None:
    st.subheader("In detail")
    names = list(found)
    if st.session_state.get("whatif_detail") not in names:
        st.session_state["whatif_detail"] = names[-1]
    name = st.segmented_control("Scenario", names, required=True, key="whatif_detail", format_func=plain)
    one = found[name if name in found else names[-1]]
    parts: dict[str, Callable[[], None]] = {"Effects": lambda: effects.show(run, one)}
    if len(one.scenario.asked.genes) > 1:
        parts["Do they add up?"] = lambda: interactions.show(run, one)
    parts["Paths"] = lambda: paths.show(run, one)
    shell.tabs("whatif_part", parts)
