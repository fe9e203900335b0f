"""How W reaches over K hops: the influence T = sum_k c_k X^k, only the rows asked for.

Direction: row = source, column = target, so (X^k)[i, j] sums over all walks of k edges from i to j.
Works on numpy arrays and torch tensors alike (nothing but `@`, `*`, `+`), in the backward pass too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

Influence = Literal["paper", "released", "signed"]
Matrix = TypeVar("Matrix")  # numpy array or torch tensor


@dataclass(frozen=True)
class HopSeries:
    """T = sum over k = 1..len(weights) of weights[k-1] * X (step X)^(k-1); coefficient of X^k is weights[k-1]
    * step^(k-1).
    """

    step: float
    weights: tuple[float, ...]

    def coefficient(self, hops: int) -> float:
        """c_k for k = `hops` (1 or more); 0 beyond the series."""
        return self.weights[hops - 1] * self.step ** (hops - 1) if hops <= len(self.weights) else 0.0


def hop_series(kind: Influence, n: int, hops: int) -> HopSeries:
    """The series of a preset for n genes and K = `hops`.

    paper: W + sum_{k=2..K} W (W/n)^(k-1) / k. The publication writes W^k / (k n) (`literal_paper_series`),
    which grows like
        n^(k-2) for a dense W and cannot be trained from W = 0.5 on large panels; both agree at k = 2, and
        here every hop is bounded by 1/k.
    released: A + sum_{k=1..K} A^(k+1) / n^k on the logits A, K + 1 terms, as the authors' code has it.
    signed: B + B^2 + ... + B^K of the signed strengths B = W * S: the total effect in a linear network. Not
        divided by anything: a hop that is weakened by the number of genes explains nothing in a sparse
        network. For signed strengths without an own change (`influence_passed` elsewhere).
    """
    if kind == "signed":
        return HopSeries(step=1.0, weights=(1.0,) * hops)
    if kind == "paper":
        return HopSeries(step=1.0 / n, weights=tuple(1.0 / k for k in range(1, hops + 1)))
    return HopSeries(step=1.0 / n, weights=(1.0,) * (hops + 1))


def literal_paper_series(n: int, hops: int) -> HopSeries:
    """T_K = W + sum_{k=2..K} W^k / (k n), exactly as published (section 3.4). For comparison; see
    `hop_series`.
    """
    return HopSeries(step=1.0, weights=(1.0, *(1.0 / (k * n) for k in range(2, hops + 1))))


def influence_over_hops(matrix: Matrix, series: HopSeries, rows: Matrix | None = None) -> Matrix:
    """Influence of each source row: shape (r, n) for `rows` = (r, n) combinations of rows of `matrix`; (n, n)
    where None.

    rows: rows of `matrix` (or of D @ matrix for combinations, by linearity). One product with `matrix` per
    further hop, never a full matrix power: r n^2 per hop.
    """
    walk: Any = matrix if rows is None else rows
    further: Any = matrix if series.step == 1 else matrix * series.step  # type: ignore[operator]
    total = walk * series.weights[0]
    for weight in series.weights[1:]:
        walk = walk @ further
        total = total + (walk if weight == 1 else walk * weight)
    return total


def influence_passed(
    matrix: np.ndarray, passing: np.ndarray, hops: int, sources: np.ndarray | None = None
) -> np.ndarray:
    """T_K where genes pass on more or less of their change, (r, n); (n, n) where `sources` (r,) is None.

    The sum over all walks of 1 to `hops` edges of the product of their entries of `matrix`, every edge out of
    gene m but the first times passing[source, m] (see methods.passing). 0 for the source itself: its change
    is what its perturbation makes it.
    """
    chosen = np.arange(len(matrix)) if sources is None else sources
    reached = walked(matrix[chosen], passing[chosen], matrix, hops)
    reached[np.arange(len(chosen)), chosen] = 0.0
    return reached


def walked(first: np.ndarray, passing: np.ndarray, matrix: np.ndarray, hops: int) -> np.ndarray:
    """(r, n) sum over all walks of `influence_passed` that begin with `first` (r, n), also those back to the
    source; passing: (r, n). Further hops are multiplied in the precision of `matrix`.
    """
    walk, reached = first, first.copy()
    for _ in range(hops - 1):
        walk = (walk * passing).astype(matrix.dtype, copy=False) @ matrix
        reached += walk
    return reached
