"""A disk that fills up: it is said in a sentence, no half of a file is left, and afterwards all goes on."""

from __future__ import annotations

import errno
import io
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import gpovae_core.sweeps.work as working
from gpovae_core.cli import main
from gpovae_core.data import room
from gpovae_core.data.folder import save_upload
from gpovae_core.data.room import FullDiskError, full_disk_said, is_full
from gpovae_core.data.write import write_table
from gpovae_core.errors import DataError
from gpovae_core.runs import jobs
from gpovae_core.runs.archive import export_run
from gpovae_core.runs.ensemble import EnsembleJob, EnsemblePlan, make_ensemble, submit_ensemble
from gpovae_core.runs.folder import DataSource, RunFolder
from gpovae_core.sweeps.results import results
from tests.conftest import fill
from tests.sweeps.stand_in import make, put_in, tried
from tests.toy import tiny_settings, toy_cells, write_toy

FULL = OSError(errno.ENOSPC, "No space left on device")


def left_over(folder: Path) -> list[Path]:
    return list(folder.rglob("*.part"))


def test_a_full_disk_is_known_through_whatever_was_raised_from_it() -> None:
    assert is_full(FULL)
    assert is_full(OSError(errno.EDQUOT, "Disk quota exceeded"))
    assert is_full(RuntimeError("write failed: No space left on device"))
    assert not is_full(OSError(errno.EACCES, "Permission denied"))
    wrapped = ValueError("something else")
    wrapped.__cause__ = FULL
    assert is_full(wrapped)


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), full_disk_said(tmp_path):
        raise PermissionError(errno.EACCES, "Permission denied")
    with (
        pytest.raises(FullDiskError, match=r"is full; now .* are free\. Make room there"),
        full_disk_said(tmp_path),
    ):
        raise FULL


@pytest.fixture
def run(small_disk: Path) -> RunFolder:
    made = RunFolder.create(small_disk / "run", tiny_settings("evidence"), DataSource(path="toy.h5ad"))
    made.write_cells(toy_cells())
    made.write_status(state="done")
    return made


def test_an_ensemble_says_so_and_goes_on(run: RunFolder, small_disk: Path, tmp_path: Path) -> None:
    plan, job, ballast = EnsemblePlan(members=6, vary="cells"), EnsembleJob.of(run), small_disk / "ballast"

    def fills(stage: str, _share: float) -> None:
        if ballast.exists() or stage.startswith("member 4"):  # again: what was on its way may be in place
            fill(small_disk)

    with pytest.raises(FullDiskError, match=r"is full.*then resume the ensemble"):
        make_ensemble(run, plan, fills)
    status = job.status()
    assert status.state == "failed"
    assert "is full" in status.message
    assert not left_over(run.path)
    assert not run.has("ensemble.safetensors")
    ballast.unlink()
    whole = make_ensemble(run, plan)
    assert job.status().state == "done"
    elsewhere = RunFolder(shutil.copytree(run.path, tmp_path / "copy", ignore=shutil.ignore_patterns("ens*")))
    again = make_ensemble(elsewhere, plan)
    assert whole is not None
    assert again is not None
    np.testing.assert_array_equal(whole.frequency, again.frequency)


def test_a_member_that_a_killed_process_left_half_written_is_removed(run: RunFolder) -> None:
    half = run.path / "ensemble" / "members" / ".0000.safetensors.1.part"
    half.parent.mkdir(parents=True)
    half.write_bytes(b"half")
    EnsembleJob.of(run).sweep()
    assert not half.exists()


def test_nothing_is_begun_on_a_full_disk(run: RunFolder, small_disk: Path, tmp_path: Path) -> None:
    source = write_toy(tmp_path)
    fill(small_disk)
    with pytest.raises(FullDiskError, match="Make room there"):
        jobs.submit(source, small_disk / "new", tiny_settings())
    assert not (small_disk / "new").exists()
    with pytest.raises(FullDiskError, match="Make room there"):
        submit_ensemble(run, EnsemblePlan(members=2, vary="cells"))


def test_a_sweep_stops_at_once_and_goes_on(
    small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(working, "UNCLAIMED", 0.0)
    folder, filled = make(small_disk), []

    def fills(point: dict[str, Any], seed: int) -> bool:
        if len(tried(folder)) == 5:
            filled.append(fill(small_disk))
        return False

    def put(**how: Any) -> None:
        made, measure = put_in(**how)
        monkeypatch.setattr(working, "_run", made)
        monkeypatch.setattr(working, "measure_run", measure)

    put(broken=fills)
    with pytest.raises(FullDiskError, match=r"is full.*then resume the sweep"):
        working.work(folder)
    assert len(tried(folder)) == 5
    (worker,) = folder.workers()
    assert worker.status().state == "failed"
    assert "is full" in worker.status().message
    filled[0].unlink()
    put()
    assert working.work(folder).status().state == "done"
    assert len(set(tried(folder))) == 12
    found = results(folder)
    assert found.count("done") == len(found.points) == 6


def test_the_disk_is_no_fault_of_a_point(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise FullDiskError("The disk is full.")

    monkeypatch.setattr(working, "_run", full)
    folder = make(tmp_path)
    with pytest.raises(FullDiskError):
        working.work(folder)
    assert results(folder).count("failed") == 0


def test_a_line_of_the_study_that_was_cut_off_takes_nothing_with_it(tmp_path: Path) -> None:
    folder = make(tmp_path)
    study = folder.study()
    study.enqueue_trial({"loss.hops": 1, "loss.sparsity": 0.5})
    journal = folder.path / "study.journal"
    with journal.open("ab") as file:
        file.write(b'{"op_code":4,"worker_id"')
    folder.study().enqueue_trial({"loss.hops": 2, "loss.sparsity": 0.5})
    assert all(json.loads(line) for line in journal.read_bytes().splitlines())
    assert len(folder.study().get_trials()) == 2


def test_an_epoch_that_was_cut_off_takes_no_other_with_it(run: RunFolder) -> None:
    run.append_metrics({"epoch": 1, "loss": 3.0})
    with (run.path / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 2, "lo')
    run.append_metrics({"epoch": 2, "loss": 2.0})
    run.append_metrics({"epoch": 3, "loss": 1.0})
    assert run.metrics()["loss"].tolist() == [3.0, 2.0, 1.0]


def test_what_is_written_out_is_whole_or_not_there(run: RunFolder, small_disk: Path) -> None:
    old = small_disk / "old.csv"
    old.write_text("as it was")
    fill(small_disk, 8)
    table = pd.DataFrame({"gene": ["=A"] * 4000, "x": 1.0})
    for write in (
        lambda: write_table(table, ("gene",), old),
        lambda: write_table(table, ("gene",), small_disk / "new.csv"),
        lambda: export_run(run, small_disk / "run.zip"),
    ):
        with pytest.raises(OSError, match="No space left"):
            write()
    assert old.read_text() == "as it was"
    assert not list(small_disk.glob("new*"))
    assert not list(small_disk.glob("*.zip"))
    assert not left_over(small_disk)


def test_a_table_is_packed_where_its_name_says_so(tmp_path: Path) -> None:
    table = pd.DataFrame({"gene": ["=A", "B"], "x": [1.0, 2.0]})
    write_table(table, ("gene",), tmp_path / "a.csv")
    write_table(table, ("gene",), tmp_path / "a.csv.gz")
    assert (tmp_path / "a.csv").read_text() == "gene,x\n'=A,1.0\nB,2.0\n"
    assert pd.read_csv(tmp_path / "a.csv.gz")["gene"].tolist() == ["'=A", "B"]


def test_the_command_line_says_it(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def full() -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "runs/x.zip")

    monkeypatch.setattr("gpovae_core.cli.app", full)
    with pytest.raises(SystemExit):
        main()
    assert (
        capsys.readouterr().err == "Error: The disk is full; make room there, then try again: 'runs/x.zip'\n"
    )


@pytest.mark.parametrize("others", [False, True])
def test_an_upload_leaves_nothing_behind(
    small_disk: Path, monkeypatch: pytest.MonkeyPatch, others: bool
) -> None:
    """others: the room was there when it was looked at, and was taken since."""
    monkeypatch.setenv(room.KEEP_FREE, "0")
    fill(small_disk, 64)
    if others:
        monkeypatch.setattr(room, "room_in", lambda _folder: 10**9)
    with pytest.raises((DataError, room.RoomError), match=r"room for|could not be saved.*Make room there"):
        save_upload(small_disk, "x.h5ad", io.BytesIO(bytes(200_000)))
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]
