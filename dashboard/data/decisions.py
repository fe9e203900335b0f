"""How a file is read: every decision in one line, with what changes it beside it."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import settings_form
from dashboard.shared.words import plain
from gpovae_core.data.decisions import Decision
from gpovae_core.data.validate import Examination

OPEN = ("control_label", "pair_separator")
"""Settings that may be something that is not among the options."""


def questions(found: Examination, columns: tuple[str, ...]) -> None:
    """The decisions that wait for a person. columns: of obs."""
    for decision in found.decisions:
        if decision.asked:
            _question(decision, columns)


def show(found: Examination, columns: tuple[str, ...]) -> None:
    """The decisions that were taken on the way through a file. columns: of obs."""
    shown = {decision.setting for decision in found.decisions if decision.asked}
    with st.container(gap=None):
        for decision in found.decisions:
            if not decision.asked:
                _line(decision, columns, again=decision.setting in shown)
                shown.add(decision.setting)


def _question(decision: Decision, columns: tuple[str, ...]) -> None:
    with st.container(border=True):
        st.markdown(f":orange-badge[Your choice] **{plain(decision.about)}**: {plain(decision.why)}.")
        if decision.setting:
            _choose(decision, columns)


def _line(decision: Decision, columns: tuple[str, ...], again: bool) -> None:
    """again: whether the setting has its widget in another line, and here only what it may be."""
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="small"):
        why = f", :small[{plain(decision.why)}]" if decision.why else ""
        st.markdown(f"**{plain(decision.about)}**: {plain(decision.taken or 'none')}{why}", width="stretch")
        if decision.setting:
            changed = " •" if f"data.{decision.setting}" in settings_form.changed() else ""
            with st.popover(
                f"change{changed}",
                type="tertiary",
                help=f"Choose something else for: {plain(decision.about)}",
                key=f"change_{decision.setting}_{decision.about}",
            ):
                if again:
                    _take(decision)
                else:
                    _choose(decision, columns)


def _take(decision: Decision) -> None:
    """A button for each of what a setting may be."""
    for option in decision.options:
        st.button(
            f"Take {plain(option.text)}",
            key=f"take_{decision.setting}_{option.value}",
            on_click=settings_form.change,
            args=(f"data.{decision.setting}", option.value),
        )


def _choose(decision: Decision, columns: tuple[str, ...]) -> None:
    """The setting behind a decision; of columns of obs all of them, the likely ones first."""
    words = {option.value: option.text for option in decision.options}
    if decision.setting == "label_column":
        words |= {name: name for name in columns if name not in words}
    settings_form.field(
        f"data.{decision.setting}", explained=True, words=words, open_ended=decision.setting in OPEN
    )
