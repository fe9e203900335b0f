from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.expression import log_expression
from gpovae_core.data.prepare import prepare
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.averages import average_effects
from gpovae_core.errors import DataError, SettingsError
from tests.conftest import shared_folder
from tests.data.small import GENES, PERTURBED, shuffled, small_cells


def _rich_cells() -> AnnData:
    """With pairs, an unmeasured target, a batch, a percentage, and cells and perturbations to drop."""
    cells = small_cells(labels=("non-targeting", *PERTURBED, "GENE20+GENE03", "HS2", "unassigned"))
    labels = cells.obs["perturbation"].astype(str)
    labels.iloc[np.flatnonzero(labels == "GENE11")[5:15]] = "GENE09"
    cells.obs["perturbation"] = labels
    cells.obs["gem_group"] = np.arange(cells.n_obs) % 3
    cells.obs["percent_mito"] = np.random.default_rng(2).uniform(1, 9, cells.n_obs)
    cells.obs["private"] = "note"
    return cells


def test_prepared_cells_keep_the_contract() -> None:
    prepared = prepare(_rich_cells(), DataSettings())
    obs, counts = prepared.cells.obs, prepared.counts
    assert list(obs.columns) == [
        keys.PERTURBATION,
        keys.ARTIFACT,
        keys.SPLIT,
        keys.CONTROL_ID,
        keys.LIBRARY_SIZE,
        keys.BATCH,
    ]
    assert sparse.isspmatrix_csr(counts)
    assert counts.dtype == np.float32
    assert counts.has_sorted_indices
    np.testing.assert_array_equal(obs[keys.LIBRARY_SIZE], counts.toarray().sum(axis=1))
    assert prepared.perturbations == ("GENE03", "GENE03+GENE20", "GENE11", "GENE20", "HS2")
    assert obs[keys.ARTIFACT].dtype == bool
    assert "HS2" in prepared.panel.data.perturbed
    assert "HS2" not in prepared.panel.data.measured


def test_counts_stay_with_their_cell_and_gene() -> None:
    source = _rich_cells()
    prepared = prepare(source, DataSettings())
    expected = source[prepared.cells.obs_names][:, prepared.cells.var_names].X
    assert (prepared.counts != expected).nnz == 0
    labels = source.obs.loc[prepared.cells.obs_names, "perturbation"].replace(
        {"non-targeting": keys.CONTROL, "GENE20+GENE03": "GENE03+GENE20"}
    )
    assert prepared.labels.tolist() == labels.tolist()


def test_the_report_accounts_for_every_cell() -> None:
    report = prepare(_rich_cells(), DataSettings()).report
    assert report.cells_read == report.cells_kept + sum(entry.count for entry in report.dropped)
    assert report.cells_kept == report.control_cells + sum(report.perturbations.values())
    assert {(entry.what, entry.name, entry.count) for entry in report.dropped} == {
        ("cells", "unassigned", 60),
        ("perturbation", "GENE09", 10),
    }
    assert all(entry.reason for entry in report.dropped)
    assert report.unmeasured_targets == ("HS2",)
    assert report.control_label == "non-targeting"
    assert len(report.criteria) == 6
    assert report.source == "(in memory)"


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="defaults"),
        pytest.param(
            {"pairing": "exact", "panel": "wilcoxon", "extended_min_abs_lfc": 1.0},
            id="exact pairing, Wilcoxon",
        ),
        pytest.param(
            {"strong_knockdown_only": True, "knockdown_percentile": 40.0, "min_cells": 20},
            id="strong knock-downs",
        ),
        pytest.param({"unseen": ("GENE11",), "seed": 7}, id="unseen"),
    ],
)
def test_the_order_of_rows_and_columns_in_the_file_does_not_matter(settings: dict[str, Any]) -> None:
    first, second = (
        prepare(cells, DataSettings(**settings)) for cells in (_rich_cells(), shuffled(_rich_cells()))
    )
    pd.testing.assert_frame_equal(first.cells.obs, second.cells.obs)
    assert (first.counts != second.counts).nnz == 0
    assert first.panel == second.panel
    assert first.report == second.report


def test_doublets_do_not_depend_on_the_order_either(monkeypatch: pytest.MonkeyPatch) -> None:
    genes = tuple(f"G{i:04d}" for i in range(1050))
    cells = small_cells(45, labels=("NT", "G0003", "G0500", "G0900"), genes=genes)
    settings = DataSettings(panel="all")
    first, second = prepare(cells, settings), prepare(shuffled(cells), settings)
    assert {c.name: c.used for c in first.report.criteria}["doublet"]
    pd.testing.assert_frame_equal(first.cells.obs, second.cells.obs)


def test_matched_controls_are_where_their_cell_is() -> None:
    obs = prepare(_rich_cells(), DataSettings()).cells.obs
    perturbed = obs[obs[keys.PERTURBATION] != keys.CONTROL]
    controls = obs.loc[perturbed[keys.CONTROL_ID]]
    assert (controls[keys.PERTURBATION] == keys.CONTROL).all()
    assert (controls[keys.SPLIT].to_numpy() == perturbed[keys.SPLIT].to_numpy()).all()
    assert (obs.loc[obs[keys.PERTURBATION] == keys.CONTROL, keys.CONTROL_ID] == "").all()


def test_unseen_cells_neither_train_nor_become_controls() -> None:
    prepared = prepare(_rich_cells(), DataSettings(unseen=("GENE11",)))
    obs = prepared.cells.obs
    unseen = obs[obs[keys.SPLIT] == keys.UNSEEN]
    assert set(unseen[keys.PERTURBATION]) == {"GENE11"}
    assert (obs[obs[keys.PERTURBATION] == "GENE11"][keys.SPLIT] == keys.UNSEEN).all()
    assert (obs.loc[unseen[keys.CONTROL_ID], keys.SPLIT] == keys.TEST).all()
    assert "GENE11" in prepared.panel.data.perturbed
    with pytest.raises(SettingsError, match="GENE12"):
        prepare(_rich_cells(), DataSettings(unseen=("GENE12",)))


def test_the_source_is_not_changed() -> None:
    source, before = _rich_cells(), _rich_cells()
    prepare(source, DataSettings())
    pd.testing.assert_frame_equal(source.obs, before.obs)
    assert (source.X != before.X).nnz == 0


def test_all_errors_are_raised_together_and_warnings_are_not() -> None:
    cells = _rich_cells()
    cells.X = log_expression(cells.X).multiply(np.linspace(1.0, 2.0, cells.n_vars)).tocsr()
    with pytest.raises(DataError) as raised:
        prepare(cells, DataSettings(control_label="LacZ"))
    assert {problem.code for problem in raised.value.problems} == {"not-raw-counts", "control-not-found"}


def test_files_and_progress(tmp_path: Path) -> None:
    cells = _rich_cells()
    cells.uns["simulated"] = True
    cells.write_h5ad(tmp_path / "screen.h5ad")
    steps: list[tuple[str, float]] = []
    prepared = prepare(
        tmp_path / "screen.h5ad", DataSettings(), lambda stage, share: steps.append((stage, share))
    )
    assert prepared.report.source == "screen.h5ad"
    assert prepared.report.simulated
    shares = [share for _, share in steps]
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0.0, 1.0)
    pd.testing.assert_frame_equal(prepared.cells.obs, prepare(cells, DataSettings()).cells.obs)


def test_the_panel_note_says_what_the_network_spans() -> None:
    notes = " ".join(prepare(small_cells(), DataSettings()).report.notes)
    assert f"all {len(GENES)} measured genes take part" in notes
    strict = DataSettings(panel="wilcoxon", extended_min_abs_lfc=50.0)
    assert "no other gene passes the rule" in " ".join(prepare(small_cells(), strict).report.notes)


@cache
def _real(name: str) -> PreparedCells:
    return prepare(shared_folder("data") / name, DataSettings())


@pytest.mark.real
def test_schraivogel_as_it_is_known() -> None:
    prepared = _real("schraivogel2020_tapseq_k562.h5ad")
    report = prepared.report
    assert (report.cells_read, report.cells_kept, report.genes_measured, report.control_cells) == (
        19_060,
        19_060,
        72,
        7_760,
    )
    assert len(report.perturbations) == 14
    assert report.unmeasured_targets == ("HS2",)
    assert report.artifacts == 0, "nothing in the file but chosen genes: what they show is the outcome"
    for splits in (keys.SPLITS, keys.HELD_OUT):
        effects = average_effects(prepared, splits).mean
        for target in effects.index.difference(["HS2"]):
            assert effects.loc[target, target] < 0, target
        assert effects.loc["HS2", "HBE1"] < 0


@pytest.mark.real
def test_papalexi_as_it_is_known() -> None:
    prepared = _real("papalexi2021_thp1.h5ad")
    report = prepared.report
    assert (report.cells_read, report.genes_measured, report.control_cells) == (20_729, 299, 2_386)
    assert len(report.perturbations) == 25
    assert len(report.unmeasured_targets) == 16
    assert {c.name: c.used for c in report.criteria}["percent_mitochondrial"]
    assert 0.02 < report.artifacts / report.cells_kept < 0.08
    assert set(prepared.cells.obs["batch"]) == {"rep_1", "rep_2", "rep_3"}


@pytest.mark.real
def test_the_interferon_pathway_moves_together() -> None:
    correlation = np.corrcoef(average_effects(_real("papalexi2021_thp1.h5ad"), keys.SPLITS).mean)
    names = list(_real("papalexi2021_thp1.h5ad").perturbations)
    pathway = [names.index(gene) for gene in ("STAT1", "JAK2", "IFNGR1", "IFNGR2")]
    others = [names.index(gene) for gene in ("CD86", "CAV1")]
    within = correlation[np.ix_(pathway, pathway)][np.triu_indices(4, 1)]
    across = correlation[np.ix_(pathway, others)]
    assert within.min() > 0.8
    assert within.min() > across.max()


@pytest.mark.real
@pytest.mark.parametrize("name", ["schraivogel2020_tapseq_k562.h5ad", "papalexi2021_thp1.h5ad"])
def test_real_cells_have_controls_and_all_splits(name: str) -> None:
    obs = _real(name).cells.obs
    table = pd.crosstab(obs[keys.PERTURBATION], obs[keys.SPLIT])
    assert (table[[keys.TRAIN, keys.VALIDATION, keys.TEST]] > 0).all(axis=None)
    perturbed = obs[obs[keys.PERTURBATION] != keys.CONTROL]
    assert (
        obs.loc[perturbed[keys.CONTROL_ID], keys.SPLIT].to_numpy() == perturbed[keys.SPLIT].to_numpy()
    ).all()
