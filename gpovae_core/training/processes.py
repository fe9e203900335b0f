"""Which process works on a run, whether it still lives, and how to ask it to stop.

A process id alone proves nothing: ids are used again. With the time the process started, and the machine, it does.
"""

from __future__ import annotations

import os
import platform
import signal
from functools import cache
from pathlib import Path


@cache
def machine() -> str:
    """Name of this machine as far as process ids go: host name, boot, and on Linux the pid namespace (a container has its own)."""
    parts = [platform.node()]
    try:
        parts.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
        parts.append(str(Path("/proc/self/ns/pid").readlink()))
    except OSError:
        parts.append("")
    return " ".join(parts)


def start_mark(pid: int) -> str:
    """When a process started, as text that is the same whenever it is asked for; "" where there is no such (living) process.

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


def is_running(pid: int, mark: str, where: str) -> bool | None:
    """Whether that very process lives; None where it ran on another machine, which cannot be seen from here."""
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
