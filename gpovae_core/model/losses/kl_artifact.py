"""How far the artifact vector is from its prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpovae_core.model.losses import NATS, LossTerm

if TYPE_CHECKING:
    from torch import Tensor

    from gpovae_core.model.loss import LossInputs


def kl_artifact(given: LossInputs) -> Tensor:
    """Minus the log ratio of prior N(0, 1) and posterior of u, shared out among the failing cells; nothing
    without an artifact space.
    """
    from gpovae_core.model.layers import standard_normal_log_ratio

    if not given.model.settings.artifact_space:
        return given.batch.library_size.new_zeros(())
    draw = given.inference.draw
    ratio = standard_normal_log_ratio(draw.artifact, draw.artifact_posterior)
    return given.kl_scale * (-ratio.mean() * given.batch.artifact.mean() * given.weights.failing)


TERM = LossTerm("kl_artifact", "KL of the artifact vector", NATS, 4, kl_artifact)
