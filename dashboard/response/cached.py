"""What only the page Response computes of the cells of a run, kept."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from dashboard.shared import contents, questions
from dashboard.shared.cached import of_run
from dashboard.shared.contents import EFFECT_FILES
from gpovae_core import keys
from gpovae_core.plots import response
from gpovae_core.plots.response import Reference
from gpovae_core.runs.folder import RunFolder


@dataclass(frozen=True)
class HeatMap:
    """The figure, of how many perturbations, and the correlation of all observed with all predicted
    effects.
    """

    figure: go.Figure
    perturbations: int
    rho: float


@of_run(*EFFECT_FILES, kind="data", entries=16)
def table(run: RunFolder, perturbation: str, reference: Reference) -> pd.DataFrame:
    """Response table of a perturbation (see gpovae_core.plots.response), without tests."""
    return response.response_table(contents.effects(run), perturbation, reference)


@of_run(*EFFECT_FILES, kind="data", entries=8)
def sizes(run: RunFolder, reference: Reference) -> pd.Series:
    """Size of the observed effects of every perturbation."""
    return response.effect_sizes(contents.effects(run), reference)


@of_run(*EFFECT_FILES, kind="data", entries=4, spinner="Drawing all effects …")
def heat_map(run: RunFolder, reference: Reference, but: tuple[str, ...]) -> HeatMap:
    """The effects of all perturbations `but` some."""
    effects = contents.effects(run)
    layers = (keys.shrunk(keys.fold(response.LAYER[reference])), keys.fold(keys.PREDICTED))
    observed, predicted = (
        pd.DataFrame(
            np.asarray(effects.layers[layer]) if layer in effects.layers else np.nan,
            effects.obs_names,
            effects.var_names,
        )
        .drop(index=list(but))
        .rename(index=keys.for_reading)
        for layer in layers
    )
    a, b = observed.to_numpy().ravel(), predicted.to_numpy().ravel()
    both = np.isfinite(a) & np.isfinite(b)
    rho = response.pearson(a[both], b[both])
    return HeatMap(response.effect_heatmap(observed, predicted), len(observed), rho)


@of_run("cells.h5ad", kind="data", entries=16, spinner="Testing every gene …")
def changes(run: RunFolder, perturbation: str, reference: str) -> pd.DataFrame | None:
    """Test of every measured gene under a perturbation (see gpovae_core.effects.changes), or None where the
    run holds no cells.
    """
    if not run.has("cells.h5ad"):
        return None
    from gpovae_core.effects.changes import observed_changes
    from gpovae_core.evaluation.score_effects import REFERENCES

    return observed_changes(contents.cells(run), perturbation, REFERENCES[reference])


@of_run(
    "config.json",
    "cells.h5ad",
    kind="data",
    entries=8,
    spinner="Testing every gene under every perturbation, once per run …",
)
def changed(run: RunFolder, reference: str) -> pd.Series | None:
    """Number of changed genes under every perturbation; None where the run holds no cells."""
    if not run.has("cells.h5ad"):
        return None
    from gpovae_core.effects.changes import changed_genes
    from gpovae_core.evaluation.score_effects import REFERENCES

    significance = run.settings().evaluation.significance
    return changed_genes(contents.cells(run), REFERENCES[reference], significance)


@of_run("cells.h5ad", "model.safetensors", kind="data", entries=32, spinner="Looking at the cells …")
def expression_groups(run: RunFolder, perturbation: str, gene: str, reference: str) -> dict[str, np.ndarray]:
    """log2(counts per 10,000 + 1) of a measured gene in control and perturbed cells, and in as many draws
    from the model.
    """
    from gpovae_core.effects.changes import expression_of, log2_expression
    from gpovae_core.evaluation.score_effects import REFERENCES

    cells = contents.cells(run)
    names = {"control": keys.CONTROL, f"{keys.for_reading(perturbation)} perturbed": perturbation}
    groups = {
        f"Measured, {name}": expression_of(cells, label, gene, REFERENCES[reference])
        for name, label in names.items()
    }
    model = None if perturbation in cells.unseen else questions.predictor(run)
    if model is not None:
        for name, label in names.items():
            dosage = None if label == keys.CONTROL else cells.panel.dosage(label)
            groups[f"Model, {name}"] = log2_expression(*model.draw_counts(dosage, gene, seed=len(groups)))
    return groups
