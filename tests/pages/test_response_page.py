"""The page Response: every part over a run with a trained model, the chosen gene, and the way to Network and
back.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from dashboard.response import answer
from dashboard.response.page import PARTS
from dashboard.response.scene import Scene
from gpovae_core import keys
from gpovae_core.effects.changes import changed_genes, fold_table
from gpovae_core.runs.folder import RunFolder
from gpovae_core.workflow import start_run
from tests.app_words import Opener, words
from tests.conftest import PROJECT
from tests.toy import tiny_settings, toy_cells, write_toy

DEMO = RunFolder(PROJECT / "assets" / "demo" / "run")


def at_part(app: AppTest, part: str) -> AppTest:
    app.session_state["response_part"] = part
    return app.run()


def text(app: AppTest) -> str:
    return words(app).replace("\\", "")


@pytest.fixture
def demo(open_app: Opener, tmp_path: Path) -> AppTest:
    return open_app("response", folder=tmp_path, run="demo", gene="SIM006")


def test_every_part_has_its_charts_with_a_sentence_each(demo: AppTest) -> None:
    charts = {
        "Predicted against observed": 2,
        "Which genes changed": 2,
        "One gene": 1,
        "Along a path": 0,
        "All perturbations": 1,
    }
    for part in PARTS:
        app = at_part(demo, part)
        assert not app.exception
        assert not app.error
        assert len(app.get("plotly_chart")) == charts[part]
    assert "Observed (held-out cells) and predicted effects in the same order" in text(demo)


def test_the_answer_comes_first_and_needs_no_word_of_the_model(demo: AppTest) -> None:
    told = [part.value.replace("\\", "") for part in demo.markdown]
    answer = next(line for line in told if line.startswith("Perturbing "))
    assert told.index(answer) < next(k for k, line in enumerate(told) if "Simulated data" in line)
    name = demo.multiselect[0].value[0]
    assert f"Perturbing **{name}** (" in answer
    assert " held-out cells) changes **" in answer
    assert "adjusted p below 0.05" in answer
    numbers = re.search(r"by \*\*([\d.]+)\*\* \(baseline, .*: ([\d.]+); ceiling, .*: ([\d.]+)\), ", answer)
    assert numbers is not None, answer
    model, baseline, ceiling = map(float, numbers.groups())
    assert min(model, baseline) > 0.9
    assert ceiling <= 1
    assert not {"W", "T_K", "rho"} & set(re.findall(r"\w+", answer))
    assert "-1 is half as much mRNA" in words(demo)


@pytest.mark.parametrize(
    ("guess", "mean", "said"),
    [
        ((2.0, 4.0, 6.5), (0.9, 2.2, 2.7), ", but in size it is **farther off** than that baseline (R², "),
        ((1.1, 2.0, 2.9), (1.0, 2.9, 2.1), ", and in size it is nearer than that baseline (R², "),
        ((2.0, 6.5, 4.0), (0.9, 2.2, 2.7), ", and in size it is **farther off** than that baseline (R², "),
        ((1.1, 2.0, 2.9), (1.1, 2.0, 2.9), ", and in size it is as far off as that baseline (R², "),
    ],
)
def test_the_answer_says_of_sizes_in_the_same_breath(
    guess: tuple[float, ...], mean: tuple[float, ...], said: str
) -> None:
    """A prediction twice as large as what was observed correlates as well as a right one."""
    table = pd.DataFrame({"log_observed": (1.0, 2.0, 3.0), "log_predicted": guess, "log_train_mean": mean})
    told = answer._known(table, 0.99)
    assert said in told
    assert re.search(r"explained: -?[\d.]+ against -?[\d.]+\)\.$", told)
    unknown = answer._known(table.assign(log_train_mean=np.nan), np.nan)
    assert unknown == f"{told.split(' (baseline')[0]}."


def test_where_nothing_was_observed_that_is_said_and_no_figure_is_empty(
    demo: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = ["observed", "observed_se", "p", "adjusted"]
    of_page = Scene.table
    monkeypatch.setattr(
        Scene, "table", lambda scene, name: of_page(scene, name).assign(**dict.fromkeys(measured, np.nan))
    )
    for part in ("Predicted against observed", "Which genes changed"):
        app = at_part(demo, part)
        assert not app.exception
        assert not app.get("plotly_chart")
        assert [one.value for one in app.info if "was observed in held-out cells" in one.value]
        assert "of 0 genes" not in text(app)


def test_it_is_said_how_figures_are_sorted(demo: AppTest) -> None:
    assert "strongest observed effects of" in text(demo)
    assert "from the top" in text(demo)
    assert "Sorted by what is to be believed of an effect" in text(demo)
    assert answer.ORDER not in words(demo)
    two = demo.multiselect[0].set_value(DEMO.cells().perturbations[:2]).run()
    assert answer.ORDER in words(two)
    assert "ordered so that those of similar observed effects stand together" in text(
        at_part(two, "All perturbations")
    )


def test_scores_stand_beside_baseline_and_ceiling(demo: AppTest) -> None:
    name = demo.multiselect[0].value[0]
    scores = next(frame.value for frame in demo.dataframe if "Score" in frame.value)
    assert list(scores["Score"]) == ["rho", "R²", "rho", "R²", "Same sign"]
    report = next(
        row
        for row in DEMO.evaluation()["response"]["test"]["per_perturbation"]
        if row["perturbation"] == name
    )
    expected = [
        f"{report['rho']['model']:.3f}",
        f"{report['rho']['train_mean']:.3f}",
        f"{report['ceiling']:.3f}",
    ]
    assert list(scores.loc[0, ["Model", "Training mean", "Ceiling"]]) == expected
    counted = int(changed_genes(DEMO.cells(), keys.HELD_OUT)[name])
    assert scores.loc[2, "Over"] == f"{counted} changed genes"


def test_the_table_of_all_perturbations(demo: AppTest) -> None:
    table = next(
        frame.value for frame in at_part(demo, "All perturbations").dataframe if "Effect size" in frame.value
    )
    assert len(table) == len(DEMO.cells().perturbations)
    np.testing.assert_allclose(table["Of the ceiling"], np.maximum(table["rho, model"], 0) / table["Ceiling"])
    assert table["Effect size"].is_monotonic_decreasing, "largest effects first, as the caption says"
    assert "largest effects first" in text(demo)
    counted = changed_genes(DEMO.cells(), keys.HELD_OUT)
    assert list(table["Changed genes"]) == [counted[name] for name in table["Perturbation"]]


def test_draws_from_the_model_stand_beside_the_cells(demo: AppTest) -> None:
    app = at_part(demo, "One gene")
    shown = text(app)
    assert "Measured, control: mean" in shown
    assert "Model, control: mean" in shown
    assert f"Model, {app.multiselect[0].value[0]} perturbed: mean" in shown


def test_a_perturbation_held_out_as_a_whole_is_called_so_and_stands_apart(
    open_app: Opener, tmp_path: Path
) -> None:
    name = toy_cells().perturbations[0]
    start_run(write_toy(tmp_path), tmp_path / "held", tiny_settings("evidence", data={"unseen": [name]}))
    app = open_app("response", folder=tmp_path, run="held", gene=toy_cells().perturbations[1])
    shown = text(app.multiselect[0].set_value([name]).run())
    assert not app.exception
    assert "held out" in shown
    assert "the answer comes from the network alone. What if gives the same answer" in shown
    assert "Model, " not in text(at_part(app, "One gene"))
    app = at_part(app, "All perturbations")
    scored = next(frame.value for frame in app.dataframe if "Effect size" in frame.value)
    apart = next(frame.value for frame in app.dataframe if "rho, untrained row" in frame.value)
    assert (name in set(scored["Perturbation"]), list(apart["Perturbation"])) == (False, [name])


def test_the_chosen_gene_is_the_one_of_the_network_page(demo: AppTest) -> None:
    gene = next(box for box in demo.selectbox if box.label == "Gene")
    assert gene.value == "SIM006"
    assert "SIM006 under" in text(demo)
    app = gene.set_value("SIM031").run()
    assert app.query_params["gene"] in ("SIM031", ["SIM031"])
    assert "SIM031 under" in text(app)


def test_a_measured_gene_outside_the_panel_can_be_chosen(open_app: Opener) -> None:
    app = open_app("response", run="plain", gene="EXT0001")
    app = next(box for box in app.selectbox if box.label == "Gene").set_value("REST0003").run()
    assert "REST0003 under" in text(app)
    assert "not in the panel" in text(app)
    app = app.switch_page("pages/network.py").run()
    assert not app.error
    assert app.query_params["gene"] in ("EXT0001", ["EXT0001"])  # the focus there is still the panel gene


def test_a_pinned_path_shows_its_effects(open_app: Opener, tmp_path: Path) -> None:
    app = open_app("response", folder=tmp_path, run="demo", path=["SIM012", "SIM005", "SIM008", "SIM017"])
    app = at_part(app, "Along a path")
    assert app.multiselect[0].value == ["SIM012"]
    table = next(frame.value for frame in app.dataframe if "W from the gene before" in frame.value)
    assert list(table["gene"]) == ["SIM012", "SIM005", "SIM008", "SIM017"]
    measured = fold_table(DEMO.cells(), keys.HELD_OUT, ("SIM012",)).effect
    np.testing.assert_allclose(table["observed"], measured[list(table["gene"])].iloc[0], rtol=1e-4)
    assert np.isfinite(table["predicted"]).all()
    app = next(button for button in app.button if button.label == "Unpin this path").click().run()
    assert "No path is pinned" in text(app)


def test_the_model_answers_for_the_source_of_a_path_that_was_never_perturbed(
    open_app: Opener, tmp_path: Path
) -> None:
    panel = DEMO.panel()
    gene, other = panel.data.extended[:2]
    app = open_app("network", folder=tmp_path, run="demo")
    app.session_state["gpovae_state"] = {"run": "demo", "path": (gene, other)}
    app = at_part(app.switch_page("pages/response.py").run(), "Along a path")
    assert "extended gene: network only" in text(app)
    table = next(frame.value for frame in app.dataframe if "W from the gene before" in frame.value)
    assert list(table["predicted"].notna()) == [False, True]  # its own fall is what was asked for
    assert table["observed"].isna().all()


def test_a_path_of_another_run_is_named(open_app: Opener, tmp_path: Path) -> None:
    app = open_app("network", folder=tmp_path, run="demo")
    app.session_state["gpovae_state"] = {"run": "demo", "path": ("STAT1", "SIM012")}
    app = at_part(app.switch_page("pages/response.py").run(), "Along a path")
    assert any("STAT1" in error.value and "not in the panel" in error.value for error in app.error)


def test_tables_and_figures_can_be_taken_along(demo: AppTest) -> None:
    labels = {"Download these effects (CSV)"}
    assert labels <= {button.label for button in demo.get("download_button")}
    choice = next(radio for radio in demo.radio if "camera" in radio.label)
    assert choice.options == ["PNG", "SVG"]
    app = choice.set_value("svg").run()
    charts = [chart.proto for chart in app.get("plotly_chart")]
    assert charts
    assert all('"format": "svg"' in chart.config or '"format":"svg"' in chart.config for chart in charts)
