from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from gpovae_core import keys
from gpovae_core.config import DataSettings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.schema import Panel, PanelData, PreparedCells, read_report
from gpovae_core.errors import QueryError
from tests.data.small import GENES, small_cells
from tests.toy import toy_cells

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    'a"b',
    "../../etc/passwd",
    "x/y",
    "$x^2$",
    "基因",
    "na n",
    "G'; DROP TABLE",
    "HLA-A",
    "C1orf\t2",
)


def _hostile() -> PreparedCells:
    genes = (*HOSTILE, *GENES[len(HOSTILE) :])
    labels = ("non-targeting", HOSTILE[0], HOSTILE[2], HOSTILE[4], "HS2", f"{HOSTILE[0]}+GENE20")
    cells = small_cells(labels=labels, genes=genes)
    cells.obs["batch"] = pd.Categorical(np.arange(cells.n_obs) % 2)
    return prepare(cells, DataSettings())


def test_prepared_cells_come_back_as_they_were(tmp_path: Path) -> None:
    prepared = _hostile()
    prepared.write(tmp_path / "cells.h5ad")
    back = PreparedCells.read(tmp_path / "cells.h5ad")
    pd.testing.assert_frame_equal(back.cells.obs, prepared.cells.obs, check_index_type=False)
    assert list(back.cells.var_names) == list(prepared.cells.var_names)
    assert (back.counts != prepared.counts).nnz == 0
    assert back.panel == prepared.panel
    assert back.report == prepared.report
    assert read_report(tmp_path / "cells.h5ad") == prepared.report
    assert [path.name for path in tmp_path.iterdir()] == ["cells.h5ad"]


def test_writing_does_not_change_the_cells(tmp_path: Path) -> None:
    prepared = _hostile()
    prepared.write(tmp_path / "cells.h5ad")
    assert prepared.cells.uns == {}


def test_masks_and_columns_follow_names() -> None:
    prepared = _hostile()
    assert prepared.perturbations == tuple(
        sorted({HOSTILE[0], HOSTILE[2], HOSTILE[4], "HS2", f"{HOSTILE[0]}+GENE20"})
    )
    test = prepared.where("HS2", (keys.TEST,))
    assert set(prepared.labels[test]) == {"HS2"}
    measured = [gene for gene in prepared.panel.genes if gene != "HS2"]
    assert list(prepared.cells.var_names[prepared.panel_columns]) == measured


PANEL = Panel(PanelData(perturbed=("AHR", "STAT1"), extended=("IRF1", "irf1"), measured=("AHR", "IRF1")))


def test_the_panel_knows_its_rows() -> None:
    assert PANEL.genes == ("AHR", "STAT1", "IRF1", "irf1")
    assert PANEL.is_perturbed.tolist() == [True, True, False, False]
    assert PANEL.is_measured.tolist() == [True, False, True, False]
    assert PANEL.dosage("AHR+STAT1").tolist() == [1, 1, 0, 0]
    assert not PANEL.dosage(keys.CONTROL).any()
    assert PANEL.position("stat1") == 1
    assert PANEL.canonical("stat1+ahr") == "AHR+STAT1"


@pytest.mark.parametrize(
    ("name", "words"), [("Irf1", "Did you mean"), ("STAT2", "STAT1"), ("XYZ", "The panel has 4 genes")]
)
def test_unknown_and_ambiguous_genes_are_refused_with_advice(name: str, words: str) -> None:
    with pytest.raises(QueryError, match=words):
        PANEL.position(name)


def test_passing_cells_have_passed_quality_control_and_have_counts():
    cells = toy_cells()
    obs = cells.cells.obs.copy()
    obs.loc[obs.index[:3], keys.ARTIFACT] = [True, False, False]
    obs.loc[obs.index[:3], keys.LIBRARY_SIZE] = [5.0, 0.0, 7.0]
    changed = PreparedCells.of(cells.counts, obs, list(cells.cells.var_names), cells.panel, cells.report)
    assert changed.passing[:3].tolist() == [False, False, True]
    rest = ~np.asarray(obs[keys.ARTIFACT], dtype=bool)[3:]
    np.testing.assert_array_equal(changed.passing[3:], rest)
