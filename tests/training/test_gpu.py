"""A GPU against the CPU: the same loss, gradients and effects, and trainings that go from one to the other.

`make gpu` runs these beside the timings of benchmarks/gpu.py. GPOVAE_TEST_DEVICE=cpu runs them without a GPU,
against the CPU itself.
"""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gpovae_core.config import InferenceSettings, Settings
from gpovae_core.data.batches import CellBatches
from gpovae_core.model.loss import LossInputs, loss_terms
from gpovae_core.model.losses import all_terms
from gpovae_core.model.module import GuideNoise
from gpovae_core.model.products import Precision, products
from gpovae_core.questions.predicted import EffectPredictor
from gpovae_core.runs.folder import DataSource, RunFolder
from gpovae_core.runs.model import load_model
from gpovae_core.training.fit import fit
from tests.model.test_literal import PRESETS, Problem, gradients, problem
from tests.toy import tiny_settings, toy_cells

KIND = os.environ.get("GPOVAE_TEST_DEVICE", "cuda")
DEVICE = torch.device(KIND)
ON_GPU = [
    pytest.mark.gpu,
    pytest.mark.skipif(
        KIND == "cuda" and not torch.cuda.is_available(),
        reason="needs a GPU (GPOVAE_TEST_DEVICE=cpu tries them without one)",
    ),
]


def gpu(test: Any) -> Any:
    for mark in ON_GPU:
        test = mark(test)
    return test


def step_on(
    given: Problem, model: torch.nn.Module, device: torch.device, precision: Precision = "float32"
) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients of one batch on a device where `model` is, with random numbers that are the same for
    any.
    """
    cells: CellBatches = given.dataset
    batch = cells.__getitems__(list(range(min(len(cells), 256))))
    generator = torch.Generator().manual_seed(1)
    particles, guide = given.settings.training.particles, given.model.guide
    noise = [
        GuideNoise(part.mask.to(device), part.effect.to(device), part.artifact.to(device))
        for part in (guide.noise(particles, len(batch.rows), generator) for _ in range(2))
    ]
    basal = torch.randn(particles, len(batch.group), given.settings.model.latent, generator=generator)
    batch = batch.to(device)
    with products(precision):
        inference = model.infer(batch, *noise, basal.to(device))  # type: ignore[operator]
        inputs = LossInputs(
            model,  # type: ignore[arg-type]
            batch,
            inference,
            given.weights.to(device),
            given.measured.to(device),
            given.settings.loss,
            kl_scale=0.5,
        )
        total = loss_terms(inputs).total
        found = gradients(model, total)  # type: ignore[arg-type]
    return float(total.detach()), {name: gradient.to("cpu") for name, gradient in found.items()}


@gpu
@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize("preset", PRESETS)
def test_loss_and_gradients(preset, size, precision):
    """float32: the loss to 1e-5, every gradient to a thousandth of its norm; bf16: the loss to 1 %, all
    gradients together to a tenth.
    """
    given = problem(preset, size)
    loss, expected = step_on(given, given.model, torch.device("cpu"))
    found_loss, found = step_on(given, copy.deepcopy(given.model).to(DEVICE), DEVICE, precision)
    exact = precision == "float32"
    assert found_loss == pytest.approx(loss, rel=1e-5 if exact else 1e-2)
    assert set(found) == set(expected)
    flat, expected_flat = (
        torch.cat([gradient.flatten() for _, gradient in sorted(part.items())]) for part in (found, expected)
    )
    assert (flat - expected_flat).norm() <= (1e-4 if exact else 0.1) * expected_flat.norm()
    largest = max(float(gradient.norm()) for gradient in expected.values())
    for name, gradient in expected.items():
        if exact:
            difference = float((found[name] - gradient).norm())
            assert difference <= 1e-3 * float(gradient.norm()) + 1e-6 * largest, name


@gpu
@pytest.mark.parametrize("preset", PRESETS)
def test_effects(preset):
    given = problem(preset, combinations=True)
    settings = InferenceSettings(guide_samples=20)
    names = given.prepared.perturbations
    expected = EffectPredictor(given.model.eval(), given.prepared, settings).effects(names)
    model = copy.deepcopy(given.model).to(DEVICE).eval()
    found = EffectPredictor(model, given.prepared, settings).effects(names)
    for name in ("mean", "deviation", "fold", "fold_deviation"):
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), atol=2e-4)


def settings_for(kind: str, preset: str, epochs: int, **training: object) -> Settings:
    return tiny_settings(
        preset, training={"device": kind, "epochs": epochs, "learning_rate": 3e-3, **training}
    )


def go_on(run: RunFolder, settings: Settings) -> None:
    run.write_settings(settings)
    fit(run, toy_cells(), settings, resume=True)


def new_run(folder: Path, settings: Settings) -> RunFolder:
    run = RunFolder.create(folder, settings, DataSource(path="toy.h5ad", simulated=True))
    run.write_cells(toy_cells())
    return run


@gpu
@pytest.mark.parametrize("preset", PRESETS)
def test_a_training_goes_from_the_cpu_to_the_gpu_and_back(tmp_path, preset):
    """Fifteen epochs, each third elsewhere, against fifteen on the CPU: the draws are others on a GPU, the
    curve is the same up to their noise.
    """
    moving = new_run(tmp_path / "moving", settings_for("cpu", preset, 5))
    for kind, epochs in (("cpu", 5), (KIND, 10), ("cpu", 15)):
        go_on(moving, settings_for(kind, preset, epochs))
    assert f"training on {KIND}" in (moving.path / "log.txt").read_text()
    staying = new_run(tmp_path / "staying", settings_for("cpu", preset, 15))
    go_on(staying, settings_for("cpu", preset, 15))
    found, expected = moving.metrics(), staying.metrics()
    assert list(found["epoch"]) == list(range(1, 16))
    terms = [term.key for term in all_terms()]
    np.testing.assert_allclose(found[terms].sum(axis=1), found["train_loss"], rtol=1e-4)
    fallen = expected["validation_loss"].iloc[0] - expected["validation_loss"].iloc[-1]
    assert fallen > 0
    np.testing.assert_allclose(found["validation_loss"], expected["validation_loss"], atol=0.15 * fallen)
    assert all(torch.isfinite(value).all() for value in load_model(moving).state_dict().values())


@gpu
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_a_training_on_the_gpu_learns(tmp_path, precision):
    settings = settings_for(KIND, "evidence", 15, precision=precision)
    run = new_run(tmp_path / "run", settings)
    fit(run, toy_cells(), settings)
    losses = run.metrics()["validation_loss"]
    assert losses.iloc[-1] < losses.iloc[0] - 1
