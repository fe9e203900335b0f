"""Ensembles: frequencies and stability against plain counting, stop and resume, refusals."""

from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from scipy.special import expit
from typer.testing import CliRunner

from gpovae_core.cli import app
from gpovae_core.errors import RunError, SettingsError
from gpovae_core.methods.network_fit import fit_edges, fit_network
from gpovae_core.runs import ensemble as module
from gpovae_core.runs.ensemble import (
    FILE,
    EnsembleJob,
    EnsemblePlan,
    Member,
    follow_training,
    make_ensemble,
    read_ensemble,
    stability,
    strongest,
    submit_ensemble,
    summarise,
)
from gpovae_core.runs.folder import DataSource, RunFolder
from gpovae_core.runs.jobs import StopRequest, stop
from tests.toy import tiny_options, tiny_settings, toy_cells, write_toy


@pytest.fixture
def run(tmp_path):
    """Cells and settings of the network stage; W itself is not needed."""
    return _run(tmp_path / "run", "evidence")


def _run(path, preset, **sections):
    made = RunFolder.create(
        path, tiny_settings(preset, **sections), DataSource(path="toy.h5ad", simulated=True)
    )
    made.write_cells(toy_cells())
    made.write_status(state="done")
    return made


def members(count, n, seed=0):
    rng = np.random.default_rng(seed)
    truth = rng.normal(-1, 3, size=(n, n))
    return [
        Member(truth + rng.normal(0, 1, size=(n, n)), rng.choice([-1, 0, 1], size=(n, n)))
        for _ in range(count)
    ]


def test_cells_as_they_are_give_the_network_of_the_run():
    prepared, settings = toy_cells(), tiny_settings("evidence")
    whole, again = (
        fit_network(prepared, settings),
        fit_edges(prepared, settings, np.arange(prepared.cells.n_obs)),
    )
    assert np.array_equal(whole.log_odds, again.log_odds)
    assert np.array_equal(whole.strength, again.strength)


def test_frequencies_and_spread_are_those_of_plain_counting():
    panel = toy_cells().panel
    all_of_them = members(7, len(panel))
    found = summarise(iter(all_of_them), panel, 0.7)
    w = np.array([expit(m.log_odds) for m in all_of_them])
    sign = np.array([m.sign for m in all_of_them])
    assert found.members == 7
    assert np.array_equal(found.frequency, (w > 0.7).mean(axis=0))
    np.testing.assert_allclose(found.mean, w.mean(axis=0), atol=1e-12)
    np.testing.assert_allclose(found.sd, w.std(axis=0, ddof=1), atol=1e-6)
    for i, j in ((0, 1), (3, 2), (5, 9)):
        signs = [s for s, is_edge in zip(sign[:, i, j], w[:, i, j] > 0.7, strict=True) if is_edge and s != 0]
        expected = max(signs.count(1), signs.count(-1)) / len(signs) if signs else np.nan
        np.testing.assert_equal(found.sign_agreement[i, j], expected)


def test_stability_is_the_jaccard_index_of_sets():
    rng = np.random.default_rng(1)
    values = [rng.normal(size=300) + np.linspace(0, 3, 300) for _ in range(4)]
    table = stability([strongest(v, 200, rng) for v in values], 300, usual=60)
    for k, row in table.set_index("edges").iterrows():
        sets = [set(np.argsort(-v)[:k]) for v in values]
        jaccard = [len(a & b) / len(a | b) for a, b in combinations(sets, 2)]
        assert row["jaccard"] == pytest.approx(np.mean(jaccard))
        assert row["overlap"] == pytest.approx(np.mean([len(a & b) / k for a, b in combinations(sets, 2)]))
        assert row["random_overlap"] == pytest.approx(k / 300)
    assert 60 in set(table["edges"])
    assert table["edges"].max() <= 180


def test_stability_of_equal_and_of_unrelated_members():
    rng = np.random.default_rng(2)
    top = strongest(rng.normal(size=500), 500, rng)
    assert (stability([top, top, top], 500, 100)["jaccard"] == 1).all()
    unrelated = stability([strongest(rng.normal(size=500), 500, rng) for _ in range(40)], 500, 100)
    np.testing.assert_allclose(unrelated["jaccard"], unrelated["random_jaccard"], atol=0.01)
    ties = stability([strongest(np.zeros(500), 500, np.random.default_rng(k)) for k in range(40)], 500, 100)
    np.testing.assert_allclose(ties["jaccard"], ties["random_jaccard"], atol=0.01)


def test_an_ensemble_is_stored_with_its_run_and_read_again(run):
    assert read_ensemble(run) is None
    made = make_ensemble(run, EnsemblePlan(members=3))
    found = read_ensemble(run)
    np.testing.assert_allclose(found.frequency, made.frequency, atol=1e-6)
    np.testing.assert_allclose(found.sign_agreement, made.sign_agreement, atol=1e-6)
    assert found.facts() == made.facts()
    assert EnsembleJob.of(run).status().state == "done"
    assert found.vary == "cells", "no step of this network takes a seed"


def test_a_stopped_ensemble_goes_on_where_it_was(run, tmp_path, monkeypatch):
    monkeypatch.setenv("GPOVAE_JOBS", "1")  # else the third member may be begun before the first is done
    plan = EnsemblePlan(members=4)

    def stop_in_the_third(stage, _share):
        if stage.startswith("member 3"):
            raise StopRequest

    half = make_ensemble(run, plan, stop_in_the_third)
    job = EnsembleJob.of(run)
    assert half.members == 2, "what is done counts"
    assert job.status().state == "stopped"
    kept = {path.name: path.stat().st_mtime_ns for path in (job.path / "members").iterdir()}
    whole = make_ensemble(run, plan)
    assert {name: (job.path / "members" / name).stat().st_mtime_ns for name in kept} == kept
    unbroken = make_ensemble(_run(tmp_path / "other", "evidence"), plan)
    assert np.array_equal(whole.frequency, unbroken.frequency)
    assert np.array_equal(whole.mean, unbroken.mean)
    other = make_ensemble(run, EnsemblePlan(members=4, seed=1))
    assert not np.array_equal(other.mean, whole.mean), "another seed starts anew"


@pytest.mark.slow
def test_where_w_is_trained_every_member_is_a_training(tmp_path):
    run = _run(tmp_path / "run", "released", training={"epochs": 1})
    seen = []
    found = make_ensemble(run, EnsemblePlan(members=2), lambda stage, share: seen.append((stage, share)))
    assert found.members == 2
    assert (found.sd[found.mean > 0] > 0).any()
    assert not list(EnsembleJob.of(run).path.glob("training-*")), "only the network of a member is kept"
    assert [share for _, share in seen] == sorted(share for _, share in seen)
    assert run.status().state == "done"


def test_what_cannot_be_made_is_refused(run, tmp_path):
    with pytest.raises(SettingsError, match="Vary the cells"):
        make_ensemble(run, EnsemblePlan(vary="seeds"))
    bare = RunFolder.create(tmp_path / "bare", tiny_settings("evidence"), DataSource(path="x"))
    with pytest.raises(RunError, match="holds no cells"):
        make_ensemble(bare, EnsemblePlan())
    make_ensemble(run, EnsemblePlan(members=2))
    with (
        EnsembleJob.of(run).working(),
        pytest.raises(RunError, match="Ensemble of run 'run' is being worked on"),
    ):
        _in_another_process(run)


def _in_another_process(run):
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path; from gpovae_core.runs.ensemble import *; from "
        "gpovae_core.runs.folder import RunFolder"
    )
    code += "; make_ensemble(RunFolder(Path(sys.argv[1])), EnsemblePlan(members=2))"
    done = subprocess.run([sys.executable, "-c", code, str(run.path)], capture_output=True, text=True)
    if done.returncode:
        raise RunError(done.stderr.strip().splitlines()[-1])


@pytest.mark.parametrize("harm", ["torn", "future", "facts", "shape", "missing"])
def test_an_ensemble_that_cannot_be_read_is_said_so_in_words(run, harm):
    make_ensemble(run, EnsemblePlan(members=2))
    path = run.path / FILE
    arrays = load_file(path)
    facts = json.dumps(read_ensemble(run).facts())
    if harm == "torn":
        path.write_bytes(path.read_bytes()[:500])
    elif harm == "future":
        save_file(arrays, path, metadata={"format": "99", "facts": facts})
    elif harm == "facts":
        save_file(arrays, path, metadata={"format": "1", "facts": "{"})
    elif harm == "shape":
        save_file(
            {name: values[:3, :3].copy() for name, values in arrays.items()},
            path,
            metadata={"format": "1", "facts": facts},
        )
    else:
        save_file({"frequency": arrays["frequency"]}, path, metadata={"format": "1", "facts": facts})
    with pytest.raises(RunError, match="Update gpovae" if harm == "future" else "make it again"):
        read_ensemble(run)


@pytest.mark.slow
def test_an_ensemble_in_the_background_can_be_stopped(run):
    from tests.runs.test_jobs import wait_until

    job = EnsembleJob.of(run)
    submit_ensemble(run, EnsemblePlan(members=1000))
    with pytest.raises(RunError, match="made already"):
        submit_ensemble(run, EnsemblePlan(members=3))
    wait_until(lambda: job.finished() >= 3, 60)
    assert module.at_work(run)
    assert stop(job)
    wait_until(lambda: job.status().state == "stopped", 30)
    assert read_ensemble(run).members == job.finished() < 1000


# What follows a training ------------------------------------------------------------------------------------


def test_a_training_is_followed_by_its_ensemble(tmp_path):
    made = _run(tmp_path / "run", "evidence", network={"ensemble": 3})
    found = follow_training(made)
    assert found is not None
    assert (found.members, found.vary, found.seed) == (3, "cells", 0)
    stored = read_ensemble(made)
    assert stored is not None
    same = make_ensemble(_run(tmp_path / "by_hand", "evidence"), EnsemblePlan(members=3, vary="cells"))
    assert same is not None
    np.testing.assert_array_equal(found.frequency, same.frequency)
    assert made.status().state == "done", "the run is done before, and stays so"
    assert follow_training(made) is None, "it is there already"


@pytest.mark.parametrize(
    ("preset", "sections", "state"),
    [
        ("evidence", {"network": {"ensemble": 0}}, "done"),
        ("released", {}, "done"),  # every member would be a training
        ("evidence", {}, "stopped"),
        ("evidence", {}, "failed"),
    ],
)
def test_nothing_follows_where_none_is_wanted_or_nothing_was_finished(tmp_path, preset, sections, state):
    made = _run(tmp_path / "run", preset, **sections)
    made.write_status(state=state)
    assert follow_training(made) is None
    assert not made.has(FILE)
    assert not EnsembleJob.of(made).path.exists()


def test_stopped_it_goes_on_and_one_of_another_plan_is_left_alone(tmp_path, monkeypatch):
    made = _run(tmp_path / "run", "evidence", network={"ensemble": 4})
    fitted = module._fitted
    calls = []

    def stopped(*args):
        if len(calls) == 2:
            raise StopRequest
        calls.append(args)
        return fitted(*args)

    monkeypatch.setattr(module, "_fitted", stopped)
    found = follow_training(made)
    assert found is not None
    assert found.members == 2
    assert EnsembleJob.of(made).status().state == "stopped"
    monkeypatch.setattr(module, "_fitted", lambda *args: calls.append(args) or fitted(*args))
    found = follow_training(made)
    assert found is not None
    assert found.members == 4
    assert len(calls) == 4, "the first two were kept"
    other = _run(tmp_path / "other", "evidence", network={"ensemble": 4})
    make_ensemble(other, EnsemblePlan(members=2, vary="cells", seed=7))
    assert follow_training(other) is None
    assert read_ensemble(other).seed == 7


def test_the_command_says_done_first_and_then_finds_out_how_often_edges_come_back(tmp_path):
    file, run = write_toy(tmp_path), tmp_path / "run"
    options = [*tiny_options(), "--set", "training.epochs=1", "--set", "network.ensemble=2"]
    result = CliRunner().invoke(app, ["train", str(file), "--run", str(run), *options, "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["state"] == "done"
    assert result.stderr.splitlines()[-1].endswith("% how often edges come back")
    assert RunFolder.open(run).status().state == "done"
    found = read_ensemble(RunFolder.open(run))
    assert found is not None
    assert found.members == 2


def test_what_goes_wrong_afterwards_takes_nothing_from_the_training(tmp_path, monkeypatch):
    def harm(*args):
        raise RunError("no room")

    monkeypatch.setattr(module, "make_ensemble", harm)
    file, run = write_toy(tmp_path), tmp_path / "run"
    options = [*tiny_options(), "--set", "training.epochs=1"]
    result = CliRunner().invoke(app, ["train", str(file), "--run", str(run), *options])
    assert result.exit_code == 0, result.output
    assert "Note: how often edges come back is not known: no room" in result.stderr
    assert RunFolder.open(run).status().state == "done"


def test_a_stop_is_heard_from_the_first_moment_to_the_last(run, monkeypatch):
    finish, stops = module._finish, [StopRequest()]

    def stopped_once(*given):
        if stops:
            raise stops.pop()
        return finish(*given)

    monkeypatch.setattr(module, "_finish", stopped_once)
    assert make_ensemble(run, EnsemblePlan(members=2, vary="cells")) is not None
    job = EnsembleJob.of(run)
    assert job.status().state == "done"
    assert not list(job.path.glob(".*.part"))
