"""Has the training worked? Collapses and explosions, said in words, so that nobody has to guess them from a
score.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import torch

from gpovae_core import keys
from gpovae_core.config import Settings
from gpovae_core.data.batches import CellBatches, counterfactual_profiles
from gpovae_core.data.schema import PreparedCells
from gpovae_core.model.losses import all_terms
from gpovae_core.model.module import GpoVae
from gpovae_core.training.task import ACTIVE_BELOW

CELLS_LOOKED_AT = 2048
UNMOVED_SPREAD = 0.01
SATURATED = 0.01
SATURATED_SHARE = 0.9
EXPLOSION = 10.0


def health(
    model: GpoVae, prepared: PreparedCells, metrics: pd.DataFrame, settings: Settings
) -> dict[str, Any]:
    """Latent dimensions in use, offset norms, state of W where there is one, and `warnings` in words.
    JSON-able.
    """
    spread, offset_norm = _posterior_spread(model, prepared, settings)
    active = np.flatnonzero(spread < ACTIVE_BELOW)
    report = {
        "latent": len(spread),
        "active_latent": len(active),
        "active_dimensions": active.tolist(),
        "posterior_sd": {
            "least": float(spread.min()),
            "median": float(np.median(spread)),
            "most": float(spread.max()),
        },
        "offset_norm": offset_norm,
    }
    if model.has_network:
        report["w"] = _state_of_w(model.edge_probabilities().detach().numpy(), prepared.panel.is_perturbed)
    return {**report, "warnings": _warnings(report, metrics, model.guide.given)}


def _state_of_w(w: np.ndarray, perturbed: np.ndarray) -> dict[str, float | None]:
    off = ~np.eye(len(w), dtype=bool)
    return {
        "mean": float(w.mean()),
        "sd": float(w.std()),
        "saturated_share": float(((w < SATURATED) | (w > 1 - SATURATED)).mean()),
        "above_half_perturbed_rows": _share((w > 0.5)[perturbed], off[perturbed]),
        "above_half_other_rows": _share((w > 0.5)[~perturbed], off[~perturbed]),
    }


def _share(above: np.ndarray, counted: np.ndarray) -> float | None:
    return float(above[counted].mean()) if counted.any() else None


def _posterior_spread(model: GpoVae, prepared: PreparedCells, settings: Settings) -> tuple[np.ndarray, float]:
    """(L,) mean posterior standard deviation of z_b over validation cells, and the mean norm of the
    perturbation offsets.
    """
    profiles = counterfactual_profiles(prepared, settings.loss.counterfactual_cells, settings.training.seed)
    cells = CellBatches(prepared, (keys.VALIDATION,), profiles)
    step = max(1, len(cells) // CELLS_LOOKED_AT)
    batch = cells.__getitems__(list(range(0, len(cells), step)))
    generator = torch.Generator().manual_seed(settings.training.seed)
    with torch.inference_mode():
        guide = model.guide
        noise = [guide.noise(settings.training.particles, len(batch.rows), generator) for _ in range(2)]
        basal = torch.randn(
            settings.training.particles, len(batch.group), settings.model.latent, generator=generator
        )
        inference = model.infer(batch, noise[0], noise[1], basal)
        offsets = inference.offsets[:, batch.dosage.any(dim=1)]
    norm = float(offsets.norm(dim=-1).mean()) if offsets.numel() else 0.0
    return inference.basal_posterior.std.mean(dim=(0, 1)).numpy(), norm


def _warnings(report: dict[str, Any], metrics: pd.DataFrame, given: bool) -> list[str]:
    """given: W comes from the network stage; most of it is then near 0 as it should be."""
    found = []
    if report["active_latent"] == 0:
        found.append(
            f"The basal state has collapsed: none of its {report['latent']} dimensions carries anything "
            f"about a cell (least posterior sd {report['posterior_sd']['least']:.2f}, prior 1)."
        )
    if "w" in report:
        found += _warnings_of_w(report["w"], given)
    return found + _term_warnings(metrics)


def _warnings_of_w(w: dict[str, Any], given: bool) -> list[str]:
    found = []
    if not given and w["sd"] < UNMOVED_SPREAD:
        found.append(f"W has hardly moved from its start at 0.5 (spread {w['sd']:.3f}): it says nothing yet.")
    if not given and w["saturated_share"] > SATURATED_SHARE:
        found.append(
            f"W is saturated: {w['saturated_share']:.0%} of its entries are below 0.01 or above 0.99."
        )
    rows = w["above_half_other_rows"]
    if rows is not None and rows > (w["above_half_perturbed_rows"] or 0):
        found.append(
            f"Genes that were never perturbed have more edges above 0.5 ({rows:.0%} of their pairs) than "
            "perturbed genes: those edges rest on no direct evidence."
        )
    return found


def _term_warnings(metrics: pd.DataFrame) -> list[str]:
    found = []
    for term in (term.key for term in all_terms()):
        values = metrics[term].to_numpy(dtype=float) if term in metrics else np.array([])
        if len(values) and not np.isfinite(values).all():
            found.append(f"The loss term '{term}' was not a number at some epoch.")
        elif len(values) and abs(values[-1]) > EXPLOSION * max(abs(values[0]), 1.0):
            found.append(f"The loss term '{term}' exploded: from {values[0]:.3g} to {values[-1]:.3g}.")
    return found
