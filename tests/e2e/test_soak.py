"""Everything at once for a while: nothing grows, nothing is lost, nothing is left behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.soak import Look, minutes, slope, soak

MINUTES = float(os.environ.get("GPOVAE_SOAK_MINUTES", "0.6"))
"""10 for the longer one; `python benchmarks/soak.py --hours 4` is the whole."""


def looks(mb_per_minute: float, minutes_long: int = 12) -> list[Look]:
    """A server that makes garbage between its looks, and grows."""
    times = [2.0 * k for k in range(30 * minutes_long)]
    return [Look(t, 500 + mb_per_minute * t / 60 + 30 * (t % 14 > 6), 20, 8) for t in times]


def test_growth_is_told_from_garbage_and_from_warming_up() -> None:
    steady, leaking = (slope(minutes(looks(rate), 120)) for rate in (0.0, 5.0))
    assert steady == pytest.approx((0.0, 0.0), abs=1e-9)
    assert leaking is not None
    assert leaking[0] == pytest.approx(5.0, abs=0.1)
    warming = [Look(one.seconds, one.mb + max(0, 120 - one.seconds), 20, 8) for one in looks(0.0)]
    assert slope(minutes(warming, 120)) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert len(minutes(looks(0.0), 120)) == 9  # the last minute is not whole
    assert slope(minutes(looks(0.0, 3), 60)) is None


@pytest.mark.e2e
@pytest.mark.slow
@pytest.mark.timeout(600 + 120 * MINUTES)
def test_a_soak(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GPOVAE_RUNS_DIR", "GPOVAE_DATA_DIR", "GPOVAE_CACHE_DIR", "PYTHONPATH"):
        monkeypatch.setenv(name, os.environ.get(name, ""))  # put back afterwards
    found = soak(browser, 60 * MINUTES, tmp_path / "soak")
    assert found["bad"] == []
    assert found["done"]["pages"] >= 2
    assert found["done"]["started"] >= 1
