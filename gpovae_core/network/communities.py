"""Groups of genes that are joined more among themselves than with the rest: Louvain communities of a
thresholded network.

Blondel et al., J. Stat. Mech. (2008) P10008, as networkx has it, on the edges without their direction,
weighted by W, seeded.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.network.grn import GeneNetwork

MOST_EDGES = 5000
"""Strongest edges that are grouped at most: as many as are drawn."""


def communities(network: GeneNetwork, threshold: float, top: int = MOST_EDGES, seed: int = 0) -> np.ndarray:
    """(n,) number of the community of every gene, 0 = the largest; -1 for genes without an edge among the
    `top` strongest.
    """
    import networkx as nx

    edges = network.edges(threshold, top=top)
    graph = nx.Graph()
    graph.add_nodes_from(sorted({*edges[keys.SOURCE], *edges[keys.TARGET]}))
    for source, target, weight in zip(
        edges[keys.SOURCE], edges[keys.TARGET], edges[keys.WEIGHT], strict=True
    ):
        present = graph.get_edge_data(source, target, default={"weight": 0.0})["weight"]
        graph.add_edge(source, target, weight=present + float(weight))
    found = np.full(len(network), -1)
    if graph.number_of_edges() == 0:
        return found
    groups = nx.community.louvain_communities(graph, weight="weight", seed=seed)
    for number, group in enumerate(sorted(groups, key=lambda genes: (-len(genes), min(genes)))):
        found[[network.panel.index[gene] for gene in group]] = number
    return found


def community_table(
    network: GeneNetwork, members: np.ndarray, threshold: float, named: int = 5
) -> pd.DataFrame:
    """One row per community: community (from 1), genes, perturbed, inside and outgoing edges above the
    threshold, hubs.

    hubs: the `named` genes with most edges inside it, joined by commas; members: (n,) as `communities` gives
    it.
    """
    above = network.weights > threshold
    np.fill_diagonal(above, False)
    rows = []
    for number in range(members.max(initial=-1) + 1):
        places = np.flatnonzero(members == number)
        within = above[np.ix_(places, places)]
        degree = within.sum(axis=0) + within.sum(axis=1)
        hubs = places[np.lexsort((places, -degree))][:named]
        rows.append(
            {
                "community": number + 1,
                "genes": len(places),
                "perturbed": int(network.panel.is_perturbed[places].sum()),
                "inside": int(within.sum()),
                "leaving": int(above[places].sum() - within.sum()),
                "hubs": ", ".join(network.panel.genes[i] for i in hubs),
            }
        )
    return pd.DataFrame(
        rows, columns=pd.Index(["community", "genes", "perturbed", "inside", "leaving", "hubs"])
    )
