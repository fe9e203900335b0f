"""The page Experiments, and the ensemble on the page Network, without a browser."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

import gpovae_core.sweeps.work as working
from dashboard.experiments.outcome import CHOSEN
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.runs.ensemble import FILE
from gpovae_core.runs.folder import RunFolder
from gpovae_core.sweeps.plan import shipped_plans
from tests.app_words import Opener, words
from tests.conftest import PROJECT
from tests.data.small import small_cells
from tests.sweeps.stand_in import make, put_in


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a finished sweep."""
    monkeypatch.setattr(
        working, "_run", (stand_in := put_in(undefined=lambda point, seed: point["loss.hops"] == 3))[0]
    )
    monkeypatch.setattr(working, "measure_run", stand_in[1])
    working.work(make(tmp_path))
    return tmp_path


def test_a_sweep_is_shown_with_its_points_and_opens_a_run(open_app: Opener, runs: Path) -> None:
    app = open_app("experiments", runs)
    assert not app.exception
    assert "Stand-in" in words(app).replace("\\", "")
    table = next(frame.value for frame in app.dataframe if "Point" in frame.value)
    assert len(table) == 6
    assert table["ATE-rho"].str.contains("±").sum() == 4
    app.session_state[CHOSEN] = ("sweep", 1)
    app.run()
    next(button for button in app.button if button.key == "open_sweep_t0001-s1").click().run()
    assert not app.exception
    assert app.session_state["gpovae_state"]["run"] == "sweep/t0001-s1"
    assert "loss.hops 1" in words(app).replace("\\", "")


def test_without_cells_the_page_says_what_it_is_for_and_has_one_button(
    open_app: Opener, tmp_path: Path
) -> None:
    app = open_app("experiments", tmp_path)
    shown = words(app).replace("\\", "")
    assert "A **sweep**: many runs on the same cells" in shown
    assert "A **seed**: the number" in shown
    for plan in shipped_plans().values():
        assert plan.about in shown
    assert [button.label for button in app.button] == ["Choose cells on the page Data"]
    assert not app.exception


def test_with_cells_the_form_of_a_first_sweep_is_open(
    open_app: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPOVAE_DATA_DIR", str(tmp_path))
    small_cells().write_h5ad(tmp_path / "cells.h5ad")
    app = open_app("experiments", tmp_path, data="cells.h5ad")
    assert not app.exception
    assert "A **sweep**:" in words(app)
    assert "a point is one choice of what is tried" in words(app).replace("\\", "")
    assert [button.label for button in app.button] == ["Start the sweep"]


def test_edges_can_be_held_to_those_that_come_back(
    open_app: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr("dashboard.network.picture.workbench", lambda data, _: seen.append(data))
    shutil.copytree(PROJECT / "assets" / "demo" / "run", tmp_path / "sure")
    whole = GeneNetwork.from_run(RunFolder(tmp_path / "sure"))
    assert whole.ensemble is not None
    kept = whole.with_evidence().found_often(0.95).edges(0.5)
    assert 0 < len(kept) < len(whole.with_evidence().edges(0.5))
    assert (kept["frequency"] >= 0.95 - 1e-6).all()
    edge = kept.iloc[0]
    app = open_app(
        "network", tmp_path, run="sure", often="0.95", edge_from=edge["source"], edge_to=edge["target"]
    )
    app.session_state["network_part"] = "How sure?"
    app.run()
    assert not app.exception
    assert "networks (W above 0.5)" in str(seen[-1]["evidence"])
    shown = seen[0]["edges"].query("weight > 0.5")
    assert len(shown) == len(kept)
    assert (shown["frequency"] >= 95).all()
    (tmp_path / "sure" / FILE).write_bytes(b"torn")
    app.run()
    assert not app.exception
    assert "is damaged" in "".join(error.value for error in app.error).replace("\\", "")
