"""How far a perturbation changes its own gene, and how that is known: the unit of everything that follows
from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from gpovae_core.effects.contrasts import Contrasts

Kind = Literal["knock-down", "knock-out", "activation"]
Source = Literal["assumed", "typical of the others", "read off the target"]
"""How a change is known. A knock-out removes a function of which the gene's expression says little, so its
change is assumed. In a code (see `OwnChange.source_codes`) each stands for its place here.
"""
KNOCK_DOWN, KNOCK_OUT, ACTIVATION = get_args(Kind)
ASSUMED, TYPICAL, READ = SOURCES = get_args(Source)

SEEN_MOVING = 3.0
"""A target counts as knocked down, or activated, where its own expression moves by so many standard
errors.
"""

KNOCK_OUT_ABOVE = float(np.log(0.5))

LEAST_RISE = float(np.log(1.5))
"""And as activated only where it rises by as much: after a knock-out the mRNA may rise a little."""

MOST_FALL = float(np.log(0.1))
"""No fall counts for more, whatever is left of the mRNA: below a tenth the counts say little, and a target
that has lost nine tenths of its regulator feels hardly more when it loses the rest.
"""

ASSUMED_RISE = float(np.log(2.0))
"""Where the screen is said to activate and no target shows it."""

_BOTH = 3, 0.2
"""A screen holds both directions where each has so many targets that clearly move, and so large a share."""


@dataclass(frozen=True)
class OwnChange:
    """Of p perturbed genes, or of all n genes of a panel (`over`).

    change: (p,) natural log fold change of the gene itself when it is perturbed; kind, source: (p,) a Kind
    and a Source of each.
    """

    change: np.ndarray
    kind: np.ndarray
    source: np.ndarray

    def of(self, rows: np.ndarray) -> OwnChange:
        return OwnChange(self.change[rows], self.kind[rows], self.source[rows])

    def over(self, n: int, positions: np.ndarray, complete_loss: float) -> OwnChange:
        """The same over a panel of n genes; positions: (p,) of the perturbed ones. The others take what is
        typical of them, or the loss that is assumed where there are none.
        """
        typical = np.median(self.change) if len(self.change) else np.log1p(-complete_loss)
        kind = KNOCK_OUT if (self.kind == KNOCK_OUT).all() else ACTIVATION if typical > 0 else KNOCK_DOWN
        change = np.full(n, typical)
        kinds = np.full(n, kind, dtype=object)
        sources = np.full(n, ASSUMED if kind == KNOCK_OUT else TYPICAL, dtype=object)
        change[positions], kinds[positions], sources[positions] = self.change, self.kind, self.source
        return OwnChange(change, kinds, sources)

    @property
    def source_codes(self) -> np.ndarray:
        """(p,) places of the sources in SOURCES, as they are kept in files of numbers."""
        return np.array([SOURCES.index(source) for source in self.source], dtype=np.float64)


def own_change(observed: Contrasts, kind: str, complete_loss: float) -> OwnChange:
    """Of every perturbed gene. kind: knock-down, knock-out, activation, or auto, which decides by what is
    seen.

    A knock-down or an activation is read off the gene's own expression; where that was not measured, or does
    not move, the median of the others is taken. A knock-out removes the gene's function, of which its
    expression says little; so does a screen where no target moves. Where a screen holds both directions each
    perturbation has its own. The activation of a gene that is knocked down in other cells is read as one.
    """
    second = observed.second
    if second.any():  # known to be raised, whatever is done to the other genes
        change, kinds, source = np.zeros(len(second)), *np.full((2, len(second)), None, dtype=object)
        for rows, said in ((second, ACTIVATION), (~second, kind)):
            found = own_change(_rows(observed, rows), said, complete_loss)
            change[rows], kinds[rows], source[rows] = found.change, found.kind, found.source
        return OwnChange(change, kinds, source)
    effect, error = observed.own
    known = np.isfinite(error)
    falling = known & (effect < -SEEN_MOVING * error)
    rising = known & (effect > np.maximum(SEEN_MOVING * error, LEAST_RISE))
    if kind == "auto" and min(falling.sum(), rising.sum()) >= max(
        _BOTH[0], _BOTH[1] * (falling | rising).sum()
    ):
        return _read(effect, falling, rising)
    nothing = np.zeros(len(effect), dtype=bool)
    if kind == "activation" or (kind == "auto" and rising.sum() > falling.sum()):
        return _read(effect, nothing, rising)
    typical = float(np.median(effect[falling])) if falling.any() else 0.0
    if kind == "knock-out" or not falling.any() or (kind == "auto" and typical > KNOCK_OUT_ABOVE):
        return OwnChange(
            np.full(len(effect), np.log1p(-complete_loss)),
            np.full(len(effect), KNOCK_OUT, dtype=object),
            np.full(len(effect), ASSUMED, dtype=object),
        )
    return _read(effect, falling, nothing)


def _rows(observed: Contrasts, rows: np.ndarray) -> Contrasts:
    parts = (observed.sources[rows], observed.effect[rows], observed.error[rows])
    return Contrasts(*parts, observed.shift[rows], observed.cells[rows], 0, observed.control_share)


def _read(effect: np.ndarray, falling: np.ndarray, rising: np.ndarray) -> OwnChange:
    """Read off the targets that move, the others as is typical of the direction that most of them take."""
    up = rising.sum() >= falling.sum()
    most = rising if up else falling
    typical = float(np.median(effect[most])) if most.any() else ASSUMED_RISE
    moving = falling | rising
    change = np.maximum(np.where(moving, effect, typical), MOST_FALL)
    other = TYPICAL if most.any() else ASSUMED
    return OwnChange(
        change,
        np.where(change > 0, ACTIVATION, KNOCK_DOWN).astype(object),
        np.where(moving, READ, other).astype(object),
    )
