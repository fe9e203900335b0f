"""How far the basal states of the cells are from their prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpovae_core.model.losses import NATS, LossTerm

if TYPE_CHECKING:
    from torch import Tensor

    from gpovae_core.model.loss import LossInputs


def kl_basal(given: LossInputs) -> Tensor:
    """Minus the log ratio of prior N(0, 1) and posterior of z_b."""
    from gpovae_core.model.layers import standard_normal_log_ratio

    inference = given.inference
    ratio = standard_normal_log_ratio(inference.basal, inference.basal_posterior)
    return given.kl_scale * -ratio.mean()


TERM = LossTerm("kl_basal", "KL of the basal state", NATS, 1, kl_basal)
