"""Choose a file of cells: from the data folder, by upload, or from the public sets."""

from __future__ import annotations

import streamlit as st

from dashboard.data import demo_cells, downloads
from dashboard.shared import settings_form, shell, state
from gpovae_core.config import DataSettings
from gpovae_core.data.effect_tables.folder import PACKED
from gpovae_core.data.folder import data_folder, list_files, save_upload, upload_endings
from gpovae_core.data.readers import forms_in_words

OF_ONE_FILE = (
    "label_column",
    "control_label",
    "pair_separator",
    "unclear_labels",
    "non_perturbed",
    "counts_layer",
    "symbol_column",
    "other_features",
    "unseen",
    "batch",
    "donor",
    "guide",
    "condition",
    "conditions",
    "condition_as_batch",
    "panel_genes",
    "hold_out",
    "size_factor",
    "guides",
    "guide_targets",
)
"""Settings that say how one file is read: another has other columns and labels."""


def show() -> None:
    """From the data folder, by upload, or from the public sets; where the folder is empty, what brings cells
    into it comes first.
    """
    folder = data_folder()
    none_chosen = state.get(state.DATA) is None
    empty = none_chosen and not list_files(folder)
    here = {} if empty else {"In the data folder": from_folder}
    shell.tabs("data_from", {**here, "Upload": upload, "Public data sets": downloads.show})
    if none_chosen:
        demo_cells.show(forget_labels)
    if empty:
        st.caption(
            f"The data folder is `{folder.resolve()}`: copy large files there and load this page again. "
            "Another folder: start the dashboard with GPOVAE_DATA_DIR set."
        )


def from_folder() -> None:
    folder = data_folder()
    files = {file.name: file for file in list_files(folder)}
    chosen = state.get(state.DATA)
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
    """Take back what was told about the file before."""
    for name in OF_ONE_FILE:
        if settings_form.works(f"data.{name}"):
            settings_form.change(f"data.{name}", getattr(DataSettings(), name))


def upload() -> None:
    most, forms = st.get_option("server.maxUploadSize"), forms_in_words(files_only=True)
    sent = st.file_uploader(
        f"{forms[:1].upper()}{forms[1:]}, or a table of effects, of at most {most} MB",
        type=[ending.removeprefix(".") for ending in (*upload_endings(), *PACKED)],
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
