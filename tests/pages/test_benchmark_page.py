"""The page Benchmark: every part of a full report, an older run, several runs, and names that are text."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pandas as pd
import pytest

from gpovae_core.evaluation.evaluate import evaluate
from gpovae_core.evaluation.known import Known, KnownEdges
from gpovae_core.evaluation.scored import Scored
from gpovae_core.evaluation.stored import read_evaluation
from gpovae_core.evaluation.summary import lines, plain_name
from gpovae_core.reporting.sentences import in_one_sentence, shares_in_words
from gpovae_core.runs.folder import RunFolder
from tests.app_words import Opener, words
from tests.evaluation.conftest import EDGES, build_screen, true_network
from tests.evaluation.test_evaluate import SETTINGS, prediction
from tests.fake_run import HOSTILE, make_fake_run
from tests.pages.conftest import _all_null

PARTS = (
    "Scores",
    "Equal numbers of edges",
    "False edges",
    "Path length",
    "Known networks",
    "Every method",
    "Ablations",
    "Report",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs with the report of a small screen: two seeds of the same settings, one of others, one with nothing
    but nulls.
    """
    folder = tmp_path_factory.mktemp("benchmark")
    screen = build_screen()
    truth = pd.DataFrame([(s, t, 1.0) for s, t in EDGES], columns=["source", "target", "weight"])
    known = [KnownEdges(HOSTILE[0], True, frozenset((s.casefold(), t.casefold()) for s, t in EDGES))]
    adjacency = true_network(screen.panel)
    scored = Scored(screen, prediction(screen), 0.1 + 0.8 * adjacency, SETTINGS.threshold)
    report = evaluate(scored, SETTINGS, Known(known, truth)).to_json()
    first = make_fake_run(folder / "full")
    first.write_evaluation(report)
    for name, change in (("again", ("training", "seed", 3)), ("hops", ("loss", "hops", 2))):
        shutil.copytree(first.path, folder / name)
        config = json.loads((folder / name / "config.json").read_text())
        config["settings"][change[0]][change[1]] = change[2]
        (folder / name / "config.json").write_text(json.dumps(config))
    shutil.copytree(first.path, folder / "hollow")
    (folder / "hollow" / "evaluation.json").write_text(json.dumps({**_all_null(report), "schema": 1}))
    first.write_null(
        {
            "thresholds": [
                {"threshold": 0.5, "pairs": 40, "edges": 2, "run_edges": 5, "estimated_false_edge_rate": 0.4}
            ]
        }
    )
    return folder


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("run", ["full", "hollow"])
def test_every_part_is_shown(open_app: Opener, folder: Path, run: str, part: str) -> None:
    app = open_app("benchmark", folder=folder, run=run)
    app.session_state["benchmark_part"] = part
    app.run()
    assert not app.exception
    assert not app.error


def test_scores_stand_between_baseline_and_ceiling(open_app: Opener, folder: Path) -> None:
    app = open_app("benchmark", folder=folder, run="full")
    table = app.dataframe[0].value.set_index("Score")
    scores = json.loads((folder / "full" / "evaluation.json").read_text())["response"]["test"]["ate_rho"]
    row = table.loc["ATE-rho, all effects pooled"]
    assert row["This run"] == f"{scores['model']:.3f}"
    assert row["Baseline"].startswith(f"{scores['perturbation_mean']:.3f}")
    assert row["Ceiling"] == f"{scores['ceiling']:.3f}"
    assert row["Better than that"] in ("yes", "no")
    expected = (scores["model"] - scores["perturbation_mean"]) / (
        scores["ceiling"] - scores["perturbation_mean"]
    )
    assert row["Share of the achievable"] == f"{100 * expected:.0f} %"
    assert "better than the best method without a model on" in words(app)


def test_a_sentence_comes_first_and_every_row_is_explained(open_app: Opener, folder: Path) -> None:
    app = open_app("benchmark", folder=folder, run="full")
    found = read_evaluation(RunFolder(folder / "full"))
    assert found is not None
    told = [part.value for part in app.markdown]
    first = in_one_sentence(found, strong="**")
    assert first.startswith("This model is **")
    assert told.index(first) < next(k for k, line in enumerate(told) if "better than the best method" in line)
    (rows,) = [part for part in app.expander if part.label == "What each row asks"]
    shown = rows.markdown[0].value.replace("\\", "")
    assert all(f"- **{plain_name(line)}**: {line.name}: " in shown for line in lines(found))
    for notes in shares_in_words(lines(found)):
        assert notes in [part.value.replace("\\", "") for part in app.caption]


def test_tables_of_paths_references_truth_and_null(open_app: Opener, folder: Path) -> None:
    app = open_app("benchmark", folder=folder, run="full")
    found = {}
    for part in ("Path length", "Known networks", "False edges"):
        app.session_state["benchmark_part"] = part
        found[part] = [frame.value for frame in app.run().dataframe]
    assert list(found["Path length"][0]["Path length"]) == [1, 2, 3, 4, 5]
    known, truth = found["Known networks"]
    assert set(known["Reference"]) == {HOSTILE[0]}
    assert known["Usable edges"].str.contains("5 of").all()
    assert len(truth) == 2 * len(known), "direct edges and ancestors, by every method"
    assert found["False edges"][0]["As a share of this run's edges"].iloc[0] == "40 %"


def test_several_runs_stand_side_by_side_seeds_together(open_app: Opener, folder: Path) -> None:
    app = open_app("benchmark", folder=folder, run="full")
    app.multiselect[0].set_value(["again", "hops"])
    app.run()
    assert not app.exception
    columns = list(app.dataframe[0].value.columns)
    assert columns[1].endswith("2 seeds")
    assert columns[2] == "hops"
    assert "±" in app.dataframe[0].value.iloc[0, 1]
    assert "seeds alone" in words(app)


def test_ablations_are_the_runs_on_the_same_data(open_app: Opener, folder: Path) -> None:
    app = open_app("benchmark", folder=folder, run="hops")
    app.session_state["benchmark_part"] = "Ablations"
    table = app.run().dataframe[0].value
    assert any(re.search("seeds", column) for column in table.columns)
    alone = open_app("benchmark", run="plain")
    alone.session_state["benchmark_part"] = "Ablations"
    alone = alone.run()
    assert "No other settings have been tried" in words(alone)
    assert {"Train it with a setting changed", "Try several at once"} <= {one.label for one in alone.button}


def test_without_known_networks_there_is_a_way_to_them(
    open_app: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPOVAE_NETWORKS_DIR", str(tmp_path / "networks"))
    app = open_app("benchmark", run="plain")
    app.session_state["benchmark_part"] = "Known networks"
    app = app.run()
    assert "Load a table such as TRRUST" in words(app)
    assert app.button(key="benchmark_load").label == "Load a table of known edges"
    (tmp_path / "networks").mkdir()
    (tmp_path / "networks" / "one.csv").write_text("source,target\nA,B\n")
    app = open_app("benchmark", run="plain")
    app.session_state["benchmark_part"] = "Known networks"
    app = app.run()
    assert "Score it again in a terminal, against the tables in the folder" in words(app)
    assert any(block.value.startswith("gpovae evaluate ") for block in app.code)


def test_an_older_run_says_how_to_get_the_rest(open_app: Opener) -> None:
    app = open_app("benchmark", run="plain")
    assert "gpovae evaluate" in words(app)
    for part in PARTS:
        app.session_state["benchmark_part"] = part
        assert not app.run().exception
