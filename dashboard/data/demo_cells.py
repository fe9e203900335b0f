"""The cells of the demo as a file to try things with, put into the data folder when it is asked for."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from dashboard.shared import settings_form, state
from dashboard.shared.words import plain
from gpovae_core import keys
from gpovae_core.data.folder import data_folder, save_upload
from gpovae_core.errors import GpoVaeError
from gpovae_core.runs import shipped

CELLS = shipped.DEMOS[shipped.REAL_DEMO] / "cells.h5ad"
NAME = "papalexi2021_demo.h5ad"
"""Of the copy in the data folder."""
PROBLEM = "demo_cells_problem"


def show(forget: Callable[[], None]) -> None:
    """The button, and what it does; nothing where the demo is not there. forget: takes back what was told
    about another file.
    """
    problem = st.session_state.pop(PROBLEM, None)
    if problem:
        st.error(plain(problem))
    if not CELLS.is_file():
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button("Try it with the demo's cells", key="data_demo", on_click=take, args=(forget,))
        st.caption(
            "7,054 THP-1 cells with 23 knock-outs and 585 genes (Papalexi et al. 2021); "
            f"{CELLS.stat().st_size / 1e6:.1f} MB are copied into the data folder.",
            width="stretch",
        )


def take(forget: Callable[[], None]) -> None:
    """Copy them into the data folder and choose the copy. The file holds some of the genes, so the column
    with the counts over all of them is named.
    """
    try:
        with CELLS.open("rb") as content:
            saved = save_upload(data_folder(), NAME, content)
    except (GpoVaeError, OSError) as error:
        st.session_state[PROBLEM] = str(error)
        return
    forget()
    settings_form.change("data.size_factor", keys.SIZE_FACTOR)
    state.put(**{state.DATA: saved.name})
