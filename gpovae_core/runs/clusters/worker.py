"""The first process of a job on a cluster: starts the work as a process of its own, tells it to end when the
scheduler says so, and writes down why it ended.

`python -m gpovae_core.runs.clusters.worker FOLDER REQUEUE COMMAND ...`: FOLDER holds the status that the work
writes, REQUEUE is how often the job goes back into the queue at its time limit, COMMAND are the words of a
`gpovae` command. What stops it: SIGINT somebody who asked for it, SIGUSR1 the time limit, which is near, or
SIGTERM the scheduler, which needs the place or was told to cancel. The work itself only ever sees SIGTERM,
as on any machine.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gpovae_core.runs.folder import JobFolder

ASKED, LIMIT, SCHEDULER = "asked", "limit", "scheduler"
CAUSES = {signal.SIGINT: ASKED, signal.SIGUSR1: LIMIT, signal.SIGTERM: SCHEDULER}
HANDSHAKE = 30.0
"""Seconds for which it waits until whoever submitted it has written its number into the status."""
LOOK_EVERY = 0.3
"""Seconds between two looks at the status of work that was told to end."""
ON_ITS_OWN = 10.0
"""Seconds after which the work is told of a SIGTERM that the scheduler should have sent it, too."""


LAST_WORDS = 2.0
"""Seconds for the process to end by itself once it has written that it was stopped."""


class Work:
    """The process that does the work in a folder, and what stopped it."""

    def __init__(self) -> None:
        self.cause = ""
        self.process: subprocess.Popen[bytes] | None = None
        for which in CAUSES:
            signal.signal(which, self._told)

    def _told(self, which: int, _frame: object) -> None:
        self.cause = self.cause or CAUSES[signal.Signals(which)]
        if which == signal.SIGTERM:
            later = threading.Timer(ON_ITS_OWN, self._end)
            later.daemon = True
            later.start()
        else:
            self._end()

    def _end(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def do(self, command: list[str], folder: JobFolder) -> int:
        """The exit code of a `gpovae` command; 0 where it was not even begun, or has written that it was
        stopped: to take a process of torch down may take longer than a scheduler waits.
        """
        if self.cause:
            return 0
        self.process = subprocess.Popen(  # noqa: S603 -- this very program, and the words it was given
            [sys.executable, "-m", "gpovae_core.cli", *command], stdin=subprocess.DEVNULL
        )
        if self.cause:  # told in this moment
            self._end()
        while (code := self.process.poll()) is None:
            try:
                self.process.wait(LOOK_EVERY)
            except subprocess.TimeoutExpired:
                if self.cause and not folder.status().busy:
                    return self._last_words()
        return code

    def _last_words(self) -> int:
        assert self.process is not None
        try:
            return self.process.wait(LAST_WORDS)
        except subprocess.TimeoutExpired:
            return 0


def main(path: Path, requeue: int, command: list[str]) -> None:
    work = Work()  # before anything slow is imported
    from gpovae_core.runs import processes
    from gpovae_core.runs.folder import NOWHERE, JobFolder

    folder, place = JobFolder(path), processes.place()
    if not _is_ours(folder, place["job"]):
        print(f"Job {place['job']} is no longer wanted here: another one works in '{path}', or none is to.")
        return
    folder.write_status(state="queued", **{**NOWHERE, **place, "stage": "starting"})
    code = work.do(command, folder)
    settle(folder, work.cause, code, requeue)


def _is_ours(folder: JobFolder, number: str) -> bool:
    """Whether the folder still waits for this job."""
    since = time.monotonic()
    while True:
        status = folder.status()
        if status.job or not status.busy or time.monotonic() - since > HANDSHAKE:
            return status.busy and (status.job == number or (not status.job and status.pid is None))
        time.sleep(0.2)


def settle(folder: JobFolder, cause: str, code: int, requeue: int) -> None:
    """Write down why the work ended, where that is not done, or go back into the queue."""
    from gpovae_core.runs import processes
    from gpovae_core.runs.clusters import slurm, submit
    from gpovae_core.runs.folder import NOWHERE

    status, place = folder.status(), processes.place()
    if status.state in ("done", "failed"):
        return
    waiting = {"state": "queued", **NOWHERE, "site": place["site"], "job": place["job"]}
    said = status.message if status.state == "stopped" else "stopped on request"
    if cause == ASKED:
        folder.write_status(state="stopped", message=said)
    elif cause == LIMIT:
        words = said.replace("stopped on request", "time limit reached")
        asked = submit.kept(folder)
        if asked is not None and asked.reached < requeue:
            submit.keep(folder, asked.model_copy(update={"reached": asked.reached + 1}))
            folder.log(f"{words}; back into the queue")
            folder.write_status(**waiting, message=f"{words}; it goes on by itself")
            try:
                slurm.requeue(place["job"])
            except slurm.SchedulerError as error:
                folder.log(f"it could not go back into the queue: {error}")
            else:
                return
        folder.write_status(state="stopped", message=f"{words}; resume?")
    elif cause == SCHEDULER:  # what becomes of it, it knows alone: a status that waits has it asked
        words = said.replace("stopped on request", "interrupted by the scheduler")
        folder.log(words)
        folder.write_status(**waiting, message=words)
    elif code and status.busy:
        last = next((line for line in reversed(folder.last_words()) if line.startswith("Error: ")), "")
        words = f"killed by signal {-code}" if code < 0 else f"it ended with exit code {code}"
        words = last.removeprefix("Error: ") or words
        hint = "; most likely it needed more memory than it was given" if code == -signal.SIGKILL else ""
        folder.write_status(state="failed", message=f"{words}{hint}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
