"""Counts on disk: the same rows, and the same preparation to the last bit, as with counts in memory."""

from __future__ import annotations

from itertools import pairwise

import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from gpovae_core.config import DataSettings
from gpovae_core.data import backed, store
from gpovae_core.data.backed import BackedCells
from gpovae_core.data.batches import training_constants
from gpovae_core.data.expression import log_expression
from gpovae_core.data.prepare import prepare
from gpovae_core.data.read import read_cells
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.store import (
    CountsWriter,
    StoredCounts,
    columns_of,
    cuts,
    is_stored,
    row_blocks,
    rows_of,
)
from gpovae_core.data.validate import examine
from gpovae_core.effects.averages import average_effects
from gpovae_core.effects.nulls import null_screen
from gpovae_core.workflow import start_run
from tests.data.small import GENES, PERTURBED, small_cells
from tests.toy import tiny_settings, write_toy


@pytest.fixture
def little_is_held(monkeypatch):
    """Every file counts as too large to be held, and is gone through in many small blocks."""
    monkeypatch.setattr(store, "HELD", 100)
    monkeypatch.setattr(backed, "HELD", 100)
    for module in ("gpovae_core.data.store", "gpovae_core.data.backed", "gpovae_core.data.rank_sums"):
        monkeypatch.setattr(f"{module}.BLOCK", 700)


def random_counts(seed: int = 0) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    counts = rng.poisson(0.6, (40, 25)).astype(np.float32)
    counts[[3, 17]] = 0
    return sparse.csr_matrix(counts)


@pytest.fixture
def stored(tmp_path) -> tuple[sparse.csr_matrix, StoredCounts]:
    """A matrix, and the same one written in shuffled blocks of rows."""
    counts = random_counts()
    writer = CountsWriter(tmp_path / "counts.h5ad", np.diff(counts.indptr), counts.shape[1])
    for rows in np.array_split(np.random.default_rng(1).permutation(counts.shape[0]), 7):
        writer.put(rows, counts[rows])
    return counts, writer.opened()


@pytest.mark.parametrize(
    "rows",
    [
        np.array([5]),
        np.array([9, 2, 2, 39, 0]),
        np.array([], dtype=int),
        np.arange(40),
        np.arange(40) % 3 == 0,
        slice(4, 11),
    ],
)
def test_rows_are_those_of_the_matrix(stored, rows):
    counts, on_disk = stored
    found = on_disk[rows]
    np.testing.assert_array_equal(found.toarray(), counts[rows].toarray())
    assert found.dtype == np.float32


def test_a_selection_stays_on_disk_and_sums_agree(stored, monkeypatch):
    counts, on_disk = stored
    monkeypatch.setattr(store, "BLOCK", 50)
    rows = np.random.default_rng(2).permutation(40)[:23]
    chosen = rows_of(on_disk, rows)
    assert isinstance(chosen, StoredCounts)
    assert len(list(row_blocks(chosen))) > 3
    np.testing.assert_array_equal(chosen.sum(axis=1), np.asarray(counts[rows].sum(axis=1)).ravel())
    np.testing.assert_array_equal(chosen.sum(axis=0), np.asarray(counts[rows].sum(axis=0)).ravel())
    np.testing.assert_array_equal(chosen.indptr, counts[rows].indptr)
    columns = np.array([7, 0, 24])
    np.testing.assert_array_equal(columns_of(chosen, columns).toarray(), counts[rows][:, columns].toarray())


def test_expression_is_computed_for_what_is_asked(stored):
    counts, on_disk = stored
    whole, lazy = log_expression(counts), log_expression(on_disk)
    rows, columns = np.array([8, 1, 30]), np.array([3, 20])
    np.testing.assert_array_equal(lazy[rows].toarray(), whole[rows].toarray())
    np.testing.assert_array_equal(lazy[:, columns][rows].toarray(), whole[rows][:, columns].toarray())
    np.testing.assert_array_equal(lazy.take(rows)[np.array([1])].toarray(), whole[[1]].toarray())
    shares: list[float] = []
    blocks = [lazy.columns(genes, shares.append).toarray() for genes in lazy.column_cuts(60)]
    assert len(blocks) > 2
    assert max(shares) == 1.0
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), whole.toarray())


@pytest.mark.parametrize("most", [1, 5, 10**9])
def test_cuts_cover_everything_once(most):
    lengths = np.random.default_rng(0).integers(0, 9, 50)
    slices = list(cuts(lengths, most))
    assert np.concatenate([np.arange(50)[part] for part in slices]).tolist() == list(range(50))
    assert all(lengths[part].sum() <= most or part.stop - part.start == 1 for part in slices)


def test_a_temporary_file_goes_with_its_last_user(stored, tmp_path):
    _, on_disk = stored
    view = on_disk.take(np.array([4]))
    del on_disk
    stored = None
    assert (tmp_path / "counts.h5ad").exists()
    assert view[np.array([0])].shape == (1, 25)


def whole_transcriptome() -> AnnData:
    """More than 1,000 genes, so that a Wilcoxon test picks the panel and every criterion has its genes; in no
    order, with a stored zero.
    """
    rng = np.random.default_rng(3)
    genes = [*GENES, "MT-ND1", "RPL3", "HBB", *(f"Z{i:04d}" for i in range(1000))]
    names = np.repeat(["non-targeting", *PERTURBED, "GENE05+GENE20"], 60)
    means = np.tile(rng.gamma(0.5, 1.0, len(genes)), (len(names), 1))
    for i, gene in enumerate(GENES):
        means[[gene in name for name in names], i] *= 0.1
        means[names == gene, 40 + i] = 30.0
    counts = sparse.csr_matrix(rng.poisson(means).astype(np.float32))
    counts.data[5] = 0.0
    obs = pd.DataFrame({"perturbation": names}, index=[f"cell-{i:04d}" for i in rng.permutation(len(names))])
    return AnnData(counts, obs=obs, var=pd.DataFrame(index=genes))


@pytest.mark.parametrize(
    ("ending", "settings"),
    [
        (".h5ad", {"min_cells": 20}),
        (".zarr", {"min_cells": 5, "strong_knockdown_only": True, "pairing": "exact"}),
    ],
)
def test_preparation_in_blocks_is_that_in_memory(tmp_path, request, ending, settings):
    path = tmp_path / f"cells{ending}"
    cells = whole_transcriptome()
    (cells.write_h5ad if ending == ".h5ad" else cells.write_zarr)(path)
    chosen = DataSettings(**settings, detect_doublets=False)
    first = prepare(path, chosen)
    request.getfixturevalue("little_is_held")
    assert isinstance(read_cells(path), BackedCells)
    stages = []
    second = prepare(
        path, chosen, lambda stage, share: stages.append((stage, share)), tmp_path / "scratch.part"
    )
    assert second.stored is not None
    assert len(first.panel.data.extended) >= 3
    assert second.panel == first.panel
    assert second.report == first.report
    pd.testing.assert_frame_equal(second.cells.obs, first.cells.obs)
    assert list(second.cells.var_names) == list(first.cells.var_names)
    np.testing.assert_array_equal(
        second.counts[np.arange(len(first.labels))].toarray(), first.counts.toarray()
    )
    assert {"sorting the counts", "choosing the panel"} <= {stage for stage, _ in stages}
    assert all(a[1] <= b[1] for a, b in pairwise(stages))
    assert len({share for stage, share in stages if stage == "checking"}) > 2, "its share moves"
    before, after = average_effects(first), average_effects(second)
    np.testing.assert_array_equal(after.mean, before.mean)
    constants = training_constants(first), training_constants(second)
    np.testing.assert_allclose(constants[1].log_mean, constants[0].log_mean, rtol=1e-5)
    np.testing.assert_allclose(constants[1].log_std, constants[0].log_std, rtol=1e-4)


def test_prepared_cells_on_disk_are_written_and_read_as_others_are(tmp_path, little_is_held):
    small_cells().write_h5ad(tmp_path / "cells.h5ad")
    prepared = prepare(tmp_path / "cells.h5ad", DataSettings(), scratch=tmp_path / ".scratch.part")
    want = prepared.counts[np.arange(240)].toarray()
    for name in ("once.h5ad", "twice.h5ad"):  # the first takes the scratch file, the second copies
        prepared.write(tmp_path / name)
        assert not (tmp_path / ".scratch.part").exists()
        assert is_stored(tmp_path / name)
        back = PreparedCells.read(tmp_path / name)
        assert back.stored is not None
        assert (back.panel, back.report) == (prepared.panel, prepared.report)
        pd.testing.assert_frame_equal(back.cells.obs, prepared.cells.obs)
        np.testing.assert_array_equal(back.counts[np.arange(240)].toarray(), want)
        np.testing.assert_array_equal(anndata.read_h5ad(tmp_path / name).X.toarray(), want)  # type: ignore[union-attr]
    np.testing.assert_array_equal(prepared.counts[np.array([3])].toarray(), want[[3]])


def test_a_run_on_counts_on_disk_is_that_in_memory(tmp_path, request, monkeypatch):
    cells, settings = write_toy(tmp_path), tiny_settings("evidence", training={"epochs": 2})
    monkeypatch.setenv("GPOVAE_CACHE_DIR", str(tmp_path / "one cache"))
    held = start_run(cells, tmp_path / "held", settings)
    request.getfixturevalue("little_is_held")
    monkeypatch.setenv("GPOVAE_CACHE_DIR", str(tmp_path / "another cache"))
    stored = start_run(cells, tmp_path / "stored", settings)
    assert (held.cells().stored is None, stored.cells().stored is None) == (True, False)
    assert not list(stored.path.glob(".*.part"))  # the scratch file has become cells.h5ad
    np.testing.assert_array_equal(stored.mask_logits(), held.mask_logits())
    np.testing.assert_allclose(
        stored.metrics()["validation_loss"], held.metrics()["validation_loss"], rtol=1e-5
    )
    for name in ("ate_rho", "median_rho"):
        scores = [run.evaluation()["response"]["test"][name] for run in (stored, held)]
        assert scores[0]["train_mean"] == scores[1]["train_mean"]
        assert scores[0]["ceiling"] == scores[1]["ceiling"]
        assert scores[0]["model"] == pytest.approx(scores[1]["model"], abs=1e-3)
    assert stored.evaluation()["network"]["mu_wd"] == held.evaluation()["network"]["mu_wd"]
    again = null_screen(stored.cells(), settings), null_screen(held.cells(), settings)
    assert isinstance(again[0].counts, StoredCounts)
    pd.testing.assert_frame_equal(again[0].cells.obs, again[1].cells.obs)


@pytest.mark.parametrize("with_guides", [False, True])
def test_layers_with_a_part_each_are_added_in_the_file_too(tmp_path, monkeypatch, with_guides):
    cells = whole_transcriptome()
    rng = np.random.default_rng(5)
    whole = cells.X.copy()
    part = whole.copy()
    part.data = rng.binomial(whole.data.astype(int), 0.7).astype(np.float32)
    cells.layers["spliced"], cells.layers["unspliced"] = part, whole - part
    cells.X = part.copy()
    if with_guides:
        cells.var["feature_types"] = ["CRISPR Guide Capture"] * 3 + ["Gene Expression"] * (cells.n_vars - 3)
    path = tmp_path / "cells.h5ad"
    cells.write_h5ad(path)
    settings = DataSettings(counts_layer="spliced+unspliced")
    held = examine(read_cells(path), settings)
    monkeypatch.setattr("gpovae_core.data.backed.HELD", 100)
    monkeypatch.setattr("gpovae_core.data.backed.BLOCK", 700)
    asked = examine(read_cells(path), DataSettings())
    assert [problem.code for problem in asked.problems if problem.severity == "error"] == ["counts-partial"]
    found = examine(read_cells(path), settings)
    assert found.problems == held.problems
    rows = np.arange(len(held.reading.labels))
    assert isinstance(found.reading.counts, StoredCounts)
    assert (found.reading.counts[rows] != held.reading.counts[rows]).nnz == 0
    columns = [list(cells.var_names).index(gene) for gene in held.reading.genes]
    order = [list(cells.obs_names).index(cell) for cell in held.reading.labels.index]
    assert (held.reading.counts != whole[order][:, columns]).nnz == 0


def test_a_compressed_file_is_read_into_memory(tmp_path):
    prepared = prepare(small_cells(), DataSettings())
    prepared.write(tmp_path / "cells.h5ad")
    assert not is_stored(tmp_path / "cells.h5ad")
    assert PreparedCells.read(tmp_path / "cells.h5ad").stored is None


def test_what_is_wrong_with_a_file_is_found_in_blocks_too(tmp_path, little_is_held):
    cells = small_cells()
    cells.X.data[77] = 0.5  # type: ignore[union-attr]
    cells.write_h5ad(tmp_path / "cells.h5ad")
    with pytest.raises(Exception, match=r"does not hold raw counts but values such as 0\.5"):
        prepare(tmp_path / "cells.h5ad", DataSettings())
