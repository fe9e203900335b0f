"""A gene that is knocked down in some cells and activated in others: two perturbations, one row of W."""

from __future__ import annotations

import numpy as np
import pytest

from gpovae_core import keys
from gpovae_core.config import Settings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.simulate import Simulation, SimulationSettings, simulate
from gpovae_core.effects.changes import fold_table
from gpovae_core.effects.contrasts import contrasts, null_contrasts
from gpovae_core.methods.network_fit import fit_network

DATA = {"min_cells": 10, "pairing": "exact", "detect_doublets": False}
SETTINGS = Settings.model_validate({"data": DATA, "network": {"null_draws": 2}})


@pytest.fixture(scope="module")
def screen() -> Simulation:
    return simulate(SimulationSettings(genes=25, perturbations=8, cells=900, both_share=1.0, seed=2))


@pytest.fixture(scope="module")
def prepared(screen: Simulation) -> PreparedCells:
    return prepare(screen.adata, SETTINGS.data)


def test_effects_have_a_row_for_either_and_opposite_signs(prepared: PreparedCells) -> None:
    genes = prepared.panel.data.perturbed
    assert set(prepared.perturbations) == {*genes, *(gene + keys.ACTIVATED for gene in genes)}
    found = fold_table(prepared, keys.SPLITS)
    for gene in genes:
        assert found.effect.loc[gene + keys.ACTIVATED, gene] > 1
        assert found.effect.loc[gene, gene] < -1
    assert len(contrasts(prepared).sources) == len(genes)
    both = contrasts(prepared, both=True)
    assert both.names(prepared.panel) == [*(gene + keys.ACTIVATED for gene in genes), *genes]
    assert (both.own[0][both.second] > 0).all()
    assert (both.own[0][~both.second] < 0).all()
    (null,) = null_contrasts(prepared, both, 1, 0)
    assert (null.cells == both.cells).all()


def test_the_model_takes_one_for_the_mirror_image_of_the_other(prepared: PreparedCells) -> None:
    gene = prepared.panel.data.perturbed[0]
    np.testing.assert_array_equal(prepared.panel.dosage(gene + keys.ACTIVATED), -prepared.panel.dosage(gene))
    assert prepared.panel.canonical(f"{gene.lower()} (Activated)") == gene + keys.ACTIVATED


def test_signs_are_right_and_the_network_is_found(screen: Simulation, prepared: PreparedCells) -> None:
    fit, index = fit_network(prepared, SETTINGS), prepared.panel.index
    edges = screen.edges[screen.edges["source"].isin(prepared.panel.data.perturbed)]
    rows, columns = ([index[gene] for gene in edges[end]] for end in ("source", "target"))
    found = fit.log_odds[rows, columns] > 0
    assert found.mean() > 0.6
    assert (np.sign(fit.strength[rows, columns]) == edges["sign"])[found].mean() >= 0.95
    assert (fit.own_change[: len(prepared.panel.data.perturbed)] < 0).all()


def test_a_gene_is_held_out_in_both_directions(screen: Simulation) -> None:
    gene = str(screen.edges["source"].iloc[0])
    data = SETTINGS.data.model_copy(update={"unseen": (gene,)})
    if gene in screen.adata.var_names[screen.adata.var["perturbed"]]:
        assert set(prepare(screen.adata, data).unseen) == {gene, gene + keys.ACTIVATED}
