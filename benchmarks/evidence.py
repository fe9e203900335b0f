"""The network stage on simulated cells whose network is known: W and S of fit_network, without the autoencoder.

    python benchmarks/evidence.py
    python benchmarks/evidence.py --json --seeds 0 1 2

Networks of 80 genes, all or 40 of them perturbed, 150 cells per perturbation, of which 64 % are training cells. Scored pairs:
perturbed source, measured target, no self-loops, no mitochondrial target (their share of a cell is drawn apart from all others,
so it does change against them when a perturbation moves the whole network). AUPRC is for *direct* edges: by the log odds of W,
by abs(W S), by the absolute mean difference and by the absolute z of Mann and Whitney's test on the same training cells.
Precision, recall and the share of right signs among the true edges found are those of W > 0.5. A false edge joins a pair
without any true path from source to target; its true rate stands beside the rate a run reports. Before that: do z scores of
pairs without an effect have normal tails, by the error that is used and by Welch's?
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.stats import norm
from simulated import mann_whitney, mean_difference, true_pairs, true_reach, true_strengths
from sklearn.metrics import average_precision_score

from gpovae_core import keys
from gpovae_core.config import DataSettings, Settings, make_settings
from gpovae_core.data.contrasts import PSEUDO_COUNT, contrasts, share_moments
from gpovae_core.data.prepare import prepare
from gpovae_core.data.schema import Panel, PanelData, PreparationReport, PreparedCells
from gpovae_core.data.simulate import CONTROL_LABEL, DOUBLET, LOW_QUALITY, Simulation, SimulationSettings, simulate
from gpovae_core.training.network_fit import false_edge_rate, fit_network

KINDS = ("chains", "forks", "feedforward", "hubs", "random")
VARIANTS: dict[str, dict[str, float]] = {
    "default": {},
    "strong": {"strength_min": 0.7, "strength_max": 1.2},
    "unmeasured": {"unmeasured_share": 0.2},
    "silent": {"silent_share": 0.5},
}
GENES, CELLS_EACH, CONTROL_SHARE = 80, 150, 0.2
THRESHOLDS = (0.5, 0.3, 0.2, 0.1, 0.05)
TAILS = (2.0, 3.0, 4.0)
MITOCHONDRIAL = "MT-"
DATA = DataSettings(pairing="exact", detect_doublets=False)
SCORES = ("log_odds", "w_s", "mean_difference", "mann_whitney")


# Tails of z -----------------------------------------------------------------------------------------------------------


def null_tails(library_median: float, seeds: list[int], genes: int = 300) -> list[dict[str, Any]]:
    """Share of z scores of pairs without an effect beyond TAILS on either side, over that of a normal; by error, all seeds together."""
    scores: dict[str, list[np.ndarray]] = {"pooled": [], "welch": []}
    for seed in seeds:
        simulation = simulate(
            SimulationSettings(
                genes=genes,
                perturbations=genes,
                cells=round(CELLS_EACH * genes / (1 - CONTROL_SHARE)),
                network="forks",
                edges_per_gene=0.2,
                library_median=library_median,
                seed=seed,
            )
        )
        prepared = without_pairing(simulation)
        observed = contrasts(prepared)
        null = observed.counted & ~true_reach(simulation, prepared)[observed.sources]
        for name, error in (("pooled", observed.error), ("welch", welch_error(prepared))):
            scores[name].append(observed.effect[null] / error[null])
    return [_tails(name, library_median, np.concatenate(values)) for name, values in scores.items()]


def without_pairing(simulation: Simulation) -> PreparedCells:
    """Good training cells only and every gene in the panel: `prepare` would match controls, for hours at this number of perturbations."""
    cells = simulation.adata[~(simulation.adata.obs[LOW_QUALITY] | simulation.adata.obs[DOUBLET])]
    labels = cells.obs[keys.PERTURBATION].astype(str).replace({CONTROL_LABEL: keys.CONTROL})
    library = np.asarray(cells.X.sum(axis=1), dtype=np.float64).ravel()
    obs = pd.DataFrame(
        {keys.PERTURBATION: labels, keys.ARTIFACT: False, keys.SPLIT: keys.TRAIN, keys.LIBRARY_SIZE: library}, cells.obs_names
    )
    names = [name for name in cells.var_names if not name.startswith(MITOCHONDRIAL)]
    panel = Panel(PanelData(perturbed=tuple(sorted(set(labels) - {keys.CONTROL})), extended=(), measured=tuple(names)))
    report = PreparationReport(
        source="simulated",
        cells_read=cells.n_obs,
        cells_kept=cells.n_obs,
        genes_measured=cells.n_vars,
        counts_from="X",
        label_column=keys.PERTURBATION,
        control_label=CONTROL_LABEL,
        perturbations={},
        control_cells=int((labels == keys.CONTROL).sum()),
    )
    return PreparedCells(AnnData(cells.X.copy(), obs=obs, var=pd.DataFrame(index=cells.var_names)), panel, report)


def welch_error(prepared: PreparedCells) -> np.ndarray:
    """(p, n) first-order standard error of the log ratio of mean shares with the variance of either group."""
    groups = [np.flatnonzero(prepared.labels == name) for name in (keys.CONTROL, *prepared.panel.data.perturbed)]
    moments = share_moments(prepared.counts, prepared.library_size, groups, prepared.panel_columns)
    pseudo = PSEUDO_COUNT / (moments.cells[:, None] * np.median(prepared.library_size))
    square = moments.variance / moments.cells[:, None] / (moments.mean + pseudo) ** 2
    return np.sqrt(np.maximum(square[1:] + square[:1], 1e-12))


def _tails(name: str, library_median: float, z: np.ndarray) -> dict[str, Any]:
    row: dict[str, Any] = {"error": name, "library_median": library_median, "pairs": len(z), "sd": float(z.std())}
    for tail in TAILS:
        row[f"below_-{tail:g}"] = float((z < -tail).mean() / norm.sf(tail))
        row[f"above_{tail:g}"] = float((z > tail).mean() / norm.sf(tail))
    return row


# Networks -------------------------------------------------------------------------------------------------------------


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
    rankings = (found.log_odds, np.abs(weights * found.strength), mean_difference(prepared), mann_whitney(prepared))
    called = pairs & (weights > THRESHOLDS[0])
    hits = called & truth
    row: dict[str, Any] = {"variant": variant, "perturbed": perturbed, "network": kind, "seed": seed, "pairs": int(pairs.sum())}
    row |= {f"auprc_{name}": average_precision(truth[pairs], ranking[pairs]) for name, ranking in zip(SCORES, rankings, strict=True)}
    row |= {"true_edges": int(truth[pairs].sum()), "edges": int(called.sum()), "hits": int(hits.sum())}
    row["signs_right"] = int((np.sign(found.strength) == np.sign(strength))[hits].sum())
    never = ~prepared.panel.is_perturbed[:, None] & (weights > THRESHOLDS[0])
    row |= {"edges_never_perturbed": int(never.sum()), "hits_never_perturbed": int((never & truth).sum())}
    row["knock_out_assumed"] = bool(found.knock_out[0])
    for threshold in THRESHOLDS:
        above = pairs & (weights > threshold)
        row[f"edges_{threshold:g}"] = int(above.sum())
        row[f"false_{threshold:g}"] = int((above & ~reach).sum())
        row[f"expected_false_{threshold:g}"] = float(false_edge_rate(found, weights, threshold)[0] * above.sum())
    return row


def average_precision(truth: np.ndarray, score: np.ndarray) -> float:
    return float(average_precision_score(truth, score)) if truth.any() else float("nan")


def summary(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """One line per variant, number of perturbed genes and kind of network: AUPRC averaged over seeds, all counts added up first."""
    table = pd.DataFrame(rows).groupby(["variant", "perturbed", "network"], sort=False)
    total, mean = table.sum(numeric_only=True), table.mean(numeric_only=True)
    result = mean[[f"auprc_{name}" for name in SCORES]].copy()
    result["precision"] = total["hits"] / total["edges"]
    result["recall"] = total["hits"] / total["true_edges"]
    result["sign_right"] = total["signs_right"] / total["hits"]
    result["never_perturbed"] = total["hits_never_perturbed"].astype(str) + "/" + total["edges_never_perturbed"].astype(str)
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="one JSON object a line: tails, then every network, then the averages")
    parser.add_argument("--networks", nargs="*", default=list(KINDS), choices=KINDS)
    parser.add_argument("--variants", nargs="+", default=list(VARIANTS), choices=list(VARIANTS))
    parser.add_argument("--perturbed", type=int, nargs="+", default=[80, 40])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--tail-seeds", type=int, nargs="*", default=[0, 1, 2])
    options = parser.parse_args()
    tails = [row for depth in (8000.0, 1500.0) if options.tail_seeds for row in null_tails(depth, options.tail_seeds)]
    if tails:
        _show("tails", pd.DataFrame(tails), options.json)
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
