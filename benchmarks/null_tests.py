"""Does the test of changed genes hold where nothing changes, from 5 cells to 1,000?

    python benchmarks/null_tests.py
    python benchmarks/null_tests.py --json --draws 200
    python benchmarks/null_tests.py --panel
    python benchmarks/null_tests.py --wells

Controls of the real screens called perturbed, against all other controls, in groups of several sizes, at most
half of the controls; drawn at random, and in the place of a perturbation's cells: as many of each batch (or
condition) and class of depth. Per screen and size, over the draws: the share of tested genes with p below
0.05 and 0.001 (as much as that, were the test exact), the share of draws in which Benjamini and Hochberg find
nothing at 5 % (95 %, were it), and the genes tested; and, beside it, the same p without strata by the usual
normal approximation of the rank sum, and by Welch's t test of log2(1 + 1e4 x / l). --panel: shares are of the
file's genes alone, so that a common lift is looked for, and taken out where it is clear. --wells: genes that
NFATC1 of Datlinger et al. changes beside all other cells, whose wells are shallower, as the design is told.
Real data as in benchmarks/quality.py.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
from scipy import sparse, stats

from gpovae_core import keys
from gpovae_core.data.expression import log_expression
from gpovae_core.data.schema import Panel, PanelData, PreparationReport, PreparedCells
from gpovae_core.effects.changes import adjusted, gene_tests
from gpovae_core.effects.design import Exchangeable
from gpovae_core.effects.draws import drawn_like
from gpovae_core.effects.rank_test import RankSums

SCREENS = {
    "papalexi2021_thp1": {keys.BATCH: "batch"},
    "papalexi2021_thp1_585": {keys.BATCH: "batch"},
    "datlinger2021_jurkat": {keys.CONDITION: "condition"},
}
"""Screen -> part of its design -> column of obs, beside the counts of the whole transcriptome."""
SIZES = (5, 10, 20, 50, 100, 300, 1000)
LEVEL = 0.05
CALLED = "CALLED"


def screen_of(path: Path, whole: bool = True, **columns: str) -> PreparedCells:
    """Cells of a file with what the test has to know of its design: all in one split. whole: with the counts
    of the whole transcriptome.
    """
    cells = anndata.read_h5ad(path)
    counts = sparse.csr_matrix(cells.X).astype(np.float32)
    obs = pd.DataFrame(
        {
            keys.PERTURBATION: cells.obs["perturbation"].astype(str).replace("non-targeting", keys.CONTROL),
            keys.SPLIT: keys.TEST,
            keys.LIBRARY_SIZE: np.asarray(counts.sum(axis=1)).ravel().astype(float),
            **({keys.SIZE_FACTOR: cells.obs["total_umis_full_transcriptome"].astype(float)} if whole else {}),
            **{part: cells.obs[column].astype(str) for part, column in columns.items()},
        },
        index=cells.obs_names,
    )
    return with_labels(counts, obs, [str(gene) for gene in cells.var_names])


def with_labels(counts: Any, obs: pd.DataFrame, genes: list[str]) -> PreparedCells:
    perturbed = tuple(sorted(set(obs[keys.PERTURBATION]) - {keys.CONTROL}))
    others = tuple(gene for gene in genes if gene not in perturbed)
    panel = Panel(PanelData(perturbed=perturbed, extended=others, measured=tuple(genes)))
    cells = obs[keys.PERTURBATION].value_counts().to_dict()
    controls = cells.pop(keys.CONTROL)
    report = PreparationReport(
        source="null",
        cells_read=len(obs),
        cells_kept=len(obs),
        genes_measured=len(genes),
        counts_from="X",
        label_column=keys.PERTURBATION,
        control_label=keys.CONTROL,
        perturbations=cells,
        control_cells=controls,
    )
    return PreparedCells.of(counts, obs, genes, panel, report)


def relabelled(screen: PreparedCells, size: int, rng: np.random.Generator, like: bool) -> PreparedCells:
    """The controls of a screen, `size` of them called perturbed. like: drawn as the cells of one of its
    perturbations lie in strata and depth.
    """
    among = Exchangeable.of(screen, keys.SPLITS).stratum
    control = np.flatnonzero(screen.labels == keys.CONTROL)
    chosen = rng.permutation(len(control))[:size]
    if like:
        perturbed = screen.perturbations[rng.integers(len(screen.perturbations))]
        own = among[screen.labels == perturbed]
        chosen = drawn_like(rng, rng.choice(own, size), among[control])
    obs = pd.DataFrame(screen.cells.obs).iloc[control].copy()
    labels = np.full(len(control), keys.CONTROL, dtype=object)
    labels[chosen] = CALLED
    obs[keys.PERTURBATION] = labels
    return with_labels(screen.counts[control], obs, [str(gene) for gene in screen.cells.var_names])


def null_rates(
    screen: PreparedCells, size: int, draws: int, like: bool = False, seed: int = 0, others: bool = False
) -> list[dict[str, Any]]:
    """One row per test: how often it speaks where `size` controls are called perturbed. others: the usual
    tests beside.
    """
    rng = np.random.default_rng(seed)
    found: dict[str, list[np.ndarray]] = {}
    for _ in range(draws):
        prepared = relabelled(screen, size, rng, like)
        tests = {"shown on pages": gene_tests(prepared, keys.HELD_OUT).to_numpy()[0]}
        for name, p in tests.items() if not others else [*tests.items(), *_usual(prepared)]:
            found.setdefault(name, []).append(p)
    return [{"size": size, "test": name} | _rates(np.array(p)) for name, p in found.items()]


def _rates(p: np.ndarray) -> dict[str, float]:
    """p: (draws, genes), NaN where not tested."""
    tested = np.isfinite(p)
    below = (np.nan_to_num(adjusted(p), nan=1.0) < LEVEL).sum(axis=1)
    return {
        "tested": float(tested.mean()),
        "below_0.05": float((p[tested] < LEVEL).mean()) if tested.any() else float("nan"),
        "below_0.001": float((p[tested] < 0.001).mean()) if tested.any() else float("nan"),
        "nothing_found": float((below == 0).mean()),
        "median_found": float(np.median(below)),
    }


def _usual(prepared: PreparedCells) -> list[tuple[str, np.ndarray]]:
    """p of every gene that a cell shows, by tests that know no strata."""
    dense = log_expression(prepared.counts, prepared.library_size).toarray()
    treated = prepared.labels == CALLED
    one, two = dense[treated], dense[~treated]
    shown = (dense > 0).any(axis=0)
    u = np.array([stats.mannwhitneyu(x, y).statistic for x, y in zip(one.T, two.T, strict=True)])
    ties = np.array([_tie_sum(values) for values in dense.T])
    normal = RankSums.of(u, len(one), len(two), ties, np.zeros(1)).normal_p()[0]
    with np.errstate(invalid="ignore", divide="ignore"):
        welch = np.asarray(stats.ttest_ind(one, two, equal_var=False).pvalue)
    return [("normal approximation", np.where(shown, normal, np.nan)), ("Welch", welch)]


def _tie_sum(values: np.ndarray) -> float:
    times = np.unique(values, return_counts=True)[1].astype(float)
    return float((times**3 - times).sum())


def wells(path: Path) -> list[dict[str, Any]]:
    """NFATC1 of Datlinger et al. beside all other cells: how many genes change, by what the test is told."""
    rows = []
    for told in (
        {},
        {keys.CONDITION: "condition"},
        {keys.CONDITION: "condition", keys.BATCH: "well"},
        {keys.CONDITION: "condition", keys.GUIDE: "well"},
        {keys.BATCH: "well"},
    ):
        screen = screen_of(path, **told)
        obs = pd.DataFrame(screen.cells.obs).copy()
        obs[keys.PERTURBATION] = np.where(screen.labels == "NFATC1", "NFATC1", keys.CONTROL)
        prepared = with_labels(screen.counts, obs, [str(gene) for gene in screen.cells.var_names])
        p = gene_tests(prepared, keys.HELD_OUT).to_numpy()
        rows.append(
            {
                "told": " and ".join(f"{part} {column}" for part, column in told.items()) or "nothing",
                "tested": int(np.isfinite(p).sum()),
                "below_0.05": float((p[np.isfinite(p)] < LEVEL).mean()),
                "changed": int((np.nan_to_num(adjusted(p), nan=1.0) < LEVEL).sum()),
            }
        )
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--screens", nargs="+", default=list(SCREENS))
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--others", action="store_true", help="the usual tests beside")
    parser.add_argument("--panel", action="store_true", help="shares of the file's genes alone")
    parser.add_argument("--wells", action="store_true")
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    folder = Path(
        os.environ.get("GPOVAE_DATA_DIR") or Path(__file__).resolve().parents[2] / "shared" / "data"
    )
    rows = wells(folder / "datlinger2021_jurkat.h5ad") if asked.wells else []
    for name in [] if asked.wells else asked.screens:
        screen = screen_of(folder / f"{name}.h5ad", not asked.panel, **SCREENS[name])
        most = int((screen.labels == keys.CONTROL).sum()) // 2
        for size in (size for size in asked.sizes if size <= most):
            for like in (False, True):
                head = {"screen": name, "drawn": "like perturbed" if like else "at random"}
                rates = null_rates(screen, size, asked.draws, like, asked.seed, asked.others and not like)
                rows += [head | row for row in rates]
                if asked.json:
                    print("\n".join(json.dumps(row) for row in rows[-len(rates) :]), flush=True)
    if asked.wells and asked.json:
        print("\n".join(json.dumps(row) for row in rows))
    elif not asked.json:
        print(pd.DataFrame(rows).round(4).to_string(index=False))


if __name__ == "__main__":
    main()
