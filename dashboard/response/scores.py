"""Scores of every perturbation, as they were evaluated."""

from __future__ import annotations

import pandas as pd

from dashboard.response.scene import Scene
from dashboard.shared import contents
from gpovae_core.evaluation.scores import Evaluation
from gpovae_core.reporting.tables import held_out_table, perturbation_table


def scores_of(scene: Scene) -> Evaluation:
    """All scores of the run, with nothing in them where it was not evaluated."""
    return contents.evaluation(scene.run) or Evaluation()


def per_perturbation(scene: Scene) -> pd.DataFrame:
    """Table of all perturbations from the evaluation: Perturbation, Cells, rho of model and training mean,
    Ceiling, Of the ceiling (nothing of it where rho is below zero).
    """
    table = perturbation_table(scores_of(scene), scene.reference)
    rho, ceiling = table["rho, model"].astype(float), table["Ceiling"].astype(float)
    table["Of the ceiling"] = (rho.clip(lower=0.0) / ceiling.where(ceiling > 0)).astype(float)
    return table


def ceilings_of(scene: Scene) -> dict[str, float]:
    """Perturbation -> the rho that a perfect prediction could reach."""
    apart = scores_of(scene).unseen
    unseen = held_out_table(apart and apart.per_perturbation)
    return {
        name: ceiling
        for table in (per_perturbation(scene), unseen)
        for name, ceiling in zip(table["Perturbation"], table["Ceiling"].astype(float), strict=True)
    }
