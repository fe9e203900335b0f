"""From the front door on: the home that explains itself, pages without a run, runs that go away, servers that
start again, back and forward.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpovae_core.runs import shipped
from gpovae_core.runs.folder import is_run
from tests.e2e.conftest import App
from tests.e2e.visit import Visit
from tests.fake_run import make_fake_run

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(
        not is_run(shipped.DEMOS[shipped.REAL_DEMO]), reason="needs the demo of real cells: make demo"
    ),
]
DEMO_OPEN = "There is no run of yours yet, so the demo of real cells is open."


def at(browser: Any, address: str, path: str = "/") -> Visit:
    visit = Visit(browser, address)
    visit.page.goto(address + path)
    visit.settle()
    return visit


def no_trace(visit: Visit) -> None:
    assert visit.page.locator('[data-testid="stException"]').count() == 0
    assert visit.page.get_by_text("encountered an error").count() == 0


def press(visit: Visit, name: str) -> None:
    visit.page.get_by_role("button", name=name, exact=True).first.click()
    visit.settle()


def tab(visit: Visit, name: str) -> Any:
    return visit.page.get_by_role("tab", name=name, exact=True)


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[App]:
    """The app over a folder with one run of one's own, `mine`, a copy of the demo of real cells."""
    shutil.copytree(shipped.DEMOS[shipped.REAL_DEMO], tmp_path / "runs" / "mine")
    app = App(tmp_path / "runs", tmp_path / "streamlit.txt")
    yield app
    app.kill()


def test_the_front_door_says_what_this_is_and_leads_on(browser: Any, alone: str) -> None:
    visit = at(browser, alone)
    visit.page.get_by_role("heading", level=1).filter(has_text="Perturb-seq").wait_for()
    visit.page.get_by_text("have most targets").first.wait_for()  # the demo, open behind the words
    visit.page.locator(".js-plotly-plot").first.wait_for()
    press(visit, "Use my data")
    visit.page.get_by_role("heading", name="Data", exact=True, level=1).wait_for()
    visit.page.go_back()
    press(visit, "Try the demo")
    visit.ready()
    assert visit.url()["run"] == [shipped.REAL_DEMO]
    visit.page.close()
    assert visit.complaints == []


def test_no_page_is_a_dead_end_without_a_run(browser: Any, alone: str) -> None:
    for page in ("Response", "What if", "Benchmark"):
        visit = at(browser, alone)
        visit.to(page)
        visit.page.get_by_text(DEMO_OPEN).wait_for()
        visit.settle()
        no_trace(visit)
        assert visit.url()["run"] == [shipped.REAL_DEMO], page
        visit.page.close()
        assert visit.complaints == []


def test_without_cells_train_and_experiments_lead_to_cells_that_can_be_used(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPOVAE_DATA_DIR", str(tmp_path / "data"))  # the server inherits it
    app = App(tmp_path / "runs", tmp_path / "streamlit.txt")
    visit = at(browser, app.address)
    for page in ("Experiments", "Train"):
        visit.to(page)
        press(visit, "Choose cells on the page Data")
        visit.page.get_by_role("button", name="Try it with the demo's cells").wait_for()
    press(visit, "Try it with the demo's cells")
    visit.page.get_by_text("This file can be used").wait_for()
    press(visit, "Train on these cells")
    visit.page.get_by_role("button", name="Start training").wait_for()
    no_trace(visit)
    visit.page.close()
    app.stop()
    assert visit.complaints == []


def test_a_run_deleted_meanwhile_is_named_and_another_opened(browser: Any, mine: App) -> None:
    make_fake_run(mine.runs / "other", simulated=False)
    visit = at(browser, mine.address, "/?run=other")
    visit.to("Response")
    all_cells = visit.page.get_by_text("All cells", exact=True)
    all_cells.wait_for()
    visit.settle()
    shutil.rmtree(mine.runs / "other")  # as in another tab
    all_cells.click()
    visit.page.get_by_text("There is no run called 'other'").wait_for()
    no_trace(visit)
    press(visit, "Open the newest run, mine")
    visit.page.get_by_text("JAK2").first.wait_for()
    assert visit.url()["run"] == ["mine"]
    shutil.rmtree(mine.runs / "mine")
    for page in ("Network", "What if", "Benchmark", "Runs", "Home"):
        visit.to(page)
        visit.page.get_by_text("There is no run called 'mine'").first.wait_for()
        no_trace(visit)
    visit.page.close()


def test_the_network_of_a_run_deleted_meanwhile(browser: Any, mine: App) -> None:
    visit = Visit(browser, mine.address)
    visit.network("mine")
    shutil.rmtree(mine.runs / "mine")
    visit.search("STAT1")
    visit.page.get_by_text("There is no run called 'mine'").wait_for()
    no_trace(visit)
    visit.page.close()


def test_the_first_click_after_a_restart_counts(browser: Any, mine: App) -> None:
    visit = at(browser, mine.address, "/?run=mine&perturbation=STAT1&perturbation=IRF1")
    visit.to("Response")
    visit.page.get_by_role("heading", name="IRF1").wait_for()
    mine.kill()
    mine.start()
    visit.page.set_default_timeout(180_000)  # a new server reads everything anew
    visit.page.locator('[data-testid="stApp"][data-test-connection-state="CONNECTED"]').wait_for()
    tab(visit, "Which genes changed").click()
    visit.page.get_by_text("genes change with STAT1").wait_for()
    visit.page.get_by_text("genes change with IRF1").wait_for()
    assert visit.url()["perturbation"] == ["STAT1", "IRF1"]
    assert visit.url()["response"] == ["Which genes changed"]
    no_trace(visit)
    visit.page.close()


def test_back_and_forward_go_through_tabs_scenarios_and_pages(browser: Any, alone: str) -> None:
    visit = at(browser, alone, f"/?run={shipped.REAL_DEMO}")
    visit.to("Response")
    visit.page.get_by_text("The model's prediction correlates").wait_for()
    tab(visit, "Which genes changed").click()
    visit.until_url("at.includes('Which+genes+changed')")
    visit.page.go_back()
    visit.page.get_by_role("tab", name="Predicted against observed", selected=True).wait_for()
    visit.page.go_forward()
    visit.page.get_by_role("tab", name="Which genes changed", selected=True).wait_for()
    visit.to("What if")
    press(visit, "Try JAK2 + IFNGR1")
    visit.page.get_by_text("is expected to change these genes most").wait_for()
    visit.until_url("at.includes('scenario=')")
    visit.page.go_back()
    visit.page.get_by_text("Nothing asked yet").wait_for()
    visit.page.go_forward()
    visit.page.get_by_text("is expected to change these genes most").wait_for()
    no_trace(visit)
    visit.page.close()
    assert visit.complaints == []


def test_two_tabs_keep_their_own_choice(browser: Any, alone: str) -> None:
    address = f"/?run={shipped.REAL_DEMO}&perturbation="
    tabs = {gene: at(browser, alone, address + gene) for gene in ("STAT1", "SMAD4")}
    for visit in tabs.values():
        visit.to("Response")
    for gene, visit in tabs.items():
        visit.page.get_by_text(f"{gene}: predicted against observed").first.wait_for()
        assert visit.url()["perturbation"] == [gene]
        visit.page.close()


def test_an_address_that_is_none_leads_home(browser: Any, alone: str) -> None:
    visit = at(browser, alone, "/nowhere")
    visit.page.get_by_text("have most targets").first.wait_for()
    no_trace(visit)
    visit.page.close()
    wrong = (
        f"/?run={shipped.REAL_DEMO}&perturbation=NOBODY&scenario=NOBODY&response=Nothing&whatif=x&detail=y"
    )
    visit = at(browser, alone, wrong)
    visit.to("Response")
    visit.page.get_by_text("Not among the perturbations of this run: NOBODY").wait_for()
    visit.page.get_by_text("JAK2: predicted against observed").first.wait_for()
    visit.page.close()
    visit = at(browser, alone, wrong)
    visit.to("What if")
    visit.page.get_by_text("The address asks for 'NOBODY'").wait_for()
    no_trace(visit)
    visit.page.close()
