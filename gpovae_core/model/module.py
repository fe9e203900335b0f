"""The GPO-VAE: guide (inference) and decoder (generative model).

Symbols and shapes, throughout: P particles, B cells of a batch, U distinct perturbations among them (the
control is one, with a row of zeros), r panel genes perturbed in the batch, n panel genes, G measured genes, L
latent dimensions. W = sigmoid(mask_logits) is (n, n), row = source, column = target. Without a network
(SAMS-VAE, Bereket and Karaletsos 2023; CRADLE-VAE, Baek et al. 2024) a perturbation moves latent dimensions:
mask, effects and offsets then end in L where n stands below.

Only rows of the mask M and the effects E that some cell of the batch uses are sampled; the others do not
enter the loss. The first layers see the offset of a perturbation, not of a cell: it is multiplied per
perturbation and then gathered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from gpovae_core.config import ModelSettings
from gpovae_core.data.batches import Batch
from gpovae_core.model import likelihood
from gpovae_core.model.layers import Normal, NormalHead, ResidualMLP, straight_through_bernoulli


@dataclass(frozen=True)
class GuideNoise:
    """Random numbers behind one draw of the variables that all cells share."""

    mask: Tensor  # (P, r, n) uniform
    effect: Tensor  # (P, r, n) standard normal
    artifact: Tensor  # (P, 1, L) standard normal


@dataclass(frozen=True)
class GuideDraw:
    """One draw of mask rows, effect rows and artifact vector from the guide."""

    rows: Tensor  # (r,) panel positions
    logits: Tensor  # (r, n) of the mask
    mask: Tensor  # (P, r, n) zeros and ones, straight-through gradient
    effect_posterior: Normal  # (P, r, n)
    effect: Tensor  # (P, r, n)
    artifact_posterior: Normal  # (1, L)
    artifact: Tensor  # (P, 1, L)

    def offsets(self, dosage: Tensor) -> Tensor:
        """z_p = D (E * M) per perturbation: (P, U, n) for dosage (U, n)."""
        given = dosage.index_select(1, self.rows)
        perturbation, row = given.nonzero(
            as_tuple=True
        )  # one row each, but for combinations: gathered, not multiplied
        rows = (self.mask * self.effect).index_select(1, row) * given[perturbation, row, None]
        return rows.new_zeros(len(rows), len(dosage), rows.shape[-1]).index_add_(1, perturbation, rows)


@dataclass(frozen=True)
class Inference:
    """Everything the guide says about a batch."""

    draw: GuideDraw
    offsets: Tensor  # (P, U, n) z_p of every perturbation
    basal_posterior: Normal  # (P, B, L), each cell under its own artifact label
    basal: Tensor  # (P, B, L)
    flipped_posterior: Normal | None  # (P, B, L), label flipped; None without an artifact space
    counterfactual_posterior: Normal | None  # (P, V, L) of the V profiles, each under its own label


def offset_size(settings: ModelSettings, n: int) -> int:
    """How many numbers a perturbation moves: genes of the panel, or latent dimensions without a network."""
    return settings.latent if settings.network == "none" else n


class Guide(nn.Module):
    """q(M), q(E | M), q(u) and q(z_b | x, z_p, z_a)."""

    log_mean: Tensor
    log_std: Tensor

    def __init__(self, settings: ModelSettings, n: int, genes: int) -> None:
        super().__init__()
        latent = settings.latent
        self.temperature = settings.temperature
        self.given = settings.network == "evidence"
        moved = offset_size(settings, n)
        self.mask_logits = nn.Parameter(torch.zeros(n, moved), requires_grad=not self.given)
        self.effect = ResidualMLP(
            {"mask": moved, "identity": n}, settings.embedding_width, settings.embedding_layers
        )
        self.effect_head = NormalHead(settings.embedding_width, moved)
        self.artifact = ResidualMLP({"constant": latent}, settings.embedding_width, settings.embedding_layers)
        self.artifact_head = NormalHead(settings.embedding_width, latent)
        seen = {"counts": genes, "offset": moved, "artifact": latent}
        self.basal = ResidualMLP(seen, settings.basal_width, settings.basal_layers)
        self.basal_head = NormalHead(settings.basal_width, latent)
        self.register_buffer("log_mean", torch.zeros(genes))
        self.register_buffer("log_std", torch.ones(genes))

    def noise(self, particles: int, rows: int, generator: torch.Generator | None = None) -> GuideNoise:
        """Fresh random numbers on the device of the weights, drawn on that of the generator; torch's own one
        where None is given.
        """
        like = self.mask_logits
        moved, latent = like.shape[1], self.artifact_head.mean.out_features
        drawn: Any = {"generator": generator, "device": generator.device if generator else like.device}
        return GuideNoise(
            mask=torch.rand(particles, rows, moved, **drawn).to(like.device),
            effect=torch.randn(particles, rows, moved, **drawn).to(like.device),
            artifact=torch.randn(particles, 1, latent, **drawn).to(like.device),
        )

    def sample(self, rows: Tensor, noise: GuideNoise, logits: Tensor | None = None) -> GuideDraw:
        """Mask, effects and artifact vector for the panel genes at `rows` (r,).

        logits: (r, n) those of the mask, where they are at hand; the gradient of every gathering of them is
        an n x n matrix.
        """
        logits = self.mask_logits.index_select(0, rows) if logits is None else logits
        mask = straight_through_bernoulli(logits, noise.mask, self.temperature)
        if (
            self.given
        ):  # a perturbation always acts on its own gene, which W, without a diagonal, does not say
            mask = torch.where(functional.one_hot(rows, mask.shape[-1]).bool(), 1.0, mask)
        first = self.effect.first
        hidden = self.effect(first.block("mask", mask) + (first.columns("identity", rows) + first.bias))
        effect = self.effect_head(hidden)
        constant = self.artifact.first.weights["constant"].sum(dim=1)  # the input is a vector of ones
        artifact = self.artifact_head(self.artifact(constant + self.artifact.first.bias)[None])
        return GuideDraw(
            rows, logits, mask, effect, effect.sample(noise.effect), artifact, artifact.sample(noise.artifact)
        )

    def counts_part(self, log_counts: Tensor) -> Tensor:
        """Contribution of counts to the first layer of the basal encoder; log_counts: (..., G) log1p counts,
        standardised in place.
        """
        return self.basal.first.block("counts", log_counts.sub_(self.log_mean).div_(self.log_std))

    def basal_posterior(self, counts_part: Tensor, condition: Tensor) -> Normal:
        """q(z_b) from the two parts of the first layer, broadcast to (P, ..., width): see
        `BlockLinear.conditions`.
        """
        return self.basal_head(self.basal(counts_part + condition))


class Decoder(nn.Module):
    """Mean share of every measured gene, and the Gamma-Poisson concentration per gene."""

    influence: Tensor | None

    def __init__(self, settings: ModelSettings, n: int, genes: int) -> None:
        super().__init__()
        blocks = {"basal": settings.latent, "offset": offset_size(settings, n), "artifact": settings.latent}
        added = {"offset": "basal", "artifact": "basal"} if settings.offsets == "added" else {}
        own = {name: size for name, size in blocks.items() if name not in added}
        self.mlp = ResidualMLP(own, settings.decoder_width, settings.decoder_layers, added)
        self.head = nn.Linear(settings.decoder_width, genes)
        self.log_concentration = nn.Parameter(torch.zeros(genes))
        self.register_buffer("influence", torch.zeros(n, genes) if settings.network == "evidence" else None)

    def shift(self, dosage: Tensor) -> Tensor | None:
        """What the network adds to the log shares of every perturbation, (U, G) for dosage (U, n); None where
        W is free.
        """
        return None if self.influence is None else dosage @ self.influence

    def log_share(self, basal: Tensor, condition: Tensor, shift: Tensor | None = None) -> Tensor:
        """Log of the mean share per gene, (..., G), from the basal state (..., L) and the condition (...,
        width).

        shift: added before the shares are made to sum to one; broadcasts to (..., G).
        """
        logits = self.head(self.hidden(basal, condition))
        return functional.log_softmax(logits if shift is None else logits + shift, dim=-1)

    def hidden(self, basal: Tensor, condition: Tensor) -> Tensor:
        """The last layer before the head, (..., width)."""
        first = self.mlp.first
        width = condition.shape[-1]
        # One pass over memory for product and sum; a condition shared by many basal states is broadcast.
        rows = condition.expand(*basal.shape[:-1], width).reshape(-1, width)
        joined = torch.addmm(rows, basal.reshape(-1, basal.shape[-1]), first.weights["basal"].T).reshape(
            *basal.shape[:-1], width
        )
        return self.mlp(joined)


class GpoVae(nn.Module):
    """Guide and decoder together. `n` panel genes, `genes` measured genes."""

    def __init__(self, settings: ModelSettings, n: int, genes: int) -> None:
        super().__init__()
        self.settings = settings
        self.guide = Guide(settings, n, genes)
        self.decoder = Decoder(settings, n, genes)

    @property
    def has_network(self) -> bool:
        """Whether there is a W."""
        return self.settings.network != "none"

    def edge_probabilities(self) -> Tensor:
        """W (n, n), row = source, column = target. Not to be asked of a model without a network."""
        assert self.has_network
        return torch.sigmoid(self.guide.mask_logits)

    def set_network(self, log_odds: Tensor, influence: Tensor) -> None:
        """Take over a network that was fitted before: log odds of W (n, n), and the log fold change (n, G)
        that perturbing each panel gene is expected to bring about in each measured gene."""
        self.guide.mask_logits.data.copy_(log_odds)
        assert self.decoder.influence is not None
        self.decoder.influence.copy_(influence)

    def set_count_statistics(self, log_mean: Tensor, log_std: Tensor) -> None:
        """Mean and standard deviation of log1p counts per gene over the *training* cells; a constant gene is
        left unscaled.
        """
        self.guide.log_mean.copy_(log_mean)
        self.guide.log_std.copy_(torch.where(log_std > 0, log_std, torch.ones_like(log_std)))

    def infer(
        self, batch: Batch, noise: GuideNoise, counterfactual_noise: GuideNoise, basal_noise: Tensor
    ) -> Inference:
        """One pass of the guide over a batch; `basal_noise` (P, B, L). The counterfactual pass uses draws of
        its own.
        """
        guide = self.guide
        first = guide.basal.first
        draw = guide.sample(batch.rows, noise)
        offsets = draw.offsets(batch.dosage)
        counts = guide.counts_part(
            batch.counts.dense(batch.counts.value.log1p())
        )  # once for all particles and both labels
        label = self.labels(batch)
        condition = first.conditions(offsets, draw.artifact)
        basal = guide.basal_posterior(counts, condition[:, batch.group, label])
        if not self.settings.artifact_space:
            return Inference(draw, offsets, basal, basal.sample(basal_noise), None, None)
        flipped = guide.basal_posterior(counts, condition[:, batch.group, 1 - label])

        other = guide.sample(batch.rows, counterfactual_noise, draw.logits)
        profiles = guide.counts_part(
            batch.profiles.log1p()
        )  # (V, width): per perturbation and label, not per cell
        condition = first.conditions(other.offsets(batch.dosage), other.artifact)
        counterfactual = guide.basal_posterior(
            profiles, condition[:, batch.profile_group, batch.profile_label]
        )
        return Inference(draw, offsets, basal, basal.sample(basal_noise), flipped, counterfactual)

    def labels(self, batch: Batch) -> Tensor:
        """(B,) artifact label of every cell; all 0 where the model has no artifact space."""
        label = batch.artifact.long()
        return label if self.settings.artifact_space else torch.zeros_like(label)

    def mean_log_prob(self, batch: Batch, inference: Inference, cell_weight: Tensor) -> Tensor:
        """Mean over particles and cells of cell_weight (B,) times the log probability of the counts, each
        cell under its own label.
        """
        decoder = self.decoder
        condition = decoder.mlp.first.conditions(inference.offsets, inference.draw.artifact)
        return likelihood.mean_log_prob(
            decoder.hidden(inference.basal, condition[:, batch.group, self.labels(batch)]),
            decoder.head,
            decoder.log_concentration,
            batch.counts,
            batch.library_size,
            cell_weight,
            decoder.shift(batch.dosage),
            batch.group,
        )
