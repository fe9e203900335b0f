"""What is open and chosen, shared by all pages: kept in the session and written to the URL so that a link
restores it.

The URL wins where it says something new (a link, the back button); otherwise the session does, because moving
to another page empties the URL. Widgets get their value from here and give it back in a callback (see
`bound`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.state.common import user_key_from_element_id

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
MEASURE = "measure"
INFLUENCE = "influence"  # threshold on T, beside THRESHOLD on W
EDGE_SOURCE = "edge_from"
EDGE_TARGET = "edge_to"
LOOPS = "loops"
OFTEN = "often"  # least share of the ensemble's members that have an edge
BLIND = "blind"  # show edges out of genes that were never perturbed
PINNED = "pinned"
COMPARED = "with"  # the run that the open one is compared with
COMMUNITY = "community"  # session only: the one looked at
BUNDLE = "bundle"  # the regulators whose shared targets are opened in the picture
PART = "part"  # which of the rarer questions is open below the picture
REFERENCE = "cells"
DATA = "data"  # the chosen file of cells, by its name below the data folder
SWEEP = "sweep"
DRAFT = "draft"  # session only: the settings of a run that is being put together
PATH = "path"  # the genes of a pinned path, whose effects the page Response shows
# session only: a chosen gene that is measured but not in the panel, with the FOCUS it stands in for
MEASURED = "measured"
FIGURE_FORMAT = "figures"  # session only: what the camera of a figure saves
ASKED = "scenario"  # the what-if questions to the open run, as texts: see dashboard/whatif/scenarios.py
SCENARIOS = "scenarios"  # session only: run -> its what-if questions
DETAIL = "detail"  # the scenario that is looked at
PERTURBATIONS = "perturbation"
RESPONSE_PART = "response"  # the open tab of a page, as are the next two
WHATIF_PART = "whatif"
BENCHMARK_PART = "benchmark"
BESIDE = "beside"  # the runs that stand beside the open one on the page Benchmark

WHOLE, MATRIX, EGO = "whole", "matrix", "ego"
DIRECTIONS = ("out", "in", "both")
MAX_HOPS = 5
SHARES = (0.0, 0.5, 0.8, 0.9, 0.95, 1.0)
"""Choices for OFTEN."""


def _threshold(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 <= value <= 1.0 else None


def _share(text: str) -> float | None:
    return next((share for share in SHARES if text == f"{share:g}"), None)


def _hops(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) == 1 and 1 <= int(text) <= MAX_HOPS else None


def _one_of(*allowed: str) -> Callable[[str], str | None]:
    return lambda text: text if text in allowed else None


def _text(text: str) -> str | None:
    return text or None


def _amount(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0.0 <= value < float("inf") else None


def _flag(text: str) -> bool | None:
    return True if text == "1" else None


_IN_URL: dict[str, Callable[[str], Any]] = {
    RUN: _text,
    THRESHOLD: _threshold,
    FOCUS: _text,
    VIEW: _one_of(WHOLE, MATRIX, EGO),
    MEASURE: _one_of("W", "T"),
    INFLUENCE: _amount,
    EDGE_SOURCE: _text,
    EDGE_TARGET: _text,
    LOOPS: _flag,
    BLIND: _flag,
    OFTEN: _share,
    PINNED: _amount,
    COMPARED: _text,
    HOPS: _hops,
    DIRECTION: _one_of(*DIRECTIONS),
    PATH_SOURCE: _text,
    PATH_TARGET: _text,
    PATH_HOPS: _hops,
    REFERENCE: _one_of("test", "all"),
    PATH: _text,
    BUNDLE: _text,
    PART: _text,
    DATA: _text,
    SWEEP: _text,
    PERTURBATIONS: _text,
    RESPONSE_PART: _text,
    ASKED: _text,
    DETAIL: _text,
    WHATIF_PART: _text,
    BENCHMARK_PART: _text,
    BESIDE: _text,
}
_LISTS = (PATH_SOURCE, PATH, BUNDLE, PERTURBATIONS, ASKED, BESIDE)
"""Values that are tuples of names, written to the URL as one parameter each."""
_DEFAULTS: dict[str, Any] = {
    HOPS: 1,
    DIRECTION: "out",
    PATH_SOURCE: (),
    PATH_HOPS: MAX_HOPS,
    PATH_ROW: 0,
    MEASURE: "W",
    LOOPS: False,
    BLIND: False,
    OFTEN: 0.0,
    REFERENCE: "test",
    PATH: (),
    BUNDLE: (),
    ASKED: (),
    BESIDE: (),
    FIGURE_FORMAT: "png",
}
_STORE = "gpovae_state"
_WRITTEN = "gpovae_url"
_HEARD = "gpovae_heard"
_UNREAD = "gpovae_unread"
_REACHED_FOR = "gpovae_reached_for"


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


def open_part(name: str) -> None:
    """Open one of the parts below the picture of the page Network, from another page: it comes into sight."""
    put(**{PART: name})
    st.session_state[_REACHED_FOR] = True


def reached_for() -> bool:
    """Whether another page has just asked for the open part; once."""
    return st.session_state.pop(_REACHED_FOR, False)


def parse(name: str, text: str) -> Any:
    """What a text of the address means for `name`; None where it means nothing."""
    return _IN_URL[name](text)


def heard() -> None:
    """A person has just chosen something on the page. Call in its callback: the address that comes with the
    same message may be older than what the last one changed, so this once the session wins.
    """
    st.session_state[_HEARD] = True


def sync_url() -> None:
    """Take what the URL newly says, then write the session's values to it. Call once, first, in every script
    run.
    """
    written = st.session_state.get(_WRITTEN, {})
    found = {name: texts for name in _IN_URL if (texts := st.query_params.get_all(name))}
    if st.session_state.pop(_HEARD, False):
        found = {}
    if found and found != written:
        for name in written.keys() - found.keys():  # the back button went to where it was not chosen yet
            put(**{name: None})
    for name, texts in found.items():
        if texts != written.get(name):
            parsed = [parse(name, text) for text in texts]
            put(**{name: tuple(filter(None, parsed)) if name in _LISTS else parsed[-1]})
    wanted = _address()
    if wanted != {name: st.query_params.get_all(name) for name in st.query_params}:
        st.query_params.from_dict(wanted)
    st.session_state[_WRITTEN] = wanted


def _address() -> dict[str, list[str]]:
    """What the URL says where it says all of the session's values."""
    return {
        name: _as_texts(value)
        for name in _IN_URL
        if (value := get(name)) not in (None, ()) and value != _DEFAULTS.get(name)
    }


def take_along() -> dict[str, list[str]]:
    """The whole address, to be written together with the page that is opened next."""
    st.session_state[_WRITTEN] = _address()
    return st.session_state[_WRITTEN]


def _as_texts(value: Any) -> list[str]:
    if isinstance(value, tuple):
        return [str(part) for part in value]
    return [f"{value:g}" if isinstance(value, float) else "1" if value is True else str(value)]


def bound(name: str, after: Callable[[], None] | None = None) -> dict[str, Any]:
    """Keyword arguments that tie a widget to the value `name`: its key, and a callback that stores what was
    chosen.
    """
    key = f"widget_{name}"

    def keep(value: Any) -> None:
        heard()
        put(**{name: tuple(value) if name in _LISTS else value})
        if after is not None:
            after()

    if held_by_browser(key):

        def read() -> None:
            keep(st.session_state[key])

        st.session_state.setdefault(_UNREAD, {})[key] = (name, read)
        return {"key": key, "on_change": read}
    shown = list(get(name) or ()) if name in _LISTS else get(name)
    return {"key": key, "on_change": drawn(key, shown, keep)}


def drawn(key: str, value: Any, keep: Callable[[Any], None]) -> Callable[[], None]:
    """Draw the widget `key` with `value`; the callback for it, which gives `keep` what a person chose.

    Streamlit forgets the widgets that an interrupted script had not reached, and calls all their callbacks
    with the next click: one that holds what it was drawn with has not been touched.
    """
    st.session_state[key] = value

    def callback() -> None:
        if st.session_state[key] != value:
            keep(st.session_state[key])

    return callback


def held_by_browser(key: str) -> bool:
    """Whether the browser holds a value for a widget that this session has never drawn.

    So it is after a restart of the server: the page in the browser is older than the session, and a person
    may have chosen something on it before the session has drawn it once. No callback is known then, and a
    value that is set from here would undo the choice.
    """
    context = get_script_run_ctx()
    if context is None or key in st.session_state:
        return False
    held = context.session_state._state._new_widget_state
    return any(user_key_from_element_id(element) == key for element in held)


def read_back() -> bool:
    """Take what the browser held for widgets that were drawn for the first time. Call once, last, in every
    script run; True: something else is shown than was chosen, draw it again.
    """
    anew = False
    for key, (name, store) in st.session_state.pop(_UNREAD, {}).items():
        value = st.session_state.get(key)
        shown = list(get(name) or ()) if name in _LISTS else get(name)
        if key in st.session_state and value != shown:
            store()
            anew = True
    return anew
