"""Training in the background: a process of its own per run, that outlives the page, the browser and the
server that started it.

Everything about a job is in its run folder, so that any page, or a terminal, can show it, stop it and resume
it. One run trains at a time in a folder of runs; the others wait in the order they were asked for. What is
sent to a cluster waits there and for nothing here (runs.clusters).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from gpovae_core.config import Settings, changed_from_preset
from gpovae_core.data.cache import cache_folder
from gpovae_core.data.progress import Progress, tell, without_numbers
from gpovae_core.data.room import FullDiskError, full_disk_said, full_in_words, is_full
from gpovae_core.errors import GpoVaeError, RunError, SettingsError
from gpovae_core.runs import processes
from gpovae_core.runs.clusters import submit as clusters
from gpovae_core.runs.clusters.sites import Request, find_site
from gpovae_core.runs.folder import BEAT, NOWHERE, DataSource, JobFolder, RunFolder, find_runs, tail
from gpovae_core.training.probe import Probe

SLOT = ".training.lock"
"""In the folder of runs; whoever trains as a job holds it."""
LOOK_EVERY = 0.5
"""Seconds between two looks of a waiting job."""


class StopRequest(BaseException):
    """Somebody asked this process to stop (SIGTERM, or Ctrl-C). Like KeyboardInterrupt no Exception: nothing
    should swallow it.
    """


def submit(
    source: Path, path: Path, settings: Settings, asked: Request | None = None, anyway: bool = False
) -> RunFolder:
    """A new run at `path` that prepares the cells in `source`, trains and is scored in the background, as
    soon as it is its turn; on a cluster where `asked` names one, over the GPUs that are asked for.

    anyway: although it is reckoned not to fit. Raises RunError where there is no such file, or already
    something at `path`, SettingsError for a site that is not there, NotEnoughError where there is not the
    memory or the disk for it, SchedulerError where the cluster refuses; nothing is then left at `path`.
    """
    from gpovae_core.runs import needs

    source, path = Path(source), Path(path).resolve()
    if not source.exists():
        raise RunError(f"There is no file '{source}'.")
    if asked is not None:
        find_site(asked.site, path.parent)
        settings = _over_gpus(settings, asked)
    if not anyway:
        waits = asked is None and any(at_work(run) for run in find_runs(path.parent))
        needs.check_training(source, path.parent, settings, asked, later=waits)
    with full_disk_said(path.parent):
        run = RunFolder.create(path, settings, DataSource(path=str(source.resolve())))
        try:
            run.write_status(state="queued", **NOWHERE)
            launch(run, asked=asked, anyway=anyway)
        except (GpoVaeError, OSError):
            shutil.rmtree(run.path)
            raise
    return run


def _over_gpus(settings: Settings, asked: Request) -> Settings:
    """One process for each GPU. Raises SettingsError where the settings want another number, or several
    machines.
    """
    if settings.training.nodes > 1:
        raise SettingsError(
            "A job that is sent to a cluster trains on one machine; leave out --nodes, or write a script as "
            "in docs/devices.md."
        )
    if asked.gpus and settings.training.devices not in (1, asked.gpus):
        raise SettingsError(
            f"training.devices is {settings.training.devices}, but the job gets {asked.gpus} GPUs: a process "
            "for each of them. Leave out --devices, or ask for as many GPUs (--gpus)."
        )
    changes = {"devices": asked.gpus} if asked.gpus > 1 else {}
    return settings.model_copy(update={"training": settings.training.model_copy(update=changes)})


def resume(run: RunFolder, changes: dict[str, Any] | None = None, asked: Request | None = None) -> None:
    """Continue a run that was stopped, failed or died, in the background: here, or on a cluster where `asked`
    names one.

    changes: training settings that may differ on resuming (see workflow.resume_run). Raises RunError where it
    is being worked on.
    """
    status = run.status()
    if status.busy and not status.dead():
        raise RunError(f"Run '{run.name}' is already {status.state}. There is nothing to resume.")
    if run.source().imported:
        raise RunError(
            f"Run '{run.name}' was imported ({run.source().imported}): it has no cells to train on."
        )
    if not run.has("cells.h5ad") and not Path(run.source().path).exists():
        raise RunError(
            f"Run '{run.name}' cannot be resumed: its cells were never prepared, and their file "
            f"'{run.source().path}' is not there."
        )
    gpus = [one.gpus for one in (clusters.kept(run), asked) if one is not None]
    if max(gpus, default=0) > 1:  # as many processes as there are GPUs where it goes on
        changes = {"devices": max(1, asked.gpus if asked is not None else 1), **(changes or {})}
    with full_disk_said(run.path.parent):
        if asked is None:
            clusters.here_again(run)
            run.write_status(state="queued", **{**NOWHERE, "started": time.time(), "message": ""})
        launch(run, changes, asked)


def stop(run: JobFolder) -> bool:
    """Ask the run's process to stop, wherever it is. In training it ends after the step at hand; every
    finished epoch is kept. A job that waits for a cluster leaves its queue.

    False where there is no process here that could be asked. Raises SchedulerError where a cluster cannot be.
    """
    status = run.status()
    if status.busy and status.job:
        return clusters.stop(run)
    return (
        status.busy
        and status.pid is not None
        and processes.ask_to_stop(status.pid, status.process, status.machine)
    )


def launch(
    run: RunFolder,
    changes: dict[str, Any] | None = None,
    asked: Request | None = None,
    anyway: bool = False,
) -> None:
    """Start `gpovae train --resume` on a run, here when it is its turn or as a job of a cluster; what it
    prints goes to worker.txt in the run folder.
    """
    options = [
        part
        for name, value in (changes or {}).items()
        for part in ("--set", f"training.{name}={json.dumps(value)}")
    ]
    runs = run.path.resolve().parent
    options += ["--anyway"] if anyway else []
    command = ["train", run.source().path, "--run", str(run.path.resolve()), "--resume", *options]
    if asked is not None:
        clusters.send(run, command, asked, runs)
    else:
        processes.start_gpovae([*command, "--wait"], run.path / "worker.txt", runs)


@dataclass(frozen=True)
class Estimate:
    """probe: what was measured, None where nothing was yet; running: it is being measured; problem: why it
    could not be.
    """

    probe: Probe | None = None
    running: bool = False
    problem: str = ""


def estimate(source: Path, settings: Settings) -> Estimate:
    """What is known of the time and memory that these settings take on this file, here."""
    record = _estimate_record(source, settings)
    if processes.errand_runs(record):
        return Estimate(running=True)
    printed = record.with_suffix(".txt")
    try:
        return Estimate(probe=Probe.model_validate_json(printed.read_text().strip().splitlines()[-1]))
    except (OSError, ValueError, IndexError):
        words = [line for line in tail(printed, 8) if line.strip()]
        return Estimate(problem="\n".join(words[-3:]).removeprefix("Error: ") if words else "")


def start_estimate(source: Path, settings: Settings) -> None:
    """Measure a few steps in the background; `estimate` has the answer when it is there."""
    record = _estimate_record(source, settings)
    if not processes.errand_runs(record):
        processes.start_errand(
            ["estimate", str(Path(source).resolve()), *as_options(settings), "--json"], record, record.parent
        )


def _estimate_record(source: Path, settings: Settings) -> Path:
    """Where a measurement is kept: by file, settings and machine. Seed, epochs and patience change
    nothing.
    """
    stat = Path(source).stat()
    values = settings.model_dump(mode="json")
    for name in ("seed", "epochs", "patience", "min_improvement"):
        values["training"].pop(name, None)
    for section in ("inference", "evaluation"):
        values.pop(section, None)
    key = json.dumps(
        [str(Path(source).resolve()), stat.st_mtime_ns, stat.st_size, values, processes.machine()],
        sort_keys=True,
    )
    return cache_folder() / "estimates" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.json"


def as_options(settings: Settings) -> list[str]:
    """The options of `gpovae train` that give these settings: the preset, and --set for what differs from
    it.
    """
    options = ["--preset", settings.preset]
    for (section, field), (value, _) in changed_from_preset(settings).items():
        options += ["--set", f"{section}.{field}={json.dumps(value)}"]
    return options


def ahead_of(run: RunFolder, runs: list[RunFolder]) -> list[RunFolder]:
    """The runs a queued run has to wait for: those at work here, and those queued before it, first come
    first.
    """
    own = (run.status().started, run.name)
    found = []
    for other in runs:
        if other.path.resolve() == run.path.resolve():
            continue
        if not at_work(other):
            continue
        status = other.status()
        ticket = (status.started, other.name)
        if status.state != "queued" or ticket < own:
            found.append((status.state == "queued", ticket, other))
    return [other for _, _, other in sorted(found, key=lambda item: item[:2])]


def at_work(run: RunFolder) -> bool:
    """Whether a run is worked on here, or waits for that; a damaged one holds up nobody."""
    try:
        status = run.status()
        return status.busy and not status.job and not status.dead()
    except GpoVaeError:
        return False


@contextmanager
def turn(run: RunFolder) -> Iterator[None]:
    """Wait until no other run in the same folder trains and none was queued before, then hold the place while
    the work goes on.
    """
    import filelock

    run.write_status(state="queued", pid=os.getpid(), stage="waiting for its turn")
    slot = filelock.FileLock(run.path.resolve().parent / SLOT)
    while True:
        if not ahead_of(run, find_runs(run.path.resolve().parent)):
            try:
                slot.acquire(blocking=False)
                break
            except filelock.Timeout:
                pass
        time.sleep(LOOK_EVERY)
    try:
        yield
    finally:
        slot.release()


@contextmanager
def beating(run: JobFolder) -> Iterator[None]:
    """Write the heartbeat of a run while the work goes on, whatever the work is."""
    done = threading.Event()

    def beat() -> None:
        while not done.wait(BEAT):
            try:
                run.write_status()
            except (OSError, GpoVaeError):  # the work itself will say what is wrong
                continue

    thread = threading.Thread(target=beat, daemon=True, name="heartbeat")
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(timeout=10)


_asked = threading.Event()
"""This process was asked to stop, and has not yet."""


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM and SIGINT raise StopRequest inside; only the main thread of a process can be signalled."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop_now(_signal: int, _frame: object) -> None:
        _asked.set()
        raise StopRequest

    before = {which: signal.getsignal(which) for which in (signal.SIGINT, signal.SIGTERM)}
    try:
        for which in before:
            signal.signal(which, stop_now)
        yield
    finally:
        for which, handler in before.items():
            signal.signal(which, handler)
        _asked.clear()


def stop_where_asked() -> None:
    """Raise the StopRequest that nobody has heard: one that falls into a finaliser is ignored by Python."""
    if _asked.is_set() and threading.current_thread() is threading.main_thread():
        raise StopRequest


def in_words(run: JobFolder, error: Exception) -> Exception:
    """The error itself, or what a user can mend where it comes from a full disk or a folder that is gone,
    whichever library met it first.
    """
    if not run.path.is_dir():
        return RunError(
            f"{run.what} '{run.name}' is gone: its folder '{run.path}' was removed or renamed while it was "
            "worked on. Nothing of it is left here; start it again."
        )
    if not is_full(error) and not ("fail" in str(error) and shutil.disk_usage(run.path).free < 2**20):
        return error
    return FullDiskError(
        f"{full_in_words(run.path.parent)} Nothing that was finished is lost: make room, then resume "
        f"{run.resumed}."
    )


RESERVE = ".reserve.part"
RESERVED = 32 * 1024
"""Bytes of disk held while a folder is worked on, and given up so that a full disk can still be said in its
status.
"""


@contextmanager
def reserve(run: JobFolder) -> Iterator[None]:
    """Hold the reserve of a folder while it is worked on."""
    held = run.path / RESERVE
    try:
        held.write_bytes(bytes(RESERVED))
        yield
    finally:
        held.unlink(missing_ok=True)


def fail(run: JobFolder, error: Exception) -> NoReturn:
    """Write a failure into the status of a folder, and raise it as `in_words` has it."""
    clear = in_words(run, error)
    message = str(clear) if isinstance(clear, GpoVaeError) else f"{type(clear).__name__}: {clear}"
    with suppress(OSError, GpoVaeError):  # the error itself is what the user has to see
        run.sweep()
        run.write_status(state="failed", message=message)
        run.log(f"failed: {message}")
    if clear is error:
        raise error
    raise clear from error


def recorded(run: JobFolder, then: Progress | None = None) -> Progress:
    """Progress that writes stage and share into the run's status, once a second at most unless other words
    come, and passes them on. Of words left out nobody would learn while what they name takes long.
    """
    last = ["", 0.0]

    def progress(stage: str, share: float) -> None:
        stop_where_asked()
        kind = without_numbers(stage)
        if kind != last[0] or time.monotonic() - float(last[1]) > 1.0:
            last[:] = [kind, time.monotonic()]
            run.write_status(stage=stage, share=min(1.0, max(0.0, share)))
        tell(then, stage, share)

    return progress
