"""Runs and what is read from them, cached. Every cache is bounded and keyed by path and file times: a new
file, a new read.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import streamlit as st

from gpovae_core import keys
from gpovae_core.data.schema import PreparationReport, PreparedCells
from gpovae_core.errors import RunError
from gpovae_core.evaluation.scores import Evaluation, UnseenProtocol
from gpovae_core.evaluation.stored import read_evaluation, read_unseen
from gpovae_core.network.communities import communities
from gpovae_core.network.curves import ThresholdCurves, threshold_curves
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.paths import PathTrace, trace_paths
from gpovae_core.network.references import ReferenceNetwork, networks_folder, read_references
from gpovae_core.reporting.tables import false_edge_table
from gpovae_core.runs.folder import RunFolder, find_runs

if TYPE_CHECKING:  # with torch, which the other pages do not need
    from gpovae_core.questions.interactions import Interaction
    from gpovae_core.questions.predicted import EffectPredictor
    from gpovae_core.questions.whatif import Answer, NetworkOnly, Question, Reach

if TYPE_CHECKING:  # scipy.stats, a second: not before the first page stands
    from gpovae_core.effects.pairs import PairStatistics
    from gpovae_core.network.evidence import HeldOutCells
    from gpovae_core.questions.predicted import EffectPredictor
    from gpovae_core.sweeps.folder import SweepFolder
    from gpovae_core.sweeps.results import Results

DEMO = "demo"
DEMO_PATH = Path(__file__).resolve().parents[2] / "assets" / "demo" / "run"
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
    """The run called `name`. Only names in the listing are opened, so no name can lead out of the runs
    folder.
    """
    sweep, slash, inside = name.partition("/")
    runs = next((found.runs() for found in all_sweeps() if found.name == sweep), {}) if slash else all_runs()
    run = runs.get(inside if slash else name)
    if run is None:
        raise RunError(f"There is no run called '{name}' in '{runs_folder()}'. Choose one on the page Runs.")
    return RunFolder.open(run.path)


def all_sweeps() -> list[SweepFolder]:
    """The sweeps in the runs folder, newest first."""
    from gpovae_core.sweeps.folder import find_sweeps

    return find_sweeps(runs_folder())


def open_sweep(name: str) -> SweepFolder:
    """The sweep called `name`; only names in the listing are opened."""
    from gpovae_core.sweeps.folder import SweepFolder

    found = {sweep.name: sweep for sweep in all_sweeps()}.get(name)
    if found is None:
        raise RunError(
            f"There is no sweep called '{name}' in '{runs_folder()}'. Choose one on the page Experiments."
        )
    return SweepFolder.open(found.path)


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
    from gpovae_core.sweeps.folder import SweepFolder
    from gpovae_core.sweeps.results import results

    return results(SweepFolder.open(Path(path)))


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
def _evaluation(path: str, stamped: Stamp) -> Evaluation | None:
    return read_evaluation(RunFolder(Path(path)))


def evaluation(run: RunFolder) -> Evaluation | None:
    """The scores of a run; None where it was not evaluated yet."""
    return _evaluation(str(run.path), stamp(run, "evaluation.json"))


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


NETWORK_FILES = ("config.json", "panel.json", "model.safetensors", "effects.h5ad", "ensemble.safetensors")


@st.cache_resource(max_entries=4, show_spinner="Reading the network …")
def _network(path: str, stamped: Stamp) -> GeneNetwork:
    return GeneNetwork.from_run(RunFolder(Path(path)))


def network(run: RunFolder) -> GeneNetwork:
    """W with names and signs, shared between sessions: never change it."""
    return _network(str(run.path), stamp(run, *NETWORK_FILES))


@st.cache_resource(max_entries=4, show_spinner="Adding up the influence over several hops …")
def _influence(path: str, stamped: Stamp) -> GeneNetwork:
    return _network(path, stamped).influence_network(RunFolder(Path(path)).settings().loss.shown_hops)


@st.cache_resource(max_entries=6, show_spinner=False)
def _part(path: str, stamped: Stamp, measure: str, blind: bool, often: float) -> GeneNetwork:
    found = _network(path, stamped) if measure == "W" else _influence(path, stamped)
    return (found if blind else found.with_evidence()).found_often(often)


def shown_network(run: RunFolder, measure: str, blind: bool = True, often: float = 0.0) -> GeneNetwork:
    """W ("W") or the influence over up to K hops ("T") of a run, shared between sessions: never change it.

    blind: with the edges out of genes that were never perturbed, for which no cell speaks. often: of W only
    the edges that at least this share of the ensemble's members has.
    """
    stamped, often = stamp(run, *NETWORK_FILES), often if measure == "W" else 0.0
    if not blind or often:
        return _part(str(run.path), stamped, measure, blind, often)
    return network(run) if measure == "W" else _influence(str(run.path), stamped)


@st.cache_resource(max_entries=16, show_spinner="Looking for communities …")
def _communities(path: str, stamped: Stamp, measure: str, threshold: float, blind: bool, often: float) -> Any:
    return communities(shown_network(RunFolder(Path(path)), measure, blind, often), threshold)


def network_communities(
    run: RunFolder, measure: str, threshold: float, blind: bool = True, often: float = 0.0
) -> Any:
    """(n,) community of every gene, see gpovae_core.network.communities."""
    return _communities(str(run.path), stamp(run, *NETWORK_FILES), measure, threshold, blind, often)


@st.cache_resource(max_entries=2, show_spinner="Reading the cells …")
def _cells(path: str, stamped: Stamp) -> PreparedCells:
    return RunFolder(Path(path)).cells()


@st.cache_resource(max_entries=4, show_spinner="Reading the held-out cells …")
def _held_out(path: str, stamped: Stamp) -> HeldOutCells:
    from gpovae_core.network.evidence import HeldOutCells

    return HeldOutCells.of(_cells(path, stamped))


def held_out(run: RunFolder) -> HeldOutCells | None:
    """Expression of the panel in the held-out cells; None where the run holds no cells."""
    return _held_out(str(run.path), stamp(run, "cells.h5ad")) if run.has("cells.h5ad") else None


@st.cache_resource(
    max_entries=4, show_spinner="Testing every pair of genes on the held-out cells, once per run …"
)
def _pairs(path: str, stamped: Stamp) -> PairStatistics:
    from gpovae_core.evaluation.held_out import held_out_pairs

    return held_out_pairs(_cells(path, stamped))


@st.cache_resource(max_entries=2, show_spinner="Getting the model ready for questions …")
def _predictor(path: str, stamped: Stamp) -> EffectPredictor:
    import torch

    from gpovae_core.questions.predicted import EffectPredictor
    from gpovae_core.runs.model import load_model

    # Answers take tenths of a second on one core; on several that a training also wants, threads wait for
    # each other.
    torch.set_num_threads(1)
    run = RunFolder(Path(path))
    return EffectPredictor(load_model(run), _cells(path, stamp(run, "cells.h5ad")), run.settings().inference)


def predictor(run: RunFolder) -> EffectPredictor | None:
    """The model ready for questions, shared between sessions; None where the run holds no cells or no
    weights.
    """
    needed = ("cells.h5ad", "model.safetensors", "panel.json", "config.json")
    return _predictor(str(run.path), stamp(run, *needed)) if all(run.has(name) for name in needed) else None


@st.cache_data(max_entries=16, show_spinner="Testing every gene …")
def _changes(path: str, stamped: Stamp, perturbation: str, reference: str) -> pd.DataFrame:
    from gpovae_core.effects.changes import observed_changes
    from gpovae_core.evaluation.score_effects import REFERENCES

    return observed_changes(_cells(path, stamped), perturbation, REFERENCES[reference])


def changes(run: RunFolder, perturbation: str, reference: str) -> pd.DataFrame | None:
    """Test of every measured gene under a perturbation (see evaluation.observed), or None where the run holds
    no cells of it.
    """
    if not run.has("cells.h5ad"):
        return None
    return _changes(str(run.path), stamp(run, "cells.h5ad"), perturbation, reference)


@st.cache_data(max_entries=8, show_spinner="Testing every gene under every perturbation, once per run …")
def _changed(path: str, stamped: Stamp, reference: str, significance: float) -> pd.Series:
    from gpovae_core.effects.changes import changed_genes
    from gpovae_core.evaluation.score_effects import REFERENCES

    return changed_genes(_cells(path, stamped), REFERENCES[reference], significance)


def changed(run: RunFolder, reference: str) -> pd.Series | None:
    """Number of changed genes under every perturbation; None where the run holds no cells."""
    if not run.has("cells.h5ad"):
        return None
    return _changed(
        str(run.path), stamp(run, "cells.h5ad"), reference, run.settings().evaluation.significance
    )


@st.cache_data(max_entries=32, show_spinner="Looking at the cells …")
def _groups(path: str, stamped: Stamp, perturbation: str, gene: str, reference: str) -> dict[str, np.ndarray]:
    from gpovae_core.effects.changes import expression_of, log2_expression
    from gpovae_core.evaluation.score_effects import REFERENCES

    run, cells = RunFolder(Path(path)), _cells(path, stamp(RunFolder(Path(path)), "cells.h5ad"))
    names = {"control": keys.CONTROL, f"{perturbation} perturbed": perturbation}
    groups = {
        f"Measured, {name}": expression_of(cells, label, gene, REFERENCES[reference])
        for name, label in names.items()
    }
    model = None if perturbation in cells.unseen else predictor(run)
    if model is not None:
        for name, label in names.items():
            dosage = None if label == keys.CONTROL else cells.panel.dosage(label)
            groups[f"Model, {name}"] = log2_expression(*model.draw_counts(dosage, gene, seed=len(groups)))
    return groups


def expression_groups(run: RunFolder, perturbation: str, gene: str, reference: str) -> dict[str, np.ndarray]:
    """log2(counts per 10,000 + 1) of a measured gene in control and perturbed cells, and in as many draws
    from the model.
    """
    return _groups(
        str(run.path), stamp(run, "cells.h5ad", "model.safetensors"), perturbation, gene, reference
    )


PAIRS_AT_ONCE = 10_000_000
"""Held-out cells times genes that are tested without being asked to: some ten seconds."""


def pairs(run: RunFolder) -> PairStatistics | None:
    """Every perturbation against every panel gene; None without cells, or where it takes long and nobody has
    asked (`ask_for_pairs`).
    """
    cells = held_out(run)
    if cells is None or (cells.size > PAIRS_AT_ONCE and not _pairs_asked(run)):
        return None
    return _pairs(str(run.path), stamp(run, "cells.h5ad"))


def _pairs_asked(run: RunFolder) -> bool:
    return str(run.path) in st.session_state.get("gpovae_pairs", ())


def ask_for_pairs(run: RunFolder) -> None:
    """From now on `pairs` computes them for this run, however long that takes."""
    st.session_state["gpovae_pairs"] = {*st.session_state.get("gpovae_pairs", ()), str(run.path)}


def pairs_wait(run: RunFolder) -> float | None:
    """About how many seconds `pairs` would take if it were asked for; None where it does not wait to be
    asked.
    """
    cells = held_out(run)
    if cells is None or pairs(run) is not None:
        return None
    return cells.size / PAIRS_AT_ONCE * 15


@st.cache_resource(max_entries=8, show_spinner="Going through the thresholds …")
def _curves(
    path: str, stamped: Stamp, measure: str, tested: bool, hops: int, blind: bool, often: float
) -> ThresholdCurves:
    run = RunFolder(Path(path))
    settings = run.settings().evaluation
    found = _pairs(path, stamp(run, "cells.h5ad")) if tested else None
    return threshold_curves(
        shown_network(run, measure, blind, often), found, hops, settings.omission_hops, settings.significance
    )


def curves(
    run: RunFolder, measure: str, hops: int, blind: bool = True, often: float = 0.0
) -> ThresholdCurves:
    """What every threshold does to the network; only edges and genes where the pairs are not tested."""
    return _curves(
        str(run.path),
        stamp(run, *NETWORK_FILES, "cells.h5ad"),
        measure,
        pairs(run) is not None,
        hops,
        blind,
        often,
    )


@st.cache_data(max_entries=32, show_spinner=False)
def _null(path: str, stamped: Stamp) -> dict[str, Any]:
    return RunFolder(Path(path)).null()


def null(run: RunFolder) -> dict[str, Any]:
    """What `gpovae null` found on the cells of this run; empty where it was not asked."""
    return _null(str(run.path), stamp(run, "null.json"))


def false_edges(run: RunFolder) -> pd.DataFrame | None:
    """Estimated false-edge rate per threshold on W (threshold, estimated_false_edge_rate): from the run's
    evaluation, else its null.
    """
    try:
        scores = evaluation(run)
    except RunError:  # damaged scores say so where they are shown, and take no network away
        scores = None
    table = false_edge_table(None if scores is None else scores.network, null(run))
    return None if table.empty else table


@st.cache_resource(max_entries=2, show_spinner="Reading the reference networks …")
def _references(folder: str, stamped: Stamp) -> tuple[list[ReferenceNetwork], list[str]]:
    return read_references(Path(folder))


def references() -> tuple[list[ReferenceNetwork], list[str]]:
    """Reference networks of the folder, and in words what could not be read there."""
    folder = networks_folder()
    files = sorted(folder.iterdir()) if folder.is_dir() else []
    stamped = tuple(
        (file.name, file.stat().st_mtime_ns, file.stat().st_size) for file in files if file.is_file()
    )
    return _references(str(folder), stamped)


@st.cache_data(max_entries=64, show_spinner="Tracing paths …")
def _trace(
    path: str, stamped: Stamp, sources: tuple[str, ...], target: str, hops: int, threshold: float, top: int
) -> PathTrace:
    return trace_paths(_network(path, stamped), sources, target, hops=hops, top=top, threshold=threshold)


def trace(
    run: RunFolder, sources: tuple[str, ...], target: str, hops: int, threshold: float, top: int = 20
) -> PathTrace:
    """The best paths from one or several genes to another (see gpovae_core.network.paths.trace_paths)."""
    return _trace(str(run.path), stamp(run, *NETWORK_FILES), sources, target, hops, threshold, top)


_MODEL_FILES = ("config.json", "panel.json", "model.safetensors", "network.safetensors", "cells.h5ad")


@st.cache_resource(max_entries=4, show_spinner=False)
def _reach(path: str, stamped: Stamp) -> Reach:
    from gpovae_core.methods.fitted import NetworkFit
    from gpovae_core.questions.whatif import Reach

    run = RunFolder(Path(path))
    arrays = run.network_arrays()
    cells = _cells(path, stamp(run, "cells.h5ad"))
    return Reach.of(cells, run.settings(), NetworkFit.from_arrays(arrays) if arrays else None)


def reach(run: RunFolder) -> Reach:
    """How far the screen of a run knocked its genes down, and which of them trained. Raises RunError where
    the run holds no cells.
    """
    if not run.has("cells.h5ad"):
        run.cells()  # raises, in words
    return _reach(str(run.path), stamp(run, *_MODEL_FILES))


@st.cache_resource(
    max_entries=2,
    show_spinner="Learning from the training perturbations what the network alone can say, once per run …",
)
def _network_only(path: str, stamped: Stamp) -> NetworkOnly:
    from gpovae_core.questions.whatif import network_alone

    run = RunFolder(Path(path))
    return network_alone(_cells(path, stamp(run, "cells.h5ad")), run.settings())()


def network_only(run: RunFolder) -> NetworkOnly:
    """What the training perturbations say of genes that were never perturbed
    (gpovae_core.questions.unseen).
    """
    return _network_only(str(run.path), stamp(run, "config.json", "cells.h5ad"))


@st.cache_data(max_entries=64, show_spinner="Asking the model …")
def _answer(path: str, stamped: Stamp, loss: tuple[tuple[str, float | None], ...]) -> Answer:
    from gpovae_core.questions.whatif import Question, ask

    run = RunFolder(Path(path))
    asked, known = Question(dict(loss)), reach(run)
    run.mask_logits()  # says in words what is wrong with the weights, if anything is
    ready = predictor(run) if known.spoken_for(asked.genes) else None
    names = _cells(path, stamp(run, "cells.h5ad")).cells.var_names
    return ask(ready, known, asked, names, lambda: network_only(run))


def answer(run: RunFolder, asked: Question) -> Answer:
    """The answer of a run to a what-if question."""
    return _answer(str(run.path), stamp(run, *_MODEL_FILES), tuple(asked.loss.items()))


@st.cache_data(max_entries=32, show_spinner="Comparing the combination with its parts …")
def _interaction(path: str, stamped: Stamp, combination: str, splits: tuple[str, ...]) -> Interaction:
    from gpovae_core.questions.interactions import measured_interaction

    return measured_interaction(_cells(path, stamped), combination, splits)


def interaction(run: RunFolder, combination: str, splits: tuple[str, ...]) -> Interaction:
    """A measured combination beside its parts. Raises QueryError where one of them was not measured in these
    splits.
    """
    return _interaction(str(run.path), stamp(run, "cells.h5ad"), combination, splits)


def measured_perturbations(run: RunFolder) -> tuple[str, ...]:
    """Every perturbation that has cells."""
    return _cells(str(run.path), stamp(run, "cells.h5ad")).perturbations


@st.cache_data(max_entries=32, show_spinner=False)
def _unseen(path: str, stamped: Stamp) -> UnseenProtocol | None:
    return read_unseen(RunFolder(Path(path)))


def unseen(run: RunFolder) -> UnseenProtocol | None:
    """How well the network alone predicted held-out perturbations of this run; None where that was not
    measured.
    """
    return _unseen(str(run.path), stamp(run, "unseen.json"))


def version(run: RunFolder) -> str:
    """A name for the network of a run as it is now: changes when its files do."""
    return f"{run.path}|{stamp(run, *NETWORK_FILES)}"
