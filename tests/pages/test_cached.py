"""What is kept of a run: until one of the named files changes, for each run and question apart."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dashboard.shared.cached import of_run, stamp
from dashboard.shared.networks import Shown, network, shown_network
from gpovae_core.runs.folder import RunFolder

asked: list[tuple[object, ...]] = []


@of_run("a.txt", "b.txt", kind="data", entries=8)
def words(run: RunFolder, more: str = "") -> list[str]:
    asked.append(("words", run.name, more))
    return [(run.path / "a.txt").read_text() if run.has("a.txt") else "nothing", more]


@of_run("a.txt", kind="resource", entries=2)
def thing(run: RunFolder, which: Shown) -> list[str]:
    asked.append(("thing", run.name, which))
    return [which.measure]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    asked.clear()
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.txt").write_text("first")
    return RunFolder(tmp_path / "one")


def test_an_answer_is_kept_while_the_files_stay_as_they_are(run: RunFolder) -> None:
    (run.path / "other.txt").write_text("not named")
    assert words(run) == words(RunFolder(run.path)) == ["first", ""]
    (run.path / "other.txt").write_text("changed")
    assert words(run) == ["first", ""]
    assert len(asked) == 1


def test_a_changed_file_is_read_anew(run: RunFolder) -> None:
    assert words(run)[0] == "first"
    (run.path / "a.txt").write_text("longer than before")
    assert words(run)[0] == "longer than before"
    before = (run.path / "a.txt").stat()
    (run.path / "a.txt").write_text("as long as before.")  # same size, so the time alone tells
    os.utime(run.path / "a.txt", ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert words(run)[0] == "as long as before."


def test_a_file_that_comes_or_goes_is_a_change(run: RunFolder) -> None:
    words(run)
    (run.path / "b.txt").write_text("")
    words(run)
    (run.path / "a.txt").unlink()
    assert words(run)[0] == "nothing"
    assert len(asked) == 3
    assert [name for name, *_ in stamp(run, "a.txt", "b.txt")] == ["b.txt"]


def test_runs_questions_and_functions_are_kept_apart(run: RunFolder, tmp_path: Path) -> None:
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "a.txt").write_bytes((run.path / "a.txt").read_bytes())
    stat = (run.path / "a.txt").stat()
    os.utime(tmp_path / "two" / "a.txt", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    two = RunFolder(tmp_path / "two")
    assert words(run) == words(two) == ["first", ""]
    assert words(run, "x")[1] == "x"
    assert thing(run, Shown("W")) == ["W"]
    assert thing(run, Shown("W", blind=False)) == ["W"]
    assert [entry[0] for entry in asked] == ["words", "words", "words", "thing", "thing"]


def test_a_copy_or_the_thing_itself(run: RunFolder) -> None:
    words(run).append("mine alone")
    assert words(run) == ["first", ""]
    assert thing(run, Shown()) is thing(run, Shown())


def test_no_more_is_kept_than_was_said(run: RunFolder) -> None:
    for which in (Shown("W"), Shown("T"), Shown("W", blind=False), Shown("W")):
        thing(run, which)
    assert len(asked) == 4, "the third pushed the first out"


def test_a_fault_is_not_kept(run: RunFolder) -> None:
    calls = []

    @of_run("a.txt", kind="data", entries=2)
    def faulty(run: RunFolder) -> str:
        calls.append(run)
        raise ValueError("torn")

    for _ in range(2):
        with pytest.raises(ValueError, match="torn"):
            faulty(run)
    assert len(calls) == 2


# Which network is looked at ---------------------------------------------------------------------------------


def test_the_ensemble_says_nothing_of_influence() -> None:
    assert Shown("T", True, 0.9) == Shown("T")
    assert Shown("W", True, 0.9).often == 0.9


def test_all_of_w_is_the_network_itself(made_runs: Path) -> None:
    run = RunFolder(made_runs / "plain")
    whole = network(run)
    assert shown_network(run, Shown()) is whole
    part = shown_network(run, Shown(blind=False))
    assert not part.weights[~whole.has_evidence].any()
    assert (part.weights[whole.has_evidence] == whole.weights[whole.has_evidence]).all()
    assert shown_network(run, Shown("T")).measure == "T"
