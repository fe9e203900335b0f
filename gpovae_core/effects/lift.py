"""The common lift in a rank test: shares of a part of the transcriptome add up to one, so that where an
abundant gene falls the shares of all others rise.

The effects take the lift out (effects.contrasts). A test that did so with a lift estimated from the same few
cells would err more often than it says. So it is taken out only where it is beyond doubt: larger than
LEAST_LIFT and than CLEAR standard errors, which are what the lift of controls called perturbed, as many as
the perturbation has cells, scatters by, over the root of the share of genes that it is read off where most
moved. And p is the largest over the lifts within REACH standard errors of the estimate (Berger and Boos,
Journal of the American Statistical Association 1994, whose small addition to p for the lifts beyond it is
left out).

The size of a lifted cell is multiplied by the lift: it is compared with controls of as many counts of
the genes that did not change, and its shares are taken of those.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from gpovae_core import keys
from gpovae_core.data.labelled import cells_of
from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.store import rows_of
from gpovae_core.effects.contrasts import drawn_controls, label_contrasts
from gpovae_core.effects.design import Design, Exchangeable, by_depth

LEAST_LIFT, CLEAR, REACH = 0.05, 4.0, 2.0
GENES = 300
"""The lift is the weighted median of effects, in which the genes with the largest shares decide."""
DRAWS = 20
"""Groups of controls called perturbed, for every size."""
FEWEST = 2


@dataclass(frozen=True)
class Lift:
    """log: natural log fold change of all shares; error: its standard error."""

    log: float
    error: float


def exchangeable(
    prepared: PreparedCells,
    splits: tuple[str, ...],
    names: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> Exchangeable:
    """`Exchangeable.of` the cells of `splits`, without the `clear_lifts` of the perturbations `names`."""
    plain = Exchangeable.of(prepared, splits)
    if plain.unit is not None:
        return plain
    lifts = clear_lifts(prepared, splits, names, progress)
    if not lifts:
        return plain
    labels = prepared.labels[prepared.where(splits=splits)]

    def without(side: float) -> Exchangeable:
        factor = {name: np.exp(lift.log + side * lift.error) for name, lift in lifts.items()}
        return Exchangeable.of(prepared, splits, np.array([factor.get(label, 1.0) for label in labels]))

    return replace(without(0.0), lifted=frozenset(lifts), otherwise=(without(-REACH), without(REACH)))


def clear_lifts(
    prepared: PreparedCells,
    splits: tuple[str, ...],
    names: Iterable[str] | None = None,
    progress: Progress | None = None,
) -> dict[str, Lift]:
    """Perturbation -> its lift in the cells of `splits`, where that is beyond doubt; none where shares are of
    the whole transcriptome.
    """
    design = Design.of(prepared)
    inside = prepared.where(splits=splits) & (design.size > 0)
    asked = [name for name in (prepared.perturbations if names is None else names) if name != keys.CONTROL]
    control, *own = cells_of(prepared.labels, (keys.CONTROL, *asked), inside)
    chosen = [name for name, cells in zip(asked, own, strict=True) if len(cells) >= FEWEST]
    if design.whole or not chosen or len(control) < 2 * FEWEST:
        return {}
    # of all cells: the genes that happen to be large in the controls alone would seem to fall
    doing = "looking for common lifts"
    tell(progress, doing, 0.0)
    total = np.asarray(rows_of(prepared.counts, np.flatnonzero(inside)).sum(axis=0)).ravel()
    genes = np.sort(np.argsort(-total, kind="stable")[:GENES])
    # within depth, as the test: cells of another depth may differ in all shares by themselves
    depth = by_depth(design.size, design.stratum, prepared.labels == keys.CONTROL)
    design = replace(design, stratum=depth, replicates={})
    tell(progress, doing, 0.3)
    found, _ = label_contrasts(prepared, tuple(chosen), splits, genes, design)
    large = np.flatnonzero(np.abs(found.shift) > LEAST_LIFT)
    sizes = {int(row): _size(int(found.cells[row]), len(control)) for row in large}
    scatter: dict[int, float] = {}
    for size in set(sizes.values()):
        tell(progress, doing, 0.6 + 0.4 * len(scatter) / len(sizes))
        scatter[size] = _scatter(prepared, design, splits, genes, size)
    lifts = {
        chosen[row]: Lift(float(found.shift[row]), scatter[size] / np.sqrt(found.unmoved[row]))
        for row, size in sizes.items()
        if not found.unclear[row]
    }
    return {name: lift for name, lift in lifts.items() if abs(lift.log) > CLEAR * lift.error}


def _size(cells: int, controls: int) -> int:
    """Cells that stand for `cells` of a perturbation: a power of two, no more than half of the controls."""
    return int(np.clip(2 ** int(np.log2(max(cells, FEWEST))), FEWEST, controls // 2))


def _scatter(
    prepared: PreparedCells, design: Design, splits: tuple[str, ...], genes: np.ndarray, size: int
) -> float:
    """Standard deviation of the lift that so many controls show against all others; infinite where it cannot
    be told. The same whatever other perturbations are asked about.
    """
    shift = drawn_controls(prepared, design, splits, genes, size, DRAWS).shift
    return float(np.sqrt((shift**2).mean())) if len(shift) >= DRAWS // 2 else np.inf
