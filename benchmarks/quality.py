"""What the choice of the default preset rests on: every preset on real and simulated screens, with baselines,
ceilings and nulls.

    python benchmarks/quality.py --json --presets evidence --seeds 0 1 2

One line of JSON per preset, data set and seed: scores on held-out cells, the network at its threshold and at
equal numbers of edges, the null of relabelled controls, time per epoch; for simulated data also how well the
true direct edges are found. Real data is looked for in GPOVAE_DATA_DIR, or beside the project in
../shared/data. The seed is that of split, weights, batches and draws.

    python benchmarks/quality.py --table rows.jsonl      # such lines as a table: mean over seeds, and the
    seeds

"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit
from simulated import mann_whitney, mean_difference, true_pairs
from sklearn.metrics import average_precision_score

from gpovae_core.config import PRESETS, Settings, make_settings
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.simulate import Simulation, SimulationSettings, simulate
from gpovae_core.effects.nulls import null_screen
from gpovae_core.evaluation.held_out import held_out_pairs
from gpovae_core.evaluation.network_scores import Network
from gpovae_core.evaluation.plain import to_plain
from gpovae_core.evaluation.stored import read_evaluation
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.methods.network_fit import fit_network
from gpovae_core.runs.folder import RunFolder
from gpovae_core.workflow import score_run, start_run

REAL = {"schraivogel": "schraivogel2020_tapseq_k562.h5ad", "papalexi": "papalexi2021_thp1.h5ad"}
SIMULATED: dict[str, dict[str, Any]] = {
    "hubs": {"network": "hubs", "genes": 80, "perturbations": 80, "cells": 15000},
    "chains": {"network": "chains", "genes": 80, "perturbations": 80, "cells": 15000},
    "dense": {"network": "random", "genes": 40, "perturbations": 40, "cells": 8000, "edges_per_gene": 2.0},
}


def one(
    name: str, preset: str, seed: int, changes: dict[str, dict[str, Any]], keep: Path | None
) -> dict[str, Any]:
    """One data set, one training: a row."""
    own = {section: dict(fields) for section, fields in changes.items()}
    for section in ("data", "training"):
        own.setdefault(section, {})["seed"] = seed
    settings = make_settings(preset, own)
    with tempfile.TemporaryDirectory() as folder:
        source, simulation = data_source(name, seed, Path(folder))
        began = time.monotonic()
        place = (keep or Path(folder)) / f"{name}-{preset}-{seed}"
        if (place / "evaluation.json").exists():
            run = RunFolder.open(place)
            score_run(run)
        else:
            run = start_run(source, place, settings)
        row = {
            "data": name,
            "preset": preset,
            "seed": seed,
            "changes": changes,
            "seconds": time.monotonic() - began,
            **_scores(run),
        }
        if run.without_network:
            return row
        prepared = run.cells()
        row |= _null(prepared, run, settings)
        if simulation is not None:
            row |= _truth(simulation, prepared, run)
    return row


def data_source(name: str, seed: int, folder: Path) -> tuple[Path, Simulation | None]:
    if name in REAL:
        data = Path(os.environ.get("GPOVAE_DATA_DIR", Path(__file__).parents[2] / "shared" / "data"))
        return data / REAL[name], None
    simulation = simulate(SimulationSettings(seed=seed, **SIMULATED[name]))
    path = folder / f"{name}.h5ad"
    simulation.write(path)
    return path, simulation


def _scores(run: RunFolder) -> dict[str, Any]:
    scores, metrics = read_evaluation(run), run.metrics()
    assert scores is not None
    assert scores.health is not None
    held_out = scores.against("test")
    own = {} if scores.network is None else _network_scores(scores.network)
    return {
        "epochs": len(metrics),
        "best_epoch": run.status().best_epoch,
        "seconds_per_epoch": float(metrics["seconds"].median()),
        "ate_rho": held_out.ate_rho,
        "median_rho": held_out.median_rho,
        "active_latent": scores.health.active_latent,
        "offset_norm": scores.health.offset_norm,
        **own,
    }


def _network_scores(network: Network) -> dict[str, Any]:
    stage, matched = network.stage, network.matched
    assert matched is not None
    return {
        "network": {
            "edges": network.edges,
            "pairs": network.pairs,
            "mu_wd": network.mu_wd,
            "bh_share": network.bh_share,
            "at_same_edges": to_plain(network.at_same_edges),
            "for": network.omission,
            "estimated_false_edge_rate": network.estimated_false_edge_rate,
        },
        "rankings": None if stage is None else to_plain(stage.rankings),
        "matched": {"edges": list(matched.edges), "as_measured": to_plain(matched.as_measured)},
        "lift_by_network": None if stage is None else stage.lift_by_network,
    }


def _null(prepared: PreparedCells, run: RunFolder, settings: Settings) -> dict[str, Any]:
    """Edges of relabelled controls, and how many of the strongest pairs are also the null's. Only where W
    needs no training.
    """
    weights = run.edge_probabilities()
    other = ~prepared.panel.is_perturbed
    row: dict[str, Any] = {
        "edges_of_unperturbed_genes": int((weights[other] > settings.evaluation.threshold).sum())
    }
    if settings.model.network != "evidence":
        return row
    null = fit_network(null_screen(prepared, settings), settings)
    pairs = held_out_pairs(prepared)
    place = np.ix_(
        [prepared.panel.index[g] for g in pairs.sources], [prepared.panel.index[g] for g in pairs.targets]
    )
    fit = NetworkFit.from_arrays(run.network_arrays())
    best = [set(_best(values[place], pairs.evaluated, 50)) for values in (fit.log_odds, null.log_odds)]
    edges = (expit(null.log_odds)[place] > settings.evaluation.threshold) & pairs.evaluated
    return row | {
        "null_share": float(edges.sum() / pairs.evaluated.sum()),
        "top50_shared_with_null": len(best[0] & best[1]) / 50,
    }


RANKINGS = {
    "w": "W",
    "influence": "T_K",
    "model": "predicted effects",
    "mean_difference": "mean difference",
    "z": "z score",
    "random": "random pairs",
}


def _ranked(top: int, key: str, score: str) -> Callable[[dict[str, Any]], float | None]:
    """Figure of a ranking at `top` edges, as measured; None for what a preset without the network stage does
    not rank by.
    """

    def figure(row: dict[str, Any]) -> float | None:
        if "matched" not in row:
            return None
        entries = (row["rankings"] or {}).get("as_measured", [])
        curve = row["matched"]["as_measured"].get(key)
        others = [curve[score][row["matched"]["edges"].index(top)]] if curve else [None]
        return next(
            (entry[key][score] for entry in entries if entry["edges"] == top and key in entry), *others
        )

    return figure


def _best(ranking: np.ndarray, counted: np.ndarray, top: int) -> list[int]:
    values = np.where(counted, ranking, -np.inf).ravel()
    return np.argsort(-values, kind="stable")[:top].tolist()


def _truth(simulation: Simulation, prepared: PreparedCells, run: RunFolder) -> dict[str, Any]:
    truth, scored = true_pairs(simulation, prepared)
    weights = run.mask_logits().astype(np.float64)
    found = (expit(weights) > 0.5) & scored
    rankings = {
        "w": weights,
        "mean_difference": mean_difference(prepared),
        "mann_whitney": mann_whitney(prepared),
    }
    return {
        "true_edges": int(truth[scored].sum()),
        "prevalence": float(truth[scored].mean()),
        "auprc": {
            key: float(average_precision_score(truth[scored], values[scored]))
            for key, values in rankings.items()
        },
        "precision": float(truth[found].mean()) if found.any() else None,
        "recall": float(found[truth & scored].mean()),
    }


FIGURES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "epochs": lambda row: row["epochs"],
    "active latent dimensions": lambda row: row["active_latent"],
    "ATE-rho, model": lambda row: row["ate_rho"]["model"],
    "ATE-rho, calibrated": lambda row: row["ate_rho"]["calibrated"],
    "ATE-rho, training mean": lambda row: row["ate_rho"]["train_mean"],
    "ATE-rho, ceiling": lambda row: row["ate_rho"]["ceiling"],
    "median rho, model": lambda row: row["median_rho"]["model"],
    "median rho, training mean": lambda row: row["median_rho"]["train_mean"],
    "edges at the threshold": lambda row: row.get("network", {}).get("edges"),
    "false edges among them, estimated": lambda row: row.get("network", {}).get("estimated_false_edge_rate"),
    "share of null pairs above the threshold": lambda row: row.get("null_share"),
    "of the 50 strongest, also the null's": lambda row: row.get("top50_shared_with_null"),
    "edges of genes never perturbed": lambda row: row.get("edges_of_unperturbed_genes"),
    **{
        f"BH share of top {top}, {name}": _ranked(top, key, "bh_share")
        for top in (50, 100)
        for key, name in RANKINGS.items()
    },
    **{
        f"muWD of top {top}, {name}": _ranked(top, key, "mu_wd")
        for top in (50, 100)
        for key, name in RANKINGS.items()
    },
    "AUPRC of direct edges, W": lambda row: row.get("auprc", {}).get("w"),
    "AUPRC of direct edges, mean difference": lambda row: row.get("auprc", {}).get("mean_difference"),
    "AUPRC of direct edges, Mann-Whitney": lambda row: row.get("auprc", {}).get("mann_whitney"),
    "prevalence of direct edges": lambda row: row.get("prevalence"),
    "precision at the threshold": lambda row: row.get("precision"),
    "recall at the threshold": lambda row: row.get("recall"),
}


def table(rows: list[dict[str, Any]]) -> str:
    """Markdown: a figure a line, a column per data set and preset."""
    columns = list(dict.fromkeys((row["data"], row["preset"]) for row in rows))
    lines = [
        "| | " + " | ".join(f"{data}, `{preset}`" for data, preset in columns) + " |",
        "|---|" + "---|" * len(columns),
    ]
    for name, figure in FIGURES.items():
        cells = [
            _over_seeds([figure(row) for row in rows if (row["data"], row["preset"]) == column])
            for column in columns
        ]
        if any(cells):
            lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _over_seeds(values: list[float | None]) -> str:
    """Mean, and the single values where there are several; empty where there is none."""
    known = [value for value in values if value is not None]
    if not known:
        return ""
    digits = 0 if all(float(value).is_integer() and abs(value) > 1 for value in known) else 3
    each = ", ".join(f"{value:.{digits}f}" for value in known)
    return f"{np.mean(known):.{digits}f} ({each})" if len(known) > 1 else each


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--data", nargs="+", default=[*REAL, *SIMULATED], choices=[*REAL, *SIMULATED])
    parser.add_argument("--presets", nargs="+", default=list(PRESETS), choices=list(PRESETS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--set",
        dest="changes",
        type=json.loads,
        default={},
        help='settings on top, e.g. \'{"training": {"epochs": 5}}\'',
    )
    parser.add_argument(
        "--keep",
        type=Path,
        help="folder to keep the runs in; a run that is there already is scored again, not trained",
    )
    parser.add_argument(
        "--table", type=Path, metavar="FILE", help="only print the lines of JSON in FILE as a table"
    )
    options = parser.parse_args()
    if options.table:
        print(table([json.loads(line) for line in options.table.read_text().splitlines()]))
        return
    for name in options.data:
        for preset in options.presets:
            for seed in options.seeds:
                row = one(name, preset, seed, options.changes, options.keep)
                print(json.dumps(row) if options.json else row, flush=True)


if __name__ == "__main__":
    main()
