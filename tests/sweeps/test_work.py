"""Workers: every point once, however many work, stop, die or sit on other machines."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter

import numpy as np
import pandas as pd
import pytest

import gpovae_core.sweeps.work as working
from gpovae_core.errors import RunError, SettingsError
from gpovae_core.runs.jobs import StopRequest
from gpovae_core.sweeps.folder import SWEEP, SweepFolder, find_sweeps, share_of_cores
from gpovae_core.sweeps.results import front, results, summary, summary_words
from tests.conftest import PROJECT
from tests.sweeps.stand_in import make, put_in, tried, values_of


@pytest.fixture
def pretend(monkeypatch):
    def put(**how):
        run, measure = put_in(**how)
        monkeypatch.setattr(working, "_run", run)
        monkeypatch.setattr(working, "measure_run", measure)

    put()
    return put


def worker_process(folder, seconds=0.0):
    command = [sys.executable, "-m", "tests.sweeps.stand_in", str(folder.path), str(seconds)]
    return subprocess.Popen(command, cwd=PROJECT)


def test_a_grid_is_tried_once_with_means_and_spreads_over_seeds(tmp_path, pretend):
    folder = make(tmp_path)
    worker = working.work(folder)
    assert worker.status().state == "done"
    assert len(tried(folder)) == len(set(tried(folder))) == 12
    found = results(folder)
    assert found.total == len(found.points) == found.count("done") == 6
    for _, row in found.points.iterrows():
        scores = [
            values_of({name: row[name] for name in ("loss.hops", "loss.sparsity")}, seed) for seed in (0, 1)
        ]
        for name in ("ate_rho", "edges"):
            assert row[name] == pytest.approx(np.mean([s[name] for s in scores]))
            assert row[f"{name}_sd"] == pytest.approx(np.std([s[name] for s in scores], ddof=1))
    assert np.isnan(found.points["mu_wd"]).all()
    assert set(found.runs["run"]) == set(folder.runs())
    working.work(folder)
    assert len(tried(folder)) == 12, "nothing is left to do"


def test_the_front_is_what_nothing_beats():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(rng.integers(0, 6, size=(40, 2)).astype(float), columns=["a", "b"])
    table.loc[3, "a"] = np.nan
    found = front(table, {"a": "maximize", "b": "minimize"})
    for i, (a, b) in enumerate(table.to_numpy()):
        beaten = any(c >= a and d <= b and (c > a or d < b) for c, d in table.to_numpy())
        assert found[i] == (not np.isnan(a) and not beaten)


def test_failures_are_told_and_tried_again_when_asked(tmp_path, pretend):
    folder = make(tmp_path)
    pretend(broken=lambda point, seed: point["loss.hops"] == 2 and seed == 1)
    working.work(folder)
    found = results(folder)
    assert (found.count("done"), found.count("failed")) == (4, 2)
    assert (
        found.points.loc[found.points["state"] == "failed", "reason"]
        .str.contains("seed 1: broken on purpose")
        .all()
    )
    assert not found.points.loc[found.points["state"] == "failed", "on_front"].any()
    assert len(tried(folder)) == 12
    pretend()
    working.work(folder)
    assert len(tried(folder)) == 12, "not without being asked"
    working.work(folder, retry=True)
    assert results(folder).count("done") == 6


def test_a_point_without_a_score_is_done_and_shown(tmp_path, pretend):
    folder = make(tmp_path)
    pretend(undefined=lambda point, seed: point["loss.sparsity"] == 5.0)
    working.work(folder)
    found = results(folder)
    assert found.count("done") == 6
    assert (
        found.points.loc[found.points["loss.sparsity"] == 5.0, "reason"]
        .str.contains("not defined for every seed: ate_rho, edges")
        .all()
    )
    assert summary(folder)["finished"] == 6
    assert "undefined" in summary_words(summary(folder))
    json.dumps(summary(folder), allow_nan=False)


@pytest.mark.slow
def test_two_workers_do_not_repeat_a_point(tmp_path):
    folder = make(tmp_path)
    both = [worker_process(folder, 0.3) for _ in range(2)]
    assert [process.wait(120) for process in both] == [0, 0]
    lines = (tmp_path / "tried.txt").read_text().splitlines()
    assert len(lines) == len(set(tried(folder))) == 12
    assert len(Counter(line.rpartition(" ")[2] for line in lines)) == 2, "both had something to do"
    assert results(folder).count("done") == 6


@pytest.mark.slow
def test_the_point_of_a_killed_worker_is_taken_over(tmp_path, pretend):
    folder = make(tmp_path)
    process = worker_process(folder, 60)
    limit = time.monotonic() + 60
    while not tried(folder):
        assert time.monotonic() < limit
        time.sleep(0.05)
    process.kill()
    process.wait()
    assert results(folder).count("interrupted") == 1
    working.work(folder)
    found = results(folder)
    assert found.count("done") == 6
    assert Counter(tried(folder)).most_common(1)[0][1] == 2, "the interrupted run alone was begun twice"
    assert len(tried(folder)) == 13


def test_a_stopped_sweep_goes_on(tmp_path, pretend, monkeypatch):
    folder = make(tmp_path)
    inner, begun = working._run, []

    def stop_in_the_fourth(*arguments):
        begun.append(arguments[1:4])
        if len(begun) == 4:
            raise StopRequest
        return inner(*arguments)

    monkeypatch.setattr(working, "_run", stop_in_the_fourth)
    assert working.work(folder).status().state == "stopped"
    assert results(folder).count("interrupted") == 1
    working.work(SweepFolder.open(folder.path))
    assert results(folder).count("done") == 6
    assert begun[3] == begun[4], "it went on with the run that was stopped"


def test_machines_share_a_sweep_through_one_storage(tmp_path, pretend, monkeypatch):
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    here, there = make(tmp_path, "here", storage), make(tmp_path, "there", storage)
    inner, begun = working._run, []

    def stop_in_the_fifth(*arguments):
        begun.append(1)
        if len(begun) == 5:
            raise StopRequest
        return inner(*arguments)

    monkeypatch.setattr(working, "_run", stop_in_the_fifth)
    working.work(here)
    monkeypatch.setattr(working, "_run", inner)
    working.work(there)
    assert results(there).count("done") == 5, "the point that the other machine is at is left to it"
    assert set(results(there).runs["run"]) - set(there.runs()), (
        "its runs are elsewhere, what they measured is here"
    )
    working.work(here)
    assert results(there).count("done") == 6
    assert len(tried(here)) == len(set(tried(here))) == 12


def test_a_sampler_tries_so_many_points_and_goes_on(tmp_path, pretend):
    axes = {
        "loss.sparsity": {"low": 0.1, "high": 10.0, "log": True},
        "loss.hops": {"low": 1, "high": 9},
        "model.latent": [4, 8],
    }
    folder = make(
        tmp_path, axes=axes, sampler="tpe", trials=14, seeds=[0], objectives={"ate_rho": "maximize"}
    )
    working.work(folder)
    points = results(folder).points
    assert len(points) == 14
    assert points["loss.sparsity"].between(0.1, 10.0).all()
    assert set(points["loss.hops"]) <= set(range(1, 10))
    working.work(folder)
    assert len(results(folder).points) == 14


def test_what_is_no_sweep_is_said_in_words(tmp_path, pretend):
    with pytest.raises(RunError, match="not a sweep"):
        SweepFolder.open(tmp_path)
    folder = make(tmp_path)
    with pytest.raises(RunError, match="already exists"):
        make(tmp_path)
    with pytest.raises(RunError, match="no file"):
        SweepFolder.create(tmp_path / "x", folder.plan, tmp_path / "nothing.h5ad")
    with pytest.raises(SettingsError, match="password"):
        make(tmp_path, "y", "postgresql://me:secret@host/db")
    with pytest.raises(SettingsError, match="no folder"):
        make(tmp_path, "z", str(tmp_path / "no" / "journal"))
    broken = make(tmp_path, "broken", f"sqlite:///{tmp_path}/no/such/study.db")
    with pytest.raises(RunError, match="cannot be opened"):
        results(broken)
    assert {sweep.name for sweep in find_sweeps(tmp_path)} == {"sweep", "broken"}
    config = json.loads((folder.path / SWEEP).read_text())
    (folder.path / SWEEP).write_text(json.dumps({**config, "format": 99}))
    with pytest.raises(RunError, match="Update gpovae"):
        SweepFolder.open(folder.path)
    (folder.path / SWEEP).write_text("{")
    with pytest.raises(RunError, match="damaged"):
        SweepFolder.open(folder.path)


def test_a_worker_that_begins_again_goes_on_with_its_own_point(tmp_path, pretend):
    folder = make(tmp_path)
    left = folder.study()
    working._fill(folder, left, False)
    working._next(folder, left, folder.new_worker("job-1"), "job-1")
    assert folder.alive(), "it is at work, so its point is left to it"
    working.work(folder, name="job-1")
    assert results(folder).count("done") == 6
    assert len(folder.workers()) == 1


def test_workers_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPOVAE_JOBS", "8")
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert share_of_cores(3) == {"GPOVAE_JOBS": "2", "OMP_NUM_THREADS": "2"}
    assert share_of_cores(20) == {"GPOVAE_JOBS": "1", "OMP_NUM_THREADS": "1"}
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert share_of_cores(1) == {"GPOVAE_JOBS": "8", "OMP_NUM_THREADS": "1"}
