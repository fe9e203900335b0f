"""Kernels that are kept, or taken from a library, beside what else there is, in one run on one core.

    python benchmarks/kernels.py --json

Processor seconds of each, and how far the results lie apart at most. adjusted: Benjamini and Hochberg's p of
every perturbation over its genes, scipy (taken) and statsmodels; wasserstein: distances of all pairs, this
project's `pair_statistics` (which tests ranks too) and scipy's on a sample, for all pairs; sinkhorn: plans
of one group of cells, this project's (taken where its exponents are small) and POT's; mixture: the
weights of adaptive shrinkage by Newton's method (taken) and by plain rounds of expectation maximisation, both
to the same likelihood.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import ot
from network_evaluation import draw_cells
from scipy import stats
from statsmodels.stats.multitest import multipletests

from gpovae_core import keys
from gpovae_core.data import cores
from gpovae_core.data.pairing import Side, sinkhorn_plan, transport_cost
from gpovae_core.effects import mixture
from gpovae_core.effects.changes import adjusted
from gpovae_core.effects.pairs import pair_statistics


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    start = time.process_time()
    found = function()
    return found, time.process_time() - start


def report(taken: float, other: float, apart: float) -> dict[str, float]:
    return {
        "taken_s": round(taken, 3),
        "other_s": round(other, 3),
        "ratio": round(other / taken, 1),
        "apart": apart,
    }


def adjusting(rng: np.random.Generator) -> dict[str, float]:
    p = rng.random((100, 8000)) ** 2
    ours, taken = timed(lambda: adjusted(p))
    theirs, other = timed(lambda: np.array([multipletests(row, method="fdr_bh")[1] for row in p]))
    return report(taken, other, float(np.abs(ours - theirs).max()))


def wasserstein(rng: np.random.Generator, pairs: int = 300) -> dict[str, float]:
    sources, targets = 100, 60
    expression, labels = draw_cells(sources, targets, 6000, 2000, 0)
    names = [f"S{k}" for k in range(sources)]
    ours, taken = timed(lambda: pair_statistics(expression, labels, names, [str(k) for k in range(targets)]))
    dense = expression.toarray()
    chosen = [(int(rng.integers(sources)), int(rng.integers(targets))) for _ in range(pairs)]
    sides = [(dense[labels == keys.CONTROL, j], dense[labels == names[i], j]) for i, j in chosen]
    theirs, other = timed(lambda: [stats.wasserstein_distance(*each) for each in sides])
    apart = max(abs(ours.wasserstein[i, j] - d) for (i, j), d in zip(chosen, theirs, strict=True))
    return report(taken, other * sources * targets / pairs, float(apart))


def sinkhorn(rng: np.random.Generator, cells: int, controls: int) -> dict[str, float]:
    """apart: largest difference of the plans, of their largest entry."""
    cost = transport_cost(rng.gamma(1.0, size=(cells, 400)), Side.of(rng.gamma(1.0, size=(controls, 400))))
    margins = np.full(cells, 1 / cells), np.full(controls, 1 / controls)
    ours, taken = timed(lambda: sinkhorn_plan(cost))
    rule = {"numItermax": 1000, "stopThr": 1e-10, "warn": False}
    theirs, other = timed(lambda: ot.sinkhorn(*margins, cost, 1.0, **rule))
    assert (ours.argmax(axis=1) == theirs.argmax(axis=1)).all()
    return report(taken, other, float(np.abs(ours - theirs).max() / theirs.max()))


def of_mixture(rng: np.random.Generator) -> dict[str, float]:
    """apart: log likelihood that plain rounds miss when they are stopped at ten times the time."""
    p, n, least = 200, 1200, 0.05
    error = np.sqrt(1 / rng.uniform(40, 400, p))[:, None] * np.sqrt(rng.lognormal(1.0, 1.2, n))[None, :]
    there = rng.random((p, n)) < np.clip(rng.beta(1.2, 20, p), 0, 0.3)[:, None]
    effect = np.where(there, 0.35 * rng.standard_t(3, (p, n)), rng.normal(0, 0.02, (p, n)))
    effect = effect + error * rng.standard_normal((p, n))
    counted = np.ones((p, n), dtype=bool)
    (share, slab), taken = timed(lambda: mixture.fit_mixture(effect, error, counted, least))
    density, largest = mixture.densities(effect.ravel(), error.ravel(), least)
    density = density.reshape(-1, p, n)

    def likelihood(share: np.ndarray, slab: np.ndarray) -> float:
        joint = share[:, None] * density[0] + (1 - share)[:, None] * np.tensordot(slab, density[1:], 1)
        return float(np.log(joint).sum() + largest.sum())

    best, start = likelihood(share, slab), time.process_time()
    share, slab = np.full(p, 0.8), np.full(len(slab), 1 / len(slab))
    while time.process_time() - start < 10 * taken:
        present = np.tensordot(slab, density[1:], 1)
        joint = share[:, None] * density[0] + (1 - share)[:, None] * present
        null = (share[:, None] * density[0] / joint).sum(axis=1)
        slab = slab * np.tensordot(density[1:], (1 - share)[:, None] / joint, 2)
        slab /= slab.sum()
        prior = mixture.PRIOR_PAIRS[0]
        share = np.clip((null + prior * null.sum() / (p * n)) / (n + prior), *mixture.NULL_SHARES)
    return report(taken, 10 * taken, best - likelihood(share, slab))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    cores.use(1)
    kernels = {
        "adjusted": adjusting,
        "wasserstein": wasserstein,
        "sinkhorn": lambda rng: sinkhorn(rng, 200, 2000),
        "sinkhorn of a large group": lambda rng: sinkhorn(rng, 2000, 10_000),
        "mixture": of_mixture,
    }
    result = {}
    with cores.one_core_products():
        for name, measure in kernels.items():
            result[name] = measure(np.random.default_rng(0))
    print(
        json.dumps(result) if args.json else "\n".join(f"{key:>12}  {value}" for key, value in result.items())
    )


if __name__ == "__main__":
    main()
