"""Scores of every perturbation, as they were evaluated."""

from __future__ import annotations

import pandas as pd

from dashboard.response.scene import Scene
from dashboard.shared import contents
from dashboard.shared.run_summary import pick


def per_perturbation(scene: Scene) -> pd.DataFrame:
    """Table of all perturbations from the evaluation: Perturbation, Cells, rho of model and training mean,
    Ceiling, Of the ceiling.
    """
    rows = pick(contents.evaluation(scene.run), "response", scene.reference, "per_perturbation") or []
    table = pd.DataFrame(
        {
            "Perturbation": [str(row.get("perturbation")) for row in rows],
            "Cells": pd.to_numeric(pd.Series([row.get("cells") for row in rows], dtype=object)),
            "rho, model": pd.to_numeric(pd.Series([pick(row, "rho", "model") for row in rows], dtype=object)),
            "rho, training mean": pd.to_numeric(
                pd.Series([pick(row, "rho", "train_mean") for row in rows], dtype=object)
            ),
            "Ceiling": pd.to_numeric(pd.Series([row.get("ceiling") for row in rows], dtype=object)),
        }
    )
    ceiling = table["Ceiling"].astype(float)
    table["Of the ceiling"] = (table["rho, model"].astype(float) / ceiling.where(ceiling > 0)).astype(float)
    return table
