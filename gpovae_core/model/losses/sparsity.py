"""What every edge costs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpovae_core.model.losses import NATS, LossTerm

if TYPE_CHECKING:
    from torch import Tensor

    from gpovae_core.model.loss import LossInputs


def sparsity(given: LossInputs) -> Tensor:
    """Mean of W, or its sum over the cells of a step (loss.norms), times loss.sparsity. A W that was given
    has met this already; without one it is zero.

    The publication adds ||W||_1 to the loss of a whole batch. The cells of a step are as many for a smaller
    last batch and for each of several processes, so that the weight does not hang on how cells are dealt out.
    """
    if given.model.guide.given or not given.model.has_network:
        return given.batch.library_size.new_zeros(())
    w, settings = given.edge_probabilities, given.settings
    if settings.norms == "mean":
        return settings.sparsity * w.mean()
    return settings.sparsity * w.sum() / (given.step_cells or len(given.batch.group))


TERM = LossTerm("sparsity", "Sparsity of W", NATS, 7, sparsity)
