"""The test of changed genes: against every way to divide the cells, against scipy, and where there is
nothing.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy import sparse, stats

from benchmarks.null_tests import SCREENS, control_expression, null_rates
from gpovae_core import keys
from gpovae_core.effects import rank_test
from gpovae_core.effects.pairs import pair_statistics
from tests.conftest import shared_folder


def judged(values: np.ndarray, size: int) -> tuple[float, bool]:
    """p and testability with the first `size` cells called perturbed."""
    labels = np.array(["A"] * size + [keys.CONTROL] * (len(values) - size), dtype=object)
    found = pair_statistics(values[:, None], labels, ["A"], ["g"])
    return float(found.p[0, 0]), bool(found.testable[0, 0])


def by_every_division(values: np.ndarray, size: int) -> float:
    """Share of all groups of `size` cells with a rank sum as far from its mean as that of the first."""
    ranks = stats.rankdata(values)
    sums = np.array([ranks[list(group)].sum() for group in combinations(range(len(values)), size)])
    far = np.abs(sums - sums.mean())
    return float((far >= abs(ranks[:size].sum() - sums.mean()) - 1e-9).mean())


@pytest.mark.parametrize("shown", [(5.0,), (5.0, 4.0), (6.0, 5.0, 0.0, 3.0), (0.0, 9.0, 8.0, 7.0)])
def test_few_cells_that_show_a_gene_are_counted_as_they_can_fall(shown):
    """20 cells, some of which show the gene: p is near that of all divisions, where the normal is not."""
    rng = np.random.default_rng(1)
    values = np.zeros(20)
    values[: len(shown)] = shown
    values[15:18] = rng.random(3)
    p, exact = judged(values, 4)[0], by_every_division(values, 4)
    assert p == pytest.approx(exact, rel=0.35)


def test_a_gene_that_two_perturbed_cells_show_is_no_matter_of_a_millionth():
    values = np.zeros(300)
    values[:2] = 3.0, 4.0
    p, enough = judged(values, 9)
    # that the only two cells fall into a group of nine: 9/300 times 8/299
    assert p == pytest.approx(9 / 300 * 8 / 299, rel=0.01)
    assert not enough
    labels = np.array(["A"] * 9 + [keys.CONTROL] * 291)
    assert stats.mannwhitneyu(values[labels == "A"], values[labels != "A"]).pvalue < 1e-10


def test_without_zeros_it_is_the_usual_test():
    rng = np.random.default_rng(0)
    values = np.round(rng.gamma(2.0, size=200), 1) + 1
    values[:30] += 0.4
    assert judged(values, 30)[0] == pytest.approx(stats.mannwhitneyu(values[:30], values[30:]).pvalue)


def test_a_clear_change_stays_clear_and_a_constant_says_nothing():
    values = np.zeros(500)
    values[:9] = np.arange(1.0, 10.0)
    p, enough = judged(values, 9)
    assert enough
    assert p < 1e-12  # nine of 500 cells show the gene, and they are the perturbed ones
    assert judged(np.zeros(50), 9) == (1.0, False)


def test_the_sides_may_change_places():
    rng = np.random.default_rng(3)
    values = rng.poisson(0.3, 60) * rng.random(60)
    labels = np.array(["A"] * 12 + [keys.CONTROL] * 48, dtype=object)
    swapped = np.where(labels == "A", keys.CONTROL, "A").astype(object)
    one, two = (pair_statistics(values[:, None], each, ["A"], ["g"]) for each in (labels, swapped))
    assert one.p[0, 0] == pytest.approx(two.p[0, 0])
    assert one.testable[0, 0] == two.testable[0, 0]


def test_whether_a_gene_is_tested_does_not_depend_on_which_cells_show_it():
    silent = np.array([295.0, 294.0, 100.0, 0.0])
    assert rank_test.testable(np.array(50), 250, silent).tolist() == [False, True, True, True]
    assert rank_test.testable(np.array(250), 50, silent).tolist() == [False, True, True, True]
    # one of 2,000 cells in ten, or hardly ever in a group of five
    assert rank_test.testable(np.array(5), 1995, np.array([1800.0, 1990.0])).tolist() == [True, False]


@pytest.mark.parametrize("size", [5, 10, 20, 50, 100, 300])
def test_it_holds_on_simulated_counts(size):
    """Counts from 0.01 to 10 a cell, overdispersed, library sizes that scatter: nothing differs."""
    rng = np.random.default_rng(size)
    mean = np.geomspace(0.01, 10, 150) * rng.lognormal(0.0, 0.4, (800, 1))
    counts = sparse.csr_matrix(rng.poisson(mean * rng.gamma(2.0, 0.5, mean.shape)).astype(float))
    library = np.asarray(counts.sum(axis=1))
    expression = sparse.csr_matrix(counts.multiply(1e4 / library).log1p())
    ours, normal, _ = null_rates(expression, size, draws=40)
    assert 0.03 < ours["below_0.05"] < 0.07
    assert ours["below_0.001"] < 0.003
    assert ours["nothing_found"] >= 0.85  # of 40 draws; 0.95 is expected
    assert ours["tested"] > 0.7
    if size <= 20:
        assert normal["below_0.001"] > 0.003  # what the test is there for


@pytest.mark.real
@pytest.mark.parametrize("screen", SCREENS)
def test_it_holds_on_relabelled_controls(screen):
    expression = control_expression(shared_folder("data") / f"{screen}.h5ad")
    for size in (5, 20, 100):
        row = null_rates(expression, size, draws=20)[0]
        assert 0.03 <= row["below_0.05"] <= 0.07
        assert row["nothing_found"] >= 0.8  # of 20 draws
