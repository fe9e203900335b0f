"""What every edge costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpovae_core.model.losses import NATS, LossTerm

if TYPE_CHECKING:
    from torch import Tensor

    from gpovae_core.model.loss import LossInputs


def sparsity(given: LossInputs) -> Tensor:
    """Mean of W, times loss.sparsity. A W that was given has met this already."""
    if given.model.guide.given:
        return given.batch.library_size.new_zeros(())
    return given.settings.sparsity * given.edge_probabilities.mean()


TERM = LossTerm("sparsity", "Sparsity of W", NATS, 7, sparsity)
