"""A sweep on disk: the plan and where its cells are, the runs it makes, its workers, and Optuna's study of
what was tried.

- sweep.json: format version, plan, cells, study and storage
- t0003-s1/: the run of point 3 with seed 1, a run folder like any other
- study.journal: Optuna's storage, unless another was given
- workers/NAME/: status, log and printed words of every process that works or worked on it
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from gpovae_core import __version__
from gpovae_core.config import Settings
from gpovae_core.data import cores
from gpovae_core.data.atomic import write_text
from gpovae_core.data.cache import fingerprint
from gpovae_core.data.room import full_disk_said
from gpovae_core.errors import GpoVaeError, RunError, SettingsError
from gpovae_core.runs import jobs, needs, processes
from gpovae_core.runs.clusters import submit as clusters
from gpovae_core.runs.clusters.sites import Request
from gpovae_core.runs.folder import AT_REST, DataSource, JobFolder, RunFolder, is_run
from gpovae_core.sweeps.plan import Range, SweepPlan

if TYPE_CHECKING:
    import optuna

FORMAT = 1
SWEEP = "sweep.json"
JOURNAL = "study.journal"
WORKERS = "workers"
_RUN = re.compile(r"t(\d{4,})-s(\d+)")


class Worker(JobFolder):
    """One process that works on a sweep."""

    what = "Worker"
    resumed = "the sweep"

    @property
    def alive(self) -> bool:
        """Whether it is at work or waits for that, as far as can be seen from here."""
        try:
            status = self.status()
        except GpoVaeError:
            return False
        return status.busy and not status.dead()

    @property
    def working(self) -> bool:
        """Whether it is at work: not while it waits in the queue of a cluster, be it again."""
        return self.alive and not self.status().waits()


@dataclass(frozen=True)
class SweepFolder:
    """A sweep. Opening one reads JSON only; its study is opened when it is asked for."""

    path: Path

    @classmethod
    def create(cls, path: Path, plan: SweepPlan, source: Path, storage: str = "") -> SweepFolder:
        """A new sweep of `plan` over the cells in `source`. storage: "" for a journal in the folder, a file,
        or an address of Optuna's.

        Draws of held-out perturbations become conditions here, with the names in the cells. Raises RunError
        where `path` already holds anything or the cells are not there, SettingsError for a storage or a plan
        that cannot be, DataError for unusable cells.
        """
        path, source = Path(path), Path(source)
        if not source.exists():
            raise RunError(f"There is no file '{source}'.")
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise RunError(f"'{path}' already exists and is not empty. Choose another folder for the sweep.")
        plan = _expanded(plan, source)
        runs = plan.size * len(plan.seeds)
        needs.check_training(source, path.parent, _some_settings(plan), later=True, runs=runs)
        storage = _checked_storage(storage)
        found = fingerprint(source)
        values = plan.model_dump(mode="json")
        name = hashlib.sha256(json.dumps([values, found], sort_keys=True).encode()).hexdigest()[:16]
        config = {
            "format": FORMAT,
            "gpovae": __version__,
            "source": DataSource(path=str(source.resolve()), sha256=found).model_dump(),
            "study": f"{plan.title} {name}",
            "storage": storage,
            "plan": values,
        }
        with full_disk_said(path.parent):
            try:
                (path / WORKERS).mkdir(parents=True)
                write_text(path / SWEEP, json.dumps(config, indent=2))
            except OSError:
                shutil.rmtree(path, ignore_errors=True)
                raise
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> SweepFolder:
        """An existing sweep. Raises RunError where there is none, or where a newer version wrote it."""
        path = Path(path)
        if not (path / SWEEP).is_file():
            raise RunError(
                f"'{path}' is not a sweep: it has no {SWEEP}. Give the folder that `gpovae sweep --folder` "
                "made."
            )
        folder = cls(path)
        found = folder._config.get("format")
        if not isinstance(found, int) or found > FORMAT:
            raise RunError(
                f"'{path}' has sweep format {found!r}; this version of gpovae reads up to {FORMAT}. Update "
                "gpovae to open it."
            )
        return folder

    @property
    def name(self) -> str:
        return self.path.name

    @cached_property
    def _config(self) -> dict[str, Any]:
        try:
            config = json.loads((self.path / SWEEP).read_text())
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(f"Sweep '{self.name}': {SWEEP} is damaged ({error}).") from error
        if not isinstance(config, dict):
            raise RunError(f"Sweep '{self.name}': {SWEEP} holds no JSON object.")
        return config

    @cached_property
    def plan(self) -> SweepPlan:
        try:
            return SweepPlan.model_validate(self._config.get("plan"))
        except ValidationError as error:
            raise RunError(f"Sweep '{self.name}': the plan in {SWEEP} is damaged ({error}).") from error

    @cached_property
    def source(self) -> DataSource:
        try:
            return DataSource.model_validate(self._config.get("source"))
        except ValidationError as error:
            raise RunError(
                f"Sweep '{self.name}': {SWEEP} does not say where the cells are ({error})."
            ) from error

    @property
    def storage_words(self) -> str:
        """Where the study is, for reading."""
        return self._config.get("storage") or JOURNAL

    def study(self) -> optuna.Study:
        """Optuna's study, made where there is none yet. Raises RunError where the storage cannot be
        opened.
        """
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        plan = self.plan
        sampler = (
            optuna.samplers.TPESampler(seed=None)
            if plan.sampler == "tpe"
            else optuna.samplers.RandomSampler()
        )
        try:
            return optuna.create_study(
                storage=self._storage(),
                study_name=str(self._config.get("study")),
                directions=list(plan.objectives.values()),
                sampler=sampler,
                load_if_exists=True,
            )
        except (GpoVaeError, KeyboardInterrupt):
            raise
        except Exception as error:  # Optuna, SQLAlchemy and database drivers each have their own
            words = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
            raise RunError(
                f"Sweep '{self.name}': its study in '{self.storage_words}' cannot be opened ({words})."
            ) from error

    def _storage(self) -> Any:
        from optuna.storages import JournalStorage

        from gpovae_core.sweeps.journal import WholeLines

        wanted = self._config.get("storage", "")
        if "://" in wanted:
            return wanted
        return JournalStorage(WholeLines(Path(wanted) if wanted else self.path / JOURNAL))

    def has_study(self) -> bool:
        """Whether a worker has begun; a page need not make a study by looking."""
        return bool(self._config.get("storage")) or (self.path / JOURNAL).is_file()

    def run_path(self, number: int, seed: int) -> Path:
        return self.path / f"t{number:04d}-s{seed}"

    def runs(self) -> dict[str, RunFolder]:
        """Name -> run, of those that are here, in the order of their numbers."""
        names = [child.name for child in self.path.iterdir() if _RUN.fullmatch(child.name) and is_run(child)]
        return {name: RunFolder(self.path / name) for name in sorted(names)}

    def workers(self) -> list[Worker]:
        """Every process that works or worked on it, the last started first."""
        folder = self.path / WORKERS
        found = (
            [Worker(child) for child in folder.iterdir() if (child / "status.json").is_file()]
            if folder.is_dir()
            else []
        )
        return sorted(found, key=lambda worker: worker.path.stat().st_ctime, reverse=True)

    def alive(self) -> list[Worker]:
        return [worker for worker in self.workers() if worker.alive]

    def new_worker(self, name: str = "") -> Worker:
        """A folder for the process at hand; that of an earlier life of it where `name` says which."""
        number = 1
        while True:
            worker = Worker(self.path / WORKERS / (name or f"{os.getpid()}-{number}"))
            try:
                worker.path.mkdir(parents=True, exist_ok=bool(name))
                break
            except FileExistsError:
                number += 1
        worker.write_status(state="training", pid=os.getpid(), started=time.time())
        return worker


def find_sweeps(folder: Path) -> list[SweepFolder]:
    """Sweeps directly below `folder`, newest first."""
    if not Path(folder).is_dir():
        return []
    found = [SweepFolder(child) for child in Path(folder).iterdir() if (child / SWEEP).is_file()]
    return sorted(found, key=lambda sweep: (sweep.path / SWEEP).stat().st_mtime, reverse=True)


def submit(
    path: Path,
    plan: SweepPlan,
    source: Path,
    workers: int = 1,
    asked: Request | None = None,
    storage: str = "",
) -> SweepFolder:
    """A new sweep that is worked on in the background, on a cluster where `asked` names one. Raises as
    SweepFolder.create and `launch` do; nothing is then left at `path` where no worker was taken.
    """
    folder = SweepFolder.create(path, plan, source, storage)
    try:
        launch(folder, workers, asked=asked)
    except (GpoVaeError, OSError):
        if not folder.workers():
            shutil.rmtree(path)
        raise
    return folder


def launch(folder: SweepFolder, workers: int = 1, retry: bool = False, asked: Request | None = None) -> None:
    """Start processes that work on the sweep in the background; each gives way to runs that are trained or
    wait beside the sweep. On a cluster, where `asked` names one, every worker is a job of its own.

    Raises RunError where its cells are gone, SchedulerError where the cluster refuses a worker.
    """
    if not Path(folder.source.path).exists():
        raise RunError(f"Sweep '{folder.name}' cannot go on: its cells '{folder.source.path}' are not there.")
    check_workers(folder, workers, asked)
    again = ("--retry",) if retry else ()
    with full_disk_said(folder.path.parent):
        if asked is None:
            start_workers(folder, workers, ("--wait", *again), share_of_cores(workers))
            return
        for number in range(workers):
            _send_worker(folder, f"job-{int(time.time() * 1000)}-{number}", again, asked)


def _send_worker(folder: SweepFolder, name: str, options: tuple[str, ...], asked: Request) -> None:
    """A worker as a job of a cluster; its folder is there before it is, so that it can be seen to wait."""
    path, worker = folder.path.resolve(), Worker(folder.path / WORKERS / name)
    worker.path.mkdir(parents=True)
    try:
        clusters.send(worker, ["sweep", str(path), "--worker", name, *options], asked, path.parent)
    except GpoVaeError:
        shutil.rmtree(worker.path)
        raise


def share_of_cores(workers: int) -> dict[str, str]:
    """Environment variables that give each worker its part of the cores that this process may use."""
    each = str(max(1, cores.jobs() // workers))
    return {cores.JOBS: each, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", each)}


def start_workers(
    folder: SweepFolder,
    workers: int,
    options: tuple[str, ...] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Processes of `gpovae sweep`, one worker each."""
    for number in range(workers):
        printed = folder.path / WORKERS / f"printed-{int(time.time() * 1000)}-{number}.txt"
        processes.start_gpovae(
            ["sweep", str(folder.path.resolve()), *options],
            printed,
            folder.path.resolve().parent,
            environment,
        )


def stop(folder: SweepFolder) -> int:
    """Ask every worker that can be reached from here to stop; returns how many were asked. What a run has
    finished is kept.
    """
    return sum(jobs.stop(worker) for worker in folder.workers() if worker.status().state not in AT_REST)


def _some_settings(plan: SweepPlan) -> Settings:
    """Of one point of a plan, for what its runs need."""
    first: dict[str, Any] = {
        name: axis.low if isinstance(axis, Range) else axis[0] for name, axis in plan.parameters.items()
    }
    return plan.settings(first, plan.seeds[0])


def check_workers(folder: SweepFolder, workers: int, asked: Request | None = None) -> None:
    """Raises NotEnoughError where there is not the memory for so many runs at a time, or that of a job on a
    cluster.
    """
    at_once = 1 if asked is not None else workers
    source, settings = Path(folder.source.path), _some_settings(folder.plan)
    needs.check_training(source, folder.path.resolve().parent, settings, asked, at_once=at_once)


def _expanded(plan: SweepPlan, source: Path) -> SweepPlan:
    if plan.hold_out is None:
        return plan.check_points()
    from gpovae_core.data.read import read_cells
    from gpovae_core.data.validate import examine
    from gpovae_core.errors import DataError

    examination = examine(read_cells(source), plan.settings({}, plan.seeds[0]).data)
    if not examination.ok:
        raise DataError([problem for problem in examination.problems if problem.severity == "error"])
    return plan.with_perturbations(list(examination.summary["perturbations"])).check_points()


def _checked_storage(storage: str) -> str:
    """The address as it is written down. Raises SettingsError for one with a password in it, or a file in a
    folder that is not there.
    """
    if "://" not in storage:
        if storage and not Path(storage).resolve().parent.is_dir():
            raise SettingsError(
                f"--storage: there is no folder '{Path(storage).resolve().parent}' for the journal."
            )
        return str(Path(storage).resolve()) if storage else ""
    if re.search(r"://[^/@]*:[^/@]+@", storage):
        raise SettingsError(
            "--storage: leave the password out of the address, since that is written down in the sweep; "
            "give it as the database's own tools take it (for PostgreSQL in ~/.pgpass or PGPASSWORD)."
        )
    return storage
