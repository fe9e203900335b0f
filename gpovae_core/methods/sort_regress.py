"""Sort and regress: genes in the order of their variance, each regressed on all before it."""

from __future__ import annotations

import numpy as np
from scipy import linalg

from gpovae_core.errors import QueryError
from gpovae_core.methods.method import Inputs, Look, Method
from gpovae_core.methods.moments import covariance, spread_out

MOST_GENES = 3000
"""Beyond, the factor of the covariance takes minutes."""


def score(inputs: Inputs) -> np.ndarray:
    """(s, t) size of t of the source in the regression of the target; 0 where the source varies more than
    the target, NaN where a side is not measured or constant.

    Raises QueryError for more than MOST_GENES measured panel genes, and for no more cells than genes.
    """
    genes, cells = inputs.genes, inputs.expression.shape[0]
    if len(genes) > MOST_GENES:
        raise QueryError(
            f"it takes minutes beyond {MOST_GENES:,} measured panel genes, and this panel has {len(genes):,}."
        )
    if cells < len(genes) + 2:
        raise QueryError(
            f"it needs more training cells than measured panel genes ({cells:,} cells, {len(genes):,} genes)."
        )
    t = np.abs(regression_on_earlier(covariance(inputs.expression)[1], cells))
    return spread_out(t, genes, genes, (inputs.sources, inputs.targets))


def regression_on_earlier(covariances: np.ndarray, cells: int) -> np.ndarray:
    """(m, m) t of the row in the ordinary regression (with intercept) of the column on every gene of smaller
    variance; 0 for the others, NaN for constant genes.

    Sort-and-regress of Reisach et al., NeurIPS 2021, without the lasso at its end: a ranking needs no zeros.
    All regressions come from one Cholesky factor L of the correlations in that order: with M = L^-1 the
    coefficient of i for j is -L_jj M_ji, its variance L_jj^2 sum_{i <= k < j} M_ki^2 / (cells - 1 - j).
    """
    variance = np.diag(covariances)
    varies = variance > 1e-12 * max(variance.max(initial=0.0), 1e-300)
    order = np.flatnonzero(varies)[np.argsort(variance[varies], kind="stable")]
    result = np.full(covariances.shape, np.nan)
    if not len(order):
        return result
    scale = np.sqrt(variance[order])
    correlation = covariances[np.ix_(order, order)] / np.outer(scale, scale)
    # two genes that are the same in every cell have no regression on each other: a trace of ridge gives one
    factor = linalg.cholesky(correlation + 1e-10 * np.eye(len(order)), lower=True)
    inverse = linalg.solve_triangular(factor, np.eye(len(order)), lower=True)
    before = np.cumsum(inverse**2, axis=0) - inverse**2
    freedom = cells - 1 - np.arange(len(order))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = -inverse / np.sqrt(before / freedom[:, None])
    result[np.ix_(order, order)] = np.where(np.tri(len(order), k=-1, dtype=bool), t, 0.0).T
    return result


METHOD = Method(
    key="sort_regress",
    order=82,
    title="sort and regress",
    sentence=(
        "Sort and regress takes the genes in the order of their variance and ranks pairs by t of the source "
        "in the regression of the target on all genes of smaller variance."
    ),
    role="baseline",
    needs=frozenset({"cells"}),
    score=score,
    look=Look("orange", "dot", "triangle-down", 1.6),
)
