"""What a threshold does to a network, for all steps of the slider at once.

Every weight becomes a level: the number of steps it exceeds. A pair is joined within k hops at a step exactly
if the best "weakest edge" over all paths of at most k edges exceeds it; that is one max-min product per hop
on levels, which are single bytes. After that each curve is a count of levels, summed from above, and moving
the threshold is a look-up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gpovae_core.network.grn import GeneNetwork, check_hops

if TYPE_CHECKING:  # scipy.stats takes a second to import; whoever has pairs has it already
    from gpovae_core.effects.pairs import PairStatistics

STEPS = 200
"""Steps of the slider over the scale of a network; network.js and thresholds.js count in the same."""

_BLOCK = 64


@dataclass(frozen=True)
class ThresholdCurves:
    """One entry per step, (STEPS + 1,) each, NaN where undefined; None where the run lacks what it is
    computed from.

    edges, genes: edges between different genes above the step, and genes that have one; coverage: share of
    the pairs with a real effect that are joined within `hops` edges; effects: how many such pairs there are;
    mu_wd: mean Wasserstein distance of the edges that were tested; omission: share of significant raw p among
    the tested pairs that no path of at most `omission_hops` edges joins.

    Beside each of these what the number of edges alone would give: coverage_of_any, the share of *all* tested
    pairs that are joined; random_mu_wd, the mean over all tested pairs; significant, the share of significant
    raw p among all of them.
    """

    thresholds: np.ndarray
    edges: np.ndarray
    genes: np.ndarray
    hops: int
    coverage: np.ndarray | None = None
    coverage_of_any: np.ndarray | None = None
    effects: int = 0
    mu_wd: np.ndarray | None = None
    random_mu_wd: float | None = None
    omission: np.ndarray | None = None
    omission_hops: int = 0
    significant: float | None = None

    def table(self) -> pd.DataFrame:
        """The curves as columns, for a download."""
        columns = {"threshold": self.thresholds, "edges": self.edges, "genes": self.genes}
        optional = {
            "pathway_coverage": self.coverage,
            "coverage_of_any_pair": self.coverage_of_any,
            "mean_wasserstein": self.mu_wd,
            "false_omission_rate": self.omission,
        }
        return pd.DataFrame(
            columns | {name: values for name, values in optional.items() if values is not None}
        )


def steps(network: GeneNetwork) -> np.ndarray:
    """(STEPS + 1,) thresholds of the slider, from 0 to the top of the scale."""
    return np.linspace(0.0, network.top, STEPS + 1)


def levels(network: GeneNetwork, self_loops: bool = False) -> np.ndarray:
    """(n, n) uint8: how many steps of the slider each weight exceeds; an edge shows at step s exactly if its
    level is above s.
    """
    found = (
        np.searchsorted(steps(network), network.weights.ravel(), side="left")
        .astype(np.uint8)
        .reshape(network.weights.shape)
    )
    if not self_loops:
        np.fill_diagonal(found, 0)
    return found


def joined_levels(level: np.ndarray, rows: np.ndarray, hops: Sequence[int]) -> list[np.ndarray]:
    """For every entry of `hops`, (r, n) uint8: level up to which each of `rows` is joined to each gene by a
    path of so many edges or fewer.

    level: (n, n) as from `levels`. The level of a path is that of its weakest edge.
    """
    best, found = level[rows].copy(), {1: level[rows]}
    for hop in range(2, max(hops) + 1):
        wider = best.copy()
        for low in range(0, len(rows), _BLOCK):
            part, block = best[low : low + _BLOCK], wider[low : low + _BLOCK]
            buffer = np.empty_like(part)
            for middle in np.flatnonzero(part.any(axis=0)):
                np.minimum(part[:, middle, None], level[middle], out=buffer)
                np.maximum(block, buffer, out=block)
        found[hop] = wider
        if (wider == best).all():
            break
        best = wider
    return [found.get(hop, best) for hop in hops]


def threshold_curves(
    network: GeneNetwork,
    pairs: PairStatistics | None = None,
    hops: int = 5,
    omission_hops: int = 3,
    significance: float = 0.05,
) -> ThresholdCurves:
    """The curves of a network. pairs: tests on held-out cells; without them only edges and genes are known.

    hops: longest path that counts as reaching a target; omission_hops: the same for the false omission rate;
    significance: adjusted p below which an effect is real, and raw p for the omission rate.
    """
    check_hops(hops)
    check_hops(omission_hops)
    level = levels(network)
    strongest = np.maximum(level.max(axis=0, initial=0), level.max(axis=1, initial=0))
    curves = ThresholdCurves(steps(network), _above(level), _above(strongest), hops)
    if pairs is None or not pairs.evaluated.any():
        return curves
    rows = np.array([network.panel.index[gene] for gene in pairs.sources], dtype=int)
    columns = np.array([network.panel.index[gene] for gene in pairs.targets], dtype=int)
    tested, real = pairs.evaluated, pairs.evaluated & (pairs.adjusted < significance)
    direct = level[np.ix_(rows, columns)]
    reached, omitted = joined_levels(level, rows, (hops, omission_hops))
    edges = _above(direct[tested])
    distance = _above(direct[tested], pairs.wasserstein[tested])
    joined = omitted[:, columns][tested]
    without = int(tested.sum()) - _above(joined)
    significant = _above(joined, (pairs.p[tested] < significance).astype(np.float64))
    missed = float((pairs.p[tested] < significance).sum()) - significant
    return ThresholdCurves(
        thresholds=curves.thresholds,
        edges=curves.edges,
        genes=curves.genes,
        hops=hops,
        coverage=_ratio(_above(reached[:, columns][real]), np.full(STEPS + 1, real.sum())),
        coverage_of_any=_ratio(_above(reached[:, columns][tested]), np.full(STEPS + 1, tested.sum())),
        effects=int(real.sum()),
        mu_wd=_ratio(distance, edges),
        random_mu_wd=float(pairs.wasserstein[tested].mean()),
        omission=_ratio(missed, without),
        omission_hops=omission_hops,
        significant=float((pairs.p[tested] < significance).mean()),
    )


def _above(level: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    """(STEPS + 1,) how many levels exceed each step, or the sum of their weights."""
    counts = np.bincount(
        level.ravel(), weights=None if weight is None else weight.ravel(), minlength=STEPS + 2
    )
    return np.cumsum(counts[::-1])[::-1][1 : STEPS + 2]


def _ratio(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.full(len(part), np.nan), where=whole > 0)
