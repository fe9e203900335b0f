"""How far a perturbation changes its own gene, and how that is known: the unit of everything that follows
from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from gpovae_core.data.kinds import ACTIVATION, KNOCK_DOWN, KNOCK_OUT, decide
from gpovae_core.effects.contrasts import Contrasts

Source = Literal["assumed", "typical of the others", "read off the target"]
"""How a change is known. A knock-out removes a function of which the gene's expression says little, so its
change is assumed. In a code (see `OwnChange.source_codes`) each stands for its place here.
"""
ASSUMED, TYPICAL, READ = SOURCES = get_args(Source)

MOST_FALL = float(np.log(0.1))
"""No fall counts for more, whatever is left of the mRNA: below a tenth the counts say little, and a target
that has lost nine tenths of its regulator feels hardly more when it loses the rest.
"""

ASSUMED_RISE = float(np.log(2.0))
"""Where the screen is said to activate and no target shows it."""


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
        sources = np.full(n, ASSUMED if (self.source == ASSUMED).all() else TYPICAL, dtype=object)
        change[positions], kinds[positions], sources[positions] = self.change, self.kind, self.source
        return OwnChange(change, kinds, sources)

    @property
    def source_codes(self) -> np.ndarray:
        """(p,) places of the sources in SOURCES, as they are kept in files of numbers."""
        return np.array([SOURCES.index(source) for source in self.source], dtype=np.float64)


def own_change(observed: Contrasts, kind: str, complete_loss: float) -> OwnChange:
    """Of every perturbed gene. kind: what was done to them as a person says it (`network.perturbation`).

    What was done to each is decided in data.kinds. A knock-down or an activation is read off the gene's own
    expression; where that was not measured, or does not move, the median of those that were perturbed alike
    is taken, and where none of them moves the loss or rise that is assumed. A knock-out removes the gene's
    function, of which its expression says little. The activation of a gene that is knocked down in other
    cells is read as one.
    """
    second = observed.second
    if second.any():  # known to be raised, whatever is done to the other genes
        change, kinds, source = np.zeros(len(second)), *np.full((2, len(second)), None, dtype=object)
        for rows, said in ((second, ACTIVATION), (~second, kind)):
            found = own_change(_rows(observed, rows), said, complete_loss)
            change[rows], kinds[rows], source[rows] = found.change, found.kind, found.source
        return OwnChange(change, kinds, source)
    effect, error = observed.own
    decided = decide(effect, error, kind, observed.stated if len(observed.stated) else None)
    loss = float(np.log1p(-complete_loss))
    change, source = np.full(len(effect), loss), np.full(len(effect), ASSUMED, dtype=object)
    for one, moving, assumed in (
        (KNOCK_DOWN, decided.falling, loss),
        (ACTIVATION, decided.rising, ASSUMED_RISE),
    ):
        rows = decided.kind == one
        seen = rows & moving
        typical = float(np.median(effect[seen])) if seen.any() else assumed
        felt = np.maximum(np.where(seen, effect, typical), MOST_FALL) if seen.any() else typical
        change = np.where(rows, felt, change)
        source[rows] = np.where(seen, READ, TYPICAL if seen.any() else ASSUMED)[rows]
    return OwnChange(change, decided.kind, source)


def _rows(observed: Contrasts, rows: np.ndarray) -> Contrasts:
    parts = (observed.sources[rows], observed.effect[rows], observed.error[rows])
    stated = observed.stated[rows] if len(observed.stated) else observed.stated
    return Contrasts(
        *parts, observed.shift[rows], observed.cells[rows], 0, observed.control_share, stated=stated
    )
