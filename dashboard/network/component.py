"""The workbench and the charts of thresholds as Streamlit components (assets/network)."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

from dashboard.shared import state

KEY = "workbench"
THRESHOLDS_KEY = "threshold_chart"
_ASSETS = Path(__file__).resolve().parents[2] / "assets" / "network"
_MODULES = {
    "workbench": (
        "files",
        "model",
        "elements",
        "trust",
        "pens",
        "layout",
        "map",
        "picture",
        "forest",
        "panels",
        "workbench",
    ),
    "thresholds": ("thresholds",),
}
"""Scripts of each component, what is imported before what imports it."""
_IMPORT = re.compile(r"^import\s[^;]*;\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


@cache
def _component(name: str) -> Any:
    def text(file: str) -> str:
        return (_ASSETS / file).read_text(encoding="utf-8")

    return component(
        f"gpovae_{name}",
        html=text(f"{name}.html"),
        css=text(f"{name}.css"),
        js=one_script([text(f"{module}.js") for module in _MODULES[name]]),
    )


def one_script(modules: Sequence[str]) -> str:
    """Modules as one, as Streamlit takes a single script: what they import from each other stands above.

    Names at the top of a module are its own only as long as no other uses them; Biome finds one that is
    declared nowhere, and the browser refuses one that is declared twice.
    """
    whole = [_EXPORT.sub("", _IMPORT.sub("", module)) for module in modules]
    return "\n".join(whole)


@dataclass(frozen=True)
class Answers:
    """What the page does when something happens on the workbench; each is called before the next script run.

    sight: all that is looked at has changed; asked: one thing that only Python can do, by its name, with what
    it takes.
    """

    sight: Callable[[dict[str, Any]], None]
    asked: Callable[[str, Any], None]


_HELD = "gpovae_graph_in_browser"


def graph_in_browser() -> str | None:
    """Version of the network that the workbench on the screen was sent last; None where there is no workbench
    on the screen yet.
    """
    return st.session_state.get(_HELD) if KEY in st.session_state else None


def workbench(data: dict[str, Any], answers: Answers) -> None:
    """Show the workbench. What the browser says is checked by those who are told."""
    st.session_state[_HELD] = data["version"]

    def event(name: str) -> Any:
        said = st.session_state[KEY].get(name)
        return said.to_dict() if hasattr(said, "to_dict") else said

    def sight() -> None:
        if isinstance(said := event("sight"), dict):
            answers.sight(said)

    def asked() -> None:
        said = event("asked")
        if isinstance(said, dict) and isinstance(what := said.get("what"), str):
            answers.asked(what, said.get("value"))

    def missing() -> None:
        state.heard()  # what was chosen just before is not in the address that comes with this
        st.session_state.pop(_HELD, None)

    _component("workbench")(
        key=KEY, data=data, on_sight_change=sight, on_asked_change=asked, on_missing_change=missing
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
