"""Tables of effects on the page Data, and every page of a run that was made from one."""

from __future__ import annotations

import time
from pathlib import Path

import pandas as pd
import pytest

from dashboard.network.page import PARTS
from gpovae_core.data.folder import list_files
from gpovae_core.runs.folder import RunFolder
from gpovae_core.runs.from_effects import network_from_effects
from tests.app_words import Opener, words
from tests.fake_run import HOSTILE
from tests.runs.test_from_effects import GENES, PERTURBED, effects

PAGES = ("network", "response", "whatif", "benchmark", "runs", "experiments", "train")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs from effects: ordinary ones, and ones with hostile names of genes."""
    folder = tmp_path_factory.mktemp("effects")
    table = effects()
    table.to_csv(folder / "good.csv", index=False)
    names = dict(zip([*PERTURBED, *GENES[8:]], HOSTILE, strict=False))
    other = table.assign(perturbation=table.perturbation.replace(names), gene=table.gene.replace(names))
    other.to_csv(folder / "hostile.csv", index=False)
    for name in ("good", "hostile"):
        network_from_effects(folder / f"{name}.csv", folder / "runs" / name, 20)
    return folder / "runs"


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GPOVAE_DATA_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("name", ["good", "hostile"])
def test_every_page_opens_and_what_needs_cells_says_so(
    open_app: Opener, runs: Path, page: str, name: str
) -> None:
    app = open_app(page, folder=runs, run=name)
    assert not app.exception
    assert not app.error
    shown = words(app)
    assert "gpovae evaluate" not in shown
    if page in ("response", "whatif", "benchmark", "runs"):
        assert "holds no cells" in shown
    if page == "network":
        assert "Share of false edges: unknown" in shown.replace("\\", "")


@pytest.mark.parametrize("part", PARTS)
def test_every_part_of_the_network_page_opens(
    open_app: Opener, runs: Path, part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    monkeypatch.setattr(
        "dashboard.network.picture.workbench", lambda data, _: seen.append(str(data["evidence"]))
    )
    app = open_app("network", folder=runs, run="good", edge_from="P1", edge_to="X00")
    app.session_state["network_part"] = part
    app.run()
    assert not app.exception
    assert not app.error
    assert "The effects it was made from say: log2 fold change -1." in seen[-1]


def test_a_table_of_effects_is_listed_and_read(open_app: Opener, data: Path) -> None:
    effects(controls=2).to_csv(data / "mine.csv", index=False)
    (data / "notes.csv").write_text("a,b\n1,2\n")
    (data / "many").mkdir()
    for name, table in effects().groupby("perturbation"):
        table.drop(columns="perturbation").to_csv(data / "many" / f"{name}.csv", index=False)
    assert [file.name for file in list_files(data)] == ["many", "mine.csv"]
    for name, form in (("mine.csv", "a table"), ("many", "a folder of tables")):
        app = open_app("data", data=name)
        assert not app.exception
        assert not app.error
        shown = words(app).replace("\\", "")
        assert "This file can be used." in shown
        assert f"{form} of effects, without cells: 8 perturbations and 68 genes" in shown
        assert "read as log2 fold changes" in shown
    app = open_app("data", data="mine.csv")
    assert "Control rows (2)" in words(app).replace("\\", "")


def test_what_is_wrong_is_said_and_can_be_told(open_app: Opener, data: Path) -> None:
    table = effects().rename(columns={"log2fc": "coef"})
    table.to_csv(data / "mine.csv", index=False)
    app = open_app("data", data="mine.csv")
    assert not app.exception
    assert "log2 fold changes or natural logarithms" in app.error[0].value.replace("\\", "")
    app.selectbox(key="effects_unit").select("ln").run()
    assert not app.error
    assert "read as natural logarithms" in words(app).replace("\\", "")


def test_a_network_is_fitted_from_the_page(open_app: Opener, data: Path, tmp_path: Path) -> None:
    effects().to_csv(data / "mine.csv", index=False)
    folder = tmp_path / "runs"
    folder.mkdir()
    app = open_app("data", folder=folder, data="mine.csv")
    app.number_input(key="effects_extra").set_value(10).run()
    assert "--panel-extra 10" in words(app)
    app.text_input(key="effects_run_name").set_value("from the page").run()
    app.button(key="effects_start").click().run()
    assert not app.exception
    made = folder / "from the page"
    for _ in range(240):
        if (made / "model.safetensors").is_file() and RunFolder(made).status().state == "imported":
            break
        time.sleep(0.5)
    else:
        pytest.fail((folder / ".from_effects" / "from the page.txt").read_text())
    time.sleep(2)  # the process ends
    app.run()
    assert not app.exception
    assert "The network of from the page is there." in words(app).replace("\\", "")
    assert len(RunFolder.open(made).panel()) == 18


def test_cells_that_are_effects_are_named_where_cells_are_asked_for(open_app: Opener, data: Path) -> None:
    effects().to_csv(data / "mine.csv", index=False)
    app = open_app("train", data="mine.csv")
    assert not app.exception
    assert "is a table of effects" in words(app).replace("\\", "")
    assert pd.read_csv(data / "mine.csv").shape[0] == 8 * 68
