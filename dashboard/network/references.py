"""Reference networks: which there are, those loaded in this session, and a place to load more."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard.shared.cached import Stamp
from dashboard.shared.words import plain
from gpovae_core.errors import QueryError
from gpovae_core.network.references import (
    ReferenceNetwork,
    networks_folder,
    read_protein_names,
    read_reference,
    read_references,
)

UPLOADED = "gpovae_references"
PROTEINS = "gpovae_reference_proteins"
"""Names of STRING's proteins, where a file of them was loaded in this session."""


@st.cache_resource(max_entries=2, show_spinner="Reading the reference networks …")
def _read(folder: str, stamped: Stamp) -> tuple[list[ReferenceNetwork], list[str]]:
    return read_references(Path(folder))


def in_folder() -> tuple[list[ReferenceNetwork], list[str]]:
    """Reference networks of the folder, and in words what could not be read there."""
    folder = networks_folder()
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    stamped = tuple(
        (file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.is_file()
    )
    return _read(str(folder), stamped)


def all_references(simulated: bool) -> list[ReferenceNetwork]:
    """Those of the folder, then those loaded in this session; made-up genes are looked up in the latter
    only.
    """
    return [*([] if simulated else in_folder()[0]), *st.session_state.get(UPLOADED, {}).values()]


def show(genes: tuple[str, ...]) -> None:
    """Which there are, what they know of `genes`, and a place to load more for this session."""
    st.markdown("##### Reference networks")
    found, faults = in_folder()
    mine = st.session_state.setdefault(UPLOADED, {})
    file = st.file_uploader(
        "Load a table of known edges",
        type=["csv", "tsv", "tab", "txt", "gz"],
        help=(
            "With the columns source and target, or gene1 and gene2; or TRRUST, CollecTRI, DoRothEA, "
            "OmniPath, BioGRID, CORUM or STRING as they are distributed (STRING: its file of names, "
            "protein.info, first, then its links)."
        ),
    )
    if file is not None:
        try:
            load(file.getvalue(), file.name, mine)
        except QueryError as error:
            st.error(plain(error))
    everything = [*found, *mine.values()]
    if everything:
        words = (
            f"{plain(ref.name)} ({len(ref.known):,} {'edges' if ref.directed else 'pairs'})"
            for ref in everything
        )
        st.caption("In use: " + ", ".join(words) + ". An edge's evidence says whether they know it.")
    else:
        st.caption(f"None in the folder {plain(networks_folder())} yet.")
    for table in everything:
        for words in (*table.remarks, table.without_overlap(genes)):
            if words:
                st.caption(plain(words if words.startswith(table.name) else f"{table.name}: {words}"))
    for fault in faults:
        st.warning(plain(fault))


def load(content: bytes, name: str, mine: dict[str, ReferenceNetwork]) -> None:
    """Keep a table of edges, or the names of proteins that another one needs."""
    proteins = read_protein_names(content, name)
    if proteins is None:
        table = read_reference(content, name, st.session_state.get(PROTEINS))
        mine[table.name] = table
        return
    st.session_state[PROTEINS] = proteins
    st.caption(f"{len(proteins):,} names of proteins are kept for the links of STRING: load these next.")
