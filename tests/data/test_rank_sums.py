from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse, stats

from gpovae_core.data import cores
from gpovae_core.data.rank_sums import GENES_AT_ONCE, RankSums, rank_sums

GENES = GENES_AT_ONCE + 40


@pytest.fixture(scope="module")
def cells() -> tuple[np.ndarray, np.ndarray]:
    """Values (300, GENES) with many zeros and ties, and a group from 0 (controls) to 3, -1 for none."""
    rng = np.random.default_rng(3)
    values = np.log1p(rng.poisson(rng.lognormal(-0.5, 1.2, GENES), (300, GENES)).astype(np.float64))
    values[:, 5] = 0.0
    values[:, 6] = np.log1p(rng.gamma(2.0, size=300))  # no two alike
    return values, rng.integers(-1, 4, 300)


def _sums(values: object, group: np.ndarray) -> RankSums:
    return rank_sums(values, np.flatnonzero(group == 0), [np.flatnonzero(group == k) for k in (1, 2, 3)])


@pytest.mark.parametrize("form", [sparse.csr_matrix, sparse.csc_matrix, np.asarray])
def test_statistics_are_those_of_scipy(form: type, cells: tuple[np.ndarray, np.ndarray]) -> None:
    values, group = cells
    found = _sums(form(values), group)
    assert found.u.shape == found.z.shape == found.ratio.shape == (3, GENES)
    for row, k in enumerate((1, 2, 3)):
        own, control = values[group == k], values[group == 0]
        known = stats.mannwhitneyu(own, control, axis=0, method="asymptotic", use_continuity=False)
        np.testing.assert_array_equal(found.u[row], known.statistic)
        varied = np.arange(GENES) != 5
        np.testing.assert_allclose(2 * stats.norm.sf(abs(found.z[row]))[varied], known.pvalue[varied], 1e-12)
        level = [np.expm1(side.mean(axis=0)) + 1e-9 for side in (own, control)]
        np.testing.assert_allclose(found.ratio[row], level[0] / level[1], rtol=1e-12)
    assert (found.z[:, 5] == 0.0).all()


def test_scores_and_fold_changes_are_those_of_scanpy(cells: tuple[np.ndarray, np.ndarray]) -> None:
    import scanpy as sc
    from anndata import AnnData

    values, group = cells
    names = np.array(["none", "control", "A", "B", "C"])[group + 1]
    table = AnnData(
        sparse.csr_matrix(values),
        obs=pd.DataFrame({"p": pd.Categorical(names)}, index=[f"c{i}" for i in range(300)]),
    )
    sc.tl.rank_genes_groups(table, "p", reference="control", method="wilcoxon", tie_correct=True)
    found = _sums(table.X, group)
    for row, name in enumerate("ABC"):
        known = sc.get.rank_genes_groups_df(table, name).set_index("names").loc[table.var_names]
        varied = table.var_names != "5"
        np.testing.assert_allclose(found.z[row][varied], known["scores"][varied], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(np.log2(found.ratio[row]), known["logfoldchanges"], rtol=1e-4, atol=1e-5)


def test_values_below_zero_and_wide_indices(cells: tuple[np.ndarray, np.ndarray]) -> None:
    values, group = cells[0] - 0.5, cells[1]
    wide = sparse.csr_matrix(values)
    wide.indptr = wide.indptr.astype(np.int64)
    found = _sums(wide, group)
    known = stats.mannwhitneyu(values[group == 2], values[group == 0], axis=0, method="asymptotic")
    np.testing.assert_array_equal(found.u[1], known.statistic)


def test_any_number_of_cores_gives_the_same(
    cells: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch
) -> None:
    values, group = sparse.csr_matrix(cells[0]), cells[1]
    found = []
    for jobs in ("1", "3"):
        monkeypatch.setenv(cores.JOBS, jobs)
        found.append(_sums(values, group))
    for name in ("u", "z", "ratio"):
        np.testing.assert_array_equal(getattr(found[0], name), getattr(found[1], name))


def test_progress_reaches_the_end(cells: tuple[np.ndarray, np.ndarray]) -> None:
    told: list[tuple[str, float]] = []
    rank_sums(
        sparse.csr_matrix(cells[0]),
        np.arange(10),
        [np.arange(10, 20)],
        lambda words, share: told.append((words, share)),
        "looking",
    )
    assert [words for words, _ in told] == ["looking", "looking"]
    assert told[-1][1] == 1.0
