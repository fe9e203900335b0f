"""How a screen was made, cell by cell: what is compared with what, and what counts as a replicate.

Cells are compared within strata, the batches and donors that were found (data.design): a perturbed cell with
the controls of its own batch. Replicates are what one perturbation was done with several times: its guides,
its donors. An effect that one of three guides shows is no effect of the gene.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.data.design import holds_one_label, strata, value_numbers
from gpovae_core.data.schema import PreparedCells


@dataclass(frozen=True)
class Design:
    """stratum: (n_obs,) number of the stratum of every cell; replicates: for each kind of replicate (guide,
    donor, batches that hold one label each) a number for every cell, -1 where it is not known; size: (n_obs,)
    counts of a cell to take shares of, of the whole transcriptome where the file gives them; whole: whether
    it does.
    """

    stratum: np.ndarray
    replicates: dict[str, np.ndarray]
    size: np.ndarray
    whole: bool

    @classmethod
    def of(cls, prepared: PreparedCells) -> Design:
        """As the columns of `prepared` say; one stratum where neither batch nor donor was found."""
        obs, labels = pd.DataFrame(prepared.cells.obs), prepared.labels
        stratum = strata(obs, labels)
        whole = keys.SIZE_FACTOR in obs
        size = np.asarray(obs[keys.SIZE_FACTOR if whole else keys.LIBRARY_SIZE], dtype=np.float64)
        wells = keys.BATCH in obs and holds_one_label(value_numbers(obs[keys.BATCH]), labels)
        repeated = (keys.GUIDE, keys.DONOR, *([keys.BATCH] if wells else []))
        replicates = {key: value_numbers(obs[key]) for key in repeated if key in obs}
        return cls(np.zeros(len(obs), dtype=int) if stratum is None else stratum, replicates, size, whole)
