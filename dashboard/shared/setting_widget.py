"""One setting as the widget that fits its type; a kind that nobody thought of is asked for as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin

import streamlit as st
from pydantic.fields import FieldInfo

from dashboard.shared import state
from gpovae_core.config import ARTIFACT_CRITERIA


@dataclass(frozen=True)
class Setting:
    """A setting to ask for: section.field, its label, what the model says of it and what it is now.

    key: of the widget in the session; store: is given what was chosen; words: values to choose from -> how
    they are shown, where only the data know them; open_ended: whether others may be typed; tip: on hover.
    """

    path: str
    label: str
    info: FieldInfo
    value: Any
    key: str
    store: Callable[[Any], None]
    words: Mapping[str, str] | None = None
    open_ended: bool = False
    tip: str | None = None

    @property
    def kind(self) -> Any:
        return self.info.annotation

    def shown(self, name: Any) -> str:
        return str((self.words or {}).get(name, name))

    def least(self, kind: type) -> Any:
        """The least value it takes where that value itself is allowed."""
        bounds = [getattr(rule, "ge", None) for rule in self.info.metadata]
        found = [bound for bound in bounds if bound is not None]
        return kind(max(found)) if found else None

    def bound(self, value: Any, read: Callable[[Any], Any] = lambda chosen: chosen) -> dict[str, Any]:
        """Arguments that show `value` in a widget and store what is chosen there, as `read` understands
        it.
        """
        return {
            "label": self.label,
            "key": self.key,
            "help": self.tip,
            "on_change": state.drawn(self.key, value, lambda chosen: self.store(read(chosen))),
        }


def draw(one: Setting) -> None:
    """Draw the first widget that fits."""
    fitting = (
        (one.words is not None and get_origin(one.kind) is tuple, _several_of_the_data),
        (get_origin(one.kind) is Literal, _one_of_few),
        (one.words is not None, _one_of_the_data),
        (one.kind is bool, _switch),
        (one.kind is int, _whole_number),
        (one.kind is float, _number),
        (one.path == "data.artifact_criteria", _criteria),
        (get_origin(one.kind) is tuple, _names),
        (one.kind in (str, str | None), _text),
        (True, _json),
    )
    next(widget for fits, widget in fitting if fits)(one)


def _several_of_the_data(one: Setting) -> None:
    known = one.words or {}
    st.multiselect(
        options=list(known),
        format_func=one.shown,
        placeholder="all",
        **one.bound([name for name in one.value if name in known], tuple),
    )


def _one_of_few(one: Setting) -> None:
    st.selectbox(options=list(get_args(one.kind)), format_func=one.shown, **one.bound(one.value))


def _one_of_the_data(one: Setting) -> None:
    known = list(one.words or {})
    st.selectbox(
        options=known if one.value is None or one.value in known else [one.value, *known],
        index=None,
        placeholder="found by itself",
        format_func=one.shown,
        accept_new_options=one.open_ended,
        **one.bound(one.value),
    )


def _switch(one: Setting) -> None:
    st.checkbox(**one.bound(one.value))


def _whole_number(one: Setting) -> None:
    st.number_input(step=1, min_value=one.least(int), **one.bound(one.value, int))


def _number(one: Setting) -> None:
    step = 10.0 ** math.floor(math.log10(abs(one.value))) if one.value else 0.1
    st.number_input(step=step, format="%g", min_value=one.least(float), **one.bound(float(one.value), float))


def _criteria(one: Setting) -> None:
    st.multiselect(
        options=list(ARTIFACT_CRITERIA),
        format_func=lambda name: name.replace("_", " "),
        **one.bound(list(one.value), tuple),
    )


def _names(one: Setting) -> None:
    def split(text: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in text.split(",") if part.strip())

    st.text_input(placeholder="none; separate by commas", **one.bound(", ".join(map(str, one.value)), split))


def _text(one: Setting) -> None:
    st.text_input(
        placeholder="found by itself", **one.bound(one.value or "", lambda text: text.strip() or None)
    )


def _json(one: Setting) -> None:
    """Checked by the model."""

    def read(text: str) -> Any:
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text

    st.text_input(**one.bound(json.dumps(one.value, default=str), read))
