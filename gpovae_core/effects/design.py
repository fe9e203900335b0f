"""How a screen was made, cell by cell: what is compared with what, and what counts as a replicate.

Cells are compared within strata, the batches and donors that were found (data.design): a perturbed cell with
the controls of its own batch. Replicates are what one perturbation was done with several times: its guides,
its donors. An effect that one of three guides shows is no effect of the gene.

A rank test asks what else the perturbed cells might have been, had nothing happened: `Exchangeable` says so.
Cells of one stratum and like depth could be any of each other. Where every well holds one label they could
not, a well is one or the other as a whole.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from gpovae_core import keys
from gpovae_core.data.design.strata import holds_one_label, strata, value_numbers
from gpovae_core.data.schema import PreparedCells

MOST_DEPTHS, CONTROLS_OF_DEPTH = 20, 10
"""Classes of depth that a stratum is divided into at most, and controls on average in each. Between two
classes depth alone moves the ranks of shares: Datlinger et al., NFATC1 beside cells of half the depth, 61 of
234 genes in one class, 6 in five, none in 20.
"""
MANY_GUIDES = 10
"""With so many guides of the median perturbation, and of the controls, guides are ranked and not cells: with
fewer no rank of theirs could be surprising, and what they disagree on is in the error of the effect alone.
"""


@dataclass(frozen=True)
class Design:
    """stratum: (n_obs,) number of the stratum of every cell; replicates: for each kind of replicate (guide,
    donor, batches that hold one label each) a number for every cell, -1 where it is not known; size: (n_obs,)
    counts of a cell to take shares of, of the whole transcriptome where the file gives them; whole: whether
    it does; unit: (n_obs,) number of the well (or guide, where there are many) that is perturbed or not as a
    whole; None where cells are.
    """

    stratum: np.ndarray
    replicates: dict[str, np.ndarray]
    size: np.ndarray
    whole: bool
    unit: np.ndarray | None = None

    @classmethod
    def of(cls, prepared: PreparedCells) -> Design:
        """As the columns of `prepared` say; one stratum where neither batch nor donor was found."""
        obs, labels = pd.DataFrame(prepared.cells.obs), prepared.labels
        stratum = strata(obs, labels)
        whole = keys.SIZE_FACTOR in obs
        size = np.asarray(obs[keys.SIZE_FACTOR if whole else keys.LIBRARY_SIZE], dtype=np.float64)
        numbers = {key: value_numbers(obs[key]) for key in (keys.GUIDE, keys.DONOR, keys.BATCH) if key in obs}
        wells = [
            key
            for key in (keys.BATCH, keys.DONOR)
            if key in numbers and holds_one_label(numbers[key], labels)
        ]
        replicates = {key: number for key, number in numbers.items() if key != keys.BATCH or key in wells}
        units = [*wells, *([keys.GUIDE] if _many(numbers.get(keys.GUIDE), labels) else [])]
        unit = numbers[units[0]] if units else None
        one = np.zeros(len(obs), dtype=int)
        return cls(one if stratum is None else stratum, replicates, size, whole, unit)


def _many(guide: np.ndarray | None, labels: np.ndarray) -> bool:
    """Whether controls, and the median perturbation, have MANY_GUIDES guides."""
    if guide is None:
        return False
    known = guide >= 0
    pairs = (
        pd.DataFrame({"label": labels[known], "guide": guide[known]})
        .drop_duplicates()["label"]
        .value_counts()
    )
    others = pairs.drop(keys.CONTROL, errors="ignore")
    return bool(len(others) and min(int(pairs.get(keys.CONTROL) or 0), float(others.median())) >= MANY_GUIDES)


@dataclass(frozen=True)
class Exchangeable:
    """What a rank test of some cells compares. stratum: (cells,) within which cells could be any of each
    other, had nothing happened; scale: (cells,) by which a share of the measured counts becomes the share
    that is ranked; unit: (cells,) number of the replicate that is ranked as one, -1 unknown, None: cells are.
    lifted: perturbations whose common lift was taken out; otherwise: the same with lifts that are as possible
    (effects.lift).
    """

    stratum: np.ndarray
    scale: np.ndarray
    unit: np.ndarray | None = None
    lifted: frozenset[str] = frozenset()
    otherwise: tuple[Exchangeable, ...] = ()

    @classmethod
    def of(
        cls, prepared: PreparedCells, splits: tuple[str, ...], lift: np.ndarray | None = None
    ) -> Exchangeable:
        """Of the cells of `splits`, in their order: within batch, donor, condition and class of depth, or of
        whole wells within condition and donor. Which cells are classed together hangs on no label but on how
        many controls there are. lift: (cells,) what the size of each is multiplied by.
        """
        design, rows = Design.of(prepared), np.flatnonzero(prepared.where(splits=splits))
        size = design.size[rows] if lift is None else design.size[rows] * lift
        scale = np.divide(prepared.library_size[rows], size, out=np.ones(len(rows)), where=size > 0)
        if design.unit is not None:
            return cls(design.stratum[rows], scale, design.unit[rows])
        return cls(depth_strata(prepared, splits, lift), scale)

    def at(self, rows: np.ndarray) -> Exchangeable:
        return Exchangeable(
            self.stratum[rows],
            self.scale[rows],
            None if self.unit is None else self.unit[rows],
            self.lifted,
            tuple(other.at(rows) for other in self.otherwise),
        )

    def apply(self, expression: Any, labels: np.ndarray) -> tuple[Any, np.ndarray, np.ndarray]:
        """What is ranked, (ranked, t) shares, with labels and strata; expression: sparse (cells, t) log(1 +
        1e4 x / l). Of units the mean share of their cells.
        """
        shares: Any = sparse.csr_matrix(expression, dtype=np.float64, copy=True)
        shares.data = np.expm1(shares.data) * np.repeat(self.scale, np.diff(shares.indptr))
        if self.unit is None:
            return shares, labels, self.stratum
        names, number = np.unique(labels.astype(str), return_inverse=True)
        told = np.stack([self.unit, self.stratum, number.ravel()])[:, self.unit >= 0]
        units, place = np.unique(told, axis=1, return_inverse=True)
        cells = np.flatnonzero(self.unit >= 0)
        member = sparse.csr_matrix(
            (np.ones(len(cells)), (place.ravel(), cells)), shape=(units.shape[1], len(labels))
        )
        mean = sparse.diags(1 / np.maximum(np.asarray(member.sum(axis=1)).ravel(), 1)) @ member @ shares
        return mean.tocsr(), names[units[2]].astype(object), units[1]


def depth_strata(
    prepared: PreparedCells, splits: tuple[str, ...], lift: np.ndarray | None = None
) -> np.ndarray:
    """(cells,) `by_depth` of the cells of `splits`, in their order."""
    design, rows = Design.of(prepared), np.flatnonzero(prepared.where(splits=splits))
    return by_depth(design.size[rows], design.stratum[rows], prepared.labels[rows] == keys.CONTROL, lift)


def by_depth(
    size: np.ndarray, stratum: np.ndarray, control: np.ndarray, lift: np.ndarray | None = None
) -> np.ndarray:
    """(cells,) number of the stratum and class of depth of every cell; size: (cells,) its counts; control:
    (cells,) bool; lift: (cells,) what the size of each is multiplied by, after the classes are made.
    """
    lifted = size if lift is None else size * lift
    number = np.unique(stratum, return_inverse=True)[1].ravel()
    depth = np.zeros(len(size), dtype=int)
    for own in (np.flatnonzero(number == each) for each in range(number.max(initial=-1) + 1)):
        classes = int(np.clip(control[own].sum() // CONTROLS_OF_DEPTH, 1, MOST_DEPTHS))
        edges = np.quantile(size[own], np.arange(1, classes) / classes)
        depth[own] = np.searchsorted(edges, lifted[own], "right")
    return number * MOST_DEPTHS + depth
