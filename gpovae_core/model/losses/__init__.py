"""The terms of the loss: every file of this folder is one, and holds it as TERM.

A file imports torch inside its function only: charts ask for names, and must not wait for torch. What several
terms need is worked out once, in `gpovae_core.model.loss.LossInputs`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from gpovae_core.registry import one_of_each_file

if TYPE_CHECKING:
    from torch import Tensor

    from gpovae_core.model.loss import LossInputs

NATS = "nats per cell"


@dataclass(frozen=True)
class LossTerm:
    """One term of the loss.

    key: its column in metrics.jsonl. title: its name for reading. unit: of what `value` returns. order:
    where it stands in the sum and in charts, smallest first. value: the term for one batch, a scalar already
    multiplied by its weight; a mean over the cells of the batch, so that a weight means the same at any
    batch size. beside_loss: drawn on the axis of the loss itself, as a term of its size has to be; the
    others share a chart of their own.
    """

    key: str
    title: str
    unit: str
    order: int
    value: Callable[[LossInputs], Tensor]
    beside_loss: bool = False


@cache
def all_terms() -> tuple[LossTerm, ...]:
    """Every term, by order, then by key."""
    return one_of_each_file(sys.modules[__name__], "TERM", LossTerm)
