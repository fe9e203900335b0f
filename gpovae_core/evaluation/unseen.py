"""How well does the network alone predict perturbations that it has never seen? Whole perturbations held out,
beside the baselines.

All cells of a held-out perturbation are gone from training and validation; questions.network_alone predicts
it as it does any unseen gene, and here that is compared with all its cells, against controls that did not
train. The perturbed gene's own column is left out of every score: that a knock-down lowers its own gene needs
no network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.config import Settings
from gpovae_core.data.expression import log_expression
from gpovae_core.data.progress import Progress, stretch, tell
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.averages import average_effects
from gpovae_core.effects.design import Design
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.baselines import attainable, perturbation_mean, split_half_correlations
from gpovae_core.evaluation.plain import defined
from gpovae_core.evaluation.response import median, pearson
from gpovae_core.evaluation.scores import Unseen, UnseenPart, UnseenPerturbation, Weights
from gpovae_core.questions.network_alone import PartWeights, Screen, fit_weights, predict_unseen

FEWEST_TRAINING = 4
_HALVINGS = 20

Autoencoder = Callable[[PreparedCells, tuple[str, ...]], pd.DataFrame]
"""Trains on cells with some perturbations held out, and gives what the model itself says of those
(perturbations x genes).
"""


@dataclass(frozen=True)
class Predicted:
    """Held-out perturbations (h) of one or more draws: names, draw (h,), observed (h, G) with NaN on the own
    gene, method -> (h, G), moved_by (h,) number of training perturbations that move the gene, ceiling (h,)
    correlation that the noise allows."""

    names: tuple[str, ...]
    draw: np.ndarray
    cells: np.ndarray
    observed: np.ndarray
    predictions: dict[str, np.ndarray]
    moved_by: np.ndarray
    ceiling: np.ndarray


def hold_out(prepared: PreparedCells, perturbations: tuple[str, ...]) -> PreparedCells:
    """The same cells with all cells of `perturbations` set apart as UNSEEN, as `data.unseen` would have set
    them.
    """
    unknown = [name for name in perturbations if name not in prepared.perturbations]
    if unknown:
        raise QueryError(
            f"There are no cells of {', '.join(unknown)}: only perturbations with cells can be held out."
        )
    split = np.asarray(prepared.cells.obs[keys.SPLIT], dtype=object).copy()
    hidden = set(map(keys.genes_of, perturbations))  # in both directions, where a gene has two
    labels = [name for name in prepared.perturbations if keys.genes_of(name) in hidden]
    split[np.isin(prepared.labels.astype(str), labels)] = keys.UNSEEN
    columns = {name: prepared.cells.obs[name] for name in prepared.cells.obs.columns}
    obs = pd.DataFrame(columns | {keys.SPLIT: pd.Categorical(split, categories=list(keys.SPLITS))})
    return PreparedCells.of(
        prepared.counts, obs, list(prepared.cells.var_names), prepared.panel, prepared.report
    )


def candidates(prepared: PreparedCells) -> tuple[str, ...]:
    """Perturbations of single genes with training cells: those that can be held out."""
    trained = set(prepared.labels[prepared.where(splits=(keys.TRAIN,))])
    return tuple(gene for gene in prepared.panel.data.perturbed if gene in trained)


def draw_held_out(names: tuple[str, ...], at_once: int, draws: int, seed: int) -> list[tuple[str, ...]]:
    """`draws` times `at_once` of the names; none twice before all have had their turn. Raises QueryError
    where too few would stay.
    """
    if at_once < 1 or draws < 1:
        raise QueryError(f"Hold out at least 1 perturbation in at least 1 draw; got {at_once} and {draws}.")
    if len(names) - at_once < FEWEST_TRAINING:
        raise QueryError(
            f"Holding out {at_once} of {len(names)} perturbations leaves {max(0, len(names) - at_once)} to "
            f"learn from; at least {FEWEST_TRAINING} are needed. Hold out fewer at a time."
        )
    rng = np.random.default_rng(seed)
    queue: list[str] = []
    drawn = []
    for _ in range(draws):
        chosen: list[str] = []
        while len(chosen) < at_once:
            if not queue:
                queue = [names[i] for i in rng.permutation(len(names))]
            chosen.append(next(name for name in queue if name not in chosen))
            queue.remove(chosen[-1])
        drawn.append(tuple(sorted(chosen)))
    return drawn


def predict_held_out(
    prepared: PreparedCells,
    settings: Settings,
    at_once: int = 3,
    draws: int = 5,
    seed: int = 0,
    progress: Progress | None = None,
    autoencoder: Autoencoder | None = None,
) -> Predicted:
    """The protocol: every draw learns from the other perturbations alone. autoencoder: None where no model is
    to be trained.
    """
    chosen = draw_held_out(candidates(prepared), at_once, draws, seed)
    parts = []
    for number, names in enumerate(chosen):
        words, done = f"holding out {', '.join(names)}", number / len(chosen)
        tell(progress, words, done)
        apart = hold_out(prepared, names)
        screen = Screen.of(apart, settings)
        weights = fit_weights(screen, progress=stretch(progress, done, done + 0.9 / len(chosen), words))
        answers = pd.DataFrame(
            [predict_unseen(screen, weights, name) for name in names],
            index=pd.Index(names),
            columns=screen.genes,
        )
        own = autoencoder(apart, names) if autoencoder else None
        parts.append(beside_baselines(apart, settings, screen, answers, own, number))
    return Predicted(
        names=tuple(name for part in parts for name in part.names),
        predictions={
            method: np.concatenate([part.predictions[method] for part in parts])
            for method in parts[0].predictions
        },
        **{
            field: np.concatenate([getattr(part, field) for part in parts])
            for field in ("draw", "cells", "observed", "moved_by", "ceiling")
        },
    )


def beside_baselines(
    apart: PreparedCells,
    settings: Settings,
    screen: Screen,
    answers: pd.DataFrame,
    own: pd.DataFrame | None = None,
    draw: int = 0,
) -> Predicted:
    """Answers (held-out perturbations x genes) with what they are compared with. screen: of the training
    cells of `apart`; own: what the autoencoder itself says, where one was trained."""
    names = tuple(answers.index)
    reference = average_effects(apart, keys.HELD_OUT, names)
    columns = _own_columns(apart, names)
    observed = reference.mean.to_numpy().copy()
    observed[columns] = np.nan
    training = average_effects(apart, (keys.TRAIN,), screen.names).mean
    predictions = {
        "network": answers.to_numpy(),
        "perturbation_mean": np.tile(perturbation_mean(training).to_numpy()[0], (len(names), 1)),
        "mean_of_others": np.tile(screen.mean_effect, (len(names), 1)),
        "no_effect": np.zeros(observed.shape),
    }
    if own is not None:
        predictions["autoencoder"] = own.loc[list(names), answers.columns].to_numpy()
    return Predicted(
        names=names,
        draw=np.full(len(names), draw),
        cells=reference.cells.to_numpy(),
        observed=observed,
        predictions=predictions,
        moved_by=np.array(
            [0 if keys.PAIR_SEPARATOR in name else len(screen.moved_by(name)) for name in names]
        ),
        ceiling=_ceilings(apart, names, columns, settings.evaluation.seed),
    )


def _own_columns(prepared: PreparedCells, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the perturbed genes, of both where a perturbation is a combination."""
    pairs = [(row, gene) for row, name in enumerate(names) for gene in keys.genes_of(name)]
    rows, place = (
        np.array([row for row, _ in pairs]),
        prepared.cells.var_names.get_indexer([gene for _, gene in pairs]),
    )
    return rows[place >= 0], place[place >= 0]


def _ceilings(
    prepared: PreparedCells, names: tuple[str, ...], own: tuple[np.ndarray, np.ndarray], seed: int
) -> np.ndarray:
    """(h,) correlation that the true effects would reach, from halves of the cells; without the columns of
    the perturbed genes.
    """
    kept = np.flatnonzero(prepared.where(splits=keys.HELD_OUT))
    others = np.setdiff1d(np.arange(prepared.cells.n_vars), own[1])
    expression = log_expression(prepared.counts[kept], prepared.library_size[kept])
    stratum = Design.of(prepared).stratum[kept]
    halves = split_half_correlations(
        expression[:, others], prepared.labels[kept], names, _HALVINGS, seed, stratum=stratum
    )[1]
    return attainable(halves.mean(axis=0))


def scores(predicted: Predicted) -> Unseen:
    """Correlation and root mean square error of every method; None = undefined.

    with_known_path: only held-out genes that some training perturbation moves, so that there is a path to
    learn from.
    """
    reached = predicted.moved_by > 0
    return defined(
        Unseen(
            pooled=_pooled(predicted, np.ones(len(predicted.names), dtype=bool)),
            with_known_path=_pooled(predicted, reached),
            per_perturbation=tuple(_one(predicted, row) for row in range(len(predicted.names))),
        )
    )


def _pooled(predicted: Predicted, rows: np.ndarray) -> UnseenPart:
    known = np.isfinite(predicted.observed[rows])
    truth = predicted.observed[rows][known]
    rho, median_rho, rmse = {}, {}, {}
    for method, values in predicted.predictions.items():
        guess = values[rows][known]
        rho[method] = pearson(truth, guess)
        own = [
            pearson(t[k], g[k]) for t, g, k in zip(predicted.observed[rows], values[rows], known, strict=True)
        ]
        median_rho[method] = median(np.array(own))
        rmse[method] = _rmse(truth, guess)
    median_rho["ceiling"] = median(predicted.ceiling[rows])
    return UnseenPart(int(rows.sum()), rho, median_rho, rmse)


def _one(predicted: Predicted, row: int) -> UnseenPerturbation:
    known = np.isfinite(predicted.observed[row])
    truth = predicted.observed[row][known]
    return UnseenPerturbation(
        perturbation=predicted.names[row],
        draw=int(predicted.draw[row]),
        cells=int(predicted.cells[row]),
        moved_by=int(predicted.moved_by[row]),
        rho={method: pearson(truth, values[row][known]) for method, values in predicted.predictions.items()},
        rmse={method: _rmse(truth, values[row][known]) for method, values in predicted.predictions.items()},
        ceiling=predicted.ceiling[row],
    )


def _rmse(truth: np.ndarray, guess: np.ndarray) -> float:
    return float(np.sqrt(np.mean((truth - guess) ** 2))) if len(truth) else float("nan")


def weights_of(weights: PartWeights) -> Weights:
    """How the parts are weighed in this screen, as stored with the run."""
    return Weights(weights.table(), weights.kept, weights.left_out)
