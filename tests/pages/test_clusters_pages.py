"""Where a run is to be trained: the pages with a clusters.toml, over recorded answers of SLURM's commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from gpovae_core.runs import jobs
from gpovae_core.runs.clusters import slurm, submit
from gpovae_core.runs.clusters.sites import find_site, request
from gpovae_core.runs.folder import RunFolder, find_runs
from gpovae_core.sweeps.folder import SweepFolder
from tests.app_words import Opener, words
from tests.data.small import small_cells
from tests.fake_run import make_fake_run
from tests.fake_slurm import SITES, FakeSlurm


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "runs").mkdir()
    (tmp_path / "clusters.toml").write_text(SITES)
    monkeypatch.setenv("GPOVAE_DATA_DIR", str(tmp_path / "data"))
    small_cells().write_h5ad(tmp_path / "data" / "cells.h5ad")
    monkeypatch.setattr(jobs, "start_estimate", lambda source, settings: None)
    return tmp_path


def bars(app: AppTest) -> list[str]:
    return [bar.proto.text.replace("\\", "") for bar in app.get("progress")]


def click(app: AppTest, label: str) -> AppTest:
    return next(button for button in app.button if button.label == label).click().run()


def test_a_run_goes_where_it_is_sent_and_is_seen_to_wait(
    open_app: Opener, place: Path, fake_slurm: FakeSlurm
) -> None:
    fake_slurm.says("squeue", "71|PENDING|Priority||gpovae-cells\n")
    app = open_app("train", folder=place / "runs", data="cells.h5ad")
    assert app.selectbox(key="train_where").options == ["this machine", "gpu: Four nodes"]
    app = app.selectbox(key="train_where").set_value("gpu").run()
    assert app.number_input(key="train_gpu_GPUs").value == 2
    app = app.number_input(key="train_gpu_GPUs").set_value(1).run()
    assert "--on gpu --gpus 1 --jobs 4 --memory 8 --hours 1.5" in words(app)
    fake_slurm.says("sbatch", err="sbatch: error: Batch job submission failed: Invalid qos specification")
    app = click(app, "Start training")
    assert "the quality of service 'your default' may not be used" in " ".join(
        e.value for e in app.error
    ).replace("\\", "")
    assert find_runs(place / "runs") == []
    fake_slurm.says("sbatch", "71\n")
    app = click(app, "Start training")
    assert not app.exception
    run = RunFolder.open(place / "runs" / "cells")
    assert (run.status().job, submit.kept(run).gpus) == ("71", 1)
    assert bars(app) == ["Waiting in the queue of gpu (other jobs come first)"]
    fake_slurm.says_once_cancelled("71|CANCELLED|None||gpovae-cells\n")
    slurm.forget("71")
    app = click(app, "Stop training")
    assert "stopped on request in the queue of gpu" in words(app)
    fake_slurm.says("squeue", "71|PENDING|Resources||gpovae-cells\n")
    app = click(app, "Resume at gpu")
    assert bars(app) == ["Waiting in the queue of gpu (what it needs is in use)"]


def test_how_a_job_ended_is_said_and_a_broken_file_stops_nothing_here(
    open_app: Opener, place: Path, fake_slurm: FakeSlurm
) -> None:
    run = make_fake_run(place / "runs" / "lost")
    submit.keep(run, request("gpu", find_site("gpu", place / "runs")))
    run.write_status(state="queued", site="gpu", job="71", node="n3")
    fake_slurm.says("squeue", "71|NODE_FAIL|None|n3|gpovae-cells\n")
    (place / "clusters.toml").write_text("[gpu]\ngpus = 'many'\n[gpu two]\n")
    app = open_app("train", folder=place / "runs", data="cells.h5ad", run="lost")
    assert "the node was lost (n3)" in words(app).replace("\\", "")
    assert {"Resume at gpu", "Resume on this machine", "Start training"} <= {b.label for b in app.button}
    assert any("clusters" in error.value and "TOML" in error.value for error in app.error)


def test_the_workers_of_a_sweep_are_sent(open_app: Opener, place: Path, fake_slurm: FakeSlurm) -> None:
    fake_slurm.says("squeue", "71|PENDING|Resources||gpovae-cells\n")
    app = open_app("experiments", folder=place / "runs", data="cells.h5ad")
    app = app.selectbox(key="sweep_plan").set_value("loss-ablation").run()
    app = app.selectbox(key="sweep_where").set_value("gpu").run()
    app = app.number_input(key="sweep_new_workers").set_value(2).run()
    app = click(app, "Start the sweep")
    assert not app.exception
    (path,) = (found.parent for found in (place / "runs").glob("*/sweep.json"))
    assert [worker.status().job for worker in SweepFolder.open(path).workers()] == ["71", "71"]
    assert words(app).replace("\\", "").count("waiting in the queue of gpu (what it needs is in use)") == 2
