"""What a worker of a sweep does: take a point that nobody has, make its runs, measure them, tell the study;
until nothing is left.

Any number of workers, on any number of machines that reach the same storage, share one sweep. Points of a
grid are queued once and taken out of the queue by the storage, which gives each to one worker. A point whose
worker died is taken over by the next worker that sees that worker's folder; its runs go on after their last
epoch.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from gpovae_core.data.progress import Progress
from gpovae_core.data.room import RoomError
from gpovae_core.errors import DataError, GpoVaeError, RunError
from gpovae_core.runs import jobs
from gpovae_core.runs.folder import RunFolder, find_runs, is_run
from gpovae_core.sweeps.folder import (
    WORKERS,
    SweepFolder,
    Worker,
    check_workers,
    share_of_cores,
    start_workers,
    stop,
)
from gpovae_core.sweeps.measures import measure_run
from gpovae_core.sweeps.plan import Point, Range, point_words

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial, Trial

POINT = "point"
"""Attribute of a trial of a grid: its point."""
WORKER = "worker"
"""Attribute of a trial: name of the worker's folder."""
SEED = "seed {}"
"""Attribute of a trial: the run of a seed and what was measured, {"run", "values"}."""
PROBLEM = "problem"
"""Attribute of a trial: why it has no value, in words."""
MEASURED = "measured"
"""Attribute of a trial: all its runs are done and measured, whether or not an objective is defined."""
SPARE = "spare"
"""Attribute of a trial that stands for no point: two workers asked for the last one."""
UNCLAIMED = 15.0
"""Seconds after which a trial that is being tried by nobody has lost its worker."""


def work(
    folder: SweepFolder,
    progress: Progress | None = None,
    wait: bool = False,
    retry: bool = False,
    name: str = "",
) -> Worker:
    """Work on the sweep until no point is left, or until asked to stop; the worker's status says which.

    wait: before every run, let runs that are trained or wait in the folder beside the sweep go first. retry:
    points that failed are tried again. name: the folder of this worker, which is there already.
    """
    worker = folder.new_worker(name)
    told = jobs.recorded(worker, progress)
    try:
        with jobs.stoppable(), jobs.beating(worker), jobs.reserve(worker):
            study = folder.study()
            _fill(folder, study, retry)
            done = _Teller(folder, study, told)
            while (trial := _next(folder, study, worker, name)) is not None:
                _try(folder, study, trial, worker, done, wait)
        worker.write_status(state="done", message="nothing left to try")
    except (KeyboardInterrupt, jobs.StopRequest, SystemExit):
        worker.write_status(state="stopped", message="stopped on request")
    except Exception as error:
        jobs.fail(worker, error)
    return worker


def work_together(
    folder: SweepFolder,
    workers: int,
    progress: Progress | None = None,
    wait: bool = False,
    retry: bool = False,
    name: str = "",
) -> None:
    """`work`, with other processes beside this one where `workers` is more than 1; ends when all have ended,
    and stops them with it.
    """
    check_workers(folder, workers)
    if workers > 1:  # before torch is loaded: each with its share of the cores
        os.environ.update(share_of_cores(workers))
        before = {worker.name for worker in folder.workers()}
        start_workers(folder, workers - 1, ("--wait",) if wait else ())
    own = work(folder, progress, wait, retry, name)
    if workers == 1:
        return
    try:
        if own.status().state == "stopped":
            stop(folder)
        while any(worker.alive for worker in folder.workers() if worker.name not in before):
            time.sleep(jobs.LOOK_EVERY)
    except KeyboardInterrupt:
        stop(folder)


class _Teller:
    """Says what is being done, with the share of all points that are finished."""

    def __init__(self, folder: SweepFolder, study: optuna.Study, told: Progress) -> None:
        self.folder, self.study, self.told, self.share = folder, study, told, 0.0

    def update(self) -> None:
        finished = sum(is_finished(trial) for trial in self.study.get_trials(deepcopy=False))
        self.share = min(1.0, finished / self.folder.plan.size)

    def __call__(self, words: str) -> None:
        self.told(words, self.share)


def is_finished(trial: FrozenTrial) -> bool:
    """Whether nothing is left to do about a point: measured, or failed for good."""
    return trial.state.is_finished() and SPARE not in trial.user_attrs


def _fill(folder: SweepFolder, study: optuna.Study, retry: bool) -> None:
    """Queue every point of a grid that was never queued, and where wanted the failed ones once more."""
    if folder.plan.sampler != "grid":
        return
    with _claiming(folder):
        for point in folder.plan.points():
            study.enqueue_trial(point, user_attrs={POINT: point}, skip_if_exists=True)
        if retry:
            for trial in study.get_trials(deepcopy=False):
                if (
                    trial.state.is_finished()
                    and PROBLEM in trial.user_attrs
                    and MEASURED not in trial.user_attrs
                ):
                    study.enqueue_trial(trial.user_attrs[POINT], user_attrs={POINT: trial.user_attrs[POINT]})


@contextmanager
def _claiming(folder: SweepFolder) -> Iterator[None]:
    """Held while a worker looks for its next point; on one machine, or one disk, two workers then never see
    the same.
    """
    import filelock

    with filelock.FileLock(folder.path / ".claims.lock"):
        yield


def _next(folder: SweepFolder, study: optuna.Study, worker: Worker, name: str) -> Trial | None:
    """A point to try: one whose worker has gone, else one from the queue or, with a sampler, a new one; None
    where nothing is left. name: of a worker that may have begun before, and left a point behind.
    """
    import optuna
    from optuna.trial import TrialState

    with _claiming(folder):
        for left in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if name == left.user_attrs.get(WORKER) or _left_behind(folder, left):
                trial = optuna.trial.Trial(study, left._trial_id)
                trial.set_user_attr(WORKER, worker.name)
                return trial
        while True:
            if folder.plan.sampler == "grid" and not study.get_trials(
                deepcopy=False, states=(TrialState.WAITING,)
            ):
                return None
            if folder.plan.sampler == "tpe" and len(study.get_trials(deepcopy=False)) >= folder.plan.trials:
                return None
            trial = study.ask()
            trial.set_user_attr(WORKER, worker.name)
            queued = POINT in trial.user_attrs
            if folder.plan.sampler == "tpe" or (queued and not _tried_before(study, trial)):
                return trial
            trial.set_user_attr(
                SPARE, True
            )  # another machine took the last one, or queued the same point at the same time
            study.tell(trial, state=TrialState.FAIL)


def _tried_before(study: optuna.Study, trial: Trial) -> bool:
    """Whether an earlier trial has the same queued point and is under way, done, or failed in the same
    round.
    """
    wanted = trial.user_attrs[POINT]
    for other in study.get_trials(deepcopy=False):
        same = (
            other.number < trial.number
            and other.user_attrs.get(POINT) == wanted
            and SPARE not in other.user_attrs
        )
        if same and (not other.state.is_finished() or PROBLEM not in other.user_attrs):
            return True
    return False


def _left_behind(folder: SweepFolder, trial: FrozenTrial) -> bool:
    """Whether a trial that is being tried has lost its worker, and that worker was one of this folder. One
    that has gone back into the queue of a cluster looks for another point when it begins again.
    """
    name = str(trial.user_attrs.get(WORKER, ""))
    if not name:  # taken out of the queue by a worker that could not write who it is
        began = trial.datetime_start
        return began is not None and (datetime.now() - began).total_seconds() > UNCLAIMED
    worker = Worker(folder.path / WORKERS / name)
    return worker.has("status.json") and not worker.working


def _point(folder: SweepFolder, trial: Trial) -> Point:
    """The point of a trial: what was queued for it, or what the sampler suggests."""
    point: Point = {}
    for name, axis in folder.plan.parameters.items():
        if isinstance(axis, tuple):
            value = trial.suggest_categorical(name, axis)
            assert value is not None  # an axis lists no empty value
            point[name] = value
        elif isinstance(axis, Range) and isinstance(axis.low, int) and isinstance(axis.high, int):
            point[name] = trial.suggest_int(name, axis.low, axis.high, log=axis.log)
        else:
            point[name] = trial.suggest_float(name, axis.low, axis.high, log=axis.log)
    return point


def _try(
    folder: SweepFolder, study: optuna.Study, trial: Trial, worker: Worker, teller: _Teller, wait: bool
) -> None:
    """The runs of one point, one per seed; the study hears the means of the objectives over the seeds."""
    from optuna.trial import TrialState

    point = _point(folder, trial)
    words = f"point {trial.number} ({point_words(point)})"
    worker.log(words)
    teller.update()
    found: list[dict[str, float | None]] = []
    for seed in folder.plan.seeds:
        before = trial.user_attrs.get(SEED.format(seed))
        if before is not None:
            found.append(before["values"])
            continue
        try:
            if wait:
                _give_way(folder, lambda text: teller(f"{words}: {text}"))
            run = _run(
                folder,
                trial.number,
                point,
                seed,
                lambda text, seed=seed: teller(f"{words}, seed {seed}: {text}"),
            )
            values = measure_run(run, folder.plan.top)
        except (DataError, RoomError):  # it is the cells or the disk, so no point will fare better
            raise
        except GpoVaeError as error:
            worker.log(f"{words}, seed {seed} failed: {error}")
            trial.set_user_attr(PROBLEM, f"seed {seed}: {error}"[:1000])
            study.tell(trial, state=TrialState.FAIL)
            return
        trial.set_user_attr(SEED.format(seed), {"run": run.name, "values": values})
        found.append(values)
    trial.set_user_attr(MEASURED, True)
    objectives = {name: [values[name] for values in found] for name in folder.plan.objectives}
    undefined = [name for name, values in objectives.items() if any(value is None for value in values)]
    if undefined:
        trial.set_user_attr(PROBLEM, f"not defined for every seed: {', '.join(undefined)}")
        study.tell(trial, state=TrialState.FAIL)
    else:
        study.tell(
            trial,
            [
                float(np.mean([value for value in values if value is not None]))
                for values in objectives.values()
            ],
        )


def _run(folder: SweepFolder, number: int, point: Point, seed: int, tell: Callable[[str], None]) -> RunFolder:
    """The run of one seed, done. Raises jobs.StopRequest where it was stopped."""
    from gpovae_core.workflow import resume_run, start_run

    path = folder.run_path(number, seed)

    def progress(stage: str, _share: float) -> None:
        tell(stage)

    if not is_run(path):
        run = start_run(Path(folder.source.path), path, folder.plan.settings(point, seed), progress)
    elif RunFolder.open(path).status().state == "done":
        return RunFolder.open(path)
    else:
        run = resume_run(path, progress=progress)
    status = run.status()
    if status.state == "stopped":
        raise jobs.StopRequest
    if status.state != "done":
        raise RunError(f"Run '{run.name}' ended as '{status.state}': {status.message}")
    return run


def _give_way(folder: SweepFolder, tell: Callable[[str], None]) -> None:
    """Wait while a run in the folder beside the sweep is at work or waits for its turn."""
    if hasattr(os, "nice") and os.nice(0) < 5:
        os.nice(5)
    while True:
        busy = [run.name for run in find_runs(folder.path.resolve().parent) if jobs.at_work(run)]
        if not busy:
            return
        tell(f"waiting for {', '.join(busy)}")
        time.sleep(jobs.LOOK_EVERY)
