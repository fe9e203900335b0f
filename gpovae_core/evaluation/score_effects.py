"""Every prediction of effects against what was observed, each score beside its ceiling."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse

from gpovae_core import keys
from gpovae_core.config import EvaluationSettings
from gpovae_core.data.cores import at_once
from gpovae_core.data.labelled import cells_of
from gpovae_core.data.progress import Progress, stretch, tell
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.averages import EffectTable, average_effects
from gpovae_core.effects.changes import adjusted, gene_tests
from gpovae_core.effects.design import Design
from gpovae_core.evaluation.baselines import (
    Reliability,
    attainable_scores,
    baseline_predictions,
    linear_model,
    noise_draws,
    perturbation_mean,
    reliability,
    target_mask,
)
from gpovae_core.evaluation.calibrated import calibrated
from gpovae_core.evaluation.listing import listed
from gpovae_core.evaluation.response import Measurement, ResponseScores, response_scores
from gpovae_core.evaluation.scores import (
    Calibration,
    EffectScores,
    LinearChoice,
    PerturbationScores,
    Response,
)

REFERENCES: dict[str, tuple[str, ...]] = {"test": keys.HELD_OUT, "all": keys.SPLITS}
SCORES = (
    "ate_rho",
    "r2",
    "median_rho",
    "ate_rho_top20",
    "r2_top20",
    "jaccard_top20",
    "jaccard_top50",
    "centroid_rho",
    "discrimination",
    "weighted_r2",
    "de_overlap",
    "ate_rho_without_own",
    "r2_without_own",
    "median_rho_without_own",
)
"""Fields that `response.ResponseScores` and `scores.EffectScores` share."""
NOISE_DRAWS = 5
"""Simulated references behind the ceilings that have no formula."""


@dataclass(frozen=True)
class Predictions:
    """What is predicted of every perturbation, by key of `evaluation.predictions`: tables (perturbations x
    genes) with the same names; training: the effects in the training cells; alone: perturbations whose
    training cells have no controls beside them, in their batches.
    """

    tables: dict[str, pd.DataFrame]
    training: pd.DataFrame
    calibration: Calibration
    linear: LinearChoice
    alone: tuple[str, ...] = ()

    @property
    def model(self) -> pd.DataFrame:
        return self.tables["model"]

    def notes(self) -> list[str]:
        """In words, what is predicted of fewer perturbations than there are."""
        missing = {
            name: table.index[~np.isfinite(table.to_numpy()).all(axis=1)]
            for name, table in self.tables.items()
        }
        model, mean = missing["model"], missing["train_mean"]
        told = (
            ("The model gives no prediction for", model, model),
            ("No training cells, so no train_mean, for", mean[~mean.isin(self.alone)], mean),
            (
                "No control cells beside the training cells, in their batches, donors or conditions, so no "
                "measured effects and no train_mean, for",
                mean[mean.isin(self.alone)],
                mean,
            ),
        )
        return [
            f"{start} {listed(names)}: scored on the other {len(self.training) - len(incomplete)} "
            "perturbations."
            for start, names, incomplete in told
            if len(names)
        ]


def predictions(
    prepared: PreparedCells,
    predicted: pd.DataFrame,
    expression: sparse.csr_matrix,
    seed: int,
    progress: Progress | None = None,
) -> Predictions:
    """The model's prediction beside those that need none. Perturbations held out as a whole are left out.

    expression: `log_expression` of all cells. Raises ValueError where `predicted` lacks a measured gene.
    """
    names = prepared.without_unseen().perturbations
    training = average_effects(prepared, (keys.TRAIN,), names, progress=stretch(progress, 0.0, 0.4))
    validation = average_effects(prepared, (keys.VALIDATION,), names, progress=stretch(progress, 0.4, 0.6))
    tell(progress, "baselines", 0.6)
    model = _aligned(predicted, training.mean)
    both = calibrated(model, training, validation)
    linear = linear_model(
        prepared, expression, training.mean, validation.mean, seed, stretch(progress, 0.6, 1.0)
    )
    return Predictions(
        tables={
            "model": model,
            "calibrated": both.prediction,
            **baseline_predictions(training.mean),
            "linear": linear.prediction,
        },
        training=training.mean,
        calibration=Calibration(both.model_error),
        linear=LinearChoice(linear.components, linear.ridge),
        alone=_alone(prepared, training),
    )


def _alone(prepared: PreparedCells, training: EffectTable) -> tuple[str, ...]:
    """Perturbations with training cells and no effect in them: no controls stand beside these."""
    unknown = [str(name) for name, cells in training.cells.items() if not cells]
    cells = cells_of(prepared.labels, unknown, prepared.where(splits=(keys.TRAIN,)))
    return tuple(name for name, own in zip(unknown, cells, strict=True) if len(own))


def score_effects(
    prepared: PreparedCells,
    expression: sparse.csr_matrix,
    predicted: Predictions,
    settings: EvaluationSettings,
    progress: Progress | None = None,
) -> Response:
    """Every prediction against held-out cells and against all; expression: `log_expression` of all cells of
    `prepared`.
    """
    share = 1 / (2 * len(REFERENCES))
    noise = {
        name: reliability(
            prepared,
            splits,
            settings.split_halves,
            settings.seed,
            expression,
            stretch(progress, 0.8 * place * share, 0.8 * (place + 1) * share),
        )
        for place, (name, splits) in enumerate(REFERENCES.items())
    }
    tables = {
        name: average_effects(prepared, splits, progress=stretch(progress, start, start + 0.05))
        for start, (name, splits) in zip((0.4, 0.45), REFERENCES.items(), strict=True)
    }
    best_known = tables["all"].mean.to_numpy(), noise["all"].per_perturbation.to_numpy()
    found = {}
    for place, (name, splits) in enumerate(REFERENCES.items()):
        part = stretch(progress, 0.5 + place * share, 0.5 + (place + 1) * share)
        tell(part, "tests of all genes", 0.0)
        testing = stretch(part, 0.0, 0.5, "tests of all genes: {}")
        tests = gene_tests(prepared, splits, progress=testing).to_numpy()
        measurement = _measurement(tables[name], predicted.training, tests, settings.significance)
        draws = _draws(prepared, expression, splits, settings.seed, stretch(part, 0.5, 0.8))
        rest = stretch(part, 0.8, 1.0)
        found[name] = _against(
            tables[name], predicted.tables, noise[name], measurement, best_known, draws, rest
        )
    return Response(**found)


def _aligned(predicted: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """The prediction in the rows and columns of `like`, by name; rows it lacks are NaN."""
    missing = like.columns.difference(predicted.columns)
    if len(missing):
        raise ValueError(
            f"the prediction lacks {len(missing)} measured genes, e.g. {', '.join(map(str, missing[:5]))}"
        )
    return predicted.reindex(index=like.index, columns=like.columns)


def _measurement(
    reference: EffectTable, training: pd.DataFrame, p: np.ndarray, significance: float
) -> Measurement:
    """p: (perturbations, genes) of `gene_tests` in the cells of the reference."""
    names, genes = [str(name) for name in reference.mean.index], reference.mean.columns
    return Measurement(
        standard_error=reference.standard_error.to_numpy(),
        differential=np.nan_to_num(adjusted(p), nan=1.0) < significance,
        targets=target_mask(names, genes),
        centroid=perturbation_mean(training).iloc[0].to_numpy()
        if len(training)
        else np.full(len(genes), np.nan),
    )


def _draws(
    prepared: PreparedCells,
    expression: sparse.csr_matrix,
    splits: tuple[str, ...],
    seed: int,
    progress: Progress | None,
) -> np.ndarray:
    labels = np.where(prepared.where(splits=splits), prepared.labels, "")
    return noise_draws(
        expression, labels, prepared.perturbations, NOISE_DRAWS, seed, Design.of(prepared).stratum, progress
    )


def _against(
    reference: EffectTable,
    predictions: dict[str, pd.DataFrame],
    noise: Reliability,
    measurement: Measurement,
    best_known: tuple[np.ndarray, np.ndarray],
    draws: np.ndarray,
    progress: Progress | None,
) -> EffectScores:
    """Every score of every prediction against one reference, with its ceiling.

    best_known: (p, G) effects over all cells and (p,) how far they are signal, see `attainable_scores`;
    draws: of the reference's noise.
    """
    observed = reference.mean.to_numpy()

    steps, done = len(predictions) + len(draws), 0

    def step() -> None:
        nonlocal done
        done += 1
        tell(progress, "scores and their ceilings", done / steps)

    def scored(table: pd.DataFrame) -> ResponseScores:
        return response_scores(observed, table.loc[reference.mean.index].to_numpy(), measurement)

    scores = {}
    for name, found in zip(predictions, at_once(scored, predictions.values()), strict=True):
        scores[name] = found
        step()
    present = np.asarray(np.isfinite(observed).all(axis=1))

    def one(truth: np.ndarray, guess: np.ndarray) -> dict[str, float]:
        found = response_scores(truth, guess, measurement)
        return {key: getattr(found, key) for key in SCORES}

    limits = attainable_scores(*best_known, draws, one, step) | {
        "ate_rho": noise.ceiling,
        "median_rho": noise.median_ceiling,
        "ate_rho_without_own": noise.ceiling_without_own,
        "median_rho_without_own": noise.median_ceiling_without_own,
    }
    by_prediction = {
        key: {
            **{name: getattr(found, key) for name, found in scores.items()},
            "ceiling": limits.get(key, np.nan),
        }
        for key in SCORES
    }
    return EffectScores(
        **by_prediction,
        compared={name: found.rows for name, found in scores.items()},
        split_half=noise.split_half,
        perturbations=int(present.sum()),
        cells=int(reference.cells[present].sum()),
        control_cells=int(reference.control_cells),
        per_perturbation=_per_perturbation(reference, present, scores, noise),
    )


def _per_perturbation(
    reference: EffectTable, present: np.ndarray, scores: dict[str, ResponseScores], noise: Reliability
) -> tuple[PerturbationScores, ...]:
    return tuple(
        PerturbationScores(
            perturbation=str(reference.mean.index[row]),
            cells=int(reference.cells.iloc[row]),
            rho={name: scores[name].rho[row] for name in ("model", "train_mean")},
            ceiling=noise.per_perturbation.loc[reference.mean.index[row]],
        )
        for row in np.flatnonzero(present)
    )
