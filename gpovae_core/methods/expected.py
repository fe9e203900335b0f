"""What the network predicts for the measurements: T_K on the scale of the observed effects, so that both can
be compared.

The network speaks of log fold changes of a gene. A measurement shows shares of all counts, in which a fall of
an abundant gene lifts the others, and the logarithm of a normalised count, which moves little for a gene of
few counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpovae_core import keys
from gpovae_core.data.expression import EFFECT_SCALE
from gpovae_core.data.schema import PreparedCells
from gpovae_core.methods.fitted import NetworkFit


def predicted_by_network(fit: NetworkFit, prepared: PreparedCells) -> np.ndarray:
    """(n, G) effect on log2(1 + 1e4 x / l) of perturbing each panel gene, by the network alone, to first
    order.

    Log fold changes through T_K, minus the lift that keeps the shares at a sum of one, times the sensitivity
    of each gene.
    """
    change = measured_influence(fit, prepared) + common_lift(fit, prepared)[:, None]
    return change * control_sensitivity(prepared)


def common_lift(fit: NetworkFit, prepared: PreparedCells) -> np.ndarray:
    """(n,) log fold change that the changes through the network leave to a gene that does not respond: -log
    sum_j share_j exp(change_j).
    """
    cells = _controls(prepared)
    counts: Any = prepared.counts[cells]
    shares = np.asarray(counts.multiply(1 / prepared.library_size[cells][:, None]).mean(axis=0)).ravel()
    return -np.log(np.exp(measured_influence(fit, prepared)) @ (shares / shares.sum()))


def control_sensitivity(prepared: PreparedCells) -> np.ndarray:
    """(G,) `sensitivity` of every measured gene in the training controls."""
    cells = _controls(prepared)
    return sensitivity(prepared.counts[cells], prepared.library_size[cells])


def sensitivity(counts: Any, library_size: np.ndarray) -> np.ndarray:
    """(G,) change of the mean of f(x) = log2(1 + 1e4 x / l) per unit of natural log fold change of a gene's
    share.

    counts: CSR (cells, G). For Poisson counts of mean m, d E f / d log m = E[x (f(x) - f(x - 1))] (Chen-Stein
    identity), which needs the counts that are not zero only.
    """
    counts = counts.tocsr().astype(np.float64)
    x, size = counts.data, np.repeat(library_size, np.diff(counts.indptr))
    counts.data = x * (np.log2(1 + EFFECT_SCALE * x / size) - np.log2(1 + EFFECT_SCALE * (x - 1) / size))
    return np.asarray(counts.mean(axis=0)).ravel()


def _controls(prepared: PreparedCells) -> np.ndarray:
    return np.flatnonzero(prepared.where(keys.CONTROL, (keys.TRAIN,)) & (prepared.library_size > 0))


def measured_influence(fit: NetworkFit, prepared: PreparedCells) -> np.ndarray:
    """(n, G) expected log fold change of every measured gene when a panel gene is perturbed, the knock-down
    itself included.
    """
    change = fit.expected_change()
    own = np.diag(fit.effect)
    np.fill_diagonal(change, np.where(np.isfinite(own), own, 0.0))
    result = np.zeros((len(prepared.panel), prepared.cells.n_vars))
    result[:, prepared.panel_columns] = change[:, prepared.panel.is_measured]
    return result
