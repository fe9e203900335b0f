"""What scores say as tables: one function a table, for pages, commands and reports alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from gpovae_core.evaluation.network_scores import Network
from gpovae_core.evaluation.predictions import PREDICTIONS, UNSEEN
from gpovae_core.evaluation.scores import (
    Evaluation,
    Health,
    Line,
    UnseenPerturbation,
    UnseenProtocol,
    WeightFacts,
)
from gpovae_core.evaluation.summary import NETWORK, RESPONSE
from gpovae_core.methods import registry
from gpovae_core.reporting.words import capitalised, count, number, percent, share, times

MAIN_SCORES = ("ate_rho", "median_rho", "r2")
"""The scores of predicted effects that are shown where there is room for few."""


def score_table(found: Iterable[Line]) -> pd.DataFrame:
    """One row per score: value, baseline, best method without a model, ceiling, shares of the achievable,
    what it rests on.
    """
    return pd.DataFrame(
        [
            {
                "Score": line.name + (" (less is better)" if line.lower else ""),
                "This run": number(line.value),
                "Baseline": f"{number(line.baseline)} ({line.baseline_name})",
                "Best without a model": f"{number(line.rival)} ({line.rival_name})"
                if line.rival_name
                else "",
                "Better than that": {True: "yes", False: "no", None: ""}[line.beats],
                "Ceiling": number(line.ceiling),
                "Share of the achievable": share(line.share),
                "… without a model": share(line.rival_share) if line.rival_name else "",
                "Rests on": line.amount,
                "Meaning": line.meaning,
            }
            for line in found
        ]
    )


def prediction_table(
    evaluation: Evaluation, reference: str, scores: Sequence[str] = tuple(RESPONSE)
) -> pd.DataFrame:
    """Every prediction in the scores of predicted effects, one column per prediction. reference: "test" or
    "all".
    """
    part = evaluation.against(reference)
    found = {score: part.by_prediction(score) for score in scores if part.by_prediction(score)}
    known = [one for one in PREDICTIONS if any(one.key in values for values in found.values())]
    return pd.DataFrame(
        [
            {
                "Score": RESPONSE[score][0],
                **{capitalised(one.title): number(values.get(one.key)) for one in known},
            }
            for score, values in found.items()
        ]
    )


def perturbation_table(evaluation: Evaluation, reference: str) -> pd.DataFrame:
    """One row per perturbation: Perturbation, Cells, rho of model and training mean, Ceiling; numbers, NaN
    where undefined.
    """
    rows = evaluation.against(reference).per_perturbation or ()
    return pd.DataFrame(
        {
            "Perturbation": [str(row.perturbation) for row in rows],
            "Cells": _numbers(row.cells for row in rows),
            "rho, model": _numbers(row.rho.get("model") for row in rows),
            "rho, training mean": _numbers(row.rho.get("train_mean") for row in rows),
            "Ceiling": _numbers(row.ceiling for row in rows),
        }
    )


def edges_table(network: Network | None) -> pd.DataFrame:
    """W at its threshold beside random pairs and every method with as many edges."""
    if network is None:
        return pd.DataFrame()
    same = network.at_same_edges
    others = {} if same is None else {"random": same.random, **same.methods}
    rows = []
    for key, (name, _) in NETWORK.items():
        values = {
            "W": getattr(network, key),
            **{capitalised(registry.title(method)): getattr(score, key) for method, score in others.items()},
        }
        if any(value is not None for value in values.values()):
            rows.append({"Score": name, **{label: number(value) for label, value in values.items()}})
    return pd.DataFrame(rows)


def top_table(network: Network | None, reference: str) -> pd.DataFrame:
    """The strongest pairs by every method, on held-out cells: one row per number of pairs and method; empty
    where not measured.

    reference: "as_measured" or "without_common_lift".
    """
    stage = None if network is None else network.stage
    tops = getattr(stage.rankings, reference) if stage is not None and stage.rankings is not None else ()
    return pd.DataFrame(
        [
            {
                "Strongest pairs": entry.edges,
                "Ranked by": registry.title(key),
                "Share with a significant effect": number(score.bh_share),
                "Mean Wasserstein distance": number(score.mu_wd),
            }
            for entry in tops
            for key, score in entry.methods.items()
        ]
    )


def hop_table(network: Network | None) -> pd.DataFrame:
    """Path length by path length: W at exactly that distance and up to it, and T_K with as many pairs."""
    rows = []
    for one in () if network is None else network.hops or ():
        exactly, within = one.exactly, one.within
        rows.append(
            {
                "Path length": one.hops,
                "Pairs": f"{count(exactly.pairs)}",
                "Mean distance": number(exactly.mu_wd),
                "True / false (raw p)": f"{count(exactly.true_positives)} / {count(exactly.false_positives)}",
                "True / false (BH)": (
                    f"{count(exactly.bh_true_positives)} / {count(exactly.bh_false_positives)}"
                ),
                "Pairs so far": f"{count(within.pairs)}",
                "W: distance, significant": f"{number(within.mu_wd)}, {share(within.bh_share)}",
                "T_K, as many": f"{number(one.influence.mu_wd)}, {share(one.influence.bh_share)}",
                "Random": f"{number(one.random.mu_wd)}, {share(one.random.bh_share)}",
                "Ceiling": f"{number(one.ceiling.mu_wd)}, {share(one.ceiling.bh_share)}",
                "FOR beyond": f"{number(within.omission)} of {count(within.omission_pairs)}",
            }
        )
    return pd.DataFrame(rows)


def reference_table(network: Network | None) -> pd.DataFrame:
    """Known networks: how well every method finds their edges, beside chance, shuffled references, and the
    mean difference of controls called perturbed.
    """
    return pd.DataFrame(
        [
            {
                "Reference": known.name + ("" if known.directed else " (no direction)"),
                "Usable edges": f"{count(known.edges)} of {count(known.pairs)} pairs",
                "Ranked by": registry.title(key),
                "AUPRC": number(one.auprc),
                "over chance": times(one.auprc_ratio),
                "Shuffled, mean ± sd": f"{number(one.null_auprc)} ± {number(one.null_sd)}",
                "p": number(one.p),
                "Relabelled controls": number(known.null_controls),
                "Early precision over chance": times(one.early_ratio),
            }
            for known in (() if network is None else network.references or ())
            for key, one in known.rankings.items()
        ]
    )


def truth_table(network: Network | None) -> pd.DataFrame:
    """Simulated cells: how well every method finds direct edges and ancestors."""
    truth = None if network is None else network.truth
    if truth is None:
        return pd.DataFrame()
    kinds = {"direct edges": truth.direct, "ancestors, any number of hops": truth.ancestors}
    return pd.DataFrame(
        [
            {
                "Finds": f"{words} ({count(part.edges)} of {count(part.pairs)} pairs)",
                "Ranked by": registry.title(key),
                "AUPRC": number(one.auprc),
                "over chance": times(one.auprc_ratio),
                "Early precision": number(one.early_precision),
            }
            for words, part in kinds.items()
            for key, one in part.rankings.items()
        ]
    )


def null_table(null: dict[str, Any]) -> pd.DataFrame:
    """What `gpovae null` found: edges among relabelled controls beside the run's own."""
    return pd.DataFrame(
        [
            {
                "W above": number(row["threshold"], 2),
                "Edges with relabelled controls": f"{count(row['edges'])} of {count(row['pairs'])} pairs",
                "Edges of this run": f"{count(row['run_edges'])}" if "run_edges" in row else "",
                "As a share of this run's edges": share(row.get("estimated_false_edge_rate")),
            }
            for row in null.get("thresholds") or []
        ]
    )


def false_edge_table(network: Network | None, null: dict[str, Any]) -> pd.DataFrame:
    """threshold, estimated_false_edge_rate: from the evaluation, else from what `gpovae null` found; empty
    where neither has it.
    """
    stage = None if network is None else network.stage
    rows = [] if stage is None else [vars(row) for row in stage.false_edges or ()]
    rows = rows or [row for row in null.get("thresholds") or [] if isinstance(row, dict)]
    names = ("threshold", "estimated_false_edge_rate")
    return pd.DataFrame({name: _numbers(row.get(name) for row in rows) for name in names})


def health_table(evaluation: Evaluation) -> pd.DataFrame:
    """What the health report measured: one row each, with the value and how to read it; empty where it was
    not measured.
    """
    health = evaluation.health
    if health is None:
        return pd.DataFrame()
    rows = [*_basal_facts(health), *(_facts_of_w(health.w) if health.w is not None else ())]
    if evaluation.network is not None:
        rows += _null_facts(evaluation)
    return pd.DataFrame(rows, columns=pd.Index(["Measured", "Value", "How to read it"]))


def _basal_facts(health: Health) -> list[tuple[str, str, str]]:
    return [
        (
            "Latent dimensions in use",
            f"{number(health.active_latent)} of {number(health.latent)}",
            "0: the basal state has collapsed",
        ),
        (
            "Mean norm of a perturbation's offset",
            number(health.offset_norm),
            "0: the decoder is told nothing of the perturbation",
        ),
    ]


def _facts_of_w(w: WeightFacts) -> list[tuple[str, str, str]]:
    return [
        (
            "W, mean and standard deviation",
            f"{number(w.mean)}, {number(w.sd)}",
            "all of W",
        ),
        (
            "W above 0.5, rows of perturbed genes",
            percent(w.above_half_perturbed_rows),
            "rows with direct evidence",
        ),
        (
            "W above 0.5, rows never perturbed",
            percent(w.above_half_other_rows),
            "rows without direct evidence",
        ),
    ]


def _null_facts(evaluation: Evaluation) -> list[tuple[str, str, str]]:
    null, network = evaluation.alignment_null, evaluation.network
    if null is None:
        at = number(network and network.threshold, 2)
        rate = network.estimated_false_edge_rate if network is not None else None
        return [
            (
                f"Estimated share of false edges, W above {at}",
                percent(rate),
                "no effect at all; from controls",
            )
        ]
    return [
        (
            f"Pairs whose median difference passes {number(null.cut, 2)}",
            percent(null.real),
            "by the alignment alone",
        ),
        (
            "The same with controls relabelled as perturbed",
            percent(null.null),
            "noise: should be far below the row above",
        ),
    ]


UNSEEN_SCORES = {
    "rho": "rho, pooled",
    "median_rho": "rho, median of perturbations",
    "rmse": "root mean square error",
}
UNSEEN_PARTS = {
    "pooled": "All held-out perturbations",
    "with_known_path": "Those that some training perturbation moves",
}


def unseen_table(found: UnseenProtocol) -> pd.DataFrame:
    """rho and error of the network beside the baselines and the ceiling; a field stays empty where a method
    has no such score.
    """
    rows = []
    for key, words in UNSEEN_PARTS.items():
        part = getattr(found, key)
        for score, label in UNSEEN_SCORES.items():
            values = {} if part is None else getattr(part, score)
            rows.append(
                {
                    "Perturbations": f"{words} ({count(part and part.perturbations)})",
                    "Score": label,
                    **{
                        capitalised(title): number(values[method])
                        if method in values and not _has_no_rho(method, score)
                        else ""
                        for method, title in UNSEEN.items()
                    },
                }
            )
    table = pd.DataFrame(rows)
    return table.loc[:, (table != "").any()]


def _has_no_rho(method: str, score: str) -> bool:
    """No effect is constant, so its correlation is not defined, whatever the cells."""
    return method == "no_effect" and score != "rmse"


def held_out_table(found: Sequence[UnseenPerturbation] | None) -> pd.DataFrame:
    """Every held-out perturbation with its scores; the untrained row only where a model was trained without
    it.
    """
    rows = found or ()
    table = pd.DataFrame(
        {
            "Perturbation": [str(row.perturbation) for row in rows],
            "Cells": [row.cells for row in rows],
            "Perturbations that move it": [row.moved_by for row in rows],
            "rho, answer": [row.rho.get("network") for row in rows],
            "rho, untrained row": [row.rho.get("autoencoder") for row in rows],
            "rho, mean over perturbations": [row.rho.get("perturbation_mean") for row in rows],
            "Ceiling": [row.ceiling for row in rows],
        }
    )
    trained = any("autoencoder" in row.rho for row in rows)
    return table if trained else table.drop(columns="rho, untrained row")


def _numbers(values: Iterable[float | None]) -> pd.Series:
    found: Any = pd.to_numeric(pd.Series(list(values), dtype=object))
    return found
