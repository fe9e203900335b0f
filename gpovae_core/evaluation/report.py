"""The scores of a run as one JSON-able report, each beside what needs no model and what the data allows at
best.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from gpovae_core import keys
from gpovae_core.config import EvaluationSettings
from gpovae_core.data.expression import log_expression
from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.averages import EffectTable, average_effects
from gpovae_core.effects.pairs import PairStatistics, pair_statistics
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.baselines import (
    Reliability,
    attainable_scores,
    baseline_predictions,
    linear_model,
    noise_draws,
    perturbation_mean,
    reliability,
)
from gpovae_core.evaluation.calibrated import calibrated
from gpovae_core.evaluation.edges import check_edge_table, chosen_edges, edge_weights, read_edge_table
from gpovae_core.evaluation.known import KnownEdges, reference_scores, truth_scores
from gpovae_core.evaluation.matched import HOPS, edge_counts, edge_curves, hop_table, omission_curve
from gpovae_core.evaluation.network import (
    EdgeScore,
    NetworkScores,
    network_scores,
    reachable,
    score_edges,
    top_pairs,
)
from gpovae_core.evaluation.rankings import BASELINES, CEILING, MEAN_DIFFERENCE, training_rankings
from gpovae_core.evaluation.response import Measurement, ResponseScores, pearson, response_scores
from gpovae_core.evaluation.summary import summary
from gpovae_core.methods.expected import common_lift, predicted_by_network
from gpovae_core.methods.false_edges import false_edge_rate, false_edges
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.model.hops import hop_series, influence_over_hops

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["effects_table", "evaluate", "evaluate_edges", "held_out_pairs", "read_edge_table"]

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
)
NOISE_DRAWS = 5
"""Simulated references behind the ceilings that have no formula."""
OBSERVED: dict[str, tuple[str, ...]] = {
    keys.OBSERVED_TEST: keys.HELD_OUT,
    keys.OBSERVED_ALL: keys.SPLITS,
    keys.OBSERVED_TRAIN: (keys.TRAIN,),
}


def evaluate(
    prepared: PreparedCells,
    predicted: pd.DataFrame,
    weights: np.ndarray,
    settings: EvaluationSettings,
    threshold: float | None = None,
    fit: NetworkFit | None = None,
    references: Sequence[KnownEdges] = (),
    truth: pd.DataFrame | None = None,
    hops: int = max(HOPS),
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Scores of predicted effects and of W: {"response": {"test", "all"}, "calibration", "linear", "network",
    "summary", "notes"}.

    None = undefined. "summary" says every score once more with its baseline, ceiling and share, see
    `summary.Line`. predicted: (perturbations x genes) effects in log2(counts per 10,000 + 1) against control,
    with every measured gene. weights: (n, n) W in panel order, row = source. threshold: W above it is an
    edge; `settings.threshold` where None. fit: the network stage where the run had one; the rankings by W and
    by T_K and the false-edge rates are then reported too. references: networks known from elsewhere; truth:
    the true edges of simulated cells (source, target, weight); hops: K of T_K. Response: keys.TEST cells
    ("test") and every cell ("all"); `cells` counts perturbed cells. Network: keys.TEST cells. Perturbations
    held out as a whole are in no score: nothing was learned of them, so they answer another question
    (evaluation.unseen). progress: told what is being scored and, roughly, the share that is done.
    """
    cut = _checked_threshold(settings.threshold if threshold is None else threshold)
    if weights.shape != (len(prepared.panel),) * 2:
        raise ValueError(f"weights has shape {weights.shape}, the panel has {len(prepared.panel)} genes")
    notes: list[str] = []
    seen = prepared.without_unseen()
    if prepared.unseen:
        notes.append(
            "Held out as a whole, with all their cells, and in no score of seen perturbations: "
            f"{_listed(prepared.unseen)}."
        )
    tell(progress, "mean effects and baselines", 0.0)
    expression = log_expression(prepared.counts, prepared.library_size)
    train_table, validation_table = (
        average_effects(prepared, (split,), seen.perturbations) for split in (keys.TRAIN, keys.VALIDATION)
    )
    training = train_table.mean
    model = _aligned(predicted, training)
    both = calibrated(model, train_table, validation_table)
    linear = linear_model(prepared, expression, training, validation_table.mean, settings.seed)
    predictions = {
        "model": model,
        "calibrated": both.prediction,
        **baseline_predictions(training),
        "linear": linear.prediction,
    }
    _note_predictions(predictions, notes)
    tell(progress, "predicted effects and their ceilings", 0.2)
    response = _response_section(
        seen,
        log_expression(seen.counts, seen.library_size) if prepared.unseen else expression,
        predictions,
        training,
        settings,
    )
    notes.append(
        "The reference 'all' holds the cells that the model and the baselines were fitted to: its scores "
        "flatter, and may pass its ceiling."
    )
    network = _network_section(
        prepared,
        expression,
        training,
        weights,
        cut,
        settings,
        notes,
        progress,
        fit=fit,
        predicted=model,
        references=references,
        truth=truth,
        hops=hops,
    )
    answer = {
        "response": response,
        "calibration": {"model_error": both.model_error},
        "linear": {"components": linear.components, "ridge": linear.ridge},
        "network": network,
        "notes": notes,
    }
    answer = _plain(answer)
    return {**answer, "summary": summary(answer)}


def _network_section(
    prepared: PreparedCells,
    expression: sparse.csr_matrix,
    training: pd.DataFrame,
    weights: np.ndarray,
    cut: float,
    settings: EvaluationSettings,
    notes: list[str],
    progress: Progress | None,
    *,
    fit: NetworkFit | None,
    predicted: pd.DataFrame,
    references: Sequence[KnownEdges],
    truth: pd.DataFrame | None,
    hops: int,
) -> dict[str, Any]:
    """Scores of W at the threshold `cut`, of rankings at equal numbers of edges, by path length, and against
    known and true networks.
    """
    tell(progress, "testing pairs of genes", 0.5)
    pairs = held_out_pairs(prepared, expression)
    rankings = training_rankings(prepared, expression, training, pairs.sources, pairs.targets)
    tell(progress, "the network", 0.8)
    network = _network(prepared, pairs, training, weights > cut, cut, settings, notes, rankings)
    influences = _influences(prepared, pairs, weights, fit, max(hops, *HOPS))
    place = _places(prepared, pairs)
    own = {
        "w": weights[np.ix_(*place)] if fit is None else fit.log_odds[np.ix_(*place)],
        "influence": influences[hops - 1],
    }
    effects = {**own, "influence": _predicted_sizes(prepared, fit, place)} if fit is not None else own
    references_used = {"as_measured": pairs}
    if fit is not None:
        references_used["without_common_lift"] = _without_lift(prepared, fit)
        sizes = predicted.reindex(index=list(pairs.sources), columns=list(pairs.targets)).abs().to_numpy()
        compared = {**effects, "model": sizes, "z": _z(fit, place)}
        network |= _stage(fit, references_used, compared, rankings[MEAN_DIFFERENCE], weights, cut, settings)
        network |= {
            "common_lift": {
                prepared.panel.genes[i]: float(fit.shift[i]) for i in np.flatnonzero(np.isfinite(fit.shift))
            },
            "lift_by_network": float(_lift_agreement(fit, prepared)),
        }
    network["matched"] = _matched(references_used, {**effects, **rankings}, settings, network["edges"])
    ranked = weights if fit is None else fit.log_odds
    counts = network["matched"]["edges"]
    network["matched"]["omission"] = dict(
        zip(
            ("rate", "pairs"),
            omission_curve(pairs, ranked, place, counts, settings.omission_hops, settings.significance),
            strict=True,
        )
    )
    ceilings = {measure: rankings[name] for measure, name in CEILING.items()}
    network["hops"] = hop_table(
        pairs, weights > cut, influences[: len(HOPS)], ceilings, place, settings.significance
    )
    judged = {**own, **{name: rankings[name] for name in BASELINES}}
    tell(progress, "known networks", 0.9)
    network["references"] = [
        reference_scores(known, pairs.sources, pairs.targets, judged, seed=settings.seed)
        for known in references
    ]
    if truth is not None:
        signs = _signs(fit, place, training, pairs)
        network["truth"] = truth_scores(
            truth,
            pairs.sources,
            pairs.targets,
            judged,
            (weights > cut)[np.ix_(*place)],
            signs,
            pairs.evaluated,
        )
    return network


def _response_section(
    prepared: PreparedCells,
    expression: sparse.csr_matrix,
    predictions: dict[str, pd.DataFrame],
    training: pd.DataFrame,
    settings: EvaluationSettings,
) -> dict[str, dict[str, Any]]:
    """Every prediction (perturbations x genes) against held-out cells and against all; expression:
    `log_expression` of all cells.
    """
    noise = {
        name: reliability(prepared, splits, settings.split_halves, settings.seed, expression)
        for name, splits in REFERENCES.items()
    }
    tables = {name: average_effects(prepared, splits) for name, splits in REFERENCES.items()}
    best_known = tables["all"].mean.to_numpy(), noise["all"].per_perturbation.to_numpy()
    return {
        name: _response(
            tables[name],
            predictions,
            noise[name],
            _measurement(tables[name], training, settings),
            best_known,
            _draws(prepared, expression, splits, settings.seed),
        )
        for name, splits in REFERENCES.items()
    }


def evaluate_edges(
    prepared: PreparedCells, edges: pd.DataFrame, settings: EvaluationSettings, threshold: float | None = None
) -> dict[str, Any]:
    """Scores of any other edge table (source, target[, weight]) in place of W: {"network", "notes"}, as
    `evaluate` gives them.

    Without weights every listed edge counts; with them see `edges.chosen_edges`. Raises QueryError for genes
    outside the panel and for a table that `edges.check_edge_table` refuses.
    """
    table = check_edge_table(edges)
    weights = edge_weights(prepared.panel, table)
    adjacency, cut = (
        chosen_edges(weights, threshold, settings.threshold)
        if keys.WEIGHT in table
        else (~np.isnan(weights), None)
    )
    listed = int((~np.isnan(weights)).sum())
    notes = [
        f"All {listed} listed edges count."
        if cut is None
        else f"{int(adjacency.sum())} of {listed} listed edges have a weight above {cut:g}."
    ]
    if threshold is not None and cut is None:
        notes.append("The edge table has no weights, so the threshold was not applied.")
    training = average_effects(prepared, (keys.TRAIN,)).mean
    expression = log_expression(prepared.counts, prepared.library_size)
    pairs = held_out_pairs(prepared, expression)
    rankings = training_rankings(prepared, expression, training, pairs.sources, pairs.targets)
    network = _network(prepared, pairs, training, adjacency, cut, settings, notes, rankings)
    own = {"w": weights[np.ix_(*_places(prepared, pairs))]}
    network["matched"] = _matched({"as_measured": pairs}, {**own, **rankings}, settings, network["edges"])
    return {"network": _plain(network), "notes": notes}


def held_out_pairs(prepared: PreparedCells, expression: sparse.csr_matrix | None = None) -> PairStatistics:
    """Every single-gene perturbation with held-out cells against every measured panel gene, on the held-out
    cells.

    Genes held out as a whole are no sources: no cell speaks for or against their row of W, which would be
    scored beside learned ones. expression: `log_expression` of all cells where it is at hand. Combinations
    are no sources: their effect is no one gene's.
    """
    values = log_expression(prepared.counts, prepared.library_size) if expression is None else expression
    kept = np.flatnonzero(prepared.where(splits=(keys.TEST,)))
    labels = prepared.labels[kept]
    present = set(labels)
    sources = [gene for gene in prepared.panel.data.perturbed if gene in present]
    targets = [str(gene) for gene in prepared.cells.var_names[prepared.panel_columns]]
    return pair_statistics(values[:, prepared.panel_columns][kept], labels, sources, targets)


def effects_table(
    prepared: PreparedCells,
    predicted: pd.DataFrame,
    predicted_sd: pd.DataFrame,
    rests_on: Mapping[str, str] | None = None,
) -> AnnData:
    """Observed and predicted effects side by side, as stored in effects.h5ad.

    obs = all perturbations with cells, with the cells behind each observed row; var = measured genes; layers
    keys.OBSERVED_TEST, OBSERVED_ALL, OBSERVED_TRAIN and PREDICTED (float32, log2(counts per 10,000 + 1)
    against control), each with its standard error; NaN = no cells, or no prediction. predicted, predicted_sd:
    (perturbations x genes). rests_on: perturbation -> what its prediction rests on (whatif.Basis), "seen"
    where not given.
    """
    import anndata

    obs = pd.DataFrame(index=pd.Index(prepared.perturbations, dtype=object, name=keys.PERTURBATION))
    obs[keys.RESTS_ON] = [(rests_on or {}).get(name, "seen") for name in prepared.perturbations]
    genes = prepared.cells.var_names.astype(object)
    layers: dict[str, np.ndarray] = {}
    for layer, splits in OBSERVED.items():
        table = average_effects(prepared, splits)
        layers[layer], layers[keys.standard_error(layer)] = (
            table.mean.to_numpy(),
            table.standard_error.to_numpy(),
        )
        obs[keys.cell_count(layer)] = table.cells.to_numpy()
    layers[keys.PREDICTED] = predicted.reindex(index=obs.index, columns=genes).to_numpy()
    layers[keys.standard_error(keys.PREDICTED)] = predicted_sd.reindex(
        index=obs.index, columns=genes
    ).to_numpy()
    single = {name: values.astype(np.float32) for name, values in layers.items()}
    return anndata.AnnData(obs=obs, var=pd.DataFrame(index=genes), layers=single)


def _checked_threshold(threshold: float) -> float:
    if not 0.0 <= threshold <= 1.0:
        raise QueryError(f"The threshold must lie between 0 and 1, as W does; got {threshold:g}.")
    return float(threshold)


def _aligned(predicted: pd.DataFrame, like: pd.DataFrame) -> pd.DataFrame:
    """The prediction in the rows and columns of `like`, by name; rows it lacks are NaN."""
    missing = like.columns.difference(predicted.columns)
    if len(missing):
        raise ValueError(
            f"the prediction lacks {len(missing)} measured genes, e.g. {', '.join(map(str, missing[:5]))}"
        )
    return predicted.reindex(index=like.index, columns=like.columns)


def _note_predictions(predictions: dict[str, pd.DataFrame], notes: list[str]) -> None:
    words = {
        "model": "The model gives no prediction for",
        "train_mean": "No training cells, so no train_mean, for",
    }
    for name, start in words.items():
        incomplete = predictions[name].index[~np.isfinite(predictions[name].to_numpy()).all(axis=1)]
        if len(incomplete):
            notes.append(
                f"{start} {_listed(incomplete)}: scored on the other "
                f"{len(predictions[name]) - len(incomplete)} perturbations."
            )


def _measurement(reference: EffectTable, training: pd.DataFrame, settings: EvaluationSettings) -> Measurement:
    names, genes = [str(name) for name in reference.mean.index], reference.mean.columns
    targets = (
        np.stack([genes.isin(name.split(keys.PAIR_SEPARATOR)) for name in names])
        if names
        else np.zeros((0, len(genes)), dtype=bool)
    )
    return Measurement(
        standard_error=reference.standard_error.to_numpy(),
        degrees=np.minimum(reference.cells.to_numpy(), reference.control_cells) - 1,
        targets=targets,
        centroid=perturbation_mean(training).iloc[0].to_numpy()
        if len(training)
        else np.full(len(genes), np.nan),
        significance=settings.significance,
    )


def _draws(
    prepared: PreparedCells, expression: sparse.csr_matrix, splits: tuple[str, ...], seed: int
) -> np.ndarray:
    labels = np.where(prepared.where(splits=splits), prepared.labels, "")
    return noise_draws(expression, labels, prepared.perturbations, NOISE_DRAWS, seed)


def _response(
    reference: EffectTable,
    predictions: dict[str, pd.DataFrame],
    noise: Reliability,
    measurement: Measurement,
    best_known: tuple[np.ndarray, np.ndarray],
    draws: np.ndarray,
) -> dict[str, Any]:
    """Every score of every prediction against one reference, with its ceiling.

    best_known: (p, G) effects over all cells and (p,) how far they are signal, see `attainable_scores`;
    draws: of the reference's noise.
    """
    observed = reference.mean.to_numpy()
    scores = {
        name: response_scores(observed, table.loc[reference.mean.index].to_numpy(), measurement)
        for name, table in predictions.items()
    }
    present = np.asarray(np.isfinite(observed).all(axis=1))

    def one(truth: np.ndarray, guess: np.ndarray) -> dict[str, float]:
        found = response_scores(truth, guess, measurement)
        return {key: getattr(found, key) for key in SCORES}

    limits = attainable_scores(*best_known, draws, one) | {
        "ate_rho": noise.ceiling,
        "median_rho": noise.median_ceiling,
    }
    section: dict[str, Any] = {
        key: {
            **{name: getattr(found, key) for name, found in scores.items()},
            "ceiling": limits.get(key, np.nan),
        }
        for key in SCORES
    }
    return section | {
        "compared": {name: found.rows for name, found in scores.items()},
        "split_half": noise.split_half,
        "perturbations": int(present.sum()),
        "cells": int(reference.cells[present].sum()),
        "control_cells": int(reference.control_cells),
        "per_perturbation": _per_perturbation(reference, present, scores, noise),
    }


def _per_perturbation(
    reference: EffectTable, present: np.ndarray, scores: dict[str, ResponseScores], noise: Reliability
) -> list[dict[str, Any]]:
    return [
        {
            "perturbation": str(reference.mean.index[row]),
            "cells": int(reference.cells.iloc[row]),
            "rho": {name: scores[name].rho[row] for name in ("model", "train_mean")},
            "ceiling": noise.per_perturbation.loc[reference.mean.index[row]],
        }
        for row in np.flatnonzero(present)
    ]


def _places(prepared: PreparedCells, pairs: PairStatistics) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the sources and columns of the targets in a matrix over the panel."""
    index = prepared.panel.index
    return np.array([index[gene] for gene in pairs.sources], dtype=int), np.array(
        [index[gene] for gene in pairs.targets], dtype=int
    )


def _network(
    prepared: PreparedCells,
    pairs: PairStatistics,
    training: pd.DataFrame,
    adjacency: np.ndarray,
    threshold: float | None,
    settings: EvaluationSettings,
    notes: list[str],
    rankings: Mapping[str, np.ndarray],
) -> dict[str, Any]:
    """adjacency: (n, n) bool in panel order, row = source; rankings: of `training_rankings`."""
    rows, columns = _places(prepared, pairs)
    linked = reachable(adjacency, rows, settings.omission_hops)[:, columns]
    difference = training.reindex(index=list(pairs.sources), columns=list(pairs.targets)).to_numpy()
    others = {name: ranking for name, ranking in rankings.items() if name != MEAN_DIFFERENCE}
    scores = network_scores(
        pairs, adjacency[np.ix_(rows, columns)], linked, difference, settings.significance, others
    )
    _note_sources(prepared, pairs, notes)
    self_loops = int(np.diag(adjacency).sum())
    return {
        "threshold": threshold,
        **_network_numbers(scores),
        "for_any_pair": score_edges(pairs, pairs.evaluated, settings.significance).raw_share,
        "for_ceiling": _least_omission(
            pairs, rankings[CEILING["left_out"]], scores.omission_pairs, settings.significance
        ),
        "edges_total": int(adjacency.sum()) - self_loops,
        "self_loops": self_loops,
    }


def _least_omission(pairs: PairStatistics, again: np.ndarray, omitted: int, significance: float) -> float:
    """Share of raw p below the level among as many pairs as the network omits, taking those that the training
    cells rank last.
    """
    rest = pairs.evaluated & ~top_pairs(pairs, again, int(pairs.evaluated.sum()) - omitted)
    return score_edges(pairs, rest, significance).raw_share


def _network_numbers(scores: NetworkScores) -> dict[str, Any]:
    spread = {f"{key}_sd": value for key, value in _edge_numbers(scores.random_spread).items()}
    others = {name: _edge_numbers(score) for name, score in scores.others.items()}
    return {
        "edges": scores.edges,
        "pairs": scores.pairs,
        **_edge_numbers(scores.score),
        "for": scores.omission,
        "for_pairs": scores.omission_pairs,
        "true_positives": scores.true_positives,
        "false_positives": scores.false_positives,
        "bh_true_positives": scores.bh_true_positives,
        "bh_false_positives": scores.edges - scores.bh_true_positives,
        "at_same_edges": {
            "random": _edge_numbers(scores.random) | spread,
            "mean_difference": _edge_numbers(scores.mean_difference),
            **others,
        },
    }


def _edge_numbers(score: EdgeScore) -> dict[str, float]:
    return {"mu_wd": score.mu_wd, "bh_share": score.bh_share, "raw_share": score.raw_share}


def _influences(
    prepared: PreparedCells, pairs: PairStatistics, weights: np.ndarray, fit: NetworkFit | None, most: int
) -> list[np.ndarray]:
    """(s, t) sizes of T_1, T_2, ... T_most: expected log fold changes with a network stage, the bounded
    series on W without one.
    """
    rows, columns = _places(prepared, pairs)
    n = len(weights)
    matrix = weights if fit is None else weights * fit.strength
    scale = np.ones(len(rows)) if fit is None else np.abs(fit.own_change[rows])
    return [
        scale[:, None]
        * np.abs(
            influence_over_hops(matrix, hop_series("paper" if fit is None else "signed", n, k), matrix[rows])
        )[:, columns]
        for k in range(1, most + 1)
    ]


def _predicted_sizes(
    prepared: PreparedCells, fit: NetworkFit, place: tuple[np.ndarray, np.ndarray]
) -> np.ndarray:
    """(s, t) size of the effect that the network predicts on the scale of the measurement, common lift
    included.
    """
    found = np.full((len(prepared.panel),) * 2, np.nan)
    found[:, prepared.panel.is_measured] = np.abs(
        predicted_by_network(fit, prepared)[:, prepared.panel_columns]
    )
    return found[np.ix_(*place)]


def _z(fit: NetworkFit, place: tuple[np.ndarray, np.ndarray]) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        return np.abs(fit.effect / fit.effect_sd)[np.ix_(*place)]


def _signs(
    fit: NetworkFit | None,
    place: tuple[np.ndarray, np.ndarray],
    training: pd.DataFrame,
    pairs: PairStatistics,
) -> np.ndarray:
    """(s, t) sign of an edge: of its strength, or else against the effect of knocking its source down; 0
    where unknown.
    """
    if fit is not None:
        return np.sign(fit.strength[np.ix_(*place)])
    return -np.sign(
        np.nan_to_num(training.reindex(index=list(pairs.sources), columns=list(pairs.targets)).to_numpy())
    )


def _matched(
    references: Mapping[str, PairStatistics],
    rankings: Mapping[str, np.ndarray],
    settings: EvaluationSettings,
    own: int,
) -> dict[str, Any]:
    """{"edges": counts, reference: {ranking: {measure: values}}}, see `matched.edge_curves`."""
    counts = edge_counts(references["as_measured"], own)
    curves = {
        name: edge_curves(pairs, rankings, counts, settings.significance)
        for name, pairs in references.items()
    }
    return {"edges": counts, **curves}


TOPS = (50, 100)


def _stage(
    fit: NetworkFit,
    references: Mapping[str, PairStatistics],
    rankings: Mapping[str, np.ndarray],
    mean_difference: np.ndarray,
    weights: np.ndarray,
    cut: float,
    settings: EvaluationSettings,
) -> dict[str, Any]:
    """How well rankings find held-out effects at equal numbers of edges, as measured and without the common
    lift of all shares.
    """
    compared = {**rankings, "mean_difference": mean_difference}
    return {
        "false_edge_rate": float(false_edge_rate(fit, weights, cut)[0]),
        "false_edges": false_edges(fit, weights).to_dict("records"),
        "rankings": {
            name: _top_scores(pairs, compared, settings.significance) for name, pairs in references.items()
        },
    }


def _top_scores(
    pairs: PairStatistics, rankings: Mapping[str, np.ndarray], significance: float
) -> list[dict[str, Any]]:
    """One entry per number of edges in TOPS: {"edges", ranking: {"mu_wd", "bh_share"}}, and what random pairs
    give.
    """
    total = int(pairs.evaluated.sum())
    entries = []
    for top in (k for k in TOPS if k <= total):
        entry: dict[str, Any] = {
            "edges": top,
            "random": _edge_numbers(score_edges(pairs, pairs.evaluated, significance)),
        }
        for name, ranking in rankings.items():
            entry[name] = _edge_numbers(score_edges(pairs, top_pairs(pairs, ranking, top), significance))
        entries.append(entry)
    return entries


def _without_lift(prepared: PreparedCells, fit: NetworkFit) -> PairStatistics:
    """The held-out pairs once more, with the cells of each perturbation scaled by the common lift that its
    training cells showed.
    """
    lift = {gene: fit.shift[i] for gene, i in prepared.panel.index.items() if np.isfinite(fit.shift[i])}
    scale = np.exp([lift.get(label, 0.0) for label in prepared.labels])
    return held_out_pairs(prepared, log_expression(prepared.counts, prepared.library_size * scale))


def _lift_agreement(fit: NetworkFit, prepared: PreparedCells) -> float:
    """Correlation over perturbations of the observed common lift with the one that the network's changes
    bring about; NaN below three.
    """
    known = np.isfinite(fit.shift)
    if known.sum() < 3:
        return float("nan")
    return pearson(fit.shift[known], common_lift(fit, prepared)[known])


def _note_sources(prepared: PreparedCells, pairs: PairStatistics, notes: list[str]) -> None:
    combinations = [name for name in prepared.perturbations if keys.PAIR_SEPARATOR in name]
    if combinations:
        notes.append(f"Combinations are not counted as sources of edges: {_listed(combinations)}.")
    silent = [
        gene for gene in prepared.panel.data.perturbed if gene not in (*pairs.sources, *prepared.unseen)
    ]
    if silent:
        notes.append(f"No held-out cells of their own, so their edges are not scored: {_listed(silent)}.")
    if pairs.control_cells == 0:
        notes.append("There are no held-out control cells, so no edge can be scored.")


def _listed(names: Any, most: int = 10) -> str:
    shown = ", ".join(str(name) for name in list(names)[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _plain(value: Any) -> Any:
    """The same with plain numbers, and None for what is none: JSON knows no NaN."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if isinstance(value, float | np.floating):
        return float(value) if np.isfinite(value) else None
    return int(value) if isinstance(value, np.integer) else value
