"""Runs and what is read from them, cached. Every cache is bounded and keyed by path and file times: a new file, a new read."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st

from dashboard.network_data import Picture, picture
from gpovae_core.data.schema import PreparationReport
from gpovae_core.errors import RunError
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.paths import PathTrace, trace_paths
from gpovae_core.training.runs import RunFolder, find_runs

DEMO = "demo"
DEMO_PATH = Path(__file__).resolve().parent.parent / "assets" / "demo" / "run"
Stamp = tuple[tuple[str, int, int], ...]


def runs_folder() -> Path:
    """Folder with the runs: the environment variable GPOVAE_RUNS_DIR, or `runs` in the working directory."""
    return Path(os.environ.get("GPOVAE_RUNS_DIR", "runs"))


def all_runs() -> dict[str, RunFolder]:
    """Name -> run: those in the runs folder, newest first, then the demo run."""
    runs = {run.name: run for run in find_runs(runs_folder())}
    if (DEMO_PATH / "config.json").is_file():
        runs.setdefault(DEMO, RunFolder(DEMO_PATH))
    return runs


def open_run(name: str) -> RunFolder:
    """The run called `name`. Only names in the listing are opened, so no name can lead out of the runs folder."""
    run = all_runs().get(name)
    if run is None:
        raise RunError(f"There is no run called '{name}' in '{runs_folder()}'. Choose one on the page Runs.")
    return RunFolder.open(run.path)


def stamp(run: RunFolder, *files: str) -> Stamp:
    """Name, time and size of the files that exist: the cache key of whatever is read from them."""
    found = []
    for name in files:
        path = run.path / name
        if path.is_file():
            stat = path.stat()
            found.append((name, stat.st_mtime_ns, stat.st_size))
    return tuple(found)


@st.cache_data(max_entries=32, show_spinner=False)
def _metrics(path: str, stamped: Stamp) -> pd.DataFrame:
    return RunFolder(Path(path)).metrics()


def metrics(run: RunFolder) -> pd.DataFrame:
    return _metrics(str(run.path), stamp(run, "metrics.jsonl"))


@st.cache_data(max_entries=64, show_spinner=False)
def _evaluation(path: str, stamped: Stamp) -> dict[str, Any]:
    return RunFolder(Path(path)).evaluation()


def evaluation(run: RunFolder) -> dict[str, Any]:
    """evaluation.json, or an empty dict where the run was not evaluated yet."""
    return _evaluation(str(run.path), stamp(run, "evaluation.json")) if run.has("evaluation.json") else {}


@st.cache_data(max_entries=32, show_spinner=False)
def _report(path: str, stamped: Stamp) -> PreparationReport:
    return RunFolder(Path(path)).report()


def report(run: RunFolder) -> PreparationReport | None:
    """How the cells were prepared; None where the run holds none."""
    return _report(str(run.path), stamp(run, "cells.h5ad")) if run.has("cells.h5ad") else None


@st.cache_resource(max_entries=4, show_spinner="Reading the effects …")
def _effects(path: str, stamped: Stamp) -> Any:
    return RunFolder(Path(path)).effects()


def effects(run: RunFolder) -> Any:
    """AnnData of effects, shared between sessions: never change it."""
    if not run.has("effects.h5ad"):
        return run.effects()  # raises with the command that makes them
    return _effects(str(run.path), stamp(run, "effects.h5ad"))


_NETWORK_FILES = ("config.json", "panel.json", "model.safetensors", "effects.h5ad")


@st.cache_resource(max_entries=4, show_spinner="Reading the network …")
def _network(path: str, stamped: Stamp) -> GeneNetwork:
    return GeneNetwork.from_run(RunFolder(Path(path)))


def network(run: RunFolder) -> GeneNetwork:
    """W with names and signs, shared between sessions: never change it."""
    return _network(str(run.path), stamp(run, *_NETWORK_FILES))


@st.cache_resource(max_entries=4, show_spinner="Laying out the network …")
def _picture(path: str, stamped: Stamp) -> Picture:
    return picture(_network(path, stamped))


def network_picture(run: RunFolder) -> Picture:
    """Layout and strongest edges, computed once per run."""
    return _picture(str(run.path), stamp(run, *_NETWORK_FILES))


@st.cache_data(max_entries=64, show_spinner="Tracing paths …")
def _trace(path: str, stamped: Stamp, source: str, target: str, hops: int, threshold: float, top: int) -> PathTrace:
    return trace_paths(_network(path, stamped), source, target, hops=hops, top=top, threshold=threshold)


def trace(run: RunFolder, source: str, target: str, hops: int, threshold: float, top: int = 20) -> PathTrace:
    """The best paths between two genes (see gpovae_core.network.paths.trace_paths)."""
    return _trace(str(run.path), stamp(run, *_NETWORK_FILES), source, target, hops, threshold, top)


def version(run: RunFolder) -> str:
    """A name for the network of a run as it is now: changes when its files do."""
    return f"{run.path}|{stamp(run, *_NETWORK_FILES)}"
