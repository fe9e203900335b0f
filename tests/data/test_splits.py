from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.design.find import Design
from gpovae_core.data.splits import split_by_cells, split_cells, split_sizes
from gpovae_core.errors import SettingsError


def _labels(**sizes: int) -> pd.Series:
    names = np.repeat(
        np.array([name.replace("_", "+") for name in sizes], dtype=object), list(sizes.values())
    )
    return pd.Series(names, index=[f"cell{i:05d}" for i in range(len(names))])


LABELS = _labels(control=500, A=100, B=250, A_B=75, C=3)


def _shares(labels: pd.Series, splits: pd.Series) -> pd.DataFrame:
    return pd.crosstab(labels.to_numpy(), splits.to_numpy())


def test_every_perturbation_is_split_64_16_20() -> None:
    table = _shares(LABELS, split_cells(LABELS, DataSettings()))
    assert table.loc["control"].to_dict() == {keys.TEST: 100, keys.TRAIN: 320, keys.VALIDATION: 80}
    assert table.loc["A"].to_dict() == {keys.TEST: 20, keys.TRAIN: 64, keys.VALIDATION: 16}
    assert table.loc["C"].to_dict() == {keys.TEST: 1, keys.TRAIN: 1, keys.VALIDATION: 1}


@given(st.integers(3, 5000), st.floats(0.01, 0.98), st.floats(0.01, 0.98))
def test_every_part_gets_a_cell(n: int, train: float, validation: float) -> None:
    first, second = split_sizes(n, train, validation * (1 - train))
    assert min(first, second, n - first - second) >= 1


def test_two_cells_cannot_be_split() -> None:
    with pytest.raises(ValueError, match="at least 3"):
        split_sizes(2, 0.64, 0.16)


def test_the_order_of_the_rows_does_not_matter() -> None:
    shuffled = LABELS.sample(frac=1, random_state=3)
    expected = split_cells(LABELS, DataSettings())
    pd.testing.assert_series_equal(split_cells(shuffled, DataSettings()).reindex(LABELS.index), expected)


def test_other_perturbations_do_not_matter() -> None:
    fewer = LABELS[LABELS != "B"]
    pd.testing.assert_series_equal(
        split_cells(fewer, DataSettings()), split_cells(LABELS, DataSettings())[fewer.index]
    )


def test_the_seed_matters() -> None:
    assert (split_cells(LABELS, DataSettings(seed=1)) != split_cells(LABELS, DataSettings(seed=2))).any()
    pd.testing.assert_series_equal(
        split_cells(LABELS, DataSettings(seed=1)), split_cells(LABELS, DataSettings(seed=1))
    )


@pytest.mark.parametrize("name", ["A+B", "B+A", " B + A"])
def test_unseen_perturbations_go_as_a_whole_and_nothing_else_does(name: str) -> None:
    splits = split_cells(LABELS, DataSettings(unseen=(name,)))
    assert ((splits == keys.UNSEEN) == (LABELS == "A+B")).all()
    seen = LABELS != "A+B"
    pd.testing.assert_series_equal(splits[seen], split_cells(LABELS, DataSettings())[seen])


@pytest.mark.parametrize(
    ("unseen", "words"),
    [
        (("STAT1",), "'STAT1'"),
        (("a",), "Did you mean A"),
        (("control",), "'control'"),
        (("A", "B", "A+B"), "1 to train on"),
    ],
)
def test_unseen_perturbations_that_cannot_be_are_refused(unseen: tuple[str, ...], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        split_cells(LABELS, DataSettings(unseen=unseen))


def _screen(**cells: dict[str, int]) -> tuple[pd.Series, pd.Series]:
    """Labels of cells and their group. cells: perturbation -> group -> cells."""
    pairs = [(name, group) for name, own in cells.items() for group, n in own.items() for _ in range(n)]
    ids = [f"cell{i:05d}" for i in range(len(pairs))]
    labels = pd.Series([name for name, _ in pairs], index=ids, dtype=object)
    return labels, pd.Series([group for _, group in pairs], index=ids).astype("category")


def _design(part: str, values: pd.Series) -> Design:
    return Design(values={part: values})


GUIDES = _screen(
    control={"nt-1": 60, "nt-2": 40},
    A={"A-1": 40, "A-2": 30, "A-3": 30},
    B={"B-1": 50, "B-2": 3},
    C={"C-1": 30, "C-2": 20, keys.UNKNOWN: 10},
)


def test_whole_guides_are_held_out_of_every_perturbation_with_two():
    labels, guides = GUIDES
    settings, design = DataSettings(hold_out="guides"), _design(keys.GUIDE, guides)
    splits = split_cells(labels, settings, design)
    for name in ("A", "C"):
        parts = {part: set(guides[(labels == name) & (splits == part)]) for part in keys.SPLITS}
        assert parts[keys.TEST]
        assert not parts[keys.TEST] & (parts[keys.TRAIN] | parts[keys.VALIDATION])
        assert keys.UNKNOWN not in parts[keys.TEST]
        assert parts[keys.TRAIN]
        assert parts[keys.VALIDATION]
    # three cells are no guide to hold out, and controls are drawn cell by cell
    assert _shares(labels, splits).loc["B"].to_dict() == {keys.TEST: 11, keys.TRAIN: 34, keys.VALIDATION: 8}
    assert _shares(labels, splits).loc["control", keys.TEST] == 20
    assert split_by_cells(labels, splits, settings, design) == ("B",)
    assert split_by_cells(labels, splits, DataSettings(), design) == ()


def test_the_held_out_guides_come_near_to_the_share_of_the_test():
    labels, guides = _screen(control={"nt": 50}, A={f"A-{i}": 20 for i in range(10)}, B={"B-1": 95, "B-2": 5})
    splits = split_cells(labels, DataSettings(hold_out="guides"), _design(keys.GUIDE, guides))
    assert _shares(labels, splits).loc["A", keys.TEST] == 40


@pytest.mark.parametrize(("hold_out", "part"), [("donors", keys.DONOR), ("batches", keys.BATCH)])
def test_the_same_donors_are_held_out_of_all_perturbations_and_of_the_controls(hold_out: str, part: str):
    names = ("w", "x", "y", "z")
    labels, values = _screen(
        control=dict.fromkeys(names, 30), A=dict.fromkeys(names, 20), B=dict.fromkeys(names, 10)
    )
    settings, design = DataSettings(hold_out=hold_out), _design(part, values)
    splits = split_cells(labels, settings, design)
    held = set(values[splits == keys.TEST])
    assert len(held) == 1
    assert not held & set(values[splits != keys.TEST])
    assert split_by_cells(labels, splits, settings, design) == ()


def test_a_perturbation_outside_the_held_out_batches_is_split_cell_by_cell_beside_controls_of_its_own():
    labels, batches = _screen(
        control={"x": 50, "y": 50}, A={"x": 40, "y": 10}, B={"x": 30, "y": 20}, C={"x": 50}
    )
    settings, design = DataSettings(hold_out="batches"), _design(keys.BATCH, batches)
    splits = split_cells(labels, settings, design)
    assert split_by_cells(labels, splits, settings, design) == ("C",)
    assert set(batches[(labels == "A") & (splits == keys.TEST)]) == {"y"}
    controls = batches[(labels == keys.CONTROL) & (splits == keys.TEST)]
    assert (controls == "y").sum() == 50
    assert (controls == "x").sum() == 10


def test_what_cannot_be_held_out_is_said():
    labels, batches = _screen(control={"x": 50, "y": 50}, A={"x": 50}, B={"y": 50})
    with pytest.raises(SettingsError, match="none can be held out"):
        split_cells(labels, DataSettings(hold_out="batches"), _design(keys.BATCH, batches))
    with pytest.raises(SettingsError, match=r"no column of obs .* Name it with data\.donor"):
        split_cells(labels, DataSettings(hold_out="donors"), _design(keys.BATCH, batches))


@pytest.mark.parametrize("hold_out", ["guides", "batches"])
def test_neither_the_order_of_the_rows_nor_unseen_perturbations_are_held_out_groups(hold_out: str):
    labels, values = GUIDES
    part = {"guides": keys.GUIDE, "batches": keys.BATCH}[hold_out]
    if hold_out == "batches":
        labels, values = _screen(**{n: {"x": 40, "y": 40, "z": 40} for n in ("control", "A", "B", "C")})
    settings = DataSettings(hold_out=hold_out, unseen=("C",))
    first = split_cells(labels, settings, _design(part, values))
    order = np.random.default_rng(0).permutation(len(labels))
    second = split_cells(labels.iloc[order], settings, _design(part, values.iloc[order]))
    pd.testing.assert_series_equal(second.reindex(labels.index), first)
    assert set(first[labels == "C"]) == {keys.UNSEEN}
