"""Every small file of `fixtures/files` ends as its README says: read with the labels and counts that are
true, or refused in words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.read import read_cells
from gpovae_core.data.validate import Examination, examine
from gpovae_core.errors import DataError
from tests.conftest import shared_folder

pytestmark = [
    pytest.mark.filterwarnings("ignore:Variable names are not unique"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@dataclass(frozen=True)
class Right:
    """What has to come of a file. settings: with which it is read; refused: codes one of which has to stop
    it, none where it has to be read; said: words that problems, notes and decisions have to hold; genes:
    measured genes, None for all columns of X; symbols: true name -> as this file spells it; counts: where
    they have to come from.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    refused: tuple[str, ...] = ()
    said: tuple[str, ...] = ()
    genes: int | None = None
    symbols: dict[str, str] = field(default_factory=dict)
    counts: str = "X"


IDS = {
    "STAT1": "ENSG00000100000.1",
    "JAK2": "ENSG00000100002.3",
    "HLA-A": "ENSG00000100007.8",
    "NKX2-1": "ENSG00000100009.10",
    "GATA1": "ENSG00000100020.6",
}
OLD = {"MARCHF1": "MARCH1", "SEPTIN2": "SEPT2"}
FILES: dict[str, list[Right]] = {
    "norman_hvg_negctrl": [Right(said=("FEV", "not measured"))],
    "unmeasured_beside_nontargeting": [Right(said=("FEV", "not measured"))],
    "unmeasured_pipe_nontargeting": [Right(said=("FEV", "not measured"))],
    "moi_semicolon_unmeasured": [Right(said=("FEV", "not measured"))],
    "guide_features": [Right(genes=32, said=("CRISPR Guide Capture",))],
    "treatment_condition": [Right(said=("'sgRNA_gene'",))],
    "perturbation_is_treatment": [Right(said=("'gene'",))],
    "two_cases": [Right(said=("'perturbation'",))],
    "loom_layers": [Right(refused=("counts-partial",), said=("spliced", "unspliced"))],
    "loom_layers_matrix": [Right(counts="matrix")],
    "binarised": [Right(refused=("counts-binary",))],
    "x_rounded_cp10k_counts_layer": [Right(counts="counts")],
    "codes_vs_entrez": [
        Right(refused=("labels-are-numbers",), said=("numbers, not genes", "'1'")),
    ],
    "one_guide_per_gene": [Right(said=("'GATA1_g1' as 'GATA1'",))],
    "guide_sequences": [Right(said=("as 'GATA1'",))],
    "excel_labels": [Right(symbols=OLD, said=("turned into dates", "'1-Mar' as 'MARCH1'"))],
    "excel_var": [Right(said=("dates", "'1-Mar' is MARCHF1"))],
    "ens_versioned_var_plain_labels": [Right(symbols=IDS, said=("Ensembl id",))],
    "unicode_hyphen": [Right(said=("spelled as the measured genes are",))],
    "combo_unmeasured_underscore": [Right(said=("'FEV_KLF5' as 'FEV+KLF5'",))],
    "mixscape_class_only": [Right(said=("Mixscape calls not perturbed (NP)",))],
    "r_dots_labels": [Right(said=("'HLA.A' as 'HLA-A'",))],
    "cellranger_feature_call": [Right(said=("several guides of one gene",))],
    "homeobox_family": [Right()],
    "uns_simulated_array": [Right()],
    "uns_simulated_str": [Right()],
    "hvg_x_full_raw": [Right(counts="raw", genes=32)],
    "cellxgene_raw_without_symbols": [Right(counts="raw", said=("'feature_name'",))],
    "control_is_None": [
        Right(settings={"control_label": "None"}),
        Right(refused=("control-not-found",), said=("150 cells without a label", "'None'")),
    ],
    "lacz_plus": [
        Right(settings={"control_label": "LacZ"}),
        Right(settings={"control_label": "LacZ+LacZ"}),
        Right(refused=("control-not-found",), said=("LacZ+LacZ (150",)),
    ],
    "dup_symbol_richer_copy": [Right(said=("STAT1", "ENSG00000100000", "ENSG00000999999"))],
    "float_almost": [Right(said=("rounded",))],
    "dup_index_symbols_column": [
        Right(settings={"symbol_column": "gene_symbols"}),
        Right(refused=("duplicate-gene-names",), said=("gene_symbols",)),
    ],
    "bytes_column": [Right()],
    "future_uns": [Right()],
    "screen.h5mu": [Right()],
    "filtered_feature_bc_matrix.h5": [Right(refused=("label-column-missing",))],
}
CASES = [
    pytest.param(
        name,
        right,
        id=f"{name}-{i}",
    )
    for name, rights in FILES.items()
    for i, right in enumerate(rights)
]


def _path(name: str) -> Path:
    folder = shared_folder("fixtures") / "files"
    if not folder.is_dir():
        pytest.skip("needs the folder 'fixtures/files' beside the data sets")
    return folder / (name if "." in name else f"{name}.h5ad")


def test_every_file_has_its_outcome() -> None:
    folder = _path("binarised").parent
    there = {path.name.removesuffix(".h5ad") for path in folder.iterdir() if path.suffix != ".md"}
    assert there == set(FILES)


def _said(found: Examination) -> str:
    decisions = [decision.line for decision in found.decisions]
    options = [option.text for decision in found.decisions for option in decision.options]
    return "\n".join([*map(str, found.problems), *found.summary.get("notes", []), *decisions, *options])


@pytest.mark.parametrize(("name", "right"), CASES)
def test_a_file_ends_as_its_readme_says(name: str, right: Right) -> None:
    path = _path(name)
    cells: Any = read_cells(path)
    found = examine(cells, DataSettings(**right.settings))
    for words in right.said:
        assert words in _said(found)
    if right.refused:
        errors = {problem.code for problem in found.problems if problem.severity == "error"}
        assert errors & set(right.refused)
        assert not found.ok
        return
    assert found.ok, [str(problem) for problem in found.problems]
    assert found.reading is not None
    assert found.summary["counts_from"] == right.counts
    assert not found.summary["simulated"]
    labels = found.reading.labels
    assert len(labels) == cells.n_obs
    truth = cells.obs.loc[labels.index, "truth"].astype(str).str.removeprefix("zz_")
    expected = [
        keys.PAIR_SEPARATOR.join(sorted(right.symbols.get(gene, gene) for gene in label.split("+")))
        for label in truth
    ]
    assert labels.tolist() == expected
    assert len(found.reading.genes) == (right.genes or cells.n_vars)
    _check_counts(cells, found, right)


def _check_counts(cells: Any, found: Examination, right: Right) -> None:
    """Counts are those of the matrix that the file is right to be read from, cell by cell."""
    reading = found.reading
    assert reading is not None
    source = (
        cells.raw.X
        if right.counts == "raw"
        else cells.X
        if right.counts == "X"
        else cells.layers[right.counts]
    )
    whole = np.rint(source.toarray() if hasattr(source, "toarray") else np.asarray(source))
    totals = whole[:, : len(reading.genes)].sum(axis=1)
    rows = cells.obs_names.get_indexer(reading.labels.index)
    assert np.array_equal(np.asarray(reading.counts.sum(axis=1)).ravel(), totals[rows])
    for target in {gene for label in set(reading.labels) for gene in label.split("+")} & set(reading.genes):
        own = np.asarray(reading.counts[:, reading.genes.index(target)].todense()).ravel()
        held, control = ((reading.labels == label).to_numpy() for label in (target, keys.CONTROL))
        if held.any():
            assert own[held].mean() < 0.3 * own[control].mean(), target


def test_what_a_reader_refuses_is_a_data_error() -> None:
    with pytest.raises(DataError):
        read_cells(_path("binarised").parent / "README.md")
