"""Guides of the cells in a file of their own, and the table of what they target."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import settings_form, state
from gpovae_core.data.folder import data_folder, inside, list_beside, save_upload
from gpovae_core.data.guide_files import FILE_ENDINGS, TABLE_ENDINGS
from gpovae_core.data.validate import Examination

PARTS = {
    "guides": (
        "Guide UMIs in another file",
        FILE_ENDINGS,
        "none: the file of cells holds its labels or guides",
    ),
    "guide_targets": (
        "Table of what guides target",
        TABLE_ENDINGS,
        "none: told by the file or by names",
    ),
}
_HELPED = {
    "label-column-missing",
    "guides-missing",
    "guides-unreadable",
    "guides-of-other-cells",
    "guide-targets-missing",
    "guide-targets-unreadable",
    "guide-targets-not-measured",
    "high-moi",
}
"""Problems that a choice here may solve."""


def show(found: Examination) -> None:
    """Where guides are read from, and the numbers of the rule they are called by, which is a decision of its
    own (dashboard.data.decisions); open where this may solve a problem.
    """
    needed = bool(_HELPED & {problem.code for problem in found.problems})
    with st.expander("Guides and their targets", expanded=needed):
        left, right = st.columns(2)
        for part, place in zip(PARTS, (left, right), strict=True):
            with place:
                _choose(part)
                _send(part)
        if "guide_calls" in found.summary or settings_form.value_of("data.guides"):
            for path, place in zip(("guide_umis", "guide_share"), st.columns(2), strict=True):
                with place:
                    settings_form.field(f"data.{path}", explained=True)


def _choose(part: str) -> None:
    label, endings, nothing = PARTS[part]
    folder = data_folder()
    chosen = {str(inside(folder, name)): name for name in list_beside(folder, endings)}
    now = settings_form.value_of(f"data.{part}")
    options: list[str] = list(chosen) if now is None or now in chosen else [now, *chosen]
    key = f"data_{part}"
    st.selectbox(
        label,
        options,
        index=None,
        key=key,
        placeholder=nothing,
        format_func=lambda path: str(chosen.get(path, path)),
        on_change=state.drawn(key, now, lambda path: settings_form.change(f"data.{part}", path)),
    )


def _send(part: str) -> None:
    _, endings, _ = PARTS[part]
    key = f"data_{part}_sent"
    sent = st.file_uploader(
        "Or send one",
        type=sorted({ending.rsplit(".", 1)[-1] for ending in endings}),
        key=f"data_{part}_upload",
        help="It is kept in the data folder on this machine and goes nowhere else.",
    )
    if sent is None or st.session_state.get(key) == sent.file_id:
        return
    saved = save_upload(data_folder(), sent.name, sent, list(endings))
    st.session_state[key] = sent.file_id
    settings_form.change(f"data.{part}", str(inside(data_folder(), saved.name)))
    st.rerun()
