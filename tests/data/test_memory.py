"""A network that would not fit into the memory is refused before any work, with the setting that helps."""

from __future__ import annotations

from typing import Any

import pytest

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
