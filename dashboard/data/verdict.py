"""Whether a file can be used, what is wrong with it, and how it is read."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard.shared import settings_form
from dashboard.shared.controls import on_page
from dashboard.shared.words import plain
from gpovae_core.data.schema import Directions
from gpovae_core.data.validate import Examination
from gpovae_core.data.wording import counted
from gpovae_core.reporting.sentences import direction_in_words


def verdict(found: Examination) -> None:
    errors = [problem for problem in found.problems if problem.severity == "error"]
    if errors:
        st.error(f"**This file cannot be used as it is:** {counted(len(errors), 'problem')}, listed below.")
    else:
        st.success("This file can be used.")


def problems(found: Examination) -> None:
    decisions = found.decisions
    for problem in found.problems:
        message, hint = plain(on_page(problem.message, decisions)), plain(on_page(problem.hint, decisions))
        if problem.severity == "error":
            st.error(message + (f"  \n**What to do:** {hint}" if hint else ""))
        else:
            st.warning(f"{message} {hint}".strip())
    for note in found.summary.get("notes", []) if found.ok else []:
        st.caption(plain(on_page(note, decisions)))


def direction(found: Examination) -> None:
    """What was done to the genes, as the cells tell it or a person has told, and what changes it."""
    told = settings_form.value_of("network.perturbation")
    with st.container(horizontal=True, wrap=False, vertical_alignment="center", gap="small"):
        known = Directions.model_validate(found.summary["directions"])
        line = direction_in_words(found.summary["design"]["direction"], told, known)
        here = line.replace("network.perturbation", "change, beside this")
        st.markdown(f"**Direction**: {plain(here)}", width="stretch")
        with st.popover("change", type="tertiary", help="What was done to the genes", key="change_direction"):
            settings_form.field("network.perturbation", explained=True)


LEFT_OUT_NAMED = 3
"""Perturbations that were left out named below their number at most; the decisions name all."""


def _left_out(summary: dict[str, Any]) -> str:
    """'of 25; without MYC, SPI1', below the number of perturbations; "" where all are used."""
    names = [one["name"] for one in summary["dropped"] if one["what"] == "perturbation"]
    if not names:
        return ""
    more = ", …" if len(names) > LEFT_OUT_NAMED else ""
    whole = len(summary["perturbations"]) + len(names)
    return f"of {whole:,}; without {', '.join(names[:LEFT_OUT_NAMED])}{more}"


COUNTS = {"X": "the main matrix of the file"}
"""Where the counts lie, in words, where nothing was done to find them."""


def numbers(found: Examination) -> None:
    summary = found.summary
    found_in = summary["counts_from"]
    facts = [
        ("Cells used", f"{summary['cells_kept']:,}", f"of {summary['cells']:,}"),
        ("Perturbations", f"{len(summary['perturbations']):,}", _left_out(summary)),
        ("Control cells", f"{summary['control_cells']:,}", f"label {summary['control_label']}"),
        ("Genes measured", f"{summary['genes']:,}", ""),
        ("Labels from", summary["label_column"], "column of the table of cells (obs)"),
        ("Counts from", found_in, summary["counts_how"] or COUNTS.get(found_in, "")),
    ]
    for column, (label, value, below) in zip(st.columns(len(facts)), facts, strict=True):
        with column:
            st.caption(label)
            st.markdown(f"**{plain(value)}**" + (f"  \n:small[{plain(below)}]" if below else ""))
