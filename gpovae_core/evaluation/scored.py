"""What is scored, as one bundle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gpovae_core.data.schema import PreparedCells
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.matched import HOPS
from gpovae_core.methods.fitted import NetworkFit


@dataclass(frozen=True)
class Scored:
    """A run's predictions and its network.

    predicted: (perturbations x genes) effects in log2(counts per 10,000 + 1) against control, with every
    measured gene; weights: (n, n) W in panel order, row = source, None where there is no network; threshold:
    W above it is an edge; hops: K of T_K, at least 1; fit: the network stage where the run had one. Raises
    QueryError for a threshold that W cannot have.
    """

    prepared: PreparedCells
    predicted: pd.DataFrame
    weights: np.ndarray | None
    threshold: float
    hops: int = max(HOPS)
    fit: NetworkFit | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.threshold <= 1.0:
            raise QueryError(f"The threshold must lie between 0 and 1, as W does; got {self.threshold:g}.")
        n = len(self.prepared.panel)
        if self.weights is not None and self.weights.shape != (n, n):
            raise ValueError(f"weights has shape {self.weights.shape}, the panel has {n} genes")
        if self.hops < 1:
            raise ValueError(f"T_K needs K of at least 1, got {self.hops}")

    @property
    def adjacency(self) -> np.ndarray:
        """(n, n) bool, row = source: the edges. Not to be asked where there is no network."""
        assert self.weights is not None
        return self.weights > self.threshold
