"""What lies in a run, as more than one page reads it: curves, scores, effects, cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from dashboard.shared.cached import of_run
from gpovae_core import keys
from gpovae_core.data.schema import PreparationReport, PreparedCells
from gpovae_core.errors import GpoVaeError, RunError
from gpovae_core.evaluation.scores import Evaluation
from gpovae_core.evaluation.stored import read_evaluation
from gpovae_core.reporting.sentences import left_out_in_words, without_controls_in_words
from gpovae_core.runs.folder import RunFolder

if TYPE_CHECKING:
    from gpovae_core.plots.response import Reference
    from gpovae_core.runs.stored_effects import StoredEffects

EFFECT_FILES = ("effects.h5ad", "cells.h5ad", "model.safetensors")


@of_run("metrics.jsonl", kind="data", entries=32)
def metrics(run: RunFolder) -> pd.DataFrame:
    """One row per finished epoch; empty before the first."""
    return run.metrics()


@of_run("cells.h5ad", kind="data", entries=32)
def report(run: RunFolder) -> PreparationReport | None:
    """How the cells were prepared; None where the run holds none."""
    return run.report() if run.has("cells.h5ad") else None


def left_out(run: RunFolder) -> str:
    """Which perturbations of the file the run does without, or has no effect of, in words; "" where none, or
    where it holds no cells that can be read.
    """
    try:
        found = report(run)
    except RunError:  # damaged cells say so where they are shown
        return ""
    if found is None:
        return ""
    told = left_out_in_words(len(found.perturbations), found.dropped), without_controls_in_words(found)
    return " ".join(filter(None, told))


def without_controls(run: RunFolder) -> tuple[str, ...]:
    """Perturbations without controls in their batches, whose effects cannot be measured."""
    try:
        found = report(run)
    except RunError:
        return ()
    return () if found is None else found.without_controls


@of_run("evaluation.json", kind="data", entries=64)
def evaluation(run: RunFolder) -> Evaluation | None:
    """The scores; None where the run was not evaluated yet."""
    return read_evaluation(run)


@of_run(*EFFECT_FILES, kind="resource", entries=4, spinner="Reading the effects …")
def effects(run: RunFolder) -> StoredEffects:
    """Effects, obs = perturbations, var = measured genes, left on disk. Raises RunError, with the command
    that makes them, where there are none. Fold changes, which runs of before do not hold, are worked out from
    their cells and their model, and held.
    """
    from gpovae_core.evaluation.effects_table import OBSERVED, fold_layers

    found = run.stored_effects()
    if keys.fold(keys.OBSERVED_TEST) in found.layers or not run.has("cells.h5ad"):
        return found
    prepared = cells(run)
    names, genes = prepared.perturbations, prepared.cells.var_names
    worked_out = {
        name: _like(found, pd.DataFrame(values, pd.Index(names), genes))
        for layer in OBSERVED
        for name, values in fold_layers(prepared, layer).items()
    }
    if run.has("model.safetensors"):
        from gpovae_core.questions.predicted import EffectPredictor
        from gpovae_core.runs.model import load_model

        try:
            model = load_model(run)
        except GpoVaeError:  # the pages that need it say what is wrong
            return found.with_layers(worked_out)
        seen = tuple(name for name in names if name not in prepared.unseen)
        predicted = EffectPredictor(model, prepared, run.settings().inference).effects(seen)
        fold = keys.fold(keys.PREDICTED)
        worked_out[fold] = _like(found, predicted.fold)
        worked_out[keys.standard_error(fold)] = _like(found, predicted.fold_deviation)
    return found.with_layers(worked_out)


def _like(effects: StoredEffects, table: pd.DataFrame) -> np.ndarray:
    return table.reindex(index=effects.obs_names, columns=effects.var_names).to_numpy(dtype=np.float32)


@of_run(*EFFECT_FILES, kind="data", entries=16)
def clearest(run: RunFolder, reference: Reference) -> list[str]:
    """Perturbations, those first whose observed effects are best told from their noise."""
    from gpovae_core.plots import response

    return response.clearest(effects(run), reference)


@of_run("cells.h5ad", kind="resource", entries=4, spinner="Reading the cells …")
def cells(run: RunFolder) -> PreparedCells:
    """The prepared cells. Raises RunError where the run holds none."""
    return run.cells()


def perturbations_of(run: RunFolder, gene: str) -> tuple[str, ...]:
    """The perturbations of a gene alone of which the run has effects: none, one, or one in each direction."""
    if not run.has("effects.h5ad"):
        return ()
    return keys.directions_of(gene, [str(name) for name in effects(run).obs_names])
