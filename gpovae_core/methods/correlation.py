"""Correlation of two genes over the training cells, whatever was perturbed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpovae_core.methods.method import Inputs, Look, Method
from gpovae_core.methods.moments import covariance


def score(inputs: Inputs) -> np.ndarray:
    """(s, t) size of the correlation."""
    return inputs.of_genes(np.abs(gene_correlation(inputs.expression, inputs.genes, inputs.sources)))


def gene_correlation(expression: Any, genes: Sequence[str], sources: Sequence[str]) -> np.ndarray:
    """(s, genes) Pearson correlation over cells of each source with every gene; NaN where a side is not
    measured or constant.

    expression: CSR (cells, genes), see `covariance`.
    """
    covariances = covariance(expression)[1]
    spread = np.sqrt(np.maximum(np.diag(covariances), 0.0))
    spread = np.where(spread > 1e-9 * max(spread.max(initial=0.0), 1e-300), spread, np.nan)
    place = {gene: i for i, gene in enumerate(genes)}
    result = np.full((len(sources), len(genes)), np.nan)
    for row, source in enumerate(sources):
        if source in place:
            result[row] = covariances[place[source]] / (spread[place[source]] * spread)
    return result


METHOD = Method(
    key="correlation",
    order=70,
    title="correlation",
    sentence=(
        "Correlation ranks pairs by the size of Pearson's correlation of source and target over the training "
        "cells."
    ),
    role="baseline",
    needs=frozenset({"cells"}),
    score=score,
    look=Look("orange", "dash", "triangle-up", 1.6),
)
