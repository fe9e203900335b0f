"""Correlation of two genes over the training cells, whatever was perturbed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpovae_core.methods.method import Inputs, Look, Method

_BLOCK = 8192


def score(inputs: Inputs) -> np.ndarray:
    """(s, t) size of the correlation."""
    return inputs.of_genes(np.abs(gene_correlation(inputs.expression, inputs.genes, inputs.sources)))


def gene_correlation(expression: Any, genes: Sequence[str], sources: Sequence[str]) -> np.ndarray:
    """(s, genes) Pearson correlation over cells of each source with every gene; NaN where a side is not
    measured or constant.

    expression: CSR (cells, genes), read in blocks of cells.
    """
    total, square = np.zeros(len(genes)), np.zeros((len(genes), len(genes)))
    shift = np.asarray(
        expression.mean(axis=0)
    ).ravel()  # near the mean, so that little is lost in the difference below
    for low in range(0, expression.shape[0], _BLOCK):
        block = expression[low : low + _BLOCK].toarray() - shift
        total += block.sum(axis=0)
        square += block.T @ block
    covariance = square - np.outer(total, total) / max(expression.shape[0], 1)
    spread = np.sqrt(np.maximum(np.diag(covariance), 0.0))
    spread = np.where(spread > 1e-9 * max(spread.max(initial=0.0), 1e-300), spread, np.nan)
    place = {gene: i for i, gene in enumerate(genes)}
    result = np.full((len(sources), len(genes)), np.nan)
    for row, source in enumerate(sources):
        if source in place:
            result[row] = covariance[place[source]] / (spread[place[source]] * spread)
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
