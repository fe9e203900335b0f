"""Does W rank the true edges of simulated networks above the others? AUPRC over prevalence, per preset and
seed.

    python benchmarks/recovery.py --json

Pairs: perturbed source, measured target, no self-loops. Beside W: the absolute mean difference and the
absolute z of Mann and Whitney's test on training cells (the simplest rankings there are), and W's rank
correlation with the first. A ratio of 1 is chance. The network of the preset `evidence` is fitted before its
autoencoder: for it one epoch will do.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

from scipy.stats import spearmanr
from simulated import mann_whitney, mean_difference, true_pairs
from sklearn.metrics import average_precision_score

from gpovae_core.config import make_settings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.simulate import SimulationSettings, simulate
from gpovae_core.runs.folder import DataSource, RunFolder
from gpovae_core.training.fit import fit


def one(
    kind: str, preset: str, seed: int, epochs: int, size: dict[str, int], loss: dict[str, object]
) -> dict[str, Any]:
    """One simulated network, one training: the figures of a row. loss: settings on top of the preset's."""
    simulation = simulate(SimulationSettings(network=kind, seed=seed, **size))  # type: ignore[arg-type]
    settings = make_settings(
        preset, {"training": {"epochs": epochs, "seed": seed}, "data": {"seed": seed}, "loss": loss}
    )
    prepared = prepare(simulation.adata, settings.data)
    with tempfile.TemporaryDirectory() as folder:
        run = RunFolder.create(Path(folder) / "run", settings, DataSource(path="simulated", simulated=True))
        run.write_cells(prepared)
        fit(run, prepared, settings)
        logits, epoch = (
            run.mask_logits(),
            run.status().best_epoch,
        )  # W rises with them, and has ties near 0 and 1
    truth, pairs = true_pairs(simulation, prepared)
    difference = mean_difference(prepared)
    prevalence = float(truth[pairs].mean())
    rankings = {"w": logits, "mean_difference": difference, "mann_whitney": mann_whitney(prepared)}
    score = {
        name: float(average_precision_score(truth[pairs], values[pairs])) for name, values in rankings.items()
    }
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
        "mean_difference_auprc": score["mean_difference"],
        "mean_difference_over_prevalence": score["mean_difference"] / prevalence,
        "mann_whitney_auprc": score["mann_whitney"],
        "rank_correlation_with_mean_difference": float(spearmanr(logits[pairs], difference[pairs]).statistic),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--networks", nargs="+", default=["mixed"])
    parser.add_argument("--presets", nargs="+", default=["released", "paper"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=150)
    parser.add_argument("--alignment", type=float, help="weight of the alignment in place of the preset's")
    parser.add_argument("--genes", type=int, default=60)
    parser.add_argument("--perturbations", type=int, default=30)
    parser.add_argument("--cells", type=int, default=6000)
    parser.add_argument("--norms", choices=["mean", "sum"], help="how the two terms add up, likewise")
    options = parser.parse_args()
    size = {"genes": options.genes, "perturbations": options.perturbations, "cells": options.cells}
    given = {"alignment": options.alignment, "norms": options.norms}
    loss: dict[str, object] = {name: value for name, value in given.items() if value is not None}
    rows = []
    for seed in options.seeds:
        for kind in options.networks:
            for preset in options.presets:
                rows.append(one(kind, preset, seed, options.epochs, size, loss))
                print(json.dumps(rows[-1]) if options.json else rows[-1], flush=True)


if __name__ == "__main__":
    main()
