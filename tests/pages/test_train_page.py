"""The page Train: a form that follows the settings model, and jobs as they are on disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.shared import settings_form
from gpovae_core.config import PRESETS, Settings, idle_settings, make_settings
from gpovae_core.data import memory
from gpovae_core.runs import jobs
from gpovae_core.runs.folder import RunFolder
from gpovae_core.sweeps import folder as sweeping
from tests.app_words import Opener, words
from tests.data.small import small_cells
from tests.fake_run import make_fake_run


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folders for data and runs, a good file, and no process that is really started."""
    (tmp_path / "data").mkdir()
    (tmp_path / "runs").mkdir()
    monkeypatch.setenv("GPOVAE_DATA_DIR", str(tmp_path / "data"))
    small_cells().write_h5ad(tmp_path / "data" / "cells.h5ad")
    monkeypatch.setattr(jobs, "launch", lambda run, *_, **__: run.write_status(pid=os.getpid()))
    monkeypatch.setattr(jobs, "start_estimate", lambda source, settings: None)
    return tmp_path


def labelled(app: AppTest) -> dict[str, object]:
    boxes = [*app.number_input, *app.selectbox, *app.text_input, *app.checkbox, *app.multiselect]
    return {str(box.label).removesuffix(" •"): box for box in boxes}


def test_without_cells_the_page_says_what_it_is_for_and_has_one_button(open_app: Opener, place: Path) -> None:
    app = open_app("train", folder=place / "runs")
    assert "a run comes out: a network, predicted effects" in words(app)
    assert [button.label for button in app.button] == ["Choose cells on the page Data"]
    assert not app.exception


@pytest.mark.parametrize("preset", PRESETS)
def test_every_setting_that_has_an_effect_has_its_place_in_the_form(
    open_app: Opener, place: Path, preset: str
) -> None:
    app = open_app("train", folder=place / "runs", data="cells.h5ad")
    app = labelled(app)["Preset"].set_value(preset).run()
    assert not app.exception
    assert not app.error
    boxes = [*app.number_input, *app.selectbox, *app.text_input, *app.checkbox, *app.multiselect]
    found = {str(box.key).rpartition("_None_")[2] for box in boxes if "_None_" in str(box.key)}
    wanted = {
        f"{section}.{field}"
        for section, fields in settings_form.sections(Settings()).items()
        for field in fields
    }
    assert found == wanted - set(settings_form.SEEDS) - idle_settings(make_settings(preset)).keys()
    assert "Hops K" in labelled(app)
    idle = idle_settings(make_settings(preset))
    assert ("GPO weight" in labelled(app)) == ("loss.alignment" not in idle)


def test_a_change_that_another_preset_does_not_read_is_dropped_with_it(open_app: Opener, place: Path) -> None:
    app = open_app("train", folder=place / "runs", data="cells.h5ad")
    app = labelled(app)["Least effect"].set_value(0.1).run()
    app = labelled(app)["Latent"].set_value(12).run()
    app = labelled(app)["Preset"].set_value("released").run()
    assert [button.label for button in app.button if button.label.startswith("Undo")] == ["Undo 1 change"]
    assert labelled(app)["Latent"].value == 12


def test_what_is_chosen_is_what_the_run_gets(open_app: Opener, place: Path) -> None:
    app = open_app("train", folder=place / "runs", data="cells.h5ad")
    for label, value in (("Hops K", 3), ("Least effect", 0.2), ("Latent", 12)):
        app = labelled(app)[label].set_value(value).run()
    app = app.number_input(key="form_seed").set_value(7).run()
    app = labelled(app)["Name of the run"].set_value("my run").run()
    app = next(button for button in app.button if button.label == "Start training").click().run()
    assert not app.exception
    run = RunFolder.open(place / "runs" / "my run")
    changes = {
        "loss": {"hops": 3},
        "network": {"least_effect": 0.2},
        "training": {"seed": 7},
        "data": {"seed": 7},
        "model": {"latent": 12},
    }
    assert run.settings() == make_settings(changes=changes)
    assert app.query_params["run"] in ("my run", ["my run"])
    assert "my run" in [heading.value for heading in app.subheader]


@pytest.mark.parametrize("name", ["../evil", "a/b", ""])
def test_a_name_that_cannot_be_is_refused_in_words(open_app: Opener, place: Path, name: str) -> None:
    app = open_app("train", folder=place / "runs", data="cells.h5ad")
    app.session_state["train_name"] = name
    app.session_state["named_for"] = "cells.h5ad"
    app = next(button for button in app.run().button if button.label == "Start training").click().run()
    assert not app.exception
    made = [path.name for path in (place / "runs").iterdir()]
    assert made == [] if name else made == ["cells"]  # an empty name gets the file's
    assert not (place / "evil").exists()


def test_a_preset_and_published_values_change_the_form(open_app: Opener, place: Path) -> None:
    app = open_app("train", folder=place / "runs", data="cells.h5ad")
    app = labelled(app)["Preset"].set_value("released").run()
    app = labelled(app)["Values published for"].set_value("RPE1").run()
    assert labelled(app)["Sparsity"].value == 10.0
    app = labelled(app)["Preset"].set_value("paper").run()
    assert labelled(app)["Sparsity"].value == make_settings("paper").loss.sparsity
    assert settings_form.PRESET_WORDS.keys() <= {
        *labelled(app)["Preset"].options,
        *settings_form.PRESET_WORDS,
    }


def test_bad_values_are_named_and_nothing_starts(open_app: Opener, place: Path) -> None:
    app = open_app("train", folder=place / "runs", data="cells.h5ad")
    app = labelled(app)["Train fraction"].set_value(0.99).run()
    assert any("train_fraction" in str(error.value).replace("\\", "") for error in app.error)
    assert not [button for button in app.button if button.label == "Start training"]


def kill(run: RunFolder) -> None:
    run.write_status(state="training", pid=os.getpid())
    text = json.loads((run.path / "status.json").read_text())
    (run.path / "status.json").write_text(json.dumps({**text, "process": "gone"}))


def test_a_dead_run_is_shown_as_dead_with_its_last_words_and_a_resume_button(
    open_app: Opener, place: Path
) -> None:
    run = make_fake_run(place / "runs" / "poor")
    kill(run)
    (run.path / "worker.txt").write_text("Killed <b>by</b> the system")
    for page in ("train", "runs"):
        app = open_app(page, folder=place / "runs", run="poor")
        assert not app.exception
        assert "This run is dead" in "\n".join(str(error.value) for error in app.error)
        assert any("Killed <b>by</b>" in str(block.value) for block in app.code)
        assert [button.label for button in app.button if button.key == "job_resume"] == ["Resume"]
    app = next(button for button in app.button if button.key == "job_resume").click().run()
    assert run.status().state == "queued"
    assert not run.status().dead()


def test_a_run_at_work_shows_progress_numbers_and_stop(open_app: Opener, place: Path) -> None:
    run = make_fake_run(place / "runs" / "busy")
    run.write_status(state="training", pid=os.getpid(), epoch=40, stage="training: x", share=40.35 / 60)
    app = open_app("train", folder=place / "runs", run="busy")
    assert not app.exception
    shown = words(app).replace("\\", "")
    assert "Edges above 0.5" in shown
    assert [button.label for button in app.button if button.key == "job_stop"] == ["Stop training"]
    assert "epoch 40 of at most 60, 35% of the next" in str(
        [getattr(node, "proto", "") for node in app.get("progress")]
    ).replace("\\", "")


def test_a_clone_starts_from_the_settings_of_the_run(open_app: Opener, place: Path) -> None:
    run = make_fake_run(place / "runs" / "old", preset="paper")
    run.write_status(state="stopped")
    app = open_app("runs", folder=place / "runs", run="old")
    app = next(button for button in app.button if button.key == "job_clone").click().run()
    assert not app.exception
    draft = app.session_state["gpovae_state"]["draft"]
    assert make_settings(draft["preset"], draft["changes"], draft["published"]) == run.settings()


def test_a_run_that_is_trained_says_so_and_leads_on(open_app: Opener, place: Path) -> None:
    run = make_fake_run(place / "runs" / "old", preset="paper")
    app = open_app("train", folder=place / "runs", run="old", data="cells.h5ad")
    assert "**old** is trained." in words(app)
    assert {"Open its network", "Its scores"} <= {button.label for button in app.button}
    app = app.button(key="train_again").click().run()
    assert not app.exception
    draft = app.session_state["gpovae_state"]["draft"]
    assert make_settings(draft["preset"], draft["changes"], draft["published"]) == run.settings()
    assert "Starts from the settings of old" in words(app)
    run.write_status(state="imported")
    app = open_app("train", folder=place / "runs", run="old")
    assert "**old** was imported." in words(app)
    assert "train_again" not in {button.key for button in app.button}


def test_two_people_see_the_same_runs_and_not_each_others_choice(open_app: Opener, place: Path) -> None:
    for name in ("one", "two"):
        make_fake_run(place / "runs" / name)
    first = open_app("runs", folder=place / "runs", run="one")
    second = open_app("runs", folder=place / "runs", run="two")
    first = first.switch_page("pages/train.py").run()
    assert first.session_state["gpovae_state"]["run"] == "one"
    assert second.run().session_state["gpovae_state"]["run"] == "two"
    options = [
        next(box.options for box in app.switch_page("pages/benchmark.py").run().selectbox)
        for app in (first, second)
    ]
    assert options[0] == options[1]
    assert {"one (simulated)", "two (simulated)"} <= set(options[0])


def test_conditions_are_chosen_or_trained_one_by_one(
    open_app: Opener, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched: list[str] = []
    monkeypatch.setattr(sweeping, "launch", lambda made, *_, **__: launched.append(made.path.name))
    cells = small_cells(per_label=120)
    cells.obs["condition"] = ["stimulated", "rest"] * (cells.n_obs // 2)
    cells.write_h5ad(place / "data" / "two.h5ad")
    app = open_app("train", folder=place / "runs", data="two.h5ad")
    assert not app.exception
    assert "Cells of 2 conditions are taken together" in words(app)
    app = labelled(app)["Conditions to use"].set_value(["rest"]).run()
    assert not app.exception
    app = next(button for button in app.button if button.key == "train_start").click().run()
    assert not app.exception
    assert RunFolder.open(place / "runs" / "two").settings().data.conditions == ("rest",)

    app = open_app("train", folder=place / "runs", data="two.h5ad")
    app = next(button for button in app.button if button.key == "train_each_condition").click().run()
    assert not app.exception
    assert launched == ["two 2"]


def test_what_does_not_fit_is_said_before_it_starts_and_started_where_somebody_insists(
    open_app: Opener, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "free_memory", lambda: 3 * 10**8)
    app = open_app("train", folder=place / "runs", data="cells.h5ad")
    said = next(one.value for one in app.warning if "needs about" in one.value)
    assert "Training on" in said
    assert "MB of memory" in said
    start = next(button for button in app.button if button.label == "Start training")
    app = start.click().run()
    assert any("needs about" in error.value for error in app.error)
    assert not list((place / "runs").iterdir())
    app = app.checkbox(key="train_anyway").check().run()
    assert any("--anyway" in code.value for code in app.code)
    app = next(button for button in app.button if button.label == "Start training").click().run()
    assert not app.exception
    assert RunFolder.open(place / "runs" / "cells").status().state == "queued"
