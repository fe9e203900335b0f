"""What goes on without the page, or goes away under it: a server that starts again while a run is trained,
runs that are thrown away in another tab, addresses that lead nowhere.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from gpovae_core.runs import jobs
from gpovae_core.runs.folder import RunFolder
from tests.e2e.conftest import App
from tests.e2e.visit import Visit
from tests.fake_run import make_fake_run
from tests.toy import tiny_settings, write_toy

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
WAIT = 180_000  # milliseconds; a new server reads everything anew


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[App]:
    """The app over a folder with a run of one's own, `kept`."""
    make_fake_run(tmp_path / "runs" / "kept", n_perturbed=15, n_extended=20, n_measured=40, simulated=False)
    app = App(tmp_path / "runs", tmp_path / "streamlit.txt")
    yield app
    app.kill()


def no_trace(visit: Visit) -> None:
    assert visit.page.locator('[data-testid="stException"]').count() == 0
    assert visit.page.get_by_text("Traceback").count() == 0


def until(condition: Any, seconds: float = 120.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.2)


@pytest.mark.timeout(900)
def test_a_server_starts_again_under_an_open_network_and_a_training(
    browser: Any, mine: App, tmp_path: Path
) -> None:
    long = tiny_settings(training={"epochs": 100_000, "patience": 100_000})
    run = jobs.submit(write_toy(tmp_path), mine.runs / "job", long)
    try:
        network, train = Visit(browser, mine.address), Visit(browser, mine.address)
        for visit in (network, train):
            visit.page.set_default_timeout(WAIT)
        network.network("kept", "&gene=PERT0003")
        train.page.goto(f"{mine.address}/?run=job")
        train.page.get_by_text("of at most").first.wait_for()
        train.settle()
        train.to("Train")
        train.page.get_by_role("button", name="Stop training", exact=True).wait_for()
        before = run.status()

        mine.kill()
        epoch = run.status().epoch
        until(lambda: run.status().epoch > epoch)  # it needs no server
        mine.start()

        connected = '[data-testid="stApp"][data-test-connection-state="CONNECTED"]'
        for visit in (network, train):
            visit.page.locator(connected).wait_for()
        network.page.bring_to_front()
        assert network.ask("bench.graph.names[bench.sight.focus]") == "PERT0003"
        network.search("PERT0005")
        network.until("bench.graph.names[bench.sight.focus] === 'PERT0005'")
        network.until("bench.data.view.gene === 'PERT0005'")  # the server says so too
        network.settle()
        assert network.url()["gene"] == ["PERT0005"]
        assert "PERT0005" in network.card()
        no_trace(network)

        assert run.status().pid == before.pid
        train.page.bring_to_front()
        train.page.get_by_role("button", name="Stop training", exact=True).click()
        train.page.get_by_role("button", name="Resume", exact=True).wait_for()
        assert run.status().state == "stopped"
        train.to("Runs")
        train.page.get_by_text("job", exact=True).first.wait_for()
        no_trace(train)
        network.page.close()
        train.page.close()
    finally:
        if jobs.stop(run):
            until(lambda: run.status().state == "stopped")


def stopped_run(path: Path) -> None:
    run = make_fake_run(path, n_perturbed=15, n_extended=20, n_measured=40, simulated=False)
    RunFolder(run.path).write_status(state="stopped", message="stopped on request")


ON = {
    "Network": ("&gene=PERT0003", lambda page: page.get_by_role("combobox", name="Search", exact=True)),
    "Response": ("", lambda page: page.get_by_text("All cells", exact=True)),
    "What if": ("", lambda page: page.get_by_text("How good are answers about genes")),
    "Train": ("", lambda page: page.get_by_role("button", name="Resume", exact=True)),
}
"""Page -> more of its address, and what something is done with there."""


@pytest.mark.timeout(900)
def test_a_run_is_thrown_away_in_another_tab(browser: Any, mine: App) -> None:
    for page, (more, find) in ON.items():
        name = f"gone-{page.casefold().replace(' ', '-')}"
        (stopped_run if page == "Train" else make_fake_run)(mine.runs / name)
        visit = Visit(browser, mine.address)
        visit.page.goto(f"{mine.address}/?run={name}{more}")
        visit.to(page)
        if page == "Network":
            visit.ready()
        find(visit.page).wait_for()  # a busy server may not have begun with the page when it looks at rest
        visit.settle()
        shutil.rmtree(mine.runs / name)
        visit.search("PERT0005") if page == "Network" else find(visit.page).click()
        visit.to(page)
        visit.page.get_by_text(f"There is no run called '{name}'").first.wait_for()
        no_trace(visit)
        if page != "Train":
            visit.page.get_by_role("button", name="Open the newest run, kept").click()
        else:
            visit.to("Home")
        visit.settle()
        no_trace(visit)
        assert visit.page.get_by_text(f"There is no run called '{name}'").count() == (page == "Train")
        assert not [words for words in visit.complaints if words.startswith(("page error", "dialog"))]
        visit.page.close()


WRONG = (
    "run=../../etc",
    "run=/etc/passwd",
    "run=" + quote("<img src=x onerror=alert(1)>"),
    "run=" + quote("**bold** [link](http://example.org)"),
    "run=kept&gene=NOBODY&perturbation=NOBODY&scenario=NOBODY&part=Nothing&from=NOBODY&to=PERT0001",
    "run=kept&threshold=nan&hops=-3&view=x&measure=x&gene=" + quote("<script>alert(1)</script>"),
)


@pytest.mark.timeout(900)
def test_wrong_addresses_are_answered_in_words(browser: Any, mine: App) -> None:
    """Each typed into the bar of the browser, as the page itself and not through the front door."""
    visit = Visit(browser, mine.address)
    for page in ("network", "response", "whatif", "train"):
        for address in WRONG if page == "network" else (WRONG[2], WRONG[4]):
            visit.page.goto(f"{mine.address}/{page}?{address}")
            visit.settle()
            no_trace(visit)
            if not address.startswith("run=kept"):
                visit.page.get_by_text("There is no run called").first.wait_for()
        assert visit.page.locator("main img[src=x], main a[href*='example.org']").count() == 0
    assert not [one for one in visit.complaints if one.startswith(("page error", "dialog", "other host"))]
    visit.page.close()
