"""What a prediction rests on, in words and in a table, wherever one is shown."""

from __future__ import annotations

from typing import Any

import pandas as pd

from dashboard.shared.run_summary import pick

BADGES = {
    "seen": ":green-badge[seen in training]",
    "held out": ":orange-badge[held out]",
    "extended": ":orange-badge[extended gene: network only]",
    "seen combination": ":green-badge[combination seen in training]",
    "combination of seen genes": ":blue-badge[combination of seen genes]",
    "partly unseen combination": ":orange-badge[combination with an unseen gene]",
}
MEANING = {
    "seen": "Cells with this knock-down trained the model.",
    "held out": (
        "The run has cells of it, but none of them trained the model: the answer comes from the network "
        "alone."
    ),
    "extended": (
        "This gene was never perturbed: the answer comes from the network alone, see below how good such "
        "answers are."
    ),
    "seen combination": "Cells with exactly this combination trained the model.",
    "combination of seen genes": (
        "The model has seen each gene alone, never the combination: how they act together is its guess."
    ),
    "partly unseen combination": (
        "At least one gene is answered by the network alone, and added to the others: how they act "
        "together is not predicted."
    ),
}


def held_out_table(report: dict[str, Any]) -> pd.DataFrame:
    """Every held-out perturbation with its scores; the untrained row only where a model was trained without
    it.
    """
    rows = [row for row in report.get("per_perturbation") or [] if isinstance(row, dict)]
    table = pd.DataFrame(
        {
            "Perturbation": [str(row.get("perturbation")) for row in rows],
            "Cells": [row.get("cells") for row in rows],
            "Perturbations that move it": [row.get("moved_by") for row in rows],
            "rho, answer": [pick(row, "rho", "network") for row in rows],
            "rho, untrained row": [pick(row, "rho", "autoencoder") for row in rows],
            "rho, mean over perturbations": [pick(row, "rho", "perturbation_mean") for row in rows],
            "Ceiling": [row.get("ceiling") for row in rows],
        }
    )
    return (
        table
        if any("autoencoder" in (row.get("rho") or {}) for row in rows)
        else table.drop(columns="rho, untrained row")
    )
