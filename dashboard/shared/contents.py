"""What lies in a run, as more than one page reads it: curves, scores, effects, cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from dashboard.shared.cached import of_run
from gpovae_core.data.schema import PreparedCells
from gpovae_core.evaluation.scores import Evaluation
from gpovae_core.evaluation.stored import read_evaluation
from gpovae_core.runs.folder import RunFolder

if TYPE_CHECKING:
    from anndata import AnnData


@of_run("metrics.jsonl", kind="data", entries=32)
def metrics(run: RunFolder) -> pd.DataFrame:
    """One row per finished epoch; empty before the first."""
    return run.metrics()


@of_run("evaluation.json", kind="data", entries=64)
def evaluation(run: RunFolder) -> Evaluation | None:
    """The scores; None where the run was not evaluated yet."""
    return read_evaluation(run)


@of_run("effects.h5ad", kind="resource", entries=4, spinner="Reading the effects …")
def effects(run: RunFolder) -> AnnData:
    """Effects, obs = perturbations, var = measured genes. Raises RunError, with the command that makes them,
    where there are none.
    """
    return run.effects()


@of_run("cells.h5ad", kind="resource", entries=2, spinner="Reading the cells …")
def cells(run: RunFolder) -> PreparedCells:
    """The prepared cells. Raises RunError where the run holds none."""
    return run.cells()
