"""The test of a pair whose source is knocked down in some cells and activated in others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from gpovae_core import keys
from gpovae_core.data.expression import log_expression
from gpovae_core.effects.averages import as_knock_downs, average_effects
from gpovae_core.effects.design import Exchangeable
from gpovae_core.effects.nulls import null_screen
from gpovae_core.effects.pairs import PairStatistics, of_genes, pair_statistics, pairs_of_genes
from gpovae_core.evaluation.held_out import held_out_pairs, pairs_without_lift, sources_left_out
from gpovae_core.evaluation.known import true_pairs
from gpovae_core.evaluation.relabelled import null_differences, null_omission
from gpovae_core.methods.method import Inputs
from tests import both


def table(names: tuple[str, ...], p: np.ndarray, sign: np.ndarray) -> PairStatistics:
    """Rows of one target each; distances 1, 2, ..., differences like the signs."""
    rows = np.arange(1.0, len(names) + 1)[:, None]
    return PairStatistics(
        sources=names,
        targets=("T",),
        wasserstein=rows,
        u=rows,
        p=np.array(p, dtype=float)[:, None],
        sign=np.array(sign, dtype=float)[:, None],
        mean_difference=rows * np.array(sign, dtype=float)[:, None],
        source_cells=np.array([10] * len(names)),
        control_cells=50,
        testable=np.ones((len(names), 1), dtype=bool),
    )


def test_a_screen_of_one_direction_is_left_as_it_is() -> None:
    found = table(("A", "B"), np.array([0.1, 0.2]), np.array([1, -1]))
    assert of_genes(found) is found


@pytest.mark.parametrize(
    ("p", "sign", "expected"),
    [
        ((0.01, 0.8), (-1, 1), 0.03),  # one direction alone
        ((0.9, 0.002), (-1, -1), 0.006),
        ((0.6, 0.7), (1, 1), 1.0),
        # both together: z of 2 each, and opposite
        ((0.0455, 0.0455), (-1, 1), 3 * 2 * stats.norm.sf(2.0 * np.sqrt(2))),
        ((0.0455, 0.0455), (-1, -1), 3 * 0.0455),  # which takes nothing away where they do not agree
    ],
)
def test_p_is_thrice_the_smallest_of_either_and_of_both_together(
    p: tuple[float, float], sign: tuple[int, int], expected: float
) -> None:
    names = ("A", "A" + keys.ACTIVATED, "B")
    found = of_genes(table(names, np.array([*p, 0.5]), np.array([*sign, 1])))
    assert found.sources == ("A", "B")
    assert found.p[0, 0] == pytest.approx(expected, rel=1e-3)
    assert (found.p[1, 0], found.u[1, 0], found.wasserstein[1, 0]) == (0.5, 3.0, 3.0)
    assert found.wasserstein[0, 0] == 1.5
    assert found.mean_difference[0, 0] == pytest.approx((sign[0] - 2 * sign[1]) / 2)
    assert (found.source_cells.tolist(), np.isnan(found.u[0, 0])) == ([20, 10], True)
    assert found.by_direction is not None
    assert found.by_direction.sources == names


def test_where_one_direction_cannot_be_tested_the_other_speaks_alone() -> None:
    names = ("A", "A" + keys.ACTIVATED)
    given = table(names, np.array([0.2, 0.01]), np.array([-1, 1]))
    for silent, expected, sign in ((1, 0.2, -1), (0, 0.01, -1)):
        testable = np.ones((2, 1), dtype=bool)
        testable[silent] = False
        found = of_genes(replace(given, testable=testable))
        assert (found.p[0, 0], found.sign[0, 0], found.testable[0, 0]) == (expected, sign, True)
    alone = of_genes(table(("A" + keys.ACTIVATED,), np.array([0.01]), np.array([1])))
    assert (alone.sources, alone.p[0, 0], alone.sign[0, 0]) == (("A",), 0.01, -1)


def test_signs_are_those_of_the_ranks() -> None:
    values = np.array([[0.0, 1.0], [1.0, 2.0], [2.0, 3.0], [5.0, 0.0], [6.0, 0.5]])
    labels = np.array([keys.CONTROL] * 3 + ["A"] * 2, dtype=object)
    assert pair_statistics(values, labels, ["A"], ["x", "y"]).sign.tolist() == [[1.0, -1.0]]


def test_a_gene_that_does_nothing_passes_no_more_often_than_the_level() -> None:
    """Controls in the place of both directions, which share the controls that they are compared with."""
    passed, pairs = 0, 0
    for seed in range(4):
        settings = both.SETTINGS.model_copy(
            update={"data": both.SETTINGS.data.model_copy(update={"seed": seed})}
        )
        found = held_out_pairs(null_screen(both.prepared(), settings))
        assert found.by_direction is not None
        passed += int((found.p[found.evaluated] < 0.05).sum())
        pairs += int(found.evaluated.sum())
    assert pairs > 500
    assert passed / pairs < 0.05 + 2 * np.sqrt(0.05 * 0.95 / pairs)


def test_held_out_scores_know_both_rows() -> None:
    prepared, fit = both.prepared(), both.fit()
    found = held_out_pairs(prepared)
    genes = prepared.panel.data.perturbed
    assert found.sources == genes
    assert not any("cells of their own" in note for note in sources_left_out(prepared, found))
    held = prepared.labels[prepared.where(splits=(keys.TEST,))]
    assert found.source_cells.tolist() == [
        int(np.isin(held, keys.directions_of(gene, set(held))).sum()) for gene in genes
    ]
    assert found.by_direction is not None
    down = [found.by_direction.sources.index(gene) for gene in genes]
    direct, ancestors = true_pairs(both.screen().edges, genes, found.targets)
    edges = (direct != 0) & found.evaluated
    alone = stats.false_discovery_control(found.by_direction.p[down][found.evaluated])
    more = (found.adjusted[edges] < 0.05).mean()
    assert more > (alone[edges[found.evaluated]] < 0.05).mean()
    clear = edges & (found.p < 1e-3)
    assert (found.sign[clear] == -np.sign(direct[clear])).mean() > 0.9
    assert (found.p[found.evaluated & ~ancestors] < 0.05).mean() < 0.15
    lifted = pairs_without_lift(prepared, fit)
    assert lifted.sources == genes
    assert set(fit.lifts(prepared.panel)) == set(prepared.perturbations)


def test_rankings_know_both_rows() -> None:
    prepared, fit = both.prepared(), both.fit()
    found = held_out_pairs(prepared)
    training = average_effects(prepared, (keys.TRAIN,)).mean
    inputs = Inputs(prepared, found.sources, found.targets, training, fit=fit)
    gene, target = found.sources[0], found.targets[1]
    merged = inputs.of_table(training)[0, 1]
    assert merged == pytest.approx(
        (training.at[gene, target] - training.at[gene + keys.ACTIVATED, target]) / 2
    )
    assert list(as_knock_downs(training).index) == list(prepared.panel.data.perturbed)
    assert as_knock_downs(training.loc[list(found.sources)]).equals(training.loc[list(found.sources)])
    labels = prepared.labels[prepared.where(splits=(keys.TRAIN,))]
    again = pairs_of_genes(
        inputs.expression,
        labels,
        found.sources,
        inputs.genes,
        lambda _: Exchangeable.of(prepared, (keys.TRAIN,)),
    )
    assert inputs.tests.p.shape == again.p.shape
    assert fit.raised is not None
    row = prepared.panel.index[gene]
    at = fit.raised.genes.astype(int).tolist().index(row)
    column = prepared.panel.index[target]
    down = fit.effect[row, column] / fit.effect_sd[row, column]
    up = fit.raised.effect[at, column] / fit.raised.effect_sd[at, column]
    assert fit.z()[row, column] == pytest.approx((down - up) / np.sqrt(2))
    null = null_omission(inputs, found, 0.05, 0)
    assert null is not None
    assert null < 0.09
    assert null_differences(inputs, 0, 1)[0].shape == found.p.shape


def test_the_row_of_either_direction_is_that_of_its_cells() -> None:

    prepared = both.prepared()
    kept = np.flatnonzero(prepared.where(splits=(keys.TEST,)))
    values = log_expression(prepared.counts, prepared.library_size)[:, prepared.panel_columns][kept]
    found, gene = held_out_pairs(prepared), prepared.panel.data.perturbed[0]
    assert found.by_direction is not None
    up = found.by_direction.sources.index(gene + keys.ACTIVATED)
    own = values[prepared.labels[kept] == gene + keys.ACTIVATED].toarray()
    base = values[prepared.labels[kept] == keys.CONTROL].toarray()
    expected = [stats.wasserstein_distance(a, b) for a, b in zip(own.T, base.T, strict=True)]
    np.testing.assert_allclose(found.by_direction.wasserstein[up], expected)
