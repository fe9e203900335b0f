"""Training into a run folder: repeatable, stoppable, resumable, and honest about how it ended."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from gpovae_core import keys
from gpovae_core.config import Settings, idle_settings
from gpovae_core.data.batches import CellBatches, counterfactual_profiles, training_constants
from gpovae_core.data.expression import log_expression
from gpovae_core.errors import RunError
from gpovae_core.methods.expected import measured_influence
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.model.losses import all_terms
from gpovae_core.runs.folder import DataSource, RunFolder
from gpovae_core.runs.model import load_model
from gpovae_core.training.fit import fit
from gpovae_core.training.health import health
from gpovae_core.training.task import GpoVaeTask
from tests.toy import tiny_options, tiny_settings, toy_cells, write_toy


def train(folder: Path, settings: Settings) -> RunFolder:
    run = RunFolder.create(folder, settings, DataSource(path="toy.h5ad", simulated=True))
    run.write_cells(toy_cells())
    fit(run, toy_cells(), settings)
    return run


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> RunFolder:
    return train(tmp_path_factory.mktemp("fit") / "run", tiny_settings())


@pytest.mark.parametrize("preset", ["evidence", "released", "paper"])
def test_loss_falls_and_w_moves(tmp_path, preset):
    run = train(tmp_path / "run", tiny_settings(preset, training={"epochs": 15, "learning_rate": 3e-3}))
    metrics = run.metrics()
    assert len(metrics) == 15
    assert metrics["validation_loss"].iloc[-1] < metrics["validation_loss"].iloc[0] - 1
    assert run.edge_probabilities().std() > 0.01
    terms = [term.key for term in all_terms()]
    np.testing.assert_allclose(metrics[terms].sum(axis=1), metrics["train_loss"], rtol=1e-4)


@pytest.mark.parametrize(("batch_size", "counted"), [(64, 64), (10**6, None)])
def test_the_published_sparsity_is_counted_over_a_whole_step(batch_size, counted):
    """A last batch of three cells must not make an edge dearer: sum of W / cells of a step, whatever is in
    it.
    """
    settings = tiny_settings("paper", training={"batch_size": batch_size})
    prepared = toy_cells()
    constants = training_constants(prepared)
    task = GpoVaeTask(settings, prepared, constants)
    task._generator = torch.Generator()
    cells = CellBatches(prepared, (keys.TRAIN,), counterfactual_profiles(prepared, 5, 0))
    batch = cells.__getitems__([0, 1, 2])
    found = task._terms(batch, task._infer(batch)).detached()["sparsity"]
    n = len(prepared.panel)
    step = counted or constants.training_cells
    assert float(found) == pytest.approx(settings.loss.sparsity * 0.5 * n**2 / step, rel=1e-5)


@pytest.mark.parametrize("preset", ["evidence", "released", "paper"])
def test_settings_that_are_called_idle_change_nothing(tmp_path, preset):
    plain = tiny_settings(preset, training={"epochs": 2})
    changes: dict[str, dict[str, object]] = {}
    valid: dict[str, object] = {"null_draws": 2, "ensemble": 3, "effect_offset": 0.4, "norms": "sum"}
    for path in idle_settings(plain):
        section, _, name = path.partition(".")
        changes.setdefault(section, {})[name] = valid.get(name, 0.37)
    other = tiny_settings(preset, **{"training": {"epochs": 2}, **changes})
    assert other != plain
    runs = [train(tmp_path / name, settings) for name, settings in (("plain", plain), ("other", other))]
    first, second = (run.metrics().drop(columns="seconds") for run in runs)
    assert first.equals(second)
    np.testing.assert_array_equal(runs[0].mask_logits(), runs[1].mask_logits())


def test_the_network_stage_decides_w_and_moves_the_shares(tmp_path):
    run = train(tmp_path / "run", tiny_settings("evidence"))
    fitted = NetworkFit.from_arrays(run.network_arrays())
    np.testing.assert_allclose(run.mask_logits(), fitted.log_odds, rtol=1e-6)
    model = load_model(run)
    assert model.decoder.influence is not None
    np.testing.assert_allclose(
        model.decoder.influence.numpy(), measured_influence(fitted, toy_cells()), rtol=1e-4, atol=1e-6
    )
    own = toy_cells().panel.index[toy_cells().perturbations[0]]
    batch_shift = model.decoder.shift(torch.eye(len(toy_cells().panel))[[own]])
    assert batch_shift is not None
    assert batch_shift.abs().max() > 0.3  # its knock-down at least
    again = train(tmp_path / "again", tiny_settings("evidence", training={"seed": 3}))
    np.testing.assert_array_equal(again.mask_logits(), run.mask_logits())


def test_same_seed_same_w(finished, tmp_path):
    again = train(tmp_path / "again", tiny_settings())
    np.testing.assert_allclose(again.edge_probabilities(), finished.edge_probabilities(), atol=1e-6)
    other = train(tmp_path / "other", tiny_settings(training={"seed": 1}))
    assert np.abs(other.edge_probabilities() - finished.edge_probabilities()).max() > 1e-4


def test_weights_are_those_of_the_best_epoch(finished):
    status, metrics = finished.status(), finished.metrics()
    assert status.best_epoch == int(metrics.loc[metrics["validation_loss"].idxmin(), "epoch"])
    model = load_model(finished)
    np.testing.assert_allclose(model.edge_probabilities().detach(), finished.edge_probabilities(), atol=1e-6)


def test_resumed_run_ends_where_an_unbroken_one_does(finished, tmp_path):
    half = train(tmp_path / "half", tiny_settings(training={"epochs": 2}))
    fit(half, toy_cells(), tiny_settings(), resume=True)
    numbers = [c for c in finished.metrics().columns if c != "seconds"]
    np.testing.assert_allclose(half.metrics()[numbers], finished.metrics()[numbers], rtol=1e-5)
    np.testing.assert_allclose(half.edge_probabilities(), finished.edge_probabilities(), atol=1e-6)


def test_early_stop(tmp_path):
    run = train(
        tmp_path / "run", tiny_settings(training={"epochs": 50, "patience": 2, "min_improvement": 1e6})
    )
    assert len(run.metrics()) == 3
    assert run.status().message.startswith("finished after epoch")
    assert "fell by less than" in run.status().message


def test_stop_request_ends_after_the_step_and_keeps_the_finished_epochs(tmp_path):
    settings = tiny_settings(training={"epochs": 500})
    run = RunFolder.create(tmp_path / "run", settings, DataSource(path="toy.h5ad"))
    run.write_cells(toy_cells())
    seen = threading.Event()

    def stop_soon(_stage: str, share: float) -> None:
        if share == 2 / 500 and not seen.is_set():
            seen.set()
            signal.raise_signal(signal.SIGTERM)

    fit(run, toy_cells(), settings, progress=stop_soon)
    assert run.status().state == "stopped"
    assert 2 <= run.status().epoch <= 3
    run.edge_probabilities()
    fit(run, toy_cells(), tiny_settings(training={"epochs": 5}), resume=True)
    assert run.metrics()["epoch"].tolist() == [1, 2, 3, 4, 5]


def test_divergence_is_said_and_keeps_the_last_good_weights(tmp_path):
    settings = tiny_settings(training={"learning_rate": 1e12, "epochs": 10})
    run = RunFolder.create(tmp_path / "run", settings, DataSource(path="toy.h5ad"))
    run.write_cells(toy_cells())
    with pytest.raises(RunError, match="no longer a number"):
        fit(run, toy_cells(), settings)
    assert run.status().state == "failed"


@pytest.mark.slow
def test_killed_in_mid_epoch_and_resumed(tmp_path):
    """kill -9 while it trains; the resumed run has the metrics of one that was never broken."""
    cells = write_toy(tmp_path)
    options = [*tiny_options(), "--set", "training.epochs=12", "--set", "training.batch_size=8"]

    def command(run: Path, *more: str) -> list[str]:
        return [
            sys.executable,
            "-c",
            "from gpovae_core.cli import main; main()",
            "train",
            str(cells),
            "--run",
            str(run),
            *more,
        ]

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    killed = subprocess.Popen(
        command(tmp_path / "killed", *options), env=environment, stderr=subprocess.DEVNULL
    )
    metrics = tmp_path / "killed" / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and not (metrics.exists() and metrics.read_text().count("\n") >= 3):
        assert killed.poll() is None, "finished before it could be killed"
        time.sleep(0.02)
    killed.kill()
    killed.wait()
    broken = RunFolder.open(tmp_path / "killed")
    assert broken.status().state == "training"
    assert 3 <= len(broken.metrics()) < 12
    subprocess.run(command(tmp_path / "killed", "--resume"), env=environment, check=True, capture_output=True)
    subprocess.run(command(tmp_path / "whole", *options), env=environment, check=True, capture_output=True)
    whole = RunFolder.open(tmp_path / "whole")
    assert broken.status().state == whole.status().state == "done"
    numbers = [c for c in whole.metrics().columns if c != "seconds"]
    np.testing.assert_allclose(broken.metrics()[numbers], whole.metrics()[numbers], rtol=1e-4)
    np.testing.assert_allclose(broken.edge_probabilities(), whole.edge_probabilities(), atol=1e-5)


def test_health_names_a_collapse(finished):
    report = health(load_model(finished), toy_cells(), finished.metrics(), finished.settings())
    assert report["latent"] == 4
    assert report["active_latent"] == len(report["active_dimensions"])
    model = load_model(finished)
    with torch.no_grad():
        for parameter in (
            *model.guide.basal_head.mean.parameters(),
            *model.guide.basal_head.log_variance.parameters(),
        ):
            parameter.zero_()  # the posterior is the prior
    collapsed = health(model, toy_cells(), finished.metrics(), finished.settings())
    assert collapsed["active_latent"] == 0
    assert any("collapsed" in text for text in collapsed["warnings"])


def test_batches_follow_ids_whatever_the_order_of_the_cells():
    """Mistakes 2, 4 and 6: matched controls, counterfactuals and panel columns are looked up by name."""
    prepared = toy_cells()
    order = np.random.default_rng(0).permutation(prepared.cells.n_obs)
    shuffled = type(prepared)(prepared.cells[order].copy(), prepared.panel, prepared.report)
    for cells in (prepared, shuffled):
        batches = CellBatches(cells, (keys.TRAIN,), counterfactual_profiles(cells, 1000, 0))
        batch = batches.__getitems__(list(range(0, len(batches), 7)))
        counts = batch.counts.dense()
        expression = log_expression(cells.counts, cells.library_size).toarray()
        row_of = {name: i for i, name in enumerate(cells.cells.obs_names)}
        column_of = {gene: i for i, gene in enumerate(cells.cells.var_names)}
        columns = [column_of[g] for g in cells.panel.genes if g in column_of]
        for b, position in enumerate(batches.positions[::7]):
            label, control = cells.labels[position], cells.cells.obs[keys.CONTROL_ID].iloc[position]
            np.testing.assert_array_equal(counts[b], cells.counts[position].toarray()[0])
            np.testing.assert_array_equal(batch.dosage[batch.group[b]], cells.panel.dosage(label))
            if label == keys.CONTROL:
                assert not batch.effects[b].any()
                continue
            expected = np.abs(expression[position] - expression[row_of[control]])[columns]
            np.testing.assert_allclose(batch.effects[b], expected, rtol=1e-5, atol=1e-6)
            assert cells.cells.obs[keys.SPLIT].iloc[row_of[control]] == keys.TRAIN
            failing = np.asarray(cells.cells.obs[keys.ARTIFACT], dtype=bool)
            same = cells.where(label, (keys.TRAIN,)) & (failing != failing[position])
            assert batch.has_profile[batch.profile[b]] == same.any()
            if same.any():
                median = np.median(cells.counts[np.flatnonzero(same)].toarray(), axis=0)
                np.testing.assert_array_equal(batch.profiles[batch.profile[b]], median)


def test_training_constants_use_training_cells_only():
    prepared = toy_cells()
    constants = training_constants(prepared)
    training = prepared.where(splits=(keys.TRAIN,))
    logs = np.log1p(prepared.counts[np.flatnonzero(training)].toarray())
    np.testing.assert_allclose(constants.log_mean, logs.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(constants.log_std, logs.std(axis=0, ddof=1), rtol=1e-4)
    assert constants.training_cells == training.sum()
    for gene, count in zip(prepared.panel.genes, constants.cells_per_gene, strict=True):
        assert count == (prepared.labels[training] == gene).sum()
