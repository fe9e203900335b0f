"""Wherever a screen of the demo run uses a word of the glossary in a column's title or in the label of a
control, the mouse finds out what it means.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from dashboard.network.page import PARTS as NETWORK_PARTS
from dashboard.response.page import PARTS as RESPONSE_PARTS
from gpovae_core.reporting.glossary import terms_in
from tests.app_words import Opener
from tests.conftest import PROJECT
from tests.pages.test_benchmark_page import PARTS as BENCHMARK_PARTS

PARTS = {
    "runs": ("run_part", ("Scores", "Training", "Health", "Data", "Settings")),
    "network": ("network_part", tuple(NETWORK_PARTS)),
    "response": ("response_part", tuple(RESPONSE_PARTS)),
    "benchmark": ("benchmark_part", BENCHMARK_PARTS),
}
CONTROLS = (
    "selectbox",
    "multiselect",
    "radio",
    "slider",
    "select_slider",
    "number_input",
    "text_input",
    "toggle",
    "checkbox",
    "metric",
)
EXPLAIN_THEMSELVES = {
    "Name of the run": "asks for a name, and says nothing of a run",
}
"""Label -> why it needs no definition."""


def titles(app: AppTest) -> Iterator[tuple[str, str | None]]:
    """Every column title and every label on the page, with what shows on hover."""
    for table in app.dataframe:
        config = json.loads(table.proto.columns or "{}")
        for title in map(str, table.value.columns):
            yield title, (config.get(title) or {}).get("help")
    for kind in CONTROLS:
        for one in app.get(kind):
            yield one.proto.label, one.proto.help


def unexplained(app: AppTest) -> set[str]:
    assert not app.exception
    return {title for title, said in titles(app) if terms_in(title) and not said} - set(EXPLAIN_THEMSELVES)


@pytest.mark.parametrize("page", PARTS)
def test_every_word_has_its_meaning_on_hover(open_app: Opener, page: str, tmp_path: Path) -> None:
    app = open_app(page, folder=tmp_path, run="demo", gene="SIM006")
    key, parts = PARTS[page]
    seen = set()
    for part in parts:
        app.session_state[key] = part
        app.run()
        assert unexplained(app) == set(), part
        seen |= {title for title, said in titles(app) if said}
    assert len(seen) > 5


@pytest.mark.parametrize("page", ["data", "train", "experiments"])
def test_the_other_pages_explain_their_words(open_app: Opener, page: str, tmp_path: Path) -> None:
    assert unexplained(open_app(page, folder=tmp_path, run="demo")) == set()


def test_what_if_explains_its_words(open_app: Opener, tmp_path: Path) -> None:
    app = open_app("whatif", folder=tmp_path, run="demo")
    genes = app.multiselect(key="whatif_genes")
    genes.set_value(genes.options[:2]).run()
    app.button(key="whatif_ask").click().run()
    tables = 0
    for part in ("Effects", "Do they add up?", "Paths"):
        app.session_state["whatif_part"] = part
        assert unexplained(app.run()) == set(), part
        tables += len(app.dataframe)
    assert tables


def test_tables_are_drawn_in_one_place_only() -> None:
    sources = [*(PROJECT / "dashboard").rglob("*.py"), *(PROJECT / "pages").glob("*.py")]
    drawing = [path.name for path in sources if ".dataframe" in path.read_text()]
    assert drawing == ["glossary.py"]
