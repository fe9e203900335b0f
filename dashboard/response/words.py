"""What the parts of the page Response say and how they write numbers."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from dashboard.shared.answers import BADGES, MEANING
from gpovae_core import keys


def held_out_words(basis: str) -> str:
    """What stands under the name of a perturbation that no training cell has."""
    if not basis:
        return (
            f"{BADGES['held out']} None of its cells trained the model, and this run was scored before that "
            "was told apart: what is called predicted here comes from an untrained part of the model. "
            "Evaluate the run again."
        )
    return (
        f"{BADGES.get(basis, BADGES['held out'])} Held out with all its cells. {MEANING.get(basis, '')} "
        "What if gives the same answer."
    )


def number_columns(table: pd.DataFrame, words: dict[str, str]) -> dict[Any, Any]:
    formats = {keys.P: "%.2g", keys.P_ADJUSTED: "%.2g", keys.CELLS: "%d"}
    return {
        words.get(name, name): st.column_config.NumberColumn(format=formats.get(name, "%.3f"))
        for name in table.select_dtypes("number").columns
    }
