"""Places for the genes of a whole network, for files and for pictures that compare two networks."""

from __future__ import annotations

import numpy as np

from gpovae_core.network.grn import GeneNetwork
from gpovae_core.plots.layout import network_layout

LAYOUT_EDGES = 2
"""Strongest edges into and out of every gene that shape the layout, so that each gene has a place whatever
the threshold.
"""


def layout(network: GeneNetwork) -> np.ndarray:
    """(n, 2) float32 places of the genes, shaped by the strongest edges of W."""
    return network_layout(len(network), *shaping_edges(network.weights, network.has_evidence)).astype(
        np.float32
    )


def shaping_edges(weights: np.ndarray, perturbed: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sources, targets and weights of the LAYOUT_EDGES strongest edges into every gene, and out of every
    perturbed gene.

    Only edges above zero, no self-loops; each edge once. Edges out of genes never perturbed shape nothing of
    their own.
    """
    n = len(weights)
    off = np.where(np.eye(n, dtype=bool), 0.0, weights)
    most = min(LAYOUT_EDGES, n)
    into = np.argsort(-off, axis=0, kind="stable")[:most]  # (most, n) sources of every target
    out = np.argsort(-off[perturbed], axis=1, kind="stable")[:, :most]
    sources = np.concatenate([into.ravel(), np.repeat(np.flatnonzero(perturbed), out.shape[1])])
    targets = np.concatenate([np.tile(np.arange(n), most), out.ravel()])
    pairs = np.unique(np.column_stack([sources, targets])[off[sources, targets] > 0], axis=0)
    return pairs[:, 0], pairs[:, 1], off[pairs[:, 0], pairs[:, 1]]
