"""A person at the network page, in a real browser: drag, click, trace; no other host asked, nothing in the
console.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse
from xml.etree import ElementTree

import pytest

from dashboard.network.page import PARTS
from tests.fake_run import HOSTILE

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
        self.page.on(
            "dialog", lambda dialog: (self.complaints.append(f"dialog: {dialog.message}"), dialog.dismiss())
        )

    def _request(self, request: Any) -> None:
        parts = urlparse(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != urlparse(self.server).netloc:
            self.complaints.append(f"other host: {request.url}")

    def network(self, run: str, more: str = "") -> None:
        """Through the front door: a page asked for by its own address makes Streamlit look for its health
        page there first.
        """
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

    def ask(self, script: str, *given: Any) -> Any:
        """The value of a JavaScript expression over `picture` (the component's own object) and `given`."""
        return self.page.locator(".explorer").evaluate(
            f"(root, given) => {{ const picture = root.picture; return {script}; }}", list(given)
        )

    def place(self, gene: str) -> tuple[float, float]:
        """Where a gene is drawn on the page."""
        box = self.page.locator(".explorer .canvas").bounding_box()
        at = self.ask("picture.placeOf(picture.names.indexOf(given[0]))", gene)
        return box["x"] + at["x"], box["y"] + at["y"]

    def a_shown_edge(self) -> tuple[str, str, float, float]:
        """Source and target of an edge that can be hit apart from all genes, and a point on it."""
        box = self.page.locator(".explorer .canvas").bounding_box()
        found = self.ask(
            """(() => {
              for (let e = 0; e < picture.weight.length; e++) {
                if (!picture.shownEdge[e] || picture.source[e] === picture.target[e]) continue;
                const a = picture.placeOf(picture.source[e]), b = picture.placeOf(picture.target[e]);
                for (const part of [0.5, 0.4, 0.6, 0.3, 0.7]) {
                  const at = { x: a.x + (b.x - a.x) * part, y: a.y + (b.y - a.y) * part };
                  const inside = at.x > 5 && at.y > 5 && at.x < given[0] - 5 && at.y < given[1] - 5;
                  if (inside && picture.nearest(at) < 0 && picture.nearestEdge(at) === e)
                    return [picture.names[picture.source[e]], picture.names[picture.target[e]], at.x, at.y];
                }
              }
            })()""",
            box["width"],
            box["height"],
        )
        return found[0], found[1], box["x"] + found[2], box["y"] + found[3]

    def save(self, button: str) -> Path:
        """The file that a button of the picture saves."""
        with self.page.expect_download() as waiting:
            self.page.get_by_role("button", name=button, exact=True).click()
        return Path(waiting.value.path())

    def open_tab(self, name: str) -> None:
        self.page.get_by_role("tab", name=name, exact=True).click()
        self.settle()

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
    visit.choose("From (one or several)", "PERT0003")
    visit.page.keyboard.press("Escape")
    visit.choose("To", "EXT0010")
    visit.page.get_by_text("Listed paths together").or_(
        visit.page.get_by_text("most probable path appears")
    ).first.wait_for()
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
    names = visit.ask("picture.names")
    assert set(HOSTILE) <= set(names)
    for gene in HOSTILE:
        visit.page.mouse.move(*visit.place(gene))
    for tab in PARTS:
        visit.open_tab(tab)
    drawing = ElementTree.fromstring(visit.save("SVG").read_bytes())
    assert {element.tag.split("}")[1] for element in drawing.iter()} <= {
        "svg",
        "title",
        "metadata",
        "rect",
        "path",
        "circle",
        "text",
    }
    assert any(
        (element.text or "").startswith("<img src=x")
        for element in drawing.iter()
        if element.tag.endswith("}text")
    )
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


def test_clicking_an_edge_opens_its_evidence(visit: Visit) -> None:
    visit.network("plain", "&threshold=0.7")
    source, target, x, y = visit.a_shown_edge()
    visit.page.mouse.move(x, y)
    assert visit.page.locator(".explorer .tip").inner_text().startswith(f"{source} → {target}")
    visit.page.mouse.click(x, y)
    visit.page.get_by_role("heading", name=f"{source} → {target}").wait_for()
    visit.settle()
    assert (visit.url()["edge_from"], visit.url()["edge_to"]) == ([source], [target])
    visit.page.get_by_text("Held-out cells:").wait_for()
    assert visit.ask("picture.names[picture.view.edge[1]]") == target


def test_shift_click_aims_a_path_at_a_gene(visit: Visit) -> None:
    visit.network("plain", "&gene=PERT0003&threshold=0.2")
    hit = "picture.nearest(picture.placeOf(i)) === i"
    target = visit.ask(
        f"picture.names.find((name, i) => picture.shownNode[i] && name.startsWith('EXT') && {hit})"
    )
    visit.page.keyboard.down("Shift")
    visit.page.mouse.click(*visit.place(target))
    visit.page.keyboard.up("Shift")
    visit.page.wait_for_function("location.search.includes('to=')")
    visit.settle()
    assert (visit.url()["from"], visit.url()["to"]) == (["PERT0003"], [target])
    assert visit.ask("picture.names[picture.view.goal]") == target


def test_undo_and_redo_by_button_and_key(visit: Visit) -> None:
    visit.network("plain")
    x, y, tip = visit.hover_a_gene()
    visit.page.mouse.click(x, y)
    visit.page.wait_for_function("location.search.includes('gene=')")
    visit.settle()
    visit.page.get_by_role("button", name="Undo").click()
    visit.page.wait_for_function("!location.search.includes('gene=')")
    visit.settle()
    visit.page.locator(".explorer .fit").focus()
    visit.page.keyboard.press("Control+y")
    visit.page.wait_for_function("location.search.includes('gene=')")
    visit.settle()
    assert visit.url()["gene"] == [tip.split("\n")[0]]


def test_a_path_is_changed_in_the_table_and_in_the_picture(visit: Visit) -> None:
    visit.network("plain", "&threshold=0.05&from=PERT0001&to=EXT0004&blind=1")
    lit = "picture.view.path.map(([a, b]) => [picture.names[a], picture.names[b]])"
    first = visit.ask(lit)
    other = visit.ask(
        """picture.view.paths.map(([a, b]) => [picture.names[a], picture.names[b]])
            .find((step) => !picture.view.path.some(
                ([a, b]) => picture.names[a] === step[0] && picture.names[b] === step[1]))"""
    )
    assert other
    visit.ask("picture.send('edge', given)", *other)  # an edge of another path is clicked
    visit.page.wait_for_timeout(600)
    visit.settle()
    second = visit.ask(lit)
    assert second != first
    assert other in second


def test_the_line_in_the_chart_moves_the_picture(visit: Visit) -> None:
    visit.network("plain")
    visit.open_tab("Which threshold?")
    chart = visit.page.locator(".panel svg").first
    chart.scroll_into_view_if_needed()
    box = chart.bounding_box()
    before, y = visit.edges(), box["y"] + box["height"] / 2
    visit.page.mouse.move(box["x"] + box["width"] * 0.6, y)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + box["width"] * 0.8, y, steps=5)
    visit.page.wait_for_timeout(300)
    dragged = visit.edges()
    assert 0 < dragged < before
    assert "threshold" not in visit.url()
    visit.page.mouse.up()
    visit.page.wait_for_function("location.search.includes('threshold=')")
    visit.settle()
    assert visit.edges() == dragged
    visit.page.get_by_role("button", name="Pin this threshold").click()
    visit.page.wait_for_function("location.search.includes('pinned=')")
    visit.page.get_by_text("(pinned)").wait_for()


def test_influence_and_self_loops_and_edges_without_evidence(visit: Visit) -> None:
    visit.network("plain", "&threshold=0.2")
    plain = visit.edges()
    visit.page.get_by_role("button", name="Self-loops").click()
    visit.page.wait_for_function("location.search.includes('loops=1')")
    visit.settle()
    loops = visit.edges()
    assert loops > plain
    visit.page.get_by_role("button", name="No-evidence edges").click()
    visit.page.wait_for_function("location.search.includes('blind=1')")
    visit.settle()
    assert visit.edges() > loops
    visit.choose("Edges mean", "All influence")
    visit.page.wait_for_function("location.search.includes('measure=T')")
    visit.settle()
    assert "T >" in visit.page.locator(".explorer .status").inner_text()
    visit.page.get_by_role("button", name="Reset").click()
    visit.page.wait_for_function("!location.search.includes('measure=')")


def test_communities_are_coloured_and_looked_at_one_by_one(visit: Visit) -> None:
    visit.network("plain", "&view=communities")
    visit.page.locator(".explorer .legend").get_by_text("community 1", exact=True).wait_for()
    colours = visit.ask("new Set(picture.nodes.get().map((node) => node.color.background)).size")
    assert colours > 2


@pytest.mark.parametrize("button", ["SVG", "PNG"])
def test_saved_pictures_say_where_they_come_from(visit: Visit, button: str) -> None:
    visit.network("plain", "&gene=PERT0003&view=ego&threshold=0.3")
    content = visit.save(button).read_bytes()
    if button == "SVG":
        root = ElementTree.fromstring(content)
        facts = json.loads(next(element.text for element in root.iter() if element.tag.endswith("metadata")))
        paths = [element for element in root.iter() if element.tag.endswith("path")]
        assert len(paths) >= visit.ask("picture.shownCount")
    else:
        assert content.startswith(b"\x89PNG")
        at = content.index(b"iTXt")
        length = int.from_bytes(content[at - 4 : at], "big")
        assert zlib.crc32(content[at : at + 4 + length]) == int.from_bytes(
            content[at + 4 + length : at + 8 + length], "big"
        )
        facts = json.loads(content[at + 4 : at + 4 + length].split(b"\x00", 5)[-1])
    assert (facts["run"], facts["focus"], facts["threshold"], facts["view"]) == (
        "plain",
        "PERT0003",
        0.3,
        "ego",
    )
    assert json.loads(facts["settings"])["preset"] == "released"


def test_full_screen_and_back(visit: Visit) -> None:
    visit.network("plain")
    small = visit.page.locator(".explorer .canvas").bounding_box()
    visit.page.get_by_role("button", name="Full screen").click()
    visit.page.wait_for_timeout(500)
    assert visit.page.locator(".explorer .canvas").bounding_box()["width"] > small["width"] * 1.2
    visit.page.get_by_role("button", name="Full screen").click()
    visit.page.wait_for_timeout(500)
    assert visit.page.locator(".explorer .canvas").bounding_box()["width"] == pytest.approx(
        small["width"], abs=2
    )


def test_coming_back_to_the_page_draws_the_network_again(visit: Visit) -> None:
    visit.network("plain")
    edges = visit.edges()
    visit.page.get_by_role("link", name="Runs", exact=True).click()
    visit.settle()
    visit.page.get_by_role("link", name="Network", exact=True).click()
    visit.page.wait_for_selector(".explorer[data-ready]")
    visit.settle()
    assert visit.edges() == edges
    assert visit.ask("picture.shownCount") > 0


def test_dark_and_light_differ_and_neither_complains(browser: Any, server: str) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        one = Visit(browser, server, scheme)
        one.network("plain", "&gene=PERT0003")
        colours[scheme] = one.ask("[picture.background(), picture.palette.path]")
        one.page.close()
        assert one.complaints == []
    assert colours["light"] != colours["dark"]
