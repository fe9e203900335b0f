"""Definitions on hover: what a word of the glossary means, as the help of a widget or of a table's column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from gpovae_core.reporting.glossary import Term, term, terms_in


def meaning(*words: str) -> str:
    """The short definitions of these words, for `help=`. Raises KeyError for a word that the glossary
    lacks.
    """
    return _said(term(word) for word in words)


def explained(title: str) -> str | None:
    """What the glossary says of the words in a title or a label; None where it uses none of them."""
    return _said(terms_in(title)) or None


def columns(table: pd.DataFrame, own: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """`column_config` of a table: `own` as it stands, and a definition on hover for every column whose title
    uses a word of the glossary and has no help of its own.
    """
    config: dict[str, Any] = dict(own or {})
    for title in map(str, table.columns):
        given = config.get(title, {})
        if not isinstance(given, Mapping) or given.get("help"):  # a label alone, a hidden column, or its own
            continue
        if (said := explained(title)) is not None:
            config[title] = {**st.column_config.Column(), **given, "help": said}
    return config


def show_table(
    table: pd.DataFrame,
    place: DeltaGenerator | None = None,
    column_config: Mapping[str, Any] | None = None,
    **options: Any,
) -> Any:
    """`st.dataframe` at `place` (default: here), without an index, with definitions on hover, empty where
    nothing is known.
    """
    config = columns(table, column_config)
    draw = st.dataframe if place is None else place.dataframe
    return draw(table, hide_index=True, column_config=config, placeholder="", **options)


def _said(terms: Iterable[Term]) -> str:
    """One paragraph per word, the word first."""
    return "\n\n".join(f"**{one.word}**: {one.short}" for one in terms)
