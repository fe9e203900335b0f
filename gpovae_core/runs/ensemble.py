"""How sure is an edge? The network of a run found again from other draws of its cells, other seeds, or both.

Files in the run folder:

- ensemble.safetensors: what came out, by edge, with the table of stability in its header (`Ensemble`)
- ensemble/: the job behind it: plan.json, status.json, log.txt, and members/, the network of every finished
  member, from which it is
  continued
"""

from __future__ import annotations

import json
import os
import shutil
import threading
from contextlib import suppress
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from scipy.special import expit, logit

from gpovae_core import keys
from gpovae_core.config import Settings
from gpovae_core.data.atomic import READABLE, replacing, write_text
from gpovae_core.data.cores import at_once
from gpovae_core.data.progress import Progress
from gpovae_core.data.room import full_disk_said
from gpovae_core.effects.bootstrap import bootstrap_rows, resample
from gpovae_core.errors import GpoVaeError, RunError, SettingsError
from gpovae_core.methods.network_fit import BOOTSTRAP_ERROR, fit_edges
from gpovae_core.runs import jobs, needs, processes
from gpovae_core.runs.clusters import submit as clusters
from gpovae_core.runs.clusters.sites import Request
from gpovae_core.runs.folder import NOWHERE, DataSource, JobFolder, RunFolder, is_run

if TYPE_CHECKING:
    from gpovae_core.data.schema import Panel, PreparedCells

FORMAT = 1
FILE = "ensemble.safetensors"
FOLDER = "ensemble"
MOST_RANKED = 5000
"""Strongest edges of every member whose agreement is looked at."""
STOPS = (KeyboardInterrupt, jobs.StopRequest, SystemExit)
_GRID = (10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 1500, 2000, 3000, 5000)
_LARGEST_LOG_ODDS = 6e4  # of a float16


class EnsemblePlan(BaseModel):
    """What the members of an ensemble differ in."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    members: int = Field(default=20, ge=2, le=1000, description="How many networks.")
    vary: Literal["both", "cells", "seeds"] = Field(
        default="both",
        description=(
            "cells: training and validation cells drawn again with replacement, within each perturbation; "
            "seeds: other starting weights, batches and draws; both."
        ),
    )
    threshold: float | None = Field(
        default=None, ge=0.0, le=1.0, description="W above this is an edge; that of the run where not given."
    )
    seed: int = Field(
        default=0,
        ge=0,
        description="Seed of the draws of cells; member k takes the run's training seed plus 1 + k.",
    )


@dataclass(frozen=True)
class Ensemble:
    """Matrices (n, n) in panel order, row = source, column = target.

    frequency: share of the members with W > threshold; mean, sd: of W over the members; sign_agreement: of
    the members that have the edge with a known sign, the share that agrees with the majority, NaN where there
    is none. members, threshold, vary, seed: see EnsemblePlan. edges: mean number of edges of a member.
    stability: see `stability`.
    """

    frequency: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    sign_agreement: np.ndarray
    members: int
    threshold: float
    vary: str
    seed: int
    edges: float
    stability: pd.DataFrame

    def facts(self) -> dict[str, Any]:
        """Everything but the matrices, as plain values."""
        plain = {name: getattr(self, name) for name in ("members", "threshold", "vary", "seed", "edges")}
        return {**plain, "stability": self.stability.to_dict("records")}


@dataclass(frozen=True)
class Member:
    """One network: log_odds of W (n, n) and sign (n, n), 0 where unknown."""

    log_odds: np.ndarray
    sign: np.ndarray


class EnsembleJob(JobFolder):
    """The job of an ensemble, in the folder of its run."""

    what = "Ensemble of run"
    resumed = "the ensemble"

    @classmethod
    def of(cls, run: RunFolder) -> EnsembleJob:
        return cls(run.path / FOLDER)

    @property
    def name(self) -> str:
        return self.path.parent.name

    @property
    def run(self) -> RunFolder:
        return RunFolder(self.path.parent)

    def plan(self) -> EnsemblePlan:
        try:
            return EnsemblePlan.model_validate(self._json("plan.json"))
        except ValidationError as error:
            raise RunError(f"{self.what} '{self.name}': plan.json is damaged ({error}).") from error

    def member_file(self, number: int) -> Path:
        return self.path / "members" / f"{number:04d}.safetensors"

    def sweep(self) -> None:
        super().sweep()
        for part in (self.path / "members").glob(".*.part"):
            part.unlink(missing_ok=True)

    def finished(self) -> int:
        """Members that are there."""
        return len(list((self.path / "members").glob("[0-9]*.safetensors")))


def needs_training(settings: Settings) -> bool:
    """Whether every member is a training of its own; else W comes from the network stage, which takes seconds
    and no seed.
    """
    return settings.model.network != "evidence"


def check_plan(run: RunFolder, plan: EnsemblePlan) -> None:
    """Raises SettingsError or RunError where no such ensemble of this run can be made."""
    if run.without_network:
        raise RunError(run.without_network)
    if not run.has("cells.h5ad"):
        raise RunError(f"Run '{run.name}' holds no cells, and an ensemble is made from them.")
    if plan.vary == "seeds" and not needs_training(run.settings()):
        raise SettingsError(
            f"Run '{run.name}' has W from calibrated effects (preset evidence): no step of that is random, "
            "so other seeds change nothing. Vary the cells."
        )


def _check_fits(run: RunFolder, plan: EnsemblePlan, asked: Request | None = None, own: bool = False) -> None:
    """Raises NotEnoughError where there is not the memory or the disk for the members. own: in this process,
    which may have trained the run just now.
    """
    settings, words = run.settings(), f"An ensemble of {plan.members:,} of run '{run.name}'"
    needs.check_run(run, lambda size: needs.to_sample(size, settings, plan.members), words, asked, own)


def make_ensemble(run: RunFolder, plan: EnsemblePlan, progress: Progress | None = None) -> Ensemble | None:
    """Make the members that are not there yet, and store what they say with the run; None where it was
    stopped before two were done.

    Another plan (all but the number of members) throws the old members away. Members of the network stage are
    fitted to cells drawn again, without any training of the autoencoder; where W is trained each member is a
    training, resumed where it was cut off.
    """
    check_plan(run, plan)
    if plan.vary == "both" and not needs_training(run.settings()):
        plan = plan.model_copy(update={"vary": "cells"})
    job = EnsembleJob.of(run)
    if job.has("status.json"):
        clusters.check_free(job)
    _check_fits(run, plan, own=True)
    (job.path / "members").mkdir(parents=True, exist_ok=True)
    with job.working():
        job.sweep()
        _keep_members_of(job, plan)
        try:
            with jobs.stoppable(), jobs.beating(job), jobs.reserve(job):
                job.write_status(state="training", pid=os.getpid(), message="", stage="")
                with suppress(*STOPS):
                    _members(job, run, plan, jobs.recorded(job, progress))
                return _finish(job, run, plan)
        except STOPS:  # before it had begun, or once more
            return _finish(job, run, plan)
        except Exception as error:
            jobs.fail(job, error)


def _finish(job: EnsembleJob, run: RunFolder, plan: EnsemblePlan) -> Ensemble | None:
    """Store what the finished members say, then that it is done, or stopped: whoever sees the state may look
    for it.
    """
    found = _collect(job, run, plan)
    if found is not None:
        write_ensemble(run, found)
    done = job.finished()
    if done >= plan.members:
        job.write_status(state="done", epoch=done, message=f"{plan.members} members")
    else:
        words = f"stopped on request after {done} of {plan.members} members"
        job.write_status(state="stopped", epoch=done, message=words)
        job.log(words)
    return found


def submit_ensemble(run: RunFolder, plan: EnsemblePlan, asked: Request | None = None) -> None:
    """The same in the background, by `gpovae ensemble`, on a cluster where `asked` names one; what it prints
    goes to worker.txt. Raises RunError while one is at work, SchedulerError where the cluster refuses.
    """
    check_plan(run, plan)
    job = EnsembleJob.of(run)
    if at_work(run):
        raise RunError(f"An ensemble of run '{run.name}' is being made already.")
    _check_fits(run, plan, asked)
    options = ["--members", str(plan.members), "--vary", plan.vary, "--seed", str(plan.seed)]
    options += [] if plan.threshold is None else ["--threshold", str(plan.threshold)]
    path = run.path.resolve()
    command = ["ensemble", str(path), *options]
    with full_disk_said(path.parent):
        job.path.mkdir(exist_ok=True)
        if asked is not None:
            clusters.send(job, command, asked, path.parent)
            return
        clusters.here_again(job)
        job.write_status(state="queued", **NOWHERE, message="")
        processes.start_gpovae(command, job.path / "worker.txt", path.parent)


def follow_training(run: RunFolder, progress: Progress | None = None) -> Ensemble | None:
    """What follows a training that is done: the ensemble of `network.ensemble` members, so that it is known
    how often every edge comes back.

    Nothing where W is trained (every member would be a training), where the settings want none, where one of
    another plan is there already, or one is being made. Stopped, it is continued by the next
    `gpovae train --resume`, or by `gpovae ensemble`.
    """
    settings, job = run.settings(), EnsembleJob.of(run)
    wanted = EnsemblePlan(members=max(2, settings.network.ensemble), vary="cells")
    if not settings.network.ensemble or needs_training(settings) or not run.has("cells.h5ad"):
        return None
    if run.status().state != "done" or at_work(run):
        return None
    if job.has("plan.json"):
        had = job.plan()
        if (had.vary, had.seed) != (wanted.vary, wanted.seed) or job.finished() >= wanted.members:
            return None
        wanted = had.model_copy(update={"members": wanted.members})
    elif run.has(FILE):
        return None
    return make_ensemble(run, wanted, progress)


def at_work(run: RunFolder) -> bool:
    """Whether an ensemble of this run is being made right now."""
    job = EnsembleJob.of(run)
    try:
        status = job.status()
    except GpoVaeError:  # none, or too damaged for anybody to work on it
        return False
    return status.busy and not status.dead()


def _keep_members_of(job: EnsembleJob, plan: EnsemblePlan) -> None:
    """Members of another plan are thrown away; the plan at hand is written down."""
    if job.has("plan.json"):
        old = job.plan()
        if (old.vary, old.seed) != (plan.vary, plan.seed):
            shutil.rmtree(job.path / "members")
            (job.path / "members").mkdir()
            for folder in job.path.glob("training-*"):
                shutil.rmtree(folder)
            job.log("members of another plan were thrown away")
    write_text(job.path / "plan.json", plan.model_dump_json(indent=2))


def _members(job: EnsembleJob, run: RunFolder, plan: EnsemblePlan, progress: Progress) -> None:
    prepared, settings = run.cells(), run.settings()
    missing = [number for number in range(plan.members) if not job.member_file(number).is_file()]
    done, lock = dict.fromkeys(set(range(plan.members)) - set(missing), 1.0), threading.Lock()

    def of_member(number: int) -> Progress:
        """Progress of one member, told as that of all, of which several are made at once: in the words of
        the last that was begun.
        """

        def told(_stage: str, share: float) -> None:
            with lock:
                done[number] = max(share, done.get(number, 0.0))
                words = f"member {max(done) + 1} of {plan.members}"
                progress(words, sum(done.values()) / plan.members)

        told("", 0.0)
        return told

    def fitted(number: int) -> tuple[int, Member]:
        rows = bootstrap_rows(prepared, _draw_seed(plan, number))
        return number, _fitted(prepared, settings, rows, of_member(number))

    def trained(number: int) -> tuple[int, Member]:
        rows = None if plan.vary == "seeds" else bootstrap_rows(prepared, _draw_seed(plan, number))
        return number, _trained(job, prepared, settings, plan, number, rows, of_member(number))

    # A training takes all cores by itself.
    for number, member in map(trained, missing) if needs_training(settings) else at_once(fitted, missing):
        _write_member(job.member_file(number), member)
        done[number] = 1.0
        job.write_status(epoch=job.finished())


def _draw_seed(plan: EnsemblePlan, number: int) -> int:
    return plan.seed * 1_000_003 + number


def _fitted(prepared: PreparedCells, settings: Settings, rows: np.ndarray, progress: Progress) -> Member:
    edges = fit_edges(prepared, settings, rows, BOOTSTRAP_ERROR, progress)
    return Member(edges.log_odds, np.sign(edges.strength))


def _trained(
    job: EnsembleJob,
    prepared: PreparedCells,
    settings: Settings,
    plan: EnsemblePlan,
    number: int,
    rows: np.ndarray | None,
    progress: Progress | None,
) -> Member:
    """A whole training; its folder goes when its network is kept."""
    from gpovae_core.effects.averages import average_effects
    from gpovae_core.training.fit import fit

    cells = prepared if rows is None else resample(prepared, rows, settings.data)
    if plan.vary != "cells":
        seed = settings.training.seed + 1 + number
        settings = settings.model_copy(
            update={"training": settings.training.model_copy(update={"seed": seed})}
        )
    path = job.path / f"training-{number:04d}"
    if is_run(path):
        member = RunFolder.open(path)
    else:
        shutil.rmtree(path, ignore_errors=True)
        member = RunFolder.create(path, settings, DataSource(path=f"member {number} of an ensemble"))
    member.write_panel(cells)
    fit(member, cells, settings, resume=True, progress=progress)
    if member.status().state == "stopped":
        raise jobs.StopRequest
    genes = list(prepared.panel.genes)
    effects = (
        average_effects(cells, (keys.TRAIN,))
        .mean.reindex(index=genes, columns=genes)
        .to_numpy(dtype=np.float64)
    )
    sign = -np.sign(np.nan_to_num(effects))
    np.fill_diagonal(sign, 0)
    found = Member(member.mask_logits().astype(np.float64), sign)
    shutil.rmtree(path)
    return found


def _write_member(path: Path, member: Member) -> None:
    from safetensors.numpy import save_file

    log_odds = np.clip(member.log_odds, -_LARGEST_LOG_ODDS, _LARGEST_LOG_ODDS).astype(np.float16)
    with replacing(path) as aside:
        save_file({"log_odds": log_odds, "sign": member.sign.astype(np.int8)}, aside)


def _read_member(path: Path, n: int) -> Member:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        arrays = load_file(path)
        member = Member(arrays["log_odds"].astype(np.float64), arrays["sign"])
    except (SafetensorError, KeyError, OSError) as error:
        raise RunError(
            f"Member {path.stem} of the ensemble is damaged ({error}). Remove '{path}', and it is made again."
        ) from error
    if member.log_odds.shape != (n, n) or member.sign.shape != (n, n):
        raise RunError(
            f"Member {path.stem} of the ensemble has shape {member.log_odds.shape}, the panel has {n} genes."
        )
    return member


def _collect(job: EnsembleJob, run: RunFolder, plan: EnsemblePlan) -> Ensemble | None:
    """What the finished members say, or None with fewer than two."""
    panel = run.panel()
    found = [path for number in range(plan.members) if (path := job.member_file(number)).is_file()]
    if len(found) < 2:
        return None
    threshold = run.settings().evaluation.threshold if plan.threshold is None else plan.threshold
    return summarise(
        (_read_member(path, len(panel)) for path in found), panel, threshold, plan.vary, plan.seed
    )


def summarise(members: Any, panel: Panel, threshold: float, vary: str = "both", seed: int = 0) -> Ensemble:
    """Frequencies, spreads and stability over an iterable of two or more Members of the same panel."""
    n = len(panel)
    above, total, squares, positive, negative = (np.zeros((n, n)) for _ in range(5))
    pairs = rankable(panel)
    cut = logit(threshold)
    tops, count = [], 0
    for count, member in enumerate(members, start=1):
        weights = expit(member.log_odds)
        edge = member.log_odds > cut
        above += edge
        total += weights
        squares += weights**2
        positive += edge & (member.sign > 0)
        negative += edge & (member.sign < 0)
        tops.append(strongest(member.log_odds[pairs], MOST_RANKED, np.random.default_rng([seed, count])))
    if count < 2:
        raise ValueError("an ensemble needs two members or more")
    mean = total / count
    with np.errstate(invalid="ignore"):
        agreement = np.maximum(positive, negative) / (positive + negative)
    return Ensemble(
        frequency=above / count,
        mean=mean,
        sd=np.sqrt(np.maximum(squares / count - mean**2, 0.0) * count / (count - 1)),
        sign_agreement=agreement,
        members=count,
        threshold=threshold,
        vary=vary,
        seed=seed,
        edges=float(above[pairs].sum() / count),
        stability=stability(tops, int(pairs.sum()), round(float(above[pairs].sum() / count))),
    )


def rankable(panel: Panel) -> np.ndarray:
    """(n, n) bool: pairs whose ranks are compared: a perturbed source and another gene. Of other sources no
    cell says anything.
    """
    source = panel.is_perturbed if panel.is_perturbed.any() else np.ones(len(panel), dtype=bool)
    return source[:, None] & ~np.eye(len(panel), dtype=bool)


def strongest(values: np.ndarray, most: int, rng: np.random.Generator) -> np.ndarray:
    """Places of the largest values, largest first; equal ones in random order, so that no order of the file
    passes for agreement.
    """
    order = np.lexsort((rng.random(len(values)), -values))
    return order[:most]


def stability(tops: list[np.ndarray], pairs: int, usual: int) -> pd.DataFrame:
    """How much two members agree in their strongest k edges, for growing k, over all pairs of members.

    Columns: edges (k); jaccard, its mean, with jaccard_low and jaccard_high, the 5th and 95th percentile over
    pairs of members; overlap, the mean share of the k edges in both; random_jaccard, random_overlap: what two
    draws of k out of `pairs` share on average (hypergeometric). tops: places of the strongest edges of each
    member, strongest first. usual: edges of a usual member; far below its last edge the order of pairs says
    nothing about edges, so k ends at a few times that number.
    """
    most = min(len(tops[0]), pairs, max(_GRID[5], 3 * usual))
    grid = np.array(sorted({k for k in (*_GRID, usual) if 1 <= k <= most}), dtype=int)
    if not len(grid):
        grid = np.array([most], dtype=int)[: most > 0]
    shared = []
    for a, b in combinations(tops, 2):
        _, rank_a, rank_b = np.intersect1d(a, b, assume_unique=True, return_indices=True)
        shared.append(np.searchsorted(np.sort(np.maximum(rank_a, rank_b)), grid, side="left"))
    common = np.array(shared, dtype=np.float64).reshape(-1, len(grid))
    jaccard = common / (2 * grid - common)
    low, high = np.percentile(jaccard, [5, 95], axis=0) if len(grid) else (grid, grid)
    return pd.DataFrame(
        {
            "edges": grid,
            "jaccard": jaccard.mean(axis=0),
            "jaccard_low": low,
            "jaccard_high": high,
            "overlap": common.mean(axis=0) / grid,
            "random_jaccard": [_random_jaccard(k, pairs) for k in grid.tolist()],
            "random_overlap": grid / pairs,
        }
    )


def _random_jaccard(edges: int, pairs: int) -> float:
    from scipy import stats

    common = np.arange(max(0, 2 * edges - pairs), edges + 1)
    return float(np.sum(stats.hypergeom.pmf(common, pairs, edges, edges) * common / (2 * edges - common)))


_MATRICES = ("frequency", "mean", "sd", "sign_agreement")


def write_ensemble(run: RunFolder, ensemble: Ensemble) -> None:
    """Store it with the run, as a whole: matrices as float32, everything else in the header."""
    from safetensors.numpy import save_file

    matrices = {name: np.ascontiguousarray(getattr(ensemble, name), dtype=np.float32) for name in _MATRICES}
    header = {"format": str(FORMAT), "facts": json.dumps(ensemble.facts())}
    with replacing(run.path / FILE, READABLE) as aside:
        save_file(matrices, aside, metadata=header)


def read_ensemble(run: RunFolder) -> Ensemble | None:
    """The ensemble of a run, None where it has none. Raises RunError where it cannot be read, with what to
    do.
    """
    from safetensors import SafetensorError, safe_open

    if not run.has(FILE):
        return None
    again = f"Run `gpovae ensemble {run.path}` to make it again."
    try:
        with safe_open(run.path / FILE, framework="numpy") as file:
            header = file.metadata() or {}
            found = header.get("format", "")
            if not found.isdecimal() or int(found) > FORMAT:
                raise RunError(
                    f"Run '{run.name}': {FILE} has format '{found}'; this version of gpovae reads up to "
                    f"{FORMAT}. Update gpovae."
                )
            matrices = {name: file.get_tensor(name).astype(np.float64) for name in _MATRICES}
            facts = json.loads(header["facts"])
        stable = pd.DataFrame(facts.pop("stability"))
        result = Ensemble(**matrices, stability=stable, **facts)
    except (SafetensorError, OSError, KeyError, ValueError, TypeError) as error:
        raise RunError(f"Run '{run.name}': {FILE} is damaged ({str(error)[:160]}). {again}") from error
    n = len(run.panel())
    for name, matrix in matrices.items():
        if matrix.shape != (n, n):
            raise RunError(
                f"Run '{run.name}': {name} in {FILE} has shape {matrix.shape}, the panel has {n} genes. "
                f"{again}"
            )
    return result
