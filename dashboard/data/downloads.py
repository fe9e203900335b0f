"""Fetching a public data set from the page Data: what it is before anything is asked of another host, then
its progress.
"""

from __future__ import annotations

import re
from pathlib import Path

import streamlit as st

from dashboard.shared import shell, state
from dashboard.shared.words import plain
from gpovae_core.data import catalogue
from gpovae_core.data.folder import data_folder
from gpovae_core.runs import processes
from gpovae_core.runs.folder import tail

LOOKED_UP = "catalogue_listing"


def show() -> None:
    """Choose a set, see what is known of it, look up size and checksum, fetch it."""
    data = st.selectbox(
        "Data set", catalogue.CATALOGUE, format_func=lambda d: d.title, key="catalogue_choice"
    )
    st.markdown(plain(data.what))
    st.caption(
        f"From {plain(catalogue.COLLECTION)}, licence {plain(catalogue.LICENCE)}; paper doi "
        f"{plain(data.paper)}. Nothing is asked of another host before you press the button."
    )
    if processes.errand_runs(_record(data.key)):
        watch(data.key)
        return
    listing = st.session_state.get(LOOKED_UP, {}).get(data.key)
    if listing is None:
        last_problem(data.key)
        if st.button("Ask Zenodo for its size and checksum", key="catalogue_ask"):
            with st.spinner("Asking zenodo\\.org …"), shell.errors_in_words():
                listing = catalogue.look_up(data)
                st.session_state[LOOKED_UP] = {**st.session_state.get(LOOKED_UP, {}), data.key: listing}
                st.rerun()
        return
    offer(listing)


def offer(listing: catalogue.Listing) -> None:
    folder = data_folder()
    here = catalogue.partial_bytes(folder, listing.name)
    st.markdown(
        f"**{plain(listing.name)}** · {listing.size / 1e6:,.0f} MB · checksum `{listing.checksum}`  \n"
        f"Address: `{listing.address}`  \nIt goes to `{folder.resolve()}`."
    )
    last_problem(listing.data.key)
    if (folder / listing.name).is_file():
        st.success("This file is in the data folder.")
        st.button("Open it", on_click=lambda: state.put(**{state.DATA: listing.name}), key="catalogue_open")
        return
    words = f"Go on from {here / 1e6:,.0f} MB" if here else f"Fetch {listing.size / 1e6:,.0f} MB"
    if st.button(words, type="primary", key="catalogue_fetch"):
        folder.mkdir(parents=True, exist_ok=True)
        record = _record(listing.data.key)
        processes.start_errand(
            ["fetch", listing.data.key, "--folder", str(folder.resolve())], record, folder.resolve()
        )
        st.rerun()


def watch(key: str) -> None:
    """Progress of a running download, anew every second; it goes on without this page."""

    @st.fragment(run_every=1.0)
    def bar() -> None:
        if not processes.errand_runs(_record(key)):
            st.rerun()
        found = _announced(key)
        if found is None:
            st.progress(0.0, text="Asking zenodo.org …")
            return
        name, size = found
        here = catalogue.partial_bytes(data_folder(), name)
        st.progress(
            min(1.0, here / max(1, size)),
            text=f"{plain(name)}: {here / 1e6:,.0f} of about {size / 1e6:,.0f} MB",
        )
        st.caption("It goes on when you leave this page.")

    bar()


def last_problem(key: str) -> None:
    """Why the last download ended without a file."""
    words = [line for line in tail(_record(key).with_suffix(".txt"), 5) if line.startswith("Error: ")]
    if words:
        st.error(plain(words[-1].removeprefix("Error: ")))


def _record(key: str) -> Path:
    return data_folder() / ".downloads" / f"{key}.json"


def _announced(key: str) -> tuple[str, int] | None:
    """Name and size of the file being fetched, from the first line the command prints."""
    for line in tail(_record(key).with_suffix(".txt"), 50):
        if found := re.match(r"(\S+\.h5ad), ([\d,]+) MB, ", line):
            return found[1], int(found[2].replace(",", "")) * 1_000_000
    return None
