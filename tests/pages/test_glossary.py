"""Definitions on hover: the helper that makes them."""

from __future__ import annotations

import pandas as pd
import pytest
import streamlit as st

from dashboard.shared.glossary import columns, explained, meaning
from gpovae_core.reporting.glossary import term


def test_a_meaning_names_the_word_and_says_it_shortly() -> None:
    assert meaning("W") == f"**W**: {term('W').short}"
    assert meaning("W", "T_K").split("\n\n")[1] == f"**influence (T_K)**: {term('T_K').short}"
    with pytest.raises(KeyError):
        meaning("swallow")


def test_a_title_without_such_a_word_is_not_explained() -> None:
    assert explained("Cells") is None
    assert explained("Share of influence") == meaning("influence")


def test_columns_keep_what_they_were_given() -> None:
    table = pd.DataFrame(columns=pd.Index(["Gene", "W", "Edges", "Hops"]))
    own = {
        "W": st.column_config.NumberColumn(format="%.4f"),
        "Edges": st.column_config.NumberColumn(help="Its own."),
        "Gene": st.column_config.TextColumn(width="large"),
    }
    config = columns(table, own)
    assert config["Gene"] == own["Gene"]
    assert config["Edges"] == own["Edges"]
    assert config["W"] == {**own["W"], "help": meaning("W")}
    assert config["Hops"]["help"] == meaning("hop")
    assert own["W"]["help"] is None
