"""Labels that no single column of obs holds: ids of CELLxGENE's schema, and columns of a combination; and the
forms of file that collections of screens are shared in.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.read import read_cells
from gpovae_core.data.validate import Examination, examine
from tests.data.small import PERTURBED, small_cells

LABELS = ("non-targeting", *PERTURBED, "GENE03+GENE20")


def cells_of(labels: tuple[str, ...] = LABELS, per_label: int = 60) -> AnnData:
    cells = small_cells(per_label=per_label, labels=labels)
    cells.obs["truth"] = cells.obs["perturbation"].astype(str).replace("non-targeting", keys.CONTROL)
    del cells.obs["perturbation"]
    return cells


def examined(cells: AnnData, folder: Path, **settings: Any) -> tuple[Examination, pd.Series]:
    """What is read of the cells out of a file, and the labels that are right, which are not in it."""
    truth = cells.obs.pop("truth")
    cells.write_h5ad(folder / "cells.h5ad")
    return examine(read_cells(folder / "cells.h5ad"), DataSettings(**settings)), truth


def assert_all(found: Examination, truth: pd.Series) -> None:
    assert found.reading is not None, [str(problem) for problem in found.problems]
    used = found.reading.labels
    assert (truth.reindex(used.index) == used).all()
    assert len(used) == len(truth)


def cellxgene(strategy: str = "CRISPR interference screen") -> AnnData:
    """A file of schema 7.1: Ensembl ids in var, symbols in feature_name, guides and what they are in uns."""
    cells = cells_of()
    ids = {gene: f"ENSG{i:011d}" for i, gene in enumerate(cells.var_names)}
    described: dict[str, Any] = {}
    values = []
    for i, label in enumerate(cells.obs["truth"]):
        parts = ["NTC"] if label == keys.CONTROL else label.split(keys.PAIR_SEPARATOR)
        guides = sorted(f"lib:{part}:{1 + i % 2}" for part in parts)
        for part, guide in zip(sorted(parts), guides, strict=True):
            described[guide] = {
                "role": "control" if part == "NTC" else "targeting",
                "protospacer_sequence": "ACGTACGTACGTACGTACGT",
                "protospacer_adjacent_motif": "3' NGG",
            }
            if part != "NTC":
                described[guide]["target_genomic_regions"] = ["1:100-119(+)"]
                described[guide]["target_features"] = {ids[part]: part}
        values.append(" || ".join(guides))
    cells.obs["genetic_perturbation_id"] = pd.Categorical(values)
    control = cells.obs["truth"] == keys.CONTROL
    cells.obs["genetic_perturbation_strategy"] = pd.Categorical(np.where(control, "control", strategy))
    cells.obs["donor_id"] = pd.Categorical([f"donor {i % 3}" for i in range(cells.n_obs)])
    cells.obs["disease"] = pd.Categorical(["normal" if i % 4 < 2 else "anaemia" for i in range(cells.n_obs)])
    cells.obs["cell_type"] = pd.Categorical(["T cell"] * cells.n_obs)
    cells.obs["perturbation_types"] = pd.Categorical(["genetic"] * cells.n_obs)
    cells.var["feature_name"] = cells.var_names
    cells.var["feature_biotype"] = "gene"
    cells.var_names = [ids[gene] for gene in cells.var_names]
    cells.uns["genetic_perturbations"] = described
    cells.uns["schema_version"] = "7.1.0"
    return cells


@pytest.mark.parametrize(
    ("strategy", "direction"),
    [
        ("CRISPR interference screen", "knock-down"),
        ("CRISPR knockout screen", "knock-out"),
        ("CRISPR knockout mutant", "knock-out"),
        ("CRISPR activation screen", "activation"),
    ],
)
def test_the_schema_of_cellxgene(strategy: str, direction: str, tmp_path: Path) -> None:
    found, truth = examined(cellxgene(strategy), tmp_path)
    assert_all(found, truth)
    assert found.summary["label_column"] == "genetic_perturbation_id"
    design = found.summary["design"]
    assert design["direction"] == direction
    assert design["donor"] == "donor_id"
    assert design["condition"] == "disease"
    assert design["guide"] == "genetic_perturbation_id"


def test_raw_counts_of_cellxgene_lie_in_raw(tmp_path: Path) -> None:
    cells = cellxgene()
    cells.raw = cells.copy()
    cells.X = np.log1p(cells.X.toarray()) / 3.0
    found, truth = examined(cells, tmp_path)
    assert_all(found, truth)
    assert found.summary["counts_from"] == "raw"


def test_cells_without_a_perturbation_are_controls_only_where_there_are_no_others(tmp_path: Path) -> None:
    cells = cellxgene()
    control = (cells.obs["truth"] == keys.CONTROL).to_numpy()
    spare = control & (np.arange(cells.n_obs) % 6 == 0)
    for name, value in (("id", "na"), ("strategy", "no perturbations")):
        column = cells.obs[f"genetic_perturbation_{name}"].astype(str)
        cells.obs[f"genetic_perturbation_{name}"] = pd.Categorical(column.where(~spare, value))
    others = cells.copy()
    found, truth = examined(cells, tmp_path, min_cells=20)
    assert found.reading is not None
    assert len(found.reading.labels) == len(truth) - spare.sum()
    assert {d.reason for d in found.reading.dropped} == {"no perturbation"}
    column = others.obs["genetic_perturbation_id"].astype(str)
    others.obs["genetic_perturbation_id"] = pd.Categorical(column.where(~control, "na"))
    assert_all(*examined(others, tmp_path))


def test_a_guide_over_two_features_targets_the_one_its_other_guides_share(tmp_path: Path) -> None:
    cells = cellxgene()
    described = cells.uns["genetic_perturbations"]
    renamed = {guide: f"guide-{i}" for i, guide in enumerate(sorted(described))}
    first = next(guide for guide in described if "GENE11" in guide)
    described[first]["target_features"] = {"ENSG00000000000": "GENE00", **described[first]["target_features"]}
    cells.uns["genetic_perturbations"] = {renamed[guide]: entry for guide, entry in described.items()}
    cells.obs["genetic_perturbation_id"] = pd.Categorical(
        [" || ".join(renamed[g] for g in v.split(" || ")) for v in cells.obs["genetic_perturbation_id"]]
    )
    assert_all(*examined(cells, tmp_path))


def test_guides_of_unknown_target_are_left_out_and_named(tmp_path: Path) -> None:
    cells = cellxgene()
    described = cells.uns["genetic_perturbations"]
    dark = next(guide for guide in described if "GENE11" in guide)
    cells.uns["genetic_perturbations"] = {
        ("dark-1" if guide == dark else guide): {"role": "targeting"} if guide == dark else entry
        for guide, entry in described.items()
    }
    column = cells.obs["genetic_perturbation_id"].astype(str)
    cells.obs["genetic_perturbation_id"] = pd.Categorical(column.replace(dark, "dark-1"))
    found, _ = examined(cells, tmp_path, min_cells=10)
    assert found.reading is not None
    (warning,) = [p for p in found.problems if p.code == "guides-without-target"]
    assert "dark-1" in warning.message
    (left,) = found.reading.dropped
    assert (left.name, left.reason) == ("dark-1", "target of a guide not stated")


def _parts(cells: AnnData, control: str = "NTC") -> list[tuple[str, str]]:
    parts = []
    for i, label in enumerate(cells.obs["truth"]):
        genes = [control] if label == keys.CONTROL else label.split(keys.PAIR_SEPARATOR)
        both = [*genes, control][:2]
        parts.append((both[0], both[1]) if i % 2 else (both[1], both[0]))
    return parts


@pytest.mark.parametrize(
    "names", [("gene_A", "gene_B"), ("perturbation_1", "perturbation_2"), ("target_gene_a", "target_gene_b")]
)
def test_genes_in_two_columns_are_one_combination(names: tuple[str, str], tmp_path: Path) -> None:
    cells = cells_of()
    for i, name in enumerate(names):
        cells.obs[name] = pd.Categorical([pair[i] for pair in _parts(cells)])
    found, truth = examined(cells, tmp_path)
    assert_all(found, truth)
    assert found.summary["label_column"] == "+".join(names)


def test_the_second_column_may_be_empty(tmp_path: Path) -> None:
    cells = cells_of()
    first = [label.split("+")[0] for label in cells.obs["truth"]]
    second = [label.split("+")[1] if "+" in label else None for label in cells.obs["truth"]]
    cells.obs["gene_1"], cells.obs["gene_2"] = pd.Categorical(first), pd.Categorical(second)
    assert_all(*examined(cells, tmp_path))


def test_guides_in_two_columns(tmp_path: Path) -> None:
    cells = cells_of()
    number = np.random.default_rng(0).integers(1, 3, cells.n_obs)
    for i, name in enumerate(("guide_A", "guide_B")):
        cells.obs[name] = [f"{pair[i]}_{n}" for pair, n in zip(_parts(cells), number, strict=True)]
    found, truth = examined(cells, tmp_path)
    assert_all(found, truth)
    assert found.summary["design"]["guide"] == "guide calls"


def test_a_column_of_whole_labels_comes_before_its_parts(tmp_path: Path) -> None:
    cells = cells_of()
    for i, name in enumerate(("guide_A", "guide_B")):
        cells.obs[name] = [f"{pair[i]}_1" for pair in _parts(cells)]
    cells.obs["perturbation"] = cells.obs["truth"].to_numpy()
    found, truth = examined(cells, tmp_path)
    assert_all(found, truth)
    assert found.summary["label_column"] == "perturbation"


def _scperturb(cells: AnnData) -> None:
    """Peidli et al. 2024: one column of labels joined by '_', and its covariates."""
    truth = cells.obs["truth"]
    cells.obs["perturbation"] = pd.Categorical(truth.str.replace("+", "_"))
    cells.obs["nperts"] = [0 if label == "control" else label.count("+") + 1 for label in truth]
    cells.obs["guide_id"] = [f"{label.replace('+', '_')}_g{i % 2}" for i, label in enumerate(truth)]
    for name, value in {
        "perturbation_type": "CRISPR", "tissue_type": "cell_line", "cell_line": "K562", "organism": "human",
        "celltype": "lymphoblasts", "disease": "leukemia", "cancer": True, "gemgroup": 1,
    }.items():  # fmt: skip
        cells.obs[name] = value
    cells.obs["ncounts"] = np.asarray(cells.X.sum(axis=1)).ravel()
    cells.obs["ngenes"] = np.asarray((cells.X > 0).sum(axis=1)).ravel()


def _gears(cells: AnnData) -> None:
    """Roohani et al. 2023: 'GENE+ctrl', 'ctrl', 'A+B'; Ensembl ids with gene_name beside them."""
    truth = cells.obs["truth"]
    condition = [
        "ctrl" if label == "control" else label if "+" in label else f"{label}+ctrl" for label in truth
    ]
    cells.obs["condition"] = pd.Categorical(condition)
    cells.obs["cell_type"] = pd.Categorical(["K562"] * cells.n_obs)
    cells.obs["dose_val"] = pd.Categorical(["1" if c == "ctrl" else "1+1" for c in condition])
    cells.obs["control"] = [int(c == "ctrl") for c in condition]
    cells.obs["condition_name"] = pd.Categorical([f"K562_{c}_1+1" for c in condition])
    cells.var["gene_name"] = cells.var_names
    cells.var_names = [f"ENSG{i:011d}" for i in range(cells.n_vars)]


def _perturbench(cells: AnnData) -> None:
    """Wu et al. 2024: 'control', genes joined by '+', covariates beside them."""
    cells.obs["condition"] = pd.Categorical(cells.obs["truth"])
    cells.obs["cell_type"] = pd.Categorical(["K562"] * cells.n_obs)
    cells.obs["perturbation_type"] = pd.Categorical(["CRISPRa"] * cells.n_obs)
    cells.obs["dataset"] = pd.Categorical(["norman19"] * cells.n_obs)
    cells.obs["ncounts"] = np.asarray(cells.X.sum(axis=1)).ravel()
    cells.layers["counts"] = cells.X.copy()


def _virtual_cell_challenge(cells: AnnData) -> None:
    """Roohani et al. 2025: target_gene, guide_id of both guides of a vector, batch."""
    truth = cells.obs["truth"].replace("control", "non-targeting")
    cells.obs["target_gene"] = pd.Categorical(truth)
    cells.obs["guide_id"] = pd.Categorical([f"{label}_P1P2_A|{label}_P1P2_B" for label in truth])
    cells.obs["batch"] = pd.Categorical([f"Flex_{1 + i % 3}_01" for i in range(cells.n_obs)])
    cells.var["gene_id"] = [f"ENSG{i:011d}" for i in range(cells.n_vars)]


def _perturbation_catalogue(cells: AnnData) -> None:
    """EMBL-EBI: symbols and Ensembl ids joined by '|', names of perturbations beside them."""
    truth = cells.obs["truth"].replace("control", "control_nontargeting").str.replace("+", "|")
    ids = {gene: f"ENSG{i:011d}" for i, gene in enumerate(cells.var_names)}
    cells.obs["dataset_id"] = "author_2025"
    cells.obs["sample_id"] = [str(i + 1) for i in range(cells.n_obs)]
    cells.obs["data_modality"] = "Perturb-seq"
    cells.obs["perturbation_name"] = pd.Categorical(truth)
    cells.obs["perturbed_target_number"] = [1 + label.count("|") for label in truth]
    cells.obs["perturbed_target_symbol"] = pd.Categorical(truth)
    ensg = ["|".join(ids.get(part, part) for part in label.split("|")) for label in truth]
    cells.obs["perturbed_target_ensg"] = pd.Categorical(ensg)
    cells.obs["perturbed_target_biotype"] = "protein_coding"
    cells.obs["perturbation_type_label"] = "CRISPRi"
    cells.obs["technical_replicate"] = [f"lane {i % 2}" for i in range(cells.n_obs)]
    cells.obs["treatment_label"] = "untreated control"
    cells.obs["cell_type_label"] = "T cell"
    cells.obs["disease_label"] = "healthy"
    cells.var["ensembl_gene_id"] = list(ids.values())
    cells.var["gene_symbol"] = cells.var_names


def _sample_names(cells: AnnData) -> None:
    """The same collection, where perturbation_name is that of the cell."""
    _perturbation_catalogue(cells)
    cells.obs["perturbation_name"] = [f"ACGT_{i}" for i in range(cells.n_obs)]


@pytest.mark.parametrize(
    "form",
    [_scperturb, _gears, _perturbench, _virtual_cell_challenge, _perturbation_catalogue, _sample_names],
)
def test_forms_of_collections_are_read_as_they_are(form: Any, tmp_path: Path) -> None:
    cells = cells_of()
    form(cells)
    assert_all(*examined(cells, tmp_path))


def test_the_kind_of_perturbation_tells_the_direction_and_a_contradiction_is_said(tmp_path: Path) -> None:
    cells = cells_of()
    _perturbation_catalogue(cells)
    cells.obs["perturbation_type_label"] = "CRISPRa"
    found, _ = examined(cells, tmp_path)
    assert found.summary["design"]["direction"] == "activation"
    assert "direction-contradicted" in {problem.code for problem in found.problems}
