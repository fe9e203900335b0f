"""What a page that needs cells says where none are chosen: what it is for, and the way to the page Data."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import shell


def show(purpose: str, key: str) -> None:
    """purpose: of the page, in one sentence of markdown; key: of the button."""
    st.info(f"{purpose} It needs a file of cells; the page Data has some to try it with.")
    if st.button("Choose cells on the page Data", type="primary", key=key):
        shell.go("pages/data.py")
