"""Two networks side by side, by gene name: what they share, what the second gains and loses against the
first.

The same network at two thresholds, or two runs at equal thresholds or at equal numbers of edges. Only genes
that both panels have can be compared; edges to other genes are counted and left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.network.grn import GeneNetwork

SHARED, GAINED, LOST = "shared", "gained", "lost"
STATES = (SHARED, GAINED, LOST)


@dataclass(frozen=True)
class NetworkComparison:
    """edges: source, target, state (STATES), weight_a, weight_b, sign_a, sign_b; shared first, then gained
    and lost, each by the larger weight. genes: how many the panels share; pairs: ordered pairs of them; a, b:
    edges of each network among these genes; outside_a, outside_b: edges left out because a gene is missing in
    the other panel; threshold_a, threshold_b: as applied.
    """

    edges: pd.DataFrame
    genes: int
    pairs: int
    a: int
    b: int
    outside_a: int
    outside_b: int
    threshold_a: float
    threshold_b: float

    def count(self, state: str) -> int:
        return int((self.edges["state"] == state).sum())

    @property
    def jaccard(self) -> float:
        """Shared edges over edges of either; NaN where neither has one."""
        return self.count(SHARED) / len(self.edges) if len(self.edges) else float("nan")

    @property
    def expected(self) -> float:
        """Edges that two networks of these sizes would share if they had nothing to do with each other; NaN
        without pairs.
        """
        return self.a * self.b / self.pairs if self.pairs else float("nan")

    @property
    def same_sign(self) -> tuple[int, int]:
        """Shared edges whose sign both know and agree on, and those whose sign both know."""
        shared = self.edges[self.edges["state"] == SHARED]
        known = (shared["sign_a"] != 0) & (shared["sign_b"] != 0)
        return int((known & (shared["sign_a"] == shared["sign_b"])).sum()), int(known.sum())


def compare_networks(
    a: GeneNetwork, threshold_a: float, b: GeneNetwork, threshold_b: float
) -> NetworkComparison:
    """Edges of `a` above its threshold against those of `b` above its own, without self-loops. Names are
    compared exactly.
    """
    a.check_threshold(threshold_a)
    b.check_threshold(threshold_b)
    genes = sorted(set(a.panel.index) & set(b.panel.index))
    in_a, in_b = (np.array([net.panel.index[gene] for gene in genes], dtype=int) for net in (a, b))
    weight_a, weight_b = a.weights[np.ix_(in_a, in_a)], b.weights[np.ix_(in_b, in_b)]
    above_a, above_b = weight_a > threshold_a, weight_b > threshold_b
    for above in (above_a, above_b):
        np.fill_diagonal(above, False)
    rows, columns = np.nonzero(above_a | above_b)
    state = np.where(above_a & above_b, 0, np.where(above_b, 1, 2))[rows, columns]
    names = np.array(genes, dtype=object)
    table = pd.DataFrame(
        {
            keys.SOURCE: names[rows],
            keys.TARGET: names[columns],
            "state": np.array(STATES, dtype=object)[state],
            "weight_a": weight_a[rows, columns],
            "weight_b": weight_b[rows, columns],
            "sign_a": a.signs[np.ix_(in_a, in_a)][rows, columns],
            "sign_b": b.signs[np.ix_(in_b, in_b)][rows, columns],
        }
    )
    order = np.lexsort((-np.maximum(table["weight_a"], table["weight_b"]), state))
    count_a, count_b = int(above_a.sum()), int(above_b.sum())
    return NetworkComparison(
        edges=table.iloc[order].reset_index(drop=True),
        genes=len(genes),
        pairs=len(genes) * (len(genes) - 1),
        a=count_a,
        b=count_b,
        outside_a=int(a.count_edges([threshold_a])[0]) - count_a,
        outside_b=int(b.count_edges([threshold_b])[0]) - count_b,
        threshold_a=threshold_a,
        threshold_b=threshold_b,
    )


def restrict(network: GeneNetwork, genes: set[str]) -> np.ndarray:
    """Weights of all ordered pairs of different genes out of `genes`, in falling order: what equal numbers of
    edges are cut from.
    """
    places = np.array([i for gene, i in network.panel.index.items() if gene in genes], dtype=int)
    inside = network.weights[np.ix_(places, places)]
    return -np.sort(-inside[~np.eye(len(places), dtype=bool)])


def equal_edges(a: GeneNetwork, threshold_a: float, b: GeneNetwork) -> float | None:
    """Threshold at which `b` has as many edges among the shared genes as `a` has above its own; None where it
    has none at all.

    Ties at the cut come in together, so `b` may have a few more.
    """
    genes = set(a.panel.index) & set(b.panel.index)
    wanted = int((restrict(a, genes) > threshold_a).sum())
    weights = restrict(b, genes)
    positive = int((weights > 0).sum())
    if wanted == 0 or positive == 0:
        return None
    return max(0.0, float(np.nextafter(weights[min(wanted, positive) - 1], -1.0)))
