"""Guide calls: the mixture against an independent fit, and cells of known guides in every form of file."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import io, optimize, sparse, special, stats

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.guide_targets import TargetReader, find_targets, table_of_frame
from gpovae_core.data.guides import call_guides, fit_mixture, least_umis
from gpovae_core.data.validate import Examination, examine
from tests.conftest import shared_folder
from tests.data.small import small_cells

GUIDES_EACH = 2


def guide_umis(cells: AnnData, seed: int = 0, background: float = 0.3, depth: float = 40.0) -> pd.DataFrame:
    """(n_obs, guides) UMIs: each cell has one of two guides of its label, over background of all."""
    rng = np.random.default_rng(seed)
    labels = cells.obs["perturbation"].astype(str).to_numpy()
    names = [f"{label}_g{i + 1}" for label in sorted(set(labels)) for i in range(GUIDES_EACH)]
    umis = rng.poisson(background, (len(labels), len(names)))
    for row, label in enumerate(labels):
        own = names.index(f"{label}_g{rng.integers(GUIDES_EACH) + 1}")
        umis[row, own] += 5 + rng.negative_binomial(3, 3 / (3 + depth))
    return pd.DataFrame(umis, index=cells.obs_names, columns=pd.Index(names))


def without_labels(cells: AnnData) -> AnnData:
    return AnnData(cells.X, obs=cells.obs[[]].copy(), var=cells.var)


def assert_as_drawn(found: Examination, cells: AnnData, least: float = 0.98) -> None:
    """Every cell that is used has the label it was drawn with, and nearly all are used."""
    assert found.reading is not None, [str(problem) for problem in found.problems]
    truth = cells.obs["perturbation"].astype(str).replace("non-targeting", keys.CONTROL)
    used = found.reading.labels
    assert (truth.reindex(used.index) == used).all()
    assert len(used) >= least * cells.n_obs
    assert found.reading.design.columns.guide == "guide calls"
    guides = found.reading.design.values[keys.GUIDE]
    assert len(set(guides) - {keys.UNKNOWN}) == GUIDES_EACH * truth.nunique()


def test_the_mixture_is_the_maximum_of_its_likelihood() -> None:
    rng = np.random.default_rng(3)
    umis = np.concatenate([1 + rng.poisson(0.4, 400), np.round(2 ** rng.normal(6, 1, 150)).clip(1)])
    found = fit_mixture(umis)
    assert found is not None
    x = np.log2(umis)

    def loss(values: np.ndarray) -> float:
        background, mean, sd, share = (
            np.exp(values[0]),
            values[1],
            np.exp(values[2]),
            special.expit(values[3]),
        )
        poisson = np.exp(x * np.log(background) - background) / special.gamma(x + 1)
        return -float(np.log((1 - share) * poisson + share * stats.norm.pdf(x, mean, sd)).sum())

    start = np.array([np.log(0.5), 5.0, 0.5, 0.0])
    best = optimize.minimize(loss, start, method="Nelder-Mead", options={"maxiter": 4000, "xatol": 1e-6})
    reached = np.array([np.log(found.background), found.mean, np.log(found.sd), special.logit(found.share)])
    assert loss(reached) == pytest.approx(best.fun, abs=0.05)
    np.testing.assert_allclose(reached, best.x, atol=0.03)


def test_the_threshold_is_where_the_posterior_passes_a_half() -> None:
    rng = np.random.default_rng(4)
    umis = np.concatenate([1 + rng.poisson(0.5, 500), np.round(2 ** rng.normal(7, 0.8, 200)).clip(1)])
    found = fit_mixture(umis)
    assert found is not None
    least = least_umis(found, int(umis.max()))
    below, at = found.posterior(np.array([least - 1, least]))
    assert below <= 0.5 < at


@pytest.mark.parametrize(
    "umis",
    [
        pytest.param(np.ones(300), id="ones"),
        pytest.param(1 + np.random.default_rng(0).poisson(0.3, 300), id="background alone"),
        pytest.param(1 + np.random.default_rng(1).negative_binomial(5, 0.05, 300), id="no background"),
        pytest.param(np.array([1, 40, 50]), id="few cells"),
        pytest.param(np.array([]), id="no cell"),
    ],
)
def test_one_kind_of_cells_is_not_parted(umis: np.ndarray) -> None:
    assert fit_mixture(umis) is None


def test_the_threshold_rule_is_what_it_says() -> None:
    umis = sparse.csr_matrix(np.array([[10, 0, 1], [3, 97, 0], [4, 4, 4], [2, 0, 0], [0, 0, 0]]))
    rule = DataSettings(guide_rule="threshold", guide_umis=3, guide_share=0.3)
    assert call_guides(umis, rule).called.toarray().astype(int).tolist() == [
        [1, 0, 0],
        [0, 1, 0],
        [1, 1, 1],
        [0, 0, 0],
        [0, 0, 0],
    ]


NAMES = {
    "STAT1g2": "STAT1",
    "STAT1_sg1": "STAT1",
    "stat1-3": "STAT1",
    "sgSTAT1-2": "STAT1",
    "STAT1_-_191878976.23-P1P2": "STAT1",
    "STAT1_ACGTACGTACGTACGTACGT": "STAT1",
    "ENSG00000115415.2_1": "STAT1",
    "NKX2-1_2": "NKX2-1",
    "HLA-A-3": "HLA-A",
    "CD86": "CD86",
    "MARCH8g1": "MARCH8",
    "NTg1": keys.CONTROL,
    "non-targeting_00123": keys.CONTROL,
    "safe_harbor_2": keys.CONTROL,
    "guide_17": None,
    "ACGTACGTACGTACGTACGT": None,
}


@pytest.mark.parametrize(("guide", "target"), NAMES.items())
def test_a_guide_is_named_by_its_target(guide: str, target: str | None) -> None:
    reader = TargetReader({"STAT1", "NKX2-1", "HLA-A", "CD86"}, {"STAT1": "ENSG00000115415"})
    assert reader.from_name(guide) == target


def test_numbers_of_genes_are_not_numbers_of_guides() -> None:
    reader = TargetReader({"STAT1"}, {})
    found = find_targets(["STAT1", "NKX2-1", "TIM-3", "LAG3", "NTC"], None, reader).targets
    assert found["NKX2-1"] == ("NKX2-1",)
    assert found["LAG3"] == ("LAG3",)
    assert found["NTC"] == ()


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(pd.DataFrame({"guide": ["a", "b", "c"], "target": ["G1", "G2", "NTC"]}), id="plain"),
        pytest.param(
            pd.DataFrame(
                {
                    "id": ["a", "b", "c"],
                    "name": ["a", "b", "c"],
                    "sequence": ["AC", "AG", "AT"],
                    "feature_type": "CRISPR Guide Capture",
                    "target_gene_id": ["E1", "E2", "Non-Targeting"],
                    "target_gene_name": ["G1", "G2", "Non-Targeting"],
                }
            ),
            id="feature reference of Cell Ranger",
        ),
        pytest.param(
            pd.DataFrame({"x": ["G1", "G2", "NTC"], "y": ["c9", "d", "e"]}, index=["a", "b", "c"]), id="index"
        ),
    ],
)
def test_a_table_of_targets_is_read_by_what_it_holds(frame: pd.DataFrame) -> None:
    reader = TargetReader({"G1", "G2"}, {})
    table = table_of_frame(frame, ["a", "b", "c"], reader)
    assert find_targets(["a", "b", "c"], table, reader).targets == {"a": ("G1",), "b": ("G2",), "c": ()}


def _in_obsm(cells: AnnData, umis: pd.DataFrame) -> None:
    cells.obsm[keys.GUIDE_UMIS] = umis


def _sparse_in_obsm(cells: AnnData, umis: pd.DataFrame) -> None:
    cells.obsm["sgRNA_counts"] = sparse.csr_matrix(umis.to_numpy(dtype=np.float32))
    cells.uns["sgRNA_names"] = np.array(umis.columns, dtype=object)


def _in_obsm_by_content(cells: AnnData, umis: pd.DataFrame) -> None:
    cells.obsm["my_matrix"] = umis.astype(float)
    cells.obsm["X_pca"] = np.random.default_rng(0).normal(size=(cells.n_obs, 5))


@pytest.mark.parametrize("put", [_in_obsm, _sparse_in_obsm, _in_obsm_by_content])
@pytest.mark.parametrize("rule", ["mixture", "threshold"])
def test_guides_within_the_file_of_cells(put: Any, rule: Any, tmp_path: Path) -> None:
    cells = small_cells()
    bare = without_labels(cells)
    put(bare, guide_umis(cells, background=0.1))
    bare.write_h5ad(tmp_path / "cells.h5ad")
    from gpovae_core.data.read import read_cells

    found = examine(read_cells(tmp_path / "cells.h5ad"), DataSettings(guide_rule=rule))
    assert_as_drawn(found, cells)
    assert {decision.about for decision in found.decisions} >= {"Labels", "Guide calls"}
    assert found.summary["label_column"] == "guide calls"


def test_features_that_var_calls_guides() -> None:
    cells = small_cells()
    umis = guide_umis(cells)
    var = pd.DataFrame(
        {"feature_types": ["Gene Expression"] * cells.n_vars + ["CRISPR Guide Capture"] * umis.shape[1]},
        index=[*cells.var_names, *umis.columns],
    )
    joined = AnnData(
        sparse.hstack([cells.X, sparse.csr_matrix(umis.to_numpy())], format="csr"), cells.obs[[]], var
    )
    found = examine(joined, DataSettings())
    assert found.reading is not None
    truth = cells.obs["perturbation"].astype(str).replace("non-targeting", keys.CONTROL)
    assert (truth.reindex(found.reading.labels.index) == found.reading.labels).all()


def _wide(umis: pd.DataFrame, folder: Path) -> Path:
    umis.to_csv(folder / "guides.csv")
    return folder / "guides.csv"


def _turned(umis: pd.DataFrame, folder: Path) -> Path:
    umis.T.to_csv(folder / "guides.tsv.gz", sep="\t")
    return folder / "guides.tsv.gz"


def _semicolons(umis: pd.DataFrame, folder: Path) -> Path:
    umis.to_csv(folder / "guides.csv", sep=";")
    return folder / "guides.csv"


def _long(umis: pd.DataFrame, folder: Path) -> Path:
    long = umis.rename_axis("cell").reset_index().melt("cell", var_name="guide", value_name="umi_count")
    long[long["umi_count"] > 0].to_csv(folder / "guides.txt", sep="\t", index=False)
    return folder / "guides.txt"


def _mtx(umis: pd.DataFrame, folder: Path) -> Path:
    io.mmwrite(folder / "matrix.mtx", sparse.coo_matrix(umis.to_numpy().T))
    (folder / "barcodes.tsv").write_text("\n".join(umis.index) + "\n")
    lines = [f"{name}\t{name}\tCRISPR Guide Capture" for name in umis.columns]
    (folder / "features.tsv.gz").write_bytes(gzip.compress(("\n".join(lines) + "\n").encode()))
    return folder / "matrix.mtx"


def _tenx(umis: pd.DataFrame, folder: Path) -> Path:
    by_cell = sparse.csc_matrix(umis.to_numpy().T)
    with h5py.File(folder / "guides.h5", "w") as file:
        group = file.create_group("matrix")
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(by_cell, name)
        group["shape"] = by_cell.shape
        group["barcodes"] = np.array(umis.index, dtype="S")
        group["features/id"] = group["features/name"] = np.array(umis.columns, dtype="S")
        group["features/feature_type"] = np.array(["CRISPR Guide Capture"] * umis.shape[1], dtype="S")
    return folder / "guides.h5"


def _h5ad(umis: pd.DataFrame, folder: Path) -> Path:
    other = umis.sample(frac=1, random_state=0)
    AnnData(
        sparse.csr_matrix(other.to_numpy(dtype=np.float32)),
        pd.DataFrame(index=other.index),
        pd.DataFrame({"target_gene": [name.rsplit("_", 1)[0] for name in other]}, index=other.columns),
    ).write_h5ad(folder / "guides.h5ad")
    return folder / "guides.h5ad"


@pytest.mark.parametrize("write", [_wide, _turned, _semicolons, _long, _mtx, _tenx, _h5ad])
def test_guides_in_a_file_of_their_own(write: Any, tmp_path: Path) -> None:
    cells = small_cells()
    path = write(guide_umis(cells), tmp_path)
    assert_as_drawn(examine(without_labels(cells), DataSettings(guides=str(path))), cells)


def test_barcodes_match_without_the_number_of_their_lane(tmp_path: Path) -> None:
    cells = small_cells()
    cells.obs_names = [f"{'ACGT' * 3}{i:04d}-1" for i in range(cells.n_obs)]
    umis = guide_umis(cells)
    umis.index = umis.index.str.removesuffix("-1")
    assert_as_drawn(examine(without_labels(cells), DataSettings(guides=str(_wide(umis, tmp_path)))), cells)


def test_calls_of_cell_ranger_are_taken_as_they_are(tmp_path: Path) -> None:
    cells = small_cells()
    umis = guide_umis(cells)
    labels = cells.obs["perturbation"].astype(str)
    calls = [f"{label}_g1" if i % 3 else f"{label}_g1|{label}_g2" for i, label in enumerate(labels)]
    table = {"cell_barcode": umis.index, "num_features": 1, "feature_call": calls, "num_umis": "9"}
    pd.DataFrame(table).to_csv(tmp_path / "protospacer_calls_per_cell.csv", index=False)
    found = examine(
        without_labels(cells), DataSettings(guides=str(tmp_path / "protospacer_calls_per_cell.csv"))
    )
    assert found.reading is not None
    assert len(found.reading.labels) == cells.n_obs
    assert found.summary["guide_calls"]["several guides of one gene"] > 0
    truth = labels.replace("non-targeting", keys.CONTROL)
    assert (truth.reindex(found.reading.labels.index) == found.reading.labels).all()


def test_a_table_says_what_numbered_guides_target(tmp_path: Path) -> None:
    cells = small_cells()
    umis = guide_umis(cells)
    targets = [name.rsplit("_", 1)[0] for name in umis]
    umis.columns = [f"guide_{i}" for i in range(umis.shape[1])]
    bare = without_labels(cells)
    bare.obsm["guides"] = umis
    (problem,) = [p for p in examine(bare, DataSettings()).problems if p.severity == "error"]
    assert problem.code == "guide-targets-missing"
    assert "data.guide_targets" in problem.hint
    pd.DataFrame({"sgRNA": umis.columns, "gene": targets}).to_csv(tmp_path / "targets.csv", index=False)
    assert_as_drawn(examine(bare, DataSettings(guide_targets=str(tmp_path / "targets.csv"))), cells)
    bare.uns["library"] = pd.DataFrame({"guide": umis.columns, "target": targets})
    assert_as_drawn(examine(bare, DataSettings()), cells)


def test_a_column_of_labels_is_read_unless_the_guides_are_asked_for() -> None:
    cells = small_cells()
    cells.obsm[keys.GUIDE_UMIS] = guide_umis(cells)
    found = examine(cells, DataSettings())
    assert found.summary["label_column"] == "perturbation"
    (unused,) = [decision for decision in found.decisions if decision.about == "Other labels"]
    assert "not used" in unused.taken
    (taken,) = [decision for decision in found.decisions if decision.about == "Labels"]
    assert "guide calls" in [option.value for option in taken.options]
    assert examine(cells, DataSettings(label_column="guide calls")).summary["label_column"] == "guide calls"


def test_proteins_are_no_guides() -> None:
    cells = small_cells()
    bare = without_labels(cells)
    rng = np.random.default_rng(0)
    proteins = [*cells.var_names[:8], "isotype_control"]
    bare.obsm["protein_counts"] = pd.DataFrame(
        rng.poisson(20, (cells.n_obs, len(proteins))), index=cells.obs_names, columns=pd.Index(proteins)
    )
    found = examine(bare, DataSettings())
    assert [p.code for p in found.problems if p.severity == "error"] == ["label-column-missing"]


def test_guides_of_other_cells_and_missing_files_are_said(tmp_path: Path) -> None:
    cells = small_cells()
    umis = guide_umis(cells)
    umis.index = pd.Index([f"other{i}" for i in range(len(umis))])
    codes = {
        name: [p.code for p in examine(without_labels(cells), DataSettings(guides=str(path))).problems]
        for name, path in {
            "other": _wide(umis, tmp_path),
            "gone": tmp_path / "gone.csv",
            "text": _write(tmp_path / "text.csv", "no,table\nof,numbers\n"),
            "damaged": _write(tmp_path / "damaged.h5", "no hdf5"),
        }.items()
    }
    assert codes == {
        "other": ["guides-of-other-cells"],
        "gone": ["guides-missing"],
        "text": ["guides-unreadable"],
        "damaged": ["guides-unreadable"],
    }


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def _with_infections(per_cell: int, single: int, seed: int = 0) -> AnnData:
    """Cells with `per_cell` targets each, and the last `single` of them with one of three or the control."""
    rng = np.random.default_rng(seed)
    cells = small_cells(per_label=150)
    genes = list(cells.var_names)
    guides = [f"{gene}_g1" for gene in genes] + ["NTC_1"]
    umis = rng.poisson(0.05, (cells.n_obs, len(guides)))
    for row in range(cells.n_obs):
        own = rng.choice(len(genes), per_cell, replace=False)
        if row >= cells.n_obs - single:
            own = [[0], [1], [2], [len(genes)]][row % 4]
        umis[row, own] += 10 + rng.poisson(30, len(own))
    bare = without_labels(cells)
    bare.obsm[keys.GUIDE_UMIS] = pd.DataFrame(umis, index=bare.obs_names, columns=pd.Index(guides))
    return bare


def test_a_screen_of_high_moi_is_refused_with_the_word() -> None:
    (problem,) = [
        p for p in examine(_with_infections(6, 0), DataSettings()).problems if p.severity == "error"
    ]
    assert problem.code == "high-moi"
    assert "MOI" in problem.message
    assert "low MOI" in problem.hint


def test_cells_with_few_targets_of_a_high_moi_screen_are_used_where_they_are_many() -> None:
    found = examine(_with_infections(6, 240), DataSettings())
    assert found.reading is not None
    assert set(found.reading.labels) == {"GENE00", "GENE01", "GENE02", keys.CONTROL}
    (warning,) = [p for p in found.problems if p.code == "high-moi-cells"]
    assert "MOI" in warning.message
    left = [d for d in found.reading.dropped if d.reason == "more than 2 targeted genes"]
    assert sum(d.count for d in left) == 360


def test_a_column_with_many_genes_in_each_cell_is_high_moi_too() -> None:
    cells = small_cells(per_label=100)
    rng = np.random.default_rng(0)
    many = ["+".join(sorted(rng.choice(cells.var_names, 5, replace=False))) for _ in range(300)]
    cells.obs["perturbation"] = ["control"] * 100 + many
    assert "high-moi" in {p.code for p in examine(cells, DataSettings()).problems}


def test_two_targets_are_a_pair_and_a_control_guide_beside_one_is_nothing() -> None:
    cells = small_cells(per_label=80)
    genes, rows = ["GENE03", "GENE11", "GENE20"], np.arange(cells.n_obs)
    sets = [
        ("NTC_1",),
        ("GENE03_g1",),
        ("GENE11_g1", "NTC_1"),
        ("GENE03_g2", "GENE20_g1"),
        ("GENE20_g1", "GENE20_g2"),
    ]
    names = sorted({guide for one in sets for guide in one})
    umis = np.zeros((cells.n_obs, len(names)), dtype=int)
    for row in rows:
        umis[row, [names.index(guide) for guide in sets[row % 5]]] = 30
    bare = without_labels(cells)
    bare.obsm[keys.GUIDE_UMIS] = pd.DataFrame(umis, index=bare.obs_names, columns=pd.Index(names))
    found = examine(bare, DataSettings())
    assert found.reading is not None
    truth = pd.Series(
        [[keys.CONTROL, "GENE03", "GENE11", "GENE03+GENE20", "GENE20"][i % 5] for i in rows], bare.obs_names
    )
    assert (truth.reindex(found.reading.labels.index) == found.reading.labels).all()
    assert len(found.reading.labels) == cells.n_obs
    assert found.summary["guide_calls"]["two targeted genes"] == 64
    assert found.summary["guide_calls"]["several guides of one gene"] == 64
    assert set(genes) < set(found.reading.genes)


def test_the_calls_agree_with_those_of_the_authors() -> None:
    path = shared_folder("data") / "papalexi2021_thp1_585.h5ad"
    from gpovae_core.data.read import read_cells

    cells = read_cells(path)
    found = examine(cells, DataSettings(label_column="guide calls"))
    assert found.reading is not None
    authors = cells.obs["perturbation"].astype(str).replace("non-targeting", keys.CONTROL)
    used = found.reading.labels
    assert (authors.reindex(used.index) == used).mean() > 0.99
    assert len(used) > 0.94 * cells.n_obs


@pytest.mark.parametrize(
    "form",
    [
        *("CRISPRi_{}_1", "KO_{}_2", "hg38_{}_1", "sh{}.1", "7_{}", "{}_CRISPRi_1", "{}_Brunello_4", "{}_i2"),
        *("{}-A", "{}-TSS1", "{}_P1P2_B", "{}_+_1001.23-P1P2", "{}_sg1_v2"),
    ],
)
def test_names_of_guides_are_read_as_labels_are(form: str) -> None:
    genes = ("STAT1", "NKX2-1", "HLA-A", "NOVEL3")
    reader = TargetReader(set(genes[:3]), {})
    found = find_targets([form.format(gene) for gene in genes] + ["NTC_1"], None, reader)
    assert list(found.targets.values()) == [("STAT1",), ("NKX2-1",), ("HLA-A",), ("NOVEL3",), ()]
    assert not found.unknown


def test_a_guide_spelled_in_another_way_has_its_measured_target() -> None:
    reader = TargetReader({"NKX2-1", "HLA-A"}, {}, "AAVS1")
    found = find_targets(["NKX2.1_1", "HLA.A_2", "AAVS1_3", "AAVS1-4"], None, reader)
    assert list(found.targets.values()) == [("NKX2-1",), ("HLA-A",), (), ()]
