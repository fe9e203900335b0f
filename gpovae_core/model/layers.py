"""Building blocks of the networks: a linear layer over named input blocks, a residual MLP, a head of a normal
distribution.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

VARIANCE_FLOOR = 1e-4


@dataclass(frozen=True)
class Normal:
    """Diagonal normal distribution; both (..., d)."""

    mean: Tensor
    std: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Reparameterised draw from standard normal `noise` of the same shape."""
        return self.mean + self.std * noise

    def __getitem__(self, key: object) -> Normal:
        return Normal(self.mean[key], self.std[key])  # type: ignore[index]


class BlockLinear(nn.Module):
    """A linear layer on the concatenation of named blocks, with one contiguous weight per block.

    Each block can then be multiplied on its own: once per perturbation, once per cell, as a gather for a
    one-hot block. `added`: blocks that are summed with another one, and so meet its weight: name -> that of
    the other.
    """

    def __init__(self, blocks: dict[str, int], outputs: int, added: dict[str, str] | None = None) -> None:
        super().__init__()
        self.added = added or {}
        whole = nn.Linear(sum(blocks.values()), outputs)  # initialised as the undivided layer would be
        parts = whole.weight.detach().split(list(blocks.values()), dim=1)
        self.weights = nn.ParameterDict(
            {name: nn.Parameter(part.contiguous()) for name, part in zip(blocks, parts, strict=True)}
        )
        self.bias = nn.Parameter(whole.bias.detach().clone())

    def block(self, name: str, values: Tensor) -> Tensor:
        """Contribution of one block, without the bias: (..., size) -> (..., outputs)."""
        return functional.linear(values, self.weights[self.added.get(name, name)])

    def conditions(self, offsets: Tensor, artifact: Tensor) -> Tensor:
        """What a cell's perturbation and artifact label add, bias included: (P, U, 2, outputs), to be
        gathered per cell.

        offsets (P, U, n) and artifact (P, 1, L) meet the blocks of those names; the third axis is the label,
        0 or 1.
        """
        perturbation = self.block("offset", offsets) + self.bias
        return torch.stack([perturbation, perturbation + self.block("artifact", artifact)], dim=2)

    def columns(self, name: str, index: Tensor) -> Tensor:
        """Contribution of a one-hot block whose ones are at `index` (r,): (r, outputs)."""
        return self.weights[name].index_select(1, index).T


class ResidualMLP(nn.Module):
    """y_1 = act(first layer), y_l = act(W_l y + b_l) + y, act = LeakyReLU(0.01). The first layer is a
    BlockLinear.
    """

    def __init__(
        self, blocks: dict[str, int], width: int, layers: int, added: dict[str, str] | None = None
    ) -> None:
        super().__init__()
        self.first = BlockLinear(blocks, width, added)
        self.rest = nn.ModuleList(nn.Linear(width, width) for _ in range(layers - 1))

    def forward(self, first: Tensor) -> Tensor:
        """`first`: sum over blocks of the first layer and its bias, (..., width); overwritten."""
        hidden = functional.leaky_relu(first, inplace=True)
        for layer in self.rest:
            hidden = functional.leaky_relu(layer(hidden), inplace=True) + hidden
        return hidden


class NormalHead(nn.Module):
    """Mean and standard deviation by two linear maps; variance = exp(.) + 1e-4."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.mean = nn.Linear(width, outputs)
        self.log_variance = nn.Linear(width, outputs)

    def forward(self, hidden: Tensor) -> Normal:
        std: Any = _StandardDeviation.apply(self.log_variance(hidden))
        return Normal(self.mean(hidden), std)


class _StandardDeviation(torch.autograd.Function):
    """s = sqrt(exp(v) + floor) with d s / d v = (s - floor / s) / 2: one array to keep where the chain of
    operations keeps three.
    """

    @staticmethod
    def forward(ctx: Any, log_variance: Tensor) -> Tensor:
        std = log_variance.exp().add_(VARIANCE_FLOOR).sqrt_()
        ctx.save_for_backward(std)
        return std

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (std,) = ctx.saved_tensors
        return std.reciprocal().mul_(-VARIANCE_FLOOR).add_(std).mul_(gradient).mul_(0.5)


def standard_normal_log_ratio(sample: Tensor, posterior: Normal) -> Tensor:
    """log N(sample; 0, 1) - log q(sample) of a reparameterised draw, summed over the last axis; the constants
    of both densities cancel.

    The standardised draw is the noise it was made from, whatever the posterior: it carries no gradient.
    """
    ratio: Any = _StandardNormalLogRatio.apply(sample, posterior.mean, posterior.std)
    return ratio


class _StandardNormalLogRatio(torch.autograd.Function):
    """log s + ((x - m) / s)^2 / 2 - x^2 / 2 in one array; to keep for the gradient are x and s alone."""

    @staticmethod
    def forward(ctx: Any, sample: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        ctx.save_for_backward(sample, std)
        ratio = (
            (sample - mean).div_(std).square_().addcmul_(sample, sample, value=-1).mul_(0.5).add_(std.log())
        )
        return ratio.sum(-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, Tensor]:
        sample, std = ctx.saved_tensors
        each = gradient.unsqueeze(-1)
        return sample * -each, None, (each / std).sum_to_size(std.shape)


def normal_kl(first: Normal, second: Normal) -> Tensor:
    """KL(first || second), elementwise: log(s2/s1) + (s1^2 + (m1 - m2)^2) / (2 s2^2) - 1/2."""
    variance = second.std**2
    return (
        (second.std / first.std).log()
        + (first.std**2 + (first.mean - second.mean) ** 2) / (2 * variance)
        - 0.5
    )


def straight_through_bernoulli(logits: Tensor, uniform: Tensor, temperature: float) -> Tensor:
    """Draws of 0 or 1 whose gradient is that of the relaxed Bernoulli sigmoid((logits + logit(u)) /
    temperature).

    uniform: standard uniform draws, broadcast against `logits`; clamped away from 0 and 1 by the float's
    epsilon.
    """
    drawn: Any = _StraightThrough.apply(logits, uniform, temperature)
    return drawn


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, logits: Tensor, uniform: Tensor, temperature: float) -> Tensor:
        eps = torch.finfo(uniform.dtype).eps
        soft = uniform.clamp(eps, 1 - eps).logit_().add_(logits).div_(temperature).sigmoid_()
        ctx.save_for_backward(soft)
        ctx.shape, ctx.temperature = logits.shape, temperature
        return (soft > 0.5).to(soft.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (soft,) = ctx.saved_tensors
        slope = torch.addcmul(soft, soft, soft, value=-1).mul_(gradient)
        return slope.sum_to_size(ctx.shape).div_(ctx.temperature), None, None


def bernoulli_log_ratio(sample: Tensor, logits: Tensor, prior: float) -> Tensor:
    """log Bernoulli(sample; prior) - log Bernoulli(sample; sigmoid(logits)), elementwise."""
    log_odds = math.log(prior) - math.log1p(-prior)
    return sample * (log_odds - logits) + math.log1p(-prior) + functional.softplus(logits)
