"""The page Benchmark: one run, or several side by side."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.benchmark import one_run, several_runs
from dashboard.benchmark.cached import evaluated
from dashboard.shared import listing, shell, state
from dashboard.shared.words import plain
from gpovae_core.runs.folder import RunFolder


def show(run: RunFolder) -> None:
    places = shell.bar([2.3, 8], f"{state.get(state.RUN)}: another run, or several beside it", folded=True)
    shell.run_choice(places[0])
    if run.without_cells and not run.has("evaluation.json"):
        st.info(plain(run.without_cells))
        return
    opened = state.get(state.RUN)
    chosen = beside(opened, places[1])
    shell.notices(run)
    with shell.errors_in_words():
        if chosen:
            st.markdown(
                f"##### {plain(opened)} beside {len(chosen)} other run{'s' if len(chosen) > 1 else ''}"
            )
            several_runs.show(evaluated([opened, *chosen]))
        else:
            one_run.show(run)


def beside(opened: str, place: Any) -> list[str]:
    """The evaluated runs that are to stand beside the open one."""
    others = [
        name for name, other in listing.all_runs().items() if name != opened and other.has("evaluation.json")
    ]
    if not others:
        return []
    kept = tuple(name for name in state.get(state.BESIDE) if name in others)
    state.put(**{state.BESIDE: kept})
    return place.multiselect(
        "Beside it", others, placeholder="Compare with other evaluated runs", **state.bound(state.BESIDE)
    )
