"""Which pairs of relabelled controls pass 0.5, draw by draw, and what large genes in their depth do to it.

    python benchmarks/null_pairs.py schraivogel --draws 20
    python benchmarks/null_pairs.py schraivogel --draws 5 --all-genes

The null of benchmarks/quality.py with other draws of the same cells, and, for the same edges, the estimated
share that is false. --all-genes: controls drawn as deep by the counts of all genes, which a run does only
where none holds more than a tenth of them (effects.draws).
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

import numpy as np
from quality import REAL
from scipy import stats
from scipy.special import expit

from gpovae_core import keys
from gpovae_core.config import Settings, make_settings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects import contrasts as module
from gpovae_core.effects import nulls
from gpovae_core.effects.contrasts import contrasts
from gpovae_core.effects.design import Design
from gpovae_core.effects.draws import depth_to_draw_by, large_genes
from gpovae_core.effects.shrinkage import fit_evidence
from gpovae_core.methods.false_edges import false_edge_rate
from gpovae_core.methods.network_fit import explain_effects, fit_network


def told(prepared: PreparedCells) -> None:
    """How deep the cells of every perturbation are, with the large genes and without."""
    design = Design.of(prepared)
    size, rest = design.size, depth_to_draw_by(prepared, design)
    training = prepared.where(splits=(keys.TRAIN,))
    for name in (keys.CONTROL, *prepared.perturbations):
        own = training & (prepared.labels == name)
        depth, other = np.median(size[own]), np.median(rest[own])
        print(f"{name}: counts {depth:.0f}, without large genes {other:.0f}")
    own = training & (prepared.labels == keys.CONTROL)
    large = large_genes(prepared, design)
    print("large genes:", ", ".join(f"{gene} {share:.3f}" for gene, share in large.items()) or "none")
    if large:
        found: Any = stats.spearmanr(size[own], 1 - (rest / np.maximum(size, 1))[own])
        print(f"in controls: their share with depth rho {found.statistic:.2f}")


def share_of_false(prepared: PreparedCells, settings: Settings) -> None:
    fit, cut = fit_network(prepared, settings), settings.evaluation.threshold
    weights = expit(fit.log_odds)
    edges = int((weights[np.isfinite(fit.evidence)] > cut).sum())
    print(f"edges before training {edges}, estimated false {false_edge_rate(fit, weights, cut)[0]:.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", choices=list(REAL))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--all-genes", action="store_true")
    asked = parser.parse_args()
    folder = Path(os.environ.get("GPOVAE_DATA_DIR", Path(__file__).parents[2] / "shared" / "data"))
    settings = make_settings("evidence", {"data": {"seed": asked.seed}, "training": {"seed": asked.seed}})
    prepared = prepare(folder / REAL[asked.data], settings.data)
    told(prepared)
    if asked.all_genes:
        module.depth_to_draw_by = nulls.depth_to_draw_by = lambda _, design: design.size
    share_of_false(prepared, settings)
    for draw in range(asked.draws):
        other = settings.model_copy(update={"data": settings.data.model_copy(update={"seed": draw})})
        observed = contrasts(nulls.null_screen(prepared, other), both=True)
        least = settings.network.least_effect
        rule = fit_evidence(observed.effect, observed.error, observed.counted, least)
        fit = explain_effects(len(prepared.panel), observed, rule, settings, [])
        weights, genes = expit(fit.log_odds), prepared.panel.genes
        z = (fit.effect / fit.effect_sd)[: len(prepared.panel.data.perturbed)]
        edges = [
            f"{genes[i]} {genes[j]} W {weights[i, j]:.2f} z {z[i, j]:+.1f}"
            for i, j in np.argwhere((weights[: len(z)] > 0.5) & np.isfinite(z))
        ]
        print(f"draw {draw}: {'; '.join(edges) or 'none'}", flush=True)


if __name__ == "__main__":
    main()
