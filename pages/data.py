"""Data: choose cells, see what is in them and what would be used, before anything is trained."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from dashboard.data import downloads
from dashboard.shared import data_files, settings_form, shell, state
from dashboard.shared.figures import chart
from dashboard.shared.glossary import show_table
from dashboard.shared.words import percent, plain
from gpovae_core.config import DataSettings
from gpovae_core.data.folder import data_folder, list_files, save_upload
from gpovae_core.data.validate import Examination
from gpovae_core.data.wording import counted
from gpovae_core.plots import data as figures

MOST_ROWS = 2000


def choose() -> None:
    """From the data folder, by upload, or from the public sets."""
    folder = data_folder()
    parts = {"In the data folder": from_folder, "Upload": upload, "Public data sets": downloads.public_sets}
    shell.tabs("data_from", parts)
    if state.get(state.DATA) is None and not list_files(folder):
        st.caption(
            f"The data folder is `{folder.resolve()}`. Another one: start the dashboard with "
            "GPOVAE_DATA_DIR set."
        )


def from_folder() -> None:
    folder = data_folder()
    files = {file.name: file for file in list_files(folder)}
    chosen = state.get(state.DATA)
    if not files and chosen is None:
        st.info(
            "There is no .h5ad or .zarr in the data folder yet. Upload one, fetch a public one, or copy "
            "yours there (best for large files)."
        )
        return
    options = list(files) if chosen is None or chosen in files else [chosen, *files]

    def words(name: str) -> str:
        file = files.get(name)
        return name if file is None or file.size is None else f"{name}  ({megabytes(file.size)})"

    st.selectbox(
        "File",
        options,
        index=None,
        placeholder="Choose a file",
        format_func=words,
        **state.bound(state.DATA, after=forget_labels),
    )
    st.caption(
        f"Folder `{folder.resolve()}`; nothing outside it can be opened here. Large files: copy them there."
    )


def forget_labels() -> None:
    """Another file has other columns and labels."""
    for path in (
        "data.label_column",
        "data.control_label",
        "data.counts_layer",
        "data.symbol_column",
        "data.unseen",
    ):
        if settings_form.works(path):
            settings_form.change(path, getattr(DataSettings(), path.partition(".")[2]))


def upload() -> None:
    most = st.get_option("server.maxUploadSize")
    sent = st.file_uploader(
        f"A .h5ad file of at most {most} MB",
        type=["h5ad"],
        key="data_upload",
        help=(
            "It is kept in the data folder on this machine and goes nowhere else. Copy larger files into "
            "that folder."
        ),
    )
    if sent is None or st.session_state.get("data_uploaded") == sent.file_id:
        return
    saved = save_upload(data_folder(), sent.name, sent)
    st.session_state["data_uploaded"] = sent.file_id
    forget_labels()
    state.put(**{state.DATA: saved.name})
    st.rerun()


def megabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB" if size >= 1e9 else f"{size / 1e6:,.1f} MB"


def report(name: str) -> None:
    """Everything about the chosen file."""
    path = data_files.path_of(name)
    stamped = data_files.stamp(path)
    with st.spinner(
        f"Reading {plain(name)} ({megabytes(stamped[2])}) and looking through its cells …", show_time=True
    ):
        settings = settings_form.draft_settings().data
        found, columns = data_files.examination(stamped, settings)
    st.subheader(plain(name))
    if found.summary.get("simulated"):
        st.markdown(shell.SIMULATED)
    verdict(found)
    with st.expander("How this file is read", expanded=not found.ok):
        reading_settings(columns)
    problems(found)
    if not found.ok:
        return
    numbers(found)
    st.page_link("pages/train.py", label="**Train on these cells →**")
    shell.tabs(
        "data_part",
        {
            "Cells": lambda: sizes(stamped, settings, found),
            "Quality": lambda: quality(stamped, settings, found),
            "Knock-down": lambda: knock_down(stamped, settings),
            "Gene panel": lambda: panel(stamped, settings),
            "Left out": lambda: left_out(found),
        },
    )


def verdict(found: Examination) -> None:
    errors = [problem for problem in found.problems if problem.severity == "error"]
    if errors:
        st.error(f"**This file cannot be used as it is:** {counted(len(errors), 'problem')}, listed below.")
    else:
        st.success("This file can be used.")


def problems(found: Examination) -> None:
    for problem in found.problems:
        if problem.severity == "error":
            st.error(
                plain(problem.message)
                + (f"  \n**What to do:** {plain(problem.hint)}" if problem.hint else "")
            )
        else:
            st.warning(plain(str(problem)))
    for note in found.summary.get("notes", []) if found.ok else []:
        st.caption(plain(note))


def reading_settings(columns: tuple[str, ...]) -> None:
    left, middle, right = st.columns(3)
    with left:
        settings_form.field("data.label_column", explained=True, options=list(columns))
    with middle:
        settings_form.field("data.control_label", explained=True)
    with right:
        settings_form.field("data.min_cells", explained=True)


def numbers(found: Examination) -> None:
    summary = found.summary
    facts = [
        ("Cells used", f"{summary['cells_kept']:,}", f"of {summary['cells']:,}"),
        ("Perturbations", f"{len(summary['perturbations']):,}", ""),
        ("Control cells", f"{summary['control_cells']:,}", f"label {summary['control_label']}"),
        ("Genes measured", f"{summary['genes']:,}", ""),
        ("Labels from", summary["label_column"], "column of obs"),
        ("Counts from", summary["counts_from"], ""),
    ]
    for column, (label, value, below) in zip(st.columns(len(facts)), facts, strict=True):
        with column:
            st.caption(label)
            st.markdown(f"**{plain(value)}**" + (f"  \n:small[{plain(below)}]" if below else ""))


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
        figures.counts_histogram(data_files.counts_per_cell(stamped, settings)),
        key="data_counts",
        place=right,
    )


def quality(stamped: data_files.Stamp, settings: DataSettings, found: Examination) -> None:
    views, failing = data_files.criteria(stamped, settings)
    share = percent(failing / max(1, found.summary["cells_kept"]))
    st.markdown(
        f"**{failing:,} cells ({share})** fail at least one criterion. They are kept, but marked: the model "
        "learns what failing does to a cell and sets it apart from what the perturbations do."
    )
    left, right = st.columns([1, 2])
    with left:
        settings_form.field("data.artifact_mads", explained=True)
    with right:
        settings_form.field("data.artifact_criteria", explained=True)
    columns = st.columns(2)
    drawn = [view for view in views if view.values is not None]
    for place, view in enumerate(drawn):
        criterion = view.criterion
        with columns[place % 2]:
            chart(figures.criterion_histogram(criterion, view.values), key=(f"criterion_{criterion.name}"))  # type: ignore[arg-type]
            note = f"{criterion.note[:1].upper()}{criterion.note[1:]}." if criterion.note else ""
            st.caption(plain(note if criterion.used else f"Not used: {note}"))
    for view in views:
        if view.values is None:
            st.caption(
                f"**{plain(figures.CRITERIA.get(view.criterion.name, view.criterion.name))}**: "
                f"{plain(view.criterion.note)}."
            )


def knock_down(stamped: data_files.Stamp, settings: DataSettings) -> None:
    table = data_files.knock_down_table(stamped, settings)
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
        chosen = data_files.panel(stamped, settings).data
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


shell.title(
    "Data",
    "From a file of cells to what the model would train on: what is in it, what is missing, what would be "
    "left out.",
)
choose()
if state.get(state.DATA) is not None:
    with shell.errors_in_words():
        report(state.get(state.DATA))
