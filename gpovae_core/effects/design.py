"""How a screen was made, cell by cell: what is compared with what, and what counts as a replicate.

Cells are compared within strata, the batches and donors that were found (data.design): a perturbed cell with
the controls of its own batch. Replicates are what one perturbation was done with several times: its guides,
its donors. An effect that one of three guides shows is no effect of the gene.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gpovae_core import keys
from gpovae_core.data.schema import PreparedCells

FEWEST_CONTROLS = 2
"""Controls that a stratum needs: fewer show no spread."""


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
        obs, labels = prepared.cells.obs, prepared.labels
        columns = {key: _numbers(obs[key]) for key in (keys.BATCH, keys.DONOR, keys.GUIDE) if key in obs}
        nested = {key for key in columns if key != keys.GUIDE and _holds_one_label(columns[key], labels)}
        stratum = _strata(
            [columns[key] for key in (keys.BATCH, keys.DONOR) if key in columns and key not in nested],
            labels == keys.CONTROL,
        )
        whole = keys.SIZE_FACTOR in obs
        size = np.asarray(obs[keys.SIZE_FACTOR if whole else keys.LIBRARY_SIZE], dtype=np.float64)
        replicates = {key: columns[key] for key in columns if key != keys.BATCH or key in nested}
        return cls(np.zeros(len(obs), dtype=int) if stratum is None else stratum, replicates, size, whole)


def _holds_one_label(number: np.ndarray, labels: np.ndarray) -> bool:
    """Whether every value of a column holds cells of one label only, and labels come in several: wells with a
    guide each. Within them nothing can be compared, but what the wells of a label disagree on is known.
    """
    known = number >= 0
    names, label = np.unique(labels[known].astype(str), return_inverse=True)
    pairs = np.unique(np.stack([number[known], label.ravel()]), axis=1)
    values = len(np.unique(number[known]))
    return 2 * len(names) <= pairs.shape[1] == values


def _numbers(column: object) -> np.ndarray:
    """(n_obs,) the values of a column as numbers, -1 where there is none."""
    import pandas as pd

    return np.asarray(pd.Categorical(pd.Series(column).astype("category")).codes, dtype=int)  # type: ignore[arg-type]


def _strata(columns: list[np.ndarray], control: np.ndarray) -> np.ndarray | None:
    """(n_obs,) what the columns say together; of the single columns the one that leaves most perturbed cells
    beside controls, where all together leave fewer.
    """
    if not columns:
        return None
    crossed = np.unique(np.stack(columns), axis=1, return_inverse=True)[1].ravel()
    beside = [_beside_controls(one, control) for one in (crossed, *columns)]
    return (crossed, *columns)[int(np.argmax(beside))]


def _beside_controls(stratum: np.ndarray, control: np.ndarray) -> int:
    """How many perturbed cells stand in a stratum that has controls."""
    controls = np.bincount(stratum[control] + 1, minlength=stratum.max(initial=-1) + 2)
    return int((controls[stratum[~control] + 1] >= FEWEST_CONTROLS).sum())
