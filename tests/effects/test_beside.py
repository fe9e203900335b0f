"""Cells with several perturbed genes: against a weighted regression of pseudo-bulk on dosages, and by what a
pair must not do.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpovae_core import keys
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.beside import beside_others, joined
from gpovae_core.effects.contrasts import Contrasts, contrasts
from tests.effects.test_contrasts import build, overdispersed
from tests.effects.test_design import with_columns

GENES = ["A", "B", "C", *(f"G{i:02d}" for i in range(27))]
FOLD = {("A", "G00"): 0.5, ("B", "G00"): 0.6, ("B", "G01"): 2.0, ("A", "A"): 0.2, ("B", "B"): 0.2}


def cells(
    sizes: dict[str, int],
    seed: int = 0,
    fold: dict[tuple[str, str], float] | None = None,
    together: dict[tuple[str, str], float] | None = None,
) -> PreparedCells:
    """Counts whose means are multiplied by the `fold` of every gene of a label; together: by label on top."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.array(list(sizes), dtype=object), list(sizes.values()))
    mean = np.tile(rng.gamma(3.0, 10.0, len(GENES)), (len(labels), 1))
    for (gene, target), factor in (FOLD if fold is None else fold).items():
        has = np.array([gene in label.split(keys.PAIR_SEPARATOR) for label in labels])
        mean[has, GENES.index(target)] *= factor
    for (label, target), factor in (together or {}).items():
        mean[labels == label, GENES.index(target)] *= factor
    return build(overdispersed(mean, rng), labels, GENES, ("A", "B", "C"))


def only(prepared: PreparedCells, *labels: str) -> PreparedCells:
    """The same with all other cells held out."""
    split = np.where(np.isin(prepared.labels, labels), keys.TRAIN, keys.TEST).astype(object)
    return with_columns(prepared, **{keys.SPLIT: split})


def of(found: Contrasts, gene: str, prepared: PreparedCells) -> int:
    return int(np.flatnonzero(found.sources == prepared.panel.index[gene])[0])


SIZES = {keys.CONTROL: 1500, "A": 150, "B": 250, "A+B": 250}


def test_pairs_say_what_a_weighted_regression_on_dosages_says() -> None:
    """Where labels agree: one regression for every gene, of the log fold changes of the three labels against
    controls on which genes they hold, by numpy's least squares.
    """
    prepared = cells(SIZES)
    found = contrasts(prepared)
    named = np.where(prepared.labels == "A+B", "C", prepared.labels)
    plain = prepared.cells.copy()
    plain.obs[keys.PERTURBATION] = named
    each = contrasts(PreparedCells(plain, prepared.panel, prepared.report))  # rows A, B and the pair
    dosage = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    for j, gene in enumerate(GENES[3:], start=3):
        column = prepared.panel.index[gene]
        y, s = each.effect[:, column], each.error[:, column]
        z = (y[2] - y[0] - y[1]) / np.sqrt((s**2).sum())
        if abs(z) > 1:  # more than their errors say: such pairs count for less
            continue
        root = 1 / s
        solved = np.linalg.lstsq(root[:, None] * dosage, root * y, rcond=None)[0]
        errors = np.sqrt(np.diag(np.linalg.inv((dosage / s[:, None] ** 2).T @ dosage)))
        for row, name in enumerate("AB"):
            at = of(found, name, prepared)
            assert found.effect[at, column] == pytest.approx(solved[row], abs=0.25 * errors[row]), (j, name)
            assert found.error[at, column] == pytest.approx(errors[row], rel=0.1), (j, name)


def test_without_pairs_nothing_changes_to_the_last_bit() -> None:
    prepared = cells({keys.CONTROL: 400, "A": 80, "B": 80, "A+B": 80, "A+C": 80})
    for kept in ((keys.CONTROL, "A", "B"), (keys.CONTROL, "A", "B", "A+C")):
        with_others = contrasts(only(prepared, *kept))
        alone = contrasts(only(prepared, keys.CONTROL, "A", "B"))
        if (
            "A+C" in kept
        ):  # C alone was never seen, so the pair says something of C, and only A has cells alone
            np.testing.assert_array_equal(with_others.sources, alone.sources)
        np.testing.assert_array_equal(with_others.effect, alone.effect)
        np.testing.assert_array_equal(with_others.error, alone.error)
        np.testing.assert_array_equal(with_others.counts, alone.counts)


def test_a_pair_informs_both_genes() -> None:
    prepared = cells(SIZES, seed=3)
    alone, found = contrasts(only(prepared, keys.CONTROL, "A", "B")), contrasts(prepared)
    counted = found.counted
    assert (found.error <= alone.error + 1e-12)[counted].all()
    gain = (alone.error / found.error)[counted.copy()]
    assert 1.1 < np.median(gain) <= np.sqrt(2) + 1e-9
    assert (found.counts > alone.counts).all()
    np.testing.assert_array_equal(found.cells, alone.cells)


def test_what_a_pair_shows_of_the_other_gene_is_no_effect() -> None:
    """B is knocked down with A and without: cells with both say nothing of what A does to B."""
    prepared = cells(SIZES)
    alone, found = contrasts(only(prepared, keys.CONTROL, "A", "B")), contrasts(prepared)
    a, b = (prepared.panel.index[name] for name in "AB")
    for row, column in ((of(found, "A", prepared), b), (of(found, "B", prepared), a)):
        assert found.effect[row, column] == alone.effect[row, column]
        assert found.error[row, column] == alone.error[row, column]


@pytest.mark.parametrize("alone_cells", [20, 60, 300])
def test_errors_hold_where_nothing_changes(alone_cells: int) -> None:
    z = []
    for seed in range(12):
        sizes = {
            keys.CONTROL: 600,
            "A": alone_cells,
            "B": 200,
            "C": 200,
            "A+B": 200,
            "A+C": 150,
            "A+B+C": 100,
        }
        found = contrasts(cells(sizes, seed=seed, fold={}))
        z.append((found.effect / found.error)[found.counted])
    assert np.std(np.concatenate(z)) == pytest.approx(1.0, abs=0.1)
    assert np.abs(np.concatenate(z)).max() < 5.0


@given(
    apart=st.floats(-50, 50),
    own=st.floats(0.01, 10),
    beside=st.floats(1e-4, 10),
    number=st.integers(1, 6),
)
def test_a_pair_never_moves_an_effect_by_more_than_the_error_that_is_left(
    apart: float, own: float, beside: float, number: int
) -> None:
    """However little is known of the gene alone and however well its pairs agree with each other."""
    effect, error = joined(
        np.zeros(1), np.array([own]), np.full((number, 1), apart), np.full((number, 1), beside)
    )
    assert abs(effect[0]) <= error[0] * (1 + 1e-9)
    assert error[0] <= own * (1 + 1e-9)
    assert error[0] >= own / np.sqrt(2) * (1 - 1e-9)


def test_pairs_far_away_leave_the_effect_as_it_was() -> None:
    effect, error = joined(np.array([1.0]), np.array([0.1]), np.array([[40.0]]), np.array([[0.1]]))
    assert effect[0] == pytest.approx(1.0, abs=0.01)
    assert error[0] == pytest.approx(0.1, rel=0.01)


def test_pairs_that_disagree_count_for_less() -> None:
    nothing, own = np.zeros(1), np.array([1.0])
    errors = np.full((2, 1), 0.5)
    agree = joined(nothing, own, np.array([[0.3], [0.3]]), errors)[1]
    apart = joined(nothing, own, np.array([[-4.0], [4.6]]), errors)[1]
    assert agree[0] < apart[0] <= own[0]


def test_a_synergy_is_no_effect_of_either_gene() -> None:
    prepared = cells(SIZES, fold={}, together={("A+B", "G05"): 3.0}, seed=1)
    found = contrasts(prepared)
    column = prepared.panel.index["G05"]
    assert (np.abs(found.effect[:, column] / found.error[:, column]) < 2.5).all()
    within = contrasts(only(prepared, keys.CONTROL, "A", "B"))
    assert (np.abs(found.effect - within.effect)[:, column] < found.error[:, column]).all()


def test_what_is_measured_beside_others_only_says_nothing() -> None:
    effect, error = joined(
        np.zeros(2), np.array([np.inf, 0.3]), np.array([[2.0, 0.0]]), np.array([[0.1, np.inf]])
    )
    assert error.tolist() == [np.inf, 0.3]
    assert effect.tolist() == [0.0, 0.0]


def test_labels_of_any_length_stand_beside_those_with_a_gene_less() -> None:
    labels = np.repeat(
        np.array([keys.CONTROL, "A", "B", "A+B", "B+C+A", "C+D", "E"], dtype=object), [9, 2, 2, 2, 2, 5, 1]
    )
    assert beside_others(labels, {"A", "B", "C"}) == {
        "A": {"B": "A+B"},
        "B": {"A": "A+B"},
        "A+B": {"C": "B+C+A"},
    }
    assert beside_others(labels, set()) == {}


def test_pairs_stay_within_their_batch() -> None:
    """Pairs of another batch than the gene that they stand beside say nothing."""
    prepared = cells(SIZES, fold={})
    rng = np.random.default_rng(0)
    batch = np.where(prepared.labels == keys.CONTROL, rng.choice(["1", "2"], len(prepared.labels)), "1")
    batch = np.where(prepared.labels == "A+B", "2", batch).astype(object)
    prepared = with_columns(prepared, batch=batch)
    alone, found = contrasts(only(prepared, keys.CONTROL, "A", "B")), contrasts(prepared)
    np.testing.assert_array_equal(found.effect, alone.effect)
    np.testing.assert_array_equal(found.error, alone.error)
