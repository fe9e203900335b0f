"""The rank-sum test of the panel, every gene of every perturbation, beside scipy's and scanpy's.

    python benchmarks/rank_sums.py          # 20,000 cells x 3,000 genes x 100 perturbations
    python benchmarks/rank_sums.py --cells 130000 --genes 8000 --perturbations 622 --scanpy-groups 1 --json

The counts are those of `benchmarks/preparation.py`: about 35 % of the entries are not zero. ours_s: processor
time and time by the clock of `gpovae_core.data.rank_sums` (illico) on one core and on all; scipy_s and
scanpy_s: processor time for all pairs, from a sample of pairs and of groups; strata_s: on one core, of the
tests that pages and scores show (effects.ranks), within --strata classes into which cells fall by chance.
Differences are the largest, in U, in z (from scipy's p), and in the logarithm of the fold change (scanpy's,
kept as float32).
"""

from __future__ import annotations

import argparse
import json
import time
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse, stats

from gpovae_core import keys
from gpovae_core.data import cores
from gpovae_core.data.expression import log_expression
from gpovae_core.data.rank_sums import RankSums, rank_sums
from gpovae_core.effects.ranks import ranked

CONTROL_SHARE = 0.08
COUNTS_PER_GENE, SPREAD = 1.4, 1.8


def draw(
    cells: int, genes: int, perturbations: int, seed: int
) -> tuple[sparse.csr_matrix, np.ndarray, list[np.ndarray]]:
    """Log expression, rows of the controls, and rows of every perturbation."""
    rng = np.random.default_rng(seed)
    base = rng.lognormal(0, SPREAD, genes)
    library = COUNTS_PER_GENE * genes * rng.lognormal(0, 0.35, cells)
    label = np.where(rng.random(cells) < CONTROL_SHARE, -1, rng.integers(perturbations, size=cells))
    blocks = [
        sparse.csr_matrix(rng.poisson(part[:, None] * base / base.sum()).astype(np.float32))
        for part in np.array_split(library, -(-cells * genes // 16_000_000))
    ]
    expression = log_expression(sparse.csr_matrix(sparse.vstack(blocks, format="csr")))
    groups = [np.flatnonzero(label == k) for k in range(perturbations)]
    return expression, np.flatnonzero(label < 0), groups


def timed(expression: Any, control: np.ndarray, groups: list[np.ndarray], jobs: int | None) -> tuple:
    cores.use(jobs)
    clock, own = time.perf_counter(), time.process_time()
    found = rank_sums(expression, control, groups)
    return found, round(time.process_time() - own, 2), round(time.perf_counter() - clock, 2)


def within_strata(
    expression: Any, control: np.ndarray, groups: list[np.ndarray], strata: int, seed: int
) -> float:
    cores.use(1)
    group = np.full(expression.shape[0], -2)
    group[control] = -1
    for number, rows in enumerate(groups):
        group[rows] = number
    stratum = np.random.default_rng(seed).integers(strata, size=len(group))
    ranked(expression[:, :2], group, stratum, len(groups))  # what is compiled at the first call is not timed
    start = time.process_time()
    ranked(expression, group, stratum, len(groups))
    return round(time.process_time() - start, 2)


def beside_scipy(
    expression: Any, control: np.ndarray, groups: list[np.ndarray], found: RankSums, pairs: int, seed: int
) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    columns = expression.tocsc()
    seconds, u, z = 0.0, 0.0, 0.0
    for _ in range(pairs):
        row, gene = int(rng.integers(len(groups))), int(rng.integers(expression.shape[1]))
        values = columns[:, [gene]].toarray().ravel()
        start = time.process_time()
        known = stats.mannwhitneyu(
            values[groups[row]], values[control], method="asymptotic", use_continuity=False
        )
        seconds += time.process_time() - start
        u = max(u, abs(known.statistic - found.u[row, gene]))
        p = 2 * stats.norm.sf(abs(found.z[row, gene]))
        z = max(z, abs(known.pvalue - p) / max(known.pvalue, 1e-300)) if np.isfinite(known.pvalue) else z
    every = len(groups) * expression.shape[1]
    return {"scipy_s": round(seconds * every / pairs, 1), "u_difference": u, "p_relative_difference": z}


def beside_scanpy(
    expression: Any, control: np.ndarray, groups: list[np.ndarray], found: RankSums, count: int
) -> dict[str, float]:
    import scanpy as sc

    rows = np.concatenate([control, *groups[:count]])
    names = np.repeat([keys.CONTROL, *map(str, range(count))], list(map(len, [control, *groups[:count]])))
    cells = AnnData(expression[rows], obs=pd.DataFrame({"p": pd.Categorical(names)}, index=rows.astype(str)))
    start = time.process_time()
    sc.tl.rank_genes_groups(cells, "p", reference=keys.CONTROL, method="wilcoxon", tie_correct=True)
    seconds = time.process_time() - start
    worst = 0.0
    for row in range(count):
        table = sc.get.rank_genes_groups_df(cells, str(row)).set_index("names").loc[cells.var_names]
        apart = np.log2(found.ratio[row]) - table["logfoldchanges"].to_numpy(dtype=float)
        worst = max(worst, float(np.abs(apart).max()))
    return {"scanpy_s": round(seconds * len(groups) / count, 1), "log2_fold_difference": worst}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cells", type=int, default=20_000)
    parser.add_argument("--genes", type=int, default=3000)
    parser.add_argument("--perturbations", type=int, default=100)
    parser.add_argument("--scipy-pairs", type=int, default=500)
    parser.add_argument("--scanpy-groups", type=int, default=2)
    parser.add_argument("--strata", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    every = cores.jobs()
    screen = draw(args.cells, args.genes, args.perturbations, args.seed)
    rank_sums(screen[0][:, :2], *screen[1:])  # what is loaded at the first call is not timed
    found, one_s, one_clock = timed(*screen, 1)
    _, all_s, all_clock = timed(*screen, every)
    result = {
        "pairs": args.genes * args.perturbations,
        "ours_s": one_s,
        "ours_clock_s": one_clock,
        f"ours_s_{every}_cores": all_s,
        f"ours_clock_s_{every}_cores": all_clock,
        "strata_s": within_strata(*screen, args.strata, args.seed),
        **beside_scipy(*screen, found, args.scipy_pairs, args.seed),
        **beside_scanpy(*screen, found, args.scanpy_groups),
    }
    lines = (f"{key:>24}  {value}" for key, value in result.items())
    print(json.dumps(result) if args.json else "\n".join(lines))


if __name__ == "__main__":
    main()
