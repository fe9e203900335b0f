"""Which guides a cell has, called from its guide UMIs by a stated rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse, special

if TYPE_CHECKING:
    from gpovae_core.config import DataSettings

FEWEST_CELLS = 20
"""Cells with the guide below which no mixture is fitted to its UMIs."""
FEWEST_APART = 2.0
"""Least distance of the two components of a mixture, log2 UMIs: closer ones are no two kinds of cells."""
_STEPS, _CLOSE = 500, 1e-6
_LEAST_SD = 0.25
"""Of the Gaussian, log2 UMIs: UMIs are whole numbers, and a spike at one of them is no component."""


@dataclass(frozen=True)
class Mixture:
    """Cells without a guide have log2 UMIs as from a Poisson distribution with mean `background`, cells with
    it as from a Gaussian with `mean` and `sd`; share: of the second kind among the cells with any UMI of it.
    """

    background: float
    mean: float
    sd: float
    share: float

    def posterior(self, umis: np.ndarray) -> np.ndarray:
        """(n,) probability that cells with so many UMIs (at least one) have the guide."""
        background, signal = _log_densities(np.log2(umis), self.background, self.mean, self.sd, self.share)
        return np.exp(signal - np.logaddexp(background, signal))


@dataclass(frozen=True)
class GuideCalls:
    """called: (n_obs, guides) bool, CSR; thresholds: (guides,) UMIs from which a guide was called; fitted:
    (guides,) bool, where a mixture told the threshold.
    """

    called: sparse.csr_matrix
    thresholds: np.ndarray
    fitted: np.ndarray


def _log_densities(
    x: np.ndarray, background: float, mean: float, sd: float, share: float
) -> tuple[np.ndarray, np.ndarray]:
    """Weighted log densities at log2 UMIs x: Poisson, continued by the gamma function, and Gaussian."""
    poisson = x * np.log(background) - background - special.gammaln(x + 1.0)
    gauss = -0.5 * ((x - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2.0 * np.pi)
    return np.log1p(-share) + poisson, np.log(share) + gauss


def fit_mixture(umis: np.ndarray) -> Mixture | None:
    """The Poisson-Gaussian mixture on log2 UMIs of Replogle et al. 2020 (Nat Biotechnol 38, 954), by
    expectation maximisation; None where it does not part the cells into two kinds: the components lie close
    together, or do not beat one Gaussian by Bayes' information criterion (where background was taken out).

    umis: (n,) UMIs of one guide, of the cells that have any of it. The mean of the Poisson component that
    maximises the expected log likelihood is the weighted mean of log2 UMIs, as for whole numbers, since the
    gamma function in its density does not depend on it.
    """
    values, cells = np.unique(umis, return_counts=True)
    if len(umis) < FEWEST_CELLS or len(values) < 3:
        return None
    x, weight = np.log2(values), cells / cells.sum()
    middle = (x[0] + x[-1]) / 2.0
    signal = (x > middle).astype(float)
    background = mean = sd = share = 0.0
    last = -np.inf
    for _ in range(_STEPS):
        share = float(np.clip((weight * signal).sum(), 1e-6, 1.0 - 1e-6))
        mean = float((weight * signal * x).sum() / share)
        sd = max(_LEAST_SD, float(np.sqrt((weight * signal * (x - mean) ** 2).sum() / share)))
        background = max(1e-3, float((weight * (1.0 - signal) * x).sum() / (1.0 - share)))
        low, high = _log_densities(x, background, mean, sd, share)
        total = np.logaddexp(low, high)
        signal = np.exp(high - total)
        before, last = last, float((weight * total).sum())
        if last - before < _CLOSE:
            break
    apart = mean - background >= FEWEST_APART and last - _one_kind(x, weight) > np.log(len(umis)) / len(umis)
    return Mixture(background, mean, sd, share) if apart else None


def _one_kind(x: np.ndarray, weight: np.ndarray) -> float:
    """Mean log likelihood of a Gaussian alone."""
    mean = float((weight * x).sum())
    sd = max(_LEAST_SD, float(np.sqrt((weight * (x - mean) ** 2).sum())))
    return float(weight @ (-0.5 * ((x - mean) / sd) ** 2 - np.log(sd) - 0.5 * np.log(2.0 * np.pi)))


def least_umis(mixture: Mixture, most: int) -> int:
    """UMIs from which on a cell more likely has the guide than not: below the Gaussian's mean the posterior
    is followed down to where it falls to a half, so that more UMIs never count less. most: of any cell.
    """
    top = int(np.clip(round(2.0**mixture.mean), 1, most))
    likely = mixture.posterior(np.arange(1, top + 1)) > 0.5
    unlikely = np.flatnonzero(~likely)
    return int(unlikely[-1]) + 2 if len(unlikely) else 1


def call_guides(umis: sparse.spmatrix, settings: DataSettings) -> GuideCalls:
    """The guides of every cell by `settings.guide_rule`.

    umis: (n_obs, guides) whole numbers. mixture: a guide is called where a mixture of its own says so, and at
    least guide_umis UMIs are there; a guide whose UMIs are too few for a mixture, or of one kind only, is
    called from guide_umis on. threshold: at least guide_umis UMIs that are guide_share or more of all guide
    UMIs of the cell.
    """
    by_guide: Any = sparse.csc_matrix(umis, dtype=np.float64)
    by_guide.eliminate_zeros()
    mixed = settings.guide_rule == "mixture"
    least = np.zeros(by_guide.shape[0]) if mixed else _shares(by_guide, settings.guide_share)
    thresholds = np.full(by_guide.shape[1], settings.guide_umis)
    fitted = np.zeros(by_guide.shape[1], dtype=bool)
    keep = np.zeros(by_guide.nnz, dtype=bool)
    for guide in range(by_guide.shape[1]):
        part = slice(by_guide.indptr[guide], by_guide.indptr[guide + 1])
        own, rows = by_guide.data[part], by_guide.indices[part]
        mixture = fit_mixture(own) if mixed else None
        if mixture is not None:
            fitted[guide] = True
            thresholds[guide] = max(settings.guide_umis, least_umis(mixture, int(own.max())))
        keep[part] = (own >= thresholds[guide]) & (own >= least[rows])
    called = sparse.csc_matrix((keep, by_guide.indices, by_guide.indptr), shape=by_guide.shape)
    called = sparse.csr_matrix(called)
    called.eliminate_zeros()
    return GuideCalls(called, thresholds, fitted)


def _shares(umis: sparse.csc_matrix, share: float) -> np.ndarray:
    """(n_obs,) UMIs that are this share of all guide UMIs of a cell."""
    return share * np.asarray(umis.sum(axis=1)).ravel()
