"""A run from a file."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import streamlit as st

from dashboard.shared import listing, shell
from gpovae_core.data.folder import safe_name
from gpovae_core.data.room import copy_within
from gpovae_core.runs import archive
from gpovae_core.runs.importing import gene_names, import_file


def show() -> None:
    """A run from a file: an exported run, a checkpoint of the release, a matrix."""
    st.caption(
        "A run exported here (.zip), a checkpoint of the authors' release (.ckpt), or a square matrix with "
        "gene names (.csv, .tsv, .npz; rows are sources). Nothing in the file is executed. A network "
        "without cells opens on the page Network; the others say what is missing."
    )
    left, right = st.columns(2)
    sent = left.file_uploader("File", key="import_file", type=["zip", "ckpt", "csv", "tsv", "txt", "npz"])
    names = right.file_uploader(
        "Gene names, where the file has none",
        key="import_names",
        type=["csv", "tsv", "txt"],
        help="The release's grn.csv, or one name a line.",
    )
    typed = right.text_area(
        "… or paste them, one a line, in the order of the matrix", key="import_typed", height=100
    )
    with st.expander("For a matrix"):
        logits = st.checkbox("Its numbers are logits, not probabilities", key="import_logits")
        transpose = st.checkbox("Its rows are targets, not sources", key="import_transpose")
        perturbed = st.text_area(
            "Which of its genes were perturbed, one a line", key="import_perturbed", height=80
        )
    if sent is None:
        return
    name = st.text_input(
        "Name of the run",
        value=archive.free_name(listing.runs_folder(), Path(sent.name).stem),
        key=f"import_name_{sent.file_id}",
    )
    if st.button("Import", type="primary", key="import"):
        with shell.errors_in_words(), tempfile.TemporaryDirectory() as folder, st.spinner("Reading …"):
            file = Path(folder) / safe_name(sent.name)
            with file.open("wb") as out:
                copy_within(sent, out, file.parent, f"The upload '{file.name}'")
            given: Any = None
            if names is not None:
                beside = Path(folder) / f"names_{safe_name(names.name)}"
                beside.write_bytes(names.getbuffer())
                given = beside
            elif typed.strip():
                given = gene_names([line for line in typed.splitlines() if line.strip()])
            target = listing.runs_folder() / archive.check_run_name(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            known = [line.strip() for line in perturbed.splitlines() if line.strip()] or None
            run = import_file(file, target, given, known, "logits" if logits else "auto", transpose)
            shell.choose_run(run.name)
            st.rerun()
