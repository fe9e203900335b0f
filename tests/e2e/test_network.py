"""A person at the network page, in a real browser: drag, click, trace; no other host asked, nothing in the console."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlparse

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
WAIT = 60_000  # milliseconds; a busy machine is slow to start, not wrong


class Visit:
    """One page of the browser, with everything it complained about."""

    def __init__(self, browser: Any, server: str, scheme: str = "light") -> None:
        self.server, self.complaints = server, []
        self.page = browser.new_page(viewport={"width": 1440, "height": 1400}, color_scheme=scheme)
        self.page.set_default_timeout(WAIT)
        self.page.on("request", self._request)
        self.page.on("console", lambda m: m.type == "error" and self.complaints.append(f"console: {m.text}"))
        self.page.on("pageerror", lambda error: self.complaints.append(f"page error: {error}"))
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss()))

    def _request(self, request: Any) -> None:
        parts = urlparse(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != urlparse(self.server).netloc:
            self.complaints.append(f"other host: {request.url}")

    def network(self, run: str, more: str = "") -> None:
        """Through the front door: a page asked for by its own address makes Streamlit look for its health page there first."""
        self.page.goto(f"{self.server}/?run={run}{more}")
        self.page.get_by_role("link", name="Network", exact=True).click()
        self.page.wait_for_selector(".explorer[data-ready]")
        self.settle()

    def settle(self) -> None:
        self.page.wait_for_timeout(400)
        self.page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
        self.page.wait_for_timeout(300)

    def edges(self) -> int:
        return int(self.page.locator(".explorer .status b").get_attribute("data-count"))

    def choose(self, label: str, text: str) -> None:
        box = self.page.get_by_role("combobox", name=label, exact=True)
        box.click()
        box.fill(text)
        self.page.keyboard.press("Enter")
        self.settle()

    def url(self) -> dict[str, list[str]]:
        return parse_qs(urlparse(self.page.url).query)

    def hover_a_gene(self) -> tuple[float, float, str]:
        """A point of the picture with a gene under it, and the text of its tip."""
        box = self.page.locator(".explorer .canvas").bounding_box()
        for across in range(20, 80, 2):
            for down in range(20, 80, 5):
                x, y = box["x"] + box["width"] * across / 100, box["y"] + box["height"] * down / 100
                self.page.mouse.move(x, y)
                tip = self.page.locator(".explorer .tip")
                if tip.is_visible():
                    return x, y, tip.inner_text()
        raise AssertionError("no gene found under the pointer")


@pytest.fixture
def visit(browser: Any, server: str) -> Iterator[Visit]:
    one = Visit(browser, server)
    yield one
    one.page.close()
    assert one.complaints == []


def test_dragging_the_threshold_acts_at_once_and_reaches_python_on_release(visit: Visit) -> None:
    visit.network("plain")
    before = visit.edges()
    slider = visit.page.locator(".explorer .slider")
    box = slider.bounding_box()
    y = box["y"] + box["height"] / 2
    visit.page.mouse.move(box["x"] + box["width"] / 2, y)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + box["width"] * 0.75, y, steps=8)
    visit.page.wait_for_timeout(200)
    dragged = visit.edges()
    assert 0 < dragged < before
    assert "threshold" not in visit.url(), "Python must hear of it on release only"
    visit.page.mouse.up()
    visit.page.wait_for_function("location.search.includes('threshold=')")
    visit.settle()
    assert float(visit.url()["threshold"][0]) == pytest.approx(0.75, abs=0.03)
    assert visit.edges() == dragged


def test_clicking_a_gene_makes_it_the_focus(visit: Visit) -> None:
    visit.network("plain")
    x, y, tip = visit.hover_a_gene()
    gene = tip.split("\n")[0]
    visit.page.mouse.click(x, y)
    visit.page.wait_for_function("location.search.includes('gene=')")
    visit.settle()
    assert visit.url()["gene"] == [gene]
    assert visit.page.get_by_role("combobox", name="Gene", exact=True).input_value() == gene


def test_genes_keep_their_places_when_the_threshold_moves(visit: Visit) -> None:
    visit.network("plain")
    x, y, tip = visit.hover_a_gene()
    exact = visit.page.locator(".explorer .exact")
    exact.fill("0.3")
    exact.press("Enter")
    visit.page.wait_for_function("location.search.includes('threshold=0.3')")
    visit.settle()
    visit.page.mouse.move(x, y)
    assert visit.page.locator(".explorer .tip").inner_text().split("\n")[0] == tip.split("\n")[0]


def test_searching_shows_what_is_around_a_gene_and_a_path_is_traced(visit: Visit) -> None:
    visit.network("plain")
    visit.choose("Gene", "pert0003")
    assert visit.url()["view"] == ["ego"]
    visit.page.get_by_text("of them in this view").wait_for()
    visit.choose("From", "PERT0003")
    visit.choose("To", "EXT0010")
    visit.page.get_by_text("Listed paths together").or_(visit.page.get_by_text("most probable path appears")).first.wait_for()
    assert (visit.url()["from"], visit.url()["to"]) == (["PERT0003"], ["EXT0010"])


def test_an_empty_picture_offers_the_threshold_at_which_edges_appear(visit: Visit) -> None:
    visit.network("plain", "&threshold=1")
    assert visit.edges() == 0
    offer = visit.page.locator(".explorer .empty button")
    offer.wait_for()
    offer.click()
    visit.page.wait_for_function("!location.search.includes('threshold=1')")
    visit.settle()
    assert visit.edges() > 0


def test_hostile_names_are_text_on_every_page(visit: Visit) -> None:
    visit.network("hostile")
    visit.choose("Gene", "<img")
    visit.page.get_by_text("<img src=x onerror=alert(1)>").first.wait_for()
    visit.page.get_by_role("link", name="Response", exact=True).click()
    visit.page.wait_for_selector(".js-plotly-plot .bars")
    visit.settle()
    assert visit.page.locator('img[src="x"]').count() == 0
    assert visit.page.locator("img[src='x'], a[href*='example.org']").count() == 0


def test_run_and_gene_follow_to_the_other_page(visit: Visit) -> None:
    visit.network("plain")
    visit.choose("Gene", "PERT0004")
    visit.page.get_by_role("link", name="Response", exact=True).click()
    visit.page.get_by_role("heading", name="PERT0004").wait_for()
    visit.settle()
    assert (visit.url()["run"], visit.url()["gene"]) == (["plain"], ["PERT0004"])
