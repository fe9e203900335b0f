"""How badly the counts are explained."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpovae_core.model.losses import NATS, LossTerm

if TYPE_CHECKING:
    from torch import Tensor

    from gpovae_core.model.loss import LossInputs


def reconstruction(given: LossInputs) -> Tensor:
    """Minus the log probability of the counts of a cell under its own label, weighed by that label."""
    return -given.model.mean_log_prob(given.batch, given.inference, given.cell_weight)


TERM = LossTerm("reconstruction", "Reconstruction term", NATS, 0, reconstruction, beside_loss=True)
