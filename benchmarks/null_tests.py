"""Does the test of changed genes hold where nothing changes, from 5 cells to 1,000?

    python benchmarks/null_tests.py
    python benchmarks/null_tests.py --json --draws 200

Controls of the real screens called perturbed, against all other controls, in groups of several sizes, at most
half of the controls. Per screen and size, over the draws: the share of tested genes with p below 0.05 and
0.001 (as much as that, were the test exact), the share of draws in which Benjamini and Hochberg find nothing
at 5 % (95 %, were it), and the genes tested; and, beside it, the same p by the usual normal approximation of
the rank sum, and by Welch's t test of log2(1 + 1e4 x / l). Real data as in benchmarks/quality.py.
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
from gpovae_core.effects import rank_test
from gpovae_core.effects.changes import adjusted
from gpovae_core.effects.pairs import pair_statistics

SCREENS = ("papalexi2021_thp1", "papalexi2021_thp1_585", "datlinger2021_jurkat")
SIZES = (5, 10, 20, 50, 100, 300, 1000)
LEVEL = 0.05
TESTS = ("shown on pages", "normal approximation", "Welch")


def control_expression(path: Path, control: str = "non-targeting") -> Any:
    """CSR (controls, genes) log(1 + 1e4 x / l) of a file's control cells."""
    cells = anndata.read_h5ad(path)
    rows = np.flatnonzero((cells.obs["perturbation"] == control).to_numpy())
    return log_expression(sparse.csr_matrix(cells.X)[rows])


def null_rates(expression: Any, size: int, draws: int, seed: int = 0) -> list[dict[str, Any]]:
    """One row per test: how often it speaks where `size` cells of `expression` (cells, genes), drawn at
    random, are called perturbed.
    """
    rng = np.random.default_rng(seed)
    n, genes = expression.shape
    found: dict[str, list[np.ndarray]] = {name: [] for name in TESTS}
    for _ in range(draws):
        labels = np.full(n, keys.CONTROL, dtype=object)
        labels[rng.permutation(n)[:size]] = "A"
        pairs = pair_statistics(expression, labels, ["A"], [str(gene) for gene in range(genes)])
        shown = np.asarray((expression > 0).sum(axis=0)).ravel() > 0
        found["shown on pages"].append(np.where(pairs.testable[0], pairs.p[0], np.nan))
        found["normal approximation"].append(np.where(shown, _normal(expression, pairs.u[0], size), np.nan))
        found["Welch"].append(_welch(expression, labels == "A"))
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


def _normal(expression: Any, u: np.ndarray, size: int) -> np.ndarray:
    ties = np.array(
        [_tie_sum(expression[:, [gene]].toarray().ravel()) for gene in range(expression.shape[1])]
    )
    return rank_test.normal_p(u, np.full(len(u), size), expression.shape[0] - size, ties)


def _tie_sum(values: np.ndarray) -> float:
    times = np.unique(values, return_counts=True)[1].astype(float)
    return float((times**3 - times).sum())


def _welch(expression: Any, treated: np.ndarray) -> np.ndarray:
    one, two = (expression[rows].toarray() for rows in (treated, ~treated))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(stats.ttest_ind(one, two, equal_var=False).pvalue)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--draws", type=int, default=50)
    parser.add_argument("--screens", nargs="+", default=SCREENS)
    parser.add_argument("--sizes", nargs="+", type=int, default=SIZES)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    folder = Path(
        os.environ.get("GPOVAE_DATA_DIR") or Path(__file__).resolve().parents[2] / "shared" / "data"
    )
    rows = []
    for screen in asked.screens:
        expression = control_expression(folder / f"{screen}.h5ad")
        for size in (size for size in asked.sizes if size <= expression.shape[0] // 2):
            rows += [{"screen": screen} | row for row in null_rates(expression, size, asked.draws)]
    if asked.json:
        print("\n".join(json.dumps(row) for row in rows))
    else:
        print(pd.DataFrame(rows).round(4).to_string(index=False))


if __name__ == "__main__":
    main()
