"""A network that would not fit into the memory is refused before any work, with the setting that helps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from gpovae_core.config import DataSettings
from gpovae_core.data.memory import panel_too_large
from gpovae_core.data.prepare import prepare
from gpovae_core.data.validate import examine
from gpovae_core.errors import DataError
from tests.data.small import small_cells

GIGABYTE = 2**30


def test_it_goes_with_genes_and_perturbations() -> None:
    assert panel_too_large(20_000, 200, 100 * GIGABYTE) is None
    huge = panel_too_large(20_000, 200, 16 * GIGABYTE)
    assert huge is not None
    assert "20,000 genes" in huge.message
    assert "panel to 'wilcoxon'" in huge.hint
    many = panel_too_large(9_000, 9_000, 16 * GIGABYTE)
    assert many is not None
    assert "min_cells" in many.hint


def test_cells_are_refused_before_the_work(monkeypatch: Any) -> None:
    monkeypatch.setattr("gpovae_core.data.memory.free_memory", lambda: 100_000)
    cells = small_cells()
    (problem,) = examine(cells, DataSettings(panel="all")).problems
    assert problem.code == "panel-too-large"
    with pytest.raises(DataError, match="wilcoxon"):
        prepare(cells, DataSettings(panel="all"))
    assert examine(cells, DataSettings(panel="wilcoxon")).ok


def test_a_panel_of_a_whole_transcriptome_is_refused_with_the_setting_that_helps(monkeypatch: Any) -> None:
    few, every = small_cells(), [f"G{i:05d}" for i in range(20_000)]
    counts = sparse.hstack(
        [few.X, sparse.csr_matrix((few.n_obs, len(every)), dtype=np.float32)], format="csr"
    )
    cells = AnnData(counts, obs=few.obs, var=pd.DataFrame(index=[*few.var_names, *every]))
    monkeypatch.setattr("gpovae_core.data.memory.free_memory", lambda: 16 * GIGABYTE)
    (problem,) = examine(cells, DataSettings(panel="all")).problems
    assert problem.code == "panel-too-large"
    assert "20,030 genes, 3 of them perturbed" in problem.message
    assert "Set data.panel to 'wilcoxon'" in problem.hint
