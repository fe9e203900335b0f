"""The page Response in a real browser: a click in a chart chooses the gene everywhere, and the ways to
Network and back.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.test_network import Visit

pytestmark = [pytest.mark.e2e, pytest.mark.slow]


@pytest.fixture
def visit(browser: Any, server: str) -> Iterator[Visit]:
    one = Visit(browser, server)
    yield one
    one.page.close()
    assert one.complaints == []


def click_point(page: Any, gene: str) -> None:
    """Click the point of a gene in the first chart."""
    chart = page.locator(".js-plotly-plot").first
    chart.scroll_into_view_if_needed()
    at = chart.evaluate(
        """(chart, gene) => {
          for (const trace of chart._fullData) {
            const i = Array.from(trace.customdata || []).indexOf(gene);
            if (i < 0) continue;
            const { xaxis, yaxis } = chart._fullLayout, box = chart.getBoundingClientRect();
            return [box.left + xaxis._offset + xaxis.d2p(trace.x[i]),
                    box.top + yaxis._offset + yaxis.d2p(trace.y[i])];
          }
        }""",
        gene,
    )
    page.mouse.move(*at)
    page.wait_for_timeout(300)
    page.mouse.click(*at)


def test_a_click_chooses_the_gene_and_leads_to_its_paths_and_back(visit: Visit) -> None:
    page = visit.page
    visit.network("plain", "&threshold=0&from=PERT0003&to=PERT0005")
    page.get_by_role("button", name="Effects of PERT0003").click()
    page.get_by_role("heading", name="Response", exact=True).wait_for()
    page.get_by_text(
        "Effect of perturbing PERT0003, observed then predicted"
    ).wait_for()  # the pinned path is what is open
    page.get_by_role("tab", name="Predicted against observed").click()
    page.locator(".js-plotly-plot").nth(1).wait_for()
    page.wait_for_timeout(1500)
    click_point(page, "PERT0001")
    page.get_by_text("PERT0001 under PERT0003").wait_for()
    page.get_by_role("button", name="Paths from PERT0003 to PERT0001 in Network").click()
    page.get_by_role("heading", name="Network", exact=True).wait_for()
    page.get_by_role("tab", name="Paths", exact=True, selected=True).wait_for()
    page.wait_for_function("new URLSearchParams(location.search).get('to') === 'PERT0001'")


def test_one_press_of_back_leaves_the_effects_along_a_path(visit: Visit) -> None:
    """From the card of a pair to its path on the page Response, and back again."""
    visit.network("plain", "&threshold=0&edge_from=PERT0003&edge_to=PERT0005")
    pair = visit.url()
    visit.page.get_by_role("button", name="Effects along this path").click()
    along = visit.page.get_by_role("tab", name="Along a path", selected=True)
    along.wait_for()
    visit.page.get_by_text("Effect of perturbing PERT0003, observed then predicted").wait_for()
    visit.settle()
    assert visit.url()["perturbation"] == ["PERT0003"]
    visit.page.go_back()
    visit.ready()
    assert visit.url()["edge_to"] == pair["edge_to"]
    assert visit.page.get_by_role("tab", name="Along a path").count() == 0
    visit.page.go_forward()
    along.wait_for()
    visit.page.get_by_text("Effect of perturbing PERT0003, observed then predicted").wait_for()
