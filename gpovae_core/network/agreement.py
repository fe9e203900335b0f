"""Edges in the light of tables of known edges: how many are listed at every threshold, with which sign."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gpovae_core.evaluation.known import KnownEdges, both_ways, judge
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.references import Known, ReferenceNetwork

NOT_LISTED, LISTED, OTHER_SIGN = 0, 1, -1
"""What tables say of an edge: none lists it; one does; one does with the other sign, and none with this."""


@dataclass(frozen=True)
class ListedShare:
    """name: of the table; judged, listed: (t,) edges above each threshold that it could have listed, and
    those of them that it lists; pairs, known: the same of all pairs out of perturbed genes, whatever their W.
    """

    name: str
    judged: np.ndarray
    listed: np.ndarray
    pairs: int
    known: int

    @property
    def precision(self) -> np.ndarray:
        """(t,) share of listed ones; NaN without edges."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.judged > 0, self.listed / self.judged, np.nan)

    @property
    def chance(self) -> float:
        """Share of listed ones among all pairs; NaN without any."""
        return self.known / self.pairs if self.pairs else float("nan")


def listed_share(network: GeneNetwork, reference: ReferenceNetwork, thresholds: np.ndarray) -> ListedShare:
    """Out of genes with evidence, into measured ones; the absence of a pair that a table could not have
    listed says nothing, so it does not count. A table without directions counts a pair once, by the larger W.
    """
    genes = network.panel.genes
    rows, columns = np.flatnonzero(network.has_evidence), np.flatnonzero(network.panel.is_measured)
    sources, targets = [genes[i] for i in rows], [genes[j] for j in columns]
    judged = judge(
        KnownEdges(reference.name, reference.directed, frozenset(reference.known)), sources, targets
    )
    weights = network.weights[np.ix_(rows, columns)]
    if not reference.directed:
        weights = both_ways(weights, sources, targets)
    every, known = (np.sort(weights[chosen]) for chosen in (judged.usable, judged.hits))
    above = [len(values) - np.searchsorted(values, thresholds, side="right") for values in (every, known)]
    return ListedShare(reference.name, above[0], above[1], len(every), len(known))


def standing(sign: int, found: Sequence[Known]) -> int:
    """LISTED, NOT_LISTED or OTHER_SIGN; sign: of the edge, 0 unknown; found: what the tables say of it."""
    signs = {one.sign for one in found if one.found}
    if not signs:
        return NOT_LISTED
    return OTHER_SIGN if sign and -sign in signs and sign not in signs else LISTED
