"""What a person wants to see of a file before training on it: the values behind every cut-off, and whether
the knock-downs worked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpovae_core import keys
from gpovae_core.config import ARTIFACT_CRITERIA, DataSettings
from gpovae_core.data.artifacts import DOUBLET, artifact_labels, criterion_values
from gpovae_core.data.expression import EFFECT_SCALE
from gpovae_core.data.labelled import cells_of
from gpovae_core.data.panel import choose_panel
from gpovae_core.data.schema import ArtifactCriterion, Panel
from gpovae_core.data.splits import split_cells
from gpovae_core.data.store import StoredCounts, columns_of

if TYPE_CHECKING:
    import pandas as pd
    from scipy import sparse

    from gpovae_core.data.reading import Reading

TOO_FEW_COUNTS = 0.05
"""Below so many counts of the target per control cell a knock-down cannot be seen, whether it worked or
not.
"""
WEAK = 0.7
"""A target with more than this share of its expression left is called weakly knocked down."""


@dataclass(frozen=True)
class CriterionView:
    """One quality criterion as it would be applied, with the values of all cells (None where there are none)
    and which of them fail.
    """

    criterion: ArtifactCriterion
    values: np.ndarray | None
    failing: np.ndarray


def quality(reading: Reading, settings: DataSettings) -> tuple[list[CriterionView], int]:
    """Every criterion with its values and cut-off, and how many cells fail any. Doublets are left to the
    preparation: they take long.
    """
    quick = settings.model_copy(update={"detect_doublets": False})
    labels = reading.labels.to_numpy(dtype=object)
    artifacts = artifact_labels(reading.counts, reading.genes, reading.obs, labels, quick, reading.design)
    views = []
    for criterion in artifacts.criteria:
        values = (
            None
            if criterion.name == DOUBLET
            else criterion_values(
                criterion.name,
                reading.counts,
                reading.genes,
                reading.obs,
                reading.design,
                settings.judge_targeted_counts,
            )[0]
        )
        failing = (
            artifacts.by_criterion[criterion.name].to_numpy(dtype=bool)
            if criterion.name in artifacts.by_criterion
            else np.zeros(len(labels), dtype=bool)
        )
        if criterion.name == DOUBLET and settings.detect_doublets and DOUBLET in settings.artifact_criteria:
            criterion = criterion.model_copy(
                update={"note": "looked for when the cells are prepared for training: it takes a while"}
            )
        views.append(CriterionView(criterion, values, failing))
    order = {name: place for place, name in enumerate(ARTIFACT_CRITERIA)}
    return sorted(views, key=lambda view: order[view.criterion.name]), int(artifacts.failed.sum())


def panel_of(reading: Reading, settings: DataSettings) -> Panel:
    """The panel that training would use, with the reason for each extended gene."""
    training = (split_cells(reading.labels, settings, reading.design) == keys.TRAIN).to_numpy()
    return choose_panel(reading.counts, reading.genes, reading.labels, training, settings, reading.ids)


def knock_downs(
    counts: sparse.csr_matrix | StoredCounts, genes: Sequence[str], labels: np.ndarray
) -> pd.DataFrame:
    """Own expression of every perturbed gene in its perturbation against control cells, one row per
    perturbation and target.

    counts: (n_obs, n_vars) raw; labels: (n_obs,) canonical. Columns: perturbation, target, cells,
    control_level and perturbed_level (mean counts per 10,000), remaining (their ratio; NaN where the target
    is not measured or hardly expressed), verdict in words. Weakest knock-down first.
    """
    import pandas as pd

    targets = {gene for name in set(labels) - {keys.CONTROL} for gene in keys.genes_of(name)}
    own = np.array([i for i, gene in enumerate(genes) if gene in targets], dtype=int)
    column = {genes[i]: place for place, i in enumerate(own)}
    by_column: Any = columns_of(counts, own).tocsc()
    totals = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    scale = np.divide(EFFECT_SCALE, totals, out=np.zeros_like(totals), where=totals > 0)
    names = sorted(set(labels) - {keys.CONTROL})
    control, *cells_of_each = cells_of(labels, (keys.CONTROL, *names))
    rows = []
    for name, cells in zip(names, cells_of_each, strict=True):
        for gene in keys.genes_of(name):
            row: dict[str, Any] = {"perturbation": name, "target": gene, "cells": len(cells)}
            if gene not in column:
                rows.append({**row, "verdict": "not measured"})
                continue
            raw = np.asarray(by_column[:, [column[gene]]].toarray(), dtype=np.float64).ravel()
            here, base = (float((raw[some] * scale[some]).mean()) for some in (cells, control))
            seen = raw[control].mean() >= TOO_FEW_COUNTS
            remaining = here / base if seen and base > 0 else np.nan
            rows.append(
                {
                    **row,
                    "control_level": base,
                    "perturbed_level": here,
                    "remaining": remaining,
                    "verdict": _verdict(remaining),
                }
            )
    columns = ["perturbation", "target", "cells", "control_level", "perturbed_level", "remaining", "verdict"]
    table = pd.DataFrame(rows, columns=pd.Index(columns))
    return table.sort_values("remaining", ascending=False, na_position="last", ignore_index=True)


def _verdict(remaining: float) -> str:
    if np.isnan(remaining):
        return "too few counts to judge"
    if remaining > 1.2:
        return "higher than in controls"
    return "weak or none" if remaining > WEAK else "knocked down"
