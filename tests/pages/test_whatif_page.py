"""What if: ask, compare, keep; on a run that was trained, and on runs that cannot answer."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.whatif import ranking, scenarios
from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.errors import QueryError
from gpovae_core.network import paths
from gpovae_core.questions.reach import Question
from gpovae_core.runs.folder import RunFolder
from gpovae_core.workflow import measure_unseen, start_run
from tests.app_words import Opener, words
from tests.fake_run import HOSTILE
from tests.toy import tiny_settings, write_toy

FIRST = re.compile(r"\w+ \+ \w+ (is expected to change most|comes first, but level with)")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small run of the default preset."""
    folder = tmp_path_factory.mktemp("whatif")
    start_run(write_toy(folder), folder / "runs" / "toy", tiny_settings("evidence", training={"epochs": 2}))
    return folder / "runs"


@pytest.fixture(scope="module")
def without_hops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one small run whose W was trained without hops."""
    folder = tmp_path_factory.mktemp("without_hops")
    settings = tiny_settings("released", loss={"hops": 0}, training={"epochs": 1})
    start_run(write_toy(folder), folder / "runs" / "toy", settings)
    return folder / "runs"


def genes(folder: Path) -> tuple[str, str, str]:
    panel = RunFolder(folder / "toy").panel().data
    return panel.perturbed[0], panel.perturbed[1], panel.extended[0]


def ask(app: AppTest, *names: str) -> AppTest:
    app = app.multiselect(key="whatif_genes").set_value(list(names)).run()
    return app.button(key="whatif_ask").click().run()


def plain_words(app: AppTest) -> str:
    return re.sub(r"\\(.)", r"\1", words(app))


def test_two_genes_and_both_together_side_by_side(open_app: Opener, trained: Path) -> None:
    first, second, _ = genes(trained)
    app = ask(open_app("whatif", folder=trained, run="toy"), first.lower(), second)
    assert not app.exception
    shown = plain_words(app)
    assert shown.count("seen in training") == 2
    assert "combination of seen genes" in shown
    assert f"**{first} + {second}**" in shown
    assert "Not measured" in shown
    assert "of the largest effects measured in held-out cells, not 95 %" in shown
    app.session_state["whatif_part"] = "Do they add up?"
    shown = plain_words(app.run())
    assert not app.exception
    assert "non-additive genes" in shown
    assert "Additivity is checked where" in shown  # no cell has both knocked down
    app.session_state["whatif_part"] = "Paths"
    shown = plain_words(app.run())
    assert not app.exception
    assert f"Through the network {first} is expected to change" in shown


def test_the_answer_comes_first_and_needs_no_word_of_the_model(open_app: Opener, trained: Path) -> None:
    first, second, _ = genes(trained)
    app = open_app("whatif", folder=trained, run="toy", scenario=f"{first}+{second}")
    assert not app.exception
    told = [re.sub(r"\\(.)", r"\1", part.value) for part in app.markdown]
    answer = next(line for line in told if line.startswith(f"Perturbing **{first} + {second}** is expected"))
    assert told.index(answer) < next(k for k, line in enumerate(told) if "Simulated data" in line)
    assert "in brackets the model's own spread; -1 is half as much mRNA" in answer
    assert re.search(r"(None|\d+) of \d+ genes should change otherwise than by the effects of each", answer)
    assert not {"W", "T_K", "rho"} & set(re.findall(r"\w+", answer))


def test_an_extended_gene_rests_on_the_network_and_says_how_good_that_is(
    open_app: Opener, trained: Path
) -> None:
    extended = genes(trained)[2]
    app = ask(open_app("whatif", folder=trained, run="toy"), extended)
    shown = plain_words(app)
    assert "extended gene: network only" in shown
    assert "Not measured for this run" in shown
    assert "gpovae unseen" in shown
    app.session_state["whatif_part"] = "Paths"
    assert "Weights of its parts" in plain_words(app.run())
    path = trained / "toy"
    measure_unseen(path, RunFolder(path).settings(), at_once=2, draws=2)
    try:
        app.run()
        assert not app.exception
        shown = plain_words(app)
        assert "Not measured for this run" not in shown
        assert "In this run the network alone" in shown
        table = next(frame.value for frame in app.dataframe if "Network alone" in frame.value)
        assert {"Mean over perturbations", "Ceiling"} <= set(table.columns)
    finally:
        (path / "unseen.json").unlink()


def test_strength_is_chosen_from_what_the_screen_reached(open_app: Opener, trained: Path) -> None:
    first = genes(trained)[0]
    app = open_app("whatif", folder=trained, run="toy")
    app = app.multiselect(key="whatif_genes").set_value([first]).run()
    app = app.toggle(key="whatif_own_strength").set_value(True).run()
    slider = app.slider[0]
    assert first in slider.label
    assert f"removed {slider.value:.0f} %" in plain_words(app)
    app = slider.set_value(20).run()
    app = app.button(key="whatif_ask").click().run()
    assert not app.exception
    assert f"**{first} (20 %)**" in plain_words(app)
    assert f"{first} loses 20 % of its" in plain_words(app)
    assert "How strength enters" in plain_words(app)


def test_scenarios_are_named_removed_and_bounded(open_app: Opener, trained: Path) -> None:
    first, second, _ = genes(trained)
    app = open_app("whatif", folder=trained, run="toy")
    app = app.text_input(key="whatif_name").set_value("My *pair*").run()
    app = ask(app, first, second)
    assert "**My *pair***" in plain_words(app)
    app = app.button(key="whatif_remove_My *pair*").click().run()
    assert "My *pair*" not in plain_words(app)
    assert "combination of seen genes" not in plain_words(app)
    many = tuple(scenarios.Scenario(f"S{i}", Question({first: None})) for i in range(scenarios.MOST))
    app.session_state["gpovae_state"]["scenarios"] = {"toy": many}
    app = ask(app, first, second)
    assert any("as many as can be read" in error.value.replace("\\", "") for error in app.error)


def test_genes_outside_the_panel_are_refused_with_near_names(open_app: Opener, trained: Path) -> None:
    app = open_app("whatif", folder=trained, run="toy")
    app = app.multiselect(key="whatif_genes").set_value(["SIM0001"]).run()
    assert not app.exception
    assert any("Did you mean" in error.value for error in app.error)
    assert app.button(key="whatif_ask").disabled


@pytest.mark.parametrize("run", ["bare", "nan", "future", "torn", "broken_config", "hostile", "one", "nulls"])
def test_runs_that_cannot_answer_say_so(open_app: Opener, run: str) -> None:
    app = open_app("whatif", run=run)
    assert not app.exception
    if run in ("bare", "torn", "future", "broken_config"):
        assert app.error


def test_names_are_never_markup(open_app: Opener) -> None:
    app = open_app("whatif", run="hostile")
    state = {
        **app.session_state["gpovae_state"],
        "scenarios": {"hostile": (scenarios.Scenario(HOSTILE[0], Question({HOSTILE[0]: None})),)},
    }
    app.session_state["gpovae_state"] = state
    app.run()
    assert not app.exception
    assert not re.search(r"(?<!\\)<img|(?<!\\)\[x|(?<!\\)\$x", words(app))


@pytest.mark.parametrize(("hops", "traced"), [(0, 1), (1, 1), (7, 7), (10, 10), (20, 15)])
def test_paths_are_traced_over_as_many_hops_as_are_said(
    open_app: Opener,
    without_hops: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    hops: int,
    traced: int,
) -> None:
    """hops = 0 is W without hops, which is shown over one; 15 are as many as can be traced."""
    shutil.copytree(without_hops / "toy", tmp_path / "toy")
    config = json.loads((tmp_path / "toy" / "config.json").read_text())
    config["settings"]["loss"]["hops"] = hops
    (tmp_path / "toy" / "config.json").write_text(json.dumps(config))
    asked = []

    def noted(*args, **options) -> paths.PathTrace:
        asked.append(options["hops"])
        return replace(paths.trace_paths(*args, **options), paths=())

    monkeypatch.setattr("dashboard.shared.networks.trace_paths", noted)
    app = open_app("whatif", folder=tmp_path, run="toy")
    app = ask(app, genes(tmp_path)[0])
    app.session_state["whatif_part"] = "Paths"
    app.run()
    assert not app.exception
    assert not app.error
    assert asked == [traced]
    assert f"No path of at most {traced} hop{'s' if traced > 1 else ''} carries" in plain_words(app)


# Scenario files ---------------------------------------------------------------------------------------------


def test_scenarios_survive_the_file(trained: Path) -> None:
    first, second, _ = genes(trained)
    panel = RunFolder(trained / "toy").panel()
    kept = (
        scenarios.named("both", Question({first: 0.5, second: None})),
        scenarios.named("", Question({second: 0.9})),
    )
    assert scenarios.from_json(scenarios.to_json("toy", kept).encode(), panel) == kept
    assert kept[1].name == f"{second} (90 %)"
    assert [s.name for s in scenarios.with_parts(kept[0])] == [f"{first} (50 %)", second, "both"]


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("{", "no JSON"),
        ("[]", "no scenarios"),
        ('{"format": 1, "scenarios": []}', "no scenarios"),
        ('{"format": 2, "scenarios": [{}]}', "format"),
        ('{"format": 1, "scenarios": [{"name": 3, "genes": []}]}', "Scenario 1"),
        (
            '{"format": 1, "scenarios": [{"name": "x", "genes": [{"gene": "SIM9999", "loss": null}]}]}',
            "not in the panel",
        ),
        ('{"format": 1, "scenarios": [{"name": "x", "genes": [{"gene": "GENE", "loss": 1.5}]}]}', "loss"),
        ('{"format": 1, "scenarios": [{"name": "x", "genes": [{"gene": "GENE", "loss": true}]}]}', "loss"),
        ('{"format": 1, "scenarios": [{"name": "x", "genes": []}]}', "1 to 4"),
        (
            json.dumps(
                {"format": 1, "scenarios": [{"name": "x" * 99, "genes": [{"gene": "GENE", "loss": None}]}]}
            ),
            "at most 60",
        ),
        (json.dumps({"format": 1, "scenarios": [{"name": "x", "genes": []}] * 9}), "at most 6"),
    ],
)
def test_files_that_are_wrong_are_refused_in_words(trained: Path, content: str, part: str) -> None:
    panel = RunFolder(trained / "toy").panel()
    with pytest.raises(QueryError, match=part):
        scenarios.from_json(content.replace("GENE", panel.genes[0]).encode(), panel)


def test_all_pairs_are_ranked_before_anything_is_asked(open_app: Opener, trained: Path) -> None:
    app = open_app("whatif", folder=trained, run="toy")
    assert not app.exception
    shown = plain_words(app)
    assert FIRST.search(shown)
    assert "never checked here" in shown  # no cell has two knocked down
    assert "The model was asked for all 15 pairs" in shown
    table = next(one.value for one in app.dataframe if "Pair" in one.value)
    assert len(table) == 15
    assert table["Size"].is_monotonic_decreasing
    assert set(table["Measured together"]) == {"never"}
    app = app.segmented_control(key="whatif_ranked").set_value("Single genes").run()
    assert not app.exception
    assert any("Rests on" in one.value for one in app.dataframe)


def test_the_place_of_the_asked_pair_is_told(open_app: Opener, trained: Path) -> None:
    first, second, _ = genes(trained)
    app = ask(open_app("whatif", folder=trained, run="toy"), first, second)
    assert f"You asked for {first} + {second}: number " in plain_words(app)


def test_a_large_screen_is_ranked_when_somebody_asks(
    open_app: Opener, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "AT_ONCE", 10)
    app = open_app("whatif", folder=trained, run="toy")
    assert not FIRST.search(plain_words(app))
    app = app.button(key="whatif_rank").click().run()
    assert not app.exception
    assert FIRST.search(plain_words(app))


def test_a_chosen_row_is_asked_with_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    class Chosen:
        rows: tuple[int, ...] = (1,)
        selection = None

    chosen = Chosen()
    chosen.selection = chosen  # type: ignore[assignment]
    kept: dict[str, object] = {"table": chosen}
    monkeypatch.setattr(ranking.st, "session_state", kept)
    made: list[scenarios.Scenario] = []
    monkeypatch.setattr(ranking, "add", lambda run, *more: made.extend(more))
    monkeypatch.setattr(scenarios, "of_run", lambda run: ())
    panel = Panel(PanelData(perturbed=tuple("ABCD"), extended=(), measured=tuple("ABCD")))
    monkeypatch.setattr(ranking.questions, "reach", lambda run: SimpleNamespace(panel=panel))
    run = RunFolder(Path("toy"))
    ranking._picked(run, [("A", "B"), ("C", "D")], "table")
    assert [one.asked.genes for one in made] == [("C",), ("D",), ("C", "D")]
    chosen.rows = (7,)  # a row of a table that is gone
    ranking._picked(run, [("A", "B")], "table")
    assert len(made) == 3


# In the address ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", "both | one = 50 % + more"])
@pytest.mark.parametrize("gene", ["STAT1", "A=B", "x|y%2B", "基因"])
def test_a_scenario_survives_the_address(trained: Path, name: str, gene: str) -> None:
    panel = RunFolder(trained / "toy").panel()
    names = {"perturbed": (gene, *panel.data.perturbed[1:]), "measured": panel.data.measured[1:]}
    data = panel.data.model_copy(update=names)
    scenario = scenarios.named(name, Question({gene: 0.5, panel.data.perturbed[1]: None}))
    assert scenarios.from_text(scenarios.as_text(scenario), type(panel)(data)) == scenario


def test_the_address_asks_and_the_answers_are_there(open_app: Opener, trained: Path) -> None:
    first, second, _ = genes(trained)
    asked = [first.lower(), f"{first}+{second}=0.5", "both|NOBODY", f"{first}=7"]
    app = open_app("whatif", folder=trained, run="toy", scenario=asked)
    assert not app.exception
    shown = plain_words(app)
    assert f"**{first}**" in shown
    assert f"**{first} + {second} (50 %)**" in shown
    assert "The address asks for 'both|NOBODY'" in shown
    assert "at most 0.99; got '7'" in shown
    assert app.query_params["scenario"] == [first, f"{first}+{second}=0.5"]


def test_questions_wait_for_their_run(open_app: Opener, trained: Path, tmp_path: Path) -> None:
    first = genes(trained)[0]
    for name in ("toy", "again"):
        shutil.copytree(trained / "toy", tmp_path / name)
    app = ask(open_app("whatif", folder=tmp_path, run="toy"), first)
    app = app.selectbox(key="widget_run").set_value("again").run()
    assert "Nothing asked yet" in words(app)
    app = app.selectbox(key="widget_run").set_value("toy").run()
    assert not app.exception
    assert f"**{first}**" in plain_words(app)
