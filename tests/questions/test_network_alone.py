"""What the network alone says of a gene that was never perturbed: the parts, their weights, and what they
must not see.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import nnls

from gpovae_core.config import DataSettings, make_settings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.schema import Panel, PanelData, PreparedCells
from gpovae_core.data.simulate import SimulationSettings, simulate
from gpovae_core.effects.contrasts import Contrasts
from gpovae_core.effects.shrinkage import SLAB
from gpovae_core.errors import QueryError
from gpovae_core.questions.network_alone import (
    PARTS,
    Screen,
    _non_negative,
    fit_weights,
    predict_unseen,
    scaled_by_gain,
)
from tests.toy import toy_cells

SETTINGS = make_settings("evidence")
GENES = ("A", "B", "C", "D", "U", "X", "Y")


def screen(effect: dict[tuple[str, str], float], error: float = 0.05) -> Screen:
    """A screen of the perturbed genes A to D over GENES, with log fold changes as given and 0 elsewhere;
    every knock-down is by -1.5.
    """
    observed = np.zeros((4, len(GENES)))
    for (source, target), value in effect.items():
        observed[GENES.index(source), GENES.index(target)] = value
    observed[np.arange(4), np.arange(4)] = -1.5
    believed = np.where(np.eye(4, len(GENES)) > 0, 0.0, observed)
    effects = np.where(np.eye(4, len(GENES)) > 0, np.nan, observed)
    return Screen(
        panel=Panel(PanelData(perturbed=GENES[:4], extended=GENES[4:], measured=GENES)),
        genes=pd.Index(GENES),
        columns=np.arange(len(GENES)),
        observed=Contrasts(
            np.arange(4),
            observed,
            np.full(observed.shape, error),
            np.zeros(4),
            np.full(4, 80),
            300,
            np.full(len(GENES), 0.1),
        ),
        believed=believed,
        probability=(believed != 0).astype(float),
        own=np.full(4, -1.5),
        null_share=np.full(4, 0.9),
        slab=np.full(len(SLAB), 1 / len(SLAB)),
        effects=effects,
        sensitivity=np.ones(len(GENES)),
    )


def part(made: Screen, gene: str, name: str) -> pd.Series:
    return pd.Series(made.parts(made.panel.position(gene))[PARTS.index(name)], index=GENES)


def test_perturbations_that_move_both_in_proportion_are_believed() -> None:
    """A and B move U by different amounts and X by half of that each: U acts on X with a slope of 0.5."""
    made = screen({("A", "U"): -1.2, ("A", "X"): -0.6, ("B", "U"): 0.8, ("B", "X"): 0.4})
    found = part(made, "U", "mediated")
    assert found["X"] == pytest.approx(0.5 * -1.5, rel=0.15)
    assert abs(found["Y"]) < 0.05
    assert found["U"] == 0.0


def test_one_that_moves_the_gene_but_not_the_target_speaks_against_it() -> None:
    agree = screen({("A", "U"): -1.2, ("A", "X"): -0.6})
    against = screen({("A", "U"): -1.2, ("A", "X"): -0.6, ("B", "U"): -1.2})
    assert abs(part(against, "U", "mediated")["X"]) < 0.3 * abs(part(agree, "U", "mediated")["X"])


def test_a_gene_that_nothing_moves_gets_the_mean() -> None:
    made = screen({("A", "X"): -0.6, ("B", "X"): -0.2})
    parts = made.parts(made.panel.position("U"))
    np.testing.assert_array_equal(parts[1:], 0.0)
    assert parts[0, GENES.index("X")] == pytest.approx(-0.2)
    assert part(made, "U", "mean")["A"] == 0.0  # the fall of A when A itself is perturbed is left out


def test_onward_uses_what_perturbing_a_later_gene_was_seen_to_change() -> None:
    made = screen({("A", "U"): -1.2, ("A", "C"): -0.6, ("B", "U"): 0.8, ("B", "C"): 0.4, ("C", "Y"): -0.9})
    found = part(made, "U", "onward")
    assert found["Y"] == pytest.approx(0.5 * -0.9, rel=0.15)


def test_a_perturbed_gene_is_predicted_without_its_own_row() -> None:
    made = screen({("A", "U"): -1.2, ("A", "X"): -0.6, ("B", "U"): 0.8, ("B", "X"): 0.4, ("A", "B"): -0.7})
    other = screen({("A", "U"): -1.2, ("A", "X"): -0.6, ("B", "U"): 2.8, ("B", "X"): -2.4, ("A", "B"): -0.7})
    np.testing.assert_array_equal(made.parts(GENES.index("B")), other.parts(GENES.index("B")))


def test_moved_by_names_the_perturbations_and_how_far() -> None:
    made = screen({("A", "U"): -1.2, ("B", "U"): 0.8})
    table = made.moved_by("u")
    assert table["perturbation"].tolist() == ["A", "B"]
    np.testing.assert_allclose(table["change"], np.array([-1.2, 0.8]) / np.log(2))


@pytest.mark.parametrize("seed", range(5))
def test_weights_are_those_of_non_negative_least_squares(seed: int) -> None:
    rng = np.random.default_rng(seed)
    made, truth = rng.normal(size=(60, 3)), rng.normal(size=60)
    np.testing.assert_allclose(_non_negative(made.T @ made, made.T @ truth), nnls(made, truth)[0], atol=1e-10)


def test_parts_that_do_not_hold_up_are_shrunk_away() -> None:
    """What helps with one perturbation and harms with the others does not count; what helps with all does."""
    rng = np.random.default_rng(0)
    made = rng.normal(size=(12, 3, 40))
    products = made @ made.transpose(0, 2, 1)
    noise = np.einsum("rkg,rg->rk", made, rng.normal(size=(12, 40)))
    weights, kept = scaled_by_gain(products, noise)
    assert kept < 0.5
    assert np.abs(weights).max() < 0.1
    weights, kept = scaled_by_gain(products, np.einsum("rkg,rg->rk", made, 0.7 * made[:, 1]))
    assert kept > 0.95
    np.testing.assert_allclose(weights, [0, 0.7, 0], atol=0.05)


@cache
def chains() -> PreparedCells:
    simulation = simulate(
        SimulationSettings(genes=50, perturbations=40, cells=6000, network="chains", strength_min=0.7, seed=3)
    )
    return prepare(simulation.adata, DataSettings(pairing="exact", detect_doublets=False))


def test_weights_and_prediction_on_cells() -> None:
    made = Screen.of(chains(), SETTINGS)
    shares: list[float] = []
    weights = fit_weights(made, progress=lambda _, share: shares.append(share))
    assert shares[-1] == 1.0
    assert weights.left_out == len(made.own) == 40
    assert weights.weights[0] == 1.0
    assert (weights.weights >= 0).all()
    assert weights.kept > 0.5  # chains with every second gene perturbed: there are paths to learn from
    assert np.isfinite(weights.deviation).all()
    gene = made.names[0]
    effect = predict_unseen(made, weights, gene.lower())
    assert np.isnan(effect[made.genes.get_loc(gene)])
    assert np.isfinite(np.delete(effect, made.genes.get_loc(gene))).all()


def test_too_few_perturbations_and_unknown_genes_are_refused() -> None:
    made = Screen.of(toy_cells(), SETTINGS)
    with pytest.raises(QueryError, match="not in the panel"):
        predict_unseen(made, fit_weights(made), "NOBODY")
    cells = toy_cells()
    few = cells.cells[np.isin(cells.labels.astype(str), ["control", *cells.perturbations[:2]])].copy()
    with pytest.raises(QueryError, match="at least three others"):
        Screen.of(PreparedCells(few, cells.panel, cells.report), SETTINGS)
