"""A network at one look: who regulates most, which groups of targets share regulators, how sure it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pandas as pd

from gpovae_core import keys
from gpovae_core.network.grn import GeneNetwork

AGAIN = 0.5
"""Share of an ensemble's members from which on an edge is said to come back."""


@dataclass(frozen=True)
class Group:
    """Genes that have the same regulators, at least one. signs: of every regulator, how many of the genes it
    activates and how many it represses.
    """

    regulators: tuple[str, ...]
    genes: tuple[str, ...]
    signs: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Overview:
    """A network above a threshold, edges without evidence left out.

    regulators: gene -> number of targets, the most first; perturbed: genes that could have targets; groups:
    the largest first; again: edges that at least AGAIN of an ensemble has, members: networks of it, None
    without one; in_doubt: of how many edges it can be told whether they have open detours, and how many have
    some; None: not known.
    """

    threshold: float
    edges: int
    perturbed: int
    regulators: dict[str, int]
    groups: tuple[Group, ...]
    again: int | None
    in_doubt: tuple[int, int] | None
    members: int | None = None


def overview(network: GeneNetwork, threshold: float) -> Overview:
    """Look at a network above a threshold on its scale. Raises QueryError for a threshold outside it."""
    seen = network.with_evidence()
    edges = seen.edges(threshold)
    targets = dict(Counter(map(str, edges[keys.SOURCE])).most_common())
    again = None
    if keys.FREQUENCY in edges:
        again = int((edges[keys.FREQUENCY] >= AGAIN).sum())
    evidence = network.has_evidence
    return Overview(
        threshold=threshold,
        edges=len(edges),
        perturbed=int(evidence.sum() if evidence.any() else len(network)),
        regulators=targets,
        groups=_groups(edges, list(targets)),
        again=again,
        in_doubt=seen.count_open(threshold),
        members=None if seen.ensemble is None else seen.ensemble.members,
    )


def _groups(edges: pd.DataFrame, order: list[str]) -> tuple[Group, ...]:
    """Targets that are no regulators themselves, by the regulators that they share."""
    rank = {gene: place for place, gene in enumerate(order)}
    into: dict[str, dict[str, int]] = {}
    rows = zip(edges[keys.SOURCE], edges[keys.TARGET], edges[keys.SIGN], strict=True)
    for source, target, sign in rows:
        if target not in rank:
            into.setdefault(str(target), {})[str(source)] = int(sign)
    shared: dict[tuple[str, ...], list[str]] = {}
    for gene, sources in into.items():
        shared.setdefault(tuple(sorted(sources, key=rank.__getitem__)), []).append(gene)
    groups = []
    for regulators, genes in shared.items():
        signs = [[into[gene][regulator] for gene in genes] for regulator in regulators]
        counts = tuple((own.count(1), own.count(-1)) for own in signs)
        groups.append(Group(regulators, tuple(genes), counts))
    return tuple(sorted(groups, key=lambda group: (-len(group.genes), group.regulators)))
