"""Which genes changed: gene by gene against scipy and the formula of the fold change."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gpovae_core import keys
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.changes import (
    adjusted,
    changed_genes,
    expression_of,
    fold_changes,
    fold_of_moments,
    gene_tests,
    log2_expression,
    observed_changes,
    weighted,
)
from gpovae_core.effects.contrasts import ShareMoments
from gpovae_core.effects.design import Exchangeable
from tests.effects.test_design import confounded
from tests.toy import toy_cells


def stratified_p(values: np.ndarray, treated: np.ndarray, stratum: np.ndarray) -> float:
    """Two-sided p of rank sums within strata, each over its cells, by their mean and variance without
    replacement.
    """
    far, variance = 0.0, 0.0
    for own in (stratum == one for one in np.unique(stratum)):
        ranks, m, n = stats.rankdata(values[own]), treated[own].sum(), (~treated[own]).sum()
        if m and n:
            far += (ranks[treated[own]].sum() - m * ranks.mean()) / len(ranks)
            variance += m * n / len(ranks) * ranks.var(ddof=1) / len(ranks) ** 2
    return float(2 * stats.norm.sf(abs(far) / np.sqrt(variance)))


def test_every_gene_is_tested_and_measured_by_itself():
    prepared = PreparedCells(toy_cells().cells.copy(), toy_cells().panel, toy_cells().report)
    del prepared.cells.obs[keys.BATCH]
    name = prepared.perturbations[1]
    table = observed_changes(prepared, name, keys.SPLITS)
    usual = np.median(prepared.library_size[prepared.library_size > 0])
    assert table["p"].notna().sum() > 10
    groups = [np.flatnonzero(prepared.labels == label) for label in (name, keys.CONTROL)]
    shares = [prepared.counts[rows].toarray() / prepared.library_size[rows][:, None] for rows in groups]
    pseudo = 0.5 / len(groups[0]) / usual
    fold = np.log2((shares[0].mean(axis=0) + pseudo) / (shares[1].mean(axis=0) + pseudo))
    np.testing.assert_allclose(table["fold"], fold)
    np.testing.assert_allclose(table["fold_high"] - table["fold_low"], 2 * 1.96 * table["fold_se"], rtol=1e-3)
    assert set(table["cells"]) == {len(groups[0])}
    within = np.concatenate([Exchangeable.of(prepared, keys.SPLITS).stratum[rows] for rows in groups])
    for gene in table.index[table["p"].notna()]:
        treated, control = (
            expression_of(prepared, label, gene, keys.SPLITS) for label in (name, keys.CONTROL)
        )
        both = np.concatenate([treated, control])
        if (both > 0).mean() > 0.9:  # where the normal approximation does
            by_hand = stratified_p(both, np.arange(len(both)) < len(treated), within)
            assert np.log10(table.loc[gene, "p"]) == pytest.approx(np.log10(by_hand), rel=0.15, abs=0.05)
        assert table.loc[gene, "control"] == pytest.approx(control.mean())
    tested = table["p"].notna()
    np.testing.assert_allclose(
        table.loc[tested, "adjusted"], stats.false_discovery_control(table.loc[tested, "p"])
    )


def test_the_tests_of_all_perturbations_are_those_of_each():
    prepared = toy_cells()
    whole = gene_tests(prepared)
    for name in prepared.perturbations:
        np.testing.assert_array_equal(whole.loc[name], observed_changes(prepared, name)["p"])
    one = whole.iloc[[0]].to_numpy()
    np.testing.assert_array_equal(adjusted(whole.to_numpy())[0], adjusted(one)[0])  # within a perturbation


def test_only_the_asked_cells_count():
    prepared = toy_cells()
    name, gene = prepared.perturbations[0], prepared.cells.var_names[0]
    everything, held_out = (
        len(expression_of(prepared, name, gene, splits)) for splits in (keys.SPLITS, keys.HELD_OUT)
    )
    assert 0 < held_out < everything == (prepared.labels == name).sum()
    assert (
        observed_changes(prepared, name, keys.SPLITS)["p"].min() < observed_changes(prepared, name)["p"].min()
    )


def test_the_number_of_changed_genes_is_that_of_the_tables():
    prepared = toy_cells()
    counted = changed_genes(prepared, keys.SPLITS, 0.05)
    assert counted.max() > 0
    for name in prepared.perturbations:
        assert counted[name] == (observed_changes(prepared, name, keys.SPLITS)["adjusted"] < 0.05).sum()


def test_a_perturbation_without_cells_is_not_a_number():
    prepared = toy_cells()
    table = observed_changes(prepared, "NOBODY")
    assert table[["fold", "fold_low", "fold_high", "p", "adjusted"]].isna().all().all()
    assert (table["cells"] == 0).all()


def test_one_cell_has_no_interval():
    one = ShareMoments(np.array([[0.1]]), np.array([[0.0]]), np.array([1]))
    many = ShareMoments(np.array([[0.1]]), np.array([[0.01]]), np.array([50]))
    assert np.isnan(fold_of_moments(one, many, 1e4)).all()
    effect, error = fold_of_moments(many, many, 1e4)
    assert effect[0] == 0
    assert error[0] > 0


def test_a_cell_without_counts_is_zero():
    assert log2_expression(np.array([0.0, 3.0]), np.array([0.0, 1e4])).tolist() == [0.0, 2.0]


def test_fold_changes_are_measured_within_batches():
    """No gene responds; C comes from batch 2 alone, controls from both."""
    prepared = confounded(0.5)
    fold, error = fold_changes(prepared, "C", keys.SPLITS)
    inside = np.flatnonzero(prepared.cells.obs[keys.BATCH] == "2")
    alone = PreparedCells(prepared.cells[inside].copy(), prepared.panel, prepared.report)
    del alone.cells.obs[keys.BATCH]
    expected = fold_changes(alone, "C", keys.SPLITS)
    np.testing.assert_allclose(fold, expected[0], atol=1e-3)
    np.testing.assert_allclose(error, expected[1], rtol=0.01)
    assert np.abs(fold / error).max() < 4.5


def test_a_weighted_group_scatters_as_the_weighted_mean():
    groups = ShareMoments(np.array([[1.0], [3.0]]), np.array([[2.0], [4.0]]), np.array([10, 20]))
    found = weighted(groups, np.array([30.0, 10.0]))
    assert found.mean[0, 0] == 0.75 * 1 + 0.25 * 3
    assert found.variance[0, 0] / found.cells[0] == pytest.approx(0.75**2 * 2 / 10 + 0.25**2 * 4 / 20)
