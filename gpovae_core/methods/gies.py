"""GIES, as the package of that name computes it: a greedy search over networks, told what was perturbed."""

from __future__ import annotations

import numpy as np

from gpovae_core import keys
from gpovae_core.errors import QueryError
from gpovae_core.methods.extras import missing, module, refuse_beyond
from gpovae_core.methods.method import Inputs, Look, Method
from gpovae_core.methods.moments import Groups, spread_out

PACKAGE = "gies"
MOST_GENES = 40


def score(inputs: Inputs) -> np.ndarray:
    """(s, t) 1 for an edge of the essential graph, 1/2 where its direction is open, else 0 (Hauser and
    Bühlmann, JMLR 2012; Gaussian BIC); NaN where a side was not measured.

    Raises QueryError beyond MOST_GENES measured panel genes.
    """
    genes = inputs.genes
    refuse_beyond(MOST_GENES, len(genes))
    groups = Groups.of(inputs.expression, inputs.labels)
    place = {gene: column for column, gene in enumerate(genes)}
    cells, hit = [inputs.expression[groups.controls].toarray()], [[]]
    for name, rows in groups.rows.items():
        cells.append(inputs.expression[rows].toarray())
        hit.append([place[gene] for gene in keys.genes_of(name) if gene in place])
    try:
        found = module(PACKAGE).fit_bic(cells, hit)[0] != 0
    except (np.linalg.LinAlgError, ValueError) as error:
        raise QueryError(f"its search failed ({error}).") from error
    edge = np.where(found, np.where(found.T, 0.5, 1.0), 0.0)
    return spread_out(edge, genes, genes, (inputs.sources, inputs.targets))


METHOD = Method(
    key="gies",
    order=78,
    title="GIES",
    sentence=(
        "GIES ranks pairs by the essential graph that a greedy search over acyclic networks ends at, told "
        "which genes were perturbed in which cells (Hauser and Bühlmann 2012, package gies)."
    ),
    role="baseline",
    needs=frozenset({"cells"}),
    score=score,
    look=Look("green", "dashdot", "star-square", 1.6),
    unavailable=lambda: missing(PACKAGE),
)
