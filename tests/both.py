"""A simulated screen whose genes are knocked down in some cells and activated in others, made once."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy.special import expit

from gpovae_core.config import Settings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.simulate import Simulation, SimulationSettings, simulate
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.methods.network_fit import fit_network
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.measured import MeasuredPairs

DATA = {"min_cells": 10, "pairing": "exact", "detect_doublets": False}
SETTINGS = Settings.model_validate({"data": DATA, "network": {"null_draws": 2}})
SCREEN = SimulationSettings(genes=25, perturbations=8, cells=900, guides_per_gene=2, both_share=1.0, seed=2)


@cache
def screen() -> Simulation:
    return simulate(SCREEN)


@cache
def prepared() -> PreparedCells:
    return prepare(screen().adata, SETTINGS.data)


@cache
def fit() -> NetworkFit:
    return fit_network(prepared(), SETTINGS).as_kept()


@cache
def network() -> GeneNetwork:
    found, panel = fit(), prepared().panel
    n = len(panel)
    return GeneNetwork(
        panel,
        expit(found.log_odds),
        np.zeros((n, n), dtype=np.int8),
        np.full((n, n), np.nan),
        strength=found.strength,
        strength_sd=found.strength_sd,
        influence_matrix=found.influence,
        passing=found.passing,
        measured=MeasuredPairs.of(panel, found.arrays(), None),
    )


def strongest() -> tuple[str, str]:
    """The edge with the largest weight between a perturbed gene and one that was measured."""
    edges = network().edges(0.5)
    row = edges.loc[edges["source"].isin(prepared().panel.data.perturbed)].iloc[0]
    return str(row["source"]), str(row["target"])
