"""What a common lift does to the test of changed genes, and what is left of it.

    python benchmarks/lift.py
    python benchmarks/lift.py --draws 30

Simulated panels of 120 genes, shares of the panel alone, in which one perturbation takes most of a gene that
has 10, 20 or 30 % of all counts, and changes six others; 600 controls of about 400 counts, and 10 to 300
perturbed cells. Of the genes that do nothing: share of p below 0.05, and how many Benjamini and Hochberg call
at 5 %; of the six: how many are called; as measured, and with clear lifts taken out (effects.lift), whose
share is told. Means over draws.
"""

from __future__ import annotations

import argparse
from unittest.mock import patch

import numpy as np
import pandas as pd
from scipy import sparse

from benchmarks.null_tests import with_labels
from gpovae_core import keys
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.changes import adjusted, gene_tests
from gpovae_core.effects.lift import clear_lifts

GENES, CONTROLS, COUNTS, MOVED = 120, 600, 400, 6
WORLDS = ((0.1, 0.2), (0.2, 0.2), (0.3, 0.1))
"""Share of all counts that the perturbed gene has, and what is left of it."""
SIZES = (10, 30, 100, 300)


def panel(cells: int, share: float, left: float, seed: int) -> tuple[PreparedCells, np.ndarray]:
    """Cells with the gene G0 perturbed among controls, and the genes that it changes."""
    rng = np.random.default_rng(seed)
    base = rng.lognormal(0, 1.5, GENES)
    base *= (1 - share) / base.sum()
    base[0] = share
    treated = np.arange(cells + CONTROLS) < cells
    size = COUNTS * rng.lognormal(0, 0.4, len(treated))
    level = base * rng.lognormal(0, 0.4, (len(treated), GENES))
    level[treated, 0] *= left
    moved = rng.choice(np.arange(1, GENES), MOVED, replace=False)
    level[np.ix_(treated, moved)] *= rng.choice([0.4, 2.2], MOVED)
    counts = rng.poisson(size[:, None] * level / level.sum(axis=1, keepdims=True))
    obs = pd.DataFrame(
        {
            keys.PERTURBATION: np.where(treated, "G0", keys.CONTROL),
            keys.SPLIT: keys.TEST,
            keys.LIBRARY_SIZE: counts.sum(axis=1).astype(float),
        },
        index=[f"c{i:05d}" for i in rng.permutation(len(treated))],
    )
    return with_labels(
        sparse.csr_matrix(counts.astype(np.float32)), obs, [f"G{i}" for i in range(GENES)]
    ), moved


def rates(p: np.ndarray, moved: np.ndarray) -> list[float]:
    """p: (GENES,); see the module's docstring."""
    others = np.setdiff1d(np.arange(1, GENES), moved)
    called = np.nan_to_num(adjusted(p[None])[0], nan=1.0) < 0.05
    return [float(np.nanmean(p[others] < 0.05)), int(called[others].sum()), int(called[moved].sum())]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--draws", type=int, default=12)
    asked = parser.parse_args()
    columns = ["below_0.05", "called", "found"]
    rows = []
    for share, left in WORLDS:
        for cells in SIZES:
            found = []
            for seed in range(asked.draws):
                prepared, moved = panel(cells, share, left, seed)
                p = gene_tests(prepared, keys.HELD_OUT).to_numpy()[0]
                with patch("gpovae_core.effects.lift.clear_lifts", lambda *_: {}):
                    measured = gene_tests(prepared, keys.HELD_OUT).to_numpy()[0]
                clear = len(clear_lifts(prepared, keys.HELD_OUT))
                found.append([*rates(measured, moved), *rates(p, moved), clear])
            rows.append([share, left, cells, *np.mean(found, axis=0)])
    head = ["share", "left", "cells", *(f"{name}_as_measured" for name in columns), *columns, "clear"]
    print(pd.DataFrame(rows, columns=pd.Index(head)).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
