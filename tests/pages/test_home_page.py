"""The page Home: what this is where there is no run of one's own, else what was found and what is running."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

from dashboard.home.page import MOST_LISTED
from gpovae_core.runs.folder import RunFolder
from gpovae_core.runs.shipped import DEMO
from tests.app_words import Opener, words
from tests.fake_run import make_fake_run

BUTTONS = {"Open its network", "Measured and predicted effects", "Ask what if", "All scores"}

REAL_DEMO, SIMULATED_DEMO = "Demo of real cells", "Demo of simulated cells"


def titles(app) -> list[str]:
    return [part.value.replace("\\", "") for part in app.subheader]


def labels(app) -> set[str]:
    return {button.label for button in app.button}


def test_without_a_run_of_ones_own_it_says_what_this_is_and_shows_the_demo(
    open_app: Opener, tmp_path: Path
) -> None:
    app = open_app("home", folder=tmp_path)
    assert not app.exception
    assert "Perturb-seq" in app.title[0].value
    assert {"Use my data", "Try the demo", SIMULATED_DEMO} | BUTTONS <= labels(app)
    shown = words(app)
    assert "What it found" in shown
    assert "have most targets" in shown
    assert len(app.get("plotly_chart")) == 2, "one picture, for wide windows and for telephones"
    assert "run" not in app.query_params  # nothing was opened: the demo stands behind the words


def test_without_any_run_it_still_says_where_to_begin(
    open_app: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.shared.listing.DEMOS", {})
    app = open_app("home", folder=tmp_path)
    assert not app.exception
    assert labels(app) == {"Use my data"}


def test_the_newest_run_of_ones_own_with_what_it_found_and_how_good_that_is(
    open_app: Opener, tmp_path: Path
) -> None:
    make_fake_run(tmp_path / "older", simulated=False)
    time.sleep(0.05)
    make_fake_run(tmp_path / "mine", seed=3, simulated=False)
    app = open_app("home", folder=tmp_path)
    assert not app.exception
    assert "Your newest run: mine" in [part.value for part in app.subheader]
    shown = words(app)
    edges = int(shown.split(" edges with W above")[0].rpartition(" ")[2].replace(",", ""))
    network = RunFolder(tmp_path / "mine").evaluation()["network"]
    assert edges > 0
    assert "Held out" in shown
    assert "older" in labels(app)
    assert network is not None
    app = next(button for button in app.button if button.label == "older").click().run()
    assert [part.value for part in app.subheader] == ["older"]
    assert app.query_params["run"] in ("older", ["older"])


@pytest.mark.parametrize("page", ["home", "runs"])
def test_both_demos_stay_reachable_however_many_runs_there_are(
    open_app: Opener, tmp_path: Path, page: str
) -> None:
    make_fake_run(tmp_path / "mine", simulated=False)
    for k in range(MOST_LISTED + 1):
        shutil.copytree(tmp_path / "mine", tmp_path / f"mine{k}")
    app = open_app(page, folder=tmp_path)
    assert {REAL_DEMO, SIMULATED_DEMO} <= labels(app)
    for label, name in ((SIMULATED_DEMO, DEMO), (REAL_DEMO, "papalexi2021-demo")):
        app = open_app(page, folder=tmp_path)
        app = next(button for button in app.button if button.label == label).click().run()
        assert not app.exception
        assert app.query_params["run"] in (name, [name])
        if page == "home":
            assert f"The demo: {name}" in titles(app)


def test_a_run_of_ones_own_with_the_name_of_a_demo_hides_no_demo(open_app: Opener, tmp_path: Path) -> None:
    make_fake_run(tmp_path / DEMO, simulated=False)
    app = open_app("home", folder=tmp_path)
    assert f"Your newest run: {DEMO}" in [part.value for part in app.subheader]
    app = next(button for button in app.button if button.label == SIMULATED_DEMO).click().run()
    assert not app.exception
    assert f"The demo: {DEMO} (comes with gpovae)" in titles(app)
    assert DEMO in labels(app)
    app = open_app("benchmark", folder=tmp_path)
    assert f"this is the newest, {DEMO}." in words(app)


def test_a_run_at_work_shows_how_far_it_is(open_app: Opener, tmp_path: Path) -> None:
    make_fake_run(tmp_path / "mine", simulated=False)
    shutil.copytree(tmp_path / "mine", tmp_path / "busy")
    (tmp_path / "busy" / "model.safetensors").unlink()
    status = json.loads((tmp_path / "mine" / "status.json").read_text())
    RunFolder(tmp_path / "busy").write_status(**{**_known(status), "state": "training", "epoch": 3})
    app = open_app("home", folder=tmp_path)
    assert not app.exception
    assert "**busy**" in words(app)
    assert "Watch it" in labels(app)
    assert any("mine" in part.value for part in app.subheader), "the newest with a network stands below"


def _known(status: dict) -> dict:
    return {"best_epoch": status.get("best_epoch")}


def test_a_run_that_is_gone_is_named_and_the_newest_shown(open_app: Opener, tmp_path: Path) -> None:
    make_fake_run(tmp_path / "mine", simulated=False)
    app = open_app("home", folder=tmp_path, run="deleted")
    assert not app.exception
    assert any("There is no run called 'deleted'" in error.value.replace("\\", "") for error in app.error)
    assert any("mine" in part.value for part in app.subheader)


@pytest.mark.parametrize("run", ["hostile", "one", "dead", "nulls", "bare", "nan", "future", "torn"])
def test_runs_of_every_kind_leave_no_trace(open_app: Opener, run: str) -> None:
    app = open_app("home", run=run)
    assert not app.exception
    if run == "hostile":
        assert "<img" not in words(app).replace("\\<img", "")
