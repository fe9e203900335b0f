"""The page Data: choose cells, see what is in them and what would be used, before anything is trained."""

from __future__ import annotations

import streamlit as st

from dashboard.data import choice, contents, decisions, effects, guides, verdict
from dashboard.data.choice import megabytes
from dashboard.shared import data_files, settings_form, shell, state
from dashboard.shared.words import plain
from gpovae_core.data.effect_tables.read import holds_effects


def show() -> None:
    choice.show()
    chosen = state.get(state.DATA)
    if chosen is not None:
        with shell.errors_in_words():
            report(chosen)


def report(name: str) -> None:
    """Everything about the chosen file."""
    path = data_files.path_of(name)
    if holds_effects(path):
        effects.show(path)
        return
    settings = settings_form.draft_settings().data
    stamped = data_files.stamp(path, settings)
    with st.spinner(
        f"Reading {plain(name)} ({megabytes(path.stat().st_size)}) and looking through its cells …",
        show_time=True,
    ):
        found, columns = data_files.examination(stamped, settings)
    st.subheader(plain(name))
    if found.summary.get("simulated"):
        st.markdown(shell.SIMULATED)
    verdict.verdict(found)
    decisions.questions(found, columns)
    verdict.problems(found)
    if found.ok:
        verdict.numbers(found)
        if st.button("Train on these cells", type="primary", key="data_train"):
            shell.go("pages/train.py")
    st.markdown("##### How this file is read")
    decisions.show(found, columns)
    guides.show(found)
    if "design" in found.summary:
        verdict.direction(found)
    with st.container(width=320):
        settings_form.field("data.min_cells", explained=True)
        if any(problem.code == "panel-too-large" for problem in found.problems):
            settings_form.field("data.panel", explained=True)
    if not found.ok:
        return
    shell.tabs(
        "data_part",
        {
            "Cells": lambda: contents.sizes(stamped, settings, found),
            "Quality": lambda: contents.quality(stamped, settings, found),
            "Knock-down": lambda: contents.knock_down(stamped, settings),
            "Gene panel": lambda: contents.panel(stamped, settings),
            "Left out": lambda: contents.left_out(found),
        },
    )
