from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.splits import split_cells, split_sizes
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
