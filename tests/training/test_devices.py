"""Several processes that train together: the same batches shared out, the same bound, one writer, one loss
curve.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gpovae_core import keys
from gpovae_core.config import Settings, TrainingSettings
from gpovae_core.data.batches import CellBatches, counterfactual_profiles, training_constants
from gpovae_core.errors import RunError, SettingsError
from gpovae_core.model.loss import PlateWeights, row_weights
from gpovae_core.runs import waiting
from gpovae_core.runs.folder import DataSource, RunFolder
from gpovae_core.training import ranks
from gpovae_core.training.fit import CellOrder, Shard, fit
from tests.conftest import PROJECT
from tests.toy import tiny_options, tiny_settings, toy_cells, write_toy

VARIABLES = (*ranks.RANK_VARIABLES, "NODE_RANK", "WORLD_SIZE", "SLURM_NTASKS")


@pytest.fixture(autouse=True)
def no_launcher(monkeypatch):
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("seed", [3, None])
@pytest.mark.parametrize(("size", "world", "batch"), [(64, 2, 16), (61, 2, 16), (61, 4, 16), (3, 4, 8)])
def test_the_shares_of_a_step_are_the_batch_of_one_process(seed, size, world, batch):
    alone = CellOrder(size, seed)
    shares = [CellOrder(size, seed, Shard(world, lambda rank=rank: rank)) for rank in range(world)]
    for order in (alone, *shares):
        order.set_epoch(2)
    whole, parts = list(alone), [list(share) for share in shares]
    assert {len(part) for part in parts} == {len(shares[0])}
    for step in range(size // batch):  # the last, smaller one may take a few cells twice
        taken = {
            cell for part in parts for cell in part[step * (batch // world) : (step + 1) * (batch // world)]
        }
        assert taken == set(whole[step * batch : (step + 1) * batch])
    assert {cell for part in parts for cell in part} == set(range(size))
    assert sum(map(len, parts)) < size + world


@pytest.mark.parametrize("seed", [3, None])
def test_of_a_large_screen_an_epoch_takes_a_part(seed):
    order = CellOrder(103, seed, most=25)
    epochs = []
    for epoch in range(10):
        order.set_epoch(epoch)
        epochs.append(list(order))
    assert {len(epoch) for epoch in epochs} == {len(order)} == {21}
    if seed is None:
        assert epochs[0] == epochs[1]
        assert max(np.diff(epochs[0])) == 5, "spread over all of the file"
        return
    assert set().union(*epochs[:5]) == set().union(*epochs[5:]) == set(range(103))
    assert sum(map(len, epochs[:5])) == 105
    assert epochs[0] != epochs[5]
    whole = CellOrder(103, seed, most=103)
    assert list(whole) == list(CellOrder(103, seed)), "a screen that is small enough is gone over as ever"


def test_weights_of_the_plates_are_those_of_the_whole_training_set_on_every_share():
    """The mean over shares of the rows' weights, which is what averaged gradients see, is the weight in the
    whole batch.
    """
    prepared = toy_cells()
    constants = training_constants(prepared)
    weights = PlateWeights.from_constants(constants, balance=True)
    cells = CellBatches(prepared, (keys.TRAIN,), counterfactual_profiles(prepared, 5, 0))
    order = list(CellOrder(len(cells), 0))[:64]

    def by_gene(positions: list[int]) -> torch.Tensor:
        batch = cells.__getitems__(positions)
        return torch.zeros(len(prepared.panel)).index_add(0, batch.rows, row_weights(batch, weights))

    shares = [by_gene(order[rank::2]) for rank in range(2)]
    torch.testing.assert_close(torch.stack(shares).mean(dim=0), by_gene(order))
    assert len(constants.cells_per_gene) == len(prepared.panel)


@pytest.mark.parametrize(
    ("set_to", "first"),
    [
        ({}, True),
        ({"RANK": "0", "LOCAL_RANK": "0"}, True),
        ({"RANK": "5", "LOCAL_RANK": "0"}, False),
        ({"LOCAL_RANK": "1", "NODE_RANK": "0"}, False),
        ({"LOCAL_RANK": "0", "NODE_RANK": "1"}, False),
        ({"SLURM_PROCID": "3"}, False),
    ],
)
def test_which_process_is_the_first(monkeypatch, set_to, first):
    for name, value in set_to.items():
        monkeypatch.setenv(name, value)
    assert ranks.is_first(TrainingSettings(devices=4, nodes=2)) is first
    assert ranks.is_first(
        TrainingSettings()
    )  # many trainings of one process each, side by side in one SLURM job


def test_a_launch_of_another_size_is_refused(monkeypatch):
    ranks.check_launch(TrainingSettings(devices=4))
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "8")
    ranks.check_launch(TrainingSettings(devices=4, nodes=2))
    with pytest.raises(SettingsError, match=r"8 processes were started .* which is 4"):
        ranks.check_launch(TrainingSettings(devices=4))


def test_the_others_wait_for_the_first(tmp_path, monkeypatch):
    settings: Settings = tiny_settings("evidence")
    run = RunFolder.create(tmp_path / "run", settings, DataSource(path="toy.h5ad"))
    run.write_cells(toy_cells())
    polls = []

    def poll(_seconds: float) -> None:
        polls.append(None)
        if len(polls) == 1:
            run.write_status(state="training")
        if len(polls) == 2:
            run.write_network({"evidence": np.zeros((1, 1))})

    monkeypatch.setattr("time.sleep", poll)
    assert waiting.wait_for_first(run.path).path == run.path
    assert len(polls) == 2
    run.write_status(state="failed", message="no cells")
    with pytest.raises(RunError, match="no cells"):
        waiting.wait_for_first(run.path)
    monkeypatch.setattr(waiting, "LONGEST_SILENCE", -1.0)
    with pytest.raises(RunError, match="gave no sign"):
        waiting.wait_for_first(tmp_path / "nothing")


@pytest.mark.slow
def test_two_processes_learn_what_one_learns(tmp_path):
    """Two CPU processes (gloo), started by the command itself; the loss curve is that of one process up to
    the noise of its draws.
    """
    settings = {"epochs": 5, "learning_rate": 3e-3, "batch_size": 64}
    cells = write_toy(tmp_path)
    options = [
        *tiny_options(),
        *(f"--set=training.{name}={value}" for name, value in settings.items()),
        "--device",
        "cpu",
    ]
    command = [
        sys.executable,
        "-m",
        "gpovae_core.cli",
        "train",
        str(cells),
        "--run",
        str(tmp_path / "two"),
        "--preset",
        "released",
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, *options, "--devices", "2"],
        cwd=PROJECT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    two = RunFolder.open(tmp_path / "two")
    assert two.status().state == "done"
    assert "and 1 more" in (two.path / "log.txt").read_text()
    assert two.metrics()["epoch"].tolist() == list(range(1, 6))

    curves = {}
    for seed in range(2):
        run = RunFolder.create(
            tmp_path / f"one{seed}",
            tiny_settings("released", training={**settings, "seed": seed}),
            DataSource(path=""),
        )
        run.write_cells(two.cells())
        fit(run, two.cells(), tiny_settings("released", training={**settings, "seed": seed}))
        curves[seed] = run.metrics()
    for name in ("validation_loss", "train_loss"):
        found, alone = two.metrics()[name].to_numpy(), curves[0][name].to_numpy()
        fall = alone[0] - alone[-1]
        noise = np.abs(curves[1][name].to_numpy() - alone).max()
        assert np.abs(found - alone).max() < max(noise, 0.1 * fall), (name, found, alone)
        assert fall > 1
    assert Path(two.path / "model.safetensors").is_file()
