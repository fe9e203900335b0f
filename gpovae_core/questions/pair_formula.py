"""How much would two perturbations change together, by plain sums: quick enough for every pair of a screen.

With effects e_a and e_b of two genes (log2(1 + 1e4 x / l) against control), over the measured genes but the
two perturbed ones:

    size     root mean square of e_a + e_b: what is expected if the two act independently
    overlap  root mean square of e_a * e_b: the second-order term of any smooth function of both, so the
             first place where a departure from the sum can come from

Both are sums over genes of products of two rows, so that all pairs are one product of matrices.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

BLOCK = 512
"""Rows of the matrix of pairs that are held at a time."""


@dataclass(frozen=True)
class Pairs:
    """k pairs of rows: first < second, (k,) each; size and overlap, (k,)."""

    first: np.ndarray
    second: np.ndarray
    size: np.ndarray
    overlap: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    def at(self, places: np.ndarray) -> Pairs:
        return Pairs(self.first[places], self.second[places], self.size[places], self.overlap[places])


def strongest_pairs(effects: np.ndarray, own: np.ndarray, most: int, by_overlap: int) -> Pairs:
    """The `most` pairs of largest size, and of the others the `by_overlap` of largest overlap; largest size
    first.

    effects: (p, G), where it is not finite it counts as none; own: (p,) column of the perturbed gene itself,
    -1 where it is not measured.
    """
    values = np.where(np.isfinite(effects), effects, 0.0).astype(np.float64)
    sums, products = _Sums(values, own), _Sums(values**2, own)
    kept = Pairs(*(np.zeros(0, dtype=int) for _ in range(2)), *(np.zeros(0) for _ in range(2)))
    for at in range(0, len(values), BLOCK):
        rows = np.arange(at, min(at + BLOCK, len(values)))
        first, second = np.nonzero(rows[:, None] < np.arange(len(values))[None])
        genes = np.maximum(sums.others(rows), 1)
        size = np.sqrt(np.maximum(sums.of_sum(rows), 0.0) / genes)[first, second]
        overlap = np.sqrt(np.maximum(products.of_product(rows), 0.0) / genes)[first, second]
        new = Pairs(rows[first], second, size, overlap)
        joined = [np.concatenate([getattr(kept, name), getattr(new, name)]) for name in vars(new)]
        kept = _trimmed(Pairs(*joined), most, by_overlap)
    return kept.at(np.argsort(-kept.size, kind="stable"))


def _trimmed(pairs: Pairs, most: int, by_overlap: int) -> Pairs:
    if len(pairs) <= most:
        return pairs
    largest = np.argpartition(-pairs.size, most - 1)[:most]
    rest = np.setdiff1d(np.arange(len(pairs)), largest)
    told = rest[np.argsort(-pairs.overlap[rest], kind="stable")[:by_overlap]]
    return pairs.at(np.sort(np.concatenate([largest, told])))


class _Sums:
    """Products of rows (p, G), each summed over the genes but the two perturbed ones."""

    def __init__(self, values: np.ndarray, own: np.ndarray) -> None:
        self.values, self.own = values, own
        self.squares = (values**2).sum(axis=1)
        known = own >= 0
        self.known = known.astype(int)
        # (p, p) what row i says of the gene that row j perturbed; nothing where that is not measured
        self.at_own = np.where(known[None], values[:, np.maximum(own, 0)], 0.0)

    def others(self, rows: np.ndarray) -> np.ndarray:
        """(r, p) measured genes that neither of the two perturbed."""
        return self.values.shape[1] - self.known[rows, None] - self.known[None]

    def of_product(self, rows: np.ndarray) -> np.ndarray:
        """(r, p) sums of a * b."""
        whole, itself = self.values[rows] @ self.values.T, np.diag(self.at_own)
        by_first = itself[rows, None] * self.at_own[:, rows].T
        by_second = self.at_own[rows] * itself[None]
        return whole - by_first - by_second

    def of_sum(self, rows: np.ndarray) -> np.ndarray:
        """(r, p) sums of (a + b)^2."""
        itself = np.diag(self.at_own)
        whole = self.squares[rows, None] + self.squares[None] + 2 * self.values[rows] @ self.values.T
        by_first = (itself[rows, None] + self.at_own[:, rows].T) ** 2
        by_second = (self.at_own[rows] + itself[None]) ** 2
        return whole - by_first - by_second
