"""Does W rank the true edges of simulated networks above the others? AUPRC over prevalence, per preset and seed.

    python benchmarks/recovery.py --json

Pairs: perturbed source, measured target, no self-loops. Beside W: the absolute mean difference on training cells (the simplest
ranking there is), and W's rank correlation with it. A ratio of 1 is chance.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr
from simulated import mean_difference, true_pairs
from sklearn.metrics import average_precision_score

from gpovae_core.config import make_settings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.simulate import SimulationSettings, simulate
from gpovae_core.training.fit import fit
from gpovae_core.training.runs import DataSource, RunFolder


def one(kind: str, preset: str, seed: int, epochs: int, size: dict[str, int], loss: dict[str, object]) -> dict[str, Any]:
    """One simulated network, one training: the figures of a row. loss: settings on top of the preset's."""
    simulation = simulate(SimulationSettings(network=kind, seed=seed, **size))  # type: ignore[arg-type]
    settings = make_settings(preset, {"training": {"epochs": epochs, "seed": seed}, "data": {"seed": seed}, "loss": loss})
    prepared = prepare(simulation.adata, settings.data)
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder.create(Path(folder) / "run", settings, DataSource(path="simulated", simulated=True))
        run.write_cells(prepared)
        fit(run, prepared, settings)
        weights, epoch = run.edge_probabilities(), run.status().best_epoch
    truth, pairs = true_pairs(simulation, prepared)
    difference = mean_difference(prepared)
    prevalence = float(truth[pairs].mean())
    score = {name: float(average_precision_score(truth[pairs], values[pairs])) for name, values in (("w", weights), ("md", difference))}
    return {
        "network": kind,
        "preset": preset,
        **loss,
        "seed": seed,
        "epochs": epochs,
        "best_epoch": epoch,
        "true_edges": int(truth[pairs].sum()),
        "pairs": int(pairs.sum()),
        "auprc": score["w"],
        "auprc_over_prevalence": score["w"] / prevalence,
        "mean_difference_auprc": score["md"],
        "mean_difference_over_prevalence": score["md"] / prevalence,
        "rank_correlation_with_mean_difference": float(spearmanr(weights[pairs], difference[pairs]).statistic),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--networks", nargs="+", default=["mixed"])
    parser.add_argument("--presets", nargs="+", default=["released", "paper"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--alignment", type=float, help="weight of the alignment in place of the preset's")
    parser.add_argument("--genes", type=int, default=60)
    parser.add_argument("--perturbations", type=int, default=30)
    parser.add_argument("--cells", type=int, default=6000)
    options = parser.parse_args()
    size = {"genes": options.genes, "perturbations": options.perturbations, "cells": options.cells}
    loss: dict[str, object] = {} if options.alignment is None else {"alignment": options.alignment}
    rows = []
    for kind in options.networks:
        for preset in options.presets:
            for seed in options.seeds:
                rows.append(one(kind, preset, seed, options.epochs, size, loss))
                print(json.dumps(rows[-1]) if options.json else rows[-1], flush=True)


if __name__ == "__main__":
    main()
