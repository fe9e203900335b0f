"""Background jobs: they queue, stop, die and resume, and what they leave can always be read."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from gpovae_core import workflow
from gpovae_core.config import make_settings
from gpovae_core.data import cache
from gpovae_core.data.room import FullDiskError
from gpovae_core.errors import GpoVaeError, RunError
from gpovae_core.runs import jobs, processes
from gpovae_core.runs.folder import SILENCE, DataSource, RunFolder, find_runs
from tests.conftest import PROJECT, fill
from tests.fake_run import make_fake_run
from tests.toy import tiny_settings, write_toy

DEAD_WITHIN = 15.0


def wait_until(condition: Callable[[], bool], seconds: float = 120.0, what: str = "") -> float:
    """Seconds it took until the condition held."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, what or "waited too long"
        time.sleep(0.05)
    return time.monotonic() - start


@pytest.fixture
def folder(tmp_path) -> Iterator[Path]:
    """A folder of runs whose workers are all gone when the test is."""
    runs = tmp_path / "runs"
    runs.mkdir()
    yield runs
    for run in find_runs(runs):
        kill(run)


def kill(run: RunFolder) -> bool:
    status = run.status()
    if status.busy and status.pid and processes.is_running(status.pid, status.process, status.machine):
        os.kill(status.pid, signal.SIGKILL)
        return True
    return False


def check_readable(run: RunFolder) -> None:
    """Every file of the run that is there can be opened."""
    run.settings()
    run.source()
    run.status()
    run.metrics()
    if run.has("panel.json"):
        run.panel()
    if run.has("cells.h5ad"):
        run.cells()
        run.report()
    if run.has("model.safetensors"):
        assert np.isfinite(run.edge_probabilities()).all()
    if run.has("effects.h5ad"):
        run.effects()
    if run.has("evaluation.json"):
        run.evaluation()


def test_a_process_is_known_by_more_than_its_number():
    here = os.getpid()
    mark, where = processes.start_mark(here), processes.machine()
    assert processes.is_running(here, mark, where) is True
    assert processes.is_running(here, mark + "1", where) is False, "the number was given to another process"
    assert processes.is_running(here, mark, "elsewhere") is None
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    mark = processes.start_mark(child.pid)
    assert processes.is_running(child.pid, mark, where) is True
    child.kill()
    wait_until(
        lambda: processes.is_running(child.pid, mark, where) is False, 5
    )  # a zombie: nobody has asked how it ended
    child.wait()
    assert not processes.ask_to_stop(child.pid, mark, where)


@pytest.mark.parametrize(
    ("changes", "silent", "dead"),
    [
        ({"state": "training", "pid": os.getpid()}, 3600, False),  # busy or asleep, but there
        ({"state": "training", "pid": None}, 3, False),
        ({"state": "training", "pid": None}, SILENCE + 1, True),
        ({"state": "queued", "pid": None}, SILENCE + 1, True),
        ({"state": "done"}, 1e9, False),
        ({"state": "stopped"}, 1e9, False),
    ],
)
def test_dead_is_what_says_busy_and_is_not(tmp_path, changes, silent, dead):
    run = RunFolder.create(tmp_path / "run", make_settings(), DataSource(path="x"))
    run.write_status(pid=None, process="", machine="")
    status = run.write_status(**changes)
    assert status.dead(time.time() + silent) is dead


def test_a_dead_process_is_seen_at_once_and_one_elsewhere_after_its_silence(tmp_path):
    run = RunFolder.create(tmp_path / "run", make_settings(), DataSource(path="x"))
    status = run.write_status(state="training", pid=os.getpid())
    assert status.model_copy(update={"process": "0"}).dead()
    elsewhere = status.model_copy(update={"machine": "another"})
    assert not elsewhere.dead()
    assert elsewhere.dead(time.time() + SILENCE + 1)


def test_only_one_process_works_on_a_run(tmp_path):
    run = RunFolder.create(tmp_path / "run", make_settings(), DataSource(path="x"))
    code = (
        f"import sys; sys.path.insert(0, {str(PROJECT)!r})\n"
        "from pathlib import Path\n"
        "from gpovae_core.runs.folder import RunFolder\n"
        "with RunFolder(Path(sys.argv[1])).working(): pass\n"
    )
    with run.working(), run.working():  # twice in one process is one
        done = subprocess.run(
            [sys.executable, "-c", code, str(run.path)], capture_output=True, text=True, check=False
        )
        assert "being worked on" in done.stderr
    assert (
        subprocess.run(
            [sys.executable, "-c", code, str(run.path)], capture_output=True, check=False
        ).returncode
        == 0
    )


def test_the_queue_is_first_come_first_served(tmp_path):
    runs = []
    for place, state in enumerate(["queued", "training", "queued", "done", "queued"]):
        run = make_fake_run(tmp_path / f"r{place}")
        run.write_status(
            state=state, started=100.0 - place, **({} if state == "done" else {"pid": os.getpid()})
        )
        runs.append(run)
    assert [run.name for run in jobs.ahead_of(runs[0], runs)] == ["r1", "r4", "r2"]
    assert [run.name for run in jobs.ahead_of(runs[4], runs)] == ["r1"]
    (tmp_path / "r1" / "status.json").write_text("{")
    assert [run.name for run in jobs.ahead_of(runs[4], runs)] == [], "a damaged run holds up nobody"


def test_settings_survive_the_way_through_the_command_line():
    from gpovae_core.cli.shared import parse_assignment

    settings = tiny_settings(
        "paper", data={"unseen": ["A", "B"], "control_label": "it's"}, training={"learning_rate": 1e-5}
    )
    options = jobs.as_options(settings)
    changes: dict[str, dict[str, object]] = {}
    for text in options[3::2]:
        section, field, value = parse_assignment(text)
        changes.setdefault(section, {})[field] = value
    assert make_settings(options[1], changes) == settings


@pytest.mark.slow
def test_two_jobs_queue_one_is_stopped_and_resumed_and_the_seed_decides(folder, tmp_path):
    source = write_toy(tmp_path)
    settings = tiny_settings(training={"epochs": 400, "batch_size": 32})
    first = jobs.submit(source, folder / "first", settings)
    second = jobs.submit(source, folder / "second", tiny_settings())
    assert second.status().state == "queued"
    with pytest.raises(RunError, match="nothing to resume"):
        jobs.resume(first)
    wait_until(lambda: first.status().epoch >= 2, 300)
    assert second.status().state == "queued", "two must not fight for the cores"
    assert jobs.stop(first)
    wait_until(lambda: first.status().state == "stopped", 30)
    epochs = first.status().epoch
    assert len(first.metrics()) == epochs >= 2
    wait_until(lambda: second.status().state == "done")
    jobs.resume(first, {"epochs": epochs + 2})
    wait_until(lambda: first.status().state == "done")
    assert first.metrics()["epoch"].tolist() == list(range(1, epochs + 3))
    in_terminal = workflow.start_run(source, folder / "terminal", tiny_settings())
    np.testing.assert_allclose(in_terminal.edge_probabilities(), second.edge_probabilities(), atol=1e-6)
    assert sorted(p.name for p in in_terminal.path.iterdir() if p.name[0] != ".") == sorted(
        p.name for p in second.path.iterdir() if p.name not in ("worker.txt",) and p.name[0] != "."
    )


@pytest.mark.slow
def test_a_queued_job_that_is_stopped_never_begins(folder, tmp_path):
    source = write_toy(tmp_path)
    blocker = make_fake_run(folder / "blocker")
    blocker.write_status(state="training", pid=os.getpid())
    run = jobs.submit(source, folder / "waits", tiny_settings())
    wait_until(lambda: run.status().pid is not None, 60)
    assert jobs.stop(run)
    wait_until(lambda: run.status().state == "stopped", 30)
    assert "before the first epoch" in run.status().message
    blocker.write_status(state="done")


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stop_that_falls_into_a_finaliser_is_heard_at_the_next_word(folder):
    """Python prints what is raised there, and goes on: a training that was over went on to be scored."""

    class Gone:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    run = make_fake_run(folder / "run")
    told = jobs.recorded(run)

    def work() -> None:
        with jobs.stoppable():
            told("before", 0.1)
            Gone()
            told("after", 0.2)

    with pytest.raises(jobs.StopRequest):
        work()
    assert run.status().stage == "before"
    told("of the next one", 0.3)


def test_a_file_that_cannot_be_used_ends_in_words_not_in_silence(folder, tmp_path):
    (tmp_path / "bad.h5ad").write_bytes(b"\x89PNG\r\n\x1a\n")
    run = RunFolder.create(folder / "bad", tiny_settings(), DataSource(path=str(tmp_path / "bad.h5ad")))
    with pytest.raises(GpoVaeError, match="PNG"):
        workflow.resume_run(run.path)
    assert run.status().state == "failed"
    assert "PNG" in run.status().message


def test_a_file_that_changed_since_is_not_silently_taken(folder, tmp_path):
    source = write_toy(tmp_path)
    run = RunFolder.create(folder / "x", tiny_settings(), DataSource(path=str(source), sha256="0" * 64))
    with pytest.raises(RunError, match="no longer the file"):
        workflow.resume_run(run.path)


def test_prepared_cells_are_taken_from_the_cache_and_a_damaged_cache_is_not(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("GPOVAE_CACHE_DIR", str(tmp_path / "cache"))
    source = write_toy(tmp_path)
    settings = tiny_settings(training={"epochs": 1})
    first = workflow.start_run(source, folder / "first", settings)
    kept = cache.prepared_path(cache.fingerprint(source), settings.data)
    assert kept.is_file()
    told: list[str] = []
    workflow.start_run(source, folder / "second", settings, lambda stage, _: told.append(stage))
    assert not [stage for stage in told if "matching controls" in stage]
    other = tiny_settings(data={"min_cells": 41})
    assert cache.prepared_path(cache.fingerprint(source), other.data) != kept
    content = kept.read_bytes()
    kept.unlink()
    kept.write_bytes(content[:1000])
    third = workflow.start_run(source, folder / "third", settings)
    np.testing.assert_allclose(third.edge_probabilities(), first.edge_probabilities(), atol=1e-6)


def test_a_training_that_had_ended_is_not_trained_again_when_only_the_scoring_died(
    folder, tmp_path, monkeypatch
):
    run = workflow.start_run(write_toy(tmp_path), folder / "x", tiny_settings())
    (run.path / "evaluation.json").unlink()
    run.write_status(state="evaluating", pid=None)
    before = run.metrics()
    monkeypatch.setattr("gpovae_core.training.fit.fit", lambda *_, **__: pytest.fail("trained again"))
    workflow.resume_run(run.path)
    assert run.status().state == "done"
    assert len(run.metrics()) == len(before)
    assert run.has("evaluation.json")


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_killed_at_four_random_moments_it_is_dead_at_once_readable_and_resumes(folder, tmp_path):
    """kill -9 at start-up, while preparing, in mid-epoch, while a checkpoint is written, while scoring:
    wherever it happens to be.
    """
    chance = random.Random(6)
    source = write_toy(tmp_path)
    run = jobs.submit(
        source,
        folder / "run",
        tiny_settings(training={"epochs": 100_000, "patience": 100_000, "batch_size": 64}),
    )
    epochs, states, slowest = 0, [], 0.0
    for moment in range(4):
        wait_until(lambda: run.status().pid is not None, 60)
        if moment:  # the first is killed while it starts
            wait_until(lambda: run.status().state == "training", 120)
            wait_until(lambda seen=epochs: run.status().epoch > seen or run.status().state != "training", 60)
        time.sleep(chance.random() * 1.5)
        states.append(run.status().state)
        assert kill(run)
        slowest = max(slowest, wait_until(lambda: run.status().dead(), DEAD_WITHIN, "not shown as dead"))
        check_readable(run)
        epochs = run.status().epoch
        jobs.resume(run)
    wait_until(lambda: run.status().epoch > epochs, 120, "it did not go on")
    assert jobs.stop(run)
    wait_until(lambda: run.status().state == "stopped", 60)
    table = run.metrics()
    assert table["epoch"].tolist() == list(range(1, len(table) + 1)), (
        "no epoch is missing, none is there twice"
    )
    assert not list(run.path.glob(".*.part")), "what was half-written is swept away"
    jobs.resume(run, {"epochs": run.status().epoch + 1})
    wait_until(lambda: run.status().state == "done", 120)
    check_readable(run)
    print(f"killed while {states}; dead after at most {slowest:.2f} s")


def test_the_status_says_what_is_done_and_not_what_was_done_before(tmp_path):
    """Words that change within a second are written: what they name may take minutes. Numbers in them alone
    are not.
    """
    run = RunFolder.create(tmp_path / "run", tiny_settings(), DataSource(path="cells.h5ad"))
    heard = []
    progress = jobs.recorded(run, lambda stage, share: heard.append((stage, share)))
    said = [("ranking pairs by z", 0.1), ("ranking pairs by dotears", 0.2), ("ranking pairs by dotears", 0.3)]
    for stage, share in said:
        progress(stage, share)
    assert (run.status().stage, run.status().share) == ("ranking pairs by dotears", 0.2)
    progress("waiting (1 of 20)", 0.4)
    progress("waiting (2 of 20)", 0.5)
    assert run.status().stage == "waiting (1 of 20)"
    assert len(heard) == 5


def full(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_said_and_the_run_stays_readable(folder, tmp_path, monkeypatch):
    source = write_toy(tmp_path)
    run = RunFolder.create(folder / "x", tiny_settings(), DataSource(path=str(source)))
    with monkeypatch.context() as patch:
        patch.setattr("gpovae_core.training.fit.save_weights", full)
        with pytest.raises(FullDiskError, match=r"is full.*make room, then resume"):
            workflow.resume_run(run.path)
    assert run.status().state == "failed"
    assert "is full" in run.status().message
    check_readable(run)
    workflow.resume_run(run.path)
    assert run.status().state == "done"


@pytest.mark.parametrize("when", ["preparing", "training", "scoring"])
def test_a_run_that_is_removed_while_it_is_worked_on_is_said_to_be_gone(tmp_path, when):
    path = tmp_path / "runs" / "x"

    def remove(stage: str, _share: float) -> None:
        if stage.startswith(when):
            shutil.rmtree(path, ignore_errors=True)

    with pytest.raises(RunError, match=r"Run 'x' is gone: .* was removed or renamed"):
        workflow.start_run(write_toy(tmp_path), path, tiny_settings(), remove)
    assert not path.exists()


@pytest.mark.slow
@pytest.mark.parametrize("room", [40, 700])
def test_a_disk_that_really_is_full(small_disk, tmp_path, room):
    """room: kB left when the run begins; it ends while the cells or the checkpoint are written."""
    source = write_toy(tmp_path)
    run = RunFolder.create(
        small_disk / "x", tiny_settings(model={"embedding_width": 64}), DataSource(path=str(source))
    )
    ballast = fill(small_disk, room)
    with pytest.raises(FullDiskError, match="is full"):
        workflow.resume_run(run.path)
    check_readable(run)
    assert run.status().state == "failed"
    assert "is full" in run.status().message
    ballast.unlink()
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    workflow.resume_run(run.path)
    assert run.status().state == "done"
