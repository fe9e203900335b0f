"""What the page Runs does with whole runs: rename, delete into the trash, export, import, compare."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, cast

import pandas as pd
import streamlit as st

from dashboard.shared import loaders, run_summary, settings_form, shell, state
from dashboard.shared.figures import chart
from dashboard.shared.glossary import show_table
from dashboard.shared.words import plain
from gpovae_core.data.folder import safe_name
from gpovae_core.errors import GpoVaeError
from gpovae_core.plots import training
from gpovae_core.runs import archive
from gpovae_core.runs.folder import RunFolder
from gpovae_core.runs.importing import gene_names, import_file

LARGEST_DOWNLOAD = 500 * 2**20
"""Bytes of a run that is handed to the browser; a larger one is exported by the command."""


def manage(run: RunFolder) -> None:
    """Rename, export and delete one run. The demo run is part of the program and stays as it is."""
    if run.path.resolve() == loaders.DEMO_PATH.resolve():
        st.caption(
            "The demo run belongs to the program: it cannot be renamed or deleted. It can be exported."
        )
        export(run)
        return
    left, right = st.columns([3, 1], vertical_alignment="bottom")
    new = left.text_input("Name", value=run.name, key=f"rename_{run.name}", max_chars=80)
    if right.button("Rename", key="rename", disabled=new.strip() == run.name, width="stretch"):
        renamed = archive.rename(run, new)
        state.put(**{state.RUN: renamed.name})
        st.rerun()
    export(run)
    if st.button("Delete …", key="delete"):
        confirm_delete(run)


def export(run: RunFolder) -> None:
    """One file with everything of a run; made when it is asked for."""
    size = sum(path.stat().st_size for path in run.path.iterdir() if path.is_file())
    resumable = run.has(archive.TO_RESUME) and st.checkbox(
        "With what is needed to train on", key="export_resumable"
    )
    if size > LARGEST_DOWNLOAD:
        st.caption(f"This run has {size / 1e9:,.1f} GB: export it in a terminal.")
        st.code(
            run_summary.command("gpovae", "export", run.path, "--out", f"{run.name}.zip"), language="bash"
        )
        return
    kind = "application/zip"
    st.download_button(
        f"Export as one file (about {size / 1e6:,.1f} MB)",
        data=lambda: _packed(run, bool(resumable)),
        file_name=f"{run.name}.zip",
        mime=kind,
        key="export",
        on_click="ignore",
    )
    st.caption(
        "It can be imported again, here or elsewhere. It holds the cells of the run: mind who gets it."
    )


def _packed(run: RunFolder, resumable: bool) -> bytes:
    with tempfile.TemporaryFile() as file:
        archive.export_run(run, file, resumable)
        file.seek(0)
        return file.read()


@st.dialog("Delete this run?")
def confirm_delete(run: RunFolder) -> None:
    st.markdown(f"**{plain(run.name)}** goes into the trash, from where it can be taken back.")
    typed = st.text_input("Type its name to confirm", key="delete_typed")
    if st.button("Delete it", type="primary", disabled=typed.strip() != run.name, key="delete_confirmed"):
        with shell.errors_in_words():
            archive.trash(run)
            state.put(**{state.RUN: None})
            st.rerun()


def trash() -> None:
    """What was deleted, and the way back."""
    thrown = archive.in_trash(loaders.runs_folder())
    if not thrown:
        return
    with st.expander(f"Trash ({len(thrown)})"):
        for path in thrown[:30]:
            left, right = st.columns([5, 1])
            left.markdown(plain(path.name))
            right.button("Take back", key=f"restore_{path.name}", on_click=_restore, args=(path,))
        st.caption(
            f"To free its space, empty the folder `{(loaders.runs_folder() / archive.TRASH).resolve()}` "
            "yourself."
        )


def _restore(path: Path) -> None:
    try:
        shell.choose_run(archive.restore(path).name)
    except (GpoVaeError, OSError) as error:
        st.session_state["job_problem"] = str(error)


def importing() -> None:
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
        value=archive.free_name(loaders.runs_folder(), Path(sent.name).stem),
        key=f"import_name_{sent.file_id}",
    )
    if st.button("Import", type="primary", key="import"):
        with shell.errors_in_words(), tempfile.TemporaryDirectory() as folder, st.spinner("Reading …"):
            file = Path(folder) / safe_name(sent.name)
            file.write_bytes(sent.getbuffer())
            given: Any = None
            if names is not None:
                beside = Path(folder) / f"names_{safe_name(names.name)}"
                beside.write_bytes(names.getbuffer())
                given = beside
            elif typed.strip():
                given = gene_names([line for line in typed.splitlines() if line.strip()])
            target = loaders.runs_folder() / archive.check_run_name(name)
            target.parent.mkdir(parents=True, exist_ok=True)
            known = [line.strip() for line in perturbed.splitlines() if line.strip()] or None
            run = import_file(file, target, given, known, "logits" if logits else "auto", transpose)
            shell.choose_run(run.name)
            st.rerun()


def compare(names: list[str]) -> None:
    """Settings and curves of several runs side by side."""
    runs = {name: loaders.open_run(name) for name in names}
    st.subheader(f"{len(runs)} runs compared")
    table = settings_that_differ(runs)
    if table.empty:
        st.caption("All their settings are the same.")
    else:
        st.markdown("##### Settings that differ")
        show_table(table)
    metrics = {name: loaders.metrics(run) for name, run in runs.items()}
    left, right = st.columns(2)
    chart(training.compare_curves(metrics), key="compare_loss", place=left)
    chart(training.compare_curves(metrics, "edges"), key="compare_edges", place=right)
    chart(training.compare_curves(metrics, "w_sd"), key="compare_spread", place=left)
    st.caption(
        "The validation losses of runs with other weights of the loss terms, or with other cells, cannot "
        "be compared by their height."
    )


def settings_that_differ(runs: dict[str, RunFolder]) -> pd.DataFrame:
    """One row per setting that is not the same in all runs; a column per run."""
    values: dict[str, dict[str, Any]] = {}
    for name, run in runs.items():
        chosen = run.settings()
        values[name] = {"preset": chosen.preset, "data file": run.source().path.rpartition("/")[2]}
        for section, fields in settings_form.sections(chosen).items():
            values[name] |= {f"{section}.{field}": value for field, value in fields.items()}
    paths = dict.fromkeys(path for one in values.values() for path in one)
    differing = [path for path in paths if len({repr(one.get(path)) for one in values.values()}) > 1]
    rows = [
        {"Setting": path, **{name: str(one.get(path)) for name, one in values.items()}} for path in differing
    ]
    return cast("pd.DataFrame", pd.DataFrame(rows))
