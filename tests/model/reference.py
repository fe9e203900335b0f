"""Formulas written a second time, plainly, in float64 where it matters; and the released code's mistakes, to
tell them apart.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.distributions import Normal as TorchNormal
from torch.distributions import kl_divergence

from gpovae_core.model.layers import Normal


def kl_as_released(first: Normal, second: Normal) -> torch.Tensor:
    """Mistake 1: no division by the second variance, summed over cells; mean over particles only."""
    ratio = first.std / second.std
    return (0.5 * (ratio**2 - 1 - 2 * ratio.log() + (first.mean - second.mean) ** 2)).sum(dim=(1, 2)).mean()


def kl_by_torch(first: Normal, second: Normal) -> torch.Tensor:
    return kl_divergence(TorchNormal(first.mean, first.std), TorchNormal(second.mean, second.std))


def influence_by_powers(matrix: np.ndarray, coefficients: list[float]) -> np.ndarray:
    """sum_k c_k X^k with full matrix powers."""
    return sum(c * np.linalg.matrix_power(matrix, k) for k, c in enumerate(coefficients, start=1))


def gamma_poisson_log_prob(counts: Tensor, mean: Tensor, concentration: Tensor) -> Tensor:
    """Log probability of counts under a Gamma-Poisson with rate concentration / mean; broadcasts; mean > 0.

    = lgamma(x + c) - lgamma(c) - lgamma(x + 1) + c log c + x log m - (x + c) log(m + c); mean m, variance m +
    m^2 / c.
    """
    normaliser = (counts + concentration).lgamma() - concentration.lgamma() - (counts + 1).lgamma()
    with_mean = counts * mean.log() - (counts + concentration) * (mean + concentration).log()
    return normaliser + concentration * concentration.log() + with_mean
