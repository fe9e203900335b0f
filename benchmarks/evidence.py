"""The network stage on simulated cells whose network is known: W and S of fit_network, without the
autoencoder.

    python benchmarks/evidence.py
    python benchmarks/evidence.py --json --seeds 0 1 2

Networks of 80 genes, all or 40 of them perturbed, 150 cells per perturbation, of which 64 % are training
cells. Scored pairs: perturbed source, measured target, no self-loops, no mitochondrial target (their share of
a cell is drawn apart from all others, so it does change against them when a perturbation moves the whole
network). AUPRC is for *direct* edges: by the log odds of W, by abs(W S), by the absolute mean difference and
by the absolute z of Mann and Whitney's test on the same training cells. Precision, recall and the share of
right signs among the true edges found are those of W > 0.5. A false edge joins a pair without any true path
from source to target; its true rate stands beside the rate a run reports. Edges are closed where no gene that
was never perturbed can carry them (no open detours, see network.detours), else open.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from simulated import mann_whitney, mean_difference, true_pairs, true_reach, true_strengths
from sklearn.metrics import average_precision_score

from gpovae_core.config import DataSettings, Settings, make_settings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.simulate import SimulationSettings, simulate
from gpovae_core.methods.false_edges import false_edge_rate
from gpovae_core.methods.network_fit import fit_network
from gpovae_core.network.detours import open_detours

KINDS = ("chains", "forks", "feedforward", "hubs", "random")
VARIANTS: dict[str, dict[str, float]] = {
    "default": {},
    "strong": {"strength_min": 0.7, "strength_max": 1.2},
    "unmeasured": {"unmeasured_share": 0.2},
    "silent": {"silent_share": 0.5},
    "shallow": {"library_median": 300.0},
    "shallow-strong": {"library_median": 300.0, "strength_min": 0.7, "strength_max": 1.2},
}
GENES, CELLS_EACH, CONTROL_SHARE = 80, 150, 0.2
THRESHOLDS = (0.5, 0.3, 0.2, 0.1, 0.05)
MITOCHONDRIAL = "MT-"
DATA = DataSettings(pairing="exact", detect_doublets=False)
SCORES = ("log_odds", "w_s", "mean_difference", "mann_whitney")


def one(kind: str, variant: str, perturbed: int, seed: int, settings: Settings) -> dict[str, Any]:
    """One simulated network: the figures of a row."""
    simulation = simulate(
        SimulationSettings(
            network=kind,  # type: ignore[arg-type]
            genes=GENES,
            perturbations=perturbed,
            cells=round(CELLS_EACH * perturbed / (1 - CONTROL_SHARE)),
            control_share=CONTROL_SHARE,
            seed=seed,
            **VARIANTS[variant],  # type: ignore[arg-type]
        )
    )
    prepared = prepare(simulation.adata, DATA)
    found = fit_network(prepared, settings)
    weights = 1 / (1 + np.exp(-found.log_odds))
    truth, pairs = true_pairs(simulation, prepared)
    pairs &= ~np.array([gene.startswith(MITOCHONDRIAL) for gene in prepared.panel.genes])
    reach, strength = true_reach(simulation, prepared), true_strengths(simulation, prepared)
    rankings = (
        found.log_odds,
        np.abs(weights * found.strength),
        mean_difference(prepared),
        mann_whitney(prepared),
    )
    called = pairs & (weights > THRESHOLDS[0])
    hits = called & truth
    row: dict[str, Any] = {
        "variant": variant,
        "perturbed": perturbed,
        "network": kind,
        "seed": seed,
        "pairs": int(pairs.sum()),
    }
    row |= {
        f"auprc_{name}": average_precision(truth[pairs], ranking[pairs])
        for name, ranking in zip(SCORES, rankings, strict=True)
    }
    row |= {"true_edges": int(truth[pairs].sum()), "edges": int(called.sum()), "hits": int(hits.sum())}
    row["signs_right"] = int((np.sign(found.strength) == np.sign(strength))[hits].sum())
    never = ~prepared.panel.is_perturbed[:, None] & (weights > THRESHOLDS[0])
    row |= {"edges_never_perturbed": int(never.sum()), "hits_never_perturbed": int((never & truth).sum())}
    detours = open_detours(np.abs(weights * found.strength), weights, prepared.panel.is_perturbed)
    row |= {
        "edges_closed": int((called & (detours == 0)).sum()),
        "hits_closed": int((hits & (detours == 0)).sum()),
    }
    row["knock_out_assumed"] = bool(found.knock_out[0])
    for threshold in THRESHOLDS:
        above = pairs & (weights > threshold)
        row[f"edges_{threshold:g}"] = int(above.sum())
        row[f"false_{threshold:g}"] = int((above & ~reach).sum())
        row[f"expected_false_{threshold:g}"] = float(
            false_edge_rate(found, weights, threshold)[0] * above.sum()
        )
    return row


def average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    return float(average_precision_score(truth, score)) if truth.any() else float("nan")


def summary(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """One line per variant, number of perturbed genes and kind of network: AUPRC averaged over seeds, all
    counts added up first.
    """
    table = pd.DataFrame(rows).groupby(["variant", "perturbed", "network"], sort=False)
    total, mean = table.sum(numeric_only=True), table.mean(numeric_only=True)
    result = mean[[f"auprc_{name}" for name in SCORES]].copy()
    result["precision"] = total["hits"] / total["edges"]
    result["closed"] = total["edges_closed"] / total["edges"]
    result["precision_closed"] = total["hits_closed"] / total["edges_closed"]
    result["precision_open"] = (total["hits"] - total["hits_closed"]) / (
        total["edges"] - total["edges_closed"]
    )
    result["recall"] = total["hits"] / total["true_edges"]
    result["sign_right"] = total["signs_right"] / total["hits"]
    result["never_perturbed"] = (
        total["hits_never_perturbed"].astype(str) + "/" + total["edges_never_perturbed"].astype(str)
    )
    for threshold in THRESHOLDS:
        result[f"false_{threshold:g}"] = total[f"false_{threshold:g}"] / total[f"edges_{threshold:g}"]
        result[f"est_{threshold:g}"] = total[f"expected_false_{threshold:g}"] / total[f"edges_{threshold:g}"]
    return result.reset_index()


def networks(options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    settings = make_settings("evidence")
    for variant in options.variants:
        for perturbed in options.perturbed:
            for kind in options.networks:
                for seed in options.seeds:
                    yield one(kind, variant, perturbed, seed, settings)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--json", action="store_true", help="one JSON object a line: every network, then the averages"
    )
    parser.add_argument("--networks", nargs="*", default=list(KINDS), choices=KINDS)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--perturbed", type=int, nargs="+", default=[80, 40])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    options = parser.parse_args()
    rows = []
    for row in networks(options):
        rows.append(row)
        if options.json:
            print(json.dumps({"kind": "network", **row}), flush=True)
    if rows:
        _show("summary", summary(rows), options.json)


def _show(kind: str, table: pd.DataFrame, as_json: bool) -> None:
    if as_json:
        for line in table.to_dict("records"):
            print(json.dumps({"kind": kind, **line}), flush=True)
    else:
        print(table.to_string(index=False, float_format=lambda x: f"{x:.3f}"), flush=True)


if __name__ == "__main__":
    main()
