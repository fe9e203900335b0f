"""Rename, export and delete one run; the trash."""

from __future__ import annotations

import tempfile
from pathlib import Path

import streamlit as st

from dashboard.shared import listing, run_summary, shell, state
from dashboard.shared.words import plain
from gpovae_core.errors import GpoVaeError
from gpovae_core.runs import archive
from gpovae_core.runs.folder import RunFolder

LARGEST_DOWNLOAD = 500 * 2**20
"""Bytes of a run that is handed to the browser; a larger one is exported by the command."""


def show(run: RunFolder) -> None:
    """Rename, export and delete one run. The demo run is part of the program and stays as it is."""
    if listing.is_demo(run):
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
    thrown = archive.in_trash(listing.runs_folder())
    if not thrown:
        return
    with st.expander(f"Trash ({len(thrown)})"):
        for path in thrown[:30]:
            left, right = st.columns([5, 1])
            left.markdown(plain(path.name))
            right.button("Take back", key=f"restore_{path.name}", on_click=_restore, args=(path,))
        st.caption(
            f"To free its space, empty the folder `{(listing.runs_folder() / archive.TRASH).resolve()}` "
            "yourself."
        )


def _restore(path: Path) -> None:
    try:
        shell.choose_run(archive.restore(path).name)
    except (GpoVaeError, OSError) as error:
        st.session_state["job_problem"] = str(error)
