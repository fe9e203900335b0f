"""The whole way of a run, from a file to scores, as the command line and background jobs take it."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpovae_core import keys
from gpovae_core.config import Settings
from gpovae_core.data import cache
from gpovae_core.data.atomic import replacing
from gpovae_core.data.progress import Progress, stretch, tell
from gpovae_core.data.sizes import size_of_cells
from gpovae_core.errors import DataError, QueryError, RunError, SettingsError
from gpovae_core.runs import jobs, needs
from gpovae_core.runs.clusters.submit import check_free
from gpovae_core.runs.folder import DataSource, RunFolder, is_run
from gpovae_core.runs.waiting import wait_for_first
from gpovae_core.training import ranks

if TYPE_CHECKING:
    import pandas as pd

    from gpovae_core.data.schema import PreparedCells
    from gpovae_core.evaluation.known import KnownEdges
    from gpovae_core.evaluation.scores import AlignmentNull, Evaluation, Health, Unseen, UnseenProtocol
    from gpovae_core.methods.fitted import NetworkFit
    from gpovae_core.model.module import GpoVae
    from gpovae_core.questions.predicted import EffectPredictor, PredictedEffects
    from gpovae_core.training.probe import Probe

CHANGEABLE_ON_RESUME = ("epochs", "patience", "min_improvement", "device", "devices", "nodes", "strategy")


def start_run(
    source: Path,
    path: Path,
    settings: Settings,
    progress: Progress | None = None,
    warn: Callable[[str], None] | None = None,
) -> RunFolder:
    """Make a new run at `path` from the cells in `source`, train it and score it. Raises GpoVaeError with
    what is wrong. warn: told what the preparation warns of, before the training begins.

    Cells that cannot be used, or are reckoned not to fit, leave no run behind: the mended file can go to the
    same place. Of several processes that train together the first does all this, and the others join its
    training.
    """
    source = Path(source)
    ranks.check_launch(settings.training)
    if not ranks.is_first(settings.training):
        return _join(path)
    if not source.exists():
        raise RunError(f"There is no file '{source}'.")
    needs.check_training(source, Path(path).parent, settings)
    run = RunFolder.create(path, settings, DataSource(path=str(source.resolve())))
    try:
        return _carry_on(run, settings, progress, warn=warn)
    except DataError:
        shutil.rmtree(run.path)
        raise


def _join(path: Path) -> RunFolder:
    """What every process but the first one does: train with it."""
    from gpovae_core.training.fit import fit

    run = wait_for_first(path)
    fit(run, run.cells(), run.settings(), resume=True, spread=True)
    return run


def resume_run(
    path: Path, changes: dict[str, Any] | None = None, progress: Progress | None = None
) -> RunFolder:
    """Continue a run after its last finished epoch, with its own settings and cells.

    changes: training settings that may differ (CHANGEABLE_ON_RESUME); others raise SettingsError. A run that
    was stopped or killed while its data was prepared prepares it again, from the same file.
    """
    run = RunFolder.open(path)
    if run.source().imported:
        raise RunError(
            f"Run '{run.name}' was imported ({run.source().imported}): it has no cells to train on."
        )
    changes = changes or {}
    check_changes(changes)
    check_free(run)
    settings = run.settings()
    if changes:
        training = type(settings.training).model_validate({**settings.training.model_dump(), **changes})
        settings = settings.model_copy(update={"training": training})
    ranks.check_launch(settings.training)
    if not ranks.is_first(settings.training):
        return _join(path)
    if changes:
        run.write_settings(settings)
    return _carry_on(run, settings, progress, changed=bool(changes))


def check_changes(changes: dict[str, Any]) -> None:
    """Raises SettingsError for training settings that a resumed run keeps."""
    fixed = sorted(set(changes) - set(CHANGEABLE_ON_RESUME))
    if fixed:
        raise SettingsError(
            f"A resumed run keeps its settings; {', '.join(fixed)} cannot change (only "
            f"{', '.join(CHANGEABLE_ON_RESUME)} can). Start a new run for other settings."
        )


def resume_in_turn(
    path: Path, changes: dict[str, Any] | None = None, progress: Progress | None = None
) -> RunFolder:
    """`resume_run` as a background job does it: after the other runs in the same folder, and giving way to
    other programs.
    """
    run = RunFolder.open(path)
    if not ranks.is_first(run.settings().training):
        return _join(path)
    with run.working(), jobs.stoppable(), ExitStack() as place:
        try:
            with jobs.beating(run):
                place.enter_context(jobs.turn(run))
            run.write_status(state="preparing", stage="starting")
            if hasattr(os, "nice"):
                os.nice(5)
            return resume_run(path, changes, progress)
        except jobs.StopRequest:
            _note_stop(run)
            return run


def estimate(source: Path, settings: Settings, progress: Progress | None = None) -> Probe:
    """Prepare the cells (kept for the training), time a few steps, and say how long an epoch takes here and
    how much memory it needs.
    """
    from gpovae_core.data.prepare import prepare
    from gpovae_core.data.schema import PreparedCells
    from gpovae_core.training.probe import measure

    source = Path(source)
    if not source.exists():
        raise RunError(f"There is no file '{source}'.")
    kept = cache.prepared_path(cache.fingerprint(source), settings.data)
    try:
        prepared = PreparedCells.read(kept)
    except (OSError, KeyError, ValueError):  # not there, or damaged
        kept.unlink(missing_ok=True)
        needs.check_work(source, settings, f"Preparing '{source.name}'")
        prepared = prepare(source, settings.data, progress=stretch(progress, words="preparing: {}"))
        cache.keep_cells(prepared.write, kept)
    tell(progress, "measuring", 0.0)
    return measure(prepared, settings)


TRUE_EDGES = "true_edges.csv"
"""In the folder of a run on simulated cells: the network they were drawn from."""


def score_run(
    run: RunFolder,
    threshold: float | None = None,
    progress: Progress | None = None,
    references: Sequence[Path] | None = None,
    truth: Path | None = None,
    prepared: PreparedCells | None = None,
) -> Evaluation:
    """Predict all effects, score the run on held-out cells and on all, and store both; returns the scores.

    references: tables of known edges to score the network against; those in `networks_folder` where None.
    truth: the true edges of simulated cells, kept with the run; where None those the run has, or those beside
    its file of cells. prepared: the cells of the run, where they are at hand. Raises QueryError for a table
    that was named and cannot be read; one that lies in the folder is noted.
    """
    from gpovae_core.evaluation.effects_table import effects_table
    from gpovae_core.evaluation.evaluate import evaluate
    from gpovae_core.evaluation.known import Known
    from gpovae_core.evaluation.scored import Scored
    from gpovae_core.evaluation.scores import Unseen
    from gpovae_core.evaluation.stored import write_evaluation
    from gpovae_core.methods.fitted import NetworkFit
    from gpovae_core.questions.predicted import EffectPredictor
    from gpovae_core.runs.model import asking_device, load_model

    settings = run.settings()
    known, faults = _known_edges(references, run.panel().genes if run.has("panel.json") else ())
    true = _true_edges(run, truth)
    tell(progress, "predicting effects", 0.0)
    prepared = run.cells() if prepared is None else prepared
    model = load_model(run).to(asking_device(settings.training))
    tell(progress, "predicting effects: expected counts of every gene", 0.0)
    predictor = EffectPredictor(model, prepared, settings.inference)
    predicted = predictor.effects(prepared.perturbations, progress)
    arrays = run.network_arrays()
    stage = NetworkFit.from_arrays(arrays) if arrays else None
    unseen, rests_on = (
        _answer_unseen(prepared, settings, stage, predictor, predicted) if prepared.unseen else (Unseen(), {})
    )
    run.write_effects(
        effects_table(
            prepared,
            predicted.mean,
            predicted.deviation,
            rests_on,
            predicted.fold,
            predicted.fold_deviation,
            stretch(progress, words="observed effects: {}"),
        )
    )
    scored = Scored(
        prepared=prepared,
        predicted=predicted.mean,
        weights=None if run.without_network else run.edge_probabilities(),
        threshold=settings.evaluation.threshold if threshold is None else threshold,
        hops=settings.loss.shown_hops,
        fit=stage,
    )
    scores = evaluate(
        scored,
        settings.evaluation,
        Known(known, true),
        stretch(progress, words="scoring: {}"),
    )
    rest = stretch(progress, 0.9, 1.0, "scoring: {}")
    aligned = stage is None and scored.weights is not None
    scores = _with_what_is_told(scores, run, prepared, predicted, model.cpu(), aligned, rest)
    scores = replace(scores, notes=(*(scores.notes or ()), *faults), unseen=unseen)
    write_evaluation(run, scores)
    tell(progress, "scoring", 1.0)
    return scores


def _with_what_is_told(
    scores: Evaluation,
    run: RunFolder,
    prepared: PreparedCells,
    predicted: PredictedEffects,
    model: GpoVae,
    aligned: bool,
    progress: Progress | None,
) -> Evaluation:
    """The scores with all that is told beside them: intervals, states, responders, health, seeds. aligned:
    whether W was trained by the alignment, so that its null says something.
    """
    from gpovae_core.evaluation import told
    from gpovae_core.evaluation.intervals import measure_intervals
    from gpovae_core.evaluation.plain import defined
    from gpovae_core.evaluation.scores import Seeds

    settings = run.settings()
    intervals = measure_intervals(prepared, predicted.mean, predicted.deviation, stretch(progress, 0.0, 0.3))
    states = told.states_of(prepared, settings.evaluation.seed, stretch(progress, 0.3, 0.6))
    responding = told.responders_of(prepared, settings.evaluation.seed, stretch(progress, 0.6, 0.9))
    tell(progress, "has the training worked", 0.9)
    health, null = _health(run, model, prepared, settings, with_null=aligned)
    return replace(
        scores,
        notes=(*(scores.notes or ()), *told.notes(states, responding)),
        intervals=defined(intervals),
        responders=defined(responding),
        states=defined(states),
        health=health,
        alignment_null=null,
        monte_carlo_error=predicted.monte_carlo_error,
        seeds=Seeds(
            *(getattr(settings, name).seed for name in ("data", "training", "inference", "evaluation"))
        ),
        simulated=prepared.report.simulated,
    )


def _health(
    run: RunFolder, model: GpoVae, prepared: PreparedCells, settings: Settings, with_null: bool
) -> tuple[Health, AlignmentNull | None]:
    """Has the training worked? with_null: W was aligned with the effects, so what relabelled controls would
    have given is measured too, and warned of.
    """
    from gpovae_core.effects.nulls import alignment_null, null_warning
    from gpovae_core.evaluation.plain import from_plain
    from gpovae_core.evaluation.scores import AlignmentNull, Health
    from gpovae_core.training.health import health

    found = from_plain(Health, health(model, prepared, run.metrics(), settings))
    if not with_null:
        return found, None
    null = alignment_null(prepared, settings)
    warning = null_warning(null)
    warnings = (*(found.warnings or ()), *([warning] if warning else []))
    return replace(found, warnings=warnings), from_plain(AlignmentNull, null)


def _answer_unseen(
    prepared: PreparedCells,
    settings: Settings,
    stage: NetworkFit | None,
    predictor: EffectPredictor,
    predicted: PredictedEffects,
) -> tuple[Unseen, dict[str, str]]:
    """Put in the place of what untrained mask rows predict what What-if answers, so that every screen shows
    the same.

    Returns the scores of both, or why there is no answer, and what each perturbation rests on.
    """
    from gpovae_core.evaluation.scores import Unseen
    from gpovae_core.evaluation.unseen import beside_baselines, scores
    from gpovae_core.questions.whatif import Respondent

    names = list(prepared.unseen)
    own = predicted.mean.loc[names].copy()
    respondent = Respondent(prepared, settings, stage, lambda: predictor)
    for part in (predicted.mean, predicted.deviation, predicted.fold, predicted.fold_deviation):
        part.loc[names] = np.nan
    rests_on = {name: respondent.reach.basis(keys.genes_of(name)) for name in names}
    try:
        for answer in respondent.ask_all(prepared.unseen):
            table = answer.table.set_index("gene").loc[list(predicted.mean.columns)]
            name = answer.question.perturbation
            for into, column in (
                (predicted.mean, "log_difference"),
                (predicted.deviation, "log_difference_sd"),
                (predicted.fold, "effect"),
                (predicted.fold_deviation, "sd"),
            ):
                into.loc[name] = table[column].astype(np.float32)
        found = scores(
            beside_baselines(
                prepared, settings, respondent.network_alone.screen, predicted.mean.loc[names], own
            )
        )
    except QueryError as error:
        return Unseen(reason=str(error)), dict(rests_on)
    return found, dict(rests_on)


def _known_edges(files: Sequence[Path] | None, genes: Sequence[str]) -> tuple[list[KnownEdges], list[str]]:
    """Reference networks, and in words what could not be read of the folder, what was passed over in reading,
    and which of them know no edge between `genes`.
    """
    from gpovae_core.evaluation.known import KnownEdges
    from gpovae_core.network.references import networks_folder, read_reference_files, read_references

    if files is None:
        found, faults = read_references(networks_folder())
    else:
        found, faults = read_reference_files(files), []
    faults += [f"{one.name}: {remark}" for one in found for remark in one.remarks]
    faults += [words for one in found if (words := one.without_overlap(genes))]
    return [KnownEdges(one.name, one.directed, frozenset(one.known)) for one in found], faults


def _true_edges(run: RunFolder, given: Path | None) -> pd.DataFrame | None:
    """The true network of simulated cells (source, target, weight), put into the run's folder; None where it
    is not known.
    """
    from gpovae_core import keys
    from gpovae_core.evaluation.edges import read_edge_table

    own, source = run.path / TRUE_EDGES, run.source()
    beside = Path(source.path).with_suffix(".edges.csv")
    found = given or (own if own.is_file() else beside if source.simulated and beside.is_file() else None)
    if found is None:
        return None
    table = read_edge_table(found)
    if keys.WEIGHT not in table:
        raise QueryError(
            f"'{found}' has no column weight: the true network needs the signed strength of every edge, as "
            "gpovae simulate writes it."
        )
    if found != own:
        with replacing(own) as aside:
            shutil.copyfile(found, aside)
    return table


def null_network(
    source: Path, settings: Settings, progress: Progress | None = None, folder: Path | None = None
) -> dict[str, Any]:
    """The whole way from relabelled controls to W: how many edges appear where there can be none?

    source: cells, or the folder of a run, whose prepared cells are taken. folder: where the run of the null
    is kept; nowhere if None. Returns {"preset", "seed", "threshold", "pairs", "edges", "share", "thresholds":
    [...]}; a pair is a perturbed source and a measured target. Of a run also "run_edges", its own edges above
    each threshold, and "estimated_false_edge_rate", null edges over them, None where batches cannot be told
    from effects.
    """
    from gpovae_core.data.prepare import prepare
    from gpovae_core.effects.nulls import null_screen

    if settings.model.network == "none":
        raise SettingsError(
            f"The preset {settings.preset} has no network: relabelled controls can show no edges there. Ask "
            "the presets evidence, released or paper."
        )
    source = Path(source)
    needs.check_work(source, settings, f"The null of '{source.name}'")
    own = None
    if is_run(source):
        run = RunFolder.open(source)
        prepared = run.cells()
        own = run.edge_probabilities() if settings.preset == run.settings().preset else None
    else:
        prepared = prepare(source, settings.data, progress=stretch(progress, words="preparing: {}"))
    screen = null_screen(prepared, settings)
    weights = _null_weights(screen, settings, progress, folder)
    counted = _testable(screen)
    real = None if own is None or own.shape != counted.shape else own[counted]
    cut = settings.evaluation.threshold
    rows = [_null_row(weights[counted], real, at) for at in (cut, *NULL_THRESHOLDS)]
    if prepared.report.unseparated and real is not None:
        rows = [{**row, "estimated_false_edge_rate": None} for row in rows]
    return {"preset": settings.preset, "seed": settings.data.seed, **rows[0], "thresholds": rows[1:]}


def measure_unseen(
    source: Path,
    settings: Settings,
    at_once: int = 3,
    draws: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
) -> UnseenProtocol:
    """Hold out whole perturbations, predict them by the network alone, and score that beside the baselines
    (evaluation.unseen).

    source: cells, or the folder of a run, whose prepared cells are taken and which keeps the answer.
    """
    from gpovae_core.data.prepare import prepare
    from gpovae_core.evaluation.scores import UnseenProtocol
    from gpovae_core.evaluation.stored import write_unseen
    from gpovae_core.evaluation.unseen import predict_held_out, scores, weights_of
    from gpovae_core.questions.network_alone import Screen, fit_weights

    source = Path(source)
    run = RunFolder.open(source) if is_run(source) else None
    if run is None and not source.exists():
        raise RunError(f"There is no file '{source}'.")
    needs.check_work(source, settings, f"Holding out perturbations of '{source.name}'")
    if run is not None:
        prepared = run.cells()
    else:
        prepared = prepare(source, settings.data, progress=stretch(progress, words="preparing: {}"))
    predicted = predict_held_out(prepared, settings, at_once, draws, seed, progress)
    tell(progress, "weighing the parts", 0.0)
    weights = fit_weights(Screen.of(prepared, settings), seed)
    found = scores(predicted)
    answer = UnseenProtocol(
        preset=settings.preset,
        at_once=at_once,
        draws=draws,
        seed=seed,
        held_out=tuple(
            tuple(name for name, d in zip(predicted.names, predicted.draw, strict=True) if d == draw)
            for draw in range(draws)
        ),
        pooled=found.pooled,
        with_known_path=found.with_known_path,
        per_perturbation=found.per_perturbation,
        screen=weights_of(weights),
        simulated=prepared.report.simulated,
    )
    if run is not None:
        write_unseen(run, answer)
    return answer


NULL_THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))


def _null_row(weights: np.ndarray, real: np.ndarray | None, threshold: float) -> dict[str, Any]:
    """weights: W of the null; real: W of the run on the same pairs, None where there is no run."""
    edges = int((weights > threshold).sum())
    row = {
        "threshold": threshold,
        "pairs": len(weights),
        "edges": edges,
        "share": edges / len(weights) if len(weights) else None,
    }
    if real is None:
        return row
    found = int((real > threshold).sum())
    return row | {"run_edges": found, "estimated_false_edge_rate": min(1.0, edges / found) if found else None}


def _testable(screen: PreparedCells) -> np.ndarray:
    """(n, n) bool: perturbed source with cells, measured target, two different genes."""
    panel = screen.panel
    present = np.isin(np.array(panel.genes, dtype=object), np.array(screen.perturbations, dtype=object))
    return present[:, None] & panel.is_measured[None, :] & ~np.eye(len(panel), dtype=bool)


def _null_weights(
    screen: PreparedCells, settings: Settings, progress: Progress | None, folder: Path | None
) -> np.ndarray:
    """W of the screen. The network stage decides it alone where there is one; else the model is trained."""
    from scipy.special import expit

    if settings.model.network == "evidence" and folder is None:
        from gpovae_core.methods.network_fit import fit_network

        tell(progress, "fitting the network", 0.0)
        doing = stretch(progress, words="fitting the network: {}")
        return expit(fit_network(screen, settings, doing).log_odds)
    from gpovae_core.training.fit import fit

    with tempfile.TemporaryDirectory() as aside:
        run = RunFolder.create(
            folder or Path(aside) / "null", settings, DataSource(path="relabelled controls")
        )
        run.write_cells(screen)
        fit(
            run,
            screen,
            settings,
            progress=stretch(progress, words="training: {}"),
        )
        return run.edge_probabilities()


def _carry_on(
    run: RunFolder,
    settings: Settings,
    progress: Progress | None,
    changed: bool = False,
    warn: Callable[[str], None] | None = None,
) -> RunFolder:
    """Prepare where that is not done, train from the last finished epoch, score. A failure is written into
    the run before it is raised.

    changed: the training settings are not those the run had before, so that a training that had ended may go
    on.
    """
    with run.working():
        run.sweep()
        told = jobs.recorded(run, progress)
        try:
            with jobs.stoppable(), jobs.beating(run), jobs.reserve(run):
                run.write_status(pid=os.getpid())
                _work(run, settings, told, changed, warn)
        except (
            KeyboardInterrupt,
            jobs.StopRequest,
            SystemExit,
        ):  # Lightning turns an interrupt that reaches it into an exit
            _note_stop(run)
        except Exception as error:
            jobs.fail(run, error)
    return run


def _work(
    run: RunFolder,
    settings: Settings,
    progress: Progress,
    changed: bool,
    warn: Callable[[str], None] | None,
) -> None:
    from gpovae_core.training.fit import fit

    prepared = (
        run.cells() if run.has("cells.h5ad") and run.has("panel.json") else _prepare(run, settings, progress)
    )
    if warn is not None:
        for text in prepared.report.warnings:
            warn(text)
    need = needs.to_train(size_of_cells(prepared), settings, prepared=True)
    needs.check(need, run.path.parent, f"Run '{run.name}'", own=True)
    if changed or not run.status().trained:
        run.write_status(state="training", stage="training", share=None)
        epochs = stretch(progress, words="training: {}")
        fit(run, prepared, settings, resume=True, progress=epochs, spread=True)
        if run.status().state == "stopped":
            return
        gc.collect()  # what was trained with goes in circles, and holds the cells' expression
    run.write_status(state="evaluating", trained=True)
    score_run(run, progress=progress, prepared=prepared)
    run.write_status(state="done")
    run.log("done")


def _note_stop(run: RunFolder) -> None:
    """Say that the run was stopped, and before what."""
    status = run.status()
    done = f"after epoch {status.epoch}" if status.epoch else "before the first epoch had finished"
    what = "while it was scored; the training is complete" if status.trained else done
    message = f"stopped on request {what}"
    run.sweep()
    run.write_status(state="stopped", message=message)
    run.log(message)


def _prepare(run: RunFolder, settings: Settings, progress: Progress | None) -> PreparedCells:
    from gpovae_core.data.prepare import prepare

    run.write_status(state="preparing", pid=os.getpid())
    source = run.source()
    tell(progress, "preparing: reading the file", 0.0)
    found = cache.fingerprint(Path(source.path))
    if source.sha256 not in ("", found):
        raise RunError(
            f"'{source.path}' is no longer the file this run was started with. Start a new run for it."
        )
    source = source.model_copy(update={"sha256": found})
    run.write_source(source)
    kept = cache.prepared_path(found, settings.data)
    prepared = None
    if cache.take(kept, run.path / "cells.h5ad"):
        prepared = _kept_cells(run, kept)
    if prepared is None:
        prepared = prepare(
            Path(source.path),
            settings.data,
            stretch(progress, words="preparing: {}"),
            scratch=run.path / ".counts.h5ad.part",  # swept up where the process dies
        )
        tell(progress, "preparing: writing the cells", 0.99)
        run.write_cells(prepared)
        tell(progress, "preparing: keeping the cells for the next run", 0.99)
        cache.keep(run.path / "cells.h5ad", kept)
    run.write_source(source.model_copy(update={"simulated": prepared.report.simulated}))
    run.log(
        f"prepared {prepared.report.cells_kept} cells, {len(prepared.perturbations)} perturbations, "
        f"{len(prepared.panel)} panel genes"
    )
    return prepared


def _kept_cells(run: RunFolder, kept: Path) -> PreparedCells | None:
    """Cells that had been prepared before, with the panel written; None where what was kept is damaged."""
    try:
        prepared = run.cells()
    except RunError:
        kept.unlink(missing_ok=True)
        return None
    run.write_panel(prepared)
    return prepared
