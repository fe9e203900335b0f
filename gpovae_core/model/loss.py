"""The loss = -ELBO + artifact term + GPO term, per cell, in nats (Baek et al. 2025, section 3; CRADLE-VAE for
the artifact term): the sum of the terms in `gpovae_core.model.losses`, and what these are made from.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from gpovae_core.config import LossSettings
from gpovae_core.data.batches import Batch, TrainingConstants
from gpovae_core.model.losses import all_terms
from gpovae_core.model.module import GpoVae, Inference


@dataclass(frozen=True)
class PlateWeights:
    """What turns per-cell sums into an estimate of the full bound, and balances passing and failing cells.

    gene (n,): 1 / training cells in which the gene is perturbed, 0 where there are none. failing: 1 / failing
    training cells. cell (2,): weight of the reconstruction of a passing and of a failing cell.
    """

    gene: Tensor
    failing: float
    cell: Tensor

    @classmethod
    def from_constants(cls, constants: TrainingConstants, balance: bool) -> PlateWeights:
        per_gene = torch.as_tensor(constants.cells_per_gene, dtype=torch.float32)
        share = constants.failing_cells / constants.training_cells
        return cls(
            gene=torch.where(per_gene > 0, 1 / per_gene.clamp(min=1), 0.0),
            failing=1 / constants.failing_cells if constants.failing_cells else 0.0,
            cell=torch.tensor(balanced_weights(share) if balance else (1.0, 1.0)),
        )

    def to(self, device: torch.device | str) -> PlateWeights:
        return PlateWeights(self.gene.to(device), self.failing, self.cell.to(device))


def balanced_weights(failing_share: float) -> tuple[float, float]:
    """Weights (passing, failing) in the ratio share : 1 - share, whose mean over the training cells is 1.

    Both groups then count alike. Taken over the training set: a batch without failing cells still has a
    reconstruction.
    """
    if failing_share in (0.0, 1.0):
        return 1.0, 1.0
    return 1 / (2 * (1 - failing_share)), 1 / (2 * failing_share)


def row_weights(batch: Batch, weights: PlateWeights) -> Tensor:
    """(r,) weight of each sampled row of M and E: cells of the batch that use it, over B, times 1 / its
    training cells.

    Summed over an epoch this counts every row once per perturbed gene, so a mini-batch estimates the full
    bound.
    """
    cells = torch.bincount(batch.group, minlength=len(batch.dosage)).to(batch.dosage.dtype)
    used = cells @ (batch.dosage != 0).to(batch.dosage.dtype)
    return (used * weights.gene).index_select(0, batch.rows) / len(batch.group)


@dataclass(frozen=True)
class LossInputs:
    """What a term may look at: one batch and one draw of the guide. Shared parts are worked out once, when
    the first term asks.

    measured: (m,) panel positions of the columns of `batch.effects`. kl_scale: weight of the divergences
    from the priors, which grows to 1 during the warm-up. step_cells: cells that a whole step takes, over all
    processes; those of the batch where None.
    """

    model: GpoVae
    batch: Batch
    inference: Inference
    weights: PlateWeights
    measured: Tensor
    settings: LossSettings
    kl_scale: float = 1.0
    step_cells: int | None = None

    @cached_property
    def cell_weight(self) -> Tensor:
        """(B,) weight of the reconstruction of every cell."""
        return torch.where(self.batch.artifact > 0, self.weights.cell[1], self.weights.cell[0])

    @cached_property
    def row_weights(self) -> Tensor:
        """(r,) weight of each sampled row of M and E, see `row_weights`."""
        return row_weights(self.batch, self.weights)

    @cached_property
    def edge_probabilities(self) -> Tensor:
        """(n, n) W with its gradient, row = source, column = target."""
        return self.model.edge_probabilities()


@dataclass(frozen=True)
class LossTerms:
    """The terms of the loss by key, each already multiplied by its weight."""

    by_key: dict[str, Tensor]

    @property
    def total(self) -> Tensor:
        return torch.stack(list(self.by_key.values())).sum()

    def detached(self) -> dict[str, Tensor]:
        """Every term without its graph."""
        return {key: value.detach() for key, value in self.by_key.items()}


def loss_terms(given: LossInputs) -> LossTerms:
    """All terms for one batch and one draw of the guide."""
    return LossTerms({term.key: term.value(given) for term in all_terms()})
