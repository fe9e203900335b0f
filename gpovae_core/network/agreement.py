"""Edges in the light of tables of known edges: which are listed, with which sign and from what; how many at
every threshold.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd

from gpovae_core import keys
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


@dataclass(frozen=True)
class KnownEdge:
    """An edge with what tables say of it. weight, sign: of the network; known: one entry per table that lists
    it.
    """

    source: str
    target: str
    weight: float
    sign: int
    known: tuple[Known, ...]

    @property
    def standing(self) -> int:
        return standing(self.sign, self.known)


def known_edge(
    network: GeneNetwork, source: str, target: str, references: Sequence[ReferenceNetwork]
) -> KnownEdge:
    """Raises QueryError for genes that are not in the panel."""
    i, j = network.panel.position(source), network.panel.position(target)
    source, target = network.panel.genes[i], network.panel.genes[j]
    found = tuple(one for table in references if (one := table.knows(source, target)).found)
    return KnownEdge(source, target, float(network.weights[i, j]), int(network.signs[i, j]), found)


def known_steps(
    network: GeneNetwork, path: Sequence[str], references: Sequence[ReferenceNetwork]
) -> tuple[KnownEdge, ...]:
    """The edges of a path in their order. path: its genes."""
    return tuple(known_edge(network, source, target, references) for source, target in pairwise(path))


@dataclass(frozen=True)
class ListedOfGene:
    """What a table says of the edges of one gene. name: of the table; targets, regulators: edges above the
    threshold, out of the gene and into it, that the table lists, strongest first; judged: its targets that
    the table could have listed; known, pairs: the same, listed and could have listed, of all genes, whatever
    their W.
    """

    name: str
    targets: tuple[KnownEdge, ...]
    judged: int
    known: int
    pairs: int
    regulators: tuple[KnownEdge, ...]


def listed_of_gene(
    network: GeneNetwork, gene: str, threshold: float, reference: ReferenceNetwork
) -> ListedOfGene:
    """Into measured genes, out of genes with evidence; a pair that the table could not have listed does not
    count (as in `listed_share`). Raises QueryError for a gene that is not in the panel.
    """
    place = network.panel.position(gene)
    genes = network.panel.genes
    gene = genes[place]

    def edges(pairs: Sequence[tuple[int, int]]) -> tuple[KnownEdge, ...]:
        found = [known_edge(network, genes[i], genes[j], (reference,)) for i, j in pairs]
        return tuple(sorted((one for one in found if one.known), key=lambda one: -one.weight))

    out = [j for j in np.flatnonzero(network.panel.is_measured).tolist() if j != place]
    said = {j: reference.knows(gene, genes[j]) for j in out}
    could = [j for j in out if said[j].listed and genes[j].casefold() in reference.genes]
    above = [j for j in could if network.weights[place, j] > threshold]
    into = np.flatnonzero(network.has_evidence & (network.weights[:, place] > threshold)).tolist()
    return ListedOfGene(
        name=reference.name,
        targets=edges([(place, j) for j in above]),
        judged=len(above),
        known=sum(said[j].found for j in could),
        pairs=len(could),
        regulators=edges([(i, place) for i in into if i != place]),
    )


def known_columns(edges: pd.DataFrame, references: Sequence[ReferenceNetwork]) -> pd.DataFrame:
    """Of every edge of a table (source, target): known_in, the tables that list it; known_signs, the sign
    that each of these gives it, in the same order (0: none, or both); publications that they name. All are
    text joined by semicolons, empty where no table lists it.
    """
    rows = []
    for source, target in zip(edges[keys.SOURCE], edges[keys.TARGET], strict=True):
        found = [one for table in references if (one := table.knows(source, target)).found]
        read_from = dict.fromkeys(each for one in found for each in one.publications)
        rows.append(
            (
                "; ".join(one.reference for one in found),
                "; ".join(f"{one.sign:+d}" if one.sign else "0" for one in found),
                "; ".join(read_from),
            )
        )
    columns = pd.Index([keys.KNOWN_IN, keys.KNOWN_SIGNS, keys.PUBLICATIONS])
    return pd.DataFrame(rows, columns=columns, index=edges.index, dtype=object)
