"""A network at one look: who regulates most, which groups of targets share regulators, how sure it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from gpovae_core import keys
from gpovae_core.network.grn import GeneNetwork

AGAIN = 0.5
"""Share of an ensemble's members from which on an edge is said to come back."""


@dataclass(frozen=True)
class Edge:
    """sure: how certain it is, from 0 to 1: how often it comes back in an ensemble, else its weight as a part
    of the largest there can be.
    """

    source: str
    target: str
    sign: int
    sure: float


@dataclass(frozen=True)
class Group:
    """Genes that have the same regulators, at least one, and the edges between both."""

    regulators: tuple[str, ...]
    genes: tuple[str, ...]
    edges: tuple[Edge, ...]


@dataclass(frozen=True)
class Overview:
    """A network above a threshold, edges without evidence left out.

    regulators: gene -> number of targets, the most first; perturbed: genes that could have targets; groups:
    of genes that regulate none, the largest first; inner: edges between regulators; again: edges that at
    least AGAIN of an ensemble has, members: networks of it, None without one; in_doubt: of how many edges it
    can be told whether they have open detours, and how many have some; None: not known.
    """

    threshold: float
    edges: int
    perturbed: int
    regulators: dict[str, int]
    groups: tuple[Group, ...]
    again: int | None
    in_doubt: tuple[int, int] | None
    members: int | None = None
    inner: tuple[Edge, ...] = ()


def overview(network: GeneNetwork, threshold: float) -> Overview:
    """Look at a network above a threshold on its scale. Raises QueryError for a threshold outside it."""
    seen = network.with_evidence()
    edges = seen.edges(threshold)
    known = _edges(edges, network.top)
    targets = dict(Counter(edge.source for edge in known).most_common())
    again = None
    if keys.FREQUENCY in edges:
        again = int((edges[keys.FREQUENCY] >= AGAIN).sum())
    evidence = network.has_evidence
    return Overview(
        threshold=threshold,
        edges=len(edges),
        perturbed=int(evidence.sum() if evidence.any() else len(network)),
        regulators=targets,
        groups=_groups(known, list(targets)),
        inner=tuple(edge for edge in known if edge.target in targets),
        again=again,
        in_doubt=seen.count_open(threshold),
        members=None if seen.ensemble is None else seen.ensemble.members,
    )


def _edges(table: pd.DataFrame, top: float) -> list[Edge]:
    """The edges of a table, the strongest first. top: the largest weight there can be."""
    sure = (table[keys.WEIGHT].astype(float) / (top or 1.0)).clip(upper=1.0)
    if keys.FREQUENCY in table:
        sure = table[keys.FREQUENCY].astype(float).fillna(sure)
    columns = (table[keys.SOURCE], table[keys.TARGET], table[keys.SIGN], sure)
    return [Edge(str(a), str(b), int(sign), float(part)) for a, b, sign, part in zip(*columns, strict=True)]


def _groups(edges: Sequence[Edge], order: list[str]) -> tuple[Group, ...]:
    """Targets that are no regulators themselves, by the regulators that they share."""
    rank = {gene: place for place, gene in enumerate(order)}
    into: dict[str, list[Edge]] = {}
    for edge in edges:
        if edge.target not in rank:
            into.setdefault(edge.target, []).append(edge)
    shared: dict[tuple[str, ...], list[str]] = {}
    for gene, own in into.items():
        sources = (edge.source for edge in own)
        shared.setdefault(tuple(sorted(sources, key=rank.__getitem__)), []).append(gene)
    groups = [
        Group(regulators, tuple(genes), tuple(edge for gene in genes for edge in into[gene]))
        for regulators, genes in shared.items()
    ]
    return tuple(sorted(groups, key=lambda group: (-len(group.genes), group.regulators)))
