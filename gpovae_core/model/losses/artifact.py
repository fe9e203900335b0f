"""What keeps artifacts out of the basal state (CRADLE-VAE)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpovae_core.model.losses import NATS, LossTerm

if TYPE_CHECKING:
    from torch import Tensor

    from gpovae_core.model.loss import LossInputs


def artifact(given: LossInputs) -> Tensor:
    """KL(q(z_b | counterfactual profile) || q(z_b | cell with its label flipped)), mean over particles, times
    loss.artifact.

    Both under the flipped label, summed over latent dimensions; a cell without a counterfactual counts as
    zero, and so does a model without an artifact space.
    """
    from gpovae_core.model.layers import normal_kl

    batch, inference = given.batch, given.inference
    if inference.counterfactual_posterior is None or inference.flipped_posterior is None:
        return batch.library_size.new_zeros(())
    counterfactual = inference.counterfactual_posterior[:, batch.profile]
    divergence = normal_kl(counterfactual, inference.flipped_posterior).sum(-1)
    return given.settings.artifact * (divergence * batch.has_profile[batch.profile]).mean()


TERM = LossTerm("artifact", "Artifact term", NATS, 5, artifact)
