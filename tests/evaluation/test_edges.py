from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest

from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.edges import check_edge_table, chosen_edges, edge_weights, read_edge_table

PANEL = Panel(
    PanelData(perturbed=("JAK2", "NA", "STAT1"), extended=("IRF1", "UBE2L6"), measured=("IRF1", "STAT1"))
)


def read(tmp_path, text: str | bytes) -> pd.DataFrame:
    path = tmp_path / "edges.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_edge_table(path)


def test_reads_names_weights_and_leaves_other_columns(tmp_path):
    got = read(tmp_path, "source,target,weight,sign\nSTAT1, IRF1 ,0.9,+\nJAK2,STAT1,1e-3,-\n")
    assert list(got.columns) == ["source", "target", "weight"]
    assert got.values.tolist() == [["STAT1", "IRF1", 0.9], ["JAK2", "STAT1", 0.001]]


@pytest.mark.parametrize(
    "text",
    ["source\ttarget\nSTAT1\tIRF1\n", "\ufeffsource,target\r\nSTAT1,IRF1\r\n", "Target,Source\nIRF1,STAT1\n"],
)
def test_tabs_a_byte_order_mark_and_capitals_do_not_matter(tmp_path, text):
    assert read(tmp_path, text).values.tolist() == [["STAT1", "IRF1"]]


@pytest.mark.parametrize(
    "text",
    [
        "source;target;weight\nSTAT1;IRF1;0,5\n",
        "source|target|weight\nSTAT1|IRF1|0.5\n",
        "# run: x\n# note: a, b\nsource\ttarget\tweight\nSTAT1\tIRF1\t0.5\n",
        "#source\ttarget\tweight\nSTAT1\tIRF1\t0.5\n",
    ],
)
def test_any_separator_packed_or_not(tmp_path, text):
    expected = [["STAT1", "IRF1", 0.5]]
    assert read(tmp_path, text).values.tolist() == expected
    assert read(tmp_path, gzip.compress(text.encode())).values.tolist() == expected


def test_a_gene_called_na_is_a_gene(tmp_path):
    assert read(tmp_path, "source,target\nNA,IRF1\n")["source"].tolist() == ["NA"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("from,to\nSTAT1,IRF1\n", ["no column source and no column target", "from, to"]),
        ("source,weight\nSTAT1,1\n", ["no column target"]),
        ("source,target,Source\nA,B,C\n", ["the column source more than once"]),
        ("source,target\n", ["no edges"]),
        ("source,target\nSTAT1," + "x" * 200_000 + "\n", ["not a table that can be read"]),
        ("", ["empty"]),
        (b"\x89HDF\r\n\x1a\n\x00\xff\xfe", ["not a text file"]),
        ("source,target\nSTAT1,IRF1,0.5,7\nJAK2\n", ["more or fewer than the 2 fields", "line 2", "line 3"]),
        ("source,target\nSTAT1,\n,IRF1\n", ["empty source or target", "line 2", "line 3"]),
        (
            "source,target,weight\nSTAT1,IRF1,strong\nJAK2,IRF1,0.5\nJAK2,STAT1,\n",
            ["line 2", "'strong'", "line 4"],
        ),
        ("source,target,weight\nSTAT1,IRF1,0,5\n", ["more or fewer than the 3 fields", "line 2"]),
        ("source,target\n\nSTAT1,IRF1\n\nJAK2,\n", ["empty source or target: line 5."]),
        ("source,target,weight\nSTAT1,IRF1,inf\n", ["not a number"]),
        ("source,target\nSTAT1,IRF1\nJAK2,IRF1\nSTAT1,IRF1\n", ["more than once", "line 4", "STAT1 -> IRF1"]),
    ],
)
def test_says_what_is_wrong(tmp_path, text, words):
    with pytest.raises(QueryError) as error:
        read(tmp_path, text)
    for word in words:
        assert word in str(error.value)


def test_says_what_is_missing(tmp_path):
    with pytest.raises(QueryError, match="no edge table"):
        read_edge_table(tmp_path / "nowhere.csv")
    with pytest.raises(QueryError, match="cannot be read"):
        read_edge_table(tmp_path)


def test_many_bad_lines_are_counted_not_all_spelled_out():
    with pytest.raises(QueryError, match="and 15 more"):
        check_edge_table(pd.DataFrame({"source": [""] * 20, "target": ["IRF1"] * 20}))


def test_weights_by_name_in_panel_order():
    weights = edge_weights(
        PANEL,
        check_edge_table(
            pd.DataFrame({"source": ["stat1", "JAK2"], "target": ["IRF1", "NA"], "weight": [0.2, 3]})
        ),
    )
    assert weights[2, 3] == 0.2
    assert weights[0, 1] == 3
    assert np.isnan(weights).sum() == 23
    assert edge_weights(PANEL, pd.DataFrame({"source": ["JAK2"], "target": ["STAT1"]}))[0, 2] == 1.0


def test_unknown_genes_are_all_listed_with_the_nearest_names():
    edges = pd.DataFrame({"source": ["STAT11", "JAK2"], "target": ["IRF1", "XYZ"]})
    with pytest.raises(QueryError) as error:
        edge_weights(PANEL, edges)
    assert "2 of the genes" in str(error.value)
    assert "'STAT11'" in str(error.value)
    assert "Did you mean STAT1" in str(error.value)
    assert "'XYZ'" in str(error.value)
    many = pd.DataFrame({"source": [f"NOGENE{i}" for i in range(9)], "target": ["IRF1"] * 9})
    with pytest.raises(QueryError, match="Also unknown: NOGENE5, NOGENE6, NOGENE7, NOGENE8"):
        edge_weights(PANEL, many)


def test_one_edge_in_two_spellings():
    with pytest.raises(QueryError, match="two spellings"):
        edge_weights(PANEL, pd.DataFrame({"source": ["STAT1", "stat1"], "target": ["IRF1", "IRF1"]}))


@pytest.mark.parametrize(
    ("values", "threshold", "count", "used"),
    [
        ([0.2, 0.9], None, 1, 0.5),  # may be probabilities: the run's threshold
        ([0.2, 0.9], 0.1, 2, 0.1),
        ([0.5, 1.0], None, 1, 0.5),  # above, not at
        ([0.2, 30.0], None, 2, None),  # another scale: no natural cut
        ([-0.7, 0.4], None, 2, None),
        ([0.2, 30.0], 5.0, 1, 5.0),
    ],
)
def test_which_edges_count(values, threshold, count, used):
    weights = np.full((3, 3), np.nan)
    weights[0, 1], weights[1, 2] = values
    edges, cut = chosen_edges(weights, threshold, 0.5)
    assert edges.sum() == count
    assert cut == used
    assert not edges[np.isnan(weights)].any()
