"""Which process works on a run, whether it still lives, and how to ask it to stop.

A process id alone proves nothing: ids are used again. With the time the process started, and the machine, it
does.
"""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType


@cache
def machine() -> str:
    """Name of this machine as far as process ids go: host name, boot, and on Linux the pid namespace (a
    container has its own).
    """
    parts = [platform.node()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        parts.append("")
    return " ".join(parts)


def start_mark(pid: int) -> str:
    """When a process started, as text that is the same whenever it is asked for; "" where there is no such
    (living) process.

    On Linux clock ticks since boot: the wall clock may be set, and then psutil's answer moves.
    """
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return ""
        stat = Path(f"/proc/{pid}/stat")
        if stat.exists():
            return stat.read_text().rpartition(")")[2].split()[19]  # the name in brackets may hold anything
        return f"{process.create_time():.0f}"
    except (psutil.Error, OSError, IndexError):
        return ""


SITE = "GPOVAE_SITE"
"""Environment variable of a job on a cluster: the site in clusters.toml that it was sent to."""


def place() -> dict[str, str]:
    """Where this process is at work, as a status says it: site, job and node of a cluster, "" on this
    machine.
    """
    sent = os.environ.get(SITE, "")
    names = {"job": "SLURM_JOB_ID", "node": "SLURMD_NODENAME"}
    return {"site": sent, **{key: os.environ.get(name, "") if sent else "" for key, name in names.items()}}


def is_running(pid: int, mark: str, where: str) -> bool | None:
    """Whether that very process lives; None where it ran on another machine, which cannot be seen from
    here.
    """
    if where != machine():
        return None
    return bool(mark) and start_mark(pid) == mark


def ask_to_stop(pid: int, mark: str, where: str) -> bool:
    """SIGTERM to that very process; False where there is none here to send it to."""
    if not is_running(pid, mark, where):
        return False
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:  # it ended in this moment
        return False
    return True


def python_path() -> str:
    """PYTHONPATH of a process that is to be the same program, wherever it stands."""
    project = str(Path(__file__).resolve().parent.parent.parent)
    return os.pathsep.join([project, *filter(None, [os.environ.get("PYTHONPATH")])])


def start_gpovae(
    arguments: Sequence[str],
    printed: Path,
    folder: Path,
    environment: Mapping[str, str] = MappingProxyType({}),
) -> int:
    """Start the `gpovae` command in a session of its own, so that it outlives whoever started it; returns its
    process id.

    printed: file that takes all it prints; folder: its working directory; environment: variables beside those
    of this process.
    """
    with printed.open("w") as out:
        process = subprocess.Popen(  # noqa: S603 -- this very program; names of files are arguments, never a shell's text
            [sys.executable, "-m", "gpovae_core.cli", *arguments],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **environment, "PYTHONPATH": python_path()},
            start_new_session=True,
        )
    return process.pid


def start_errand(arguments: Sequence[str], record: Path, folder: Path) -> None:
    """Start a `gpovae` command in the background, with `record` (a JSON file) naming its process and
    `record`.txt taking what it prints.
    """
    record.parent.mkdir(parents=True, exist_ok=True)
    pid = start_gpovae(arguments, record.with_suffix(".txt"), folder)
    record.write_text(json.dumps({"pid": pid, "process": start_mark(pid), "machine": machine()}))


def errand_runs(record: Path) -> bool:
    """Whether the process of a background command still lives."""
    try:
        known = json.loads(record.read_text())
        return bool(is_running(known["pid"], known["process"], known["machine"]))
    except (OSError, ValueError, KeyError, TypeError):
        return False
