"""The held-out test of a pair whose source is knocked down in some cells and activated in others: how often
it errs, and what it finds, beside the test of either direction alone.

    python benchmarks/both_directions.py --networks 4

Simulated screens, every perturbed gene in both directions. Null: controls in the place of all perturbed cells
(effects.nulls.null_screen). Found: share with an adjusted p below 0.05 of the pairs with a path from source
to target, and of direct edges; AUPRC: of direct edges, pairs ranked by p.
"""

from __future__ import annotations

import argparse

import numpy as np
from scipy import stats
from sklearn.metrics import average_precision_score

from gpovae_core import keys
from gpovae_core.config import Settings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.simulate import SimulationSettings, simulate
from gpovae_core.effects.nulls import null_screen
from gpovae_core.evaluation.held_out import held_out_pairs
from gpovae_core.evaluation.known import true_pairs

WAYS = ("knock-down", "activation", "both")


def tests(
    prepared: PreparedCells,
) -> tuple[tuple[str, ...], tuple[str, ...], dict[str, np.ndarray], np.ndarray]:
    """Genes, targets, way -> p (genes, targets), and (genes, targets) bool: pairs that all three can test."""
    found = held_out_pairs(prepared)
    rows = found.by_direction
    assert rows is not None
    p = {"both": found.p}
    judged = found.evaluated.copy()
    for way, ending in (("knock-down", ""), ("activation", keys.ACTIVATED)):
        own = [rows.sources.index(gene + ending) for gene in found.sources]
        p[way] = rows.p[own]
        judged &= rows.testable[own] & np.isfinite(rows.p[own])
    return found.sources, found.targets, p, judged


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--networks", type=int, default=4)
    parser.add_argument("--cells", type=int, default=6000)
    asked = parser.parse_args()
    data = {"min_cells": 10, "pairing": "exact", "detect_doublets": False}
    settings = Settings.model_validate({"data": data})
    null: dict[str, list[np.ndarray]] = {way: [] for way in WAYS}
    seen: dict[str, list[list[float]]] = {way: [] for way in WAYS}
    for seed in range(asked.networks):
        screen = simulate(
            SimulationSettings(genes=60, perturbations=20, cells=asked.cells, both_share=1.0, seed=seed)
        )
        prepared = prepare(screen.adata, settings.data)
        _, _, p, judged = tests(null_screen(prepared, settings))
        for way in WAYS:
            null[way].append(p[way][judged])
        genes, targets, p, judged = tests(prepared)
        direct, ancestor = true_pairs(screen.edges, genes, targets)
        edge, joined = (direct != 0)[judged], ancestor[judged]
        for way in WAYS:
            called = stats.false_discovery_control(p[way][judged]) < 0.05
            area = float(average_precision_score(edge, -p[way][judged]))
            seen[way].append([float(called[joined].mean()), float(called[edge].mean()), area])
    print("way         null: pairs, p < 0.05, < 0.01   found: joined, direct; AUPRC")
    for way in WAYS:
        values, (joined, direct, area) = np.concatenate(null[way]), np.mean(seen[way], axis=0)
        rates = [float((values < level).mean()) for level in (0.05, 0.01)]
        words = f"{way:11} {len(values):11,} {rates[0]:8.4f} {rates[1]:7.4f}"
        print(f"{words} {joined:17.3f} {direct:7.3f} {area:7.3f}")


if __name__ == "__main__":
    main()
