"""The loss = -ELBO + artifact term + GPO term, per cell, in nats (Baek et al. 2025, section 3; CRADLE-VAE for
the artifact term).

Every term is a mean over the cells of the batch, so that a weight means the same at any batch size.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from gpovae_core.config import LossSettings
from gpovae_core.data.batches import Batch, TrainingConstants
from gpovae_core.model.hops import hop_series, influence_over_hops
from gpovae_core.model.layers import bernoulli_log_ratio, normal_kl, standard_normal_log_ratio
from gpovae_core.model.module import GpoVae, GuideDraw, Inference


@dataclass(frozen=True)
class LossTerms:
    """The terms of the loss, each already multiplied by its weight."""

    reconstruction: Tensor
    kl_basal: Tensor
    kl_mask: Tensor
    kl_effect: Tensor
    kl_artifact: Tensor
    artifact: Tensor
    alignment: Tensor
    sparsity: Tensor

    @property
    def total(self) -> Tensor:
        return torch.stack([getattr(self, f.name) for f in fields(self)]).sum()

    def detached(self) -> dict[str, Tensor]:
        """Every term by name, without its graph."""
        return {f.name: getattr(self, f.name).detach() for f in fields(self)}


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


def elbo_terms(
    model: GpoVae, batch: Batch, inference: Inference, weights: PlateWeights, kl_scale: float = 1.0
) -> dict[str, Tensor]:
    """Minus the terms of the ELBO, each averaged over particles and cells; kl_scale: weight of the
    divergences from the priors.
    """
    cell_weight = torch.where(batch.artifact > 0, weights.cell[1], weights.cell[0])
    log_prob = model.mean_log_prob(batch, inference, cell_weight)

    draw = inference.draw
    effect = standard_normal_log_ratio(draw.effect, draw.effect_posterior)
    artifact = standard_normal_log_ratio(draw.artifact, draw.artifact_posterior)
    per_row = row_weights(batch, weights)
    divergences = {
        "kl_basal": -standard_normal_log_ratio(inference.basal, inference.basal_posterior).mean(),
        "kl_mask": _mask_divergence(model, draw, per_row),
        "kl_effect": -(effect @ per_row).mean(),
        "kl_artifact": -artifact.mean() * batch.artifact.mean() * weights.failing,
    }
    return {"reconstruction": -log_prob, **{name: kl_scale * value for name, value in divergences.items()}}


def _mask_divergence(model: GpoVae, draw: GuideDraw, per_row: Tensor) -> Tensor:
    """Minus the log ratio of prior and posterior of the mask; a W that was given is not learned here and
    costs nothing.
    """
    if model.guide.given:
        return per_row.new_zeros(())
    # The ratio is linear in the mask, so the mean over particles can be taken first.
    ratio = bernoulli_log_ratio(draw.mask.mean(dim=0), draw.logits, model.settings.mask_prior)
    return -(ratio.sum(-1) @ per_row)


def row_weights(batch: Batch, weights: PlateWeights) -> Tensor:
    """(r,) weight of each sampled row of M and E: cells of the batch that use it, over B, times 1 / its
    training cells.

    Summed over an epoch this counts every row once per perturbed gene, so a mini-batch estimates the full
    bound.
    """
    cells = torch.bincount(batch.group, minlength=len(batch.dosage)).to(batch.dosage.dtype)
    used = cells @ (batch.dosage != 0).to(batch.dosage.dtype)
    return (used * weights.gene).index_select(0, batch.rows) / len(batch.group)


def artifact_term(batch: Batch, inference: Inference) -> Tensor:
    """Mean over cells and particles of KL(q(z_b | counterfactual profile) || q(z_b | cell with its label
    flipped)).

    Both under the flipped label, summed over latent dimensions; a cell without a counterfactual counts as
    zero.
    """
    divergence = normal_kl(
        inference.counterfactual_posterior[:, batch.profile], inference.flipped_posterior
    ).sum(-1)
    return (divergence * batch.has_profile[batch.profile]).mean()


def alignment_term(matrix: Tensor, batch: Batch, measured: Tensor, settings: LossSettings) -> Tensor:
    """Mean over cells and measured panel genes of abs(D T_K - (dX - c)); control cells count, with D T_K = 0.

    matrix: W for `paper`, the logits A for `released`; measured: (m,) panel positions of the columns of dX.
    """
    series = hop_series(settings.influence, matrix.shape[0], settings.hops)
    rows = batch.dosage.index_select(1, batch.rows) @ matrix.index_select(0, batch.rows)
    reached = influence_over_hops(matrix, series, rows).index_select(1, measured)
    offset = settings.effect_offset if settings.influence == "released" else 0.0
    return (reached[batch.group] - (batch.effects - offset)).abs().mean()


def loss_terms(
    model: GpoVae,
    batch: Batch,
    inference: Inference,
    weights: PlateWeights,
    measured: Tensor,
    settings: LossSettings,
    kl_scale: float = 1.0,
) -> LossTerms:
    """All terms for one batch and one draw of the guide. A W that was given has met alignment and sparsity
    already.
    """
    alignment = sparsity = batch.library_size.new_zeros(())
    if not model.guide.given:
        probabilities = model.edge_probabilities()
        matrix = probabilities if settings.influence == "paper" else model.guide.mask_logits
        alignment = settings.alignment * alignment_term(matrix, batch, measured, settings)
        sparsity = settings.sparsity * probabilities.mean()
    return LossTerms(
        **elbo_terms(model, batch, inference, weights, kl_scale),
        artifact=settings.artifact * artifact_term(batch, inference),
        alignment=alignment,
        sparsity=sparsity,
    )
