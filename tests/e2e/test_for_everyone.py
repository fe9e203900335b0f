"""Every page for everybody: text that can be read on light and dark, nothing beside the screen of a telephone
or at 200 % zoom, and the ways through the keyboard.
"""

from __future__ import annotations

from typing import Any

import pytest

from gpovae_core.plots import theme
from gpovae_core.runs import shipped
from gpovae_core.runs.folder import is_run
from tests.e2e.visit import Visit

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.slow,
    pytest.mark.skipif(
        not is_run(shipped.DEMOS[shipped.REAL_DEMO]), reason="needs the demo of real cells: make demo"
    ),
]
PAGES = ("Home", "Runs", "Data", "Train", "Network", "Response", "What if", "Benchmark", "Experiments")
ASKED = f"/?run={shipped.REAL_DEMO}&gene=STAT1&scenario=JAK2&scenario=IFNGR1%2BJAK2"
FOLDED = {
    "response": ("The model's prediction correlates", "Perturbations (up to 4)"),
    "whatif": ("is expected to change these genes most", "Knock down (1 to 4 genes)"),
    "benchmark": ("methods without a model at predicting", "Open run"),
}
"""Page -> words of its answer, and the title of a control, which a telephone folds."""
LEAST = 4.5
PALE = """(least) => {
  const context = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const parse = (text) => {
    context.clearRect(0, 0, 1, 1);
    context.fillStyle = text;
    context.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = context.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) =>
    [0, 1, 2].map((k) => top[k] * top[3] + below[k] * (1 - top[3])).concat([1]);
  const light = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const contrast = (a, b) => {
    const [x, y] = [light(a), light(b)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const parents = (element) => {
    const found = [];
    for (let e = element; e; e = e.parentElement) found.push(getComputedStyle(e));
    return found;
  };
  const pale = new Set();
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let node = walk.nextNode(); node; node = walk.nextNode()) {
    const words = node.textContent.trim(), element = node.parentElement;
    if (!words || !element || element.closest("style,script,noscript,:disabled,[aria-disabled=true]"))
      continue;
    const box = element.getBoundingClientRect(), styles = parents(element), style = styles[0];
    const opacity = styles.reduce((product, each) => product * Number(each.opacity), 1);
    if (box.width < 2 || box.height < 2 || style.visibility === "hidden" || opacity < 0.05) continue;
    const ground = styles.reduceRight(
      (below, each) => over(parse(each.backgroundColor), below), [255, 255, 255, 1]);
    const colour = parse(element instanceof SVGElement ? style.fill : style.color);
    colour[3] *= opacity;
    const value = contrast(over(colour, ground), ground);
    if (value < least) pale.add(`${words.slice(0, 40)}: ${value.toFixed(2)}`);
  }
  return [...pale];
}"""
LEAST_MARK = 3
MARKS = """() => {
  const light = (colour) => {
    const [r, g, b] = [1, 3, 5].map((k) => {
      const part = parseInt(colour.slice(k, k + 2), 16) / 255;
      return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const hex = (rgb) =>
    "#" + rgb.match(/[0-9]+/g).slice(0, 3).map((n) => (+n).toString(16).padStart(2, "0")).join("");
  const ground = hex(getComputedStyle(document.querySelector("[data-testid=stApp]")).backgroundColor);
  const contrast = (colour) => {
    const [x, y] = [light(colour), light(ground)].sort((p, q) => q - p);
    return (x + 0.05) / (y + 0.05);
  };
  const found = [];
  for (const chart of document.querySelectorAll(".js-plotly-plot"))
    for (const trace of chart._fullData || []) {
      const parts = [trace.marker, trace.mode?.includes("lines") && trace.line, trace.error_x];
      for (const part of parts)
        for (const colour of [part?.color].flat())
          if (/^#[0-9a-f]{6}$/i.test(colour || "")) found.push([colour.toLowerCase(), contrast(colour)]);
    }
  return found;
}"""
"""Every colour of a mark or a line of a chart, and its contrast with the ground."""
BESIDE = """() => {
  const beside = [], inside = (element) => {
    for (let e = element.parentElement; e; e = e.parentElement)
      if (["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(e).overflowX)
          && e.getBoundingClientRect().right <= innerWidth + 2
          && !["stMain", "stApp"].includes(e.dataset.testid)) return true;
    return false;
  };
  for (const element of document.querySelectorAll("[data-testid=stMain] *")) {
    const box = element.getBoundingClientRect();
    if (box.width > 1 && box.right > innerWidth + 2 && !inside(element))
      beside.push(`${element.tagName} ${(element.textContent || "").trim().slice(0, 40)}`);
  }
  const main = document.querySelector("[data-testid=stMain]");
  if (main.scrollWidth > main.clientWidth + 2) beside.push("the page scrolls sideways");
  return beside.slice(0, 5);
}"""


def rested(visit: Visit, page: str) -> None:
    """On a page, with everything drawn."""
    visit.to(page)
    visit.settle()
    if page == "Network":
        visit.ready()
    visit.page.wait_for_timeout(1500)
    visit.settle()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_and_marks_can_be_read(browser: Any, alone: str, scheme: str) -> None:
    """As the browser draws them: marks of figures have a contrast of 3 at least, but for the faint lines of
    unsure edges.
    """
    visit = Visit(browser, alone, scheme)
    visit.page.goto(alone + ASKED)
    visit.settle()
    pale, seen = {}, set()
    for page in PAGES:
        rested(visit, page)
        pale[page] = visit.page.evaluate(PALE, LEAST)
        if page in ("Home", "Response", "What if", "Benchmark"):
            marks = visit.page.evaluate(MARKS)
            seen |= {colour for colour, _ in marks}
            pale[page] += sorted({f"{colour}: {value:.2f}" for colour, value in marks if value < LEAST_MARK})
    visit.page.close()
    assert {page: found for page, found in pale.items() if found} == {}
    blue = theme.ON_DARK[theme.BLUE] if scheme == "dark" else theme.BLUE
    assert blue.lower() in seen


@pytest.mark.parametrize("size", [(390, 844), (720, 450)], ids=["telephone", "200 percent zoom"])
def test_nothing_stands_beside_the_screen(browser: Any, alone: str, size: tuple[int, int]) -> None:
    visit = Visit(browser, alone, size=size)
    beside = {}
    for page in ("", "network", "response", "whatif", "benchmark", "experiments", "runs", "train", "data"):
        visit.page.goto(f"{alone}/{page}{ASKED[1:]}")
        visit.settle()
        visit.page.wait_for_timeout(1200)
        visit.settle()
        beside[page] = visit.page.evaluate(BESIDE)
        if page in FOLDED:
            the_answer_comes_before_the_controls(visit, *FOLDED[page])
    visit.page.close()
    assert {page: found for page, found in beside.items() if found} == {}


def the_answer_comes_before_the_controls(visit: Visit, answer: str, control: str) -> None:
    """The controls wait in one line above the answer, and come, uncut, when they are asked for."""
    said, box = visit.page.get_by_text(answer).first, visit.page.get_by_text(control, exact=True).first
    assert said.bounding_box()["y"] < 400
    assert not box.is_visible()
    visit.page.locator("details.fold summary").press("Enter")
    box.wait_for()
    assert box.bounding_box()["y"] < said.bounding_box()["y"]
    cut = visit.page.locator(".st-key-bar button p").evaluate_all(
        "(all) => all.filter((one) => one.scrollWidth > one.clientWidth + 1).map((one) => one.textContent)"
    )
    assert cut == []


COLLIDING = """() => {
  const seen = (e) => e.getBoundingClientRect().width > 0;
  const names = [...document.querySelectorAll(".js-plotly-plot .annotation-text")].filter(seen);
  const boxes = names.map((e) => [e.textContent, e.getBoundingClientRect()]);
  const found = boxes.filter(([, a]) => a.left < 0 || a.right > innerWidth).map(([name]) => name);
  boxes.forEach(([one, a], k) => boxes.slice(k + 1).forEach(([other, b]) => {
    if (a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)
      found.push(`${one} on ${other}`);
  }));
  return [boxes.length, found];
}"""


def test_names_of_scenarios_do_not_collide_on_a_telephone(browser: Any, alone: str) -> None:
    visit = Visit(browser, alone, size=(390, 844))
    visit.page.goto(f"{alone}/whatif{ASKED[1:]}&scenario=STAT1")
    visit.settle()
    visit.page.locator(".js-plotly-plot .annotation-text:visible").nth(2).wait_for()
    visit.settle()
    named, colliding = visit.page.evaluate(COLLIDING)
    visit.page.close()
    assert named == 3
    assert colliding == []


@pytest.mark.parametrize("width", [390, 720, 1024, 1440])
def test_the_table_of_runs_fits(browser: Any, alone: str, width: int) -> None:
    visit = Visit(browser, alone, size=(width, 900))
    visit.page.goto(f"{alone}/runs{ASKED[1:]}")
    visit.settle()
    table = visit.page.locator("[class*=st-key-runs_if_] .dvn-scroller:visible")
    table.wait_for()
    beyond = table.evaluate("(table) => table.scrollWidth - table.clientWidth")
    visit.page.close()
    assert beyond <= 0


def test_the_answers_are_on_the_first_screen(browser: Any, alone: str) -> None:
    """At 1440 x 900, without scrolling: the sentence, and the whole of the first figure."""
    visit = Visit(browser, alone)
    visit.page.goto(alone + ASKED)
    visit.settle()
    for page, said in (
        ("Home", "have most targets"),
        ("Response", "The model's prediction correlates"),
        ("What if", "is expected to change these genes most"),
        ("Benchmark", "methods without a model at predicting"),
    ):
        rested(visit, page)
        assert visit.page.get_by_text(said).first.bounding_box()["y"] < 450, page
        figure = visit.page.locator(".js-plotly-plot:visible").first
        figure.wait_for()
        box = figure.bounding_box()
        assert box["y"] + box["height"] <= 900, page
    visit.to("Home")
    visit.settle()
    way = visit.page.get_by_role("button", name="Open its network").first.bounding_box()
    assert way["y"] + way["height"] <= 900
    visit.page.close()


def test_the_keyboard_opens_a_tab_and_presses_a_button(browser: Any, alone: str) -> None:
    visit = Visit(browser, alone)
    visit.page.goto(alone + ASKED)
    visit.settle()
    rested(visit, "Response")
    visit.page.get_by_role("tab", name="Predicted against observed").focus()
    visit.page.keyboard.press("ArrowRight")
    visit.page.keyboard.press("Enter")
    visit.page.get_by_text("genes change with STAT1").wait_for()
    button = visit.page.get_by_role("button", name="Figures")
    button.focus()
    outline = button.evaluate("(b) => getComputedStyle(b).outlineStyle + getComputedStyle(b).boxShadow")
    assert outline != "nonenone", "it is seen where the keyboard is"
    visit.page.close()
