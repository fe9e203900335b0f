"""Sweeps whose runs cost nothing: what is measured follows from the point, and every run leaves a line in a
file.

python -m tests.sweeps.stand_in FOLDER [SECONDS]     # a worker of its own; each run takes so long
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Any

import gpovae_core.sweeps.work as working
from gpovae_core.errors import RunError
from gpovae_core.runs.folder import DataSource, RunFolder
from gpovae_core.sweeps.folder import SweepFolder
from gpovae_core.sweeps.measures import MEASURES
from gpovae_core.sweeps.plan import SweepPlan, plan_from

TRIED = "tried.txt"


def plan(**changes: Any) -> SweepPlan:
    values = {
        "title": "Stand-in",
        "preset": "released",
        "seeds": [0, 1],
        "objectives": {"ate_rho": "maximize", "edges": "minimize"},
        "axes": {"loss.hops": [1, 2, 3], "loss.sparsity": [0.5, 5.0]},
    }
    return plan_from({**values, **changes})


def make(tmp_path: Path, name: str = "sweep", storage: str = "", **changes: Any) -> SweepFolder:
    source = tmp_path / "cells.h5ad"
    if not source.exists():
        source.write_bytes(b"not looked at")
    return SweepFolder.create(tmp_path / name, plan(**changes), source, storage)


def values_of(point: dict[str, Any], seed: int) -> dict[str, float | None]:
    hops, sparsity = float(point.get("loss.hops", 1)), float(point.get("loss.sparsity", 1.0))
    return {
        **dict.fromkeys(MEASURES),
        "ate_rho": 0.1 * hops + 0.01 * seed,
        "edges": 100 / sparsity + 10 * hops,
    }


def put_in(seconds: float = 0.0, broken: Any = None, undefined: Any = None) -> Any:
    """Put the stand-in in the place of training. broken, undefined: (point, seed) -> whether it fails, or
    gives no score.
    """
    known: dict[str, dict[str, float | None]] = {}

    def run(folder: SweepFolder, number: int, point: Any, seed: int, tell: Any) -> RunFolder:
        with (folder.path.parent / TRIED).open("a") as file:
            file.write(f"{sorted(point.items())} {seed} {os.getpid()}\n")
        tell("pretending")
        time.sleep(seconds)
        if broken and broken(point, seed):
            raise RunError("broken on purpose")
        path = folder.run_path(number, seed)
        made = (
            RunFolder(path)
            if path.exists()
            else RunFolder.create(path, folder.plan.settings(point, seed), DataSource(path="x"))
        )
        made.write_status(state="done")
        known[made.name] = (
            values_of(point, seed) if not (undefined and undefined(point, seed)) else dict.fromkeys(MEASURES)
        )
        return made

    return run, lambda run, top: known[run.name]


def tried(folder: SweepFolder) -> list[str]:
    """One line per run that was begun: point and seed."""
    path = folder.path.parent / TRIED
    return [line.rpartition(" ")[0] for line in path.read_text().splitlines()] if path.exists() else []


if __name__ == "__main__":
    working._run, working.measure_run = put_in(float(sys.argv[2]) if len(sys.argv) > 2 else 0.0)
    working.work(SweepFolder.open(Path(sys.argv[1])))
