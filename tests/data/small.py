"""Small cells with a known effect: counts drawn once, names and labels as a test wants them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

GENES = tuple(f"GENE{i:02d}" for i in range(30))
PERTURBED = ("GENE03", "GENE11", "GENE20")


def small_cells(
    per_label: int = 60,
    labels: Sequence[str] = ("non-targeting", *PERTURBED),
    genes: Sequence[str] = GENES,
    seed: int = 0,
) -> AnnData:
    """per_label cells of every label, in shuffled order; the perturbed gene falls to a tenth, and the gene
    after it rises eightfold.
    """
    rng = np.random.default_rng(seed)
    column = rng.permutation(np.repeat(np.array(labels, dtype=object), per_label))
    means = np.tile(rng.gamma(4.0, 1.5, len(genes)), (len(column), 1)) * rng.gamma(
        20.0, 0.05, (len(column), 1)
    )
    for i, gene in enumerate(genes):
        means[column == gene, i] *= 0.1
        means[column == gene, (i + 1) % len(genes)] *= 8.0
    counts = sparse.csr_matrix(rng.poisson(means).astype(np.float32))
    obs = pd.DataFrame(
        {"perturbation": pd.Categorical(column)},
        index=[f"cell-{i:04d}" for i in rng.permutation(len(column))],
    )
    return AnnData(counts, obs=obs, var=pd.DataFrame(index=list(genes)))


def shuffled(cells: AnnData, seed: int = 1) -> AnnData:
    """The same cells with rows and columns in another order."""
    rng = np.random.default_rng(seed)
    return cells[rng.permutation(cells.n_obs)][:, rng.permutation(cells.n_vars)].copy()
