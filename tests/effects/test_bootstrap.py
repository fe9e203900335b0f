"""Cells drawn again: as many of each group as before, held-out cells untouched, whatever the order of the
file.
"""

from __future__ import annotations

import numpy as np
import pytest

from gpovae_core import keys
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.bootstrap import bootstrap_rows, resample
from gpovae_core.effects.contrasts import contrasts
from tests.effects.test_design import confounded
from tests.toy import tiny_settings, toy_cells


def groups(prepared: PreparedCells, rows: np.ndarray) -> dict[tuple[str, str], int]:
    obs = prepared.cells.obs.iloc[rows]
    return obs.groupby([keys.SPLIT, keys.PERTURBATION], observed=True).size().to_dict()


def test_every_group_keeps_its_size_and_held_out_cells_stay():
    prepared = toy_cells()
    rows = bootstrap_rows(prepared, 3)
    assert groups(prepared, rows) == groups(prepared, np.arange(prepared.cells.n_obs))
    held_out = prepared.where(splits=keys.HELD_OUT)
    assert np.array_equal(rows[held_out], np.flatnonzero(held_out))
    learned = rows[~held_out]
    assert 0.55 < len(set(learned)) / len(learned) < 0.72  # 1 - 1/e
    assert not set(learned) & set(np.flatnonzero(held_out))


def test_the_draw_hangs_on_ids_and_seed_alone():
    prepared = toy_cells()
    order = np.random.default_rng(0).permutation(prepared.cells.n_obs)
    other = PreparedCells(prepared.cells[order].copy(), prepared.panel, prepared.report)
    drawn = sorted(prepared.cells.obs_names[bootstrap_rows(prepared, 1)])
    assert drawn == sorted(other.cells.obs_names[bootstrap_rows(other, 1)])
    assert drawn != sorted(prepared.cells.obs_names[bootstrap_rows(prepared, 2)])


def test_resampled_cells_have_ids_of_their_own_and_controls_of_their_split():
    prepared = toy_cells()
    rows = bootstrap_rows(prepared, 0)
    drawn = resample(prepared, rows, tiny_settings().data)
    obs = drawn.cells.obs
    assert obs.index.is_unique
    assert (drawn.counts != prepared.counts[rows]).nnz == 0
    paired = obs[obs[keys.PERTURBATION] != keys.CONTROL]
    controls = obs.loc[paired[keys.CONTROL_ID]]
    assert (controls[keys.PERTURBATION] == keys.CONTROL).all()
    assert controls[keys.SPLIT].astype(str).tolist() == paired[keys.SPLIT].astype(str).tolist()


def test_drawn_cells_scatter_around_the_observed_effect_by_its_standard_error():
    """Hence the standard errors of a member are to be widened by the square root of two."""
    prepared = toy_cells()
    observed = contrasts(prepared)
    drawn = [contrasts(prepared, rows=bootstrap_rows(prepared, k)) for k in range(60)]
    counted = observed.counted & (observed.control_share > np.median(observed.control_share))[None, :]
    scatter = np.std([d.effect for d in drawn], axis=0)[counted] / observed.error[counted]
    assert np.median(scatter) == pytest.approx(1.0, abs=0.12)


def test_cells_are_drawn_within_their_batch_and_matched_with_controls_of_it():
    prepared = confounded(0.5)
    obs = prepared.cells.obs
    obs[keys.BATCH] = obs[keys.BATCH].astype("category")
    rows = bootstrap_rows(prepared, 0)
    assert obs[keys.BATCH].astype(str).tolist() == obs[keys.BATCH].iloc[rows].astype(str).tolist()
    drawn = resample(prepared, rows, tiny_settings().data).cells.obs
    paired = drawn[drawn[keys.PERTURBATION] != keys.CONTROL]
    batches = drawn.loc[paired[keys.CONTROL_ID], keys.BATCH].astype(str).tolist()
    assert batches == paired[keys.BATCH].astype(str).tolist()
