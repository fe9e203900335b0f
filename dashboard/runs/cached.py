"""What only the page Runs reads of a run, kept."""

from __future__ import annotations

from dashboard.shared.cached import of_run
from gpovae_core.data.schema import PreparationReport
from gpovae_core.runs.folder import RunFolder


@of_run("cells.h5ad", kind="data", entries=32)
def report(run: RunFolder) -> PreparationReport | None:
    """How the cells were prepared; None where the run holds none."""
    return run.report() if run.has("cells.h5ad") else None
