"""What the page Data shows of a file, against values worked out by hand or by the preparation itself."""

from __future__ import annotations

import numpy as np
import pytest
from anndata import AnnData
from scipy import sparse

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.artifacts import outliers
from gpovae_core.data.describe import knock_downs, panel_of, quality
from gpovae_core.data.memory import too_large
from gpovae_core.data.prepare import prepare
from gpovae_core.data.validate import examine
from gpovae_core.plots import data as figures
from tests.data.small import small_cells
from tests.toy import toy_simulation


def test_knock_down_is_the_ratio_of_mean_shares():
    counts = sparse.csr_matrix(np.array([[10.0, 90.0], [20.0, 80.0], [5.0, 95.0], [0.0, 100.0]]))
    labels = np.array(["control", "control", "A", "A"], dtype=object)
    row = knock_downs(counts, ["A", "B"], labels).iloc[0]
    assert (row["control_level"], row["perturbed_level"]) == pytest.approx((1500.0, 250.0))
    assert row["remaining"] == pytest.approx(1 / 6)
    assert (row["verdict"], row["cells"]) == ("knocked down", 2)


def test_what_cannot_be_judged_says_so_and_the_weakest_come_first():
    counts = sparse.csr_matrix(
        np.array([[0.0, 50.0, 50.0]] * 30 + [[0.0, 50.0, 50.0]] * 10 + [[0.0, 5.0, 95.0]] * 10)
    )
    labels = np.array(["control"] * 30 + ["A+C"] * 10 + ["B+X"] * 10, dtype=object)
    table = knock_downs(counts, ["A", "B", "C"], labels)
    assert dict(zip(table["target"], table["verdict"], strict=True)) == {
        "A": "too few counts to judge",
        "B": "knocked down",
        "C": "weak or none",
        "X": "not measured",
    }
    assert table["target"].tolist()[:2] == ["C", "B"]


def test_the_simulated_knock_downs_are_seen():
    examination = examine(toy_simulation().adata.copy(), DataSettings())
    assert examination.reading is not None
    table = knock_downs(
        examination.reading.counts,
        examination.reading.genes,
        examination.reading.labels.to_numpy(dtype=object),
    )
    assert (table["remaining"] < 0.7).mean() > 0.8


def test_quality_and_panel_are_those_of_the_preparation():
    settings = DataSettings(detect_doublets=False, panel="all")
    cells = _whole_transcriptome()
    reading = examine(cells, settings).reading
    assert reading is not None
    views, failing = quality(reading, settings)
    prepared = prepare(cells, settings)
    assert failing == prepared.report.artifacts > 0
    assert [view.criterion for view in views] == prepared.report.criteria
    assert panel_of(reading, settings).data == prepared.panel.data
    for view in views:
        assert int(view.failing.sum()) == view.criterion.failing
        if view.criterion.used and view.values is not None and view.criterion.cutoff is not None:
            controls = (reading.labels == keys.CONTROL).to_numpy()
            beyond = outliers(view.values, view.criterion.cutoff, view.criterion.direction)
            np.testing.assert_array_equal(view.failing[controls], beyond[controls])


def _whole_transcriptome() -> AnnData:
    """Cells over more genes than a panel has, some of them poor, without batches."""
    genes = tuple(f"G{i:04d}" for i in range(1050))
    cells = small_cells(70, labels=("NT", "G0003", "G0500", "G0900"), genes=genes)
    poor = np.arange(cells.n_obs) % 25 == 0
    cells.X = sparse.csr_matrix(cells.X.toarray() * np.where(poor, 0, 1)[:, None] + (np.arange(1050) < 40))
    return cells


def test_every_cell_is_in_its_histogram():
    settings = DataSettings(detect_doublets=False)
    reading = examine(_whole_transcriptome(), settings).reading
    assert reading is not None
    views = quality(reading, settings)[0]
    assert sum(view.values is not None for view in views) == 2
    for view in views:
        if view.values is not None:
            figure = figures.criterion_histogram(view.criterion, view.values, view.failing)
            assert sum(int(np.sum(trace.y)) for trace in figure.data) == len(view.values)
    totals = np.asarray(reading.counts.sum(axis=1)).ravel()
    assert int(np.sum(figures.counts_histogram(totals).data[0].y)) == len(totals)


def test_bars_name_what_is_used_and_what_is_left_out():
    figure = figures.cells_per_perturbation({"A": 100, "<b>B</b>": 50}, {"C": 7}, 40)
    used, out = figure.data
    assert (list(used.y), list(out.y)) == ([100, 50], [7])
    assert "&lt;b&gt;" in used.text[1]


@pytest.mark.parametrize(("free", "refused"), [(10**6, True), (10**12, False)])
def test_a_file_is_refused_by_its_header_alone(tmp_path, free, refused):
    small_cells().write_h5ad(tmp_path / "cells.h5ad")
    problem = too_large(tmp_path / "cells.h5ad", free=free // 20 if refused else free)
    assert (problem is not None) is refused


def test_a_dense_matrix_of_4_gb_is_refused_without_being_read(tmp_path, monkeypatch):
    import h5py

    from gpovae_core.data.read import read_cells
    from gpovae_core.errors import DataError

    small_cells().write_h5ad(tmp_path / "cells.h5ad")
    with h5py.File(tmp_path / "cells.h5ad", "a") as file:
        del file["X"]
        made = file.create_dataset("X", shape=(100_000, 10_000), dtype="f4", chunks=(1000, 1000))
        made.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    monkeypatch.setattr("gpovae_core.data.memory.free_memory", lambda: 24 * 2**30)
    monkeypatch.setattr("anndata.read_h5ad", lambda *_: pytest.fail("it was read"))
    with pytest.raises(DataError, match="csr_matrix") as raised:
        read_cells(tmp_path / "cells.h5ad")
    assert raised.value.problems[0].code == "file-too-large"
