"""The test of changed genes: against every way to divide the cells, against scipy, and where there is
nothing.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

from benchmarks.null_tests import SCREENS, null_rates, screen_of, wells, with_labels
from gpovae_core import keys
from gpovae_core.data.expression import log_expression
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.changes import adjusted, gene_tests
from gpovae_core.effects.design import Design, Exchangeable
from gpovae_core.effects.pairs import PairStatistics, pair_statistics, rank_tests
from gpovae_core.effects.rank_test import LOOKED_AT_BELOW, RankSums
from gpovae_core.evaluation.held_out import held_out_pairs
from tests.conftest import shared_folder
from tests.effects.test_design import confounded, in_wells, with_columns


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


def enough(m: int, n: int, silent: np.ndarray) -> list[bool]:
    u = np.full(len(silent), m * n / 2)
    return RankSums.of(u, m, n, np.zeros(1), silent).testable()[0].tolist()


def test_whether_a_gene_is_tested_does_not_depend_on_which_cells_show_it():
    silent = np.array([295.0, 294.0, 100.0, 0.0])
    assert enough(50, 250, silent) == [False, True, True, True]
    assert enough(250, 50, silent) == [False, True, True, True]
    # one of 2,000 cells in ten, or hardly ever in a group of five
    assert enough(5, 1995, np.array([1800.0, 1990.0])) == [True, False]


# Within strata ----------------------------------------------------------------------------------------------


def in_strata(seed: int, controls: int = 60, treated: int = 9) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Values (cells, 3) that differ between three strata of unlike size, labels and strata."""
    rng = np.random.default_rng(seed)
    labels = np.array(["A"] * treated + [keys.CONTROL] * controls, dtype=object)
    stratum = rng.choice(3, len(labels), p=[0.6, 0.3, 0.1])
    values = np.column_stack(
        [
            rng.poisson(0.3 + stratum),
            np.round(rng.gamma(2.0, size=len(labels)), 1) * (1 + stratum),
            rng.normal(size=len(labels)) + 3 * stratum,
        ]
    ).astype(float)
    return values, labels, stratum


def ranked_within(values: np.ndarray, labels: np.ndarray, stratum: np.ndarray) -> PairStatistics:
    among = Exchangeable(stratum, np.ones(len(labels)))
    return pair_statistics(values, labels, ["A"], list("abc"[: values.shape[1]]), among=among)


@pytest.mark.parametrize("seed", range(5))
def test_u_is_that_of_every_stratum(seed):
    values, labels, stratum = in_strata(seed)
    found = ranked_within(values, labels, stratum)
    for gene in range(3):
        sums = 0.0
        for one in range(3):
            own, base = (values[(stratum == one) & (labels == x), gene] for x in ("A", keys.CONTROL))
            sums += stats.mannwhitneyu(base, own).statistic if len(own) and len(base) else 0.0
        assert found.u[0, gene] == pytest.approx(sums)


@pytest.mark.parametrize("seed", range(4))
def test_p_is_that_of_cells_drawn_within_strata(seed):
    """Against 20,000 draws of as many cells of every stratum."""
    values, labels, stratum = in_strata(seed)
    values[:9, 1] += seed  # from nothing to a clear change
    found = ranked_within(values, labels, stratum)
    rng = np.random.default_rng(seed)
    scores, drawn = np.zeros(values.shape), np.zeros((20_000, len(labels)), dtype=bool)
    for one in np.unique(stratum):
        own = np.flatnonzero(stratum == one)
        held = int((labels[own] == "A").sum())
        if held in (0, len(own)):
            continue
        scores[own] = stats.rankdata(values[own], axis=0) / len(own)
        order = rng.permuted(np.tile(np.arange(len(own)), (len(drawn), 1)), axis=1)[:, :held]
        np.put_along_axis(drawn, own[order], True, axis=1)
    sums = drawn @ scores
    far = np.abs(sums - sums.mean(axis=0))
    observed = np.abs(scores[labels == "A"].sum(axis=0) - sums.mean(axis=0))
    expected = (far >= observed - 1e-9).mean(axis=0)
    np.testing.assert_allclose(found.p[0], expected, atol=0.015, rtol=0.1)


def test_a_batch_that_the_perturbed_cells_come_from_is_no_change():
    rng = np.random.default_rng(0)
    stratum = np.repeat([0, 1], [300, 300])
    labels = np.where((stratum == 1) & (rng.random(600) < 0.3), "A", keys.CONTROL).astype(object)
    values = rng.poisson(np.where(stratum == 1, 4.0, 1.0)[:, None], (600, 3)).astype(float)
    assert (pair_statistics(values, labels, ["A"], list("abc")).p < 1e-10).all()
    assert (ranked_within(values, labels, stratum).p > 0.01).all()
    alone = ranked_within(values, labels, np.where(labels == "A", 2, stratum))
    assert np.isnan(alone.p).all()  # no controls beside them
    assert not alone.testable.any()


def test_large_groups_of_several_strata_are_counted_as_those_worked_out(monkeypatch):
    """The binomial number in the place of the sum, where most, half or hardly any of the cells show it."""
    rng = np.random.default_rng(2)
    labels = np.array(["A"] * 40 + [keys.CONTROL] * 400, dtype=object)
    stratum = rng.integers(0, 8, len(labels))
    values = (rng.random((440, 3)) < [0.04, 0.5, 0.97]) * rng.random((440, 3))
    values[:3, 0], values[:9, 2] = 2.0, 0.0
    exact = ranked_within(values, labels, stratum).p
    monkeypatch.setattr("gpovae_core.effects.rank_test.WORKED_OUT", 0)
    assert (exact < LOOKED_AT_BELOW).any()
    np.testing.assert_allclose(ranked_within(values, labels, stratum).p, exact, rtol=0.05)


# Where nothing changes --------------------------------------------------------------------------------------


def nothing_changes(seed: int, deeper: float = 1.0) -> PreparedCells:
    """Counts from 0.01 to 10 a cell, overdispersed, library sizes that scatter; A has `deeper` times as many
    of all.
    """
    rng = np.random.default_rng(seed)
    labels = np.array(["A"] * 300 + [keys.CONTROL] * 800, dtype=object)
    depth = rng.lognormal(0.0, 0.4, len(labels)) * np.where(labels == "A", deeper, 1.0)
    mean = np.geomspace(0.01, 10, 150) * depth[:, None]
    counts = sparse.csr_matrix(rng.poisson(mean * rng.gamma(2.0, 0.5, mean.shape)).astype(np.float32))
    size = np.asarray(counts.sum(axis=1)).ravel()
    names = [f"c{i}" for i in range(len(labels))]
    obs = pd.DataFrame({keys.PERTURBATION: labels, keys.LIBRARY_SIZE: size}, index=names)
    return with_labels(counts, obs.assign(**{keys.SPLIT: keys.TEST}), [f"g{i}" for i in range(150)])


@pytest.mark.parametrize("size", [5, 20, 100])
def test_it_holds_on_simulated_counts(size):
    ours, normal, _ = null_rates(nothing_changes(size), size, draws=40, others=True)
    assert 0.03 < ours["below_0.05"] < 0.07
    assert ours["below_0.001"] < 0.003
    assert ours["nothing_found"] >= 0.85  # of 40 draws; 0.95 is expected
    assert ours["tested"] > 0.6
    if size <= 20:
        assert normal["below_0.001"] > 0.003  # what the test is there for


def test_cells_of_more_counts_change_nothing():
    """Ranks of shares know how deep a cell is: within classes of depth they do not."""
    prepared = nothing_changes(0, deeper=1.6)
    p = gene_tests(prepared, keys.HELD_OUT)
    apart = rank_tests(log_expression(prepared.counts, prepared.library_size), prepared.labels, ["A"]).p[0]
    assert (apart < 0.05).mean() > 0.2
    assert np.nanmean(p < 0.05) < 0.1
    assert (adjusted(p.to_numpy()) < 0.05).sum() <= 1


def test_wells_that_hold_one_label_are_ranked_and_not_their_cells():
    """Sixty wells that differ gene by gene: no cell of a well says anything that its others do not."""
    prepared = in_wells(0.5)
    found = gene_tests(prepared, (keys.TRAIN,))
    unknowing = with_columns(prepared, batch=np.full(len(prepared.labels), "1", dtype=object))
    blind = gene_tests(unknowing, (keys.TRAIN,))
    assert (adjusted(blind.to_numpy()) < 0.05).sum() > 20
    assert (adjusted(found.to_numpy()) < 0.05).sum() == 0
    assert 0.01 < np.nanmean(found < 0.05) < 0.1
    as_guides = with_columns(unknowing, guide=np.asarray(prepared.cells.obs["batch"], dtype=object))
    four = as_guides.labels == "A"  # with 4 of 8 and 8 guides these are too few to be ranked
    assert Design.of(as_guides).unit is None
    many = with_columns(as_guides, guide=np.array([f"{i // 5}" for i in range(len(four))], dtype=object))
    assert Design.of(many).unit is not None


def test_pages_and_scores_have_one_test():
    """What a page says of a pair is what the evaluation counts."""
    prepared = confounded(0.3)
    obs = prepared.cells.obs.assign(**{keys.SPLIT: keys.TEST})
    held_out = with_columns(prepared, **{keys.SPLIT: obs[keys.SPLIT].to_numpy()})
    pairs, shown = held_out_pairs(held_out), gene_tests(held_out, keys.HELD_OUT)
    expected = shown.loc[list(pairs.sources), list(pairs.targets)].to_numpy()
    np.testing.assert_allclose(np.where(pairs.testable, pairs.p, np.nan), expected)
    assert np.nanmean(expected < 0.05) < 0.1  # C comes from one of two batches


@pytest.mark.real
@pytest.mark.parametrize("name", SCREENS)
def test_it_holds_on_relabelled_controls(name):
    screen = screen_of(shared_folder("data") / f"{name}.h5ad", **SCREENS[name])
    for size, like in ((5, True), (20, False), (100, True)):
        row = null_rates(screen, size, draws=20, like=like)[0]
        assert 0.03 <= row["below_0.05"] <= 0.07
        assert row["nothing_found"] >= 0.8  # of 20 draws


@pytest.mark.real
def test_a_knock_out_whose_wells_are_deeper_is_no_finding():
    """NFATC1 of Datlinger et al. beside all other cells: ranks that know neither depth nor wells find 75."""
    for row in wells(shared_folder("data") / "datlinger2021_jurkat.h5ad"):
        assert row["changed"] <= 5, row
