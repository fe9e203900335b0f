"""The network that cells are drawn from: its shape, its strengths, and how activity passes along it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from gpovae_core.data.simulate.settings import SimulationSettings


@dataclass(frozen=True)
class Network:
    strength: sparse.csr_matrix  # B (genes, genes)
    perturbed: np.ndarray  # (perturbations,) sorted positions
    levels: list[
        tuple[np.ndarray, np.ndarray, sparse.csr_matrix]
    ]  # per level: targets, their sources, B[sources, targets]


Edges = set[tuple[int, int]]


def draw_network(settings: SimulationSettings, rng: np.random.Generator) -> Network:
    n = settings.genes
    perturbed = np.sort(rng.choice(n, settings.perturbations, replace=False))
    # Edges run along this order, so there is no cycle; perturbed genes tend to come first, as regulators do
    # in a screen.
    rank = rng.random(n) + 0.5
    rank[perturbed] -= 0.5
    order = np.argsort(rank)
    wanted = max(1, round(settings.edges_per_gene * n))
    pairs = np.array(
        sorted(_BUILDERS[settings.network](order, perturbed, wanted, rng)), dtype=np.int64
    ).reshape(-1, 2)
    size = rng.uniform(settings.strength_min, settings.strength_max, len(pairs))
    sign = np.where(rng.random(len(pairs)) < settings.repression_share, -1.0, 1.0)
    strength = sparse.csr_matrix((size * sign, (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return Network(strength, perturbed, _levels(strength, order))


def _hubs(order: np.ndarray, perturbed: np.ndarray, wanted: int, rng: np.random.Generator) -> Edges:
    """A fifth of the perturbed genes regulate many later genes each, the busiest far more than the last
    (1/rank).
    """
    earliest = order[np.isin(order, perturbed)].tolist()
    hubs = earliest[: max(1, len(earliest) // 5)]
    place = np.argsort(order)
    portion = 1.0 / np.arange(1, len(hubs) + 1)
    edges: Edges = set()
    for hub, targets in zip(
        rng.permutation(hubs), np.ceil(wanted * portion / portion.sum()).astype(int), strict=True
    ):
        later = order[place[hub] + 1 :]
        chosen = rng.choice(later, min(targets, len(later)), replace=False)
        edges.update((int(hub), int(target)) for target in chosen)
    return edges


def _motifs(sizes: tuple[int, int], links: Callable[[list[int]], Edges]) -> Callable[..., Edges]:
    """Builder of disjoint groups of `sizes` genes (least, most), each with at least one perturbed gene,
    joined by `links`.
    """

    def build(order: np.ndarray, perturbed: np.ndarray, wanted: int, rng: np.random.Generator) -> Edges:
        place = np.argsort(order)
        free = rng.permutation(len(order)).tolist()
        edges: Edges = set()
        for head in rng.permutation(perturbed).tolist():
            size = int(rng.integers(sizes[0], sizes[1] + 1))
            rest = [gene for gene in free if gene != head][: size - 1]
            if len(edges) >= wanted or head not in free or len(rest) < sizes[0] - 1:
                continue
            group = sorted([head, *rest], key=lambda gene: place[gene])
            free = [gene for gene in free if gene not in group]
            edges |= links(group)
        return edges or links(sorted(free[: sizes[0]], key=lambda gene: place[gene]))

    return build


def _chain(group: list[int]) -> Edges:
    return set(itertools.pairwise(group))


def _fork(group: list[int]) -> Edges:
    return {(group[0], target) for target in group[1:]}


def _random(order: np.ndarray, perturbed: np.ndarray, wanted: int, rng: np.random.Generator) -> Edges:
    """Distinct pairs, each as likely as the other, pointing along the order."""
    n = len(order)
    wanted = min(wanted, n * (n - 1) // 2)
    edges: Edges = set()
    while len(edges) < wanted:
        low, high = np.sort(rng.integers(0, n, (2, wanted)), axis=0)
        fresh = [(int(order[i]), int(order[j])) for i, j in zip(low, high, strict=True) if i != j]
        for edge in fresh:
            if len(edges) < wanted:
                edges.add(edge)
    return edges


_chains = _motifs((3, 6), _chain)
_forks = _motifs((3, 4), _fork)
_feedforward = _motifs((3, 3), lambda group: _chain(group) | _fork(group))


def _mixed(order: np.ndarray, perturbed: np.ndarray, wanted: int, rng: np.random.Generator) -> Edges:
    return _hubs(order, perturbed, wanted // 2, rng) | _chains(order, perturbed, wanted - wanted // 2, rng)


_BUILDERS: dict[str, Callable[..., Edges]] = {
    "mixed": _mixed,
    "hubs": _hubs,
    "chains": _chains,
    "random": _random,
    "forks": _forks,
    "feedforward": _feedforward,
}


def _levels(
    strength: sparse.csr_matrix, order: np.ndarray
) -> list[tuple[np.ndarray, np.ndarray, sparse.csr_matrix]]:
    """Targets grouped by their longest way from a gene without regulators: one group needs only the groups
    before it.
    """
    incoming = strength.tocsc()
    depth = np.zeros(len(order), dtype=int)
    for gene in order:
        sources = incoming.indices[incoming.indptr[gene] : incoming.indptr[gene + 1]]
        depth[gene] = depth[sources].max() + 1 if len(sources) else 0
    levels = []
    for level in range(1, int(depth.max()) + 1):
        targets = np.flatnonzero(depth == level)
        sources = np.unique(incoming[:, targets].tocoo().row)
        levels.append((targets, sources, strength[sources][:, targets].tocsr()))
    return levels


def propagate(network: Network, drive: np.ndarray, saturation: float) -> np.ndarray:
    """Activity h (cells, genes) from basal state plus knock-down, in place: h_j = drive_j + sum_i B_ij s
    tanh(h_i / s).
    """
    for targets, sources, strength in network.levels:
        felt = saturation * np.tanh(drive[:, sources] / saturation)
        drive[:, targets] += felt @ strength
    return drive
