"""What is computed on a GPU has all its tensors there: tried on a device that lies on the CPU and refuses its
tensors.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from gpovae_core.config import InferenceSettings
from gpovae_core.questions.predicted import EffectPredictor
from tests.elsewhere import DEVICE, Elsewhere, OnIt, moved
from tests.model.test_literal import PRESETS, problem
from tests.training.test_gpu import step_on


def test_tensors_of_both_devices_may_not_meet():
    there, here = Elsewhere(torch.ones(3)), torch.ones(3)
    with OnIt():
        assert torch.equal((there + torch.ones(3, device=DEVICE)).to("cpu"), 2 * here)
        for meet in (
            lambda: there + here,
            lambda: here.add_(there),
            lambda: torch.stack([there, here]),
            lambda: there.index_select(0, torch.tensor([0])),
        ):
            with pytest.raises(RuntimeError, match="meets one elsewhere"):
                meet()


@pytest.mark.parametrize("preset", PRESETS)
def test_a_step(preset):
    given = problem(preset)
    loss, gradients = step_on(given, given.model, torch.device("cpu"))
    model = moved(copy.deepcopy(given.model))
    with OnIt():
        same_loss, same = step_on(given, model, DEVICE)
    assert same_loss == loss
    assert all(torch.equal(same[name], gradient) for name, gradient in gradients.items())


@pytest.mark.parametrize("preset", ["evidence", "sams-vae"])
@pytest.mark.parametrize("basal", ["controls", "prior"])
def test_effects(preset, basal, monkeypatch):
    monkeypatch.setattr(torch, "inference_mode", torch.no_grad)  # views of wrapped tensors do not know it
    given = problem(preset, combinations=True)
    settings = InferenceSettings(guide_samples=4, basal_draws=2, spread_samples=3, basal=basal)
    names = (given.prepared.perturbations[0], given.prepared.perturbations[-1])
    here = EffectPredictor(given.model.eval(), given.prepared, settings)
    model = moved(copy.deepcopy(given.model))
    with OnIt():
        there = EffectPredictor(model, given.prepared, settings)  # type: ignore[arg-type]
        found = there.effects(names)
        change = np.linspace(-1, 1, given.prepared.cells.n_vars)
        folds = there.folds_of(change)
        counts = there.draw_counts(None, given.prepared.cells.var_names[0])
    expected = here.effects(names)
    for name in ("mean", "deviation", "fold", "fold_deviation"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=1e-5)
    np.testing.assert_allclose(folds, here.folds_of(change), atol=1e-4)
    assert [len(values) for values in counts] == [8, 8]
