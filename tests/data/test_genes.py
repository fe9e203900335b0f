"""Names of genes: from the index of var, or from a column where the index cannot name them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from gpovae_core.data.genes import GeneNames, described_genes, find_gene_names, restore_dates

ENSEMBL = [f"ENSG{i:011d}" for i in range(4)]
SYMBOLS = ["STAT1", "JAK2", "HLA-A", "AHR"]


def _var(index: list[Any], **columns: list[Any]) -> pd.DataFrame:
    return pd.DataFrame(columns, index=pd.Index(index))


@pytest.mark.parametrize(
    "index",
    [
        pytest.param(["0", "1", "2", "3"], id="numbers"),
        pytest.param([0, 1, 2, 3], id="whole numbers"),
        pytest.param(["chr1", "chr1", "chr2", "chr2"], id="repeated"),
        pytest.param(["", "a", "b", "c"], id="an empty one"),
        pytest.param(ENSEMBL, id="Ensembl ids"),
        pytest.param(["p1", "p2", "p3", "p4"], id="any other names"),
    ],
)
def test_a_told_column_names_the_genes_whatever_the_index_holds(index: list[Any]) -> None:
    found = find_gene_names(_var(index, called=SYMBOLS), "called")
    assert found.usable
    assert found.names == SYMBOLS
    assert found.decision is not None
    assert found.decision.taken == "column 'called' of var"


@pytest.mark.parametrize("index", [["0", "1", "2", "3"], ["a", "a", "b", "c"]])
def test_an_index_that_cannot_name_genes_is_asked_about_where_a_column_could(index: list[str]) -> None:
    found = find_gene_names(_var(index, gene_symbols=SYMBOLS), None)
    assert not found.usable
    assert "symbol_column" in found.problems[0].hint
    assert found.decision is not None
    assert found.decision.asked
    assert [option.value for option in found.decision.options] == ["gene_symbols"]
    assert not find_gene_names(_var(index), None).usable


def test_a_told_column_with_repeated_symbols_gives_every_gene_a_name_of_its_own() -> None:
    found = find_gene_names(
        _var(["chr1", "chr1", "chr2", "chr2"], s=["STAT1", "STAT1", "", "AHR"]),
        "s",
        np.array([1.0, 9.0, 1, 1]),
    )
    assert found.usable
    assert len(set(found.names)) == 4
    assert found.names[1] == "STAT1"
    assert found.names[3] == "AHR"


@pytest.mark.parametrize(
    ("index", "keeper"),
    [
        pytest.param(["ENSG00000000900", "ENSG00000000100", "ENSG00000000200"], 1, id="the lowest id"),
        pytest.param(["a", "b", "c"], 0, id="more counts where there are no ids"),
    ],
)
def test_of_genes_with_one_symbol_one_keeps_it_and_both_are_named(index: list[str], keeper: int) -> None:
    found = find_gene_names(_var(index, s=["STAT1", "STAT1", "AHR"]), "s", np.array([900.0, 20.0, 5.0]))
    assert found.names[keeper] == "STAT1"
    assert found.names[1 - keeper] == index[1 - keeper]
    (problem,) = found.problems
    assert problem.severity == "warning"
    for word in ("STAT1", index[0], index[1], "900 counts", "20 counts"):
        assert word in problem.message


def test_only_ensembl_ids_are_kept_as_ids() -> None:
    assert find_gene_names(_var(SYMBOLS, gene_id=["1", "2", "3", "4"]), None).ids == {}
    assert find_gene_names(_var(SYMBOLS, gene_id=ENSEMBL), None).ids == dict(
        zip(SYMBOLS, ENSEMBL, strict=True)
    )
    both = _var(SYMBOLS, gene_id=["1", "2", "3", "4"], ensembl_id=ENSEMBL)
    assert find_gene_names(both, None).ids["STAT1"] == ENSEMBL[0]


def test_bytes_are_decoded() -> None:
    assert find_gene_names(_var([b"STAT1", "b'JAK2'"]), None).names == ["STAT1", "JAK2"]


def test_columns_of_var_describe_the_genes_of_raw() -> None:
    var = _var(ENSEMBL[:2], feature_name=SYMBOLS[:2])
    described = described_genes(_var(ENSEMBL), var)
    assert described["feature_name"].tolist()[:2] == SYMBOLS[:2]
    assert described["feature_name"].isna().tolist()[2:] == [True, True]
    assert find_gene_names(described, None).names == [*SYMBOLS[:2], *ENSEMBL[2:]]
    other = _var(["x", "y"])
    assert described_genes(other, var) is other


@pytest.mark.parametrize(
    ("names", "words", "expected"),
    [
        (["1-Mar", "STAT1"], {"MARCH1"}, ["MARCH1", "STAT1"]),
        (["1-Mar", "2-Sep"], {"MARCHF1", "SEPT2"}, ["MARCHF1", "SEPT2"]),
        (["2-Sep", "STAT1"], {"septin2"}, ["septin2", "STAT1"]),
        (["1-Mar", "STAT1"], {"MARCH1", "MTARC1"}, ["1-Mar", "STAT1"]),
        (["1-Mar", "STAT1"], {"STAT1"}, ["1-Mar", "STAT1"]),
        (["1-Mar", "MARCH1"], {"MARCH1"}, ["1-Mar", "MARCH1"]),
    ],
)
def test_genes_named_by_dates_get_the_name_that_labels_tell(
    names: list[str], words: set[str], expected: list[str]
) -> None:
    found = restore_dates(GeneNames(names), lambda: words)
    assert found.names == expected
    warned = [problem.code for problem in found.problems]
    assert warned == (["genes-are-dates"] if any("-" in name for name in expected) else [])
