"""The training step as its formulas stand, the way the released code computes it: a yardstick for the step
that is used, and its proof.

Nothing is saved: the mask and the effects of all n genes are sampled, every cell carries its own offset and
its own profile, the encoder sees whole concatenated inputs for every particle and for both artifact labels,
the decoder runs under both labels and draws counts, the hops are full matrix powers, the likelihood is
evaluated for every particle, and batches are collated cell by cell. The weights are those of a `GpoVae`; the
random numbers come from outside, so that both steps can be given the same.

Symbols as in gpovae_core.model.module: P particles, B cells, n panel genes, G measured genes, L latent
dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Normal, kl_divergence
from torch.nn import functional

from gpovae_core.config import LossSettings
from gpovae_core.data.batches import CellBatches
from gpovae_core.model.layers import VARIANCE_FLOOR, NormalHead, ResidualMLP
from gpovae_core.model.likelihood import MEAN_FLOOR
from gpovae_core.model.loss import PlateWeights
from gpovae_core.model.module import GpoVae, GuideNoise


@dataclass(frozen=True)
class CellByCell:
    """B cells, every one with all that belongs to it."""

    counts: Tensor  # (B, G)
    library_size: Tensor  # (B,)
    artifact: Tensor  # (B,) 0 or 1
    effects: Tensor  # (B, m) dX at the measured panel genes
    dosage: Tensor  # (B, n)
    profile: Tensor  # (B, G) of its perturbation among cells with the other label
    has_profile: Tensor  # (B,) 0 or 1

    @classmethod
    def collate(cls, dataset: CellBatches, positions: list[int]) -> CellByCell:
        cells = [dataset[position] for position in positions]
        return cls(
            counts=torch.stack([cell.counts.dense()[0] for cell in cells]),
            library_size=torch.stack([cell.library_size[0] for cell in cells]),
            artifact=torch.stack([cell.artifact[0] for cell in cells]),
            effects=torch.stack([cell.effects[0] for cell in cells]),
            dosage=torch.stack([cell.dosage[0] for cell in cells]),
            profile=torch.stack([cell.profiles[0] for cell in cells]),
            has_profile=torch.stack([cell.has_profile[0] for cell in cells]),
        )


@dataclass(frozen=True)
class Draws:
    """Random numbers of one step: mask and effect for all n genes, artifact vector, the same again for the
    counterfactual, basal states.
    """

    guide: GuideNoise  # mask, effect (P, n, n)
    counterfactual: GuideNoise
    basal: Tensor  # (P, B, L)

    @classmethod
    def fresh(
        cls, model: GpoVae, particles: int, cells: int, generator: torch.Generator | None = None
    ) -> Draws:
        n = model.guide.mask_logits.shape[0]
        first, second = (model.guide.noise(particles, n, generator) for _ in range(2))
        return cls(first, second, torch.randn(particles, cells, model.settings.latent, generator=generator))

    def of_rows(self, rows: Tensor) -> tuple[GuideNoise, GuideNoise]:
        """The part that a step over the panel genes at `rows` needs."""
        return tuple(
            GuideNoise(x.mask[:, rows], x.effect[:, rows], x.artifact)
            for x in (self.guide, self.counterfactual)
        )  # type: ignore[return-value]


def literal_loss(
    model: GpoVae,
    cells: CellByCell,
    draws: Draws,
    weights: PlateWeights,
    measured: Tensor,
    settings: LossSettings,
    kl_scale: float = 1.0,
) -> dict[str, Tensor]:
    """The terms of the loss by name, each already multiplied by its weight; their sum is the loss of the
    step.
    """
    with_artifacts = model.settings.artifact_space
    label = cells.artifact if with_artifacts else torch.zeros_like(cells.artifact)
    flipped_label = 1 - label

    mask, effect_posterior, effect, artifact_posterior, artifact = _sample(model, draws.guide)
    offset = cells.dosage @ (mask * effect)  # (P, B, n)
    counts = _standardised(model, cells.counts)
    basal_posterior = _basal(model, counts, offset, label[:, None] * artifact)
    flipped_posterior = _basal(model, counts, offset, flipped_label[:, None] * artifact)
    basal = basal_posterior.mean + basal_posterior.stddev * draws.basal

    other_mask, _, other_effect, _, other_artifact = _sample(model, draws.counterfactual)
    other_offset = cells.dosage @ (other_mask * other_effect)
    profile = _standardised(model, cells.profile)
    counterfactual_posterior = _basal(model, profile, other_offset, flipped_label[:, None] * other_artifact)

    log_prob = _log_prob(model, cells, label, basal, offset, artifact)
    cell_weight = torch.where(cells.artifact > 0, weights.cell[1], weights.cell[0])
    rows_of_cell = (cells.dosage != 0).to(
        cells.dosage.dtype
    ) * weights.gene  # (B, n): 1 / training cells that share the row

    def plated(ratio: Tensor) -> Tensor:
        return torch.einsum("bn,pn->pb", rows_of_cell, ratio.sum(-1)).mean()

    artifact_ratio = _from_standard(artifact, artifact_posterior).sum(-1)
    divergences = {
        "kl_basal": -_from_standard(basal, basal_posterior).sum(-1).mean(),
        "kl_mask": torch.zeros(()) if model.guide.given else -plated(_mask_ratio(model, mask)),
        "kl_effect": -plated(_from_standard(effect, effect_posterior)),
        "kl_artifact": -(label * weights.failing * artifact_ratio).mean(),
    }
    term = kl_divergence(counterfactual_posterior, flipped_posterior).sum(-1) * cells.has_profile
    return {
        "reconstruction": -(log_prob * cell_weight).mean(),
        **{name: kl_scale * value for name, value in divergences.items()},
        "artifact": settings.artifact * term.mean() if with_artifacts else torch.zeros(()),
        **_gpo(model, cells, measured, settings),
    }


def _log_prob(
    model: GpoVae, cells: CellByCell, label: Tensor, basal: Tensor, offset: Tensor, artifact: Tensor
) -> Tensor:
    """(P, B) log probability of the counts of every cell under its own label; counts are drawn, and thrown
    away, under both.

    label (B,), basal (P, B, L), offset (P, B, n), artifact (P, 1, L).
    """
    decoder = model.decoder
    shift = 0.0 if decoder.influence is None else cells.dosage @ decoder.influence
    log_probs = []
    for z_a in (torch.zeros_like(artifact).expand(-1, len(label), -1), artifact.expand(-1, len(label), -1)):
        if model.settings.offsets == "added":
            hidden = _mlp(decoder.mlp, basal=basal + offset + z_a)
        else:
            hidden = _mlp(decoder.mlp, basal=basal, offset=offset, artifact=z_a)
        share = functional.softmax(decoder.head(hidden) + shift, dim=-1)
        mean = share * cells.library_size[:, None] + MEAN_FLOOR
        concentration = decoder.log_concentration.exp()
        with torch.no_grad():
            torch.poisson(torch.distributions.Gamma(concentration, concentration / mean).sample())
        log_probs.append(_gamma_poisson(cells.counts, mean, concentration).sum(-1))
    return torch.where(label > 0, log_probs[1], log_probs[0])


def _from_standard(sample: Tensor, posterior: Normal) -> Tensor:
    """Elementwise log ratio of the prior N(0, 1) and the posterior."""
    return Normal(0.0, 1.0).log_prob(sample) - posterior.log_prob(sample)


def _mask_ratio(model: GpoVae, mask: Tensor) -> Tensor:
    """Elementwise log ratio of prior and posterior of the mask."""
    prior = Bernoulli(model.settings.mask_prior)
    return _log(prior, mask) - _bernoulli(model.guide.mask_logits, mask)


def _sample(model: GpoVae, noise: GuideNoise) -> tuple[Tensor, Normal, Tensor, Normal, Tensor]:
    """Mask (P, n, n), posterior and draw of the effects (P, n, n), posterior and draw of the artifact vector
    (P, 1, L). Without a network mask and effects are (P, n, L).
    """
    guide = model.guide
    n = guide.mask_logits.shape[0]
    eps = torch.finfo(noise.mask.dtype).eps
    uniform = noise.mask.clamp(eps, 1 - eps)
    soft = torch.sigmoid((guide.mask_logits + uniform.log() - (-uniform).log1p()) / guide.temperature)
    mask = (soft > 0.5).to(soft.dtype) + soft - soft.detach()
    identity = torch.eye(n)
    if guide.given:
        mask = torch.where(identity.bool(), 1.0, mask)
    effect = _normal(
        guide.effect_head, _mlp(guide.effect, mask=mask, identity=identity.expand(len(mask), n, n))
    )
    artifact = _normal(
        guide.artifact_head, _mlp(guide.artifact, constant=torch.ones(1, model.settings.latent))
    )
    return (
        mask,
        effect,
        effect.mean + effect.stddev * noise.effect,
        artifact,
        artifact.mean + artifact.stddev * noise.artifact,
    )


def _standardised(model: GpoVae, counts: Tensor) -> Tensor:
    return (counts.log1p() - model.guide.log_mean) / model.guide.log_std


def _basal(model: GpoVae, counts: Tensor, offset: Tensor, artifact: Tensor) -> Normal:
    """q(z_b) from standardised counts (B, G), offsets (P, B, n) and z_a (P, B, L): (P, B, L)."""
    every = counts.expand(len(offset), *counts.shape)
    return _normal(
        model.guide.basal_head, _mlp(model.guide.basal, counts=every, offset=offset, artifact=artifact)
    )


def _mlp(mlp: ResidualMLP, **blocks: Tensor) -> Tensor:
    """On the concatenation of the named inputs, all with the same leading axes."""
    weight = torch.cat([mlp.first.weights[name] for name in blocks], dim=1)
    hidden = functional.leaky_relu(
        functional.linear(torch.cat(list(blocks.values()), dim=-1), weight, mlp.first.bias)
    )
    for layer in mlp.rest:
        hidden = functional.leaky_relu(layer(hidden)) + hidden
    return hidden


def _normal(head: NormalHead, hidden: Tensor) -> Normal:
    return Normal(head.mean(hidden), (head.log_variance(hidden).exp() + VARIANCE_FLOOR).sqrt())


def _log(distribution: Bernoulli, sample: Tensor) -> Tensor:
    """log probability of 0 and 1, also where the value is off by rounding: straight-through samples are."""
    return sample * distribution.probs.log() + (1 - sample) * (-distribution.probs).log1p()


def _bernoulli(logits: Tensor, sample: Tensor) -> Tensor:
    return sample * functional.logsigmoid(logits) + (1 - sample) * functional.logsigmoid(-logits)


def _gamma_poisson(counts: Tensor, mean: Tensor, concentration: Tensor) -> Tensor:
    """Elementwise over (P, B, G)."""
    counts = counts.expand_as(mean)
    normaliser = torch.lgamma(counts + concentration) - torch.lgamma(concentration) - torch.lgamma(counts + 1)
    total = (mean + concentration).log()
    return normaliser + concentration * (concentration.log() - total) + counts * (mean.log() - total)


def _gpo(model: GpoVae, cells: CellByCell, measured: Tensor, settings: LossSettings) -> dict[str, Tensor]:
    """Alignment and sparsity, by full powers of the matrix; zero where W was given or there is none."""
    if model.guide.given or not model.has_network:
        return {"alignment": torch.zeros(()), "sparsity": torch.zeros(())}
    logits = model.guide.mask_logits
    n, w = len(logits), torch.sigmoid(logits)
    if settings.influence == "paper":
        total = sum(w @ torch.linalg.matrix_power(w / n, k - 1) / k for k in range(1, settings.hops + 1))
        offset = 0.0
    else:
        total = sum(torch.linalg.matrix_power(logits, k + 1) / n**k for k in range(settings.hops + 1))
        offset = settings.effect_offset
    reached = (cells.dosage @ total)[:, measured]
    misfit = (reached - (cells.effects - offset)).abs()
    b, m = misfit.shape
    over, entries = (b, b) if settings.norms == "sum" else (b * m, n**2)
    return {
        "alignment": settings.alignment * misfit.sum() / over,
        "sparsity": settings.sparsity * w.sum() / entries,
    }
