"""Everything at once for a while: nothing grows, nothing is lost, nothing is left behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.soak import soak

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
MINUTES = float(os.environ.get("GPOVAE_SOAK_MINUTES", "0.6"))
"""10 for the longer one; `python benchmarks/soak.py --hours 4` is the whole."""


@pytest.mark.timeout(600 + 120 * MINUTES)
def test_a_soak(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GPOVAE_RUNS_DIR", "GPOVAE_DATA_DIR", "GPOVAE_CACHE_DIR", "PYTHONPATH"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # put back afterwards
    found = soak(browser, 60 * MINUTES, tmp_path / "soak")
    assert found["bad"] == []
    assert found["done"]["pages"] >= 2
    assert found["done"]["started"] >= 1
