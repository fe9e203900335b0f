"""Does every guide, every batch and every donor tell the same of an edge? Its effect in each part of the
cells.

The effect is the log2 fold change of mean shares,
perturbed cells beside the controls of their own batch, donor and condition. Guides share their controls, so
that of two guides only their own cells can differ; batches and donors have controls of their own.

Whether the parts differ by more than chance is Cochran's Q of the log means (chi-square, parts - 1 degrees of
freedom; Cochran, Biometrics 10 (1954) 101-129). A part is named as the one that disagrees where the others
agree without it.

All cells that pass quality control are used, those of the training too: what is asked is whether one part
alone makes an effect, not whether the effect is there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import sparse, stats

from gpovae_core import keys
from gpovae_core.data.design.strata import FEWEST_CONTROLS, value_numbers
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.contrasts import PSEUDO_COUNT, ShareMoments, log_fold_change, share_moments
from gpovae_core.effects.design import Design

FEWEST_CELLS = 5
"""Perturbed cells that a part needs to be shown."""
DIFFERENT = 0.05
KINDS = (keys.GUIDE, keys.BATCH, keys.DONOR)
"""Columns of obs, see data.design."""


@dataclass(frozen=True)
class Part:
    """One guide, batch or donor: its perturbed cells, and the effect they show (log2) with its 95 %
    interval.
    """

    name: str
    cells: int
    fold: float
    low: float
    high: float


@dataclass(frozen=True)
class Parts:
    """The effect of an edge in every part of one kind (one of KINDS), in the order of their names; whole: in
    all of them together. small: parts with fewer than FEWEST_CELLS cells, or without controls, which are left
    out. p: of Cochran's Q, None with a single part. odd: place of the part without which the others agree;
    None where they agree with it, or do not without it.
    """

    kind: str
    parts: tuple[Part, ...]
    whole: Part
    small: int
    p: float | None
    odd: int | None

    @property
    def disagree(self) -> bool:
        return self.p is not None and self.p < DIFFERENT


@dataclass(frozen=True)
class PartedCells:
    """The cells of a run, made ready so that one edge costs the rows of its source.

    counts: (n, G) of all cells; library_size, labels, fine: (n,), fine being the finest stratum (batch,
    donor, condition) of a cell, -1 where it has too few controls; kinds: kind -> (n,) number of the part of a
    cell, -1 where unknown, and the names of the parts; columns: gene of the panel -> (its column in counts,
    and in controls); controls: moments of the control shares, a row for every fine stratum; usual: counts of
    a usual cell.
    """

    counts: sparse.csr_matrix
    library_size: np.ndarray
    labels: np.ndarray
    fine: np.ndarray
    kinds: dict[str, tuple[np.ndarray, list[str]]]
    columns: dict[str, tuple[int, int]]
    controls: ShareMoments
    usual: float

    @classmethod
    def of(cls, cells: PreparedCells) -> PartedCells | None:
        """None where neither guides nor batches nor donors of the cells are known."""
        obs = pd.DataFrame(cells.cells.obs)
        kinds = {key: (value_numbers(obs[key]), _names(obs[key])) for key in KINDS if key in obs}
        if not kinds:
            return None
        finest = [Design.of(cells).stratum, *(kinds[key][0] for key in KINDS[1:] if key in kinds)]
        fine = np.unique(np.stack(finest), axis=1, return_inverse=True)[1].ravel()
        passing, labels = cells.passing & (cells.library_size > 0), cells.labels
        groups = [
            np.flatnonzero(passing & (labels == keys.CONTROL) & (fine == one))
            for one in range(fine.max() + 1)
        ]
        enough = np.array([len(rows) >= FEWEST_CONTROLS for rows in groups])
        panel = cells.panel_columns
        library = cells.library_size
        genes = [str(gene) for gene in cells.cells.var_names[panel]]
        return cls(
            counts=cells.counts,
            library_size=library,
            labels=np.where(passing, labels, ""),
            fine=np.where(enough[fine], fine, -1),
            kinds=kinds,
            columns={
                gene: (int(column), k) for k, (gene, column) in enumerate(zip(genes, panel, strict=True))
            },
            controls=share_moments(cells.counts, library, groups, panel),
            usual=float(np.median(library[library > 0])),
        )

    def of_both(self, source: str, target: str) -> list[tuple[str, Parts]]:
        """`of_edge` of everything that was done to the gene `source` by itself: "" and its parts, or
        "knock-down" and "activation" with theirs where it was knocked down in some cells and activated in
        others.
        """
        names = keys.directions_of(source, set(self.labels))
        words = {name: "activation" if keys.is_raised(name) else "knock-down" for name in names}
        return [
            (words[name] if len(names) > 1 else "", parts)
            for name in names
            for parts in self.of_edge(name, target)
        ]

    def of_edge(self, source: str, target: str) -> tuple[Parts, ...]:
        """Every kind of which the cells of the perturbation `source` have a part that can be compared; none
        where `target` is not measured.
        """
        if target not in self.columns:
            return ()
        column, place = self.columns[target]
        rows = np.flatnonzero((self.labels == source) & (self.fine >= 0))
        if len(rows) < FEWEST_CELLS:
            return ()
        shares = self.counts[rows][:, [column]].toarray().ravel() / self.library_size[rows]
        found = (self._of_kind(kind, rows, shares, place) for kind in self.kinds)
        return tuple(parts for parts in found if parts is not None)

    def _of_kind(self, kind: str, rows: np.ndarray, shares: np.ndarray, place: int) -> Parts | None:
        number, names = self.kinds[kind]
        own = number[rows]
        present, cells = np.unique(own[own >= 0], return_counts=True)
        large = present[cells >= FEWEST_CELLS]
        if not len(large):
            return None
        compared = [self._compared(rows[own == one], shares[own == one], place) for one in large]
        parts = tuple(
            self._part(names[one], treated, control)
            for one, (treated, control) in zip(large, compared, strict=True)
        )
        p, odd = _heterogeneity(compared, self.usual, shared_controls=kind == keys.GUIDE)
        kept = np.isin(own, large)
        whole = self._part("all", *self._compared(rows[kept], shares[kept], place))
        return Parts(kind, parts, whole, len(present) - len(large), p, odd)

    def _compared(
        self, rows: np.ndarray, shares: np.ndarray, place: int
    ) -> tuple[ShareMoments, ShareMoments]:
        """Moments of perturbed cells, and of the controls of their strata, weighted as these cells lie."""
        variance = shares.var(ddof=1) if len(shares) > 1 else 0.0
        treated = ShareMoments(np.array([[shares.mean()]]), np.array([[variance]]), np.array([len(rows)]))
        strata, cells = np.unique(self.fine[rows], return_counts=True)
        held = ShareMoments(
            self.controls.mean[strata][:, [place]],
            self.controls.variance[strata][:, [place]],
            self.controls.cells[strata],
        )
        return treated, _weighted(held, cells.astype(float))

    def _part(self, name: str, treated: ShareMoments, control: ShareMoments) -> Part:
        pseudo = PSEUDO_COUNT / (treated.cells[:, None] * self.usual)
        fold, error = (float(value[0, 0]) / np.log(2) for value in log_fold_change(treated, control, pseudo))
        reach = keys.NORMAL_95 * error
        return Part(name, int(treated.cells[0]), fold, fold - reach, fold + reach)


def _weighted(groups: ShareMoments, weight: np.ndarray) -> ShareMoments:
    """One group in the place of several (r,): its mean is theirs, weighted; variance and cells are those with
    which its mean scatters as the weighted mean does. weight: (r,), any scale.
    """
    share = weight / weight.sum()
    parts = share**2 / groups.cells
    return ShareMoments(
        (share @ groups.mean)[None],
        (parts @ groups.variance / parts.sum())[None],
        np.array([1 / parts.sum()]),
    )


def _names(column: object) -> list[str]:
    """Of the numbers of `data.design.value_numbers`."""
    return [str(name) for name in pd.Categorical(pd.Series(column).astype("category")).categories]


def _heterogeneity(
    compared: list[tuple[ShareMoments, ShareMoments]], usual: float, shared_controls: bool
) -> tuple[float | None, int | None]:
    """p of Cochran's Q, and the part without which it is no longer small."""
    if len(compared) < 2:
        return None, None
    logs = [(_log_mean(treated, usual), _log_mean(control, usual)) for treated, control in compared]
    effect = np.array([own[0] - base[0] for own, base in logs])
    variance = np.array([own[1] + (0.0 if shared_controls else base[1]) for own, base in logs])
    p = cochran(effect, variance)
    if p >= DIFFERENT or len(effect) < 3:
        return p, None
    without = [np.delete(np.arange(len(effect)), k) for k in range(len(effect))]
    rest = np.array([cochran(effect[kept], variance[kept]) for kept in without])
    most = int(np.argmax(rest))
    return p, most if rest[most] >= DIFFERENT else None


def cochran(effect: np.ndarray, variance: np.ndarray) -> float:
    """p of the hypothesis that all effects (k,) with these variances are one."""
    weight = 1 / variance
    mean = (weight * effect).sum() / weight.sum()
    return float(stats.chi2.sf((weight * (effect - mean) ** 2).sum(), len(effect) - 1))


def _log_mean(group: ShareMoments, usual: float) -> tuple[float, float]:
    """Log of a mean share, half a count added, and its variance to first order, never below that of
    counting.
    """
    cells = float(group.cells[0])
    share = float(group.mean[0, 0]) + PSEUDO_COUNT / (cells * usual)
    variance = max(float(group.variance[0, 0]), share / usual) / cells
    return float(np.log(share)), variance / share**2
