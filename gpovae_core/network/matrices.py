"""A network as matrices with names: one AnnData, genes by genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.network.grn import GeneNetwork

if TYPE_CHECKING:
    from anndata import AnnData

EVIDENCE = "evidence"
"""Column of obs: whether cells in which the gene was perturbed have trained its row."""


def matrices_of(network: GeneNetwork, hops: int) -> AnnData:
    """obs and var: the n genes of the panel, rows sources and columns targets; X: W, (n, n) float64.

    Layers, each (n, n): keys.SIGN; keys.EFFECT and EFFECT_SE (log2 fold change, NaN where not measured), and
    EFFECT_ACTIVATED with its error where genes are activated in other cells;
    INFLUENCE, T_K over `hops` hops; where the run has them keys.STRENGTH (S) with `strength_sd`, and of its
    ensemble FREQUENCY, WEIGHT_MEAN, WEIGHT_SD and SIGN_AGREEMENT. obs has `perturbed`, `measured` and
    EVIDENCE, var has `perturbed` and `measured`.
    """
    from anndata import AnnData

    panel = network.panel
    genes = pd.DataFrame(
        {"perturbed": panel.is_perturbed, "measured": panel.is_measured},
        index=pd.Index(panel.genes, dtype=object),
    )
    stored = network.influence_matrix
    layers: dict[str, np.ndarray | None] = {
        keys.SIGN: network.signs,
        keys.INFLUENCE: network.influence(hops) if stored is None else stored,
        keys.STRENGTH: network.strength,
        "strength_sd": network.strength_sd,
    }
    if network.measured is not None:
        layers |= {keys.EFFECT: network.measured.effect, keys.EFFECT_SE: network.measured.effect_se}
        if (raised := network.measured.activated) is not None:
            layers |= {keys.EFFECT_ACTIVATED: raised.effect, keys.EFFECT_ACTIVATED_SE: raised.effect_se}
    if network.ensemble is not None:
        found = network.ensemble
        layers |= {
            keys.FREQUENCY: found.frequency,
            keys.WEIGHT_MEAN: found.mean,
            keys.WEIGHT_SD: found.sd,
            keys.SIGN_AGREEMENT: found.sign_agreement,
        }
    kept = {name: np.array(matrix) for name, matrix in layers.items() if matrix is not None}
    return AnnData(
        X=np.array(network.weights),
        obs=genes.assign(**{EVIDENCE: network.has_evidence}),
        var=genes,
        layers=kept,
        uns={"name": network.name, "simulated": network.simulated, "hops": hops},
    )
