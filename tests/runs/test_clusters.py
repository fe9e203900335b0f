"""Clusters without one: the file of sites, and what is made of recorded answers of SLURM's commands."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from gpovae_core import cli, workflow
from gpovae_core.errors import RunError, SettingsError
from gpovae_core.runs import jobs, processes
from gpovae_core.runs.archive import export_run, import_archive
from gpovae_core.runs.clusters import slurm, submit, worker
from gpovae_core.runs.clusters.sites import Site, clusters_file, find_site, read_sites, request
from gpovae_core.runs.clusters.told import ENDS, in_words
from gpovae_core.runs.ensemble import EnsembleJob, EnsemblePlan, submit_ensemble
from gpovae_core.runs.folder import SILENCE, DataSource, RunFolder
from gpovae_core.sweeps import folder as sweeping
from gpovae_core.sweeps.work import _left_behind
from tests.fake_run import make_fake_run
from tests.fake_slurm import SITES
from tests.sweeps.stand_in import plan
from tests.toy import tiny_settings

HOSTILE = "it's $(touch evil) `touch evil` %j ; touch evil"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    (tmp_path / "clusters.toml").write_text(SITES)
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs"


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    (tmp_path / "cells.h5ad").write_bytes(b"not looked at")
    return tmp_path / "cells.h5ad"


def sent(runs: Path, name: str = "run", **status: object) -> RunFolder:
    """A run whose job 71 was sent to the site gpu."""
    run = RunFolder.create(runs / name, tiny_settings(), DataSource(path="x"))
    run.write_status(**{"state": "queued", "pid": None, "site": "gpu", "job": "71", **status})
    return run


def test_everything_wrong_with_the_file_is_said_at_once(runs):
    path = runs.parent / "clusters.toml"
    path.write_text(
        'colour = "red"\n[a]\ngpus = -1\nhours = "12"\nspeed = 3\n[b]\npartition = "x\\ny"\ngpus = 1.5\n'
        '[b.options]\nwrap = "rm"\nqos = "high"\n[c]\npython = "bin/python"\nmemory_gb = nan\n'
        '[c.options]\n"a b" = "1"\n["../d"]\n'
    )
    with pytest.raises(SettingsError) as error:
        read_sites(runs)
    lines = str(error.value).splitlines()
    assert str(path) in lines[0]
    for part, words in (
        ("colour", "outside a table"),
        ("[a] gpus", "greater than or equal to 0"),
        ("[a] hours", "number"),
        ("[a] speed", "is no key of a site. There is: gpus, cores"),
        ("[b] partition", "line break"),
        ("[b] gpus", "integer"),
        ("[b] options", "'wrap' is set by other keys"),
        ("[b] options", "'qos' is set by other keys"),
        ("[c] python", "whole path"),
        ("[c] memory_gb", "finite"),
        ("[c] options", "'a b' is no long option"),
        ("'../d'", "no name for a site"),
    ):
        assert [line for line in lines if part in line and words in line], (part, words, lines)
    assert len(lines) == 12
    path.write_text("[a\n")
    with pytest.raises(SettingsError, match=r"clusters\.toml' is no valid TOML: .*line 1"):
        read_sites(runs)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(SettingsError, match="no valid TOML"):
        read_sites(runs)


def test_the_file_is_looked_for_in_three_places(runs, tmp_path, monkeypatch):
    user = tmp_path / "settings"
    (user / "gpovae").mkdir(parents=True)
    (user / "gpovae" / "clusters.toml").write_text("[mine]\n")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(user))
    assert list(read_sites(runs)) == ["gpu"], "beside the runs comes before the user's own"
    (runs.parent / "clusters.toml").unlink()
    if sys.platform == "linux":
        assert list(read_sites(runs)) == ["mine"]
        (user / "gpovae" / "clusters.toml").unlink()
        assert clusters_file(runs) is None
        with pytest.raises(SettingsError, match=r"no clusters\.toml: put one beside the folder of runs"):
            find_site("gpu", runs)
    monkeypatch.setenv("GPOVAE_CLUSTERS", str(tmp_path / "gone.toml"))
    with pytest.raises(SettingsError, match="GPOVAE_CLUSTERS names it"):
        read_sites(runs)
    (tmp_path / "gone.toml").write_text("[third]\n")
    with pytest.raises(SettingsError, match=r"no site 'gpu' in .*gone\.toml'; there is: third"):
        find_site("gpu", runs)


def test_a_request_takes_what_the_site_gives_and_names_all_that_cannot_be(runs):
    site = find_site("gpu", runs)
    asked = request("gpu", site, gpus=None, cores=3)
    assert (asked.gpus, asked.cores, asked.memory_gb, asked.hours) == (2, 3, 8.0, 1.5)
    with pytest.raises(SettingsError) as error:
        request("gpu", site, gpus=-1, hours=0)
    assert "gpus" in str(error.value)
    assert "hours" in str(error.value)


def test_no_name_is_read_by_a_shell_or_by_slurm(fake_slurm, runs, cells, tmp_path):
    """The script is run by a real shell, with a program in the place of Python that says what it is given."""
    program = tmp_path / "say it"
    program.write_text(
        f"#!{sys.executable}\nimport json, os, sys\n"
        "print(json.dumps([os.getcwd(), dict(os.environ), sys.argv]))\n"
    )
    program.chmod(0o755)
    path = runs.parent / "clusters.toml"
    path.write_text(path.read_text().replace("[gpu]", f"[gpu]\npython = '{program}'"))
    source = cells.rename(tmp_path / f"{HOSTILE}.h5ad")
    run = jobs.submit(source, runs / HOSTILE, tiny_settings(), request("gpu", find_site("gpu", runs)))
    assert run.status().job == "71"
    options = fake_slurm.asked("sbatch")
    assert "--job-name=gpovae-it_s_touch_evil_touch_evil_j_touch_evil" in options
    for option in ("partition=long", "account=lab", "gres=gpu:a100:2", "constraint=fast&new", "time=90"):
        assert f"--{option}" in options
    assert {"--mem=7630M", "--signal=B:USR1@120", "--requeue", "--output=/dev/null"} <= set(options)
    assert run.settings().training.devices == 2, "a process for each GPU"
    script = (fake_slurm.folder / "script").read_text()
    assert "#SBATCH" not in script
    subprocess.run(["/bin/sh", "-e", str(fake_slurm.folder / "script")], cwd="/", check=True)
    where, environ, words = json.loads((run.path / "worker.txt").read_text())
    assert where == str(runs)
    assert (environ["GPOVAE_SITE"], environ["GPOVAE_JOBS"], environ["SLURM_JOB_NAME"]) == (
        *("gpu", "4", "interactive"),
    )
    assert words[1:] == [
        "-m",
        "gpovae_core.runs.clusters.worker",
        str(run.path),
        "3",
        "train",
        str(source),
        *("--run", str(run.path), "--resume"),
    ]
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (
            "sbatch: error: invalid partition specified: long\nsbatch: error: Batch job submission failed: "
            "Invalid partition name specified",
            "there is no partition 'long'; `sinfo` lists those that there are. It said: invalid partition",
        ),
        (
            "sbatch: error: Batch job submission failed: Invalid account or account/partition combination "
            "specified",
            "the account 'lab' may not be used",
        ),
        ("sbatch: error: Invalid generic resource (gres) specification", "no such GPUs .asked for: 2 a100."),
        (
            "sbatch: error: Batch job submission failed: Requested time limit is invalid (missing or exceeds "
            "some limit)",
            "1.5 h are more than may be asked for",
        ),
        (
            "sbatch: error: Memory specification can not be satisfied\nsbatch: error: Batch job submission "
            "failed: Requested node configuration is not available",
            "no node there has 8 GB of memory",
        ),
        (
            "sbatch: error: Batch job submission failed: Requested node configuration is not available",
            "no node there has all of 2 GPUs, 4 cores, 8 GB, 1.5 h",
        ),
        (
            "sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit "
            "limit, user's size and/or time limits)",
            "more than this account may have at once",
        ),
        (
            "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect "
            "failure)",
            "cannot be reached; try again later",
        ),
        ("sbatch: error: Something new under the sun", "'gpu'. It said: Something new under the sun"),
    ],
)
def test_what_the_scheduler_refuses_is_said_in_words_and_leaves_nothing(fake_slurm, runs, cells, said, words):
    asked = request("gpu", find_site("gpu", runs))
    fake_slurm.says("sbatch", err=said)
    with pytest.raises(slurm.SchedulerError, match=words):
        jobs.submit(cells, runs / "run", tiny_settings(), asked)
    assert not (runs / "run").exists()
    stopped = sent(runs, "stopped", state="stopped", message="stopped on request after epoch 3")
    before = {path.name: path.read_bytes() for path in stopped.path.iterdir() if path.is_file()}
    stopped.write_source(DataSource(path=str(cells)))
    before["config.json"] = (stopped.path / "config.json").read_bytes()
    with pytest.raises(slurm.SchedulerError, match=words):
        jobs.resume(stopped, asked=asked)
    assert {p.name: p.read_bytes() for p in stopped.path.iterdir() if p.name in before} == before
    with pytest.raises(slurm.SchedulerError):
        sweeping.submit(runs / "sweep", plan(), cells, 2, asked)
    assert not (runs / "sweep").exists()


def test_processes_and_machines_that_a_job_does_not_have_are_refused(runs, cells):
    asked = request("gpu", find_site("gpu", runs))
    for training, message in (
        ({"devices": 3}, "training.devices is 3, but the job gets 2 GPUs"),
        ({"nodes": 2}, "leave out --nodes"),
    ):
        with pytest.raises(SettingsError, match=message):
            jobs.submit(cells, runs / "run", tiny_settings(training=training), asked)
    assert not (runs / "run").exists()


def test_without_the_commands_it_is_said_where_they_are(runs, cells, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(slurm.SchedulerError, match=r"no command sbatch on this machine.*login node"):
        jobs.submit(cells, runs / "run", tiny_settings(), request("gpu", find_site("gpu", runs)))
    slurm._seen.clear()
    run = sent(runs)
    assert not run.status().dead(time.time() + 1e6), "it waits, and nobody here can tell for how long"
    assert in_words(run.status()) == ("waiting in the queue of gpu (its scheduler cannot be asked from here)")
    working = run.write_status(state="training", node="n7")
    assert not working.dead()
    assert working.dead(time.time() + SILENCE + 1)
    with pytest.raises(slurm.SchedulerError):
        jobs.stop(run)


@pytest.mark.parametrize(
    ("line", "state", "dead", "words"),
    [
        (
            "71|PENDING|Resources||gpovae-run",
            "queued",
            False,
            "waiting in the queue of gpu (what it needs is in use)",
        ),
        (
            "71|PENDING|Priority||gpovae-run",
            "queued",
            False,
            "waiting in the queue of gpu (other jobs come first)",
        ),
        (
            "71|PENDING|ReqNodeNotAvail, UnavailableNodes:n3||gpovae-run",
            "queued",
            False,
            "the nodes that it could use are",
        ),
        ("71|PENDING|QOSMaxJobsPerUserLimit||gpovae-run", "queued", False, "as much as you may at once"),
        ("71|PENDING|AssocGrpGRES||gpovae-run", "queued", False, "as much as you may at once (AssocGrpGRES)"),
        ("71|PENDING|NeverHeardOf||gpovae-run", "queued", False, "(reason: NeverHeardOf)"),
        (
            "71|PENDING|BeginTime||gpovae-run",
            "training",
            False,
            "waiting in the queue of gpu (it may begin again",
        ),
        ("71|CONFIGURING|None|n3|gpovae-run", "queued", False, "starting on n3"),
        ("71|RUNNING|None|n3|gpovae-run", "training", False, "training on n3"),
        ("71|RUNNING|None|n3|gpovae-run", "evaluating", False, "scoring on n3"),
        ("71|SUSPENDED|None|n3|gpovae-run", "training", False, "training on n3"),
        ("71|TIMEOUT|TimeLimit|n3|gpovae-run", "training", True, "time limit reached; resume?"),
        ("71|NODE_FAIL|NodeDown|n3|gpovae-run", "training", True, "the node was lost (n9)"),
        (
            "71|OUT_OF_MEMORY|OutOfMemory|n3|gpovae-run",
            "training",
            True,
            "it needed more memory than it was given",
        ),
        ("71|CANCELLED|None|n3|gpovae-run", "queued", True, "it was cancelled at the cluster"),
        ("71|PREEMPTED|None|n3|gpovae-run", "training", True, "a job that comes first took its place"),
        ("71|FAILED|NonZeroExitCode|n3|gpovae-run", "queued", True, "its process failed without saying why"),
        ("71|FAILED|JobLaunchFailure|n3|gpovae-run", "queued", True, "it could not be started on its node"),
        ("71|COMPLETED|None|n3|gpovae-run", "training", True, "its process ended without saying why"),
        ("70|RUNNING|None|n3|gpovae-run", "training", True, "the scheduler no longer knows its job"),
    ],
)
def test_the_one_who_knows_is_asked_whether_a_job_lives(fake_slurm, runs, line, state, dead, words):
    fake_slurm.says("squeue", f"69|RUNNING|None|n1|gpovae-run\n{line}\n")
    run = sent(runs, state=state, node="n9")
    later = time.time() + SILENCE + 1
    assert run.status().dead(later) is dead
    assert words in in_words(run.status(), later)
    assert "--jobs=71" in fake_slurm.asked("squeue")
    if state != "queued":
        assert not run.status().dead(), "a sign of life is enough"


def test_a_job_that_squeue_has_forgotten_is_looked_up_in_the_accounts(fake_slurm, runs):
    fake_slurm.says("squeue", err="slurm_load_jobs error: Invalid job id specified")
    fake_slurm.says("sacct", "71|CANCELLED by 1000|None|n3|gpovae-run\n")
    assert in_words(sent(runs).status()) == ENDS["CANCELLED"]
    fake_slurm.says("sacct", err="Slurm accounting storage is disabled")
    assert in_words(RunFolder(runs / "run").status()) == ENDS["UNKNOWN"]
    fake_slurm.says(
        "squeue", err="slurm_load_jobs error: Unable to contact slurm controller (connect failure)"
    )
    assert not RunFolder(runs / "run").status().dead(), "a scheduler that is away has lost nothing"
    asked = len(fake_slurm.asked("squeue"))
    assert not RunFolder(runs / "run").status().dead()
    assert len(fake_slurm.asked("squeue")) == asked, "it is not asked at every look"


def test_jobs_are_looked_up_together(fake_slurm, runs, monkeypatch):
    fake_slurm.says("squeue", "71|PENDING|Priority||gpovae-run\n72|RUNNING|None|n1|gpovae-run\n")
    slurm.look("71")
    slurm.look("72")
    monkeypatch.setattr(slurm, "LOOK_EVERY", -1.0)
    slurm.look("71")
    assert fake_slurm.asked("squeue")[-1] == "--jobs=71,72"


def test_stopping_takes_a_job_out_of_the_queue_or_asks_it(fake_slurm, runs):
    waiting = sent(runs)
    fake_slurm.says("squeue", "71|PENDING|Priority||gpovae-of another\n")
    with pytest.raises(slurm.SchedulerError, match="does not belong to 'run'"):
        jobs.stop(waiting)
    assert fake_slurm.asked("scancel") == []
    fake_slurm.says("squeue", "71|PENDING|Priority||gpovae-run\n")
    fake_slurm.says_once_cancelled("71|CANCELLED|None||gpovae-run\n")
    with pytest.raises(RunError, match=r"was sent to 'gpu' as job 71: waiting in the queue .* Stop it first"):
        workflow.resume_run(waiting.path)
    assert jobs.stop(waiting)
    assert fake_slurm.asked("scancel") == ["--state=PENDING", "71"]
    assert waiting.status().message == "stopped on request in the queue of gpu"
    assert waiting.status().job == ""
    working = sent(runs, "working", state="training")
    fake_slurm.says("squeue", "71|RUNNING|None|n3|gpovae-working\n")
    assert jobs.stop(working)
    assert fake_slurm.asked("scancel")[-3:] == ["--batch", "--signal=INT", "71"]
    assert working.status().state == "training", "it says itself when it has stopped"
    fake_slurm.says("squeue", "71|COMPLETED|None|n3|gpovae-working\n")
    assert not jobs.stop(working)


def test_a_run_at_a_cluster_keeps_nobody_here_waiting_and_carries_nothing_of_it_away(
    fake_slurm, runs, tmp_path
):
    fake_slurm.says("squeue", "71|PENDING|Priority||gpovae-run\n")
    there = sent(runs, "there")
    here = RunFolder.create(runs / "here", tiny_settings(), DataSource(path="x"))
    assert jobs.ahead_of(here, [here, there]) == []
    with pytest.raises(RunError, match="Stop it first"):
        export_run(there, tmp_path / "x.zip")
    done = make_fake_run(runs / "done")
    submit.keep(done, request("gpu", find_site("gpu", runs)))
    export_run(done, tmp_path / "x.zip")
    assert submit.kept(import_archive(tmp_path / "x.zip", tmp_path / "again")) is None


def test_a_run_goes_on_at_the_cluster_or_here(fake_slurm, runs, cells, monkeypatch):
    run = sent(runs, state="stopped")
    run.write_source(DataSource(path=str(cells)))
    site = find_site("gpu", runs)
    jobs.resume(run, asked=request("gpu", site, gpus=4))
    assert "--set training.devices=4" in (fake_slurm.folder / "script").read_text()
    assert (run.status().state, run.status().job, submit.kept(run).gpus) == ("queued", "71", 4)
    fake_slurm.says("squeue", "71|PENDING|Priority||gpovae-run\n")
    with pytest.raises(RunError, match="nothing to resume"):
        jobs.resume(run)
    started: list[list[str]] = []
    monkeypatch.setattr(processes, "start_gpovae", lambda words, *_: started.append(words))
    fake_slurm.says("squeue", "71|NODE_FAIL|None|n3|gpovae-run\n")
    jobs.resume(run)
    assert started[0][-3:] == ["--set", "training.devices=1", "--wait"]
    assert (run.status().job, run.status().site, submit.kept(run)) == ("", "", None)


def test_an_ensemble_and_the_workers_of_a_sweep_are_jobs_of_their_own(fake_slurm, runs, cells):
    asked = request("gpu", find_site("gpu", runs), gpus=0)
    fake_slurm.says("squeue", "71|PENDING|Priority||gpovae-run\n")
    run = make_fake_run(runs / "run")
    submit_ensemble(run, EnsemblePlan(members=3), asked)
    assert " ensemble " in (fake_slurm.folder / "script").read_text()
    assert in_words(EnsembleJob.of(run).status()).startswith("waiting in the queue of gpu")
    with pytest.raises(RunError, match="being made already"):
        submit_ensemble(run, EnsemblePlan(members=3), asked)
    sweep = sweeping.submit(runs / "sweep", plan(), cells, 2, asked)
    assert len(sweep.alive()) == 2
    one = sweep.workers()[0]
    assert f"--worker {one.name}" in (fake_slurm.folder / "script").read_text()
    assert sweep.new_worker(one.name).path == one.path, "the job adopts the folder that was made for it"
    assert len(sweep.workers()) == 2


def test_the_point_of_a_worker_that_is_back_in_the_queue_is_taken_over(fake_slurm, runs, cells):
    trial = SimpleNamespace(user_attrs={"worker": "w"})
    sweep = sweeping.SweepFolder.create(runs / "sweep", plan(), cells)
    one = sweep.new_worker("w")
    one.write_status(site="gpu", job="71", node="n1")
    fake_slurm.says("squeue", "71|PENDING|BeginTime||gpovae-run\n")
    assert not _left_behind(sweep, trial), "it has given a sign of life"
    one.write_status(state="queued")
    assert _left_behind(sweep, trial)
    assert sweep.alive(), "it comes back"


@pytest.fixture
def at_the_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("GPOVAE_SITE", "gpu"), ("SLURM_JOB_ID", "71"), ("SLURMD_NODENAME", "n3")):
        monkeypatch.setenv(name, value)


def test_whoever_works_there_says_where_it_is(at_the_cluster, runs, monkeypatch):
    run = RunFolder.create(runs / "run", tiny_settings(), DataSource(path="x"))
    assert (run.status().site, run.status().job, run.status().node) == ("gpu", "71", "n3")
    done = run.write_status(state="done")
    assert (done.site, done.job, done.node) == ("", "", "")
    monkeypatch.delenv("GPOVAE_SITE")
    assert run.write_status(state="training", pid=os.getpid()).job == "", "a job that somebody made by hand"


@pytest.mark.parametrize(
    ("cause", "code", "reached", "state", "message"),
    [
        (worker.ASKED, 0, 0, "stopped", "stopped on request after epoch 4"),
        (worker.LIMIT, 0, 0, "queued", "time limit reached after epoch 4; it goes on by itself"),
        (worker.LIMIT, 0, 1, "stopped", "time limit reached after epoch 4; resume?"),
        (worker.SCHEDULER, 0, 0, "queued", "interrupted by the scheduler after epoch 4"),
    ],
)
def test_why_work_ended_is_written_down(
    fake_slurm, at_the_cluster, runs, cause, code, reached, state, message
):
    run = sent(runs, state="stopped", message="stopped on request after epoch 4")
    submit.keep(run, request("gpu", Site()).model_copy(update={"reached": reached}))
    worker.settle(run, cause, code, requeue=1)
    assert (run.status().state, run.status().message) == (state, message)
    assert fake_slurm.asked("scontrol") == (["requeue", "71"] if "by itself" in message else [])
    assert run.status().job == ("71" if state == "queued" else "")


def test_a_limit_that_cannot_be_followed_by_the_queue_and_a_process_that_is_gone(
    fake_slurm, at_the_cluster, runs
):
    fake_slurm.says("scontrol", err="slurm_requeue: Job/step not permitted")
    run = sent(runs, state="training")
    submit.keep(run, request("gpu", Site()))
    worker.settle(run, worker.LIMIT, 0, requeue=1)
    assert run.status().message == "time limit reached; resume?"
    run.write_status(state="training", pid=None)
    worker.settle(run, "", -9, requeue=1)
    assert (run.status().state, "more memory" in run.status().message) == ("failed", True)
    run.write_status(state="queued")
    (run.path / "worker.txt").write_text("Error: There is no file 'x'.\n")
    worker.settle(run, "", 2, requeue=1)
    assert run.status().message == "There is no file 'x'."
    run.write_status(state="done", message="early stop")
    worker.settle(run, worker.LIMIT, 0, requeue=1)
    assert run.status().message == "early stop"


def test_only_the_job_that_is_waited_for_works(runs, monkeypatch):
    monkeypatch.setattr(worker, "HANDSHAKE", 0.0)
    run = sent(runs)
    assert worker._is_ours(run, "71")
    assert not worker._is_ours(run, "70"), "another job was sent since"
    run.write_status(job="", pid=os.getpid())
    assert not worker._is_ours(run, "71"), "somebody works here"
    run.write_status(state="stopped")
    assert not worker._is_ours(run, "71")
    (run.path / "status.json").write_text('{"job": "1; scancel 2"}')
    with pytest.raises(RunError, match="damaged"):
        run.status()


@pytest.mark.parametrize("which", [signal.SIGINT, signal.SIGUSR1])
def test_the_work_only_ever_sees_sigterm(runs, tmp_path, monkeypatch, which):
    stub = tmp_path / "python"
    stub.write_text(f"#!/bin/sh\ntrap 'touch {tmp_path}/told; exit 0' TERM\nwhile :; do sleep 0.05; done\n")
    stub.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(stub))
    run = sent(runs, state="training")
    before = {each: signal.getsignal(each) for each in worker.CAUSES}
    try:
        work = worker.Work()
        threading.Timer(0.3, os.kill, (os.getpid(), which)).start()
        assert work.do(["train"], run) == 0
        assert work.cause == worker.CAUSES[which]
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert (tmp_path / "told").exists()


def test_the_commands_send_list_and_stop(fake_slurm, runs, cells, monkeypatch, capsys):
    def gpovae(*words: object) -> str:
        monkeypatch.setattr(sys, "argv", ["gpovae", *map(str, words)])
        with pytest.raises(SystemExit):
            cli.main()
        out, err = capsys.readouterr()
        return out + err

    assert "gpu                  2 GPUs, 4 cores, 8 GB, 1.5 h" in gpovae("sites", "--runs", runs)
    fake_slurm.says("squeue", "71|PENDING|Priority||gpovae-run\n")
    there = ("train", cells, "--run", runs / "run")
    assert "give --on SITE with them" in gpovae(*there, "--gpus", 2)
    assert "no site 'cpu'" in gpovae(*there, "--on", "cpu")
    assert not (runs / "run").exists()
    told = gpovae(*there, "--on", "gpu", "--gpus", 0, "--hours", 3, "--memory", 9, "--epochs", 5)
    assert told.endswith(
        f"Run {runs / 'run'}: waiting in the queue of gpu (other jobs come first), job 71.\n"
    )
    assert {"--time=180", "--mem=8584M"} <= set(fake_slurm.asked("sbatch"))
    assert RunFolder(runs / "run").settings().training.epochs == 5
    assert "was sent to 'gpu' as job 71" in gpovae(*there, "--resume")
    fake_slurm.says_once_cancelled("71|CANCELLED|None||gpovae-run\n")
    assert gpovae("stop", runs / "run") == "Asked 1 to stop.\n"
    assert gpovae("stop", runs / "run").startswith("Nothing is at work there")
    again = gpovae(*there, "--resume", "--on", "gpu", "--set", "training.learning_rate=1")
    assert "A resumed run keeps its settings; learning_rate cannot change" in again
    assert "is no run and no sweep" in gpovae("stop", runs)
    fake_slurm.says("squeue", "71|PENDING|Priority||gpovae-run\n")
    sweep = ("sweep", "loss-ablation", "--data", cells, "--folder", runs / "sweep", "--on", "gpu")
    assert f"{runs / 'sweep'}, the last of 2: waiting in the queue of gpu" in gpovae(*sweep, "--workers", 2)
    assert len(sweeping.SweepFolder.open(runs / "sweep").alive()) == 2
    assert "is no run, and only the ensemble of a run" in gpovae("ensemble", cells, "--on", "gpu")
