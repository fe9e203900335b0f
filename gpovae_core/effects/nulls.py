"""What is called an edge where there can be none: controls relabelled as perturbed.

`null_screen` makes a screen of relabelled controls that takes the whole way of a run (`gpovae null`).
`alignment_null` asks only what the alignment of `released` and `paper` would call an edge: a cell's absolute
difference to its matched control is never near zero for a variable gene, perturbed or not, so how many
medians pass the cut among relabelled controls says how little a large W may mean.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.config import Settings
from gpovae_core.data.expression import absolute_cell_effects, log_expression
from gpovae_core.data.labelled import cells_of
from gpovae_core.data.pairing import pair_controls
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.store import rows_of
from gpovae_core.effects.design import Design, by_depth
from gpovae_core.effects.draws import depth_to_draw_by, drawn_like, every_second
from gpovae_core.errors import QueryError

FEWEST_CONTROLS = 20


def alignment_cut(settings: Settings) -> float:
    """The median of dX above which the alignment alone pulls W over 0.5: c for `released` (A > 0 where dX >
    c), 0.5 for `paper` (T = W).
    """
    return settings.loss.effect_offset if settings.loss.influence == "released" else 0.5


def alignment_null(prepared: PreparedCells, settings: Settings) -> dict[str, Any]:
    """Shares of pairs (perturbation, other measured panel gene) whose median dX passes `alignment_cut`, on
    training cells.

    real: the perturbations as they are. null: half of the training controls, relabelled as perturbed and
    matched to the other half; for each perturbation as many of them as it has cells (all where it has more).
    Returns {"cut", "pairs", "real", "null"}; None where there are no such pairs, or too few controls.
    """
    training = np.flatnonzero(prepared.where(splits=(keys.TRAIN,)))
    alone = [name for name in prepared.perturbations if keys.PAIR_SEPARATOR not in name]
    cells = zip(alone, cells_of(prepared.labels[training], alone), strict=True)
    own = {name: rows for name, rows in cells if len(rows)}
    names = list(own)
    counted = _off_diagonal(prepared, names)
    cut = alignment_cut(settings)

    differences = _differences(prepared, training, prepared.labels[training], settings)
    answer = {
        "cut": cut,
        "pairs": int(counted.sum()),
        "real": _share_above(differences, own, counted, cut),
        "null": None,
    }

    relabelled, others = _halves(prepared, settings.data.seed)
    if len(relabelled) >= FEWEST_CONTROLS // 2:
        cells = np.concatenate([relabelled, others])
        labels = np.repeat(
            np.array(["relabelled", keys.CONTROL], dtype=object), [len(relabelled), len(others)]
        )
        differences = _differences(prepared, cells, labels, settings)
        rng = np.random.default_rng(settings.data.seed)
        drawn = {name: rng.permutation(len(relabelled))[: len(own[name])] for name in names}
        answer["null"] = _share_above(differences, drawn, counted, cut)
    return answer


def null_screen(prepared: PreparedCells, settings: Settings) -> PreparedCells:
    """Controls alone as a screen of the same panel: in each split half stay controls, the others stand in for
    perturbed cells.

    Every single-gene perturbation gets as many cells as it has in that split, of the same batches, donors and
    conditions and as deep (effects.draws), all of the half where it has more; a control may stand in for
    several perturbations, under an id for each. Raises QueryError with fewer than FEWEST_CONTROLS controls.
    """
    controls = int((prepared.labels == keys.CONTROL).sum())
    if controls < FEWEST_CONTROLS:
        raise QueryError(
            f"A null needs at least {FEWEST_CONTROLS} control cells to split; there are {controls}."
        )
    rng = np.random.default_rng(settings.data.seed)
    names = [name for name in prepared.perturbations if keys.PAIR_SEPARATOR not in name]
    positions, labels = _relabelled(prepared, names, rng)
    obs = pd.DataFrame(prepared.cells.obs).iloc[positions].copy()
    obs.index = pd.Index([f"{cell}/{label}" for cell, label in zip(obs.index, labels, strict=True)])
    obs[keys.PERTURBATION] = labels
    counts = rows_of(prepared.counts, positions)
    expression = log_expression(counts, prepared.library_size[positions])[:, prepared.panel_columns]
    matched = pair_controls(
        expression, pd.Series(labels, index=obs.index), obs[keys.SPLIT].astype(object), settings.data
    )
    obs[keys.CONTROL_ID] = matched.to_numpy()
    return PreparedCells.of(counts, obs, list(prepared.cells.var_names), prepared.panel, prepared.report)


def _relabelled(
    prepared: PreparedCells, names: list[str], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    positions: list[np.ndarray] = []
    labels: list[str] = []
    design, control = Design.of(prepared), prepared.labels == keys.CONTROL
    depth = depth_to_draw_by(prepared, design)
    for split in keys.SPLITS:
        here = np.flatnonzero(prepared.where(splits=(split,)))
        kind = by_depth(depth[here], design.stratum[here], control[here])
        among = dict(zip(here.tolist(), kind.tolist(), strict=True))
        pool = np.flatnonzero(prepared.where(keys.CONTROL, (split,)))
        pool = rng.permutation(pool[np.argsort(prepared.cells.obs_names.to_numpy(dtype=str)[pool])])
        kinds = np.array([among[cell] for cell in pool.tolist()], dtype=int)
        lent = every_second(kinds)
        groups = {keys.CONTROL: pool[~lent]}
        of_names = cells_of(prepared.labels, names, prepared.where(splits=(split,)))
        for name, cells in zip(names, of_names, strict=True):
            own = np.array([among[cell] for cell in cells.tolist()], dtype=int)
            groups[name] = pool[lent][drawn_like(rng, own, kinds[lent], most=1.0)]
        for name, cells in groups.items():
            positions.append(cells)
            labels += [name] * len(cells)
    return np.concatenate(positions), np.array(labels, dtype=object)


def null_warning(found: dict[str, Any]) -> str | None:
    """In words, where relabelled controls pass at least half as often as real perturbations."""
    real, null = found["real"], found["null"]
    if real is None or null is None or null < 0.5 * real:
        return None
    return (
        f"The alignment cannot tell effects from noise here: it pulls {real:.1%} of pairs over the "
        f"threshold, and {null:.1%} where controls are relabelled as perturbed. Read a large W as 'a "
        "variable gene', not as confidence."
    )


def _halves(prepared: PreparedCells, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two random halves of the training controls, the same whatever the order of the cells."""
    controls = np.flatnonzero(prepared.where(keys.CONTROL, (keys.TRAIN,)))
    by_id = controls[np.argsort(prepared.cells.obs_names.to_numpy(dtype=str)[controls])]
    shuffled = np.random.default_rng(seed).permutation(by_id)
    return shuffled[: len(shuffled) // 2], shuffled[len(shuffled) // 2 :]


def _differences(
    prepared: PreparedCells, cells: np.ndarray, labels: np.ndarray, settings: Settings
) -> np.ndarray:
    """(cells, measured panel genes) absolute difference of every cell to its matched control; zeros for
    controls.
    """
    columns = prepared.panel_columns
    expression = log_expression(rows_of(prepared.counts, cells), prepared.library_size[cells])
    index = prepared.cells.obs_names[cells]
    parts = pd.Series(keys.TRAIN, index=index, dtype=object)
    matched = pair_controls(expression[:, columns], pd.Series(labels, index=index), parts, settings.data)
    return absolute_cell_effects(expression, np.arange(len(cells)), index.get_indexer(matched), columns)


def _share_above(
    differences: np.ndarray, groups: dict[str, np.ndarray], counted: np.ndarray, cut: float
) -> float | None:
    if not counted.any():
        return None
    medians = np.stack([np.median(differences[cells], axis=0) for cells in groups.values()])
    return float((medians > cut)[counted].mean())


def _off_diagonal(prepared: PreparedCells, names: list[str]) -> np.ndarray:
    targets = prepared.cells.var_names[prepared.panel_columns].to_numpy()
    own = np.array([name.removesuffix(keys.ACTIVATED) for name in names], dtype=object)
    return own[:, None] != targets[None, :]
