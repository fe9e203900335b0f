"""How far the influence of W over K hops is from the observed effects (the GPO term)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gpovae_core.model.hops import hop_series, influence_over_hops
from gpovae_core.model.losses import NATS, LossTerm

if TYPE_CHECKING:
    from torch import Tensor

    from gpovae_core.config import LossSettings
    from gpovae_core.data.batches import Batch
    from gpovae_core.model.loss import LossInputs


def alignment(given: LossInputs) -> Tensor:
    """`misfit` times loss.alignment. A W that was given has met this already; without one it is zero."""
    model, batch, settings = given.model, given.batch, given.settings
    if model.guide.given or not model.has_network:
        return batch.library_size.new_zeros(())
    probabilities = given.edge_probabilities
    matrix = probabilities if settings.influence == "paper" else model.guide.mask_logits
    return settings.alignment * misfit(matrix, batch, given.measured, settings)


def misfit(matrix: Tensor, batch: Batch, measured: Tensor, settings: LossSettings) -> Tensor:
    """Mean over cells of the mean (loss.norms) or the sum over measured panel genes of
    abs(D T_K - (dX - c)); control cells count, with D T_K = 0.

    The publication's norm ||D T_K - dX||_1 over a batch of B cells is B times this with the sum. matrix: W
    for `paper`, the logits A for `released`; measured: (m,) panel positions of the columns of dX.
    """
    series = hop_series(settings.influence, matrix.shape[0], settings.hops)
    rows = batch.dosage.index_select(1, batch.rows) @ matrix.index_select(0, batch.rows)
    reached = influence_over_hops(matrix, series, rows).index_select(1, measured)
    offset = settings.effect_offset if settings.influence == "released" else 0.0
    mean = (reached[batch.group] - (batch.effects - offset)).abs().mean()
    return mean * len(measured) if settings.norms == "sum" else mean


TERM = LossTerm("alignment", "Alignment with observed effects", NATS, 6, alignment)
