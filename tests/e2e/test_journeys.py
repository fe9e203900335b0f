"""Questions to a screen of real cells, asked as a biologist would, each within so many clicks and
seconds (../shared/design has where these come from). The run is the demo of real cells.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gpovae_core.evaluation.stored import read_evaluation
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.network.overview import overview
from gpovae_core.reporting.trust import counted, numbers_of, ranked, warning
from gpovae_core.runs import shipped
from gpovae_core.runs.ensemble import read_ensemble
from gpovae_core.runs.folder import RunFolder, is_run
from tests.e2e.conftest import App
from tests.e2e.visit import Visit
from tests.toy import write_toy

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(
        not is_run(shipped.DEMOS[shipped.REAL_DEMO]), reason="needs the demo of real cells: make demo"
    ),
]
SLOW = float(os.environ.get("GPOVAE_SLOW", "6"))
"""How many times longer than on an idle machine an answer may take."""


@pytest.fixture
def visit(browser: Any, alone: str) -> Iterator[Visit]:
    one = Visit(browser, alone)
    one.page.goto(alone)
    one.settle()
    one.to("Network")
    one.ready()
    one.until("bench.graph.tested")
    one.settle()
    yield one
    assert one.page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == 0, "it scrolled"
    one.page.close()
    assert one.complaints == []


class Clock:
    """Seconds since it was made, against what was promised."""

    def __init__(self, promised: float) -> None:
        self.promised, self.started = promised, time.perf_counter()

    def stop(self) -> None:
        taken = time.perf_counter() - self.started
        assert taken <= self.promised * SLOW, f"took {taken:.1f} s, promised {self.promised:g} s"


def test_the_page_opens_on_the_real_cells_and_answers_in_ten_seconds(visit: Visit) -> None:
    assert visit.url()["run"] == [shipped.REAL_DEMO]
    hubs = visit.page.locator(".explorer .hub .name").all_inner_texts()
    assert {"JAK2", "STAT1"} <= set(hubs)
    drawn = visit.ask("picture.layout.nodes.map((node) => node.label)")
    assert set(hubs) <= set(drawn), "the largest regulators are named in the picture"
    assert any("genes" in label for label in drawn), "and so are groups of targets"
    assert visit.overlaps() == []
    assert "expected to have no effect at all" in visit.card()


def test_the_weakest_number_leads_in_the_words_of_every_page(visit: Visit) -> None:
    run = RunFolder(shipped.DEMOS[shipped.REAL_DEMO])
    scores = read_evaluation(run)
    assert scores is not None
    seen = overview(GeneNetwork.from_run(run), run.settings().evaluation.threshold)
    numbers = numbers_of(seen, scores.network)
    visit.until("bench.graph.tested")
    rows = visit.page.locator(".explorer .trust")
    assert rows.locator("dt").all_inner_texts() == [counted(one, numbers) for one in ranked(numbers)]
    ensemble = read_ensemble(run)
    assert ensemble is not None
    values = {"members": seen.members, "average": f"{ensemble.edges:,.0f} edges on average (W above 0.5)"}
    told = [f"{one.says} {one.limits}".format(**values) for one in ranked(numbers)]
    assert rows.locator("dd").all_inner_texts() == told
    assert visit.page.locator(".card .doubt").first.inner_text() == warning(numbers, seen.members)
    sizes = rows.locator("dt").evaluate_all("(all) => all.map((one) => getComputedStyle(one).fontSize)")
    assert len(set(sizes)) == 1, "none is dwarfed"
    line = visit.page.locator(".explorer .sure").inner_text()
    worst, _ = counted(ranked(numbers)[0], numbers).split(" of ")
    assert line.startswith(ranked(numbers)[0].short.format(number=worst))
    assert "MYC (33 cells), SPI1 (21)" in visit.card(), "why there are fewer genes than were perturbed"
    bars = visit.page.locator(".explorer .bars")
    assert bars.inner_text().strip() == "how often its edges come back"
    assert bars.is_visible()


def test_an_edge_against_its_effect_says_why(visit: Visit) -> None:
    visit.search("STAT1 -> CMPK2")
    visit.until("bench.card.root.querySelector('.contrary') !== null")
    told = visit.page.locator(".explorer .contrary").inner_text()
    assert "although CMPK2 falls when STAT1 is perturbed" in told
    assert "The sign comes from cells with" in told
    chosen = visit.page.locator(".explorer .row[aria-selected=true] .cell").nth(3)
    assert chosen.inner_text() == "represses*"
    visit.search("JAK2 -> STAT1")
    visit.until("bench.card.root.querySelector('.answer')?.textContent.startsWith('JAK2')")
    assert visit.page.locator(".explorer .contrary").count() == 0


def test_what_does_stat1_control_here(visit: Visit) -> None:
    clock = Clock(3.0)
    visit.search("stat1")  # one: into the search
    visit.until("picture.layout.kind === 'ego'")
    assert visit.card().startswith("STAT1")
    own = visit.ask("bench.table.given.map((e) => bench.graph.names[bench.graph.source[e]])")
    assert set(own) == {"STAT1"}
    visit.page.locator(".explorer .rows .row").first.click()  # two: an edge
    visit.until("bench.card.root.querySelector('.violin') !== null")
    clock.stop()
    said = visit.card()
    for part in ("Effect", "Adjusted p", "Cells", "Comes back", "Known elsewhere?", "In held-out cells"):
        assert part in said
    table = visit.save("CSV").read_text()
    assert "# focus: STAT1" in table


def test_does_jak2_act_on_ube2l6_directly_or_through_stat1(visit: Visit) -> None:
    clock = Clock(2.0)
    visit.search("JAK2 -> UBE2L6")
    visit.until("bench.card.root.querySelector('.answer')?.textContent.startsWith('JAK2 changes UBE2L6')")
    clock.stop()
    assert "through STAT1" in visit.page.locator(".explorer .answer").inner_text()
    lit = visit.ask("bench.scene.lit.map((pair) => pair.map((gene) => bench.graph.names[gene]))")
    assert lit == [["JAK2", "STAT1"], ["STAT1", "UBE2L6"]]
    long = visit.ask(
        "(() => { const [a, b] = bench.scene.lit[0].map((gene) => picture.placeOf(gene));"
        " return Math.hypot(a.x - b.x, a.y - b.y); })()"
    )
    assert long > 120, "the lit way can be seen"
    shares = [int(words.split()[0]) for words in visit.page.locator(".way b").all_inner_texts()]
    rest = re.search(
        r"more than once, (carry the remaining|act against that, by|carry less than) (\d+) %", visit.card()
    )
    assert rest, visit.card()
    part = {"carry the remaining": 1, "act against that, by": -1, "carry less than": 0}[rest[1]] * int(
        rest[2]
    )
    assert sum(shares) + part == pytest.approx(100, abs=3)
    visit.page.get_by_role("button", name="Effects along this path").click()
    visit.page.get_by_text("JAK2 → STAT1 → UBE2L6").first.wait_for()
    visit.to("Network")
    visit.ready()


def test_which_threshold_should_i_take(visit: Visit) -> None:
    svg = visit.page.locator(".explorer .threshold svg")
    assert svg.locator(".edges").count() == 1  # nothing to click: both curves are there
    assert svg.locator(".false").count() == 1
    box = svg.bounding_box()
    times = visit.page.locator(".explorer").evaluate(
        """async (root) => {
          const times = [];
          for (let k = 0; k < 9; k++) {
            const started = performance.now();
            root.bench.drag(0.45 + 0.04 * k);
            await new Promise((resolve) => requestAnimationFrame(resolve));
            await new Promise((resolve) => setTimeout(resolve));
            times.push(performance.now() - started);
          }
          root.bench.release();
          return times.sort((a, b) => a - b);
        }"""
    )
    assert times[4] <= 100 * SLOW
    before = visit.page.locator(".explorer .now").inner_text()
    visit.page.mouse.click(box["x"] + 0.35 * box["width"], box["y"] + 20)
    assert visit.page.locator(".explorer .now").inner_text() != before
    stops = {name.split()[0]: int(name.split()[1]) for name in visit.page.locator(".stop").all_inner_texts()}
    assert stops["strict"] < stops["default"] < stops["generous"]
    visit.settle()


def test_which_pair_should_i_knock_down(browser: Any, alone: str) -> None:
    visit = Visit(browser, alone)
    visit.page.goto(alone)
    visit.settle()
    clock = Clock(9.0)  # the first answer makes the model ready
    visit.to("What if")  # one: the ranked pairs
    visit.page.get_by_role("heading", name="Which pair?").wait_for()
    best = visit.page.get_by_test_id("stMarkdown").filter(has_text="comes first, but level with").first
    best.wait_for()
    table = visit.page.get_by_test_id("stDataFrame").first
    table.wait_for()
    visit.settle()
    assert best.bounding_box()["y"] < table.bounding_box()["y"] < 700, "in sight without scrolling"
    visit.page.get_by_role("button", name="Try JAK2 + IFNGR1").click()  # two: the clearest ones, side by side
    visit.page.get_by_text("is expected to change these genes most").wait_for()
    visit.page.get_by_text("never the combination: how they act together is its guess").wait_for()
    clock.stop()
    visit.page.locator(".js-plotly-plot").first.wait_for()
    assert visit.url()["scenario"] == ["JAK2", "IFNGR1", "JAK2+IFNGR1"]
    assert visit.page.evaluate("document.querySelector('[data-testid=stMain]').scrollTop") == 0
    visit.page.close()
    assert visit.complaints == []


@pytest.fixture
def screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[App]:
    """The app of somebody who has a file of cells and nothing else."""
    (tmp_path / "data").mkdir()
    write_toy(tmp_path / "data")
    monkeypatch.setenv("GPOVAE_DATA_DIR", str(tmp_path / "data"))
    app = App(tmp_path / "runs", tmp_path / "streamlit.txt")
    yield app
    app.kill()


def test_here_is_my_screen(browser: Any, screen: App) -> None:
    visit = Visit(browser, screen.address)
    page = visit.page
    page.goto(screen.address)
    visit.settle()
    page.get_by_role("button", name="Use my data").click()
    files = page.get_by_role("combobox", name="File", exact=True)
    files.fill("toy")
    files.press("Enter")  # one
    page.get_by_text("This file can be used").wait_for()
    page.get_by_role("button", name="Train on these cells").click()  # two
    page.get_by_role("button", name="Start training").click()  # three
    page.set_default_timeout(300_000)
    page.get_by_role("button", name="Open its network").first.wait_for()  # tomorrow
    page.set_default_timeout(60_000)
    visit.settle()
    visit.to("Home")
    page.get_by_text("Your newest run: toy").wait_for()
    page.get_by_text("Held out: cells drawn at random").wait_for()  # how good it is, before the network
    visit.settle()
    page.get_by_role("button", name="Open its network").click()  # one
    visit.ready()
    assert visit.save("Open in Cytoscape").read_text().startswith("[")  # two
    visit.to("Home")
    page.get_by_role("button", name="All scores").click()  # one
    page.get_by_role("tab", name="Report", exact=True).click()  # two
    page.get_by_role("heading", name="Methods").wait_for()
    page.close()
    assert visit.complaints == []
