"""What the alignment would call an edge where there can be none: controls relabelled as perturbed.

A cell's absolute difference to its matched control is never near zero for a variable gene, perturbed or not. An L1 alignment fits
the median of it, so how many medians pass the cut among relabelled controls says how little a large W may mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.config import Settings
from gpovae_core.data.effects import absolute_cell_effects, log_expression
from gpovae_core.data.pairing import pair_controls
from gpovae_core.data.schema import PreparedCells

FEWEST_CONTROLS = 20


def alignment_cut(settings: Settings) -> float:
    """The median of dX above which the alignment alone pulls W over 0.5: c for `released` (A > 0 where dX > c), 0.5 for `paper` (T = W)."""
    return settings.loss.effect_offset if settings.loss.influence == "released" else 0.5


def alignment_null(prepared: PreparedCells, settings: Settings) -> dict[str, Any]:
    """Shares of pairs (perturbation, other measured panel gene) whose median dX passes `alignment_cut`, on training cells.

    real: the perturbations as they are. null: half of the training controls, relabelled as perturbations of the same relative
    sizes and matched to the other half. Returns {"cut", "pairs", "real", "null"}; None where there are too few controls.
    """
    labels, training = prepared.labels, prepared.where(splits=(keys.TRAIN,))
    names = [name for name in prepared.perturbations if (training & (labels == name)).any() and keys.PAIR_SEPARATOR not in name]
    real_labels = np.where(training & np.isin(labels, [keys.CONTROL, *names]), labels, "")
    relabelled = _relabelled(prepared, names, settings.data.seed)
    cut = alignment_cut(settings)
    real = _medians(prepared, real_labels, names, settings)
    null = None if relabelled is None else _medians(prepared, relabelled, names, settings)
    off_diagonal = _off_diagonal(prepared, names)
    return {
        "cut": cut,
        "pairs": int(off_diagonal.sum()),
        "real": float((real > cut)[off_diagonal].mean()) if off_diagonal.any() else None,
        "null": None if null is None or not off_diagonal.any() else float((null > cut)[off_diagonal].mean()),
    }


def null_warning(found: dict[str, Any]) -> str | None:
    """In words, where relabelled controls pass at least half as often as real perturbations."""
    real, null = found["real"], found["null"]
    if real is None or null is None or null < 0.5 * real:
        return None
    return (
        f"The alignment cannot tell effects from noise here: it pulls {real:.1%} of pairs over the threshold, "
        f"and {null:.1%} where controls are relabelled as perturbed. Read a large W as 'a variable gene', not as confidence."
    )


def _relabelled(prepared: PreparedCells, names: list[str], seed: int) -> np.ndarray | None:
    """(n_obs,) labels under which half of the training controls are pseudo-perturbations; "" = left out."""
    controls = np.flatnonzero(prepared.where(keys.CONTROL, (keys.TRAIN,)))
    if len(controls) < max(FEWEST_CONTROLS, 2 * len(names)) or not names:
        return None
    by_id = controls[np.argsort(prepared.cells.obs_names.to_numpy(dtype=str)[controls])]
    shuffled = np.random.default_rng(seed).permutation(by_id)
    half = len(shuffled) // 2
    sizes = np.array([prepared.where(name, (keys.TRAIN,)).sum() for name in names], dtype=float)
    bounds = np.round(np.cumsum(sizes) / sizes.sum() * (half - len(names))).astype(int) + np.arange(1, len(names) + 1)
    labels = np.full(prepared.cells.n_obs, "", dtype=object)
    labels[shuffled[half:]] = keys.CONTROL
    for name, cells in zip(names, np.split(shuffled[:half], bounds[:-1]), strict=True):
        labels[cells] = name
    return labels


def _medians(prepared: PreparedCells, labels: np.ndarray, names: list[str], settings: Settings) -> np.ndarray:
    """(names, measured panel genes) median absolute difference of the cells of each label to their matched controls."""
    chosen = np.flatnonzero(labels != "")
    expression = log_expression(prepared.counts[chosen], prepared.library_size[chosen])
    columns = prepared.panel_columns
    index = prepared.cells.obs_names[chosen]
    own = pd.Series(labels[chosen], index=index)
    matched = pair_controls(expression[:, columns], own, pd.Series(keys.TRAIN, index=index), settings.data)
    controls = index.get_indexer(matched)
    rows = [absolute_cell_effects(expression, cells, controls[cells], columns) for cells in (np.flatnonzero(own == n) for n in names)]
    return np.stack([np.median(row, axis=0) for row in rows]) if rows else np.zeros((0, len(columns)))


def _off_diagonal(prepared: PreparedCells, names: list[str]) -> np.ndarray:
    targets = prepared.cells.var_names[prepared.panel_columns].to_numpy()
    return np.array(names, dtype=object)[:, None] != targets[None, :]
