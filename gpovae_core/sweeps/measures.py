"""What a sweep measures of every run: scores on held-out cells with their baselines and ceilings, and what W
looks like.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpovae_core.errors import RunError
from gpovae_core.evaluation.held_out import held_out_pairs
from gpovae_core.evaluation.network import score_edges, top_pairs
from gpovae_core.evaluation.scores import Evaluation
from gpovae_core.evaluation.stored import read_evaluation
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.runs.folder import RunFolder

Values = dict[str, float | None]


@dataclass(frozen=True)
class Measure:
    """title: in words, for a table; baseline, ceiling: measures to show beside it; whole: a count."""

    title: str
    baseline: str | None = None
    ceiling: str | None = None
    whole: bool = False


MEASURES: dict[str, Measure] = {
    "ate_rho": Measure("ATE-rho", "ate_rho_train_mean", "ate_rho_ceiling"),
    "ate_rho_train_mean": Measure("ATE-rho of the training mean"),
    "ate_rho_ceiling": Measure("Ceiling of ATE-rho"),
    "ate_rho_calibrated": Measure("ATE-rho, calibrated", "ate_rho_train_mean", "ate_rho_ceiling"),
    "median_rho": Measure("Median rho of perturbations", "median_rho_train_mean", "median_rho_ceiling"),
    "median_rho_train_mean": Measure("Median rho of the training mean"),
    "median_rho_ceiling": Measure("Ceiling of the median rho"),
    "rho_unseen": Measure("rho on unseen perturbations", "rho_unseen_mean"),
    "rho_unseen_autoencoder": Measure(
        "rho of the autoencoder's own answer, on unseen ones", "rho_unseen_mean"
    ),
    "rho_unseen_mean": Measure("rho of the mean over trained perturbations, on unseen ones"),
    "mu_wd_top": Measure("muWD of the strongest edges", "mu_wd_top_difference", "mu_wd_top_best"),
    "mu_wd_top_difference": Measure("muWD of as many by mean difference"),
    "mu_wd_top_influence": Measure(
        "muWD of the strongest influences T_K", "mu_wd_top_difference", "mu_wd_top_best"
    ),
    "mu_wd_top_best": Measure("muWD of as many of the largest distances"),
    "bh_share_top": Measure("Significant share of the strongest edges", "bh_share_top_difference"),
    "bh_share_top_difference": Measure("Significant share of as many by mean difference"),
    "mu_wd_random": Measure("muWD of random pairs"),
    "bh_share_random": Measure("Significant share of random pairs"),
    "mu_wd": Measure("muWD of the edges", "mu_wd_random"),
    "bh_share": Measure("Significant share of the edges", "bh_share_random"),
    "for": Measure("False omission rate", "bh_share_random"),
    "false_edge_rate": Measure("Estimated false-edge rate"),
    "edges": Measure("Edges from perturbed genes", whole=True),
    "edges_other": Measure("Edges from genes never perturbed", whole=True),
    "w_other": Measure("Mean W of genes never perturbed"),
    "w_other_moved": Measure("Largest distance of their W from 0.5"),
    "epochs": Measure("Epochs", whole=True),
    "seconds": Measure("Training time (s)"),
}
"""What can be an objective, by name."""


def measure_run(run: RunFolder, top: int) -> Values:
    """Every measure of a scored run; None where it is not defined. top: strongest edges by which networks are
    compared, or all pairs. Raises RunError where the run was not scored.
    """
    scores = read_evaluation(run)
    if scores is None:
        if run.without_cells:
            raise RunError(run.without_cells)
        raise RunError(f"Run '{run.name}' has no scores yet. Score it: gpovae evaluate {run.path}")
    values: Values = dict.fromkeys(MEASURES)
    values |= _held_out(scores) | _network(scores) | _unseen(scores)
    if not run.without_network:
        values |= _at_equal_edges(run, top) | _shape_of_w(run)
    metrics = run.metrics()
    values |= (
        {"epochs": float(len(metrics)), "seconds": float(metrics["seconds"].sum())} if len(metrics) else {}
    )
    return {
        name: None if value is None or not np.isfinite(value) else float(value)
        for name, value in values.items()
    }


def _held_out(scores: Evaluation) -> Values:
    found: Values = {}
    for key in ("ate_rho", "median_rho"):
        values = scores.against("test").by_prediction(key)
        found |= {
            key: values.get("model"),
            f"{key}_train_mean": values.get("train_mean"),
            f"{key}_ceiling": values.get("ceiling"),
        }
    return found | {"ate_rho_calibrated": scores.against("test").by_prediction("ate_rho").get("calibrated")}


def _network(scores: Evaluation) -> Values:
    network = scores.network
    if network is None:
        return {}
    return {
        "mu_wd": network.mu_wd,
        "bh_share": network.bh_share,
        "for": network.omission,
        "false_edge_rate": network.estimated_false_edge_rate,
    }


def _at_equal_edges(run: RunFolder, top: int) -> Values:
    """The strongest pairs by W, by T_K, by the plain mean difference of training cells, and those that are
    best on the held-out cells.
    """
    prepared, network = run.cells(), GeneNetwork.from_run(run)
    pairs = held_out_pairs(prepared)
    index = prepared.panel.index
    place = np.ix_([index[gene] for gene in pairs.sources], [index[gene] for gene in pairs.targets])
    count = min(top, int(pairs.evaluated.sum()))
    rankings = {
        "": run.mask_logits()[place],
        "_influence": network.influence_network(run.settings().loss.shown_hops).weights[place],
        "_difference": np.abs(network.effects[place]),
        "_best": pairs.wasserstein,
    }
    found: Values = {}
    for name, ranking in rankings.items():
        score = score_edges(pairs, top_pairs(pairs, ranking, count))
        found |= {f"mu_wd_top{name}": score.mu_wd, f"bh_share_top{name}": score.bh_share}
    random = score_edges(pairs, pairs.evaluated)
    found |= {"mu_wd_random": random.mu_wd, "bh_share_random": random.bh_share}
    return {name: value for name, value in found.items() if name in MEASURES}


def _shape_of_w(run: RunFolder) -> Values:
    """How many edges there are above the run's threshold, and whether the rows of genes never perturbed have
    left 0.5 at all.
    """
    weights, perturbed = run.edge_probabilities(), run.panel().is_perturbed
    off = ~np.eye(len(weights), dtype=bool)
    edges = (weights > run.settings().evaluation.threshold) & off
    found: Values = {"edges": float(edges[perturbed].sum()), "edges_other": float(edges[~perturbed].sum())}
    other = weights[~perturbed][off[~perturbed]]
    return found | (
        {"w_other": float(other.mean()), "w_other_moved": float(np.abs(other - 0.5).max())}
        if len(other)
        else {}
    )


def _unseen(scores: Evaluation) -> Values:
    """Pearson over all entries of perturbations held out as a whole, their own genes left out
    (evaluation.unseen).
    """
    part = scores.unseen.pooled if scores.unseen is not None else None
    if part is None:
        return {}
    names = {
        "rho_unseen": "network",
        "rho_unseen_autoencoder": "autoencoder",
        "rho_unseen_mean": "perturbation_mean",
    }
    return {measure: part.rho.get(method) for measure, method in names.items()}
