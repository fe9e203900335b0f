"""Every page over runs of every kind: no traceback, and the words a person needs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dashboard.network.page import PARTS
from dashboard.response.page import PARTS as RESPONSE_PARTS
from gpovae_core.runs.folder import RunFolder
from tests.app_words import Opener, words
from tests.conftest import PROJECT
from tests.fake_run import HOSTILE

PAGES = ("runs", "network", "response", "benchmark")
TABS = {
    "runs": ("Scores", "Training", "Health", "Data", "Settings"),
    "network": tuple(PARTS),
    "response": tuple(RESPONSE_PARTS),
    "benchmark": ("",),
}


@pytest.mark.parametrize(
    "run", ["hostile", "one", "dead", "nulls", "bare", "nan", "future", "torn", "broken_config"]
)
def test_no_page_shows_a_traceback(open_app: Opener, run: str) -> None:
    app = open_app(run=run)
    for page, tabs in TABS.items():
        app.switch_page(f"pages/{page}.py")
        for tab in tabs:
            app.session_state[{"runs": "run_part"}.get(page, f"{page}_part")] = tab
            assert not app.run().exception, (page, tab)


@pytest.mark.parametrize("page", [page for page in PAGES if page != "network"])
def test_every_chart_is_described_for_those_who_do_not_see_it(open_app: Opener, page: str) -> None:
    app = open_app(page, run="plain")
    described = 0
    for tab in TABS[page]:
        app.session_state[{"runs": "run_part"}.get(page, f"{page}_part")] = tab
        for element in app.run().get("plotly_chart"):
            assert len(element.proto.alt) > 20, (page, tab)
            described += 1
    assert described


def test_charts_are_drawn_in_one_place_only() -> None:
    sources = [*(PROJECT / "dashboard").rglob("*.py"), *(PROJECT / "pages").glob("*.py"), PROJECT / "app.py"]
    assert [path.name for path in sources if ".plotly_chart(" in path.read_text()] == ["figures.py"]


@pytest.mark.parametrize("page", PAGES)
def test_an_empty_folder_says_what_to_do(
    open_app: Opener, page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dashboard.shared.listing.DEMOS", {})
    app = open_app(page, folder=tmp_path)
    assert not app.exception
    assert ("gpovae train" if page == "runs" else "No run is open") in words(app)


@pytest.mark.parametrize("name", ["../plain", "/etc", "..", "plain/../plain", "missing"])
def test_a_name_from_the_url_cannot_leave_the_runs_folder(
    open_app: Opener, name: str, made_runs: Path
) -> None:
    app = open_app("network", folder=made_runs, run=name)
    assert not app.exception
    assert any("There is no run called" in error.value for error in app.error)


@pytest.mark.parametrize("page", PAGES)
def test_simulated_runs_say_so_on_every_page(open_app: Opener, page: str) -> None:
    assert "Simulated data" in words(open_app(page, run="toy"))
    assert "Simulated data" not in words(open_app(page, run="plain"))


@pytest.mark.parametrize(
    ("run", "page", "part"),
    [
        ("nan", "network", "not numbers"),
        ("future", "network", "format 99"),
        ("torn", "network", "damaged"),
        ("torn", "response", "damaged"),
        ("bare", "network", "no trained weights"),
        ("bare", "response", "no effects yet"),
    ],
)
def test_what_is_wrong_with_a_run_is_said_in_words(open_app: Opener, run: str, page: str, part: str) -> None:
    assert part in words(open_app(page, run=run)).replace("\\", "")


def test_the_url_restores_gene_view_and_path(
    open_app: Opener, made_runs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    genes = RunFolder(made_runs / "plain").panel().genes
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr("dashboard.network.picture.workbench", lambda data, _: seen.append(data["view"]))
    app = open_app(
        run="plain",
        gene=genes[2].lower(),
        view="ego",
        hops="3",
        threshold="0.2",
        part="Paths",
        **{"from": genes[0], "to": genes[5]},
    )
    app = app.switch_page("pages/network.py").run()
    shown = seen[-1]
    assert (shown["gene"], shown["view"], shown["hops"], shown["threshold"]) == (genes[2], "ego", 3, 0.2)
    assert {box.label: box.value for box in app.selectbox}["To"] == genes[5]
    assert app.multiselect[0].value == [genes[0]]


@pytest.mark.parametrize(
    "url",
    [{"threshold": "nan"}, {"threshold": "7"}, {"hops": "0"}, {"hops": "-1"}, {"view": "x"}, {"gene": "<b>"}],
)
def test_nonsense_in_the_url_is_passed_over_or_named(open_app: Opener, url: dict[str, str]) -> None:
    app = open_app("network", run="plain", **url)
    assert not app.exception
    assert bool(app.error) == ("gene" in url)


def test_a_path_comes_with_probability_share_and_remainder(open_app: Opener, made_runs: Path) -> None:
    genes = RunFolder(made_runs / "plain").panel().genes
    app = open_app("network", run="plain", threshold="0", **{"from": genes[0], "to": genes[1]})
    table = next(frame.value for frame in app.dataframe if "Path" in frame.value)
    assert table["Path"].iloc[0].startswith(genes[0])
    assert table["Path"].iloc[0].endswith(genes[1])
    assert table["W along the path"].is_monotonic_decreasing
    assert "remaining" in words(app)


def test_no_path_at_the_threshold_offers_the_one_at_which_it_appears(
    open_app: Opener, made_runs: Path
) -> None:
    genes = RunFolder(made_runs / "plain").panel().genes
    app = open_app("network", run="plain", threshold="0.99", **{"from": genes[0], "to": genes[1]})
    app = next(button for button in app.button if "most probable path" in button.label).click().run()
    assert any("Path" in frame.value and len(frame.value) for frame in app.dataframe)


def test_response_compares_with_held_out_cells_unless_told_otherwise(open_app: Opener) -> None:
    app = open_app("response", run="plain")
    assert "held-out cells only" in words(app)
    app = app.radio[0].set_value("all").run()
    assert "training cells included" in words(app)
    assert "ceiling" in words(app)
    assert "training mean" in words(app)


def test_response_shows_the_perturbations_chosen(open_app: Opener, made_runs: Path) -> None:
    names = RunFolder(made_runs / "plain").panel().data.perturbed
    app = open_app("response", run="plain")
    app = app.multiselect[0].set_value([names[3], names[4]]).run()
    assert [part.value for part in app.subheader][:2] == [names[3], names[4]]
    app = app.multiselect[0].set_value([]).run()
    assert "Choose at least one perturbation" in words(app)


def test_the_gene_chosen_in_the_network_is_the_perturbation_shown(open_app: Opener, made_runs: Path) -> None:
    name = RunFolder(made_runs / "plain").panel().data.perturbed[5]
    assert open_app("response", run="plain", gene=name).multiselect[0].value == [name]


@pytest.mark.parametrize("gene", HOSTILE[:1] + HOSTILE[3:5])
def test_names_are_never_markup(open_app: Opener, gene: str) -> None:
    """In markdown every character with a meaning is escaped, so no link, image, formula or tag can come out
    of a name.
    """
    app = open_app("network", run="hostile", gene=gene, part="Regulates, regulated by")
    for shown in (words(app), words(app.switch_page("pages/response.py").run())):
        assert gene in re.sub(r"\\(.)", r"\1", shown)
        assert not re.search(r"(?<!\\)<img|(?<!\\)\[x|(?<!\\)\$x", shown)
