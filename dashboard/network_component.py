"""The network picture as a Streamlit component (assets/network) around the vendored vis-network."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2 import component

KEY = "network_picture"
_ASSETS = Path(__file__).resolve().parent.parent / "assets" / "network"


@cache
def _component() -> Any:
    def text(name: str) -> str:
        return (_ASSETS / name).read_text(encoding="utf-8")

    return component("gpovae_network", html=text("network.html"), css=text("network.css"), js=text("network.js"))


def network_picture(
    data: dict[str, Any], on_click: Callable[[str], None], on_threshold: Callable[[float], None], on_reset: Callable[[], None]
) -> None:
    """Show the picture. Called back, before the next script run, with the gene clicked, the threshold released, or a reset."""

    def event(name: str) -> Any:
        return st.session_state[KEY].get(name)

    def clicked() -> None:
        gene = event("clicked")
        if isinstance(gene, str):
            on_click(gene)

    def released() -> None:
        value = event("released")
        if isinstance(value, int | float) and 0.0 <= value <= 1.0:
            on_threshold(float(value))

    _component()(key=KEY, data=data, on_clicked_change=clicked, on_released_change=released, on_reset_change=on_reset)
