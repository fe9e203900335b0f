"""Do two perturbations act independently? Stated interactions are found, additive pairs are called additive;
formulas and laws.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
import pytest

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.simulate import Simulation, SimulationSettings, downstream, simulate
from gpovae_core.errors import QueryError
from gpovae_core.questions.interactions import (
    FEWEST_RESPONDING,
    _interaction,
    coefficients,
    fold_changes,
    measured_interaction,
    predicted_interaction,
)


@cache
def screen() -> tuple[Simulation, PreparedCells]:
    """Six pairs of twelve genes, three of them with ten genes that they change beyond what each gene does
    alone.
    """
    simulation = simulate(
        SimulationSettings(
            genes=100,
            perturbations=12,
            pair_share=0.5,
            interacting_share=0.5,
            cells=5000,
            control_share=0.25,
            seed=1,
        )
    )
    return simulation, prepare(simulation.adata, DataSettings(pairing="exact", detect_doublets=False))


def pairs() -> tuple[list[str], list[str]]:
    """Pairs that interact, pairs that do not."""
    simulation, prepared = screen()
    interacting = set(simulation.interactions[keys.PERTURBATION])
    found = [name for name in prepared.perturbations if keys.PAIR_SEPARATOR in name]
    return [name for name in found if name in interacting], [
        name for name in found if name not in interacting
    ]


def test_stated_interactions_are_found_and_additive_pairs_are_additive() -> None:
    simulation, prepared = screen()
    interacting, additive = pairs()
    assert (len(interacting), len(additive)) == (3, 3)
    below = downstream(simulation.edges, 5)
    for name in interacting:
        stated = set(
            simulation.interactions.loc[simulation.interactions[keys.PERTURBATION] == name, keys.TARGET]
        )
        true = stated | set(below.loc[below[keys.SOURCE].isin(stated), keys.TARGET])
        found = measured_interaction(prepared, name, keys.SPLITS).table
        called = set(found.loc[found["non_additive"], "gene"])
        assert len(called & stated) >= 7  # of ten
        # of a panel this small the quality of cells is not judged, and poor cells show in these
        mitochondrial = {gene for gene in called if gene.startswith("MT-")}
        assert len(called - true - mitochondrial) <= 2
    for name in additive:
        found = measured_interaction(prepared, name, keys.SPLITS).table
        assert found["non_additive"].sum() <= 1, name


def test_departures_without_interaction_have_the_stated_error() -> None:
    _, prepared = screen()
    for name in pairs()[1]:
        table = measured_interaction(prepared, name, keys.SPLITS).table
        z = (table["departure"] / table["error"])[~table["perturbed"]]
        assert 0.75 < z.std() < 1.25, name


def test_the_table_adds_up_and_leaves_out_the_perturbed_genes() -> None:
    _, prepared = screen()
    name = pairs()[0][0]
    first, second = name.split(keys.PAIR_SEPARATOR)
    found = measured_interaction(prepared, name)
    table = found.table.set_index("gene")
    np.testing.assert_allclose(table["additive"], table[first] + table[second])
    np.testing.assert_allclose(table["departure"], table["both"] - table["additive"], atol=1e-12)
    assert not table.loc[[first, second], "non_additive"].any()
    assert table.loc[[first, second], "q"].isna().all()
    assert set(found.cells) == {first, second, name}
    good = prepared.where(name, keys.HELD_OUT) & ~prepared.cells.obs[keys.ARTIFACT].to_numpy(dtype=bool)
    assert found.cells[name] == good.sum()


def test_fold_changes_are_those_of_mean_shares_without_the_common_lift() -> None:
    _, prepared = screen()
    name = pairs()[1][0]
    found = fold_changes(prepared, (name,), keys.SPLITS)
    good = ~prepared.cells.obs[keys.ARTIFACT].to_numpy(dtype=bool)

    def share(label: str) -> np.ndarray:
        rows = np.flatnonzero(good & (prepared.labels == label))
        return np.asarray(
            prepared.counts[rows].multiply(1 / prepared.library_size[rows][:, None]).mean(axis=0)
        ).ravel()

    plain = np.log2(share(name) / share(keys.CONTROL))
    common = plain - found.change[0]
    seen = share(keys.CONTROL) > 2e-3  # half a count more or less does not matter there
    np.testing.assert_allclose(common[seen], np.median(common[seen]), atol=0.02)
    rows = np.flatnonzero(good & (prepared.labels == keys.CONTROL))
    values = prepared.counts[rows].multiply(1 / prepared.library_size[rows][:, None]).toarray()
    expected = values.var(axis=0, ddof=1) / len(rows) / values.mean(axis=0) ** 2 / np.log(2) ** 2
    np.testing.assert_allclose(found.control_variance[seen], expected[seen], rtol=0.1)


def test_coefficients_of_a_weighted_sum_are_its_weights_whatever_a_few_genes_do() -> None:
    rng = np.random.default_rng(0)
    single = rng.normal(size=(2, 80))
    double = 0.9 * single[0] + 0.3 * single[1]
    double[:6] += 5.0
    found = coefficients(("A", "B"), single, double)
    assert found is not None
    np.testing.assert_allclose(found.weights, [0.9, 0.3], atol=0.05)
    assert found.magnitude == pytest.approx(np.hypot(*found.weights))
    assert found.dominance == pytest.approx(abs(np.log10(abs(found.weights[0] / found.weights[1]))))
    swapped = coefficients(("B", "A"), single[::-1], double)
    assert swapped is not None
    assert swapped.dominance == pytest.approx(found.dominance, abs=0.05)
    assert swapped.weights == pytest.approx(found.weights[::-1], abs=0.02)


def test_coefficients_need_responding_genes_and_dominance_two_parts() -> None:
    rng = np.random.default_rng(1)
    assert (
        coefficients(
            ("A", "B"), rng.normal(size=(2, FEWEST_RESPONDING - 1)), rng.normal(size=FEWEST_RESPONDING - 1)
        )
        is None
    )
    single = rng.normal(size=(3, 50))
    three = coefficients(("A", "B", "C"), single, single.sum(axis=0))
    assert three is not None
    assert three.dominance is None
    np.testing.assert_allclose(three.weights, 1.0, atol=1e-6)


def test_a_prediction_that_adds_up_has_no_departure() -> None:
    rng = np.random.default_rng(2)
    single = rng.normal(size=(2, 40))
    genes = pd.Index([f"G{i}" for i in range(40)])
    found = predicted_interaction("G0+G1", genes, single, single.sum(axis=0), np.full(40, 0.1))
    assert not found.table["non_additive"].any()
    np.testing.assert_allclose(found.table["departure"], 0, atol=1e-12)
    beyond = single.sum(axis=0)
    beyond[7] += 2.0
    found = predicted_interaction("G0+G1", genes, single, beyond, np.full(40, 0.1))
    assert found.table["gene"][0] == "G7"
    assert found.table.loc[found.table["non_additive"], "gene"].tolist() == ["G7"]


def test_the_share_of_false_calls_is_held() -> None:
    """Departures that are noise of the stated size: hardly any gene is called, over 200 screens of 100
    genes.
    """
    rng = np.random.default_rng(3)
    genes = pd.Index([f"G{i}" for i in range(100)])
    calls = 0
    for _ in range(200):
        zero = np.zeros((2, 100))
        both = rng.normal(0, 0.2, 100)
        calls += int(
            _interaction("X+Y", ("X", "Y"), genes, zero, both, np.full(100, 0.2), zero[0] > 1, {})
            .table["non_additive"]
            .any()
        )
    assert calls / 200 < 0.1


def test_what_was_not_measured_is_refused() -> None:
    _, prepared = screen()
    single = prepared.panel.data.perturbed
    with pytest.raises(QueryError, match="one gene"):
        measured_interaction(prepared, single[0])
    unmeasured = next(
        f"{a}+{b}" for a in single for b in single if a < b and f"{a}+{b}" not in prepared.perturbations
    )
    with pytest.raises(QueryError, match="Not measured"):
        measured_interaction(prepared, unmeasured)
    with pytest.raises(QueryError, match="Fewer than"):
        measured_interaction(prepared, pairs()[0][0], (keys.UNSEEN,))
