"""The tabs with what is in a file: cells, quality, knock-down, panel, and what is left out."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.data import cached
from dashboard.shared import data_files, settings_form
from dashboard.shared.figures import chart
from dashboard.shared.glossary import show_table
from dashboard.shared.words import percent, plain
from gpovae_core.config import DataSettings
from gpovae_core.data.validate import Examination
from gpovae_core.data.wording import counted
from gpovae_core.plots import data as figures

MOST_ROWS = 2000


def sizes(stamped: data_files.Stamp, settings: DataSettings, found: Examination) -> None:
    small = {
        entry["name"]: entry["count"] for entry in found.summary["dropped"] if entry["what"] == "perturbation"
    }
    left, right = st.columns([3, 2])
    chart(
        figures.cells_per_perturbation(found.summary["perturbations"], small, settings.min_cells),
        key="data_sizes",
        place=left,
    )
    chart(
        figures.counts_histogram(cached.counts_per_cell(stamped, settings)),
        key="data_counts",
        place=right,
    )


def quality(stamped: data_files.Stamp, settings: DataSettings, found: Examination) -> None:
    views, failing = cached.criteria(stamped, settings)
    share = percent(failing / max(1, found.summary["cells_kept"]))
    st.markdown(
        f"**{failing:,} cells ({share})** fail at least one criterion. They are kept, but marked: the model "
        "learns what failing does to a cell and sets it apart from what the perturbations do. Cut-offs come "
        "from control cells, and what sets the cells of a perturbation apart from them as a whole does not "
        "count against them."
    )
    left, right = st.columns([1, 2])
    with left:
        settings_form.field("data.artifact_mads", explained=True)
    with right:
        settings_form.field("data.artifact_criteria", explained=True)
    columns = st.columns(2)
    drawn = [(view, view.values) for view in views if view.values is not None]
    for place, (view, values) in enumerate(drawn):
        criterion = view.criterion
        with columns[place % 2]:
            figure = figures.criterion_histogram(criterion, values, view.failing)
            chart(figure, key=f"criterion_{criterion.name}")
            note = f"{criterion.note[:1].upper()}{criterion.note[1:]}." if criterion.note else ""
            st.caption(plain(note if criterion.used else f"Not used: {note}"))
    for view in views:
        if view.values is None:
            st.caption(
                f"**{plain(figures.CRITERIA.get(view.criterion.name, view.criterion.name))}**: "
                f"{plain(view.criterion.note)}."
            )


def knock_down(stamped: data_files.Stamp, settings: DataSettings) -> None:
    table = cached.knock_down_table(stamped, settings)
    st.caption(
        "Expression of each perturbed gene in its own cells, compared with control cells. A target that is "
        "not knocked down cannot teach the model anything about itself; a target that is not measured may "
        "still start edges, but none can be seen to end there."
    )
    unmeasured = table.loc[table["verdict"] == "not measured", "target"].tolist()
    if unmeasured:
        shown = ", ".join(unmeasured[:12]) + (" …" if len(unmeasured) > 12 else "")
        st.warning(f"Perturbed but not measured ({len(unmeasured):,}): {plain(shown)}")
    chart(figures.knock_down_figure(table), key="data_knock_down")
    shown_table = pd.DataFrame(
        {
            "Perturbation": table["perturbation"],
            "Target": table["target"],
            "Cells": table["cells"],
            "In controls": table["control_level"],
            "In its own cells": table["perturbed_level"],
            "Left": 100 * table["remaining"],
            "Verdict": table["verdict"],
        }
    )
    levels = st.column_config.NumberColumn(format="%.2f", help="Mean counts per 10,000")
    show_table(
        shown_table.head(MOST_ROWS),
        column_config={
            "In controls": levels,
            "In its own cells": levels,
            "Left": st.column_config.NumberColumn(format="%.0f %%"),
        },
    )


def panel(stamped: data_files.Stamp, settings: DataSettings) -> None:
    with st.spinner("Choosing the genes of the network …", show_time=True):
        chosen = cached.panel(stamped, settings).data
    size = len(chosen.perturbed) + len(chosen.extended)
    st.markdown(
        f"The network will span **{size:,} genes**: {counted(len(chosen.perturbed), 'perturbed gene')} and "
        f"{counted(len(chosen.extended), 'extended gene')}, never perturbed, that may stand in between."
    )
    left, right = st.columns(2)
    with left:
        settings_form.field("data.panel", explained=True)
    if settings.panel != "all":
        with right:
            settings_form.field("data.extended_min_abs_lfc", explained=True)
    measured = set(chosen.measured)
    genes = (*chosen.perturbed, *chosen.extended)
    table = pd.DataFrame(
        {
            "Gene": genes,
            "Kind": ["perturbed"] * len(chosen.perturbed) + ["extended"] * len(chosen.extended),
            "Measured": ["yes" if gene in measured else "no" for gene in genes],
            "Why": [chosen.reasons.get(gene, "perturbed in these cells") for gene in genes],
        }
    )
    show_table(table.head(MOST_ROWS))


def left_out(found: Examination) -> None:
    dropped = found.summary["dropped"]
    if not dropped:
        st.info("Nothing is left out.")
        return
    table = pd.DataFrame(
        [{"What": d["what"], "Name": d["name"], "Cells": d["count"], "Reason": d["reason"]} for d in dropped]
    )
    st.markdown(f"**{int(table['Cells'].sum()):,} cells** are left out.")
    show_table(table.sort_values("Cells", ascending=False).head(MOST_ROWS))
