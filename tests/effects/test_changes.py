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
    fold_table,
    gene_tests,
    log2_expression,
    observed_changes,
)
from gpovae_core.effects.contrasts import contrasts
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
    lift = fold - table["fold"]  # one number for all genes
    np.testing.assert_allclose(lift, lift.iloc[0], atol=1e-3)
    assert np.median(table["fold"]) == pytest.approx(0.0, abs=0.2)
    assert (table["shrunk"].abs() <= table["fold"].abs() + 1e-9).all()
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


def test_one_cell_has_no_effect():
    prepared = toy_cells()
    name = prepared.perturbations[0]
    labels = prepared.labels.copy()
    own = np.flatnonzero(labels == name)
    labels[own[1:]] = "OTHERS"
    cells = prepared.cells.copy()
    cells.obs[keys.PERTURBATION] = labels
    alone = PreparedCells(cells, prepared.panel, prepared.report)
    found = fold_table(alone, keys.SPLITS, (name,))
    assert found.effect.isna().all().all()
    assert found.error.isna().all().all()
    assert found.cells[name] == 0


def test_the_effects_of_all_perturbations_are_those_of_each():
    prepared = toy_cells()
    whole = fold_table(prepared, keys.SPLITS)
    for name in prepared.perturbations:
        one = fold_table(prepared, keys.SPLITS, (name,))
        for part in ("effect", "error", "shrunk"):
            np.testing.assert_allclose(
                getattr(whole, part).loc[name], getattr(one, part).loc[name], atol=1e-6
            )


def test_training_effects_are_those_of_the_network_stage():
    """The one table that every export has, over genes of the panel: the same number on every page."""
    prepared = toy_cells()
    stage, shown = contrasts(prepared), fold_table(passing(prepared), (keys.TRAIN,))
    genes = [gene for gene in prepared.panel.genes if gene in shown.effect.columns]
    assert len(genes) > 15
    for row, source in enumerate(stage.sources):
        name, columns = prepared.panel.genes[source], [prepared.panel.index[gene] for gene in genes]
        apart = shown.effect.loc[name, genes] - stage.effect[row, columns] / np.log(2)
        assert np.ptp(apart) < 1e-3  # but for a lift over a gene or two more
        np.testing.assert_allclose(
            shown.error.loc[name, genes], stage.error[row, columns] / np.log(2), rtol=0.05
        )


def passing(prepared: PreparedCells) -> PreparedCells:
    kept = prepared.cells[prepared.passing].copy()
    return PreparedCells(kept, prepared.panel, prepared.report)


def test_a_cell_without_counts_is_zero():
    assert log2_expression(np.array([0.0, 3.0]), np.array([0.0, 1e4])).tolist() == [0.0, 2.0]


def test_fold_changes_are_measured_within_batches():
    """No gene responds; C comes from batch 2 alone, controls from both."""
    prepared = confounded(0.5)
    found = fold_table(prepared, keys.SPLITS, ("C",))
    inside = np.flatnonzero(prepared.cells.obs[keys.BATCH] == "2")
    alone = PreparedCells(prepared.cells[inside].copy(), prepared.panel, prepared.report)
    del alone.cells.obs[keys.BATCH]
    expected = fold_table(alone, keys.SPLITS, ("C",))
    np.testing.assert_allclose(found.effect, expected.effect, atol=1e-3)
    np.testing.assert_allclose(found.error, expected.error, rtol=0.01)
    assert np.abs(found.effect / found.error).to_numpy().max() < 4.5
    assert np.abs(found.shrunk).to_numpy().max() < np.abs(found.effect).to_numpy().max()
