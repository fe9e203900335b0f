"""Waiting for the first of several processes of one training: it alone prepares and writes the run."""

from __future__ import annotations

import time
from pathlib import Path

from gpovae_core.errors import GpoVaeError, RunError
from gpovae_core.runs.folder import RunFolder

POLL_SECONDS = 0.5
LONGEST_SILENCE = 30 * 60.0
"""Seconds that a process waits without a sign of the first one; what torch allows processes to find each
other.
"""


def wait_for_first(path: Path) -> RunFolder:
    """The run, once its first process has prepared it and begins to train. Raises RunError where that fails
    or goes silent.
    """
    since = time.monotonic()
    while True:
        try:
            run = RunFolder.open(path)
            status = run.status()
        except GpoVaeError:  # not there yet
            run, status = None, None
        if run is not None and status is not None:
            if status.state == "training" and _has_all(run):
                return run
            if status.state == "failed":
                raise RunError(f"Run '{run.name}' failed in its first process: {status.message}")
            if status.silent() < LONGEST_SILENCE:
                since = time.monotonic()
        if time.monotonic() - since > LONGEST_SILENCE:
            raise RunError(
                f"The first process of this training gave no sign in '{path}' for "
                f"{LONGEST_SILENCE / 60:.0f} minutes."
            )
        time.sleep(POLL_SECONDS)


def _has_all(run: RunFolder) -> bool:
    fitted = run.settings().model.network != "evidence" or run.has("network.safetensors")
    return run.has("cells.h5ad") and run.has("panel.json") and fitted
