"""Which genes changed: against scipy, gene by gene."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gpovae_core import keys
from gpovae_core.effects.changes import changed_genes, expression_of, log2_expression, observed_changes, welch
from tests.toy import toy_cells


def test_every_gene_is_tested_as_scipy_does():
    prepared = toy_cells()
    name = prepared.perturbations[1]
    table = observed_changes(prepared, name)
    tested = table["p"].dropna().index
    assert len(tested) > 10
    for gene in tested:
        treated, control = (expression_of(prepared, label, gene) for label in (name, keys.CONTROL))
        by_scipy = stats.ttest_ind(treated, control, equal_var=False)
        interval = by_scipy.confidence_interval(0.95)
        row = table.loc[gene]
        assert row["effect"] == pytest.approx(treated.mean() - control.mean())
        assert row["p"] == pytest.approx(by_scipy.pvalue, rel=1e-6)
        assert (row["low"], row["high"]) == pytest.approx((interval.low, interval.high), rel=1e-6)
        assert row["control"] == pytest.approx(control.mean())
    np.testing.assert_allclose(
        table.loc[tested, "adjusted"], stats.false_discovery_control(table.loc[tested, "p"])
    )


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


def test_what_cannot_be_tested_is_not_a_number():
    one = (np.array([1.0, 0.0]), np.array([np.nan, np.nan]), 1)
    many = (np.array([0.0, 0.0]), np.array([0.0, 1.0]), 50)
    assert welch(one, many)[["p", "adjusted", "low", "high"]].isna().all().all()
    constant = welch((np.array([0.0, 2.0]), np.array([0.0, 0.5]), 9), many)
    assert np.isnan(constant["p"][0])
    assert np.isfinite(constant["p"][1])


def test_a_cell_without_counts_is_zero():
    assert log2_expression(np.array([0.0, 3.0]), np.array([0.0, 1e4])).tolist() == [0.0, 2.0]
