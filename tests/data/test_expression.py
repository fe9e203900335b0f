from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse, stats

from gpovae_core import keys
from gpovae_core.data.expression import absolute_cell_effects, log_expression
from gpovae_core.data.schema import Panel, PanelData, PreparationReport, PreparedCells
from gpovae_core.effects.averages import average_effects
from tests.conftest import shared_folder


def _prepared(counts: np.ndarray, labels: np.ndarray, splits: np.ndarray | None = None) -> PreparedCells:
    genes = [f"G{i}" for i in range(counts.shape[1])]
    names = tuple(sorted(set(labels) - {keys.CONTROL}))
    obs = pd.DataFrame(
        {
            keys.PERTURBATION: labels,
            keys.SPLIT: keys.TEST if splits is None else splits,
            keys.LIBRARY_SIZE: counts.sum(axis=1).astype(float),
        },
        index=[f"c{i}" for i in range(len(labels))],
    )
    panel = Panel(PanelData(perturbed=names, extended=(), measured=()))
    report = PreparationReport(
        source="x",
        cells_read=len(labels),
        cells_kept=len(labels),
        genes_measured=len(genes),
        counts_from="X",
        label_column="p",
        control_label="c",
        perturbations={},
        control_cells=0,
    )
    return PreparedCells(
        AnnData(sparse.csr_matrix(counts.astype(np.float32)), obs=obs, var=pd.DataFrame(index=genes)),
        panel,
        report,
    )


def _toy(n: int = 90, seed: int = 0) -> PreparedCells:
    rng = np.random.default_rng(seed)
    labels = np.array([keys.CONTROL, "A", "B"], dtype=object)[rng.integers(0, 3, n)]
    return _prepared(
        rng.poisson(3.0, (n, 7)) + 1,
        labels,
        np.array([keys.TRAIN, keys.TEST], dtype=object)[rng.integers(0, 2, n)],
    )


def test_log_expression_by_hand() -> None:
    counts = sparse.csr_matrix(np.array([[1.0, 0.0, 3.0], [0.0, 0.0, 0.0]], dtype=np.float32))
    expected = [[np.log(1 + 1e4 / 4), 0.0, np.log(1 + 3e4 / 4)], [0.0, 0.0, 0.0]]
    np.testing.assert_allclose(log_expression(counts).toarray(), expected)
    np.testing.assert_allclose(
        log_expression(counts, np.array([8.0, 1.0]), 8.0).toarray()[0], [np.log(2), 0.0, np.log(4)]
    )


def test_treatment_effects_are_those_of_the_release() -> None:
    known = np.load(shared_folder("fixtures") / "ate_data.npz")
    labels = np.where(known["labels"] == "non-targeting", keys.CONTROL, known["labels"]).astype(object)
    table = average_effects(_prepared(known["X"], labels), splits=keys.SPLITS)
    np.testing.assert_allclose(table.mean.loc[list(known["order"])], known["ate_perturbseq"], atol=2e-5)


def test_the_control_against_itself_is_zero() -> None:
    table = average_effects(_toy(), splits=keys.SPLITS, perturbations=(keys.CONTROL,))
    np.testing.assert_allclose(table.mean, 0.0, atol=1e-12)


def test_mean_and_standard_error_are_welchs() -> None:
    prepared = _toy()
    table = average_effects(prepared, splits=keys.SPLITS)
    values = np.log2(1 + 1e4 * prepared.counts.toarray() / prepared.library_size[:, None])
    control, own = values[prepared.labels == keys.CONTROL], values[prepared.labels == "A"]
    np.testing.assert_allclose(
        table.mean.loc["A"], own.mean(axis=0) - control.mean(axis=0), rtol=1e-6, atol=1e-9
    )
    welch = stats.ttest_ind(own, control, equal_var=False)
    np.testing.assert_allclose(
        table.mean.loc["A"] / table.standard_error.loc["A"], welch.statistic, rtol=1e-5
    )
    assert table.cells["A"] == (prepared.labels == "A").sum()
    assert table.control_cells == len(control)


def test_only_the_asked_splits_count() -> None:
    prepared = _toy()
    held_out = average_effects(prepared)
    changed = prepared.cells.copy()
    training = (changed.obs[keys.SPLIT] == keys.TRAIN).to_numpy()
    dense = changed.X.toarray()
    dense[training] = 99.0
    changed.X = sparse.csr_matrix(dense)
    pd.testing.assert_frame_equal(
        average_effects(PreparedCells(changed, prepared.panel, prepared.report)).mean, held_out.mean
    )


def test_a_perturbation_without_cells_there_is_not_a_zero() -> None:
    table = average_effects(_toy(), perturbations=("A", "C"))
    assert table.mean.loc["C"].isna().all()
    assert table.cells["C"] == 0


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_cells_and_genes_does_not_matter(seed: int) -> None:
    prepared = _toy()
    rng = np.random.default_rng(seed)
    moved = prepared.cells[rng.permutation(prepared.cells.n_obs)][
        :, rng.permutation(prepared.cells.n_vars)
    ].copy()
    expected = average_effects(prepared)
    got = average_effects(PreparedCells(moved, prepared.panel, prepared.report))
    pd.testing.assert_frame_equal(got.mean[expected.mean.columns], expected.mean)
    pd.testing.assert_frame_equal(got.standard_error[expected.mean.columns], expected.standard_error)


def test_cell_effects_by_hand() -> None:
    expression = sparse.csr_matrix(np.array([[1.0, 2.0, 0.0], [4.0, 0.0, 0.0], [0.0, 0.0, 7.0]]))
    result = absolute_cell_effects(expression, np.array([0, 2, 1]), np.array([1, -1, 1]), np.array([1, 0]))
    np.testing.assert_array_equal(result, [[2.0, 3.0], [0.0, 0.0], [0.0, 0.0]])
