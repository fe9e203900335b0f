"""Means and covariances of genes over cells, and over the cells of every perturbation: what several methods
start from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpovae_core import keys
from gpovae_core.data.labelled import cells_of
from gpovae_core.errors import QueryError

_BLOCK = 8192


def covariance(expression: Any) -> tuple[np.ndarray, np.ndarray]:
    """(genes,) mean and (genes, genes) covariance (divisor: cells) of a CSR matrix (cells, genes), read in
    blocks of cells.
    """
    cells, genes = expression.shape
    # near the mean, so that little is lost in the difference below
    shift = np.asarray(expression.mean(axis=0)).ravel() if cells else np.zeros(genes)
    total, square = np.zeros(genes), np.zeros((genes, genes))
    for low in range(0, cells, _BLOCK):
        block = expression[low : low + _BLOCK].toarray() - shift
        total += block.sum(axis=0)
        square += block.T @ block
    off = total / max(cells, 1)
    return shift + off, square / max(cells, 1) - np.outer(off, off)


@dataclass(frozen=True)
class Groups:
    """The cells of every perturbation and of the controls.

    expression: CSR (cells, genes); rows: perturbation -> its cells; controls: theirs. A perturbation of a
    single cell is left out: it has no spread.
    """

    expression: Any
    rows: dict[str, np.ndarray]
    controls: np.ndarray

    @classmethod
    def of(cls, expression: Any, labels: np.ndarray) -> Groups:
        """Raises QueryError where there are fewer than two controls."""
        names = np.unique(labels.astype(str)).tolist()
        found = dict(zip(names, cells_of(labels, names), strict=True))
        controls = found.pop(keys.CONTROL, np.zeros(0, dtype=int))
        if len(controls) < 2:
            raise QueryError(f"it needs two training controls or more, and there are {len(controls)}.")
        return cls(expression, {name: rows for name, rows in found.items() if len(rows) > 1}, controls)

    def mean_and_variance(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(genes,) each, of some cells; divisor of the variance: cells."""
        cells = self.expression[rows]
        mean = np.asarray(cells.mean(axis=0)).ravel()
        square = np.asarray(cells.multiply(cells).mean(axis=0)).ravel()
        return mean, np.maximum(square - mean**2, 0.0)

    def second_moments(
        self, rows: np.ndarray, about: np.ndarray, unit: np.ndarray, inner: np.ndarray
    ) -> np.ndarray:
        """(inner, genes) mean over some cells of the products of genes, each less `about` and over `unit`
        (genes,); the cells are read in blocks.
        """
        total = np.zeros((len(inner), len(unit)))
        for low in range(0, len(rows), _BLOCK):
            block = (self.expression[rows[low : low + _BLOCK]].toarray() - about) / unit
            total += block[:, inner].T @ block
        return total / len(rows)


def spread_out(
    values: np.ndarray,
    rows: Sequence[str],
    columns: Sequence[str],
    wanted: tuple[Sequence[str], Sequence[str]],
) -> np.ndarray:
    """`values` (rows, columns) at the wanted rows and columns, NaN for what is not among them."""
    places = [{name: place for place, name in enumerate(names)} for names in (rows, columns)]
    result = np.full((len(wanted[0]), len(wanted[1])), np.nan)
    at = [
        [(out, place[name]) for out, name in enumerate(names) if name in place]
        for place, names in zip(places, wanted, strict=True)
    ]
    if all(at):
        (out_rows, own_rows), (out_columns, own_columns) = (np.array(pairs).T for pairs in at)
        result[np.ix_(out_rows, out_columns)] = values[np.ix_(own_rows, own_columns)]
    return result
