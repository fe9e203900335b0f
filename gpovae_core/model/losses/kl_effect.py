"""How far the effects are from their prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpovae_core.model.losses import NATS, LossTerm

if TYPE_CHECKING:
    from torch import Tensor

    from gpovae_core.model.loss import LossInputs


def kl_effect(given: LossInputs) -> Tensor:
    """Minus the log ratio of prior N(0, 1) and posterior of the effects E."""
    from gpovae_core.model.layers import standard_normal_log_ratio

    draw = given.inference.draw
    ratio = standard_normal_log_ratio(draw.effect, draw.effect_posterior)
    return given.kl_scale * -(ratio @ given.row_weights).mean()


TERM = LossTerm("kl_effect", "KL of the effects", NATS, 3, kl_effect)
