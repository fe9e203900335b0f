"""The page Runs: the table, one run, several compared, and what is done with whole runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pandas as pd
from streamlit.testing.v1 import AppTest

from gpovae_core.runs import archive
from gpovae_core.runs.folder import RunFolder
from gpovae_core.runs.shipped import REAL_DEMO
from tests.app_words import Opener, words


def test_the_table_of_runs_has_scores_between_baseline_and_ceiling(open_app: Opener, made_runs: Path) -> None:
    table: pd.DataFrame = open_app("runs").dataframe[0].value.set_index("Run")
    scores = RunFolder(made_runs / "plain").evaluation()["response"]["test"]["ate_rho"]
    row = table.loc["plain"]
    assert (row["rho, model"], row["rho, baseline"], row["rho, ceiling"]) == (
        scores["model"],
        scores["train_mean"],
        scores["ceiling"],
    )
    assert row["Pairs"] > row["Edges"] > 0
    assert table.loc["dead", "State"].startswith("dead")
    assert table.loc["future", "State"].startswith("cannot be read")
    assert table.loc["toy", "Kind"] == "simulated"


def shown(app: AppTest, place: int) -> list[str]:
    return list(app.dataframe[place].proto.column_order)


def test_the_table_shows_what_tells_runs_apart_and_folds_the_rest(open_app: Opener) -> None:
    app = open_app()
    scores = ["rho, model", "rho, baseline", "rho, ceiling"]
    assert shown(app, 0) == ["Run", "State", *scores, "Edges", "Kind", "Data"]  # none is at work
    assert shown(app, 1) == ["Run", "State", *scores]  # on a telephone; one is dead
    app = app.checkbox(key="runs_whole").check().run()
    assert not app.exception
    assert {"Preset", "Changed settings", "Pairs"} <= set(shown(app, 0))


def test_the_table_of_finished_runs_has_no_state_on_a_telephone(
    open_app: Opener, made_runs: Path, tmp_path: Path
) -> None:
    shutil.copytree(made_runs / "plain", tmp_path / "mine")
    assert "State" not in shown(open_app(folder=tmp_path), 1)


def test_methods_that_were_not_installed_are_one_note(open_app: Opener) -> None:
    said = [note.value for note in open_app(run=REAL_DEMO).caption if "were not ranked by" in note.value]
    assert len(said) == 1
    assert all(method in said[0] for method in ("NOTEARS", "DAGMA", "GIES"))


def test_ticking_a_row_opens_that_run_and_puts_it_into_the_url(open_app: Opener) -> None:
    app = open_app()
    names = list(app.dataframe[0].value["Run"])
    app.session_state["gpovae_state"] = {"run": names[0]}  # what the callback of the table does
    app.run()
    assert app.query_params["run"] in (names[0], [names[0]])
    assert names[0] in words(app).replace("\\", "")


def test_a_dead_run_offers_the_command_that_continues_it(open_app: Opener) -> None:
    assert "--resume" in words(open_app(run="dead"))


def test_a_run_without_evaluation_says_how_to_get_one(open_app: Opener) -> None:
    assert "gpovae evaluate" in words(open_app(run="bare"))


def test_runs_ticked_together_are_compared(open_app: Opener) -> None:
    app = open_app(run="plain")
    app.session_state["compared_runs"] = ["plain", "one", "gone"]
    shown = words(app.run())
    assert not app.exception
    assert "2 runs compared" in shown
    assert len(app.get("plotly_chart")) == 3


def test_a_deleted_run_is_taken_back(open_app: Opener, made_runs: Path, tmp_path: Path) -> None:
    shutil.copytree(made_runs / "plain", tmp_path / "mine")
    archive.trash(RunFolder(tmp_path / "mine"))
    app = open_app(folder=tmp_path)
    assert "mine" not in set(app.dataframe[0].value["Run"])
    app = next(button for button in app.button if button.label == "Take back").click().run()
    assert not app.exception
    assert "mine" in set(app.dataframe[0].value["Run"])
    assert app.session_state["gpovae_state"]["run"] == "mine"
