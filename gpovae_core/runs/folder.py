"""The run folder: the one hand-over between terminal, job and browser. Everything in it is data, nothing is
code.

Files, by name:

- config.json: format version, where the data came from, all settings
- panel.json: the genes of W, in order
- cells.h5ad: prepared cells: counts, splits, matched controls, artifact labels, report
- network.safetensors: strengths, influence and evidence of the network stage (preset `evidence`)
- model.safetensors: weights of the best epoch so far
- status.json: state, epoch, heartbeat, the process at work (replaced as a whole at every write)
- metrics.jsonl: one line per finished epoch
- log.txt: what happened, in words
- effects.h5ad: observed and predicted effects, perturbations x genes, one layer each
- evaluation.json: scores with baselines and ceilings
- unseen.json: how well the network alone predicts perturbations held out as a whole, where that was measured
- checkpoints/: what is needed to resume
- effects.json: how a table of effects was read, where the run was made from one and has no cells
- worker.txt: what the background process printed, where one worked here
- cluster.json: what was asked for, where it was sent to a cluster (runs.clusters)
"""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gpovae_core import __version__
from gpovae_core.config import Settings, parse_settings
from gpovae_core.data.atomic import READABLE, replacing, write_text
from gpovae_core.data.effect_tables.report import EffectReport
from gpovae_core.data.schema import Panel, PanelData, PreparationReport, PreparedCells, read_report
from gpovae_core.errors import RunError
from gpovae_core.runs import processes
from gpovae_core.runs.clusters import slurm
from gpovae_core.runs.shipped import SHIPPED
from gpovae_core.runs.stored_effects import StoredEffects, readable

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

FORMAT = 1
CONFIG = "config.json"
EFFECTS_REPORT = "effects.json"
MASK_LOGITS = "guide.mask_logits"
"""Name of the tensor of logits A in model.safetensors, shape (n, n); W = sigmoid(A)."""

State = Literal["queued", "preparing", "training", "evaluating", "stopped", "done", "failed", "imported"]
AT_REST = ("stopped", "done", "failed", "imported")
"""States in which no process works on the run; in every other one there should be one."""
SILENCE = 15.0
"""Seconds without a heartbeat after which a run is taken for dead where its process cannot be looked up."""
BEAT = 4.0
"""Seconds between heartbeats."""
NOWHERE: dict[str, Any] = {
    **{"pid": None, "process": "", "machine": "", "stage": "", "share": None},
    **{"site": "", "job": "", "node": ""},
}
"""What a status says of its process where there is none."""
LARGEST_JSON = 64 * 2**20
"""Bytes; no JSON file of a run comes near, and a larger one would only fill the memory."""
_STATUS = threading.Lock()  # the heartbeat is written beside the work


class DataSource(BaseModel):
    """Where the cells of a run came from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    sha256: str = ""
    simulated: bool = False
    imported: str = ""  # "" where the run was trained here; else what it was made from, in words


class Status(BaseModel):
    """status.json. Times are seconds since 1970."""

    state: State = "preparing"
    epoch: int = 0  # finished epochs
    best_epoch: int | None = None
    message: str = ""
    pid: int | None = None
    process: str = ""  # when that process started, and where it runs: see runs/processes.py
    machine: str = ""
    site: str = ""  # the site of a cluster, the number of the job there and its node; "" on this machine
    job: str = Field(default="", pattern="^[0-9]*$")
    node: str = ""
    stage: str = ""  # what is being done, in words
    share: float | None = None  # of that, finished: 0 to 1
    trained: bool = False  # the training has come to its end; what is left is the scoring
    started: float = 0.0
    heartbeat: float = 0.0

    @property
    def busy(self) -> bool:
        """Whether the run says that it is being worked on, or waits for that."""
        return self.state not in AT_REST

    def dead(self, now: float | None = None) -> bool:
        """Whether it says so, and nobody does: its process is gone, or (where it cannot be looked up) silent
        for SILENCE seconds. Of a silent job on a cluster the scheduler knows.
        """
        if not self.busy or self.heard(now):
            return False
        if self.job:
            found = slurm.look(self.job)
            waits = found is None and self.state == "queued"  # that nobody beats then means nothing
            return found.over if found is not None else not waits
        running = None if self.pid is None else processes.is_running(self.pid, self.process, self.machine)
        return self.silent(now) > SILENCE if running is None else not running

    def waits(self) -> bool:
        """Whether it waits in the queue of a cluster, as far as can be seen from here."""
        if not self.job or self.heard():
            return False
        found = slurm.look(self.job)
        return self.state == "queued" if found is None else found.waits

    def heard(self, now: float | None = None) -> bool:
        """Whether a job on a cluster has given a sign of life of late, so that its scheduler need not be
        asked.
        """
        return bool(self.job) and self.state != "queued" and self.silent(now) <= SILENCE

    def silent(self, now: float | None = None) -> float:
        """Seconds since the last heartbeat."""
        return (time.time() if now is None else now) - self.heartbeat


@dataclass(frozen=True)
class JobFolder:
    """A folder in which one process at a time works: its status with a heartbeat, a lock, a log."""

    path: Path
    what: ClassVar[str] = "Run"
    """How messages call it."""
    resumed: ClassVar[str] = "the run"
    """How they call what goes on where it ended."""

    @property
    def name(self) -> str:
        """That of the folder; of a run that came with the program the one under which it is listed."""
        return SHIPPED.get(self.path.absolute(), self.path.name)

    def _json(self, name: str) -> dict[str, Any]:
        try:
            size = (self.path / name).stat().st_size
            if size > LARGEST_JSON:
                limit = f"expected at most {LARGEST_JSON / 2**20:.0f} MB"
                raise RunError(
                    f"{self.what} '{self.name}': {name} has {size / 2**20:,.0f} MB, {limit}. It is not a "
                    "file that gpovae wrote."
                )
            value = json.loads((self.path / name).read_text())
        except FileNotFoundError:
            raise RunError(f"{self.what} '{self.name}' has no {name} yet.") from None
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RunError(f"{self.what} '{self.name}': {name} is damaged ({error}).") from error
        if not isinstance(value, dict):
            raise RunError(f"{self.what} '{self.name}': {name} holds no JSON object.")
        return value

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def status(self) -> Status:
        try:
            return Status.model_validate(self._json("status.json"))
        except ValidationError as error:
            raise RunError(f"{self.what} '{self.name}': status.json is damaged ({error}).") from error

    def write_status(self, **changes: Any) -> Status:
        """Replace status.json with the old status plus `changes`; the heartbeat is set to now.

        A pid brings the marks by which that process is known; a state at rest has no pid.
        """
        if changes.get("pid") is not None:
            here = {"process": processes.start_mark(changes["pid"]), "machine": processes.machine()}
            changes |= {**here, **processes.place()}
        if changes.get("state") in AT_REST:
            changes |= NOWHERE
        with _STATUS:
            old = self.status() if self.has("status.json") else Status()
            new = Status.model_validate({**old.model_dump(), **changes, "heartbeat": time.time()})
            write_text(self.path / "status.json", new.model_dump_json(indent=2))
        return new

    @contextmanager
    def working(self) -> Iterator[None]:
        """Held by whoever changes the run; a second one is refused. The system gives it back when the process
        ends, however it ends.
        """
        import filelock

        lock = filelock.FileLock(self.path / ".lock", is_singleton=True)
        try:
            lock.acquire(blocking=False)
        except filelock.Timeout:
            raise RunError(
                f"{self.what} '{self.name}' is being worked on by another process. Wait for it, or stop it "
                "first."
            ) from None
        try:
            yield
        finally:
            lock.release()

    def sweep(self) -> None:
        """Remove what a killed process left half-written. Only for whoever holds `working`."""
        for part in self.path.glob(".*.part"):
            part.unlink(missing_ok=True)

    def last_words(self, lines: int = 12) -> list[str]:
        """The end of what the background process printed, or else of the log."""
        printed = tail(self.path / "worker.txt", lines)
        return printed or tail(self.path / "log.txt", lines)

    def log(self, text: str) -> None:
        with (self.path / "log.txt").open("a") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")


@dataclass(frozen=True)
class RunFolder(JobFolder):
    """A run on disk. Opening one reads JSON, safetensors and h5ad only: nothing in it is executed."""

    @classmethod
    def create(cls, path: Path, settings: Settings, source: DataSource) -> RunFolder:
        """A new run. Raises RunError where `path` already holds anything."""
        path = Path(path)
        check_new(path)
        run = cls(path)
        try:
            (path / "checkpoints").mkdir(parents=True)
            run._write_config(source, settings)
            run.write_status(state="preparing", started=time.time(), pid=os.getpid())
        except OSError:  # half a run is in the way of the next
            shutil.rmtree(path, ignore_errors=True)
            raise
        return run

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run. Raises RunError where there is none, or where a newer version wrote it."""
        path = Path(path)
        if not is_run(path):
            raise RunError(
                f"'{path}' is not a run: it has no config.json. Give the folder that `gpovae train --run` "
                "made."
            )
        run = cls(path)
        found = run._config().get("format")
        if not isinstance(found, int) or found > FORMAT:
            raise RunError(
                f"'{path}' has run format {found!r}; this version of gpovae reads up to {FORMAT}. Update "
                "gpovae to open it."
            )
        return run

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def _config(self) -> dict[str, Any]:
        return self._json(CONFIG)

    def _write_config(self, source: DataSource, settings: Settings) -> None:
        config = {
            "format": FORMAT,
            "gpovae": __version__,
            "source": source.model_dump(),
            "settings": settings.model_dump(mode="json"),
        }
        write_text(self.path / CONFIG, json.dumps(config, indent=2))

    def write_settings(self, settings: Settings) -> None:
        self._write_config(self.source(), settings)

    def write_source(self, source: DataSource) -> None:
        self._write_config(source, self.settings())

    def report(self) -> PreparationReport:
        """How the cells were prepared, without reading the cells."""
        if not self.has("cells.h5ad"):
            raise RunError(f"Run '{self.name}' holds no cells, so there is no report of their preparation.")
        with self._readable("cells.h5ad"):
            return read_report(self.path / "cells.h5ad")

    def sweep(self) -> None:
        super().sweep()
        for part in self.checkpoints.glob(".*.part"):
            part.unlink(missing_ok=True)

    def _readable(self, name: str) -> AbstractContextManager[None]:
        return readable(self.name, name)

    def settings(self) -> Settings:
        return parse_settings(self._config().get("settings"))

    def source(self) -> DataSource:
        try:
            return DataSource.model_validate(self._config().get("source"))
        except ValidationError as error:
            raise RunError(
                f"Run '{self.name}': config.json does not say where the data came from ({error})."
            ) from error

    def panel(self) -> Panel:
        try:
            return Panel(PanelData.model_validate(self._json("panel.json")))
        except ValidationError as error:
            raise RunError(f"Run '{self.name}': panel.json is damaged ({error}).") from error

    def write_cells(self, prepared: PreparedCells) -> None:
        prepared.write(self.path / "cells.h5ad")
        self.write_panel(prepared)

    def write_panel(self, prepared: PreparedCells) -> None:
        write_text(self.path / "panel.json", prepared.panel.data.model_dump_json(indent=2))

    def effects_report(self) -> EffectReport | None:
        """How its table of effects was read; None for a run that was not made from one."""
        if not self.has(EFFECTS_REPORT):
            return None
        try:
            return EffectReport.model_validate(self._json(EFFECTS_REPORT))
        except ValidationError as error:
            raise RunError(f"Run '{self.name}': {EFFECTS_REPORT} is damaged ({error}).") from error

    @property
    def without_cells(self) -> str:
        """Why there are no cells and never will be, in words; "" for a run that has some or is to prepare
        them.
        """
        made_from = "" if self.has("cells.h5ad") else self.source().imported
        if not made_from:
            return ""
        return (
            f"Run '{self.name}' was made from {made_from} and holds no cells: predictions, the evidence of "
            "single edges in cells, and scores need them. Its network is on the page Network."
        )

    def cells(self) -> PreparedCells:
        if not self.has("cells.h5ad"):
            raise RunError(
                self.without_cells
                or f"Run '{self.name}' holds no cells: predictions, edge evidence and evaluation need them."
            )
        with self._readable("cells.h5ad"):
            return PreparedCells.read(self.path / "cells.h5ad")

    @property
    def without_network(self) -> str:
        """Why there is no W and never will be, in words; "" for a run that has one or is to learn it."""
        settings = self.settings()
        if settings.model.network != "none":
            return ""
        return (
            f"Run '{self.name}' has no network: its preset {settings.preset} learns how perturbations move "
            "latent dimensions, not which gene acts on which. Its predictions are on the pages Response and "
            "Benchmark; for a network train on the same cells with the preset evidence."
        )

    def mask_logits(self) -> np.ndarray:
        """(n, n) float32 logits A of W, row = source, column = target. Raises RunError for a run without a
        network, or with damaged weights.
        """
        if self.without_network:
            raise RunError(self.without_network)
        return self.check_weights()

    def check_weights(self) -> np.ndarray:
        """Logits of the mask as they are stored: (n, n), or (n, L) without a network. Raises RunError for
        weights that are missing, damaged or not of this panel.
        """
        from safetensors import SafetensorError, safe_open

        if not self.has("model.safetensors"):
            raise RunError(f"Run '{self.name}' has no trained weights yet: the first epoch has not finished.")
        try:
            with safe_open(self.path / "model.safetensors", framework="numpy") as file:
                logits = file.get_tensor(MASK_LOGITS)
        except SafetensorError as error:
            raise RunError(f"Run '{self.name}': model.safetensors is damaged ({error}).") from error
        n, model = len(self.panel()), self.settings().model
        if logits.shape != (n, model.latent if model.network == "none" else n):
            raise RunError(f"Run '{self.name}': W has shape {logits.shape}, the panel has {n} genes.")
        if not np.isfinite(logits).all():
            raise RunError(
                f"Run '{self.name}': W holds values that are not numbers; the training has diverged."
            )
        return logits

    def edge_probabilities(self) -> np.ndarray:
        """(n, n) float64 W = sigmoid(A), row = source, column = target."""
        from scipy.special import expit

        return expit(self.mask_logits().astype(np.float64))

    def write_network(self, arrays: dict[str, np.ndarray]) -> None:
        """Arrays of the network stage by name, see methods.network_fit.NetworkFit; stored as float32."""
        from safetensors.numpy import save_file

        stored = {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in arrays.items()}
        with replacing(self.path / "network.safetensors", READABLE) as aside:
            save_file(stored, aside)

    def network_arrays(self) -> dict[str, np.ndarray]:
        """What write_network stored, as float64; empty for a run whose W was trained with everything else."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        if not self.has("network.safetensors"):
            return {}
        try:
            arrays = load_file(self.path / "network.safetensors")
        except SafetensorError as error:
            raise RunError(f"Run '{self.name}': network.safetensors is damaged ({error}).") from error
        return {name: values.astype(np.float64) for name, values in arrays.items()}

    def append_metrics(self, row: dict[str, float]) -> None:
        """One line more. What a full disk or a killed process cut off stays a line of its own, that is not
        read: the next would be lost with it.
        """
        with (self.path / "metrics.jsonl").open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")
            file.write(json.dumps(row).encode() + b"\n")

    def metrics(self) -> pd.DataFrame:
        """One row per finished epoch (the last where a resumed run repeated one); empty before the first."""
        import pandas as pd

        if not self.has("metrics.jsonl"):
            return pd.DataFrame({"epoch": pd.Series(dtype=int)})
        rows = []
        for line in (self.path / "metrics.jsonl").read_text(errors="replace").splitlines():
            try:
                rows.append(json.loads(line))
            except json.JSONDecodeError:  # the line being written when the process was killed
                continue
        with self._readable("metrics.jsonl"):
            frame = pd.DataFrame(rows)
            return (
                frame.drop_duplicates("epoch", keep="last").sort_values("epoch").reset_index(drop=True)
                if len(frame)
                else frame
            )

    def write_effects(self, effects: AnnData) -> None:
        from gpovae_core.data.write import write_cells

        write_cells(effects, self.path / "effects.h5ad")

    def effects(self) -> AnnData:
        """Effects, log2 fold change of counts per 10,000 (plus 1): obs = perturbations, var = measured genes,
        layers as in keys. All of it, in memory; see `stored_effects`.
        """
        import anndata

        path = self._effects_file()
        with self._readable(path.name):
            return anndata.read_h5ad(path)

    def stored_effects(self) -> StoredEffects:
        """The same, left on disk."""
        return StoredEffects.open(self._effects_file())

    def _effects_file(self) -> Path:
        if not self.has("effects.h5ad"):
            if self.without_cells:
                raise RunError(self.without_cells)
            raise RunError(f"Run '{self.name}' has no effects yet. Run `gpovae evaluate {self.path}` first.")
        return self.path / "effects.h5ad"

    def write_evaluation(self, report: dict[str, Any]) -> None:
        write_text(self.path / "evaluation.json", json.dumps(report, indent=2, allow_nan=False))

    def evaluation(self) -> dict[str, Any]:
        return self._json("evaluation.json")

    def write_unseen(self, report: dict[str, Any]) -> None:
        """See evaluation.unseen."""
        write_text(self.path / "unseen.json", json.dumps(report, indent=2, allow_nan=False))

    def unseen(self) -> dict[str, Any]:
        """What write_unseen stored; empty where it was not measured."""
        return self._json("unseen.json") if self.has("unseen.json") else {}

    def write_null(self, found: dict[str, Any]) -> None:
        """What `gpovae null` found on the cells of this run."""
        write_text(self.path / "null.json", json.dumps(found, indent=2, allow_nan=False))

    def null(self) -> dict[str, Any]:
        """What write_null stored; empty where the null was never asked for."""
        return self._json("null.json") if self.has("null.json") else {}


def tail(path: Path, lines: int, most: int = 64 * 2**10) -> list[str]:
    """The last lines of a text file, reading no more than its last `most` bytes; empty where there is
    none.
    """
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - most))
            return file.read().decode(errors="replace").splitlines()[-lines:]
    except OSError:
        return []


def check_new(path: Path) -> None:
    """Raises RunError where a new run cannot be made at `path`, because something is there."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RunError(
            f"'{path}' already exists and is not empty. Choose another name, or continue that run with "
            "--resume."
        )


def is_run(path: Path) -> bool:
    """Whether a folder holds a run, readable or not."""
    return (path / CONFIG).is_file()


def runs_folder() -> Path:
    """Folder with the runs: the environment variable GPOVAE_RUNS_DIR, or `runs` in the working directory."""
    return Path(os.environ.get("GPOVAE_RUNS_DIR") or "runs")


def find_runs(folder: Path) -> list[RunFolder]:
    """Runs directly below `folder`, newest first; folders that are not runs are passed over."""
    if not Path(folder).is_dir():
        return []
    found = [RunFolder(child) for child in Path(folder).iterdir() if is_run(child)]
    return sorted(found, key=lambda run: run.path.stat().st_mtime, reverse=True)
