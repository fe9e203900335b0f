"""Tables of effects in the forms that the field's programs write, and in those that cannot be read right."""

from __future__ import annotations

import gzip
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

from gpovae_core.data.effect_tables.known import EffectColumns
from gpovae_core.data.effect_tables.read import holds_effects, read_effects
from gpovae_core.data.read import read_cells
from gpovae_core.errors import DataError

TARGETS = ["IRF1", "JAK2", "SPI1", "STAT1"]
GENES = [*TARGETS[:3], "B2M", "CD86", "NA", "TAP1", "UBE2L6"]  # STAT1 is perturbed and not measured
_RNG = np.random.default_rng(3)
LOG2 = np.round(_RNG.normal(size=(4, 8)), 3)
SE = np.round(_RNG.uniform(0.1, 0.5, size=(4, 8)), 3)
P = 2 * norm.sf(np.abs(LOG2 / SE))


def pairs(**columns: np.ndarray) -> pd.DataFrame:
    """A long table, one row for each pair."""
    rows, genes = np.repeat(TARGETS, 8), np.tile(GENES, 4)
    return pd.DataFrame({"perturbation": rows, "gene": genes, **{k: v.ravel() for k, v in columns.items()}})


def check(path: Path, columns: EffectColumns | None = None, tolerance: float = 1e-6):
    found = read_effects(path, columns)
    assert sorted(found.perturbations) == TARGETS
    assert sorted(found.genes) == sorted(GENES)
    rows = [TARGETS.index(name) for name in found.perturbations]
    places = [GENES.index(name) for name in found.genes]
    np.testing.assert_allclose(found.effect, LOG2[rows][:, places] * np.log(2), rtol=tolerance)
    np.testing.assert_allclose(found.error, SE[rows][:, places] * np.log(2), rtol=tolerance)
    assert found.report.unmeasured == ("STAT1",)
    return found


def as_anndata(**layers: np.ndarray) -> ad.AnnData:
    table = ad.AnnData(
        X=np.zeros((4, 8)), obs=pd.DataFrame(index=TARGETS), var=pd.DataFrame(index=GENES), layers=layers
    )
    return table


FORMS = {
    "deseq2": {
        "baseMean": np.abs(LOG2) * 100,
        "log2FoldChange": LOG2,
        "lfcSE": SE,
        "stat": LOG2 / SE,
        "pvalue": P,
        "padj": P,
    },
    "deseq2 without lfcSE": {"log2FoldChange": LOG2, "stat": LOG2 / SE, "pvalue": P, "padj": P},
    "limma": {
        "logFC": LOG2,
        "AveExpr": LOG2,
        "t": LOG2 / SE,
        "P.Value": P,
        "adj.P.Val": P,
        "B": LOG2,
    },
    "limma with intervals": {
        "logFC": LOG2,
        "CI.L": LOG2 - 1.96 * SE,
        "CI.R": LOG2 + 1.96 * SE,
        "P.Value": P,
    },
    "edgeR, quasi-likelihood": {"logFC": LOG2, "logCPM": LOG2, "F": (LOG2 / SE) ** 2, "PValue": P, "FDR": P},
    "edgeR, likelihood ratio": {"logFC": LOG2, "logCPM": LOG2, "LR": (LOG2 / SE) ** 2, "PValue": P},
    "edgeR, exact": {"logFC": LOG2, "logCPM": LOG2, "PValue": P, "FDR": P},
    "glmGamPoi": {
        "pval": P,
        "adj_pval": P,
        "f_statistic": (LOG2 / SE) ** 2,
        "df1": np.ones_like(P),
        "df2": np.ones_like(P),
        "lfc": LOG2,
    },
    "a likelihood ratio in stat": {"log2FoldChange": LOG2, "stat": (LOG2 / SE) ** 2},
    "natural": {"ln_fc": LOG2 * np.log(2), "se": SE * np.log(2)},
    "Seurat 3": {"p_val": P, "avg_logFC": LOG2 * np.log(2), "pct.1": P, "pct.2": P, "p_val_adj": P},
    "Seurat 5": {"p_val": P, "avg_log2FC": LOG2, "pct.1": P, "pct.2": P, "p_val_adj": P},
    "plain": {"log2fc": LOG2, "se": SE},
}


@pytest.mark.parametrize("form", FORMS)
def test_columns_of_the_programs(form: str, tmp_path: Path) -> None:
    table = pairs(**FORMS[form])
    for name, write in {
        "t.csv": lambda path: table.to_csv(path, index=False),
        "t.tsv.gz": lambda path: table.to_csv(path, sep="\t", index=False),
        "t.parquet": lambda path: table.to_parquet(path),
    }.items():
        write(tmp_path / name)
        assert holds_effects(tmp_path / name)
        found = check(tmp_path / name)
        assert found.report.unit == ("ln" if form in ("natural", "Seurat 3") else "log2")
        assert (found.report.pairs, found.report.missing) == (32, 0)


def test_mast_needs_its_unit_and_keeps_the_rows_of_the_fold_change(tmp_path: Path) -> None:
    table = pairs(coef=LOG2, z=LOG2 / SE, **{"ci.hi": LOG2 + 1.96 * SE, "ci.lo": LOG2 - 1.96 * SE})
    table = table.rename(columns={"perturbation": "contrast", "gene": "primerid"}).assign(component="logFC")
    discrete = table.assign(component="D", coef=9.0)
    hurdle = table.assign(component="H", coef=np.nan).assign(**{"Pr(>Chisq)": 0.5})
    path = tmp_path / "mast.csv"
    pd.concat([table, discrete, hurdle]).to_csv(path, index=False)
    with pytest.raises(DataError, match=r"Set effects\.unit to log2 or ln"):
        read_effects(path)
    check(path, EffectColumns(unit="log2"))


def test_scanpy(tmp_path: Path) -> None:
    table = pairs(scores=LOG2 / SE, logfoldchanges=LOG2, pvals=P, pvals_adj=P)
    table.rename(columns={"perturbation": "group", "gene": "names"}).to_csv(tmp_path / "t.csv")
    found = check(tmp_path / "t.csv")
    assert any("approximate" in note for note in found.report.notes)


def test_perturbation_and_gene_are_told_apart_by_what_they_hold(tmp_path: Path) -> None:
    table = pairs(log2fc=LOG2, se=SE).rename(columns={"perturbation": "target_gene", "gene": "symbol"})
    table["gene_id"] = [f"ENSG{i % 8:011d}" for i in range(32)]
    table["condition"] = "stimulated"
    table[["gene_id", "condition", "symbol", "target_gene", "log2fc", "se"]].to_csv(tmp_path / "t.csv")
    found = check(tmp_path / "t.csv")
    assert (found.report.perturbation_from, found.report.gene_from) == ("target_gene", "symbol")
    table.rename(columns={"target_gene": "source", "symbol": "target"}).to_csv(tmp_path / "u.csv")
    check(tmp_path / "u.csv")


@pytest.mark.parametrize("perturbed", ["gene", "target"])
def test_of_a_gene_and_a_target_the_one_with_fewer_names_was_perturbed(
    perturbed: str, tmp_path: Path
) -> None:
    measured = {"gene": "target", "target": "gene"}[perturbed]
    table = pairs(log2fc=LOG2, se=SE).rename(columns={"perturbation": "p", "gene": "g"})
    table.rename(columns={"p": perturbed, "g": measured}).to_csv(tmp_path / "t.csv", index=False)
    found = check(tmp_path / "t.csv")
    assert (found.report.perturbation_from, found.report.gene_from) == (perturbed, measured)


def test_european_tables_and_tables_of_r(tmp_path: Path) -> None:
    table = pairs(log2fc=LOG2, se=SE)
    table.to_csv(tmp_path / "t.csv", sep=";", decimal=",", index=False)
    check(tmp_path / "t.csv")
    text = table.to_csv(sep="\t", quoting=2)  # as write.table writes it: no name above the row names
    (tmp_path / "r.txt").write_text(text.replace('""\t', "", 1))
    check(tmp_path / "r.txt")
    (tmp_path / "remarks.tsv").write_text("# made by us\n#\n" + table.to_csv(sep="\t", index=False))
    check(tmp_path / "remarks.tsv")


@pytest.mark.parametrize(
    "layers",
    [
        {"log2fc": LOG2, "se": SE},
        {"lfc": LOG2, "lfcSE": SE},
        {"logFC": LOG2, "stat": LOG2 / SE},
        {"lnFC": LOG2 * np.log(2), "SE": SE * np.log(2)},
        {"log2FoldChange": LOG2, "pvalue": P},
    ],
    ids=lambda layers: ",".join(layers),
)
def test_anndata_with_layers(layers: dict[str, np.ndarray], tmp_path: Path) -> None:
    as_anndata(**layers).write_h5ad(tmp_path / "t.h5ad")
    assert holds_effects(tmp_path / "t.h5ad")
    check(tmp_path / "t.h5ad")


def test_anndata_with_ids_and_with_effects_in_x(tmp_path: Path) -> None:
    table = as_anndata(se=SE)
    table.X = LOG2
    table.obs = pd.DataFrame({"perturbed_gene": TARGETS}, index=list("abcd"))
    table.var = pd.DataFrame({"gene_symbol": GENES}, index=[f"ENSG{i:011d}" for i in range(8)])
    table.write_h5ad(tmp_path / "t.h5ad")
    with pytest.raises(DataError, match="'X' holds log2"):
        read_effects(tmp_path / "t.h5ad")
    found = check(tmp_path / "t.h5ad", EffectColumns(unit="log2"))
    assert (found.report.perturbation_from, found.report.gene_from) == (
        "perturbed_gene of obs",
        "gene_symbol of var",
    )


@pytest.mark.parametrize("name", ["{}.csv", "DESeq2_{}_vs_NT.csv", "{}.results.tsv.gz"])
def test_a_folder_with_a_table_for_each_perturbation(name: str, tmp_path: Path) -> None:
    for i, target in enumerate(TARGETS):
        table = pd.DataFrame({"log2FoldChange": LOG2[i], "lfcSE": SE[i]}, index=GENES)
        table.to_csv(tmp_path / name.format(target), sep="\t" if "tsv" in name else ",")
    assert holds_effects(tmp_path)
    found = check(tmp_path)
    assert found.report.form == "a folder of tables"


def test_labels_of_contrasts_controls_and_combinations(tmp_path: Path) -> None:
    table = pairs(log2fc=LOG2, se=SE)
    labels = {"IRF1": "IRF1_vs_NT", "JAK2": "jak2 KO", "SPI1": "shSPI1", "STAT1": "STAT1 - control"}
    table["perturbation"] = table["perturbation"].map(labels)
    more = table[table["perturbation"] == "IRF1_vs_NT"]
    table = pd.concat(
        [table, more.assign(perturbation="non-targeting"), more.assign(perturbation="IRF1+JAK2")]
    )
    table.to_csv(tmp_path / "t.csv", index=False)
    found = check(tmp_path / "t.csv")
    assert found.report.null_rows == ("non-targeting",)
    np.testing.assert_allclose(found.null[0], (LOG2 / SE)[0], rtol=1e-6)
    assert any("combinations are left out" in note and "IRF1+JAK2" in note for note in found.report.notes)
    assert any("jak2 KO as JAK2" in note for note in found.report.notes)


@pytest.mark.parametrize(
    "form", ["{}_P1P2", "{}.guide2", "CRISPRi_{}", "{}_ENSG00000123456", "{}_ACGTACGTACGT"]
)
def test_targets_are_read_as_labels_are(form: str, tmp_path: Path) -> None:
    table = pairs(log2fc=LOG2, se=SE)
    table["perturbation"] = [form.format(label) for label in table["perturbation"]]
    table.to_csv(tmp_path / "t.csv", index=False)
    check(tmp_path / "t.csv")


def test_targets_near_to_measured_genes_are_refused_with_these(tmp_path: Path) -> None:
    table = pairs(log2fc=LOG2, se=SE)
    table["perturbation"] = "d" + table["perturbation"]
    assert "dIRF1 (IRF1?)" in refused(table, tmp_path)
    table["perturbation"] = table["perturbation"].map(lambda label: label[1:]).replace("JAK2", "STAT1_JAK2")
    found = read_effects(_written(table, tmp_path))
    assert found.perturbations == ("IRF1", "SPI1", "STAT1")
    assert any("combinations are left out" in note for note in found.report.notes)


def _written(table: pd.DataFrame, tmp_path: Path) -> Path:
    table.to_csv(tmp_path / "t.csv", index=False)
    return tmp_path / "t.csv"


def test_missing_pairs_are_not_measured(tmp_path: Path) -> None:
    table = pairs(log2fc=LOG2, se=SE)
    table.loc[0, "log2fc"], table.loc[1, "se"], table.loc[2, "se"] = np.nan, np.nan, 0.0
    table = table.drop(index=9)
    table.to_csv(tmp_path / "t.csv", index=False, na_rep="NA")
    found = read_effects(tmp_path / "t.csv")
    assert (found.report.pairs, found.report.missing) == (28, 4)
    at = found.genes.index(GENES[0])
    assert np.isinf(found.error[found.perturbations.index("IRF1"), at])
    assert found.effect[found.perturbations.index("IRF1"), at] == 0


def refused(table: pd.DataFrame, tmp_path: Path, columns: EffectColumns | None = None) -> str:
    table.to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(DataError) as error:
        read_effects(tmp_path / "t.csv", columns)
    return str(error.value)


def test_what_cannot_be_read_is_refused_in_words(tmp_path: Path) -> None:
    good = pairs(log2fc=LOG2, se=SE)
    assert "no standard errors" in refused(good.drop(columns="se"), tmp_path)
    adjusted = good.drop(columns="se").assign(padj=0.1)
    assert "adjusted p value does not give back" in refused(adjusted, tmp_path)
    assert "Set effects.unit to log2 or ln" in refused(good.rename(columns={"log2fc": "beta"}), tmp_path)
    assert "is not a logarithm" in refused(good.rename(columns={"log2fc": "fold_change"}), tmp_path)
    assert "no effect in log2fc is negative" in refused(good.assign(log2fc=np.exp2(good.log2fc)), tmp_path)
    assert "standard errors are negative" in refused(good.assign(se=-good.se), tmp_path)
    twice = refused(pd.concat([good, good.iloc[[3]]]), tmp_path)
    assert "more than once: IRF1 -> B2M (line 34)" in twice
    assert "only IRF1" in refused(good[good.perturbation == "IRF1"], tmp_path)
    assert "has no column that names the perturbed gene" in refused(
        good.drop(columns="perturbation"), tmp_path
    )
    assert "has no column that names the measured gene" in refused(good.drop(columns="gene"), tmp_path)
    alone = good.drop(columns="perturbation").rename(columns={"gene": "target"})
    assert "has no column that names the perturbed gene" in refused(alone, tmp_path)
    assert "1 rows have no name in the column gene (line 6)" in refused(
        good.assign(gene=[*good.gene[:4], "", *good.gene[5:]]), tmp_path
    )
    strange = good.astype({"se": object})
    strange.loc[2, "se"] = "tiny"
    assert "'tiny' in line 4" in refused(strange, tmp_path)
    ids = good.assign(gene=[f"ENSG{i % 8:011d}" for i in range(32)])
    assert "none of the 4 perturbed genes" in refused(ids, tmp_path)
    guides = pd.concat([good.assign(perturbation=good.perturbation + end) for end in ("_g1", "_g2")])
    assert "several rows of effects for one perturbed gene (IRF1: IRF1_g1, IRF1_g2" in refused(
        guides, tmp_path
    )
    assert "no column or layer 'nothing'" in refused(good, tmp_path, EffectColumns(error="nothing"))
    assert "has no rows" in refused(good.iloc[:0], tmp_path)
    assert "values outside 0 to 1" in refused(good.drop(columns="se").assign(pvalue=3.0), tmp_path)


def test_files_that_are_no_effects(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="There is no file"):
        read_effects(tmp_path / "nowhere.csv")
    for name, content in {
        "empty.csv": b"",
        "picture.csv": b"\x89PNG\r\n\x1a\n\x00\xff",
        "torn.csv.gz": gzip.compress(b"gene,log2fc\n" * 100)[:-9],
        "cells.h5ad": b"\x89HDF\r\n\x1a\n1234",
        "torn.parquet": b"PAR1234",
    }.items():
        (tmp_path / name).write_bytes(content)
        assert not holds_effects(tmp_path / name)
        with pytest.raises(DataError):
            read_effects(tmp_path / name)
    twice = as_anndata(log2fc=LOG2, se=SE)
    twice.obs_names = ["JAK2", "JAK2", "SPI1", "STAT1"]
    twice.write_h5ad(tmp_path / "twice.h5ad")
    with pytest.raises(DataError, match="same perturbation more than once: JAK2"):
        read_effects(tmp_path / "twice.h5ad")
    names = [f"G{i}" for i in range(30)]
    turned = ad.AnnData(
        X=None,
        obs=pd.DataFrame(index=names),
        var=pd.DataFrame(index=names[:4]),
        layers={"log2fc": np.ones((30, 4)), "se": np.ones((30, 4))},
    )
    turned.write_h5ad(tmp_path / "turned.h5ad")
    with pytest.raises(DataError, match="genes were the rows"):
        read_effects(tmp_path / "turned.h5ad")


def test_cells_are_no_effects(tmp_path: Path) -> None:
    cells = ad.AnnData(X=np.ones((5, 3)), layers={"counts": np.ones((5, 3))})
    cells.write_h5ad(tmp_path / "cells.h5ad")
    assert not holds_effects(tmp_path / "cells.h5ad")
    (tmp_path / "edges.csv").write_text("source,target,weight\nA,B,1\n")
    assert not holds_effects(tmp_path / "edges.csv")


@pytest.mark.parametrize("ending", [".parquet", ".h5ad"])
def test_gzip_of_a_binary_form_is_unpacked(tmp_path: Path, ending: str) -> None:
    plain = tmp_path / f"effects{ending}"
    if ending == ".parquet":
        WRITE_PACKED.to_parquet(plain)
    else:
        wide = WRITE_PACKED.pivot(index="perturbation", columns="gene", values="log2fc")
        cells = ad.AnnData(wide.to_numpy(), obs=wide[[]], var=pd.DataFrame(index=wide.columns))
        cells.layers["log2fc"], cells.layers["se"] = wide.to_numpy(), np.full(wide.shape, 0.1)
        cells.write_h5ad(plain)
    packed = tmp_path / f"packed{ending}.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    found, same = read_effects(packed), read_effects(plain)
    assert found.perturbations == same.perturbations == ("AHR", "MYC")
    np.testing.assert_array_equal(found.effect, same.effect)
    np.testing.assert_array_equal(found.error, same.error)
    assert found.report.source == packed.name
    if ending == ".parquet":
        assert holds_effects(packed)
    else:
        with pytest.raises(DataError, match="is a table of effects"):
            read_cells(packed)


WRITE_PACKED = pd.DataFrame(
    {
        "perturbation": ["AHR"] * 3 + ["MYC"] * 3,
        "gene": ["AHR", "MYC", "JUN"] * 2,
        "log2fc": [-2.0, 0.1, 0.4, 0.2, -1.5, -0.3],
        "se": [0.1] * 6,
    }
)


@pytest.mark.parametrize("column", ["cluster", "coef", "term"])
def test_markers_of_a_cluster_or_a_coefficient_are_those_of_its_gene(tmp_path: Path, column: str) -> None:
    path = tmp_path / "effects.csv"
    WRITE_PACKED.rename(columns={"perturbation": column}).to_csv(path, index=False)
    found = read_effects(path)
    assert found.perturbations == ("AHR", "MYC")
    assert found.report.perturbation_from == column


def test_columns_that_are_told_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "effects.csv"
    WRITE_PACKED.rename(columns={"perturbation": "left", "gene": "right"}).to_csv(path, index=False)
    with pytest.raises(DataError, match=r"name it by effects\.perturbation_column"):
        read_effects(path)
    found = read_effects(path, EffectColumns(perturbation="left", gene="right"))
    assert found.perturbations == ("AHR", "MYC")
    assert found.genes == ("AHR", "MYC", "JUN")
    with pytest.raises(DataError, match="no column or layer 'middle'"):
        read_effects(path, EffectColumns(perturbation="middle"))
