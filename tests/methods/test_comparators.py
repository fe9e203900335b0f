"""Rankings of other people's methods: each formula against an independent one, and a linear network that is
known.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
from scipy import sparse
from sklearn.linear_model import Lasso
from sklearn.metrics import average_precision_score

from gpovae_core import keys
from gpovae_core.errors import QueryError
from gpovae_core.methods import dotears, moments, sort_regress, sparse_inverse
from gpovae_core.methods.method import Inputs
from gpovae_core.methods.moments import Groups
from tests.methods.test_kernels import linear_network

GENES = [f"G{i}" for i in range(8)]
PERTURBED = GENES[:5]


def linear_cells(cells: int = 400, seed: int = 0, extra: tuple[str, ...] = ()) -> tuple[Any, np.ndarray]:
    """Cells of an acyclic linear network whose noise falls along it, so that the order of variances misleads:
    what a method is given of them, and the direct effects (8, 8). Five genes are perturbed, one by one and as
    in `extra`.
    """
    rng = np.random.default_rng(seed)
    direct = np.zeros((8, 8))
    for source, target, size in (
        (0, 1, 0.8),
        (1, 2, -0.9),
        (0, 3, 0.5),
        (3, 6, 0.9),
        (2, 5, 0.7),
        (4, 7, -0.8),
    ):
        direct[source, target] = size
    noise = np.linspace(1.5, 0.3, 8)
    labels = np.repeat([keys.CONTROL, *PERTURBED, *extra], cells).astype(object)
    values = np.empty((len(labels), 8))
    for gene in range(8):
        values[:, gene] = values[:, :gene] @ direct[:gene, gene] + noise[gene] * rng.normal(size=len(labels))
        hit = np.array([GENES[gene] in str(label).split(keys.PAIR_SEPARATOR) for label in labels])
        values[hit, gene] = -3.0 + 0.5 * noise[gene] * rng.normal(size=int(hit.sum()))
    return given(values - values.min() + 0.1, labels), direct


def given(values: np.ndarray, labels: np.ndarray, genes: list[str] = GENES) -> Inputs:
    """What a method may ask for: cells (rows) of some genes, all of them targets, perturbed ones sources."""
    names = [str(name) for name in np.unique(labels.astype(str)) if keys.PAIR_SEPARATOR not in name]
    made = {
        "expression": sparse.csr_matrix(values),
        "labels": labels,
        "genes": genes,
        "sources": tuple(name for name in names if name != keys.CONTROL),
        "targets": tuple(genes),
    }
    return cast(Inputs, SimpleNamespace(**made))


def precision(score: np.ndarray, direct: np.ndarray) -> float:
    off = ~np.eye(*score.shape, dtype=bool)
    return float(average_precision_score((direct[: len(score)] != 0)[off], score[off]))


def test_covariance_over_blocks_of_cells_is_that_of_numpy(monkeypatch):
    monkeypatch.setattr(moments, "_BLOCK", 7)
    values = np.random.default_rng(0).normal(5.0, 1.0, size=(40, 4))
    mean, found = moments.covariance(sparse.csr_matrix(values))
    np.testing.assert_allclose(mean, values.mean(axis=0))
    np.testing.assert_allclose(found, np.cov(values.T, bias=True), atol=1e-12)
    groups = Groups(sparse.csr_matrix(values), {}, np.arange(40))
    about, unit = np.arange(4.0), np.array([1.0, 2.0, 3.0, 4.0])
    scaled = (values - about) / unit
    np.testing.assert_allclose(
        groups.second_moments(np.arange(40), about, unit, np.array([2, 0])),
        scaled[:, [2, 0]].T @ scaled / 40,
    )


# --- sort and regress


def test_t_of_sort_and_regress_is_that_of_ordinary_regressions():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(50, 6)) @ rng.normal(size=(6, 6))
    values[:, 4] = 2.0
    found = sort_regress.regression_on_earlier(np.cov(values.T, bias=True), 50)
    assert np.isnan(found[4]).all()
    assert np.isnan(found[:, 4]).all()
    order = [gene for gene in np.argsort(values.var(axis=0)) if gene != 4]
    for at, target in enumerate(order):
        earlier = order[:at]
        design = np.column_stack([np.ones(50), values[:, earlier]])
        fitted, *_ = np.linalg.lstsq(design, values[:, target], rcond=None)
        left = values[:, target] - design @ fitted
        variance = left @ left / (50 - design.shape[1]) * np.linalg.inv(design.T @ design).diagonal()
        np.testing.assert_allclose(found[earlier, target], (fitted / np.sqrt(variance))[1:], rtol=1e-6)
        assert (found[order[at:], target] == 0).all()


def test_sort_and_regress_finds_a_network_whose_variances_grow_along_it():
    rng = np.random.default_rng(2)
    direct = np.triu(rng.random((8, 8)) < 0.4, k=1) * rng.choice([-1.2, 1.2], size=(8, 8))
    values = np.zeros((3000, 8))
    for gene in range(8):
        values[:, gene] = values @ direct[:, gene] + rng.normal(size=3000)
    found = sort_regress.score(given(values + 50, np.repeat([keys.CONTROL, *GENES[:5]], 500).astype(object)))
    assert precision(found, direct) > 0.95


def test_two_genes_that_are_the_same_in_every_cell_give_numbers():
    values = np.random.default_rng(3).normal(size=(60, 3))
    found = sort_regress.regression_on_earlier(np.cov(np.c_[values, values[:, 1]].T, bias=True), 60)
    assert np.isfinite(found).all()


def test_sort_and_regress_refuses_in_words(monkeypatch):
    inputs, _ = linear_cells(cells=1)
    with pytest.raises(QueryError, match="more training cells than measured panel genes"):
        sort_regress.score(inputs)
    monkeypatch.setattr(sort_regress, "MOST_GENES", 7)
    with pytest.raises(QueryError, match="beyond 7 measured panel genes, and this panel has 8"):
        sort_regress.score(inputs)


# --- dotears


def test_the_moments_of_dotears_leave_out_the_systems_in_which_a_gene_was_perturbed():
    inputs, _ = linear_cells(cells=30, extra=("G0+G2",))
    groups = Groups.of(inputs.expression, inputs.labels)
    inner = np.arange(5)
    problem = dotears.Problem.of(groups, GENES, inner)
    values = inputs.expression.toarray()
    base = values[inputs.labels == keys.CONTROL].mean(axis=0)
    unit = np.array(
        [
            values[inputs.labels == (GENES[gene] if gene < 5 else keys.CONTROL)][:, gene].std()
            for gene in range(8)
        ]
    )
    scaled = (values - base) / unit
    for gene in range(5):
        systems = [
            scaled[inputs.labels == name]
            for name in np.unique(inputs.labels.astype(str))
            if GENES[gene] not in str(name).split(keys.PAIR_SEPARATOR)
        ]
        assert len(systems) == (5 if gene in (0, 2) else 6)
        expected = sum(system.T @ system / len(system) for system in systems)
        np.testing.assert_allclose(problem.gram[gene], expected[:5, :5], rtol=1e-9)
    everything = sum(
        scaled[inputs.labels == name].T @ scaled[inputs.labels == name] / 30
        for name in np.unique(inputs.labels.astype(str))
    )
    np.testing.assert_allclose(problem.whole, everything[:5, :5], rtol=1e-9)
    np.testing.assert_allclose(problem.cross, everything[:5, 5:], rtol=1e-9)


def test_the_measure_of_cycles_and_its_gradient():
    rng = np.random.default_rng(4)
    w = rng.normal(size=(5, 5)) * ~np.eye(5, dtype=bool)
    found, slope = dotears._cycles(w)
    assert found == pytest.approx(np.trace(np.linalg.matrix_power(np.eye(5) + w * w / 5, 5)) - 5)
    assert dotears._cycles(np.triu(w, k=1))[0] == pytest.approx(0.0, abs=1e-12)
    for row, column in ((0, 1), (3, 2), (4, 0)):
        step = np.zeros((5, 5))
        step[row, column] = 1e-6
        numeric = (dotears._cycles(w + step)[0] - dotears._cycles(w - step)[0]) / 2e-6
        assert slope[row, column] == pytest.approx(numeric, rel=1e-4)


def test_towards_genes_never_perturbed_dotears_is_a_lasso():
    rng = np.random.default_rng(5)
    design, target = rng.normal(size=(60, 4)), rng.normal(size=(60, 2))
    target += design[:, :2] * 2
    whole, cross = design.T @ design / 60, design.T @ target / 60
    nothing = np.zeros((4, 4, 4))
    problem = dotears.Problem(np.arange(4), np.arange(4, 6), nothing, whole, cross)
    found = dotears.towards_others(problem, penalty=0.3)
    for column in range(2):
        lasso = Lasso(alpha=0.3, fit_intercept=False, tol=1e-10).fit(design, target[:, column])
        np.testing.assert_allclose(found[:, column], lasso.coef_, atol=1e-3)


def test_dotears_finds_a_network_that_the_order_of_variances_misses():
    inputs, direct = linear_cells()
    found = dotears.score(inputs)
    assert precision(found, direct) > 0.95
    assert precision(sort_regress.score(inputs), direct) < 0.6
    problem = dotears.Problem.of(Groups.of(inputs.expression, inputs.labels), GENES, np.arange(5))
    weights = dotears.directed(problem)
    assert dotears._cycles(weights)[0] <= dotears.CYCLES_LEFT
    unit = np.r_[0.5 * np.linspace(1.5, 0.3, 8)[:5]]
    np.testing.assert_allclose(weights * unit / unit[:, None], direct[:5, :5], atol=0.12)


def test_a_source_that_was_not_measured_has_no_weight_in_dotears():
    inputs, _ = linear_cells()
    short = cast(Any, inputs)
    fewer = given(short.expression[:, 1:].toarray(), short.labels, GENES[1:])
    found = dotears.score(fewer)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1:]).all()


# --- sparse inverse


def held(seed: int = 0) -> tuple[sparse_inverse.Totals, np.ndarray]:
    """Total effects of a linear network with cycles without noise, and its direct effects per unit."""
    table, direct = linear_network(seed=seed)
    effect = table.to_numpy()
    own = np.diag(effect[:, :8])
    total = sparse_inverse.Totals.of(effect, np.full(effect.shape, 0.01), np.arange(8))
    return total, direct / own[:, None]


def test_without_noise_the_sparse_inverse_is_the_inverse(monkeypatch):
    monkeypatch.setattr(sparse_inverse, "PENALTIES", (1.0, 1e-2))
    monkeypatch.setattr(sparse_inverse, "MOST_STEPS", 5000)
    monkeypatch.setattr(sparse_inverse, "SETTLED", 1e-12)
    total, direct = held()
    *_, found = sparse_inverse.direct_effects(total)
    np.testing.assert_allclose(found, direct, atol=0.01)


def test_an_effect_of_large_error_does_not_make_an_edge():
    total, direct = held()
    wrong = total.size.copy()
    source, target = 1, int(np.flatnonzero(direct[1] == 0)[-1])
    wrong[source, target] += 0.6
    for error, edge in ((0.01, True), (1.0, False)):
        errors = total.error.copy()
        errors[source, target] = error
        *_, found = sparse_inverse.direct_effects(
            sparse_inverse.Totals(wrong, errors, total.inner, total.outer)
        )
        assert (abs(found[source, target]) > 0.3) == edge


def test_accelerated_steps_end_where_the_lasso_does():
    rng = np.random.default_rng(6)
    design, target = rng.normal(size=(80, 6)), rng.normal(size=80)
    target += design[:, 0] - 0.5 * design[:, 3]

    def value(x: np.ndarray) -> tuple[float, np.ndarray]:
        left = target - design @ x
        return 0.5 * float(left @ left), -design.T @ left

    found = sparse_inverse.smallest(value, np.zeros(6), np.full(6, 16.0))
    lasso = Lasso(alpha=16.0 / 80, fit_intercept=False, tol=1e-12).fit(design, target)
    np.testing.assert_allclose(found, lasso.coef_, atol=1e-3)
    assert (found == 0).any()


def test_the_sparse_inverse_finds_the_network_from_cells():
    inputs, direct = linear_cells()
    found = sparse_inverse.score(inputs)
    assert precision(found, direct) > 0.9
    mean = inputs.expression[inputs.labels == "G0"].mean(axis=0).A1
    total = np.abs(mean - inputs.expression[inputs.labels == keys.CONTROL].mean(axis=0).A1)
    assert total[2] > total[3]
    assert found[0, 2] < found[0, 3], "G0 acts on G2 over G1 only, and less but itself on G3"


def test_a_source_that_hardly_changed_itself_is_no_detour_but_keeps_its_effects():
    """G1 is perturbed, its own expression stays: what it does is what the others do not explain."""
    inputs, _ = linear_cells()
    values = inputs.expression.toarray()
    values[inputs.labels == "G1", 1] = values[inputs.labels == keys.CONTROL, 1]
    found = sparse_inverse.score(given(values, inputs.labels))
    assert np.isfinite(found).all()
    row = np.delete(found[1], 1)
    assert row.argmax() == 1, "on G2"
    unmeasured = sparse_inverse.score(
        given(np.delete(values, 1, axis=1), inputs.labels, GENES[:1] + GENES[2:])
    )
    np.testing.assert_allclose(unmeasured[1], row, rtol=0.2, atol=0.05)


@pytest.mark.parametrize("module", [dotears, sparse_inverse])
def test_comparators_refuse_in_words_what_would_take_long(module, monkeypatch):
    inputs, _ = linear_cells(cells=20)
    monkeypatch.setattr(module, "MOST_GENES", 4)
    with pytest.raises(QueryError, match="beyond 4 perturbed and measured genes, and there are 5"):
        module.score(inputs)
    only = given(inputs.expression.toarray(), np.full(len(inputs.labels), "G0", dtype=object))
    with pytest.raises(QueryError, match="two training controls or more, and there are 0"):
        module.score(only)
