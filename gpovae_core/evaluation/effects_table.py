"""Observed and predicted effects side by side, as a run keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.data.progress import Progress, stretch
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.averages import average_effects
from gpovae_core.effects.changes import fold_table

if TYPE_CHECKING:
    from anndata import AnnData

OBSERVED: dict[str, tuple[str, ...]] = {
    keys.OBSERVED_TEST: keys.HELD_OUT,
    keys.OBSERVED_ALL: keys.SPLITS,
    keys.OBSERVED_TRAIN: (keys.TRAIN,),
}
"""Layer of effects.h5ad -> the splits its cells are from."""


def effects_table(
    prepared: PreparedCells,
    predicted: pd.DataFrame,
    predicted_sd: pd.DataFrame,
    rests_on: Mapping[str, str] | None = None,
    fold: pd.DataFrame | None = None,
    fold_sd: pd.DataFrame | None = None,
    progress: Progress | None = None,
) -> AnnData:
    """Observed and predicted effects side by side, as stored in effects.h5ad.

    obs = all perturbations with cells, with the cells behind each observed row; var = measured genes; layers
    keys.OBSERVED_TEST, OBSERVED_ALL, OBSERVED_TRAIN and PREDICTED (float32, log2(counts per 10,000 + 1)
    against control), each with its standard error; NaN = no cells, or no prediction. Beside each, under
    keys.fold of its name, the same as log2 fold change of mean shares without the common lift, which people
    read, of observed ones also keys.shrunk. predicted, predicted_sd, fold, fold_sd: (perturbations x genes).
    rests_on: perturbation -> what its prediction rests on (whatif.Basis), "seen" where not given.
    """
    import anndata

    obs = pd.DataFrame(index=pd.Index(prepared.perturbations, dtype=object, name=keys.PERTURBATION))
    obs[keys.RESTS_ON] = [(rests_on or {}).get(name, "seen") for name in prepared.perturbations]
    genes = prepared.cells.var_names.astype(object)
    layers: dict[str, np.ndarray] = {}
    for place, (layer, splits) in enumerate(OBSERVED.items()):
        part = stretch(progress, place / len(OBSERVED), (place + 1) / len(OBSERVED))
        table = average_effects(prepared, splits, progress=stretch(part, 0.0, 0.3))
        layers[layer], layers[keys.standard_error(layer)] = (
            table.mean.to_numpy(),
            table.standard_error.to_numpy(),
        )
        obs[keys.cell_count(layer)] = table.cells.to_numpy()
        layers |= fold_layers(prepared, layer, stretch(part, 0.3, 1.0))
    for name, values in (
        (keys.fold(keys.PREDICTED), fold),
        (keys.standard_error(keys.fold(keys.PREDICTED)), fold_sd),
    ):
        if values is not None:
            layers[name] = values.reindex(index=obs.index, columns=genes).to_numpy()
    layers[keys.PREDICTED] = predicted.reindex(index=obs.index, columns=genes).to_numpy()
    layers[keys.standard_error(keys.PREDICTED)] = predicted_sd.reindex(
        index=obs.index, columns=genes
    ).to_numpy()
    single = {name: values.astype(np.float32) for name, values in layers.items()}
    return anndata.AnnData(obs=obs, var=pd.DataFrame(index=genes), layers=single)


def fold_layers(
    prepared: PreparedCells, layer: str, progress: Progress | None = None
) -> dict[str, np.ndarray]:
    """Layers with the log2 fold changes of one of OBSERVED, their errors and what is to be believed of
    them.
    """
    folds, name = fold_table(prepared, OBSERVED[layer], progress=progress), keys.fold(layer)
    parts = {name: folds.effect, keys.standard_error(name): folds.error, keys.shrunk(name): folds.shrunk}
    return {key: table.to_numpy(dtype=np.float32) for key, table in parts.items()}
