"""The Gamma-Poisson likelihood of the counts, from the last hidden layer of the decoder to one number.

Written out, the chain head -> softmax -> mean -> log probability keeps a dozen arrays of particles x cells x
genes for its gradient. The gradient has a closed form, and as the loss is a weighted sum over cells it can be
had on the way: a few cells at a time, for which everything stays in the processor's cache, and nothing of
that size is kept.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gpovae_core.data.batches import SparseCounts

MEAN_FLOOR = 1e-4
"""Added to every mean count, so that the rate of the Gamma-Poisson stays finite."""

CHUNK = 1 << 21
"""Particles x cells x genes worked on at a time, 8 MB of float32: fewer make the matrix products slow, more
leave the cache.
"""

COMMON = 16
"""Counts below it come up in many cells of a batch."""


def mean_log_prob(
    hidden: Tensor,
    head: torch.nn.Linear,
    log_concentration: Tensor,
    counts: SparseCounts,
    library_size: Tensor,
    cell_weight: Tensor,
    shift: Tensor | None = None,
    group: Tensor | None = None,
) -> Tensor:
    """Mean over particles and cells of cell_weight * log p(counts), summed over genes; differentiable in
    hidden, head, concentration.

    hidden: (P, B, width); head: width -> G logits of the shares; log_concentration: (G,); counts: (B, G);
    library_size, cell_weight: (B,); shift: (U, G) added to the logits, and group: (B,) which of its rows is
    the cell's.
    """
    return _MeanLogProb.apply(
        hidden, head.weight, head.bias, log_concentration, counts, library_size, cell_weight, shift, group
    )  # type: ignore[return-value]


class _MeanLogProb(torch.autograd.Function):
    """With s = softmax(logits), m = l s + floor, t = m + c and r = d log p / d m = x / m - (x + c) / t:

    d log p / d logits = q - s sum(q) with q = r l s;  d log p / d c = digamma(x + c) - digamma(c) + log c + 1
    - log t - (x + c) / t.
    """

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor,
        log_concentration: Tensor,
        counts: SparseCounts,
        library_size: Tensor,
        cell_weight: Tensor,
        shift: Tensor | None,
        group: Tensor | None,
    ) -> Tensor:
        particles, cells, _ = hidden.shape
        wanted = any(ctx.needs_input_grad)
        each = cell_weight / (particles * cells)
        concentration = log_concentration.exp()
        total, by_concentration = _count_part(counts, concentration, log_concentration, particles * each)
        to_hidden, to_weight, to_bias = (
            torch.empty_like(hidden),
            torch.zeros_like(weight),
            torch.zeros_like(bias),
        )
        dense = counts.dense()
        step = min(cells, max(1, CHUNK // (particles * counts.genes)))
        # Memory asked of the system anew for every step of every chunk would take longer than the arithmetic.
        space = [hidden.new_empty(particles * step * counts.genes) for _ in range(5)]
        for start in range(0, cells, step):
            rows = slice(start, min(start + step, cells))
            shape = (particles, rows.stop - start, len(bias))
            share, mean, whole, logs, spare = (values[: math.prod(shape)].view(shape) for values in space)
            x, size, own = dense[rows], library_size[rows, None], each[rows, None]
            inputs = hidden[:, rows].reshape(-1, hidden.shape[-1])
            torch.addmm(bias, inputs, weight.T, out=share.view(-1, len(bias)))
            if shift is not None and group is not None:
                share += shift[group[rows]]
            torch.softmax(share, dim=-1, out=share)
            torch.mul(share, size, out=mean).add_(MEAN_FLOOR)
            torch.add(mean, concentration, out=whole)
            with_own = x + concentration
            each_cell = torch.log(mean, out=spare).mul_(x).sum(-1)
            each_cell -= torch.mul(torch.log(whole, out=logs), with_own, out=spare).sum(-1)
            total = total + (each_cell * each[rows]).sum(dtype=torch.float64)
            if not wanted:
                continue
            part = torch.div(with_own, whole, out=whole)
            repeated = own[:, 0].repeat(particles)
            by_concentration -= logs.sub_(log_concentration + 1).add_(part).view(-1, len(bias)).T @ repeated
            back = torch.div(x, mean, out=mean).sub_(part).mul_(share).mul_(size * own)
            back = back.addcmul_(share, back.sum(-1, keepdim=True), value=-1).view(-1, len(bias))
            to_hidden[:, rows] = (back @ weight).view(particles, -1, hidden.shape[-1])
            to_weight.addmm_(back.T, inputs)
            to_bias += back.sum(dim=0)
        ctx.save_for_backward(to_hidden, to_weight, to_bias, by_concentration * concentration)
        return total.to(hidden.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        return (*(gradient * own for own in ctx.saved_tensors), None, None, None, None, None)


def _count_part(
    counts: SparseCounts, concentration: Tensor, log_concentration: Tensor, each: Tensor
) -> tuple[Tensor, Tensor]:
    """The part that does not know the mean: its sum over cells and genes, weighted with `each` (B,), and the
    gradient (G,) of its gammas by c; that of c log c nearly cancels against the mean's and goes with it.

    lgamma and digamma cancel where there is no count, so they are taken of the others only, and once where
    cells share a count.
    """
    x, gene, weight = _shared_counts(counts, counts.by_entry(each))
    c = concentration.index_select(0, gene)
    gammas = (x + c).lgamma() - concentration.lgamma().index_select(0, gene) - (x + 1).lgamma()
    total = (weight * gammas).sum(dtype=torch.float64) + each.sum() * (concentration * log_concentration).sum(
        dtype=torch.float64
    )
    gradient = torch.zeros_like(concentration)
    gradient.index_add_(0, gene, weight * ((x + c).digamma() - concentration.digamma().index_select(0, gene)))
    return total, gradient


def _shared_counts(counts: SparseCounts, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Count, gene and weight: small counts once per gene with the sum of their cells' weights (k,), the
    others as they are.
    """
    small = counts.value < COMMON
    place = torch.where(small, counts.value, 0.0).int() + COMMON * counts.gene
    together = weight.new_zeros(counts.genes * COMMON).index_add_(0, place, torch.where(small, weight, 0.0))
    others = (~small).nonzero()[:, 0]
    gene = torch.arange(counts.genes, device=place.device, dtype=counts.gene.dtype)
    x = torch.arange(COMMON, device=place.device, dtype=weight.dtype)
    return (
        torch.cat([x.repeat(counts.genes), counts.value[others]]),
        torch.cat([gene.repeat_interleave(COMMON), counts.gene[others]]),
        torch.cat([together, weight[others]]),
    )
