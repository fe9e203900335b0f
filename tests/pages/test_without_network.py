"""Every page over a run that predicts and has no network: what it has is shown, what it has not is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpovae_core.workflow import start_run
from tests.app_words import Opener, words
from tests.toy import tiny_settings, write_toy


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("none")
    start_run(write_toy(folder), folder / "runs" / "toy", tiny_settings("sams-vae", training={"epochs": 2}))
    return folder / "runs"


@pytest.mark.parametrize("page", ["network", "response", "whatif", "benchmark", "runs", "train"])
def test_a_page_opens_without_a_fault(open_app: Opener, trained: Path, page: str) -> None:
    app = open_app(page, folder=trained, run="toy")
    assert not app.exception
    assert not app.error, words(app)
    assert ("has no network" in words(app)) == (page == "network")


def test_what_if_answers_and_says_that_there_are_no_paths(open_app: Opener, trained: Path) -> None:
    from gpovae_core.runs.folder import RunFolder

    app = open_app("whatif", folder=trained, run="toy")
    app.multiselect(key="whatif_genes").set_value(list(RunFolder(trained / "toy").panel().genes[:2])).run()
    app = app.button(key="whatif_ask").click().run()
    assert not app.exception
    assert not app.error, words(app)
