"""Prepared cells of a chosen size with random counts, for timings and for comparing two ways to compute: no
biology in them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from gpovae_core import keys
from gpovae_core.data.schema import Panel, PanelData, PreparationReport, PreparedCells


@dataclass(frozen=True)
class Size:
    """perturbed, extended: genes of the panel; genes: measured genes; share: of entries that are not zero."""

    perturbed: int
    extended: int
    genes: int
    share: float = 0.3


SIZES = {
    "adamson": Size(68, 347, 5000),
    "rpe1": Size(383, 272, 8000),
    "k562": Size(622, 924, 8000),
}
"""Panels of the published data sets (Baek et al. 2025); measured genes and filling are of that order, not
taken from the files.
"""


def random_screen(
    size: Size, cells: int, seed: int = 0, combinations: bool = False, unmeasured: bool = False
) -> PreparedCells:
    """Training cells under random labels, a fifth of them controls and one in ten failing quality control.

    combinations: one more perturbation of the first two genes together; unmeasured: the first perturbed gene
    has no counts.
    """
    rng = np.random.default_rng(seed)
    names = [f"P{i:04d}" for i in range(size.perturbed)]
    measured = [*names[unmeasured:], *(f"X{i:05d}" for i in range(size.genes - size.perturbed + unmeasured))]
    extended = tuple(measured[size.perturbed - unmeasured :][: size.extended])
    panel = Panel(PanelData(perturbed=tuple(names), extended=extended, measured=tuple(measured)))
    perturbations = [*names, keys.PAIR_SEPARATOR.join(names[:2])] if combinations else names
    labels = np.where(
        rng.random(cells) < 0.2,
        keys.CONTROL,
        np.asarray(perturbations, dtype=object)[rng.integers(0, len(perturbations), cells)],
    )
    labels[0] = keys.CONTROL
    counts = sparse.random(
        cells, len(measured), size.share, "csr", np.float32, rng, lambda k: rng.geometric(0.4, k)
    )
    counts.data = counts.data.astype(np.float32)
    ids = np.array([f"c{i}" for i in range(cells)], dtype=object)
    controls = ids[labels == keys.CONTROL]
    obs = pd.DataFrame(
        {
            keys.PERTURBATION: labels,
            keys.ARTIFACT: rng.random(cells) < 0.1,
            keys.SPLIT: keys.TRAIN,
            keys.LIBRARY_SIZE: np.maximum(np.asarray(counts.sum(axis=1)).ravel(), 1.0),
            keys.CONTROL_ID: np.where(labels == keys.CONTROL, "", rng.choice(controls, cells)),
        },
        index=pd.Index(ids),
    )
    report = PreparationReport(
        source="random",
        cells_read=cells,
        cells_kept=cells,
        genes_measured=len(measured),
        counts_from="X",
        label_column=keys.PERTURBATION,
        control_label=keys.CONTROL,
        perturbations={},
        control_cells=int((labels == keys.CONTROL).sum()),
        simulated=True,
    )
    return PreparedCells(AnnData(counts, obs=obs, var=pd.DataFrame(index=pd.Index(measured))), panel, report)
