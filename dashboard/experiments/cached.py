"""What came out of a sweep, kept."""

from __future__ import annotations

import time
from pathlib import Path

import streamlit as st

from gpovae_core.sweeps.folder import SweepFolder
from gpovae_core.sweeps.results import Results, results


def sweep_results(sweep: SweepFolder) -> Results:
    """What the study of a sweep knows now; read anew where its journal has grown or a worker has come or
    gone.
    """
    journal = sweep.path / "study.journal"
    stat = journal.stat() if journal.is_file() else None
    alive = tuple(sorted(worker.name for worker in sweep.alive()))
    fresh = None if stat else time.monotonic()  # a storage elsewhere shows no time
    return _sweep_results(str(sweep.path), (stat.st_mtime_ns, stat.st_size) if stat else None, alive, fresh)


@st.cache_resource(max_entries=16, show_spinner=False)
def _sweep_results(path: str, stamped: object, alive: object, fresh: object) -> Results:
    return results(SweepFolder.open(Path(path)))
