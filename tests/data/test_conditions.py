"""Screens under several conditions: said, chosen, compared within each, or a run for each over one panel."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData

from gpovae_core import keys
from gpovae_core.config import DataSettings, make_settings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.validate import examine
from gpovae_core.effects.averages import average_effects
from gpovae_core.errors import DataError, SettingsError
from gpovae_core.sweeps.conditions import plan_of_conditions
from tests.data.small import GENES, PERTURBED, small_cells

NAMES = ("rest", "stim")


def two_conditions(per_label: int = 120, shift: float = 3.0, column: str = "treatment") -> AnnData:
    """Half of the cells under `stim`, where half of the genes are `shift` times as high, whatever is
    perturbed; GENE03 has most of its cells there, controls few.
    """
    rng = np.random.default_rng(1)
    cells = small_cells(per_label)
    label = cells.obs["perturbation"].astype(str).to_numpy()
    share = {"GENE03": 0.8, "non-targeting": 0.3}
    stim = rng.random(cells.n_obs) < np.array([share.get(name, 0.5) for name in label])
    counts = cells.X.toarray()
    counts[np.ix_(stim, np.arange(0, 30, 2))] = np.round(counts[np.ix_(stim, np.arange(0, 30, 2))] * shift)
    cells.X = counts
    cells.obs[column] = np.where(stim, "stim", "rest")
    return cells


SETTINGS = DataSettings(detect_doublets=False, min_cells=10)


def test_conditions_that_nobody_spoke_of_are_warned_of_and_can_be_chosen_between():
    found = examine(two_conditions(), SETTINGS)
    warning = next(problem for problem in found.problems if problem.code == "several-conditions")
    assert warning.severity == "warning"
    assert all(name in warning.message for name in NAMES)
    assert found.ok
    assert set(found.summary["conditions"]) == set(NAMES)
    decision = next(one for one in found.decisions if one.setting == "conditions")
    assert [option.value for option in decision.options] == list(NAMES)
    assert "compared within each" in decision.taken


def test_conditions_told_to_be_batches_are_not_warned_of():
    found = examine(two_conditions(), SETTINGS.model_copy(update={"condition_as_batch": True}))
    assert not [problem for problem in found.problems if problem.code == "several-conditions"]


def test_a_condition_is_no_effect_of_the_perturbations_that_have_more_cells_under_it():
    prepared = prepare(two_conditions(400), SETTINGS)
    obs = prepared.cells.obs
    told_off = prepare(two_conditions(400), SETTINGS.model_copy(update={"condition": "none"}))
    within, pooled = (
        average_effects(screen, keys.SPLITS).mean.loc["GENE03"] for screen in (prepared, told_off)
    )
    higher, same = list(GENES[6:30:2]), list(GENES[7:30:2])  # under stim, whatever is perturbed
    assert abs(within[higher].mean() - within[same].mean()) < 0.15
    assert pooled[higher].mean() - pooled[same].mean() > 0.5
    paired = obs[obs[keys.PERTURBATION] != keys.CONTROL]
    assert (
        obs.loc[paired[keys.CONTROL_ID], keys.CONDITION].astype(str).tolist()
        == paired[keys.CONDITION].astype(str).tolist()
    )


@pytest.mark.parametrize("column", ["treatment", "time_point", "cell_line"])
def test_one_condition_alone(column: str):
    cells = two_conditions(column=column)
    prepared = prepare(cells, SETTINGS.model_copy(update={"conditions": ("stim",)}))
    alone = cells[(cells.obs[column] == "stim").to_numpy()]
    assert sorted(prepared.cells.obs_names) == sorted(alone.obs_names)
    assert prepared.report.design is not None
    assert prepared.report.design.condition == column
    assert prepared.report.conditions == {"stim": alone.n_obs}
    assert [one.name for one in prepared.report.dropped if one.reason == "another condition"] == ["rest"]
    assert not [text for text in prepared.report.notes if "taken together" in text]


def test_a_condition_that_is_not_there_is_an_error_with_near_names():
    found = examine(two_conditions(), SETTINGS.model_copy(update={"conditions": ("stimm",)}))
    assert not found.ok
    text = next(str(problem) for problem in found.problems if problem.code == "conditions-unknown")
    assert "'stimm'" in text
    assert "Did you mean stim?" in text
    none = examine(small_cells(), SETTINGS.model_copy(update={"conditions": ("stim",)}))
    assert any("no column" in problem.message for problem in none.problems)


def test_a_run_for_each_condition_over_one_panel(tmp_path):
    path = tmp_path / "two.h5ad"
    cells = two_conditions()
    label = cells.obs["perturbation"].astype(str).to_numpy()
    kept = (label != "GENE20") | (cells.obs["treatment"] == "rest").to_numpy()  # no such cells under stim
    cells[kept].copy().write_h5ad(path)
    data = {"detect_doublets": False, "min_cells": 10, "panel": "wilcoxon", "extended_min_abs_lfc": 1.0}
    plan = plan_of_conditions(path, make_settings("evidence", {"data": data}))
    assert [condition.name for condition in plan.conditions] == list(NAMES)
    panels = []
    for point in plan.points():
        prepared = prepare(path, plan.settings(point, 0).data)
        assert set(prepared.report.conditions) == {point["condition"]}
        panels.append(set(prepared.panel.genes))
    assert panels[0] == panels[1] >= set(PERTURBED)


def test_a_run_for_each_condition_needs_two_of_them(tmp_path):
    path = tmp_path / "one.h5ad"
    small_cells().write_h5ad(path)
    with pytest.raises(SettingsError, match="at least two"):
        plan_of_conditions(path, make_settings())
    cells = two_conditions()
    stim_control = (cells.obs["treatment"] == "stim") & (cells.obs["perturbation"] == "non-targeting")
    few = cells[~(stim_control & (np.arange(cells.n_obs) > 40)).to_numpy()].copy()
    few.write_h5ad(path)
    with pytest.raises(DataError, match="Condition 'stim' alone"):
        plan_of_conditions(path, make_settings("evidence", {"data": {"min_cells": 30}}))
