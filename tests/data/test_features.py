"""Columns that are no genes are left out of genes and library sizes, and guides are kept for calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.features import only_genes
from gpovae_core.data.read import read_cells
from gpovae_core.data.validate import examine
from tests.data.small import GENES, small_cells

GUIDES = ["GENE03_g1", "GENE11_g1", "non-targeting_g1"]


def with_features(
    names: list[str] = GUIDES,
    kind: str | None = "CRISPR Guide Capture",
    column: str = "feature_types",
    gene: str = "Gene Expression",
) -> AnnData:
    """small_cells with further columns of 100 counts each."""
    cells = small_cells()
    more = np.full((cells.n_obs, len(names)), 100.0, dtype=np.float32)
    var = pd.DataFrame(index=[*cells.var_names, *names])
    if kind is not None:
        var[column] = pd.Categorical([gene] * cells.n_vars + [kind] * len(names))
    return AnnData(sparse.hstack([cells.X, more], format="csr"), obs=cells.obs, var=var)


TOLD = [
    ("feature_types", "Gene Expression", "CRISPR Guide Capture"),
    ("feature_types", "Gene Expression", "Custom"),
    ("feature_type", "gene expression", "Antibody Capture"),
    ("Feature.Type", "Gene_Expression", "Multiplexing Capture"),
    ("modality", "rna", "gdo"),
    ("modality", "RNA", "protein"),
    ("feature_biotype", "gene", "spike-in"),
    ("type", "gene", "guide"),
]


@pytest.mark.parametrize(("column", "gene", "kind"), TOLD)
def test_features_of_another_type_are_no_genes(column: str, gene: str, kind: str) -> None:
    cells = with_features(["a", "b"], kind, column, gene)
    examination = examine(cells, DataSettings())
    reading = examination.reading
    assert reading is not None
    assert list(reading.genes) == sorted(GENES)
    assert reading.counts.sum() == small_cells().X.sum()
    (decision,) = (one for one in examination.decisions if one.about == "Left out of the genes")
    assert f"2 of type {kind} (a, b)" in decision.taken
    assert any(kind in note for note in examination.summary["notes"])


@pytest.mark.parametrize(
    "names",
    [
        GUIDES,
        ["sgGENE03", "sgGENE11", "NTC"],
        ["GENE03-sg2", "GENE11_sgRNA1"],
        ["GENE03_ACGTACGTACGTACGTACGT"],
        ["GENE03-1", "GENE11-2", "non-targeting-1"],
        ["CD3_TotalSeqB", "ADT_CD4"],
        ["CD3-TotalA", "prot_CD4", "AB_CD19", "anti-CD8"],
        ["Hashtag1", "HTO-2", "ERCC-00012"],
    ],
)
def test_without_a_column_names_that_no_gene_has_tell(names: list[str]) -> None:
    cells, found = only_genes(with_features(names, None))
    assert list(cells.var_names) == list(GENES)
    assert found.count == len(names)


@pytest.mark.parametrize(
    "names", [["HLA-A", "NKX2-1"], ["GENE03-1"], ["SGK1", "K1"], ["NT5E", "GNAT1", "NAT1"]]
)
def test_genes_stay_genes(names: list[str]) -> None:
    given = with_features(names, None)
    assert only_genes(given)[0] is given


def test_a_column_of_biotypes_says_nothing() -> None:
    given = with_features(["a"], "lncRNA", "gene_type", "protein_coding")
    assert only_genes(given)[0] is given


def test_guides_are_kept_for_calls_and_the_source_is_not_changed() -> None:
    given = with_features()
    cells, _ = only_genes(given)
    umis = cells.obsm[keys.GUIDE_UMIS]
    assert list(umis.columns) == GUIDES
    assert list(umis.index) == list(given.obs_names)
    assert (umis.to_numpy() == 100).all()
    assert given.n_vars == 33
    assert keys.GUIDE_UMIS not in given.obsm
    assert only_genes(cells)[0] is cells


def test_raw_and_layers_lose_them_too() -> None:
    given = with_features()
    given.layers["counts"] = given.X.copy()
    given.raw = AnnData(given.X, var=pd.DataFrame(index=given.var_names))
    cells, _ = only_genes(given)
    assert cells.layers["counts"].shape[1] == 30
    assert cells.raw is not None
    assert cells.raw.shape[1] == 30


def test_counts_in_a_file_lose_them_as_they_are_read(tmp_path: Any, monkeypatch: Any) -> None:
    with_features().write_h5ad(tmp_path / "cells.h5ad")
    monkeypatch.setattr("gpovae_core.data.backed.HELD", 100)
    backed = read_cells(tmp_path / "cells.h5ad")
    cells, _ = only_genes(backed)
    assert (cells.obsm[keys.GUIDE_UMIS].to_numpy() == 100).all()
    examination = examine(backed, DataSettings())
    reading = examination.reading
    assert reading is not None
    want = small_cells()[list(reading.labels.index), list(reading.genes)].X
    assert (reading.counts[np.arange(len(reading.labels))] != want).nnz == 0


@pytest.mark.parametrize("control", ["sgNT", "NT_CCGTTGCATGCATGCATGCA", "neg_ctrl_3", "non-targeting-2"])
def test_a_control_guide_beside_guides_of_genes_is_no_gene(control: str) -> None:
    cells = with_features(["GENE03_sg1", "GENE11_sg1", control], kind=None)
    assert list(only_genes(cells)[0].var_names) == list(small_cells().var_names)


@pytest.mark.parametrize("kind", ["Peaks", "Custom", "Antibody Capture"])
@pytest.mark.parametrize("column", ["feature_types", "type", "modality"])
def test_beside_gene_expression_any_other_type_is_no_gene(column: str, kind: str) -> None:
    cells = small_cells()
    cells.var[column] = [kind] * 3 + ["Gene Expression"] * (cells.n_vars - 3)
    found = examine(cells, DataSettings())
    assert found.summary["genes"] == cells.n_vars - 3
    kept = examine(cells, DataSettings(other_features="keep"))
    assert kept.summary["genes"] == cells.n_vars
    assert [d.about for d in kept.decisions if d.setting == "other_features"] == ["Kept as genes"]
