"""What a training says when it is done."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from gpovae_core.reporting.ending import ending
from gpovae_core.runs.folder import RunFolder
from tests.conftest import PROJECT
from tests.fake_run import make_fake_run

DEMO = PROJECT / "assets" / "demo" / "papalexi"


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    """A copy of the demo of real cells, named as somebody in `tmp_path` names it."""
    shutil.copytree(DEMO, tmp_path / "runs" / "screen")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GPOVAE_RUNS_DIR", "runs")
    return RunFolder(Path("runs/screen"))


def test_a_run_that_is_done_says_what_it_found_and_how_good_that_is(run: RunFolder) -> None:
    assert ending(run) == [
        "Run runs/screen: done after 147 epochs, best 147.",
        "Network: 70 edges with W above 0.5, from 10 of 23 perturbed genes.",
        "  12 of 70 edges come back in at least half of 20 networks from other draws of the cells.",
        "  Expected to have no effect at all behind them: about 2 of 70 (2 %).",
        "Predicted effects: correlation with held-out cells 0.474 (baseline, the training mean: 0.423; "
        "ceiling: 0.545).",
        "Warnings and notes: 3, shown by gpovae evaluate.",
        "Next: gpovae app  (the network and its cells, in a browser)",
        "      gpovae evaluate runs/screen  (every score)",
    ]


def test_it_stays_short(run: RunFolder) -> None:
    told = ending(run)
    assert len(told) <= 10
    assert max(map(len, told)) <= 110


def test_what_is_not_known_is_left_out_or_said(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    (run.path / "ensemble.safetensors").unlink()
    (run.path / "evaluation.json").unlink()
    monkeypatch.setenv("GPOVAE_RUNS_DIR", "elsewhere")
    told = ending(run)
    assert "  How often they come back was not counted; gpovae ensemble runs/screen does." in told
    assert not any("Predicted effects" in line or "no effect" in line for line in told)
    assert any("gpovae app --runs runs " in line for line in told), "the dashboard looks elsewhere by itself"


def test_a_run_that_was_stopped_says_so_and_no_more(tmp_path: Path) -> None:
    run = RunFolder(make_fake_run(tmp_path / "stopped").path)
    run.write_status(state="stopped", message="stopped on request after epoch 3")
    told = "stopped, stopped on request after epoch 3. To go on: the same command with --resume."
    assert ending(run) == [f"Run {run.path}: {told}"]


def test_what_the_design_does_not_let_anybody_know(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    report = run.report().model_copy(update={"without_controls": ("STAT1",), "unseparated": ("lane",)})
    monkeypatch.setattr(RunFolder, "report", lambda _: report)
    told = ending(run)
    assert "  No effects of 1 perturbation without control cells in the same batch." in told
    assert "  How many edges are false is not known: batches cannot be told from effects." in told
    assert len(told) <= 10
