"""Everything at once for a while: nothing grows, nothing is lost, nothing is left behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from benchmarks.soak import minutes, slope, soak, surely_added

MINUTES = float(os.environ.get("GPOVAE_SOAK_MINUTES", "0.6"))
"""10 for the longer one; `python benchmarks/soak.py --hours 4` is the whole."""


def looks(mb_per_minute: float, minutes_long: int = 12) -> list[tuple[float, float]]:
    """(seconds, MB) of a server that makes garbage between its looks, and grows."""
    times = [2.0 * k for k in range(30 * minutes_long)]
    return [(at, 500 + mb_per_minute * at / 60 + 30 * (at % 14 > 6)) for at in times]


def test_growth_is_told_from_garbage_and_from_warming_up() -> None:
    steady, leaking = (slope(minutes(looks(rate), 120)) for rate in (0.0, 5.0))
    assert steady == pytest.approx((0.0, 0.0), abs=1e-9)
    assert leaking is not None
    assert leaking[0] == pytest.approx(5.0, abs=0.1)
    warming = [(at, mb + max(0, 120 - at)) for at, mb in looks(0.0)]
    assert slope(minutes(warming, 120)) == pytest.approx((0.0, 0.0), abs=1e-9)
    assert len(minutes(looks(0.0), 120)) == 9  # the last minute is not whole
    assert slope(minutes(looks(0.0, 3), 60)) is None


def test_jobs_grow_where_the_most_that_they_hold_does() -> None:
    """What starts holds little: the least of a minute says nothing of jobs that come and go."""
    starting = [(at, mb * (at % 40 > 20)) for at, mb in looks(0.0)]
    assert minutes(starting, 0, max)[0][1] == 530
    assert surely_added(minutes(starting, 0, max)) == pytest.approx(0.0, abs=1e-9)
    assert surely_added(minutes(looks(20.0), 0, max)) == pytest.approx(20 * 11, rel=0.01)
    assert surely_added(minutes(looks(20.0, 3), 0, max)) == 0.0, "two minutes are too few"


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
