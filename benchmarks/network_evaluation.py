"""Every perturbation against every gene, this project's pair statistics and scipy's pair by pair, side by
side in one run.

    python benchmarks/network_evaluation.py                    # smaller problem, every pair by scipy too
    python benchmarks/network_evaluation.py --full --json      # 622 x 1,546 pairs, 26,000 cells; scipy on a
    sample of pairs

The counts are drawn (negative binomial, uneven library sizes): made-up cells, real sizes. scipy_s is scipy's
time for all pairs, extrapolated from the sampled ones where scipy_pairs is smaller than pairs.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np
from scipy import sparse, stats

from gpovae_core import keys
from gpovae_core.effects.pairs import PairStatistics, pair_statistics


def draw_cells(
    sources: int, targets: int, cells: int, controls: int, seed: int
) -> tuple[sparse.csr_matrix, np.ndarray]:
    """Log expression (cells, targets) and labels; at least nine cells a source, gene means from rare to
    abundant.
    """
    rng = np.random.default_rng(seed)
    spare = max(cells - controls - 9 * sources, 0)
    label = np.concatenate(
        [np.full(controls, -1), np.repeat(np.arange(sources), 9), rng.integers(sources, size=spare)]
    )
    depth = rng.lognormal(0, 0.4, size=(len(label), 1))
    blocks = []
    for start in range(
        0, targets, 100
    ):  # in blocks: the dense draw of all genes at once would dominate the memory
        means = rng.lognormal(-0.5, 1.2, size=(1, min(100, targets - start)))
        counts = rng.poisson(rng.gamma(2.0, depth * means / 2.0))
        blocks.append(sparse.csr_matrix(np.log1p(counts / depth)))
    names = np.array([keys.CONTROL if k < 0 else f"S{k}" for k in label], dtype=object)
    return sparse.hstack(blocks, format="csr"), names


def scipy_pairs(
    expression: sparse.csr_matrix, labels: np.ndarray, chosen: np.ndarray, pairs: PairStatistics
) -> tuple[float, float]:
    """Seconds of scipy for the chosen pairs (k, 2), the cutting out of the samples not counted, and the
    largest difference.
    """
    columns = expression.tocsc()
    seconds, worst = 0.0, 0.0
    for j in np.unique(chosen[:, 1]):
        values = columns[:, [j]].toarray().ravel()
        base = values[labels == keys.CONTROL]
        for i in chosen[chosen[:, 1] == j, 0]:
            own = values[labels == pairs.sources[i]]
            start = time.perf_counter()
            distance = stats.wasserstein_distance(base, own)
            test = stats.mannwhitneyu(base, own)
            seconds += time.perf_counter() - start
            differences = (
                distance - pairs.wasserstein[i, j],
                test.pvalue - pairs.p[i, j],
                test.statistic - pairs.u[i, j],
            )
            worst = max(worst, *(abs(float(d)) for d in differences))
    return seconds, worst


def measure(
    sources: int, targets: int, cells: int, controls: int, sample: int, seed: int
) -> dict[str, float | int]:
    expression, labels = draw_cells(sources, targets, cells, controls, seed)
    start = time.perf_counter()
    pairs = pair_statistics(
        expression, labels, [f"S{k}" for k in range(sources)], [f"g{k}" for k in range(targets)]
    )
    ours = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # kB on Linux
    count = sources * targets
    drawn = (
        np.arange(count)
        if not 0 < sample < count
        else np.random.default_rng(seed).choice(count, sample, replace=False)
    )
    chosen = np.stack(np.unravel_index(drawn, (sources, targets)), axis=1)
    seconds, worst = scipy_pairs(expression, labels, chosen, pairs)
    all_of_them = seconds * count / len(chosen)
    return {
        "pairs": count,
        "cells": expression.shape[0],
        "stored_share": round(expression.nnz / np.prod(expression.shape), 3),
        "ours_s": round(ours, 3),
        "scipy_s": round(all_of_them, 3),
        "scipy_pairs": len(chosen),
        "ratio": round(all_of_them / ours, 1),
        "max_abs_difference": worst,
        "peak_gb": round(peak, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sources", type=int, default=100)
    parser.add_argument("--targets", type=int, default=60)
    parser.add_argument("--cells", type=int, default=6000)
    parser.add_argument("--controls", type=int, default=2000)
    parser.add_argument(
        "--scipy-pairs", type=int, default=0, help="compare so many pairs, drawn at random; 0 = all of them"
    )
    parser.add_argument(
        "--full", action="store_true", help="the size of the K562 screen: 622 x 1,546 pairs, 26,000 cells"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    if args.full:
        args.sources, args.targets, args.cells = 622, 1546, 26_000
        args.scipy_pairs = args.scipy_pairs or 5000
    result = measure(args.sources, args.targets, args.cells, args.controls, args.scipy_pairs, args.seed)
    print(
        json.dumps(result) if args.json else "\n".join(f"{key:>20}  {value}" for key, value in result.items())
    )


if __name__ == "__main__":
    main()
