"""Undo and redo of what is looked at on the network page: gene, edge, view and threshold, within one run."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.shared import state

REMEMBERED = (
    state.FOCUS,
    state.THRESHOLD,
    state.OFTEN,
    state.INFLUENCE,
    state.MEASURE,
    state.VIEW,
    state.EDGE_SOURCE,
    state.EDGE_TARGET,
    state.BUNDLE,
)
MOST = 100
_STORE = "gpovae_history"


def _history() -> dict[str, Any]:
    return st.session_state.setdefault(_STORE, {"run": None, "now": None, "past": [], "future": []})


def record() -> None:
    """Remember what is looked at now, where it has changed since the last call; another run starts afresh."""
    history = _history()
    now = {name: state.get(name) for name in REMEMBERED}
    if history["run"] != state.get(state.RUN):
        history.update(run=state.get(state.RUN), now=now, past=[], future=[])
    elif now != history["now"]:
        history["past"] = [*history["past"], history["now"]][-MOST:]
        history.update(now=now, future=[])


def step(by: int) -> None:
    """Go back (-1) or forward (1), as far as there is anything."""
    history = _history()
    source, other = ("past", "future") if by < 0 else ("future", "past")
    if not history[source]:
        return
    history[other].append(history["now"])
    history["now"] = history[source].pop()
    state.put(**history["now"])


def possible() -> tuple[bool, bool]:
    """Whether there is something to undo, and something to redo."""
    history = _history()
    return bool(history["past"]), bool(history["future"])
