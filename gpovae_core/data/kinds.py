"""What was done to each perturbed gene, knocked down, knocked out or activated: the one place where that is
decided. What a person says comes first, then what the file states, then what the gene's own expression shows;
where none of them speaks a knock-out is assumed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Kind = Literal["knock-down", "knock-out", "activation"]
KNOCK_DOWN, KNOCK_OUT, ACTIVATION = get_args(Kind)

TOLD: dict[str, Kind] = {
    **{kind: kind for kind in get_args(Kind)},
    "over-expression": ACTIVATION,
    "none": KNOCK_OUT,
}
"""What a person says of all perturbations (`network.perturbation`) -> what that is; "none" is what is assumed
where nothing is known. "auto" and "mixed" are decided one by one.
"""

SEEN_MOVING = 3.0
"""A target counts as falling, or rising, where its own expression moves by so many standard errors."""
LEAST_RISE = float(np.log(1.5))
"""And as rising only where it rises by as much: after a knock-out the mRNA may rise a little."""
CUT_RISE = float(np.log(2.0))
"""Among knock-outs a single target must rise by as much: a gene that represses itself rises when cut."""
KNOCK_OUT_ABOVE = float(np.log(0.5))
"""Where the typical target that falls keeps more than half of its mRNA the screen is taken for knock-outs."""
LEVEL = 0.05
"""Of the test whether a target moves against what most do: false discovery rate after Benjamini and Hochberg
over all measured targets. Where none does, it finds one in as many of a hundred screens at most.
"""
SHARE = 0.2
"""A direction is one of the screen's, and no exception, from such a share of the targets on."""


@dataclass(frozen=True)
class Kinds:
    """Of p perturbations. kind: (p,) a Kind each; falling, rising: (p,) bool, what the target's own
    expression clearly shows; odd: (p,) bool, read against what most targets show.
    """

    kind: np.ndarray
    falling: np.ndarray
    rising: np.ndarray
    odd: np.ndarray


def decide(
    change: np.ndarray, error: np.ndarray, told: str = "auto", stated: np.ndarray | None = None
) -> Kinds:
    """change, error: (p,) natural log fold change of each target in its own perturbation and its standard
    error, not finite where it was not measured; told: as `network.perturbation`; stated: (p,) the Kind that
    the file states, None where it states none.

    Unless it is told or stated, a target that clearly falls or rises against what most do goes its own way.
    One that shows nothing is taken for what most are.
    """
    known = np.isfinite(error)
    change = np.where(known, change, 0.0)
    falling = known & (change < -SEEN_MOVING * error)
    rising = known & (change > np.maximum(SEEN_MOVING * error, LEAST_RISE))
    kind, odd = np.full(len(change), None, dtype=object), np.zeros(len(change), dtype=bool)
    if told in TOLD:
        kind[:] = TOLD[told]
        return Kinds(kind, falling, rising, odd)
    if stated is not None and (told == "auto" or len(set(stated) - {None}) > 1):
        kind[:] = stated
    rest = np.flatnonzero([one is None for one in kind])
    others = Counter(one for one in kind if one is not None).most_common(1)
    seen = _Seen(change[rest], error[rest], falling[rest], rising[rest])
    usual, odd[rest] = seen.each() if told == "mixed" else seen.screen()
    if not (falling[rest] | rising[rest]).any() and others:
        usual = others[0][0]
    kind[rest] = usual
    kind[odd] = KNOCK_DOWN if usual == ACTIVATION else ACTIVATION
    return Kinds(kind, falling, rising, odd)


def against(change: np.ndarray, error: np.ndarray, stated: np.ndarray) -> np.ndarray:
    """(p,) bool: the target clearly moves against what is stated (None: nothing is), beyond what chance does
    among so many; arguments as those of `decide`.
    """
    wanted = np.array([0 if one is None else -1 if one == ACTIVATION else 1 for one in stated], dtype=int)
    some = np.isfinite(error) & (wanted != 0)
    least = np.where(wanted < 0, 0.0, np.where(np.equal(stated, KNOCK_OUT), CUT_RISE, LEAST_RISE))
    change = np.where(some, wanted * change, 0.0)
    return some & (change > np.maximum(SEEN_MOVING * error, least)) & _beyond_chance(change, error, some)


def _beyond_chance(change: np.ndarray, error: np.ndarray, known: np.ndarray) -> np.ndarray:
    """(p,) bool: rises beyond what chance does among the known (p,) targets."""
    from scipy import stats  # here: the first page of the dashboard need not wait for it

    found = np.zeros(len(known), dtype=bool)
    if known.any():
        found[known] = stats.false_discovery_control(stats.norm.sf(change[known] / error[known])) <= LEVEL
    return found


@dataclass(frozen=True)
class _Seen:
    change: np.ndarray
    error: np.ndarray
    falling: np.ndarray
    rising: np.ndarray

    def each(self) -> tuple[Kind, np.ndarray]:
        """(what is usual, (p,) bool the others) where a screen is known to hold both directions."""
        if self._rises_mostly:
            return ACTIVATION, self.falling
        return KNOCK_DOWN if self.falling.any() else KNOCK_OUT, self.rising

    def screen(self) -> tuple[Kind, np.ndarray]:
        """The same where that is not known."""
        known = np.isfinite(self.error)
        still = known & (SEEN_MOVING * self.error < LEAST_RISE)
        moving = self.falling | self.rising
        if self._rises_mostly and self.rising.sum() >= SHARE * (moving | still).sum():
            return ACTIVATION, self.falling & _beyond_chance(-self.change, self.error, known)
        rises = self.rising & _beyond_chance(self.change, self.error, known)
        typical = float(np.median(self.change[self.falling])) if self.falling.any() else 0.0
        if self.falling.any() and (typical <= KNOCK_OUT_ABOVE or rises.sum() >= SHARE * moving.sum() > 0):
            return KNOCK_DOWN, rises
        return KNOCK_OUT, rises & (self.change > CUT_RISE)

    @property
    def _rises_mostly(self) -> bool:
        return bool(self.rising.any() and self.rising.sum() >= self.falling.sum())
