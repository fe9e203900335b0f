"""On a real SLURM of one machine and two nodes: submit, watch, cancel, time out, requeue, lose the node."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gpovae_core.runs import folder as run_folder
from gpovae_core.runs import jobs
from gpovae_core.runs.clusters import slurm
from gpovae_core.runs.clusters.sites import find_site, request
from gpovae_core.runs.clusters.told import in_words
from gpovae_core.runs.folder import JobFolder, RunFolder
from gpovae_core.sweeps import folder as sweeping
from gpovae_core.sweeps.plan import plan_from
from tests.slurm_here import SlurmHere, missing, wait_until
from tests.toy import TINY, tiny_settings, write_toy

SITES = """
[here]
partition = "work"
cores = 1
memory_gb = 3
hours = 0.05
warn_seconds = 60

[elsewhere]
partition = "nowhere"
"""
LONG = {"epochs": 100_000, "patience": 100_000}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(missing()), reason=missing() or "-"),
    pytest.mark.timeout(400),
]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SlurmHere]:
    with pytest.MonkeyPatch.context() as patch, SlurmHere(tmp_path_factory.mktemp("slurm") / "it") as started:
        for name, value in started.environment.items():
            patch.setenv(name, value)
        patch.setattr(slurm, "LOOK_EVERY", 0.2)
        patch.setattr(run_folder, "SILENCE", 6.0)
        yield started


@pytest.fixture
def runs(cluster: SlurmHere, tmp_path: Path) -> Path:
    (tmp_path / "clusters.toml").write_text(SITES)
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


def words(folder: JobFolder) -> str:
    return in_words(folder.status())


def until(folder: JobFolder, condition: Callable[[], bool], seconds: float = 90) -> None:
    """Wait; where it does not come, say where the job stands."""
    wait_until(condition, seconds, lambda: f"{folder.status()}\n{words(folder)}\n{folder.last_words(40)}")


def trains_on(run: RunFolder, node: str, after: int = 0) -> None:
    until(run, lambda: words(run) == f"training on {node}" and run.status().epoch > after)


def begin_now(cluster: SlurmHere, run: RunFolder) -> None:
    """SLURM lets two minutes pass before a job that went back into the queue begins again; a second or two
    would be too few, since a node still holds its last credential for void.
    """
    cluster.ask("scontrol", "update", f"JobId={run.status().job}", "StartTime=now+4")


def occupy(cluster: SlurmHere, node: str, partition: str = "work") -> str:
    options = (f"--nodelist={node}", f"--partition={partition}", "--mem=3000M", "--output=/dev/null")
    return cluster.ask("sbatch", "--parsable", *options, "--wrap=sleep 300").strip()


def test_a_training_waits_runs_out_of_time_loses_its_node_and_is_displaced(
    cluster: SlurmHere, runs: Path, tmp_path: Path
) -> None:
    source, site = write_toy(tmp_path), find_site("here", runs)
    asked = request("here", site)
    name = "it's $(touch evil) %j"  # of no meaning to a shell, nor to SLURM
    with pytest.raises(slurm.SchedulerError, match="there is no partition 'nowhere'"):
        jobs.submit(source, runs / name, tiny_settings(), request("elsewhere", find_site("elsewhere", runs)))
    with pytest.raises(slurm.SchedulerError, match="no node there has 500 GB"):
        jobs.submit(source, runs / name, tiny_settings(), request("here", site, memory_gb=500))
    assert list(runs.iterdir()) == []

    occupied = occupy(cluster, "n2")
    run = jobs.submit(source, runs / name, tiny_settings(training=LONG), asked)
    second = jobs.submit(source, runs / "second", tiny_settings(), asked)
    until(second, lambda: words(second) == "waiting in the queue of here (what it needs is in use)")
    assert jobs.ahead_of(second, [run]) == [], "it waits for the cluster, and for nothing here"
    assert jobs.stop(second)
    assert second.status().message == "stopped on request in the queue of here"
    until(run, lambda: words(run).endswith(" on n1"))
    # Its limits are looked at every half minute, so this one is set while it starts.
    cluster.ask("scontrol", "update", f"JobId={run.status().job}", "EndTime=now+80")
    until(run, lambda: run.status().message.startswith("time limit reached"))
    until(run, lambda: "waiting in the queue of here" in words(run))
    reached = run.status().epoch
    assert run.status().message.endswith(
        f"after epoch {reached}; it goes on by itself" if reached else "finished; it goes on by itself"
    )
    begin_now(cluster, run)
    trains_on(run, "n1", reached)

    cluster.ask("scancel", occupied)
    cluster.lose_node("n1")
    until(run, lambda: "waiting in the queue of here" in words(run))
    reached = run.status().epoch
    begin_now(cluster, run)
    trains_on(run, "n2", reached)

    occupy(cluster, "n2", "urgent")
    until(run, lambda: "waiting in the queue of here" in words(run))
    assert run.status().message.startswith("interrupted by the scheduler after epoch")
    assert jobs.stop(run)
    assert run.status().state == "stopped"
    assert run.metrics()["epoch"].tolist() == list(range(1, run.status().epoch + 1))
    assert not list(tmp_path.rglob("evil"))
    cluster.ask("scancel", "--user", "root")
    cluster.start_node("n1")


def test_the_workers_of_a_sweep_work_on_two_nodes_over_one_study_and_stop(
    cluster: SlurmHere, runs: Path, tmp_path: Path
) -> None:
    wait_until(lambda: set(cluster.states().values()) == {"idle"}, 60, cluster.last_words)
    changes = {**TINY, "training": {**TINY["training"], **LONG}}
    plan = plan_from({"title": "t", "preset": "released", "seeds": [0], "axes": {"loss.hops": [1, 2, 3]}})
    plan = plan.model_copy(update={"changes": changes})
    asked = request("here", find_site("here", runs))
    sweep = sweeping.submit(runs / "sweep", plan, write_toy(tmp_path), workers=2, asked=asked)
    assert len(sweep.alive()) == 2
    wait_until(lambda: sum(run.has("model.safetensors") for run in sweep.runs().values()) == 2, 90)
    assert {run.status().node for run in sweep.runs().values()} == {"n1", "n2"}
    assert sweeping.stop(sweep) == 2
    wait_until(lambda: not sweep.alive(), 60)
    assert [worker.status().message for worker in sweep.workers()] == ["stopped on request"] * 2
    assert {run.status().state for run in sweep.runs().values()} == {"stopped"}


def test_nothing_of_it_is_left(cluster: SlurmHere) -> None:
    cluster.__exit__()
    import psutil

    left = [
        process.info["cmdline"]
        for process in psutil.process_iter(["environ", "cmdline"])
        if (process.info["environ"] or {}).get("SLURM_CONF") == cluster.environment["SLURM_CONF"]
        and process.pid != os.getpid()
    ]
    assert not left
    wait_until(lambda: not cluster.steps(), 5)
