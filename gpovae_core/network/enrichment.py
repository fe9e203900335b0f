"""Over-representation: which known gene sets hold more of the chosen genes than chance would put there?

The background is what could have been chosen at all: the measured genes of the panel. Against the whole
genome every selection of a panel would look enriched for what the panel was chosen by.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from gpovae_core import keys
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


def regulated_by(network: GeneNetwork, regulators: Sequence[str], threshold: float) -> list[str]:
    """Genes into which edges above the threshold run from exactly these regulators, and out of which none
    runs: those that the map folds together. Raises QueryError for genes outside the panel.
    """
    network.check_threshold(threshold)
    places = [network.panel.position(gene) for gene in regulators]
    above = network.weights > threshold
    np.fill_diagonal(above, False)
    only = above[places].all(axis=0) & (above.sum(axis=0) == len(set(places)))
    return [network.panel.genes[j] for j in np.flatnonzero(only & ~above.any(axis=1))]


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


@dataclass(frozen=True)
class RankedSet:
    """One set whose genes lie higher or lower in a ranking than all others. p: Mann and Whitney's test, two-
    sided, as its normal approximation with ties; p_adjusted: Benjamini-Hochberg over all sets tested; shift:
    probability that a gene of the set lies above another gene, less that it lies below, -1 to 1; size: its
    ranked genes; genes: the ten farthest in that direction.
    """

    name: str
    source: str
    p: float
    p_adjusted: float
    shift: float
    size: int
    genes: tuple[str, ...]


@dataclass(frozen=True)
class RankedEnrichment:
    """sets: smallest p first; perturbation: whose effects were ranked; background: number of ranked genes."""

    sets: tuple[RankedSet, ...]
    perturbation: str
    background: int

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "sets": [{**asdict(one), "genes": list(one.genes)} for one in self.sets],
            "perturbation": self.perturbation,
            "background": self.background,
            "background_is": RANKED_BACKGROUND,
            "tested": len(self.sets),
        }


FEWEST_RANKED = 5
"""Ranked genes that a set needs."""
RANKED_BACKGROUND = "the measured genes of the panel but the perturbed one, by effect over its error"


def effects_of(network: GeneNetwork, perturbation: str) -> tuple[str, dict[str, float]]:
    """The perturbation of one gene as the panel spells it, and its effect over its error for every other
    measured gene. Raises QueryError where it was not perturbed, or nothing was measured.
    """
    panel = network.panel
    name = panel.canonical(perturbation)
    known = {} if network.measured is None else network.measured.under(panel)
    if name not in known:
        raise QueryError(
            f"There are no measured effects of {name}: it was not perturbed alone, or the run has no network "
            "stage. --genes takes any genes, --gene the targets of one."
        )
    effect, error = known[name]
    found = np.flatnonzero(np.isfinite(effect) & np.isfinite(error) & (error > 0))
    itself = keys.genes_of(name)
    values = {panel.genes[j]: float(effect[j] / error[j]) for j in found if panel.genes[j] not in itself}
    return name, values


def ranked_enrichment(
    perturbation: str, values: dict[str, float], sets: Iterable[GeneSet]
) -> RankedEnrichment:
    """Every set with at least FEWEST_RANKED of the genes, and not all, by the ranks of its values among all.
    Names are compared without regard to case. Raises QueryError where no set can be tested.

    A competitive test: genes of a set that go up and down together for other reasons than the perturbation
    make p too small (Wu and Smyth 2012), so it orders sets rather than proving one.
    """
    from scipy.stats import false_discovery_control, norm, rankdata

    names = list(values)
    place = {gene.casefold(): at for at, gene in enumerate(names)}
    z = np.array([values[gene] for gene in names])
    ranks, n = rankdata(z), len(z)
    ties = np.unique(z, return_counts=True)[1].astype(float)
    spread = (n + 1 - (ties**3 - ties).sum() / max(n * (n - 1), 1)) / 12
    tested = []
    for one in sets:
        own = np.array(sorted({place[g.casefold()] for g in one.genes if g.casefold() in place}), dtype=int)
        if FEWEST_RANKED <= len(own) < n:
            tested.append((one, own))
    if not tested:
        raise QueryError(
            f"None of the gene sets has {FEWEST_RANKED} of the {n:,} ranked genes (and not all of them). Are "
            "both gene symbols of the same species?"
        )
    sizes = np.array([len(own) for _, own in tested], dtype=float)
    rest = n - sizes
    above = np.array([ranks[own].sum() for _, own in tested]) - sizes * (sizes + 1) / 2
    scale = np.sqrt(np.maximum(sizes * rest * spread, 1e-300))
    p = np.minimum(2 * norm.sf(np.abs(above - sizes * rest / 2) / scale), 1.0)
    adjusted, shift = false_discovery_control(p), 2 * above / (sizes * rest) - 1
    found = []
    for at, (one, own) in enumerate(tested):
        order = own[np.argsort(-z[own] if shift[at] >= 0 else z[own], kind="stable")]
        genes = tuple(names[k] for k in order[:10])
        found.append(
            RankedSet(
                one.name, one.source, float(p[at]), float(adjusted[at]), float(shift[at]), len(own), genes
            )
        )
    ordered = sorted(found, key=lambda one: (one.p, -abs(one.shift), one.source, one.name))
    return RankedEnrichment(tuple(ordered), perturbation, n)
