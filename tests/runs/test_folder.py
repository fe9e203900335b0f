"""The run folder: written as a whole, read with care."""

from __future__ import annotations

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from gpovae_core.config import make_settings
from gpovae_core.data.atomic import write_text
from gpovae_core.data.schema import PanelData
from gpovae_core.errors import RunError
from gpovae_core.runs.folder import FORMAT, MASK_LOGITS, DataSource, RunFolder, find_runs


@pytest.fixture
def run(tmp_path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", make_settings(), DataSource(path="cells.h5ad"))


def test_settings_and_source_come_back(run):
    assert RunFolder.open(run.path).settings() == make_settings()
    assert run.source() == DataSource(path="cells.h5ad")
    run.write_source(DataSource(path="x", simulated=True))
    assert run.source().simulated
    assert run.settings() == make_settings()


def test_a_folder_with_something_in_it_is_not_overwritten(run, tmp_path):
    with pytest.raises(RunError, match="--resume"):
        RunFolder.create(run.path, make_settings(), DataSource(path="x"))
    (tmp_path / "file").write_text("mine")
    with pytest.raises(RunError, match="already exists"):
        RunFolder.create(tmp_path / "file", make_settings(), DataSource(path="x"))


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(RunError, match="no config"):
        RunFolder.open(tmp_path)


@pytest.mark.parametrize("found", [FORMAT + 1, "one", None])
def test_a_run_from_the_future_is_refused(run, found):
    config = json.loads((run.path / "config.json").read_text())
    (run.path / "config.json").write_text(json.dumps({**config, "format": found}))
    with pytest.raises(RunError, match="format"):
        RunFolder.open(run.path)


@pytest.mark.parametrize("text", ["", "{", "[]", "\x00\x01"])
def test_damaged_json_is_named(run, text):
    (run.path / "status.json").write_text(text)
    with pytest.raises(RunError, match=r"status\.json"):
        run.status()


def test_status_changes_keep_the_rest_and_beat(run):
    first = run.status()
    run.write_status(state="training", epoch=3)
    second = run.status()
    assert (second.state, second.epoch, second.started) == ("training", 3, first.started)
    assert second.heartbeat >= first.heartbeat


def panel(run: RunFolder, n: int) -> None:
    data = PanelData(perturbed=tuple(f"G{i}" for i in range(n)), extended=(), measured=())
    write_text(run.path / "panel.json", data.model_dump_json())


def test_w_is_the_sigmoid_of_the_logits(run):
    panel(run, 2)
    logits = np.array([[0.0, 2.0], [-40.0, 40.0]], dtype=np.float32)
    save_file({MASK_LOGITS: logits}, run.path / "model.safetensors")
    np.testing.assert_allclose(run.edge_probabilities(), 1 / (1 + np.exp(-logits.astype(float))))


@pytest.mark.parametrize(
    ("logits", "message"),
    [(np.zeros((3, 3), np.float32), "panel has 2"), (np.full((2, 2), np.nan, np.float32), "not numbers")],
)
def test_w_that_cannot_be_used_is_refused(run, logits, message):
    panel(run, 2)
    save_file({MASK_LOGITS: logits}, run.path / "model.safetensors")
    with pytest.raises(RunError, match=message):
        run.mask_logits()


def test_weights_missing_or_damaged(run):
    panel(run, 2)
    with pytest.raises(RunError, match="no trained weights"):
        run.mask_logits()
    (run.path / "model.safetensors").write_bytes(b"\x80\x04\x95not safetensors")
    with pytest.raises(RunError, match="damaged"):
        run.mask_logits()


def test_metrics_survive_a_half_written_line_and_a_repeated_epoch(run):
    assert run.metrics().empty
    for epoch, loss in ((1, 3.0), (2, 2.5), (2, 2.4)):
        run.append_metrics({"epoch": epoch, "loss": loss})
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "lo')
    assert run.metrics().to_dict("list") == {"epoch": [1, 2], "loss": [3.0, 2.4]}


def test_find_runs_passes_over_everything_else(run, tmp_path):
    (tmp_path / "notes").mkdir()
    (tmp_path / "file").write_text("x")
    assert [found.name for found in find_runs(tmp_path)] == ["run"]
    assert find_runs(tmp_path / "nowhere") == []


def test_evaluation_refuses_nan(run):
    with pytest.raises(ValueError, match="JSON"):
        run.write_evaluation({"score": float("nan")})


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"not hdf5 at all"])
def test_damaged_h5ad_is_named(run, content):
    for name, read in (("cells.h5ad", run.cells), ("cells.h5ad", run.report), ("effects.h5ad", run.effects)):
        (run.path / name).write_bytes(content)
        with pytest.raises(RunError, match=name):
            read()
