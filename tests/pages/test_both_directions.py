"""The whole app over a run whose genes are knocked down in some cells and activated in others."""

from __future__ import annotations

from pathlib import Path

import pytest

from dashboard.network.evidence import of_gene, of_pair
from dashboard.shared.networks import Shown
from gpovae_core import keys
from gpovae_core.evaluation.stored import read_evaluation
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.runs.folder import RunFolder
from gpovae_core.workflow import start_run
from tests import both
from tests.app_words import Opener, words
from tests.toy import tiny_settings


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a run, trained on the screen of `tests.both`."""
    folder = tmp_path_factory.mktemp("both")
    both.screen().write(folder / "screen.h5ad")
    network: dict[str, object] = {"null_draws": 2, "ensemble": 0}
    start_run(
        folder / "screen.h5ad", folder / "r", tiny_settings("evidence", data=both.DATA, network=network)
    )
    return folder


def gene(trained: Path) -> str:
    return RunFolder(trained / "r").panel().data.perturbed[0]


def plain_words(text: str) -> str:
    return text.replace("\\", "")


@pytest.mark.parametrize("page", ["network", "response", "whatif", "benchmark", "runs", "data", "home"])
def test_every_page_opens(open_app: Opener, trained: Path, page: str) -> None:
    app = open_app(page, folder=trained, run="r")
    assert not app.exception
    assert not app.error


def test_scores_and_tables_hold_both(trained: Path) -> None:
    run = RunFolder(trained / "r")
    found, perturbed = read_evaluation(run), run.panel().data.perturbed
    assert found is not None
    assert found.network is not None
    assert found.network.stage is not None
    assert set(found.network.stage.common_lift or {}) == {
        *perturbed,
        *(one + keys.ACTIVATED for one in perturbed),
    }
    edges = GeneNetwork.from_run(run).edges(0.0)
    own = edges.loc[edges[keys.SOURCE].isin(perturbed)]
    assert own[keys.CELLS_ACTIVATED].notna().all()


def test_the_cards_show_both(trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GPOVAE_RUNS_DIR", str(trained))
    run, source = RunFolder(trained / "r"), gene(trained)
    target = next(one for one in run.panel().data.measured if one != source)
    card = of_pair(run, source, target)
    titles = [section["title"] for section in card["sections"]]
    assert {f"In held-out cells, {source} knocked down", "Do both directions agree?"} <= set(titles)
    told = of_gene(run, GeneNetwork.from_run(run), Shown("W", True), source, 0.5)
    lines = [line for section in told["sections"] for line in section["lines"]]
    assert any(line.startswith("Its own expression when it is activated: +") for line in lines)


def test_the_response_of_a_gene_lists_both_under_names_for_reading(open_app: Opener, trained: Path) -> None:
    source = gene(trained)
    app = open_app("response", folder=trained, run="r", gene=source)
    chosen = next(one for one in app.multiselect if one.label.startswith("Perturbations"))
    assert chosen.value == [source, source + keys.ACTIVATED]
    assert f"{source}, activated" in chosen.options
    assert f"**{source}, activated**" in plain_words(words(app))


def test_what_if_asks_for_an_activation_by_its_fold(open_app: Opener, trained: Path) -> None:
    source = gene(trained)
    up = source + keys.ACTIVATED
    app = open_app("whatif", folder=trained, run="r")
    box = app.multiselect(key="whatif_genes")
    assert box.label.startswith("Knock down or activate")
    assert f"{source}, activated" in box.options
    app = box.set_value([up]).run()
    app = app.toggle(key="whatif_own_strength").set_value(True).run()
    slider = app.slider[0]
    assert slider.label == f"{source}: activated to (times its mRNA)"
    reached = slider.value
    assert f"it to {reached:.1f} x, in cells of its own" in plain_words(words(app))
    app = slider.set_value(2.0).run()
    app = app.button(key="whatif_ask").click().run()
    assert not app.exception
    told = plain_words(words(app))
    assert f"{source}, activated (2 x)" in told
    assert f"{source} is activated to 2.0 x of its mRNA (measured at {reached:.1f} x)" in told
    assert f"{source} (activated)=-1" in app.query_params["scenario"]


def test_what_is_asked_in_the_address_is_answered(open_app: Opener, trained: Path) -> None:
    source = gene(trained)
    app = open_app("whatif", folder=trained, run="r", scenario=f"{source}, activated")
    told = plain_words(words(app))
    assert f"**{source}, activated** is expected to change these genes most" in told
    assert "Cells with this perturbation trained the model" in told
