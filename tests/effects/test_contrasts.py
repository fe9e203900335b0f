"""Log fold changes of mean shares: against numpy and scipy, and by the laws a scale without library sizes
must keep.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from gpovae_core import keys
from gpovae_core.data.schema import Panel, PanelData, PreparationReport, PreparedCells
from gpovae_core.effects.contrasts import (
    PSEUDO_COUNT,
    ShareMoments,
    contrasts,
    log_fold_change,
    null_contrasts,
    share_moments,
    weighted_median,
)
from tests.toy import toy_cells


def build(
    counts: np.ndarray,
    labels: list[str] | np.ndarray,
    genes: list[str],
    perturbed: tuple[str, ...],
    *,
    library: np.ndarray | None = None,
    failed: np.ndarray | None = None,
    splits: np.ndarray | None = None,
) -> PreparedCells:
    """Prepared cells with every gene in the panel."""
    n = len(labels)
    obs = pd.DataFrame(
        {
            keys.PERTURBATION: np.asarray(labels, dtype=object),
            keys.ARTIFACT: np.zeros(n, dtype=bool) if failed is None else failed,
            keys.SPLIT: np.full(n, keys.TRAIN, dtype=object) if splits is None else splits,
            keys.LIBRARY_SIZE: counts.sum(axis=1).astype(float) if library is None else library,
        },
        index=[f"cell{i:05d}" for i in range(n)],
    )
    panel = Panel(
        PanelData(
            perturbed=perturbed, extended=tuple(g for g in genes if g not in perturbed), measured=tuple(genes)
        )
    )
    report = PreparationReport(
        source="x",
        cells_read=n,
        cells_kept=n,
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


def overdispersed(mean: np.ndarray, rng: np.random.Generator, dispersion: float = 0.3) -> np.ndarray:
    return rng.poisson(mean * rng.gamma(1 / dispersion, dispersion, mean.shape))


def screen(
    seed: int = 0,
    per_label: int = 80,
    controls: int = 400,
    genes: int = 12,
    fold: dict[tuple[str, str], float] | None = None,
) -> PreparedCells:
    """Controls and cells perturbed in A, B, C; `fold` multiplies the mean of a gene under a perturbation."""
    rng = np.random.default_rng(seed)
    names = [chr(ord("A") + i) for i in range(genes)]
    labels = np.repeat(
        np.array([keys.CONTROL, "A", "B", "C"], dtype=object), [controls, per_label, per_label, per_label]
    )
    base = rng.gamma(3.0, 10.0, genes)
    mean = np.tile(base, (len(labels), 1))
    for (label, gene), factor in (fold or {}).items():
        mean[labels == label, names.index(gene)] *= factor
    mean *= rng.lognormal(0.0, 0.3, (len(labels), 1))
    return build(overdispersed(mean, rng), labels, names, ("A", "B", "C"))


def dense_shares(prepared: PreparedCells) -> np.ndarray:
    return prepared.counts.toarray()[:, prepared.panel_columns] / prepared.library_size[:, None]


# The formulas -----------------------------------------------------------------------------------------------


def test_moments_are_numpys() -> None:
    prepared = screen()
    groups = [np.flatnonzero(prepared.labels == name) for name in (keys.CONTROL, "A", "C")]
    moments = share_moments(prepared.counts, prepared.library_size, groups, prepared.panel_columns)
    for row, group in enumerate(groups):
        own = dense_shares(prepared)[group]
        np.testing.assert_allclose(moments.mean[row], own.mean(axis=0), rtol=1e-6)
        np.testing.assert_allclose(moments.variance[row], own.var(axis=0, ddof=1), rtol=1e-5)
        assert moments.cells[row] == len(group)


def test_effect_and_error_by_hand() -> None:
    treated = ShareMoments(np.array([[0.02, 0.1]]), np.array([[0.0004, 0.01]]), np.array([4]))
    control = ShareMoments(np.array([[0.04, 0.1]]), np.array([[0.0009, 0.02]]), np.array([16]))
    effect, error = log_fold_change(treated, control, np.array([[0.001]]))
    np.testing.assert_allclose(effect, [[np.log(0.021 / 0.041), 0.0]])
    pooled_variance = np.array([3 * 0.0004 + 15 * 0.0009, 3 * 0.01 + 15 * 0.02]) / 18
    pooled_mean = np.array([(4 * 0.02 + 16 * 0.04) / 20, 0.1])
    ratio = 2 * (
        4 * 0.02 * np.log(0.02 / 0.036) + 16 * 0.04 * np.log(0.04 / 0.036)
    )  # of likelihoods, of Poisson sums
    root = np.sqrt(ratio / (pooled_variance[0] / pooled_mean[0]))
    same = np.sqrt(pooled_variance[1] * (1 / 4 + 1 / 16)) / (pooled_mean[1] + 0.001)
    np.testing.assert_allclose(error[0], [np.log(0.041 / 0.021) / root, same])


def test_the_score_is_the_likelihood_ratio_of_two_poisson_counts() -> None:
    rng = np.random.default_rng(5)
    counts = [rng.poisson(mean, cells).astype(float) for mean, cells in ((0.3, 40), (0.5, 90))]
    together = float(np.concatenate(counts).mean())
    moments = [
        ShareMoments(np.array([[x.mean()]]), np.array([[together]]), np.array([len(x)])) for x in counts
    ]  # variance of a Poisson
    effect, error = log_fold_change(*moments, np.full((1, 1), 1e-12))

    def log_likelihood(means: tuple[float, float]) -> float:
        return sum(stats.poisson.logpmf(x, mean).sum() for x, mean in zip(counts, means, strict=True))

    ratio = 2 * (log_likelihood((counts[0].mean(), counts[1].mean())) - log_likelihood((together, together)))
    assert abs(effect[0, 0] / error[0, 0]) == pytest.approx(np.sqrt(ratio), rel=1e-6)


def test_near_no_effect_the_error_is_the_first_order_one() -> None:
    prepared = screen()
    control, own = (dense_shares(prepared)[prepared.labels == name] for name in (keys.CONTROL, "B"))
    groups = [np.flatnonzero(prepared.labels == name) for name in ("B", keys.CONTROL)]
    moments = [
        share_moments(prepared.counts, prepared.library_size, [g], prepared.panel_columns) for g in groups
    ]
    effect, error = log_fold_change(*moments, np.zeros((1, 1)))
    pooled_mean = np.concatenate([control, own]).mean(axis=0)
    difference = own.mean(axis=0) - control.mean(axis=0)
    first_order = difference / (error[0] * pooled_mean)
    near = np.abs(effect[0]) < 0.1
    assert near.sum() > 3
    np.testing.assert_allclose(first_order[near], stats.ttest_ind(own, control).statistic[near], rtol=0.1)


@pytest.mark.parametrize("expected", [3.0, 6.0, 15.0])
def test_few_counts_are_no_stronger_evidence_than_chance_makes_them(expected: float) -> None:
    """A group with k counts where `expected` were due: z against the exact tail of a Poisson count, on both
    sides.
    """
    cells, library = 100, 1000.0
    control = ShareMoments(
        np.array([[expected / cells / library]]),
        np.array([[expected / cells / library**2]]),
        np.array([100_000]),
    )
    for k in (0, 1, 2, 3 * int(expected)):
        treated = ShareMoments(
            np.array([[k / cells / library]]), np.array([[expected / cells / library**2]]), np.array([cells])
        )
        effect, error = log_fold_change(treated, control, np.array([[PSEUDO_COUNT / cells / library]]))
        below = k < expected
        beyond = stats.poisson.cdf(k, expected) if below else stats.poisson.sf(k - 1, expected)
        exact = stats.norm.isf(beyond) * (-1 if below else 1)
        z = effect[0, 0] / error[0, 0]
        assert np.sign(z) == np.sign(exact)
        assert abs(exact) <= abs(z) < abs(exact) + 1.0


def test_a_gene_without_a_single_count_has_no_effect_and_a_finite_error() -> None:
    nothing = ShareMoments(np.zeros((1, 1)), np.zeros((1, 1)), np.array([50]))
    effect, error = log_fold_change(nothing, nothing, np.array([[1e-5]]))
    assert effect[0, 0] == 0.0
    assert 0.5 < error[0, 0] < np.inf


@pytest.mark.parametrize("mean", [0.05, 0.5, 5.0, 50.0])
def test_z_of_pairs_without_an_effect_is_standard_normal(mean: float) -> None:
    rng = np.random.default_rng(1)
    repeats, treated, controls, library = 6000, 90, 900, 5000.0
    groups = []
    for cells in (treated, controls):
        total, square = np.zeros(repeats), np.zeros(repeats)
        for _ in range(cells):
            share = overdispersed(np.full(repeats, mean), rng) / library
            total, square = total + share, square + share**2
        average = total / cells
        groups.append(
            ShareMoments(
                average[None], ((square - cells * average**2) / (cells - 1))[None], np.array([cells])
            )
        )
    effect, error = log_fold_change(*groups, np.full((1, 1), PSEUDO_COUNT / (treated * library)))
    z = (effect / error)[0]
    assert z.std() == pytest.approx(1.0, abs=0.04)
    assert abs(z.mean()) < 0.08
    for tail in (2.0, 3.0):
        expected = 2 * stats.norm.sf(tail) * repeats
        assert abs((np.abs(z) > tail).sum() - expected) < 0.25 * expected + 4 * np.sqrt(expected)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.floats(-5, 5), st.integers(1, 4)), min_size=1, max_size=12))
def test_weighted_median_is_the_lower_median_of_repeated_values(pairs: list[tuple[float, int]]) -> None:
    values, weights = np.array([v for v, _ in pairs]), np.array([w for _, w in pairs])
    repeated = np.sort(np.repeat(values, weights))
    assert weighted_median(values, weights.astype(float)) == repeated[(len(repeated) - 1) // 2]


def test_weighted_median_of_nothing_is_zero() -> None:
    assert weighted_median(np.zeros(0), np.zeros(0)) == 0.0


# The contrasts ----------------------------------------------------------------------------------------------


def test_planted_fold_changes_are_found_with_their_sign() -> None:
    fold = {("A", "A"): 0.2, ("A", "E"): 2.0, ("B", "B"): 0.3, ("B", "F"): 0.5, ("C", "C"): 0.1}
    observed = contrasts(screen(fold=fold, per_label=400, controls=1500))
    for (label, gene), factor in fold.items():
        i, j = "ABC".index(label), ord(gene) - ord("A")
        assert abs(observed.effect[i, j] - np.log(factor)) < 0.15
    null = observed.counted.copy()
    null[0, 4] = null[1, 5] = False
    assert np.abs(observed.effect[null] / observed.error[null]).max() < 4.5
    assert not observed.counted[np.arange(3), observed.sources].any()
    own, own_error = observed.own
    np.testing.assert_array_equal(own, observed.effect[[0, 1, 2], observed.sources])
    np.testing.assert_array_equal(own_error, observed.error[[0, 1, 2], observed.sources])


def test_library_size_does_not_move_an_effect() -> None:
    """Its error moves a little: deeper cells are thought to scatter less for their counts."""
    prepared = screen(fold={("A", "E"): 2.0})
    factor = np.random.default_rng(3).integers(1, 6, prepared.cells.n_obs).astype(float)
    factor[: len(factor) // 2] = (
        1.0  # the median library size, and with it the pseudo-count, stays where it was
    )
    deeper = prepared.cells.copy()
    deeper.X = sparse.csr_matrix(prepared.counts.multiply(factor[:, None]), dtype=np.float32)
    deeper.obs[keys.LIBRARY_SIZE] = prepared.library_size * factor
    before, after = contrasts(prepared), contrasts(PreparedCells(deeper, prepared.panel, prepared.report))
    np.testing.assert_allclose(after.control_share, before.control_share, rtol=1e-5)
    np.testing.assert_allclose(after.effect, before.effect, atol=2e-4)
    np.testing.assert_allclose(after.error, before.error, rtol=0.1)
    np.testing.assert_allclose(after.shift, before.shift, atol=2e-4)


def test_the_lift_of_all_shares_by_one_fallen_gene_is_taken_out() -> None:
    """Shares that add up to one: G, half of all counts, falls tenfold, so every other share rises by
    -log(sum).
    """
    rng = np.random.default_rng(0)
    names = ["G", *(f"N{i:02d}" for i in range(30))]
    labels = np.repeat(np.array([keys.CONTROL, "G"], dtype=object), [3000, 1500])
    share = np.tile(np.concatenate([[0.5], np.full(30, 0.5 / 30)]), (len(labels), 1))
    share[labels == "G", 0] *= 0.1
    total = share.sum(axis=1)  # 1 in controls, 0.55 where G fell
    prepared = build(rng.poisson(share / total[:, None] * 6000), labels, names, ("G",))
    observed = contrasts(prepared)
    assert observed.shift[0] == pytest.approx(-np.log(0.55), abs=0.005)
    assert np.abs(observed.effect[0, 1:]).max() < 0.02
    assert observed.effect[0, 0] == pytest.approx(np.log(0.1), abs=0.01)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_order_of_cells_and_of_columns_does_not_matter(seed: int) -> None:
    prepared = screen(fold={("A", "E"): 2.0, ("A", "A"): 0.2})
    rng = np.random.default_rng(seed)
    moved = prepared.cells[rng.permutation(prepared.cells.n_obs)][
        :, rng.permutation(prepared.cells.n_vars)
    ].copy()
    shuffled = PreparedCells(moved, prepared.panel, prepared.report)
    before, after = contrasts(prepared), contrasts(shuffled)
    for name in ("effect", "error", "shift", "control_share"):
        np.testing.assert_allclose(getattr(after, name), getattr(before, name), rtol=1e-9, atol=1e-12)
    for one, other in zip(
        null_contrasts(prepared, before, 2, 7), null_contrasts(shuffled, after, 2, 7), strict=True
    ):
        np.testing.assert_allclose(other.effect, one.effect, rtol=1e-9, atol=1e-12)


def test_renaming_genes_permutes_the_result() -> None:
    """The same counts under names whose sorted order is the reverse: rows and columns follow the names."""
    prepared = screen(fold={("A", "E"): 2.0})
    turn = {name: chr(ord("A") + ord("L") - ord(name)) for name in prepared.cells.var_names}
    perturbed = tuple(sorted(turn[g] for g in prepared.panel.data.perturbed))
    labels = [turn.get(label, label) for label in prepared.labels]
    renamed = build(prepared.counts.toarray(), labels, [turn[g] for g in prepared.cells.var_names], perturbed)
    before, after = contrasts(prepared), contrasts(renamed)
    assert list(renamed.panel.genes) != [turn[g] for g in prepared.panel.genes]
    for i, source in enumerate(before.sources):
        row = after.sources.tolist().index(renamed.panel.index[turn[prepared.panel.genes[source]]])
        columns = [renamed.panel.index[turn[gene]] for gene in prepared.panel.genes]
        np.testing.assert_allclose(after.effect[row, columns], before.effect[i], atol=1e-9)
        np.testing.assert_allclose(after.error[row, columns], before.error[i], rtol=1e-9)


def test_an_unmeasured_perturbed_gene_has_a_row_and_no_column() -> None:
    prepared = screen()
    without = prepared.cells[:, [g != "B" for g in prepared.cells.var_names]].copy()
    data = prepared.panel.data
    panel = Panel(
        PanelData(
            perturbed=data.perturbed,
            extended=data.extended,
            measured=tuple(g for g in data.measured if g != "B"),
        )
    )
    observed = contrasts(PreparedCells(without, panel, prepared.report))
    b = panel.index["B"]
    assert np.isinf(observed.error[:, b]).all()
    assert (observed.effect[:, b] == 0).all()
    assert observed.control_share[b] == 0
    assert not observed.counted[:, b].any()
    assert np.isfinite(np.delete(observed.error, b, axis=1)).all()
    assert np.isinf(observed.own[1][observed.sources == b]).all()


def test_a_single_cell_is_no_perturbation_and_no_cells_are_none() -> None:
    prepared = screen()
    labels = prepared.labels
    keep = (labels != "B") | (np.cumsum(labels == "B") == 1)
    keep &= labels != "C"
    cut = PreparedCells(prepared.cells[keep].copy(), prepared.panel, prepared.report)
    observed = contrasts(cut)
    assert observed.sources.tolist() == [prepared.panel.index["A"]]
    assert observed.cells.tolist() == [80]
    none = contrasts(
        PreparedCells(prepared.cells[labels == keys.CONTROL].copy(), prepared.panel, prepared.report)
    )
    assert none.effect.shape == (0, len(prepared.panel))
    assert none.counted.shape == (0, len(prepared.panel))
    assert none.control_cells == 400


@pytest.mark.parametrize("controls", [0, 1])
def test_without_controls_nothing_is_measured(controls: int) -> None:
    prepared = screen()
    keep = (prepared.labels != keys.CONTROL) | (np.cumsum(prepared.labels == keys.CONTROL) <= controls)
    cut = PreparedCells(prepared.cells[keep].copy(), prepared.panel, prepared.report)
    observed = contrasts(cut)
    assert observed.control_cells == controls
    assert not observed.counted.any()
    assert np.isfinite(observed.effect).all()
    assert list(null_contrasts(cut, observed, 2, 0)) == []


def test_failing_cells_other_splits_and_empty_cells_do_not_count() -> None:
    prepared = screen()
    rng = np.random.default_rng(2)
    bad = rng.random(prepared.cells.n_obs) < 0.2
    other = ~bad & (rng.random(prepared.cells.n_obs) < 0.2)
    empty = ~bad & ~other & (rng.random(prepared.cells.n_obs) < 0.1)
    spoiled = prepared.cells.copy()
    counts = spoiled.X.toarray()
    counts[bad | other] = 500.0
    counts[empty] = 0.0
    spoiled.X = sparse.csr_matrix(counts)
    spoiled.obs[keys.ARTIFACT] = bad
    spoiled.obs[keys.SPLIT] = np.where(other, keys.TEST, keys.TRAIN)
    spoiled.obs[keys.LIBRARY_SIZE] = np.where(empty, 0.0, prepared.library_size)
    good = ~(bad | other | empty)
    # The pseudo-count follows the median library size of all cells, so those stay as they are.
    got = contrasts(PreparedCells(spoiled, prepared.panel, prepared.report))
    expected = contrasts(PreparedCells(prepared.cells[good].copy(), prepared.panel, prepared.report))
    np.testing.assert_array_equal(got.cells, expected.cells)
    assert got.control_cells == expected.control_cells
    np.testing.assert_allclose(got.effect, expected.effect, atol=1e-4)
    np.testing.assert_allclose(got.error, expected.error, rtol=1e-3)


def test_combinations_have_no_row_of_their_own() -> None:
    prepared = screen()
    joined = prepared.cells.copy()
    joined.obs[keys.PERTURBATION] = np.where(
        prepared.labels == "C", f"C{keys.PAIR_SEPARATOR}D", prepared.labels
    )
    observed = contrasts(PreparedCells(joined, prepared.panel, prepared.report))
    assert [prepared.panel.genes[i] for i in observed.sources] == ["A", "B"]
    np.testing.assert_array_equal(observed.effect, contrasts(prepared).effect[:2])


def test_controls_in_the_place_of_perturbations() -> None:
    prepared = screen(fold={("A", "E"): 3.0}, controls=200, per_label=120)
    observed = contrasts(prepared)
    draws = list(null_contrasts(prepared, observed, 3, 5))
    assert len(draws) == 3
    for draw in draws:
        assert draw.cells.tolist() == [100, 100, 100]  # at most half of the controls
        np.testing.assert_array_equal(draw.sources, observed.sources)
        assert np.abs(draw.effect / draw.error).max() < 5
    assert not np.allclose(draws[0].effect, draws[1].effect)
    again = list(null_contrasts(prepared, observed, 3, 5))
    np.testing.assert_array_equal(again[2].effect, draws[2].effect)
    assert not np.allclose(next(null_contrasts(prepared, observed, 1, 6)).effect, draws[0].effect)
    perturbed = prepared.cells.copy()
    counts = perturbed.X.toarray()
    counts[prepared.labels != keys.CONTROL] *= 7.0
    perturbed.X = sparse.csr_matrix(counts)
    other = PreparedCells(perturbed, prepared.panel, prepared.report)
    np.testing.assert_array_equal(
        next(null_contrasts(other, observed, 1, 5)).effect,
        draws[0].effect,
    )


def test_on_simulated_cells_the_knock_down_shows() -> None:
    observed = contrasts(toy_cells())
    own, error = observed.own
    assert len(own) == 6
    assert (own < -3 * error).all()
