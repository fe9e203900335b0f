"""What is open and chosen, shared by all pages: kept in the session and written to the URL so that a link restores it.

The URL wins where it says something new (a link, the back button); otherwise the session does, because moving to another
page empties the URL. Widgets get their value from here and give it back in a callback (see `bound`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

RUN = "run"
THRESHOLD = "threshold"
FOCUS = "gene"
VIEW = "view"
HOPS = "hops"
DIRECTION = "direction"
PATH_SOURCE = "from"
PATH_TARGET = "to"
PATH_HOPS = "path_hops"
PATH_ROW = "path_row"  # session only: which of the traced paths is lit
REFERENCE = "cells"
DATA = "data"  # the chosen file of cells, by its name below the data folder
DRAFT = "draft"  # session only: the settings of a run that is being put together
PERTURBATIONS = "perturbations"  # session only: lists of genes do not belong in the URL

WHOLE, EGO = "whole", "ego"
DIRECTIONS = ("out", "in", "both")
MAX_HOPS = 5


def _threshold(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 <= value <= 1.0 else None


def _hops(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) == 1 and 1 <= int(text) <= MAX_HOPS else None


def _one_of(*allowed: str) -> Callable[[str], str | None]:
    return lambda text: text if text in allowed else None


def _text(text: str) -> str | None:
    return text or None


_IN_URL: dict[str, Callable[[str], Any]] = {
    RUN: _text,
    THRESHOLD: _threshold,
    FOCUS: _text,
    VIEW: _one_of(WHOLE, EGO),
    HOPS: _hops,
    DIRECTION: _one_of(*DIRECTIONS),
    PATH_SOURCE: _text,
    PATH_TARGET: _text,
    PATH_HOPS: _hops,
    REFERENCE: _one_of("test", "all"),
    DATA: _text,
}
_DEFAULTS: dict[str, Any] = {VIEW: WHOLE, HOPS: 2, DIRECTION: "both", PATH_HOPS: MAX_HOPS, PATH_ROW: 0, REFERENCE: "test"}
_STORE = "gpovae_state"
_WRITTEN = "gpovae_url"


def _store() -> dict[str, Any]:
    return st.session_state.setdefault(_STORE, {})


def get(name: str) -> Any:
    """Value of `name`, its default, or None."""
    return _store().get(name, _DEFAULTS.get(name))


def put(**values: Any) -> None:
    """Set values by name; None forgets one."""
    for name, value in values.items():
        if value is None:
            _store().pop(name, None)
        else:
            _store()[name] = value


def sync_url() -> None:
    """Take what the URL newly says, then write the session's values to it. Call once, first, in every script run."""
    written = st.session_state.get(_WRITTEN, {})
    for name, parse in _IN_URL.items():
        text = st.query_params.get(name)
        if text is not None and text != written.get(name):
            put(**{name: parse(text)})
    wanted = {name: _as_text(value) for name in _IN_URL if (value := get(name)) is not None and value != _DEFAULTS.get(name)}
    if wanted != st.query_params.to_dict():
        st.query_params.from_dict(wanted)
    st.session_state[_WRITTEN] = wanted


def _as_text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def bound(name: str, after: Callable[[], None] | None = None) -> dict[str, Any]:
    """Keyword arguments that tie a widget to the value `name`: its key, and a callback that stores what was chosen."""
    key = f"widget_{name}"
    st.session_state[key] = get(name)

    def store() -> None:
        put(**{name: st.session_state[key]})
        if after is not None:
            after()

    return {"key": key, "on_change": store}
