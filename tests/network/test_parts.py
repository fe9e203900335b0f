"""The effect of an edge by guide, batch and donor: beside loops over cells, and where they do not agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gpovae_core import keys
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.contrasts import PSEUDO_COUNT
from gpovae_core.network.parts import FEWEST_CELLS, Part, PartedCells, Parts, cochran
from gpovae_core.reporting.parts import parts_in_words
from tests.toy import toy_cells


def with_columns(**columns: np.ndarray) -> PreparedCells:
    """The toy cells with further columns of obs, and without those of their own design."""
    cells = toy_cells()
    kept = cells.cells.copy()
    for key in (keys.BATCH, keys.GUIDE, keys.DONOR):
        if key in kept.obs:
            del kept.obs[key]
    for key, values in columns.items():
        kept.obs[key] = pd.Categorical(values)
    return replace(cells, cells=kept)


def edge() -> tuple[str, str]:
    """A perturbed source and a measured target of the panel."""
    data, names = toy_cells().panel.data, set(toy_cells().cells.var_names)
    return data.perturbed[0], next(gene for gene in data.perturbed[1:] if gene in names)


def guides(names: tuple[str, ...] = ("g1", "g2", "g3")) -> np.ndarray:
    """Guides of every perturbation in turn."""
    labels = toy_cells().labels
    found = np.empty(len(labels), dtype=object)
    for label in set(labels):
        rows = np.flatnonzero(labels == label)
        found[rows] = [f"{label}{names[k % len(names)]}" for k in range(len(rows))]
    return found


def fold_by_hand(cells: PreparedCells, source: str, target: str) -> float:
    """Log2 of the mean share in perturbed cells over that in controls, half a count added to either."""
    column = cells.cells.var_names.get_loc(target)
    share = np.asarray(cells.counts[:, [column]].todense()).ravel() / cells.library_size
    own, base = (share[cells.labels == label] for label in (source, keys.CONTROL))
    usual = float(np.median(toy_cells().library_size[toy_cells().library_size > 0]))
    half = PSEUDO_COUNT / (len(own) * usual)
    return float(np.log2((own.mean() + half) / (base.mean() + half)))


def of_kind(cells: PreparedCells, kind: str, source: str, target: str) -> Parts:
    made = PartedCells.of(cells)
    assert made is not None
    return next(one for one in made.of_edge(source, target) if one.kind == kind)


def test_cells_without_a_design_have_no_parts() -> None:
    assert PartedCells.of(with_columns()) is None


def test_the_whole_is_the_fold_change_of_the_pages() -> None:
    cells, (source, target) = with_columns(guide=guides()), edge()
    found = of_kind(cells, keys.GUIDE, source, target)
    passing = replace(cells, cells=cells.cells[cells.passing].copy())
    assert found.whole.fold == pytest.approx(fold_by_hand(passing, source, target))
    assert found.whole.low < found.whole.fold < found.whole.high
    assert found.whole.cells == sum(part.cells for part in found.parts)


def test_every_guide_is_what_its_cells_alone_show() -> None:
    number, (source, target) = guides(), edge()
    cells = with_columns(guide=number)
    found = of_kind(cells, keys.GUIDE, source, target)
    assert [part.name for part in found.parts] == [f"{source}g{k}" for k in (1, 2, 3)]
    for part in found.parts:
        kept = cells.passing & ((number == part.name) | (cells.labels != source))
        alone = replace(cells, cells=cells.cells[kept].copy())
        assert part.fold == pytest.approx(fold_by_hand(alone, source, target))
        assert part.low < part.fold < part.high


def test_a_batch_is_compared_with_its_own_controls() -> None:
    labels, (source, target) = toy_cells().labels, edge()
    batch = np.where(np.arange(len(labels)) % 2 == 0, "a", "b").astype(object)
    cells = with_columns(batch=batch)
    found = of_kind(cells, keys.BATCH, source, target)
    assert [part.name for part in found.parts] == ["a", "b"]
    for part in found.parts:
        alone = replace(cells, cells=cells.cells[cells.passing & (batch == part.name)].copy())
        assert part.fold == pytest.approx(fold_by_hand(alone, source, target))


def test_a_batch_without_controls_is_left_out_and_counted() -> None:
    labels, (source, target) = toy_cells().labels, edge()
    batch = np.where(np.arange(len(labels)) % 2 == 0, "a", "b").astype(object)
    batch[(labels == keys.CONTROL) & (batch == "b")] = "a"
    cells = with_columns(batch=batch)
    made = PartedCells.of(cells)
    assert made is not None
    found = made.of_edge(source, target)
    assert [[part.name for part in one.parts] for one in found] in ([["a"]], [["a", "b"]])
    compared = next(one for one in found if one.kind == keys.BATCH)
    assert compared.whole.cells == sum(part.cells for part in compared.parts)


def test_small_guides_are_left_out() -> None:
    number, (source, target) = guides(("g1", "g2")), edge()
    rows = np.flatnonzero((toy_cells().labels == source) & toy_cells().passing)
    number[rows[: FEWEST_CELLS - 1]] = f"{source}g9"
    found = of_kind(with_columns(guide=number), keys.GUIDE, source, target)
    assert f"{source}g9" not in [part.name for part in found.parts]
    assert found.small == 1
    assert "1 guide with too few cells left out" in parts_in_words(found)


def test_what_was_not_measured_has_no_parts() -> None:
    made = PartedCells.of(with_columns(guide=guides()))
    assert made is not None
    assert made.of_edge(edge()[0], "NOSUCH") == ()
    assert made.of_edge("NOSUCH", edge()[1]) == ()


# Do they agree? ---------------------------------------------------------------------------------------------


def test_cochran_is_the_chi_square_of_weighted_squares() -> None:
    effect, variance = np.array([0.1, 0.4, -0.2]), np.array([0.1, 0.2, 0.05])
    mean = np.average(effect, weights=1 / variance)
    q = float(((effect - mean) ** 2 / variance).sum())
    assert cochran(effect, variance) == pytest.approx(stats.chi2.sf(q, 2))
    assert cochran(np.full(4, 0.3), np.full(4, 0.1)) == pytest.approx(1.0)


def shifted(share: float) -> PreparedCells:
    """Cells of guide g2 of the source count the target as often as `share` of what they did, plus some."""
    number, (source, target) = guides(), edge()
    cells = with_columns(guide=number)
    made = cells.cells
    counts = made.X.tolil()
    random = np.random.default_rng(0)
    column = made.var_names.get_loc(target)
    for row in np.flatnonzero(cells.labels == source):
        own = share if number[row] == f"{source}g2" else 1.0
        counts[row, column] = random.poisson(20 * own)
    made.X = counts.tocsr()
    return replace(cells, cells=made)


def test_one_guide_that_tells_something_else_is_named() -> None:
    source, target = edge()
    same = of_kind(shifted(1.0), keys.GUIDE, source, target)
    assert not same.disagree
    assert parts_in_words(same).startswith("The 3 guides agree")
    found = of_kind(shifted(6.0), keys.GUIDE, source, target)
    assert found.disagree
    assert found.odd is not None
    assert found.parts[found.odd].name == f"{source}g2"
    assert "One of 3 guides" in parts_in_words(found)
    assert f"{source}g2" in parts_in_words(found)


def test_the_test_holds_its_level_where_guides_differ_by_chance_alone() -> None:
    source, _ = edge()
    random, labels, p = np.random.default_rng(1), toy_cells().labels, []
    rows = np.flatnonzero(labels == source)
    for _ in range(12):
        number = guides()
        number[rows] = random.permutation(number[rows])
        made = PartedCells.of(with_columns(guide=number))
        assert made is not None
        for target in made.columns:
            p += [one.p for one in made.of_edge(source, target) if one.p is not None]
    share = (np.array(p) < 0.05).mean()
    assert len(p) > 100
    assert share < 0.1


def part(name: str, fold: float, error: float) -> Part:
    return Part(name, 50, fold, fold - 2 * error, fold + 2 * error)


@pytest.mark.parametrize(
    ("folds", "p", "odd", "expected"),
    [
        ((-1.0, -1.1, 0.0), 1e-4, 2, "One of 3 guides disagrees: g2 shows no clear effect"),
        ((-1.0, -1.1, 0.9), 1e-4, 2, "One of 3 guides disagrees: g2 shows the opposite"),
        ((-1.0, -1.1, -0.4), 1e-4, 2, "One of 3 guides stands out: g2 shows a weaker effect"),
        ((-1.0, -1.1, -2.4), 1e-4, 2, "One of 3 guides stands out: g2 shows a stronger effect"),
        ((-1.0, -1.1, -0.9), 0.6, None, "The 3 guides agree: they differ no more than by chance (p 0.6)"),
        ((-2.0, -1.1, -0.4), 1e-4, None, "from -2.00 to -0.40, all in the same direction"),
        ((-2.0, 0.0, 0.8), 1e-4, None, "no clear effect of the common sign in 2 of them (g1, g2)"),
    ],
)
def test_words(folds: tuple[float, ...], p: float, odd: int | None, expected: str) -> None:
    parts = tuple(part(f"g{k}", fold, 0.1) for k, fold in enumerate(folds))
    assert expected in parts_in_words(Parts(keys.GUIDE, parts, part("all", -1.0, 0.05), 0, p, odd))


def test_words_of_a_single_part() -> None:
    found = Parts(keys.BATCH, (part("b1", -1.0, 0.1),), part("all", -1.0, 0.1), 2, None, None)
    assert parts_in_words(found) == (
        "All that can be compared is one batch, b1. 2 batches with too few cells left out."
    )
