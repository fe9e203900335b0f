"""Over-representation: which known gene sets hold more of the chosen genes than chance would put there?

The background is what could have been chosen at all: the measured genes of the panel. Against the whole
genome every selection of a panel would look enriched for what the panel was chosen by.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gpovae_core.data.gene_sets import GeneSet
from gpovae_core.data.schema import Panel
from gpovae_core.errors import QueryError
from gpovae_core.network.grn import GeneNetwork

FEWEST = 3
"""Genes of the background that a set needs to be tested: smaller ones only cost the others their
significance.
"""
BACKGROUND = "the measured genes of the panel"


@dataclass(frozen=True)
class EnrichedSet:
    """One set with some of the chosen genes. p: hypergeometric, of at least this overlap; p_adjusted: after
    Benjamini-Hochberg over all sets tested; overlap: chosen genes in it; size: its genes in the background;
    genes: the overlap, as the panel spells them.
    """

    name: str
    source: str
    p: float
    p_adjusted: float
    overlap: int
    size: int
    genes: tuple[str, ...]


@dataclass(frozen=True)
class Enrichment:
    """sets: smallest p first; background: number of measured genes of the panel; selected: the chosen genes
    among them; left_out: chosen genes that are not measured; tested: how many sets were.
    """

    sets: tuple[EnrichedSet, ...]
    background: int
    selected: tuple[str, ...]
    left_out: tuple[str, ...]
    tested: int

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "sets": [{**asdict(one), "genes": list(one.genes)} for one in self.sets],
            "background": self.background,
            "background_is": BACKGROUND,
            "selected": list(self.selected),
            "left_out": list(self.left_out),
            "tested": self.tested,
        }


def targets_of(network: GeneNetwork, gene: str, threshold: float) -> list[str]:
    """Genes that a gene regulates by edges above the threshold. Raises QueryError where there are none."""
    network.check_threshold(threshold)
    i = network.panel.position(gene)
    found = [
        network.panel.genes[j]
        for j in np.flatnonzero(network.weights[i] > threshold)
        if j != i and network.panel.is_measured[j]
    ]
    if not found:
        raise QueryError(
            f"{network.panel.genes[i]} has no edge to a measured gene with {network.measure} above "
            f"{threshold:g}. Choose a lower threshold, or other genes."
        )
    return found


def over_representation(panel: Panel, chosen: Sequence[str], sets: Iterable[GeneSet]) -> Enrichment:
    """Every set with at least FEWEST genes in the background, tested by the hypergeometric distribution;
    those without a chosen gene are counted in the adjustment and not listed. Names are compared without
    regard to case. Raises QueryError for genes outside the panel, and where no set can be tested.
    """
    from scipy.stats import false_discovery_control, hypergeom

    spelled = {gene.casefold(): gene for gene in panel.data.measured}
    names = list(dict.fromkeys(panel.genes[panel.position(gene)] for gene in chosen))
    selected = [gene for gene in names if gene.casefold() in spelled]
    if not selected:
        raise QueryError(
            "None of the chosen genes is measured, so they cannot be held against the measured genes of the "
            "panel."
        )
    own = {gene.casefold() for gene in selected}
    tested = []
    for one in sets:
        members = {gene.casefold() for gene in one.genes} & spelled.keys()
        if FEWEST <= len(members) < len(spelled):
            tested.append((one, len(members), sorted(spelled[gene] for gene in members & own)))
    if not tested:
        raise QueryError(
            f"None of the gene sets has {FEWEST} genes among the {len(spelled):,} measured genes of the "
            "panel (and not all of them). Are both gene symbols of the same species?"
        )
    sizes, overlaps = (np.array(values) for values in zip(*((n, len(k)) for _, n, k in tested), strict=True))
    p = np.minimum(hypergeom.sf(overlaps - 1, len(spelled), sizes, len(own)), 1.0)
    adjusted = false_discovery_control(p)
    found = [
        EnrichedSet(one.name, one.source, float(p[i]), float(adjusted[i]), len(genes), size, tuple(genes))
        for i, (one, size, genes) in enumerate(tested)
        if genes
    ]
    return Enrichment(
        tuple(sorted(found, key=lambda one: (one.p, -one.overlap, one.source, one.name))),
        len(spelled),
        tuple(selected),
        tuple(gene for gene in names if gene.casefold() not in spelled),
        len(tested),
    )
