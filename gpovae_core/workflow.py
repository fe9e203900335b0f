"""The whole way of a run, from a file to scores, as the command line and background jobs take it."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpovae_core.config import Settings
from gpovae_core.errors import DataError, GpoVaeError, RunError, SettingsError
from gpovae_core.training.runs import DataSource, RunFolder

if TYPE_CHECKING:
    from gpovae_core.data.schema import PreparedCells

Report = Callable[[str, float], None]
"""Called with the name of the stage ("preparing", "training", "evaluating" and what goes on in it) and its finished share, 0 to 1."""

CHANGEABLE_ON_RESUME = ("epochs", "patience", "min_improvement", "device")


def start_run(source: Path, path: Path, settings: Settings, report: Report | None = None) -> RunFolder:
    """Make a new run at `path` from the cells in `source`, train it and score it. Raises GpoVaeError with what is wrong.

    Cells that cannot be used leave no run behind: the mended file can go to the same place.
    """
    source = Path(source)
    if not source.exists():
        raise RunError(f"There is no file '{source}'.")
    run = RunFolder.create(path, settings, DataSource(path=str(source.resolve()), sha256=fingerprint(source)))
    try:
        return _carry_on(run, settings, report)
    except DataError:
        shutil.rmtree(run.path)
        raise


def resume_run(path: Path, changes: dict[str, Any] | None = None, report: Report | None = None) -> RunFolder:
    """Continue a run after its last finished epoch, with its own settings and cells.

    changes: training settings that may differ (CHANGEABLE_ON_RESUME); others raise SettingsError. A run that was stopped or
    killed while its data was prepared prepares it again, from the same file.
    """
    run = RunFolder.open(path)
    changes = changes or {}
    fixed = sorted(set(changes) - set(CHANGEABLE_ON_RESUME))
    if fixed:
        raise SettingsError(
            f"A resumed run keeps its settings; {', '.join(fixed)} cannot change (only {', '.join(CHANGEABLE_ON_RESUME)} can). "
            "Start a new run for other settings."
        )
    settings = run.settings()
    if changes:
        training = type(settings.training).model_validate({**settings.training.model_dump(), **changes})
        settings = settings.model_copy(update={"training": training})
        run.write_settings(settings)
    return _carry_on(run, settings, report)


def score_run(run: RunFolder, threshold: float | None = None, report: Report | None = None) -> dict[str, Any]:
    """Predict all effects, score the run on held-out cells and on all, and store both; returns the report."""
    from gpovae_core.evaluation.null import alignment_null, null_warning
    from gpovae_core.evaluation.report import effects_table, evaluate
    from gpovae_core.inference import treatment_effects
    from gpovae_core.training.fit import load_model
    from gpovae_core.training.health import health
    from gpovae_core.training.network_fit import NetworkFit

    settings = run.settings()
    prepared = run.cells()
    model = load_model(run)
    predicted = treatment_effects(
        model, prepared, settings=settings.inference, progress=lambda share: _tell(report, "predicting effects", share)
    )
    run.write_effects(effects_table(prepared, predicted.mean, predicted.deviation))
    _tell(report, "scoring", 0.0)
    arrays = run.network_arrays()
    stage = NetworkFit.from_arrays(arrays) if arrays else None
    scores = evaluate(prepared, predicted.mean, run.edge_probabilities(), settings.evaluation, threshold, stage)
    scores["health"] = health(model, prepared, run.metrics(), settings)
    if stage is None:
        scores["alignment_null"] = alignment_null(prepared, settings)
        warning = null_warning(scores["alignment_null"])
        scores["health"]["warnings"] += [warning] if warning else []
    scores["monte_carlo_error"] = predicted.monte_carlo_error
    scores["seeds"] = {name: getattr(settings, name).seed for name in ("data", "training", "inference", "evaluation")}
    scores["simulated"] = prepared.report.simulated
    run.write_evaluation(scores)
    _tell(report, "scoring", 1.0)
    return scores


def null_network(source: Path, settings: Settings, report: Report | None = None, folder: Path | None = None) -> dict[str, Any]:
    """The whole way from relabelled controls to W: how many edges appear where there can be none?

    source: cells, or the folder of a run, whose prepared cells are taken. folder: where the run of the null is kept; nowhere if
    None. Returns {"preset", "seed", "threshold", "pairs", "edges", "share", "thresholds": [...]}; a pair is a perturbed source and
    a measured target.
    """
    from gpovae_core.data.prepare import prepare
    from gpovae_core.evaluation.null import null_screen

    source = Path(source)
    if (source / "config.json").is_file():
        prepared = RunFolder.open(source).cells()
    else:
        prepared = prepare(source, settings.data, progress=lambda stage, share: _tell(report, f"preparing: {stage}", share))
    screen = null_screen(prepared, settings)
    weights = _null_weights(screen, settings, report, folder)
    counted = _testable(screen)
    cut = settings.evaluation.threshold
    table = [_null_row(weights[counted], at) for at in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)]
    return {"preset": settings.preset, "seed": settings.data.seed, **_null_row(weights[counted], cut), "thresholds": table}


def _null_row(weights: np.ndarray, threshold: float) -> dict[str, Any]:
    edges = int((weights > threshold).sum())
    return {"threshold": threshold, "pairs": len(weights), "edges": edges, "share": edges / len(weights) if len(weights) else None}


def _testable(screen: PreparedCells) -> np.ndarray:
    """(n, n) bool: perturbed source with cells, measured target, two different genes."""
    panel = screen.panel
    present = np.isin(np.array(panel.genes, dtype=object), np.array(screen.perturbations, dtype=object))
    return present[:, None] & panel.is_measured[None, :] & ~np.eye(len(panel), dtype=bool)


def _null_weights(screen: PreparedCells, settings: Settings, report: Report | None, folder: Path | None) -> np.ndarray:
    """W of the screen. The network stage decides it alone where there is one; else the model is trained."""
    from scipy.special import expit

    if settings.model.network == "evidence" and folder is None:
        from gpovae_core.training.network_fit import fit_network

        _tell(report, "fitting the network", 0.0)
        return expit(fit_network(screen, settings).log_odds)
    from gpovae_core.training.fit import fit

    with tempfile.TemporaryDirectory() as aside:
        run = RunFolder.create(folder or Path(aside) / "null", settings, DataSource(path="relabelled controls"))
        run.write_cells(screen)
        fit(run, screen, settings, progress=lambda done, most, words: _tell(report, f"training: {words}", done / most))
        return run.edge_probabilities()


def fingerprint(path: Path) -> str:
    """SHA-256 of a file, or of all files below a folder with their names."""
    digest = hashlib.sha256()
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        if path.is_dir():
            digest.update(str(file.relative_to(path)).encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def _carry_on(run: RunFolder, settings: Settings, report: Report | None) -> RunFolder:
    """Prepare where that is not done, train from the last finished epoch, score. A failure is written into the run before it is raised."""
    from gpovae_core.training.fit import fit

    try:
        prepared = run.cells() if run.has("cells.h5ad") and run.has("panel.json") else _prepare(run, settings, report)
        fit(run, prepared, settings, resume=True, progress=lambda done, most, words: _tell(report, f"training: {words}", done / most))
        if run.status().state != "stopped":
            score_run(run, report=report)
            run.write_status(state="done", pid=None)
            run.log("done")
    except Exception as error:
        message = str(error) if isinstance(error, GpoVaeError) else f"{type(error).__name__}: {error}"
        _note_failure(run, message)
        raise
    return run


def _note_failure(run: RunFolder, message: str) -> None:
    try:
        run.write_status(state="failed", message=message, pid=None)
        run.log(f"failed: {message}")
    except (OSError, GpoVaeError):  # a full disk: the error itself is what the user has to see
        return


def _prepare(run: RunFolder, settings: Settings, report: Report | None) -> PreparedCells:
    from gpovae_core.data.prepare import prepare

    run.write_status(state="preparing", pid=os.getpid())
    source = run.source()
    prepared = prepare(Path(source.path), settings.data, progress=lambda stage, share: _tell(report, f"preparing: {stage}", share))
    run.write_cells(prepared)
    if prepared.report.simulated:
        run.write_source(source.model_copy(update={"simulated": True}))
    run.log(f"prepared {prepared.report.cells_kept} cells, {len(prepared.perturbations)} perturbations, {len(prepared.panel)} panel genes")
    return prepared


def _tell(report: Report | None, stage: str, share: float) -> None:
    if report:
        report(stage, share)
