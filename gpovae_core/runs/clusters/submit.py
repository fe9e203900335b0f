"""The way of a job to a cluster: what is asked for, the script, the number that the scheduler gives it; and
the way back, where it is asked to stop.
"""

from __future__ import annotations

import math
import re
import shlex
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from pydantic import ValidationError

from gpovae_core.data.atomic import write_text
from gpovae_core.data.cores import JOBS
from gpovae_core.errors import RunError
from gpovae_core.runs import processes
from gpovae_core.runs.clusters import slurm
from gpovae_core.runs.clusters.sites import Request, Site, find_site
from gpovae_core.runs.clusters.told import in_words, refusal
from gpovae_core.runs.folder import NOWHERE, JobFolder, Status

KEPT = "cluster.json"
PRINTED = "worker.txt"


def send(folder: JobFolder, command: Sequence[str], asked: Request, runs: Path) -> str:
    """Submit a `gpovae` command that works in `folder`; returns the number of the job. The status of the
    folder is then "queued", with its site and job.

    runs: folder of runs, beside which clusters.toml is looked for. Raises SettingsError where the site is not
    there, SchedulerError in words where the scheduler refuses; the folder is then as it was.
    """
    site = find_site(asked.site, runs)
    before = {name: _content(folder.path / name) for name in (KEPT, "status.json")}
    keep(folder, asked.model_copy(update={"reached": 0}))
    (folder.path / PRINTED).write_text("")
    new = {**NOWHERE, "site": asked.site, "started": time.time(), "message": ""}
    folder.write_status(state="queued", **new)
    try:
        number = slurm.sbatch(options(asked, site, folder.name), script(folder, command, asked, site))
    except slurm.SchedulerError as error:
        for name, content in before.items():
            if content is None:
                (folder.path / name).unlink()
            else:
                write_text(folder.path / name, content)
        raise refusal(error, site, asked) from error
    folder.write_status(job=number)
    folder.log(f"sent to {asked.site} as job {number}: {asked.words}")
    return number


def job_name(name: str) -> str:
    """What the scheduler calls the job of a folder: of its name only what no file name of SLURM gives a
    meaning to.
    """
    return f"gpovae-{re.sub(r'[^A-Za-z0-9._-]+', '_', name)[:60]}"


def options(asked: Request, site: Site, name: str) -> list[str]:
    """Options of sbatch, each one argument whatever is in it."""
    minutes = max(1, math.ceil(asked.hours * 60 - 1e-6))
    named = {"partition": site.partition, "account": site.account, "qos": site.qos}
    if asked.gpus:
        named["gres"] = ":".join(["gpu", *filter(None, [site.gpu_type]), str(asked.gpus)])
    return [
        f"--job-name={job_name(name)}",
        *(f"--{option}={value}" for option, value in {**named, **site.options}.items() if value),
        *("--nodes=1", "--ntasks=1", f"--cpus-per-task={asked.cores}"),
        f"--mem={math.ceil(asked.memory_gb * 1e9 / 2**20)}M",
        f"--time={minutes}",
        f"--signal=B:USR1@{min(site.warn_seconds, minutes * 30)}",
        *("--requeue", "--export=ALL", "--chdir=/", "--output=/dev/null"),
    ]


def script(folder: JobFolder, command: Sequence[str], asked: Request, site: Site) -> str:
    """What the job runs: every word of it is quoted, and none stands in an #SBATCH line. What it prints goes
    to worker.txt of the folder.

    The name of the job keeps Lightning from taking the processes that it starts for SLURM's.
    """
    path = folder.path.resolve()
    values = {processes.SITE: asked.site, JOBS: str(asked.cores), "OMP_NUM_THREADS": str(asked.cores)}
    if not site.python:
        values["PYTHONPATH"] = processes.python_path()
    worker = ["-m", "gpovae_core.runs.clusters.worker", str(path), str(site.requeue), *command]
    lines = [
        "#!/bin/sh",
        f"exec >> {shlex.quote(str(path / PRINTED))} 2>&1",
        *(f"export {name}={shlex.quote(value)}" for name, value in values.items()),
        "export SLURM_JOB_NAME=interactive",
        f"cd {shlex.quote(str(path.parent))}",
        f"exec {shlex.join([site.python or sys.executable, *worker])}",
    ]
    return "\n".join(lines) + "\n"


def keep(folder: JobFolder, asked: Request) -> None:
    write_text(folder.path / KEPT, asked.model_dump_json(indent=2))


def kept(folder: JobFolder) -> Request | None:
    """What was asked for when the folder's job was sent to a cluster; None where it was not."""
    content = _content(folder.path / KEPT)
    try:
        return None if content is None else Request.model_validate_json(content)
    except ValidationError as error:
        raise RunError(f"{folder.what} '{folder.name}': {KEPT} is damaged ({error}).") from error


def here_again(folder: JobFolder) -> None:
    """The folder is from now on worked on here."""
    (folder.path / KEPT).unlink(missing_ok=True)


def stop(folder: JobFolder) -> bool:
    """Take a waiting job out of the queue, or ask one at work to stop; False where it has ended. Raises
    SchedulerError where the scheduler cannot be asked, or has another job of that number: the folder may have
    come from another cluster.
    """
    status = folder.status()
    job = _asked_anew(status)
    if job.over:
        return False
    if job.name != job_name(folder.name):
        raise slurm.SchedulerError(
            f"Job {status.job} of the cluster that is asked here is called '{job.name[:80]}' and does not "
            f"belong to '{folder.name}'; it was sent to '{status.site}' elsewhere."
        )
    slurm.cancel_waiting(status.job)
    job = _asked_anew(status)
    if job.state == "CANCELLED":
        folder.write_status(state="stopped", message=f"stopped on request in the queue of {status.site}")
        return True
    if not job.over:
        slurm.signal_batch(status.job, "INT")
    return not job.over


def _asked_anew(status: Status) -> slurm.Job:
    slurm.forget(status.job)
    job = slurm.look(status.job)
    if job is None:
        raise slurm.SchedulerError(f"The scheduler of '{status.site}' cannot be asked from here.")
    return job


def check_free(folder: JobFolder) -> None:
    """Raises RunError where a job on a cluster waits to work in the folder, or does, and is not this one."""
    status = folder.status()
    if status.busy and status.job not in ("", processes.place()["job"]) and not status.dead():
        raise RunError(
            f"{folder.what} '{folder.name}' was sent to '{status.site}' as job {status.job}: "
            f"{in_words(status)}. Stop it first."
        )


def _content(path: Path) -> str | None:
    try:
        return path.read_text()
    except FileNotFoundError:
        return None
