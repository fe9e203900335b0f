"""What is asked of SLURM, through its own commands: sbatch, squeue, sacct, scancel, scontrol.

Commands are lists of arguments, never text for a shell; a job's script comes on sbatch's standard input and
holds nothing but quoted words (see `submit`).
"""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gpovae_core.errors import RunError

PATIENCE = 10.0
"""Seconds that a command of the scheduler may take."""
LOOK_EVERY = 4.0
"""Seconds for which what the scheduler said of a job counts."""
TRY_AGAIN = 30.0
"""Seconds until it is asked again where it could not be."""
ENDED = (
    *("BOOT_FAIL", "CANCELLED", "COMPLETED", "DEADLINE", "FAILED", "LAUNCH_FAILED", "NODE_FAIL"),
    *("OUT_OF_MEMORY", "PREEMPTED", "RECONFIG_FAIL", "REVOKED", "TIMEOUT", "UNKNOWN"),
)
"""States in which a job is over. UNKNOWN: neither squeue nor sacct knows it."""


@dataclass(frozen=True)
class Job:
    """What the scheduler says of a job: its state, why it waits or ended ("None": no reason), on which nodes
    it is, and what it is called.
    """

    state: str
    reason: str = ""
    nodes: str = ""
    name: str = ""

    @property
    def over(self) -> bool:
        return self.state in ENDED

    @property
    def waits(self) -> bool:
        return self.state in ("PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT")


class SchedulerError(RunError):
    """The scheduler refused, or could not be asked. `words` are its own."""

    def __init__(self, message: str, words: str = "") -> None:
        super().__init__(message)
        self.words = words


def call(*command: str, given: str | None = None) -> str:
    """What a command of the scheduler printed. Raises SchedulerError with what it said where it failed."""
    try:
        done = subprocess.run(  # noqa: S603 -- a list of arguments, never a shell's text
            command, input=given or "", capture_output=True, text=True, timeout=PATIENCE, errors="replace"
        )
    except FileNotFoundError:
        raise SchedulerError(
            f"There is no command {command[0]} on this machine, so nothing can be asked of a cluster. Use "
            "gpovae where SLURM's commands are, usually a login node of the cluster."
        ) from None
    except (subprocess.TimeoutExpired, OSError) as error:
        raise SchedulerError(
            f"The scheduler of the cluster does not answer ({command[0]}: {_reason(error)}). Try again later."
        ) from error
    if done.returncode:
        words = done.stderr.strip() or f"{command[0]} ended with exit code {done.returncode}"
        raise SchedulerError(words, words)
    return done.stdout


def _reason(error: Exception) -> str:
    return f"silent for {PATIENCE:.0f} s" if isinstance(error, subprocess.TimeoutExpired) else str(error)


def sbatch(options: Sequence[str], script: str) -> str:
    """Submit a script; returns the number of the job."""
    printed = call("sbatch", "--parsable", *options, given=script)
    number = printed.strip().splitlines()[-1].partition(";")[0] if printed.strip() else ""
    if not re.fullmatch(r"\d+", number):
        raise SchedulerError(f"sbatch gave no number of a job, but '{printed.strip()[:200]}'.")
    return number


def cancel_waiting(number: str) -> None:
    """Take a job out of the queue; one that has begun goes on."""
    call("scancel", "--state=PENDING", number)


def signal_batch(number: str, signal: str) -> None:
    """A signal to the first process of a running job alone."""
    call("scancel", "--batch", f"--signal={signal}", number)


def requeue(number: str) -> None:
    """Put a job that is running back into the queue."""
    call("scontrol", "requeue", number)


_seen: dict[str, tuple[float, Job | None]] = {}
_ASKING = threading.Lock()


def look(number: str) -> Job | None:
    """A job as the scheduler knows it, at most LOOK_EVERY seconds old; None where it cannot be asked here."""
    with _ASKING:
        now = time.monotonic()
        when, job = _seen.get(number, (-TRY_AGAIN, None))
        if number not in _seen or now - when > (TRY_AGAIN if job is None else LOOK_EVERY):
            others = [one for one, (when, _) in _seen.items() if LOOK_EVERY < now - when < TRY_AGAIN]
            for one, found in _ask({number, *others}).items():
                _seen[one] = (time.monotonic(), found)
        return _seen[number][1]


def forget(number: str) -> None:
    """Ask anew at the next look: something has been done to the job."""
    with _ASKING:
        _seen.pop(number, None)


def _ask(numbers: Iterable[str]) -> dict[str, Job | None]:
    """squeue knows jobs for some minutes after their end, sacct (where a cluster keeps accounts) for ever."""
    wanted = sorted(numbers, key=int)
    found: dict[str, Job | None]
    try:
        found = dict(_listed(_squeue(wanted)))
    except SchedulerError:
        return dict.fromkeys(wanted, None)
    missing = [number for number in wanted if number not in found]
    if missing:
        found |= _listed(_sacct(missing))
    return {number: found.get(number, Job("UNKNOWN")) for number in wanted}


def _squeue(numbers: Sequence[str]) -> str:
    try:
        return call(
            *(
                "squeue",
                "--states=all",
                "--noheader",
                "--format=%i|%T|%r|%N|%j",
                f"--jobs={','.join(numbers)}",
            )
        )
    except SchedulerError as error:
        if "invalid job id" in error.words.lower():  # of a single job that it no longer knows
            return ""
        raise


def _sacct(numbers: Sequence[str]) -> str:
    options = ("--allocations", "--noheader", "--parsable2", "--format=JobID,State,Reason,NodeList,JobName")
    try:
        return call("sacct", *options, f"--jobs={','.join(numbers)}")
    except SchedulerError:  # many clusters keep no accounts
        return ""


def _listed(printed: str) -> Iterable[tuple[str, Job]]:
    """Number -> job out of lines `number|STATE|reason|nodes|name`; 'CANCELLED by 1000' is CANCELLED."""
    for line in printed.splitlines():
        parts = line.strip().split("|", maxsplit=4)
        if len(parts) == 5 and parts[0].isdecimal() and parts[1].strip():
            yield parts[0], Job(parts[1].split()[0].rstrip("+"), *parts[2:])
