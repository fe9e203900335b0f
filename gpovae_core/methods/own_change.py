"""How far a perturbation changes its own gene, and how that is known: the unit of everything that follows
from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from gpovae_core.effects.contrasts import Contrasts

Kind = Literal["knock-down", "knock-out"]
Source = Literal["assumed", "typical of the others", "read off the target"]
"""How a change is known. A knock-out removes a function of which the gene's expression says little, so its
change is assumed. In a code (see `OwnChange.source_codes`) each stands for its place here.
"""
KNOCK_DOWN, KNOCK_OUT = get_args(Kind)
ASSUMED, TYPICAL, READ = SOURCES = get_args(Source)

SEEN_FALLING = 3.0
"""A target counts as knocked down where its own expression falls by so many standard errors."""

KNOCK_OUT_ABOVE = float(np.log(0.5))


@dataclass(frozen=True)
class OwnChange:
    """Of p perturbed genes, or of all n genes of a panel (`over`).

    change: (p,) natural log fold change of the gene itself when it is perturbed; kind, source: (p,) a Kind
    and a Source of each.
    """

    change: np.ndarray
    kind: np.ndarray
    source: np.ndarray

    def over(self, n: int, positions: np.ndarray, complete_loss: float) -> OwnChange:
        """The same over a panel of n genes; positions: (p,) of the perturbed ones. The others take what is
        typical of them, or the loss that is assumed where there are none.
        """
        kind = KNOCK_OUT if (self.kind == KNOCK_OUT).all() else KNOCK_DOWN
        change = np.full(n, np.median(self.change) if len(self.change) else np.log1p(-complete_loss))
        kinds = np.full(n, kind, dtype=object)
        sources = np.full(n, ASSUMED if kind == KNOCK_OUT else TYPICAL, dtype=object)
        change[positions], kinds[positions], sources[positions] = self.change, self.kind, self.source
        return OwnChange(change, kinds, sources)

    @property
    def source_codes(self) -> np.ndarray:
        """(p,) places of the sources in SOURCES, as they are kept in files of numbers."""
        return np.array([SOURCES.index(source) for source in self.source], dtype=np.float64)


def own_change(observed: Contrasts, kind: str, complete_loss: float) -> OwnChange:
    """Of every perturbed gene. kind: knock-down, knock-out, or auto, which decides by what is seen.

    A knock-down is read off the gene's own expression; where that was not measured, or does not fall, the
    median of the others is taken. A knock-out removes the gene's function, of which its expression says
    little; so does a screen where no target falls.
    """
    effect, error = observed.own
    falling = np.isfinite(error) & (effect < -SEEN_FALLING * error)
    typical = float(np.median(effect[falling])) if falling.any() else 0.0
    if kind == "knock-out" or not falling.any() or (kind == "auto" and typical > KNOCK_OUT_ABOVE):
        return OwnChange(
            np.full(len(effect), np.log1p(-complete_loss)),
            np.full(len(effect), KNOCK_OUT, dtype=object),
            np.full(len(effect), ASSUMED, dtype=object),
        )
    return OwnChange(
        np.where(falling, effect, typical),
        np.full(len(effect), KNOCK_DOWN, dtype=object),
        np.where(falling, READ, TYPICAL).astype(object),
    )
