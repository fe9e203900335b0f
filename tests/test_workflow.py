"""The whole way of a run, from cells to scores."""

from __future__ import annotations

from gpovae_core.workflow import start_run
from tests.toy import tiny_settings, write_toy


def test_a_run_without_hops_is_scored_by_its_edges_alone(tmp_path):
    # K = 0 of the formula `released` is W itself: T_1, not the longest series at hand
    settings = tiny_settings("released", loss={"hops": 0}, training={"epochs": 1})
    run = start_run(write_toy(tmp_path), tmp_path / "run", settings)
    curves = run.evaluation()["network"]["matched"]["as_measured"]
    assert curves["influence"] == curves["w"]
