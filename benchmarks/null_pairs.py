"""Which pairs of relabelled controls pass 0.5, draw by draw, and what drawing controls as deep does to it.

    python benchmarks/null_pairs.py schraivogel --draws 20
    python benchmarks/null_pairs.py schraivogel --draws 5 --depth without-large
    python benchmarks/null_pairs.py schraivogel --draws 5 --depth none

The null of benchmarks/quality.py with other draws of the same cells. depth: within which classes controls
are drawn: of all counts (as the code does), of those of all genes but the ones that hold more than LARGE of
them, or none, batches alone.
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
from gpovae_core.config import make_settings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects import nulls
from gpovae_core.effects.contrasts import contrasts
from gpovae_core.effects.design import MOST_DEPTHS, Design, by_depth, depth_strata
from gpovae_core.effects.shrinkage import fit_evidence
from gpovae_core.methods.network_fit import explain_effects

LARGE = 0.1


def large_counts(prepared: PreparedCells) -> np.ndarray:
    """(cells,) counts of the genes that hold more than LARGE of all counts."""
    total = np.asarray(prepared.counts.sum(axis=0)).ravel()
    chosen: Any = prepared.counts[:, np.flatnonzero(total > LARGE * total.sum())]
    return np.asarray(chosen.sum(axis=1)).ravel()


def strata(prepared: PreparedCells, splits: tuple[str, ...], depth: str) -> np.ndarray:
    """As `depth_strata`, with depth measured otherwise."""
    if depth == "all":
        return depth_strata(prepared, splits)
    rows, design = np.flatnonzero(prepared.where(splits=splits)), Design.of(prepared)
    size = design.size - large_counts(prepared)
    found = by_depth(size[rows], design.stratum[rows], prepared.labels[rows] == keys.CONTROL)
    return found if depth == "without-large" else found // MOST_DEPTHS * MOST_DEPTHS


def told(prepared: PreparedCells) -> None:
    """How deep the cells of every perturbation are, with the large genes and without."""
    size, large = Design.of(prepared).size, large_counts(prepared)
    training = prepared.where(splits=(keys.TRAIN,))
    for name in (keys.CONTROL, *prepared.perturbations):
        own = training & (prepared.labels == name)
        depth, rest = np.median(size[own]), np.median((size - large)[own])
        print(f"{name}: counts {depth:.0f}, without large genes {rest:.0f}")
    own = training & (prepared.labels == keys.CONTROL)
    found: Any = stats.spearmanr(size[own], (large / np.maximum(size, 1))[own])
    share = large[own].sum() / size[own].sum()
    print(f"in controls: share of the large genes {share:.2f}, with depth rho {found.statistic:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("data", choices=list(REAL))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--depth", choices=("all", "without-large", "none"), default="all")
    asked = parser.parse_args()
    folder = Path(os.environ.get("GPOVAE_DATA_DIR", Path(__file__).parents[2] / "shared" / "data"))
    settings = make_settings("evidence", {"data": {"seed": asked.seed}})
    prepared = prepare(folder / REAL[asked.data], settings.data)
    told(prepared)
    nulls.depth_strata = lambda cells, splits: strata(cells, splits, asked.depth)
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
