"""Networks as other programs write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gpovae_core.errors import QueryError
from gpovae_core.evaluation.edges import edge_weights, read_edge_table
from tests.evaluation.conftest import EDGES, build_screen, true_network


def write(folder: Path, matrix: object, genes: str | None = "A\nB\nC\n") -> Path:
    path = folder / "DAG.npy"
    np.save(path, np.asarray(matrix), allow_pickle=True)
    if genes is not None:
        path.with_suffix(".txt").write_text(genes, encoding="utf-8")
    return path


def test_the_network_of_dcdi_is_read_row_to_column(tmp_path):
    panel = build_screen().panel
    order = sorted(panel.genes, reverse=True)
    place = [panel.index[gene] for gene in order]
    matrix = true_network(panel)[np.ix_(place, place)].astype(np.float32)
    table = read_edge_table(write(tmp_path, matrix, "\n".join(order)))
    assert set(table.itertuples(index=False, name=None)) == set(EDGES)
    np.testing.assert_array_equal(~np.isnan(edge_weights(panel, table)), true_network(panel))


def test_other_values_are_weights(tmp_path):
    table = read_edge_table(write(tmp_path, [[0, 0.25, 0], [0, 0, -2], [0, 0, 0]]))
    expected = pd.DataFrame({"source": ["A", "B"], "target": ["B", "C"], "weight": [0.25, -2.0]})
    pd.testing.assert_frame_equal(table, expected)


@pytest.mark.parametrize(
    ("matrix", "genes", "said"),
    [
        (np.eye(3), None, "'DAG.npy' holds no names: list its 3 genes.*'DAG.txt' beside it"),
        (np.eye(3), "A\nB\n", "'DAG.txt' lists 2 genes, and 'DAG.npy' has 3 rows"),
        (np.eye(3), "A\nB\nA\n", "'DAG.txt' lists 'A' more than once"),
        (np.zeros((3, 3)), "A\nB\nC\n", "lists no edges: every entry is 0"),
        (np.ones((3, 2)), "A\nB\nC\n", "holds 3 x 2 of type float64"),
        (np.ones(3), "A\nB\nC\n", "holds 3 of type"),
        (np.float64(1), "A\n", "holds a single value of type"),
        (np.full((3, 3), np.nan), "A\nB\nC\n", "no finite number"),
        (np.full((3, 3), "x"), "A\nB\nC\n", "holds 3 x 3 of type <U1"),
        (np.full((3, 3), {"a": 1}), "A\nB\nC\n", "is not a matrix that can be read"),
    ],
)
def test_what_is_no_network_is_refused_in_words(tmp_path, matrix, genes, said):
    with pytest.raises(QueryError, match=said):
        read_edge_table(write(tmp_path, matrix, genes))


@pytest.mark.parametrize("damage", [lambda b: b[:-20], lambda b: b"", lambda b: b"source,target\nA,B\n"])
def test_a_damaged_file_is_refused_in_words(tmp_path, damage):
    path = write(tmp_path, np.eye(3))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(QueryError, match="is not a matrix that can be read"):
        read_edge_table(path)


def test_a_matrix_that_is_not_there(tmp_path):
    with pytest.raises(QueryError, match="There is no matrix"):
        read_edge_table(tmp_path / "DAG.npy")
