"""The network picture and the chart of thresholds as Streamlit components (assets/network)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

KEY = "network_picture"
THRESHOLDS_KEY = "threshold_chart"
_ASSETS = Path(__file__).resolve().parents[2] / "assets" / "network"


@cache
def _component(name: str) -> Any:
    def text(suffix: str) -> str:
        return (_ASSETS / f"{name}.{suffix}").read_text(encoding="utf-8")

    return component(f"gpovae_{name}", html=text("html"), css=text("css"), js=text("js"))


@dataclass(frozen=True)
class Answers:
    """What the page does when something happens in the picture; each is called before the next script run.

    gene: clicked; aimed: shift-clicked; edge: source and target of one clicked; threshold: released; loops,
    blind: edges to the gene itself, and edges without direct evidence, shown or hidden; step: -1 to undo, 1
    to redo; reset: back to the start.
    """

    gene: Callable[[str], None]
    aimed: Callable[[str], None]
    edge: Callable[[str, str], None]
    threshold: Callable[[float], None]
    loops: Callable[[bool], None]
    blind: Callable[[bool], None]
    step: Callable[[int], None]
    reset: Callable[[], None]


_HELD = "gpovae_graph_in_browser"


def graph_in_browser() -> str | None:
    """Version of the graph that the picture on the screen was sent last; None where there is no picture on
    the screen yet.
    """
    return st.session_state.get(_HELD) if KEY in st.session_state else None


def network_picture(data: dict[str, Any], answers: Answers) -> None:
    """Show the picture. What the browser says is checked here: anything of another shape is passed over."""
    st.session_state[_HELD] = data["version"]

    def event(name: str) -> Any:
        return st.session_state[KEY].get(name)

    def clicked() -> None:
        if isinstance(gene := event("clicked"), str):
            answers.gene(gene)

    def aimed() -> None:
        if isinstance(gene := event("aimed"), str):
            answers.aimed(gene)

    def edge() -> None:
        ends = event("edge")
        if isinstance(ends, list | tuple) and len(ends) == 2 and all(isinstance(end, str) for end in ends):
            answers.edge(*ends)

    def released() -> None:
        value = event("released")
        if (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and 0.0 <= value <= data["view"]["scale"]
        ):
            answers.threshold(float(value))

    def loops() -> None:
        if isinstance(shown := event("loops"), bool):
            answers.loops(shown)

    def blind() -> None:
        if isinstance(shown := event("blind"), bool):
            answers.blind(shown)

    def stepped() -> None:
        wanted = event("stepped")
        by = wanted.get("by") if hasattr(wanted, "get") else None
        if by in (-1, 1):
            answers.step(int(by))

    def missing() -> None:
        st.session_state.pop(_HELD, None)

    _component("network")(
        key=KEY,
        data=data,
        on_clicked_change=clicked,
        on_aimed_change=aimed,
        on_edge_change=edge,
        on_released_change=released,
        on_loops_change=loops,
        on_blind_change=blind,
        on_stepped_change=stepped,
        on_reset_change=answers.reset,
        on_missing_change=missing,
    )


def threshold_chart(
    data: dict[str, Any], on_threshold: Callable[[float], None], on_pin: Callable[[float | None], None]
) -> None:
    """Show the chart. on_pin is called with the threshold to pin, None to remove the pin."""

    def released() -> None:
        value = st.session_state[THRESHOLDS_KEY].get("released")
        if isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= data["scale"]:
            on_threshold(float(value))

    def pinned() -> None:
        step = st.session_state[THRESHOLDS_KEY].get("pinned")
        if isinstance(step, int | float) and not isinstance(step, bool) and -1 <= step <= data["steps"]:
            on_pin(None if step < 0 else float(step) / data["steps"] * data["scale"])

    _component("thresholds")(
        key=THRESHOLDS_KEY, data=data, on_released_change=released, on_pinned_change=pinned
    )
