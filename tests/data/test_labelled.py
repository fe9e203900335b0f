"""Cells by their label."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from gpovae_core.data.labelled import cells_of

NAMES = ["control", "STAT1", "JAK2", "JAK2+STAT1", "nobody"]


@given(
    st.lists(st.tuples(st.sampled_from(NAMES[:4]), st.booleans()), max_size=30),
    st.permutations(NAMES),
    st.booleans(),
)
def test_as_comparing_with_every_name(
    cells: list[tuple[str, bool]], names: list[str], all_count: bool
) -> None:
    labels = np.array([label for label, _ in cells], dtype=object)
    kept = np.array([counts for _, counts in cells], dtype=bool)
    found = cells_of(labels, names, None if all_count else kept)
    for name, rows in zip(names, found, strict=True):
        np.testing.assert_array_equal(rows, np.flatnonzero((labels == name) & (kept | all_count)))
