"""The scores of a run as one JSON-able report, each beside what needs no model and what the data allows at best."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from gpovae_core import keys
from gpovae_core.config import EvaluationSettings
from gpovae_core.data.effects import EffectTable, average_effects, log_expression
from gpovae_core.data.schema import PreparedCells
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.baselines import Reliability, baseline_predictions, reliability
from gpovae_core.evaluation.calibrated import calibrated
from gpovae_core.evaluation.edges import check_edge_table, chosen_edges, edge_weights, read_edge_table
from gpovae_core.evaluation.influence import common_lift, predicted_by_network
from gpovae_core.evaluation.network import (
    EdgeScore,
    NetworkScores,
    PairStatistics,
    network_scores,
    pair_statistics,
    reachable,
    score_edges,
    top_pairs,
)
from gpovae_core.evaluation.response import ResponseScores, pearson, response_scores
from gpovae_core.training.network_fit import NetworkFit, false_edge_rate, false_edges

if TYPE_CHECKING:
    from anndata import AnnData

__all__ = ["effects_table", "evaluate", "evaluate_edges", "held_out_pairs", "read_edge_table"]

REFERENCES: dict[str, tuple[str, ...]] = {"test": keys.HELD_OUT, "all": keys.SPLITS}
SCORES = ("ate_rho", "r2", "median_rho", "ate_rho_top20", "jaccard_top20", "jaccard_top50")
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
) -> dict[str, Any]:
    """Scores of predicted effects and of W: {"response": {"test", "all"}, "network", "notes"}; None = undefined.

    fit: the network stage where the run had one; the rankings by W and by T_K and the false-edge rates are then reported too.

    predicted: (perturbations x genes) effects in log2(counts per 10,000 + 1) against control, with every measured gene.
    weights: (n, n) W in panel order, row = source. threshold: W above it is an edge; `settings.threshold` where None.
    Response: keys.HELD_OUT cells ("test") and every cell ("all"); `cells` counts perturbed cells. Network: keys.HELD_OUT cells.
    """
    cut = _checked_threshold(settings.threshold if threshold is None else threshold)
    if weights.shape != (len(prepared.panel),) * 2:
        raise ValueError(f"weights has shape {weights.shape}, the panel has {len(prepared.panel)} genes")
    notes: list[str] = []
    expression = log_expression(prepared.counts, prepared.library_size)
    train_table = average_effects(prepared, (keys.TRAIN,))
    training = train_table.mean
    model = _aligned(predicted, training)
    both = calibrated(model, train_table, average_effects(prepared, (keys.VALIDATION,)))
    predictions = {"model": model, "calibrated": both.prediction, **baseline_predictions(training)}
    _note_predictions(predictions, notes)
    response = {
        name: _response(
            average_effects(prepared, splits), predictions, reliability(prepared, splits, settings.split_halves, settings.seed, expression)
        )
        for name, splits in REFERENCES.items()
    }
    notes.append(
        "The reference 'all' holds the cells that the model and the baselines were fitted to: its scores flatter, and may pass its ceiling."
    )
    pairs = held_out_pairs(prepared, expression)
    network = _network(prepared, pairs, training, weights > cut, cut, settings, notes)
    if fit is not None:
        network |= _stage(prepared, fit, pairs, training, weights, cut, settings)
    calibration = {"model_error": _number(both.model_error)}
    return {"response": response, "calibration": calibration, "network": network, "notes": notes}


def evaluate_edges(
    prepared: PreparedCells, edges: pd.DataFrame, settings: EvaluationSettings, threshold: float | None = None
) -> dict[str, Any]:
    """Scores of any other edge table (source, target[, weight]) in place of W: {"network", "notes"}, as `evaluate` gives them.

    Without weights every listed edge counts; with them see `edges.chosen_edges`. Raises QueryError for genes
    outside the panel and for a table that `edges.check_edge_table` refuses.
    """
    table = check_edge_table(edges)
    weights = edge_weights(prepared.panel, table)
    adjacency, cut = chosen_edges(weights, threshold, settings.threshold) if keys.WEIGHT in table else (~np.isnan(weights), None)
    listed = int((~np.isnan(weights)).sum())
    notes = [
        f"All {listed} listed edges count."
        if cut is None
        else f"{int(adjacency.sum())} of {listed} listed edges have a weight above {cut:g}."
    ]
    if threshold is not None and cut is None:
        notes.append("The edge table has no weights, so the threshold was not applied.")
    training = average_effects(prepared, (keys.TRAIN,)).mean
    pairs = held_out_pairs(prepared)
    return {"network": _network(prepared, pairs, training, adjacency, cut, settings, notes), "notes": notes}


def held_out_pairs(prepared: PreparedCells, expression: sparse.csr_matrix | None = None) -> PairStatistics:
    """Every single-gene perturbation with held-out cells against every measured panel gene, on the held-out cells.

    expression: `log_expression` of all cells where it is at hand. Combinations are no sources: their effect is no one gene's.
    """
    values = log_expression(prepared.counts, prepared.library_size) if expression is None else expression
    kept = np.flatnonzero(prepared.where(splits=keys.HELD_OUT))
    labels = prepared.labels[kept]
    present = set(labels)
    sources = [gene for gene in prepared.panel.data.perturbed if gene in present]
    targets = [str(gene) for gene in prepared.cells.var_names[prepared.panel_columns]]
    return pair_statistics(values[kept][:, prepared.panel_columns], labels, sources, targets)


def effects_table(prepared: PreparedCells, predicted: pd.DataFrame, predicted_sd: pd.DataFrame) -> AnnData:
    """Observed and predicted effects side by side, as stored in effects.h5ad.

    obs = all perturbations with cells, with the cells behind each observed row; var = measured genes; layers keys.OBSERVED_TEST,
    OBSERVED_ALL, OBSERVED_TRAIN and PREDICTED (float32, log2(counts per 10,000 + 1) against control), each with its standard
    error; NaN = no cells, or no prediction. predicted, predicted_sd: (perturbations x genes).
    """
    import anndata

    obs = pd.DataFrame(index=pd.Index(prepared.perturbations, dtype=object, name=keys.PERTURBATION))
    genes = prepared.cells.var_names.astype(object)
    layers: dict[str, np.ndarray] = {}
    for layer, splits in OBSERVED.items():
        table = average_effects(prepared, splits)
        layers[layer], layers[keys.standard_error(layer)] = table.mean.to_numpy(), table.standard_error.to_numpy()
        obs[keys.cell_count(layer)] = table.cells.to_numpy()
    layers[keys.PREDICTED] = predicted.reindex(index=obs.index, columns=genes).to_numpy()
    layers[keys.standard_error(keys.PREDICTED)] = predicted_sd.reindex(index=obs.index, columns=genes).to_numpy()
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
        raise ValueError(f"the prediction lacks {len(missing)} measured genes, e.g. {', '.join(map(str, missing[:5]))}")
    return predicted.reindex(index=like.index, columns=like.columns)


def _note_predictions(predictions: dict[str, pd.DataFrame], notes: list[str]) -> None:
    words = {"model": "The model gives no prediction for", "train_mean": "No training cells, so no train_mean, for"}
    for name, start in words.items():
        incomplete = predictions[name].index[~np.isfinite(predictions[name].to_numpy()).all(axis=1)]
        if len(incomplete):
            notes.append(f"{start} {_listed(incomplete)}: scored on the other {len(predictions[name]) - len(incomplete)} perturbations.")


def _response(reference: EffectTable, predictions: dict[str, pd.DataFrame], noise: Reliability) -> dict[str, Any]:
    """Every score of every prediction against one reference, with its ceiling where there is one."""
    observed = reference.mean.to_numpy()
    scores = {name: response_scores(observed, table.loc[reference.mean.index].to_numpy()) for name, table in predictions.items()}
    present = np.asarray(np.isfinite(observed).all(axis=1))
    limits = {"ate_rho": noise.ceiling, "median_rho": noise.median_ceiling}
    section: dict[str, Any] = {key: {name: _number(getattr(s, key)) for name, s in scores.items()} for key in SCORES}
    for key in SCORES:
        if key != "r2":  # the others but ate_rho and median_rho select genes by their noise: no ceiling is known for them
            section[key]["ceiling"] = _number(limits.get(key, np.nan))
    return section | {
        "split_half": _number(noise.split_half),
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
            "rho": {name: _number(scores[name].rho[row]) for name in ("model", "train_mean")},
            "ceiling": _number(noise.per_perturbation.loc[reference.mean.index[row]]),
        }
        for row in np.flatnonzero(present)
    ]


def _network(
    prepared: PreparedCells,
    pairs: PairStatistics,
    training: pd.DataFrame,
    adjacency: np.ndarray,
    threshold: float | None,
    settings: EvaluationSettings,
    notes: list[str],
) -> dict[str, Any]:
    """adjacency: (n, n) bool in panel order, row = source."""
    panel = prepared.panel
    rows = np.array([panel.index[gene] for gene in pairs.sources], dtype=int)
    columns = np.array([panel.index[gene] for gene in pairs.targets], dtype=int)
    linked = reachable(adjacency, rows, settings.omission_hops)[:, columns]
    difference = training.reindex(index=list(pairs.sources), columns=list(pairs.targets)).to_numpy()
    scores = network_scores(pairs, adjacency[np.ix_(rows, columns)], linked, difference, settings.significance)
    _note_sources(prepared, pairs, notes)
    self_loops = int(np.diag(adjacency).sum())
    return {
        "threshold": threshold,
        **_network_numbers(scores),
        "edges_total": int(adjacency.sum()) - self_loops,
        "self_loops": self_loops,
    }


def _network_numbers(scores: NetworkScores) -> dict[str, Any]:
    spread = {f"{key}_sd": value for key, value in _edge_numbers(scores.random_spread).items()}
    return {
        "edges": scores.edges,
        "pairs": scores.pairs,
        **_edge_numbers(scores.score),
        "for": _number(scores.omission),
        "for_pairs": scores.omission_pairs,
        "true_positives": scores.true_positives,
        "false_positives": scores.false_positives,
        "at_same_edges": {"random": _edge_numbers(scores.random) | spread, "mean_difference": _edge_numbers(scores.mean_difference)},
    }


def _edge_numbers(score: EdgeScore) -> dict[str, float | None]:
    return {"mu_wd": _number(score.mu_wd), "bh_share": _number(score.bh_share)}


TOPS = (50, 100)


def _stage(
    prepared: PreparedCells,
    fit: NetworkFit,
    pairs: PairStatistics,
    training: pd.DataFrame,
    weights: np.ndarray,
    cut: float,
    settings: EvaluationSettings,
) -> dict[str, Any]:
    """How well rankings find held-out effects at equal numbers of edges, as measured and without the common lift of all shares."""
    panel = prepared.panel
    place = np.ix_([panel.index[gene] for gene in pairs.sources], [panel.index[gene] for gene in pairs.targets])
    influence = np.full(weights.shape, np.nan)
    influence[:, panel.is_measured] = np.abs(predicted_by_network(fit, prepared)[:, prepared.panel_columns])
    with np.errstate(invalid="ignore"):
        z = np.abs(fit.effect / fit.effect_sd)
    rankings = {
        "w": fit.log_odds[place],
        "influence": influence[place],
        "mean_difference": training.reindex(index=list(pairs.sources), columns=list(pairs.targets)).abs().to_numpy(),
        "z": z[place],
    }
    lifted = _without_lift(prepared, fit)
    table = false_edges(fit, weights)
    return {
        "false_edge_rate": _number(float(false_edge_rate(fit, weights, cut)[0])),
        "false_edges": [{key: _number(value) for key, value in row.items()} for row in table.to_dict("records")],
        "common_lift": {panel.genes[i]: float(fit.shift[i]) for i in np.flatnonzero(np.isfinite(fit.shift))},
        "lift_by_network": float(_lift_agreement(fit, prepared)),
        "rankings": {
            name: _top_scores(reference, rankings, settings.significance)
            for name, reference in (("as_measured", pairs), ("without_common_lift", lifted))
        },
    }


def _top_scores(pairs: PairStatistics, rankings: dict[str, np.ndarray], significance: float) -> list[dict[str, Any]]:
    """One entry per number of edges in TOPS: {"edges", ranking: {"mu_wd", "bh_share"}}, and what random pairs give."""
    total = int(pairs.evaluated.sum())
    entries = []
    for top in (k for k in TOPS if k <= total):
        entry: dict[str, Any] = {"edges": top, "random": _edge_numbers(score_edges(pairs, pairs.evaluated, significance))}
        for name, ranking in rankings.items():
            entry[name] = _edge_numbers(score_edges(pairs, top_pairs(pairs, ranking, top), significance))
        entries.append(entry)
    return entries


def _without_lift(prepared: PreparedCells, fit: NetworkFit) -> PairStatistics:
    """The held-out pairs once more, with the cells of each perturbation scaled by the common lift that its training cells showed."""
    lift = {gene: fit.shift[i] for gene, i in prepared.panel.index.items() if np.isfinite(fit.shift[i])}
    scale = np.exp([lift.get(label, 0.0) for label in prepared.labels])
    return held_out_pairs(prepared, log_expression(prepared.counts, prepared.library_size * scale))


def _lift_agreement(fit: NetworkFit, prepared: PreparedCells) -> float:
    """Correlation over perturbations of the observed common lift with the one that the network's changes bring about; NaN below three."""
    known = np.isfinite(fit.shift)
    if known.sum() < 3:
        return float("nan")
    return pearson(fit.shift[known], common_lift(fit, prepared)[known])


def _note_sources(prepared: PreparedCells, pairs: PairStatistics, notes: list[str]) -> None:
    combinations = [name for name in prepared.perturbations if keys.PAIR_SEPARATOR in name]
    if combinations:
        notes.append(f"Combinations are not counted as sources of edges: {_listed(combinations)}.")
    silent = [gene for gene in prepared.panel.data.perturbed if gene not in pairs.sources]
    if silent:
        notes.append(f"No held-out cells of their own, so their edges are not scored: {_listed(silent)}.")
    if pairs.control_cells == 0:
        notes.append("There are no held-out control cells, so no edge can be scored.")


def _listed(names: Any, most: int = 10) -> str:
    shown = ", ".join(str(name) for name in list(names)[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _number(value: float) -> float | None:
    """JSON knows no NaN."""
    return float(value) if np.isfinite(value) else None
