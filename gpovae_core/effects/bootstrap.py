"""Cells drawn again with replacement, within every perturbation, split, batch and donor: what another screen
of the same size and design might have shown.
"""

from __future__ import annotations

import zlib

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.expression import log_expression
from gpovae_core.data.labelled import cells_of
from gpovae_core.data.pairing import pair_controls
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.store import rows_of
from gpovae_core.effects.design import Design

LEARNED_FROM = (keys.TRAIN, keys.VALIDATION)
"""Splits that are drawn again; held-out cells stay as they are, and stay held out."""


def bootstrap_rows(prepared: PreparedCells, seed: int) -> np.ndarray:
    """(n_obs,) rows of `prepared`: as many of each perturbation, split and stratum (batch and donor) as there
    are, drawn with replacement; held-out cells once each.

    The draw hangs on the cells' ids, on `seed`, and on nothing else: neither on the order of the file nor on
    other perturbations.
    """
    ids = prepared.cells.obs_names.to_numpy(dtype=str)
    splits = np.asarray(prepared.cells.obs[keys.SPLIT].astype(str), dtype=object)
    stratum = Design.of(prepared).stratum
    rows = np.arange(len(ids))
    for split in LEARNED_FROM:
        labels = (keys.CONTROL, *prepared.perturbations)
        for label, own in zip(labels, cells_of(prepared.labels, labels, splits == split), strict=True):
            own = own[np.argsort(ids[own], kind="stable")]
            rng = np.random.default_rng([seed, zlib.crc32(f"{split} {label}".encode())])
            for each in np.unique(stratum[own]):
                inside = own[stratum[own] == each]
                rows[inside] = rng.choice(inside, size=len(inside))
    return rows


def resample(prepared: PreparedCells, rows: np.ndarray, settings: DataSettings) -> PreparedCells:
    """The cells at `rows` under ids of their own (a cell may come several times), with controls matched among
    them anew.
    """
    obs = pd.DataFrame(prepared.cells.obs).iloc[rows].copy()
    obs.index = pd.Index([f"{cell}/{place}" for place, cell in enumerate(obs.index)], dtype=object)
    counts = rows_of(prepared.counts, rows)
    expression = log_expression(counts, prepared.library_size[rows], settings.target_sum)[
        :, prepared.panel_columns
    ]
    labels = pd.Series(prepared.labels[rows], index=obs.index)
    obs[keys.CONTROL_ID] = pair_controls(
        expression,
        labels,
        obs[keys.SPLIT].astype(object),
        settings,
        stratum=Design.of(prepared).stratum[rows],
    ).to_numpy()
    return PreparedCells.of(counts, obs, list(prepared.cells.var_names), prepared.panel, prepared.report)
