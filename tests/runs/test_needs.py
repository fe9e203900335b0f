"""Work that does not fit is refused in words before it begins, and begins where somebody insists."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from gpovae_core import workflow
from gpovae_core.cli import main
from gpovae_core.config import DataSettings, make_settings
from gpovae_core.data import memory
from gpovae_core.data.room import ANYWAY, KEEP_FREE, NotEnoughError
from gpovae_core.data.sizes import Size, size_of_cells, size_of_file
from gpovae_core.errors import DataError
from gpovae_core.model.module import GpoVae
from gpovae_core.runs import jobs, needs, processes
from gpovae_core.runs.clusters.sites import Request
from gpovae_core.runs.ensemble import EnsemblePlan, make_ensemble, submit_ensemble
from gpovae_core.runs.folder import DataSource, RunFolder
from gpovae_core.runs.from_effects import choose_panel
from gpovae_core.sweeps import folder as sweeping
from gpovae_core.sweeps.work import work_together
from tests.sweeps.stand_in import plan
from tests.toy import tiny_options, tiny_settings, toy_cells, write_toy

LARGE = Size(130_000, 8_000, 381_000_000, 622, 1_244)
"""The screen of docs/performance.md."""


@pytest.fixture(autouse=True)
def not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ANYWAY, "")


@pytest.fixture
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 10**8)
    monkeypatch.setattr(memory, "own_memory", lambda: 0)


@pytest.fixture
def little_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEEP_FREE, "1e9")


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    made = RunFolder.create(tmp_path / "run", tiny_settings("evidence"), DataSource(path="toy.h5ad"))
    made.write_cells(toy_cells())
    made.write_status(state="done")
    return made


def test_the_header_says_what_preparing_finds(tmp_path: Path) -> None:
    found = size_of_file(write_toy(tmp_path), tiny_settings().data)
    exact = size_of_cells(toy_cells())
    assert found is not None
    assert (found.perturbations, found.panel) == (exact.perturbations, exact.panel)
    assert 0 <= found.cells - exact.cells < 0.1 * exact.cells
    assert found.stored == pytest.approx(exact.stored, rel=0.1)


def test_a_dense_matrix_is_sampled(tmp_path: Path) -> None:
    from tests.toy import toy_simulation

    cells = toy_simulation().adata.copy()
    cells.X = cells.X.toarray()
    cells.write_h5ad(tmp_path / "dense.h5ad")
    found = size_of_file(tmp_path / "dense.h5ad", DataSettings())
    assert found is not None
    assert found.stored == pytest.approx(int(np.count_nonzero(cells.X)), rel=0.1)


def test_what_is_no_such_file_says_nothing_here(tmp_path: Path) -> None:
    other = tmp_path / "x.h5ad"
    other.write_bytes(b"no HDF5")
    assert size_of_file(other, DataSettings()) is None
    needs.check_training(other, tmp_path, make_settings())
    assert size_of_file(write_toy(tmp_path), DataSettings(counts_layer="nothing")) is None


@pytest.mark.parametrize("preset", ["evidence", "released", "sams-vae"])
@pytest.mark.parametrize(("panel", "genes"), [(60, 1000), (400, 3000)])
def test_weights_are_those_of_the_model(preset: str, panel: int, genes: int) -> None:
    settings = make_settings(preset)
    model = GpoVae(settings.model, panel, genes)
    exact = sum(parameter.numel() for parameter in model.parameters())
    assert needs.weights(Size(1, genes, 1, 1, panel), settings) == pytest.approx(exact, rel=0.05)


def test_measured_peaks_are_met_within_a_third() -> None:
    """Largest resident memory in GB, as in docs/performance.md."""
    settings = make_settings("evidence")
    for size, seen in (
        (LARGE, 4.75),
        (Size(20_000, 3_000, 21_200_000, 100, 200), 2.2),
        (Size(8_000, 2_000, 5_660_000, 60, 120), 1.7),
        (Size(3_000, 1_000, 1_060_614, 30, 60), 1.03),
    ):
        assert needs.to_train(size, settings).memory / 1e9 == pytest.approx(seen, rel=1 / 3)


def test_it_grows_with_what_there_is_more_of() -> None:
    settings = make_settings("evidence")
    first = needs.to_train(LARGE, settings)
    for name in ("cells", "genes", "stored", "perturbations", "panel"):
        more = needs.to_train(Size(**{**vars(LARGE), name: 2 * getattr(LARGE, name)}), settings)
        assert more.disk + more.memory > first.disk + first.memory
    assert needs.to_train(LARGE, settings, prepared=True).disk < first.disk
    fast = make_settings("evidence", {"data": {"detect_doublets": False}})
    assert needs.DOUBLETS not in needs.to_train(LARGE, fast).stages


def test_memory_is_said_with_what_needs_it_and_what_helps(little_memory: None, tmp_path: Path) -> None:
    need = needs.to_train(Size(20_000, 3_000, 21_200_000, 100, 200), make_settings())
    said = (
        r"^It needs about 2\.2 GB of memory \(scoring\), and there are 100\.0 MB free\. "
        r"Close other programs, use a larger machine, or keep fewer genes, or fewer perturbations by "
        r"data\.min_cells\.$"
    )
    with pytest.raises(NotEnoughError, match=said):
        needs.check(need, tmp_path, "It")


def test_disk_is_said_with_its_folder_and_the_margin(little_disk: None, tmp_path: Path) -> None:
    said = r"^It needs about 3\.\d GB of disk, and there are 0 bytes in '.*' \(1,000,.* GB are kept free for"
    with pytest.raises(NotEnoughError, match=said):
        needs.check(needs.to_train(LARGE, make_settings()), tmp_path, "It")


def test_what_a_process_holds_already_is_part_of_its_need(
    little_memory: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    need = needs.Need({needs.SCORING: 5e8}, 0)
    with pytest.raises(NotEnoughError):
        needs.check(need, tmp_path, "It", own=True)
    monkeypatch.setattr(memory, "own_memory", lambda: 5 * 10**8)
    needs.check(need, tmp_path, "It", own=True)
    with pytest.raises(NotEnoughError):
        needs.check(need, tmp_path, "It")


def test_a_cluster_is_held_to_what_is_asked_of_it(little_memory: None, tmp_path: Path) -> None:
    need = needs.to_train(LARGE, make_settings())
    needs.check(need, tmp_path, "It", Request(site="gpu", memory_gb=16))
    with pytest.raises(NotEnoughError, match=r"there are 2\.0 GB asked of 'gpu'\. Ask for more, or"):
        needs.check(need, tmp_path, "It", Request(site="gpu", memory_gb=2))


def test_a_training_that_cannot_fit_leaves_nothing(
    little_memory: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, started = write_toy(tmp_path), []
    monkeypatch.setattr(processes, "start_gpovae", lambda words, *_: started.append(list(words)))
    for begin in (workflow.start_run, jobs.submit):
        with pytest.raises(NotEnoughError, match=r"Training on 'toy\.h5ad' needs about"):
            begin(source, tmp_path / "new", tiny_settings())
        assert not (tmp_path / "new").exists()
    assert not started
    jobs.submit(source, tmp_path / "new", tiny_settings(), anyway=True)
    assert "--anyway" in started[0]


def test_what_waits_for_other_work_is_held_to_the_whole_machine(
    run: RunFolder, little_memory: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(processes, "start_gpovae", lambda *_: None)
    source = write_toy(tmp_path)
    run.write_status(state="training", pid=os.getpid())
    jobs.submit(source, tmp_path / "waits", tiny_settings())
    monkeypatch.setattr(memory, "whole_memory", lambda: 10**8)
    with pytest.raises(NotEnoughError, match="on this machine"):
        jobs.submit(source, tmp_path / "second", tiny_settings())


def test_prepared_cells_that_cannot_be_trained_on_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The header may say too little; the cells say it exactly, before the training."""
    monkeypatch.setattr(needs, "size_of_file", lambda *_: None)

    def grows(stage: str, _share: float) -> None:
        if stage.startswith("preparing: writing"):
            monkeypatch.setattr(memory, "free_memory", lambda: 0)
            monkeypatch.setattr(memory, "own_memory", lambda: 10**8)

    settings = tiny_settings(training={"epochs": 1}, data={"panel": "wilcoxon"})
    with pytest.raises(NotEnoughError, match=r"Run 'x' needs about"):
        workflow.start_run(write_toy(tmp_path), tmp_path / "x", settings, grows)
    left = RunFolder.open(tmp_path / "x")
    assert left.status().state == "failed"
    assert "needs about" in left.status().message
    assert left.has("cells.h5ad")
    monkeypatch.undo()
    assert workflow.resume_run(left.path).status().state == "done"


def test_ensembles_sweeps_and_nulls_ask_too(run: RunFolder, little_memory: None, tmp_path: Path) -> None:
    source = write_toy(tmp_path)
    for make in (make_ensemble, submit_ensemble):
        with pytest.raises(NotEnoughError, match=r"An ensemble of 4 of run 'run' needs about .* of memory"):
            make(run, EnsemblePlan(members=4, vary="cells"))
    assert not (run.path / "ensemble").exists()
    with pytest.raises(NotEnoughError, match="The null of 'run' needs about"):
        workflow.null_network(run.path, run.settings())
    with pytest.raises(NotEnoughError, match=r"The null of 'toy\.h5ad' needs about"):
        workflow.null_network(source, make_settings())
    with pytest.raises(NotEnoughError, match=r"Holding out perturbations of 'toy\.h5ad' needs about"):
        workflow.measure_unseen(source, make_settings())
    with pytest.raises(NotEnoughError, match=r"Preparing 'toy\.h5ad' needs about"):
        workflow.estimate(source, tiny_settings(data={"min_cells": 35}))


def test_a_sweep_needs_the_disk_of_all_its_runs_and_the_memory_of_its_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = write_toy(tmp_path)
    asked: list[needs.Need] = []
    monkeypatch.setattr(needs, "check", lambda need, *_, **__: asked.append(need))
    needs.check_training(source, tmp_path, plan().settings(plan().points()[0], 0))
    folder = sweeping.SweepFolder.create(tmp_path / "sweep", plan(), source)
    sweeping.check_workers(folder, 3)
    single, whole, three = asked
    assert whole.disk == 12 * single.disk
    assert whole.memory == single.memory
    assert three.memory == 3 * single.memory


def test_a_sweep_for_which_there_is_no_room_is_not_made(little_disk: None, tmp_path: Path) -> None:
    with pytest.raises(NotEnoughError, match=r"Training on 'toy\.h5ad', 12 times, needs about .* of disk"):
        sweeping.SweepFolder.create(tmp_path / "sweep", plan(), write_toy(tmp_path))
    assert not (tmp_path / "sweep").exists()


def test_workers_for_which_there_is_no_memory_are_not_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = sweeping.SweepFolder.create(tmp_path / "sweep", plan(), write_toy(tmp_path))
    monkeypatch.setattr(memory, "free_memory", lambda: 10**8)
    for begin in (sweeping.launch, work_together):
        with pytest.raises(NotEnoughError, match="2 at a time"):
            begin(folder, 2)
    assert not folder.workers()


def test_the_command_line_says_how_to_begin_all_the_same(
    little_memory: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    source = write_toy(tmp_path)
    words = ["gpovae", "train", str(source), "--run", str(tmp_path / "x"), *tiny_options()]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.strip().endswith("To begin it all the same: --anyway.")
    begun = []
    monkeypatch.setattr(workflow, "start_run", lambda *_, **__: begun.append(needs.waived()) or exit(0))
    monkeypatch.setattr("sys.argv", [*words, "--anyway"])
    with pytest.raises(SystemExit):
        main()
    assert begun == [True]


def test_a_panel_of_effects_that_does_not_fit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpovae_core.data.effect_tables.report import MeasuredEffects

    genes = tuple(f"G{i}" for i in range(400))
    ones, report = np.ones((3, 400)), cast("Any", None)
    found = MeasuredEffects(genes[:3], genes, ones, ones, ones[:0], report)
    assert len(choose_panel(found, 300)) == 303
    monkeypatch.setattr(memory, "free_memory", lambda: 10**6)
    with pytest.raises(DataError, match=r"303 genes.*Set effects\.panel_extra to fewer than 300"):
        choose_panel(found, 300)


def group(folder: Path, limit: str, used: int, idle: int) -> None:
    folder.mkdir(parents=True)
    (folder / "memory.max").write_text(f"{limit}\n")
    (folder / "memory.current").write_text(f"{used}\n")
    (folder / "memory.stat").write_text(f"anon {used - idle}\ninactive_file {idle}\n")


def test_the_limit_of_a_job_is_found_where_the_job_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As SLURM nests them; files that were only read do not count as used."""
    group(tmp_path / "slurm" / "job_7", "4000000000", 3_500_000_000, 2_000_000_000)
    group(tmp_path / "slurm" / "job_7" / "step_0", "max", 3_500_000_000, 2_000_000_000)
    own = tmp_path / "own"
    own.write_text("0::/slurm/job_7/step_0\n")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "OWN_GROUP", own)
    assert memory.free_memory() == 2_500_000_000
    assert memory.whole_memory() == 4_000_000_000
    own.write_text("4:cpu:/elsewhere\n")
    assert memory.whole_memory() > 4_000_000_000


def test_a_container_of_the_first_version(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "memory"
    folder.mkdir()
    (folder / "memory.limit_in_bytes").write_text("2000000000")
    (folder / "memory.usage_in_bytes").write_text("500000000")
    (folder / "memory.stat").write_text("cache 1\ntotal_inactive_file 100000000\n")
    monkeypatch.setattr(memory, "CGROUPS", tmp_path)
    monkeypatch.setattr(memory, "OWN_GROUP", tmp_path / "none")
    assert memory.free_memory() == 1_600_000_000
    (folder / "memory.limit_in_bytes").write_text(str(2**63 - 4096))
    assert memory.whole_memory() > 2_000_000_000
