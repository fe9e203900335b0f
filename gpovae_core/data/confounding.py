"""Whether a column of obs tells cells apart as batches do: perturbations are spread unevenly over its values,
and control cells differ between them. Where nothing is compared within such a column, its differences look
like effects.

Only the expression of controls is looked at. How far their differences would move the effects of the
perturbations, as these are spread, is measured in two halves of the controls, so that scatter drops out,
and beside controls whose values were shuffled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gpovae_core import keys

LEAST_MOVED = 0.03
"""Root mean square over genes, in log fold changes, by which effects have to be moved for a column to matter.
"""
LEAST_UNEVEN = 0.05
"""Share of the cells of a perturbation that would have to change their value to be spread as controls are."""
UNEVEN_P = 1e-3
"""Level of the test of spread, over all perturbations and values."""
FEWEST_OF_VALUE = 6
"""Controls of a value that tell its mean in two halves."""
MOST_CONTROLS, MOST_GENES, MOST_PERTURBATIONS = 5000, 500, 200
_SHUFFLES, _CLEARLY = 40, 5.0
_ROOM = 2 * 10**7
_SEED = 71_993  # no seed that a simulated column may have been drawn with

Counts = Callable[[np.ndarray], Any]
"""From positions of cells to their counts, sparse (cells, genes)."""


class Controls:
    """Control cells, MOST_CONTROLS of them drawn where there are more, and their counts, read when they are
    asked for and then kept: a large file is gone through once for all columns.
    """

    def __init__(self, labels: np.ndarray, counts: Counts) -> None:
        """labels: (n_obs,) canonical."""
        rows = np.flatnonzero(labels == keys.CONTROL)
        self.rows = np.sort(np.random.default_rng(_SEED).permutation(rows)[:MOST_CONTROLS])
        self._read = counts

    @cached_property
    def counts(self) -> Any:
        """(rows, genes) sparse."""
        return self._read(self.rows)


@dataclass(frozen=True)
class Confounding:
    """uneven: perturbations that are spread over the values otherwise than controls are; moved: how far what
    controls differ by would move their effects (root mean square over genes of log fold changes), nought
    where that is not beyond chance, None where too few values hold controls to tell.
    """

    uneven: int
    moved: float | None

    @property
    def matters(self) -> bool:
        """Also where it cannot be told."""
        return self.uneven > 0 and (self.moved is None or self.moved >= LEAST_MOVED)

    @property
    def seen(self) -> bool:
        """Whether controls show that it matters."""
        return self.matters and self.moved is not None


NOTHING = Confounding(0, 0.0)


def confounding(
    codes: np.ndarray, labels: np.ndarray, stratum: np.ndarray | None, controls: Controls | None
) -> Confounding:
    """Of a column of obs, beyond what is compared within `stratum`.

    codes: (n_obs,) its values as numbers, -1 where unknown; labels: (n_obs,) canonical; stratum: (n_obs,),
    None for one; controls: None where they cannot be looked at.
    """
    known = np.flatnonzero(codes >= 0)
    within = np.zeros(len(codes), dtype=int) if stratum is None else stratum
    part, place = np.unique(np.stack([within[known], codes[known]]), axis=1, return_inverse=True)
    place = place.ravel()
    if part.shape[1] == len(np.unique(part[0])):
        return NOTHING  # one value in every stratum
    table = _Table.of(part, place, labels[known])
    uneven = table.uneven()
    if not uneven.any():
        return NOTHING
    surplus = table.surplus(uneven)
    told = table.controls >= FEWEST_OF_VALUE
    more = np.maximum(surplus, 0.0)
    testable = more[:, told].sum(axis=1) >= more.sum(axis=1) / 2
    if controls is None or not testable.any():
        return Confounding(int(uneven.sum()), None)
    part_of = np.full(len(codes), -1)
    part_of[known[told[place]]] = place[told[place]]
    moved = _moved(surplus[testable], part[0], part_of[controls.rows], controls)
    return Confounding(int(uneven.sum()), moved)


@dataclass(frozen=True)
class _Table:
    """cells: (p, k) cells of every perturbation in every part, a value within a stratum; controls: (k,);
    stratum, value: (k,) numbers of them.
    """

    cells: np.ndarray
    controls: np.ndarray
    stratum: np.ndarray
    value: np.ndarray

    @classmethod
    def of(cls, part: np.ndarray, place: np.ndarray, labels: np.ndarray) -> _Table:
        names, label = np.unique(labels.astype(str), return_inverse=True)
        label, k = label.ravel(), part.shape[1]
        size = np.bincount(label, minlength=len(names))
        size[names == keys.CONTROL] = 0
        used = np.sort(np.argsort(-size, kind="stable")[: min((size > 0).sum(), max(1, _ROOM // k))])
        row = np.full(len(names), -1)
        row[used] = np.arange(len(used))
        mine = row[label] >= 0
        flat = np.bincount(row[label[mine]] * k + place[mine], minlength=len(used) * k)
        controls = np.bincount(place[names[label] == keys.CONTROL], minlength=k)
        stratum = np.unique(part[0], return_inverse=True)[1].ravel()
        value = np.unique(part[1], return_inverse=True)[1].ravel()
        beside = np.bincount(stratum, controls)[stratum] > 1  # without controls nothing is compared
        return cls(flat.reshape(len(used), k) * beside, controls * beside, stratum, value)

    def _sums(self, parts: np.ndarray, by: np.ndarray) -> np.ndarray:
        """(r, groups) sums of the columns of `parts` (r, k)."""
        from scipy import sparse

        one = np.ones(len(by))
        return np.asarray(parts @ sparse.csr_matrix((one, (np.arange(len(by)), by))))

    def surplus(self, rows: np.ndarray) -> np.ndarray:
        """(rows, k) share of the cells of a perturbation that it has more in a part than controls have."""
        cells = self.cells[rows]
        inside = self._sums(cells, self.stratum)[:, self.stratum]
        of_controls = np.maximum(np.bincount(self.stratum, self.controls)[self.stratum], 1)
        whole = np.maximum(cells.sum(axis=1, keepdims=True), 1)
        return (cells - inside * self.controls / of_controls) / whole

    def uneven(self) -> np.ndarray:
        """(p,) bool: clearly spread otherwise than controls, by the test of Cochran, Mantel and Haenszel of
        every value against all others.
        """
        from scipy.stats import norm

        inside = self._sums(self.cells, self.stratum)[:, self.stratum]
        of_controls = np.bincount(self.stratum, self.controls)[self.stratum]
        whole, both = inside + of_controls, self.cells + self.controls
        some = np.maximum(whole, 2)
        beyond = self._sums(self.cells - inside * both / some, self.value)
        variance = inside * of_controls * both * (whole - both) / (some**2 * (some - 1))
        spread = self._sums(np.maximum(variance, 0.0), self.value)
        z = np.abs(beyond) / np.sqrt(np.maximum(spread, 1e-12))
        everyone = np.ones(len(self.cells), dtype=bool)
        apart = np.abs(self._sums(self.surplus(everyone), self.value)).sum(axis=1) / 2
        return (z.max(axis=1, initial=0) > norm.isf(UNEVEN_P / 2 / max(z.size, 1))) & (apart >= LEAST_UNEVEN)


def _moved(surplus: np.ndarray, stratum: np.ndarray, part: np.ndarray, controls: Controls) -> float:
    """See Confounding. surplus: (p, k); stratum: (k,) of every part; part: that of every control, or -1."""
    rng = np.random.default_rng(_SEED)
    largest = np.argsort(-np.abs(surplus).sum(axis=1), kind="stable")[:MOST_PERTURBATIONS]
    surplus = surplus[largest]
    chosen = np.flatnonzero(part >= 0)
    part, stratum_of = part[chosen], stratum[part[chosen]]
    shares, weight = _shares(controls.counts[chosen], stratum_of)
    if not shares.shape[1]:
        return 0.0
    half = rng.integers(0, 2, len(part)).astype(bool)

    def squared(place: np.ndarray) -> float:
        first, second = (_means(shares[own], place[own], surplus.shape[1]) for own in (half, ~half))
        both = np.einsum("ig,ig,g->i", surplus @ first, surplus @ second, weight)
        return float(np.quantile(both, 0.9))

    found = squared(part)
    shuffled = np.array([squared(_shuffled(part, stratum_of, rng)) for _ in range(_SHUFFLES)])
    clear = found > max(shuffled.max(), shuffled.mean() + _CLEARLY * shuffled.std())
    return float(np.sqrt(found)) if clear and found > 0 else 0.0


def _shares(counts: Any, stratum: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(cells, genes) shares of the genes with most counts over their mean, less the mean of the stratum, and
    the weight of each gene, how well it is measured.
    """
    from scipy import sparse

    held = sparse.csr_matrix(counts, dtype=np.float64)
    size = np.maximum(np.asarray(held.sum(axis=1)).ravel(), 1.0)
    mean = np.asarray(held.mean(axis=0)).ravel()
    genes = np.argsort(-mean, kind="stable")[:MOST_GENES]
    genes = genes[mean[genes] > 0.02]
    shares = held[:, genes].toarray() / size[:, None]
    shares /= np.maximum(shares.mean(axis=0), 1e-300)
    number = np.unique(stratum, return_inverse=True)[1].ravel()
    shares -= _means(shares, number, number.max(initial=0) + 1)[number]
    weight = mean[genes] / (1 + mean[genes])
    return shares, weight / max(weight.sum(), 1e-300)


def _means(values: np.ndarray, group: np.ndarray, groups: int) -> np.ndarray:
    """(groups, genes), nought of a group without cells."""
    from scipy import sparse

    member = sparse.csr_matrix(
        (np.ones(len(group)), (group, np.arange(len(group)))), shape=(groups, len(group))
    )
    size = np.maximum(np.asarray(member.sum(axis=1)), 1.0)
    return np.asarray(member @ values) / size


def _shuffled(part: np.ndarray, stratum: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Parts exchanged between cells of one stratum."""
    found = part.copy()
    order = np.argsort(stratum, kind="stable")
    for own in np.split(order, np.flatnonzero(np.diff(stratum[order])) + 1):
        found[own] = part[rng.permutation(own)]
    return found
