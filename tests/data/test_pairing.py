from __future__ import annotations

from itertools import permutations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.spatial.distance import cdist

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data import pairing
from gpovae_core.data.pairing import Side, exact_plan, match, pair_controls, sinkhorn_plan, transport_cost
from tests.conftest import shared_folder


def test_the_plan_is_that_of_the_release() -> None:
    known = np.load(shared_folder("fixtures") / "ot_pairing.npz")
    cost = transport_cost(known["perturb_X"], Side.of(known["control_X"]))
    np.testing.assert_allclose(cost, known["cost"], rtol=1e-12)
    np.testing.assert_allclose(sinkhorn_plan(cost), known["gamma"], rtol=1e-7)
    np.testing.assert_array_equal(match(cost), known["argmax"])


def _cost(b: int, c: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return cdist(rng.normal(size=(b, 4)), rng.normal(size=(c, 4)))


@pytest.mark.parametrize("regularisation", [1.0, 0.1, 0.01])
def test_the_entropic_plan_has_uniform_margins_and_the_form_u_k_v(regularisation: float) -> None:
    cost = _cost(5, 8)
    plan = sinkhorn_plan(cost, regularisation)
    tolerance = 1e-6 if regularisation >= 0.1 else 5e-3
    np.testing.assert_allclose(plan.sum(axis=1), 1 / 5, atol=tolerance)
    np.testing.assert_allclose(plan.sum(axis=0), 1 / 8, atol=tolerance)
    if (
        regularisation >= 0.1
    ):  # log plan + cost / regularisation = log u + log v: a sum of a row and a column term
        logs = np.log(plan) + cost / regularisation
        np.testing.assert_allclose(logs - logs[:1] - logs[:, :1] + logs[0, 0], 0.0, atol=1e-7)


def test_a_weak_regularisation_comes_near_the_exact_plan() -> None:
    cost = _cost(6, 6)
    np.testing.assert_allclose(
        (sinkhorn_plan(cost, 0.05) * cost).sum(), (exact_plan(cost) * cost).sum(), rtol=5e-2
    )


def test_the_exact_plan_of_equal_numbers_is_the_cheapest_permutation() -> None:
    cost = _cost(5, 5, seed=2)
    cheapest = min(permutations(range(5)), key=lambda order: sum(cost[i, j] for i, j in enumerate(order)))
    np.testing.assert_array_equal(match(cost, "exact"), cheapest)


def test_the_method_is_a_setting_that_changes_the_match() -> None:
    cost = _cost(12, 40, seed=3) / 100
    assert (match(cost, "exact") != match(cost, "sinkhorn")).any()


def _toy(seed: int = 0, n: int = 240) -> tuple[sparse.csr_matrix, pd.Series, pd.Series]:
    rng = np.random.default_rng(seed)
    ids = [f"c{i:04d}" for i in range(n)]
    labels = pd.Series(
        rng.choice(np.array([keys.CONTROL, keys.CONTROL, "A", "B"], dtype=object), n), index=ids
    )
    splits = pd.Series(
        rng.choice(np.array([keys.TRAIN, keys.VALIDATION, keys.TEST], dtype=object), n), index=ids
    )
    splits[labels == "B"] = keys.UNSEEN
    return sparse.csr_matrix(np.log1p(rng.poisson(2.0, (n, 12)))), labels, splits


@pytest.mark.parametrize("method", ["sinkhorn", "exact"])
def test_every_perturbed_cell_gets_a_control_of_its_split(method: str) -> None:
    expression, labels, splits = _toy()
    matched = pair_controls(expression, labels, splits, DataSettings(pairing=method))
    assert (matched[labels == keys.CONTROL] == "").all()
    for cell, control in matched[labels != keys.CONTROL].items():
        assert labels[control] == keys.CONTROL
        assert splits[control] == (keys.TEST if splits[cell] == keys.UNSEEN else splits[cell])


def test_one_group_by_hand() -> None:
    """Matches stand at the row of their cell, not in the order of the groups."""
    expression, labels, splits = _toy()
    matched = pair_controls(expression, labels, splits, DataSettings(pairing="exact"))
    cells = np.flatnonzero((labels == "A") & (splits == keys.TEST))
    controls = np.flatnonzero((labels == keys.CONTROL) & (splits == keys.TEST))
    dense = expression.toarray()
    plan = exact_plan(cdist(dense[cells], dense[controls]) / 100)
    assert matched.iloc[cells].tolist() == labels.index[controls[plan.argmax(axis=1)]].tolist()


@pytest.mark.parametrize("method", ["sinkhorn", "exact"])
def test_the_order_of_the_rows_does_not_matter(method: str) -> None:
    expression, labels, splits = _toy()
    order = np.random.default_rng(5).permutation(len(labels))
    settings = DataSettings(pairing=method)
    first = pair_controls(expression, labels, splits, settings)
    second = pair_controls(expression[order], labels.iloc[order], splits.iloc[order], settings)
    pd.testing.assert_series_equal(second.reindex(first.index), first)


def test_a_twin_among_the_controls_is_found_by_the_exact_plan() -> None:
    rng = np.random.default_rng(0)
    twins = rng.normal(size=(20, 6))
    order = rng.permutation(20)
    expression = sparse.csr_matrix(np.vstack([twins, twins[order]]))
    labels = pd.Series(["A"] * 20 + [keys.CONTROL] * 20, index=[f"c{i:02d}" for i in range(40)], dtype=object)
    matched = pair_controls(
        expression, labels, pd.Series(keys.TRAIN, index=labels.index), DataSettings(pairing="exact")
    )
    assert matched.iloc[:20].tolist() == [f"c{20 + np.flatnonzero(order == i)[0]:02d}" for i in range(20)]


def test_a_large_cost_is_the_same_by_a_matrix_product(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    cells, controls = rng.random((30, 40)), rng.random((50, 40))
    controls[7] = cells[3]
    one_by_one = transport_cost(cells, Side.of(controls), 10.0)
    monkeypatch.setattr(pairing, "LARGEST_BY_PAIR", 0)
    by_product = transport_cost(cells, Side.of(controls), 10.0)
    np.testing.assert_allclose(by_product, one_by_one, rtol=1e-9, atol=1e-7)


def test_of_very_many_controls_some_are_drawn_for_every_group(monkeypatch: pytest.MonkeyPatch) -> None:
    expression, labels, splits = _toy()
    monkeypatch.setattr(pairing, "LARGEST_POOL", 5)
    matched = pair_controls(expression, labels, splits, DataSettings(pairing="exact"))
    for part in (keys.TRAIN, keys.VALIDATION, keys.TEST):
        used = set(matched[(labels == "A") & (splits == part)])
        assert 1 < len(used) <= 5
        assert used <= set(labels.index[(labels == keys.CONTROL) & (splits == part)])
    pd.testing.assert_series_equal(
        matched, pair_controls(expression, labels, splits, DataSettings(pairing="exact"))
    )


@pytest.mark.parametrize("limit", [2000, 60])
def test_large_groups_are_taken_in_parts(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    expression, labels, splits = _toy(n=400)
    monkeypatch.setattr(pairing, "LARGEST_PLAN", limit)
    monkeypatch.setattr(pairing, "_FEWEST_IN_PART", 10)
    shapes: list[tuple[int, int]] = []
    plain = pairing.sinkhorn_plan
    monkeypatch.setattr(
        pairing, "sinkhorn_plan", lambda cost, reg: shapes.append(cost.shape) or plain(cost, reg)
    )
    matched = pair_controls(expression, labels, splits, DataSettings())
    assert max(b * c for b, c in shapes) <= limit
    assert (labels[matched[labels != keys.CONTROL].to_numpy()] == keys.CONTROL).all()


def test_controls_come_from_the_batch_of_the_cell():
    """Genes differ by batch far more than by anything else; without the batch A, of one batch, is matched
    with whatever is near.
    """
    rng = np.random.default_rng(0)
    labels = pd.Series(
        np.repeat(np.array([keys.CONTROL, "A", "B"], dtype=object), [60, 40, 40]),
        index=[f"c{i:03d}" for i in range(140)],
    )
    splits = pd.Series(keys.TRAIN, index=labels.index, dtype=object)
    batch = np.where(np.arange(140) < 60, np.arange(140) % 2, 0)
    batch[100:] = 2  # B stands in a batch without controls
    expression = sparse.csr_matrix(np.abs(rng.normal(3, 1, (140, 10))))
    matched = pair_controls(expression, labels, splits, DataSettings(), stratum=batch)
    of = dict(zip(labels.index, batch, strict=True))
    assert {of[control] for control in matched[labels == "A"]} == {0}
    assert {of[control] for control in matched[labels == "B"]} == {0, 1}
    one = pair_controls(expression, labels, splits, DataSettings(), stratum=np.zeros(140, dtype=int))
    pd.testing.assert_series_equal(one, pair_controls(expression, labels, splits, DataSettings()))
