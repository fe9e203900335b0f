"""How far the mask is from its prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpovae_core.model.losses import NATS, LossTerm

if TYPE_CHECKING:
    from torch import Tensor

    from gpovae_core.model.loss import LossInputs


def kl_mask(given: LossInputs) -> Tensor:
    """Minus the log ratio of prior and posterior of the mask; a W that was given is not learned here and
    costs nothing.
    """
    from gpovae_core.model.layers import bernoulli_log_ratio

    model, draw = given.model, given.inference.draw
    if model.guide.given:
        return given.row_weights.new_zeros(())
    # The ratio is linear in the mask, so the mean over particles can be taken first.
    ratio = bernoulli_log_ratio(draw.mask.mean(dim=0), draw.logits, model.settings.mask_prior)
    return given.kl_scale * -(ratio.sum(-1) @ given.row_weights)


TERM = LossTerm("kl_mask", "KL of the mask", NATS, 2, kl_mask)
