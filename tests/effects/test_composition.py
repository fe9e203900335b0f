"""Which perturbations move cells between states: those that do are found, effects on genes are not taken for
it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import anndata
import numpy as np
import pytest
from scipy.stats import chi2_contingency

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.simulate import TRUE_PERTURBATIONS, SimulationSettings, simulate
from gpovae_core.effects.composition import (
    FEWEST_CONTROLS,
    FLAGGED_ABOVE,
    composition,
    find_states,
    share_against,
)
from tests.conftest import shared_folder

SETTINGS = DataSettings(pairing="exact", detect_doublets=False)
SCREEN: dict[str, Any] = {
    "genes": 60,
    "perturbations": 30,
    "cells": 6000,
    "network": "chains",
    "library_median": 2000.0,
    "mitochondrial_genes": 0,
    "factor_spread": 0.1,
    "low_quality_share": 0.0,
    "doublet_share": 0.0,
}


def moved(**values: Any) -> tuple[PreparedCells, set[str]]:
    """A simulated screen, and the perturbations that move cells between states in it. Every cell counts: how
    many genes a cell shows is a matter of its state, too.
    """
    made = simulate(SimulationSettings(**{**SCREEN, **values}))
    truth = made.adata.uns[TRUE_PERTURBATIONS]
    prepared = prepare(made.adata, SETTINGS)
    prepared.cells.obs[keys.ARTIFACT] = False
    return prepared, set(truth.loc[truth["moves_states"], keys.PERTURBATION])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_what_moves_cells_is_flagged_and_what_changes_genes_is_not(seed: int) -> None:
    prepared, truth = moved(composition_share=0.2, seed=seed)
    table = composition(prepared).table
    flagged = set(table.loc[table["flagged"], keys.PERTURBATION])
    assert len(truth) == 6
    assert len(flagged & truth) >= 5
    assert len(flagged - truth) <= 1
    assert (table["flagged"] == (table["z"].abs() > FLAGGED_ABOVE)).all()
    assert table["z"].abs().is_monotonic_decreasing
    assert set(table[keys.PERTURBATION]) == set(prepared.perturbations)


def test_the_shares_are_those_of_the_states() -> None:
    """Simulated: 40 % of all cells in the second state, 75 % of those that are moved and did not escape."""
    prepared, truth = moved(composition_share=0.2, escape_share=0.0, state_spread=1.2, seed=2)
    table = composition(prepared).table.set_index(keys.PERTURBATION).loc[sorted(truth)]
    assert table["control_share"].between(0.34, 0.46).all()
    assert table["share"].mean() == pytest.approx(0.75, abs=0.07)


def test_a_screen_of_unbalanced_batches_is_compared_within_them() -> None:
    prepared, _ = moved(batch_imbalance=1.0, batch_spread=0.4, composition_share=0.0)
    assert keys.BATCH in prepared.cells.obs
    assert not composition(prepared).table["flagged"].any()
    blind = replace(prepared, cells=prepared.cells.copy())
    del blind.cells.obs[keys.BATCH]
    assert composition(blind).table["flagged"].sum() > 10


def test_library_sizes_and_strong_effects_are_no_change_of_state() -> None:
    for values in ({"library_effect_share": 1 / 3}, {"network": "hubs"}, {"direction": "activation"}):
        prepared, _ = moved(**values, composition_share=0.0)
        assert composition(prepared).table["flagged"].sum() <= 1


def test_without_states_or_without_controls_nothing_is_said() -> None:
    rng = np.random.default_rng(0)
    size = np.full(600, 1000.0)
    counts = rng.poisson(size[:, None] * rng.dirichlet(np.ones(40))[None]).astype(float)
    assert find_states(counts, size, np.zeros(600, dtype=int), 1) == []
    prepared, _ = moved(composition_share=0.2)
    control = prepared.where(keys.CONTROL, (keys.TRAIN,))
    few = prepared.cells.copy()
    few.obs[keys.ARTIFACT] = few.obs[keys.ARTIFACT].to_numpy() | (
        control & (np.cumsum(control) >= FEWEST_CONTROLS)
    )
    found = composition(replace(prepared, cells=few))
    assert found.table.empty
    assert "flagged" in found.table
    assert found.separations == ()


def test_the_same_cells_in_another_order_give_the_same_flags() -> None:
    prepared, _ = moved(composition_share=0.2, seed=1)
    order = np.random.default_rng(3).permutation(prepared.cells.n_obs)
    again = replace(prepared, cells=prepared.cells[order].copy())
    first, second = (
        composition(cells).table.set_index(keys.PERTURBATION)["flagged"].sort_index()
        for cells in (prepared, again)
    )
    assert (first == second).mean() > 0.95


def test_z_of_one_stratum_is_pearsons() -> None:
    rng = np.random.default_rng(0)
    own, base = rng.random(80) < 0.6, rng.random(300) < 0.4
    share, expected, z = share_against(own, np.zeros(80, int), base, np.zeros(300, int))
    table = [[own.sum(), (~own).sum()], [base.sum(), (~base).sum()]]
    statistic = chi2_contingency(table, correction=False).statistic
    assert z**2 == pytest.approx(statistic * 379 / 380)
    assert (share, expected) == pytest.approx((own.mean(), base.mean()))
    turned = share_against(~own, np.zeros(80, int), ~base, np.zeros(300, int))
    assert turned[2] == pytest.approx(-z)


def test_strata_of_different_shares_bring_no_difference_about() -> None:
    """Cells as controls in either batch, but most of them in the batch whose share is high."""
    own = np.repeat([True, False, True, False], [72, 8, 2, 18])
    stratum = np.repeat([0, 1], [80, 20])
    base = np.repeat([True, False, True, False], [90, 10, 10, 90])
    share, expected, z = share_against(own, stratum, base, np.repeat([0, 1], [100, 100]))
    assert z == pytest.approx(0.0)
    assert share == pytest.approx(expected)
    assert abs(share_against(own, np.zeros(100, int), base, np.zeros(200, int))[2]) > 3
    assert np.isnan(share_against(own, np.full(100, 5), base, np.zeros(200, int))[2])


@pytest.mark.real
def test_in_the_world_of_another_simulator_the_five_genes_are_found() -> None:
    path = shared_folder("data") / "worlds" / "composition_many.h5ad"
    if not path.is_file():
        pytest.skip(f"needs {path}")
    cells = anndata.read_h5ad(path)
    share = cells.obs["state"].astype(float).groupby(cells.obs["perturbation"], observed=True).mean()
    truth = set(share.index[share > 0.6])
    assert len(truth) == 5
    hits = others = 0
    for seed in (0, 1, 2):
        table = composition(prepare(cells, SETTINGS.model_copy(update={"seed": seed}))).table
        flagged = set(table.loc[table["flagged"], keys.PERTURBATION])
        hits, others = hits + len(flagged & truth), others + len(flagged - truth)
    assert hits >= 12
    assert others <= 5
