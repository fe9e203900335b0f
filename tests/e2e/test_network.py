"""A person at the network page, in a real browser: one screen, that answers where it is clicked; no other
host asked, nothing in the console.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from dashboard.network.message import MOST_EDGES
from dashboard.network.page import PARTS
from gpovae_core.plots.signs import AROUND, MAP, MATRIX, legend
from tests.e2e.visit import Visit
from tests.fake_run import HOSTILE, make_fake_run

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
AGAINST = "sign against the measured effect"


@pytest.fixture
def visit(browser: Any, server: str) -> Iterator[Visit]:
    one = Visit(browser, server)
    yield one
    one.page.close()
    assert one.complaints == []


def test_everything_is_on_the_first_screen(visit: Visit) -> None:
    visit.network("plain")
    for part in (".top", ".list", ".stage", ".card", ".drawer", ".rows .row >> nth=2"):
        box = visit.page.locator(f".explorer {part}").bounding_box()
        assert box["y"] >= 0, part
        assert box["y"] + box["height"] <= 900, part
    assert visit.page.locator(".explorer .stage").bounding_box()["y"] < 130
    assert "What this network says" in visit.card()
    assert "How sure, the weakest first" in visit.card()
    sizes = [int(one) for one in visit.page.locator(".explorer .hub b").all_inner_texts()]
    assert sizes == sorted(sizes, reverse=True)
    assert max(sizes) > 0


def test_dragging_the_threshold_acts_at_once_and_reaches_python_on_release(visit: Visit) -> None:
    visit.network("plain")
    before = visit.edges()
    box = visit.page.locator(".explorer .threshold svg").bounding_box()
    y = box["y"] + box["height"] / 2
    visit.page.mouse.move(box["x"] + box["width"] / 2, y)
    visit.page.mouse.down()
    visit.page.mouse.move(box["x"] + box["width"] * 0.75, y, steps=8)
    visit.page.wait_for_timeout(200)
    dragged = visit.edges()
    assert 0 < dragged < before
    assert visit.ask("bench.table.given.length") == dragged
    assert "threshold" not in visit.url(), "Python must hear of it on release only"
    visit.page.mouse.up()
    visit.until_url("at.includes('threshold=')")
    assert float(visit.url()["threshold"][0]) == pytest.approx(0.75, abs=0.03)
    assert visit.edges() == dragged


def test_what_was_not_measured_is_left_empty(visit: Visit) -> None:
    visit.network("plain")  # a run without effects of its own network stage
    row = visit.page.locator(".explorer .rows .row").first.locator(".cell").all_inner_texts()
    names = visit.page.locator(".explorer .head .cell").all_inner_texts()
    shown = dict(zip([name.split(" ↓")[0] for name in names], row, strict=True))
    empty = ("Effect (training)", "95 % interval", "Comes back", "Detours")
    assert [shown[name] for name in empty] == [""] * 4
    wide, seen = visit.ask("[bench.table.list.scroller.scrollWidth, bench.table.list.scroller.clientWidth]")
    assert wide <= seen, "the table needs no scrolling sideways"
    assert float(shown["W"]) > 0.5


@pytest.mark.parametrize("width", [1440, 1280, 390])
def test_the_curves_over_the_threshold_say_what_they_show(browser: Any, server: str, width: int) -> None:
    one = Visit(browser, server, size=(width, 844))
    one.page.goto(f"{server}/?run=plain")
    if width < 760:
        one.page.get_by_test_id("stExpandSidebarButton").click()
    one.to("Network")
    one.ready()
    if width < 760 and (close := one.page.get_by_test_id("stSidebarCollapseButton")).is_visible():
        close.click()
    for known in (False, True):
        shares = "Array.from({ length: 201 }, () => 0.1)" if known else "null"
        one.ask(f"(bench.graph.falseShare = {shares}, bench.drawFrame(), bench.repaint(), 1)")
        scales = one.page.locator(".explorer .scales")
        words = scales.inner_text().split("\n")
        assert words[0] == "W 0"
        assert words[-1] == "1"
        assert "log" in scales.inner_text()
        assert "edges" in scales.inner_text()
        assert ("false" in scales.inner_text()) == known
        keys = one.page.locator(".explorer .scales .keys")
        assert keys.evaluate("(one) => one.scrollWidth - one.clientWidth") <= 0, "nothing is cut off"
        box = scales.bounding_box()
        assert box["x"] + box["width"] <= width
        assert box["height"] < 20, "one line"
    one.page.close()
    assert one.complaints == []


def test_the_legend_explains_what_is_drawn_in_each_picture(visit: Visit) -> None:
    visit.network("plain", "&gene=PERT0003")
    for name, picture in (("Map", MAP), ("Matrix", MATRIX), ("Around", AROUND)):
        visit.page.get_by_role("button", name=name, exact=True).click()
        said = visit.page.locator(".explorer .legend").inner_text()
        for entry in legend(picture):
            assert entry.words in said, name
        assert AGAINST not in said, "there is no such edge"
    e = visit.ask("bench.table.edges[0]")
    visit.ask("bench.graph.contrary[given[0]] = 1, bench.repaint()", e)
    for name in ("Around", "Matrix", "Map"):
        visit.page.get_by_role("button", name=name, exact=True).click()
        assert AGAINST in visit.page.locator(".explorer .legend").inner_text()
        assert "*: sign against the measured effect" in visit.ask("picture.describe({ edge: given[0] })", e)


def test_a_group_says_how_many_of_its_genes_rise_and_fall(visit: Visit) -> None:
    visit.network("plain")
    for tip, counts, edges in visit.ask(
        """picture.layout.nodes.filter((node) => node.row && node.row.genes.length > 1).map((node) => [
          picture.describe({ bundle: node.bundle, node }),
          node.counts.map(({ words }) => Number(words)), node.row.edges.length])"""
    ):
        assert sum(counts) == edges
        assert sum(int(one) for one in re.findall(r"(?:activates|represses|regulates) (\d+)", tip)) == edges
    counted = "picture.layout.nodes.flatMap((node) => node.counts || []).map(({ words }) => words)"
    written = "picture.strokes(900).strokes.filter((one) => one.kind === 'text').map((one) => one.words)"
    assert Counter(visit.ask(counted)) <= Counter(visit.ask(written))


def test_stops_are_thresholds_with_their_edges(visit: Visit) -> None:
    visit.network("plain")
    default = visit.edges()
    for name in ("strict", "generous"):
        button = visit.page.locator(f".explorer .stop:has-text('{name}')")
        promised = int(button.inner_text().split()[1].replace(",", ""))
        button.click()
        visit.settle()
        assert visit.edges() == promised
        assert (promised < default) == (name == "strict")


def test_a_click_hits_the_gene_under_the_pointer_and_hovering_moves_nothing(visit: Visit) -> None:
    visit.network("plain")
    parts = (".top", ".list", ".stage", ".canvas", ".card", ".drawer")
    boxes = [visit.page.locator(f".explorer {part}").bounding_box() for part in parts]
    regulators = visit.ask(
        "picture.layout.nodes.filter((node) => node.regulator).map((node) => bench.graph.names[node.gene])"
    )
    assert len(regulators) > 5
    for gene in regulators[:6]:
        visit.page.mouse.move(*visit.place(gene))
        assert visit.page.locator(".explorer .tip").inner_text().split("\n")[0] == gene
        for part, before in zip(parts, boxes, strict=True):
            after = visit.page.locator(f".explorer {part}").bounding_box()
            assert all(abs(after[side] - before[side]) <= 2 for side in before), part
    for gene in regulators[:3]:
        visit.page.mouse.click(*visit.place(gene))
        assert visit.ask("bench.graph.names[bench.sight.focus]") == gene
        assert visit.card().startswith(gene)
    visit.until_url(f"at.includes('gene={regulators[2]}')")


def test_a_gene_shows_its_targets_one_hop_out(visit: Visit) -> None:
    visit.network("plain")
    visit.search("pert0003")
    visit.until("picture.layout.kind === 'ego'")
    own = visit.ask(
        "bench.edges.filter((e) => bench.graph.names[bench.graph.source[e]] === 'PERT0003')"
        ".map((e) => bench.graph.names[bench.graph.target[e]])"
    )
    drawn = visit.ask("picture.layout.nodes.map((node) => bench.graph.names[node.gene])")
    assert set(drawn) == {"PERT0003", *own}
    assert visit.ask("bench.table.given.length") == len(own)
    assert visit.overlaps() == []
    visit.settle()
    assert visit.url()["gene"] == ["PERT0003"]


@pytest.mark.parametrize(
    "words",
    [
        "PERT0003 -> EXT0010",
        "pert0003→ext0010",
        "EXT0010 <- PERT0003",
        "pert0003 to ext0010",
        "pert0003, ext0010",
        " Pert0003   ext0010 ",
        "PERT0003—>EXT0010",
        "PERT-0003 > EXT_0010",
    ],
)
def test_the_search_understands_a_pair_in_any_spelling(visit: Visit, words: str) -> None:
    visit.network("plain")
    visit.search(words)
    assert visit.ask("bench.sight.edge.map((gene) => bench.graph.names[gene])") == ["PERT0003", "EXT0010"]


def test_the_search_says_when_a_gene_is_not_there(visit: Visit) -> None:
    visit.network("plain")
    visit.search("PRET0003")
    found = visit.page.locator(".explorer .found")
    found.wait_for()
    assert "Did you mean PERT0003?" in found.inner_text()
    visit.page.keyboard.press("Escape")
    visit.search("ENSG00000000001")
    assert visit.ask("bench.graph.names[bench.sight.focus]") == "PERT0000"


def test_an_edge_opens_its_evidence_and_a_path_is_traced(visit: Visit) -> None:
    visit.network("plain", "&threshold=0.7&view=whole")
    source, target, x, y = visit.a_single_edge()
    visit.page.mouse.move(x, y)
    assert visit.page.locator(".explorer .tip").inner_text().startswith(f"{source} → {target}")
    visit.page.mouse.click(x, y)
    visit.until("bench.card.root.querySelector('.answer')?.textContent.startsWith(given[0])", f"{source} ")
    visit.settle()
    assert (visit.url()["edge_from"], visit.url()["edge_to"]) == ([source], [target])
    assert "In held-out cells" in visit.card()
    assert visit.page.locator(".explorer .violin").count() == 2
    assert visit.ask("bench.scene.lit.length") >= 1
    ways = visit.page.locator(".explorer .way")
    if ways.count() > 1:
        ways.nth(1).click()
        assert ways.nth(1).get_attribute("aria-pressed") == "true"


def test_groups_are_opened_by_a_click(visit: Visit) -> None:
    visit.network("plain")
    found = visit.ask(
        """(() => {
          const node = picture.layout.nodes.find((one) => one.row && one.row.genes.length > 1);
          return node && { x: node.x, y: node.y, genes: node.row.genes.map((g) => bench.graph.names[g]) };
        })()"""
    )
    assert found, "the made run has a group"
    visit.page.mouse.click(*visit.on_canvas(found["x"], found["y"]))
    assert visit.ask("picture.opened.genes.map((one) => bench.graph.names[one.gene])") == found["genes"]
    for gene in found["genes"]:
        assert gene in visit.card()
    visit.until_url("at.includes('bundle=')")
    visit.page.mouse.click(*visit.place(found["genes"][1]))
    assert visit.ask("bench.graph.names[bench.sight.focus]") == found["genes"][1]


def test_many_edges_are_a_matrix_unless_the_map_is_asked_for(visit: Visit) -> None:
    visit.network("plain", "&threshold=0.01")
    assert visit.edges() > 300
    assert visit.ask("picture.layout.kind") == "matrix"
    e = visit.ask("bench.graph.edgeOf(picture.layout.rows[0], picture.layout.columns[0])")
    assert e >= 0
    cell = visit.ask("picture.cells()")
    visit.page.mouse.click(*visit.on_canvas(cell["x"] + cell["w"] / 2, cell["y"] + cell["h"] / 2))
    assert visit.ask("bench.graph.edgeOf(...bench.sight.edge)") == e
    visit.page.get_by_role("button", name="Map", exact=True).click()
    assert visit.ask("picture.layout.kind") == "whole"
    assert visit.overlaps() == []
    regulators = visit.ask("picture.layout.nodes.filter((node) => node.regulator).map((node) => node.label)")
    assert len(regulators) == visit.ask("Math.min(40, bench.folded.regulators.length)")


def test_no_label_covers_another_at_220_edges(visit: Visit) -> None:
    visit.network("plain")
    visit.ask("bench.drag(bench.curve.value(Math.floor(bench.graph.weight[219] / bench.curve.value(1))))")
    visit.ask("bench.release()")
    visit.settle()
    assert 220 <= visit.edges() < 300, "thresholds come in steps"
    visit.page.get_by_role("button", name="Map", exact=True).click()
    assert visit.overlaps() == []
    for gene in visit.ask("bench.folded.regulators.map((gene) => bench.graph.names[gene])"):
        assert visit.ask("picture.layout.nodes.some((node) => node.label === given[0])", gene), gene


def test_a_choice_outlives_a_network_that_was_on_its_way(visit: Visit, runs: Path) -> None:
    """Files of the run change, and the answer with its new network was sent before Python heard of a drag."""
    visit.network("plain")
    visit.ask("(bench.held = bench.take, bench.take = (data) => { bench.late = data; })")
    os.utime(runs / "plain" / "config.json")
    visit.ask("bench.ask('tests')")
    visit.until("bench.late?.genes")
    visit.ask("(bench.drag(0.6), bench.release(), bench.held(bench.late), bench.take = bench.held)")
    assert visit.ask("bench.sight.threshold") == 0.6
    visit.until_url("at.includes('threshold=0.6')")
    assert visit.ask("bench.sight.threshold") == 0.6


def test_beside_a_chosen_gene_only_its_own_edges_shine(visit: Visit) -> None:
    visit.network("plain")
    chosen = visit.ask(
        """(() => {
          const { nodes, links } = picture.layout;
          const out = (k) => links.filter((link) => link.a === k);
          const k = nodes.findIndex((node, k) =>
            node.regulator && out(k).some((one) => links.some((l) => l.b === one.b && l.a !== k)));
          bench.gene(nodes[k].gene, true);
          return nodes[k].label;
        })()"""
    )
    visit.settle()
    shining, others = visit.ask(
        """(() => {
          const shining = picture.shining();
          const sources = (links) => [...new Set(links.map((link) => picture.layout.nodes[link.a].label))];
          return [sources([...shining]), picture.layout.links.filter((link) => !shining.has(link)).length];
        })()"""
    )
    assert shining == [chosen]
    assert others > 0


def test_the_list_says_what_it_is_sorted_by_and_sorts_by_the_other(visit: Visit) -> None:
    visit.network("plain")
    listed = visit.page.locator(".explorer .list")
    group = listed.get_by_role("group", name="Sort perturbed genes by")
    changed, targets = (group.get_by_role("button", name=name, exact=True) for name in ("changed", "targets"))
    assert changed.get_attribute("aria-pressed") == "true"
    assert targets.get_attribute("aria-pressed") == "false"
    targets.click()
    assert targets.get_attribute("aria-pressed") == "true"
    shown = [words.split()[0] for words in listed.locator(".gene .number").all_inner_texts()]
    numbers = [int(number) for number in shown]
    assert numbers == sorted(numbers, reverse=True)
    assert max(numbers) > 0
    first = listed.locator(".gene").first
    assert first.locator(".number").inner_text().endswith("targets")
    assert f"{numbers[0]} targets" in first.get_attribute("aria-label")
    first.focus()
    visit.page.keyboard.press("ArrowDown")
    top = listed.locator(".gene .name").first.inner_text()
    assert visit.ask("bench.graph.names[bench.sight.focus]") == top, "keys follow the order on the screen"
    assert listed.locator(".bars").is_hidden(), "without an ensemble there are no bars to explain"


def test_a_group_is_said_by_its_edges(visit: Visit) -> None:
    visit.network("plain")
    genes, who = visit.ask(
        "(() => { const one = bench.folded.bundles.find((b) => b.regulators.length > 1);"
        " bench.bundle(one.key);"
        " return [one.genes.length, one.regulators.map((g) => bench.graph.names[g])]; })()"
    )
    visit.settle()
    shown = visit.card()
    every = f"{', '.join(who[:-1])} and {who[-1]} {'both' if len(who) == 2 else 'all'} have an edge"
    assert f"{genes} gene{'s' * (genes != 1)} to which {every}, and no other gene here." in shown
    assert "Regulated by" not in shown
    assert "together" not in shown


def test_keys_go_through_genes_and_edges(visit: Visit) -> None:
    visit.network("plain")
    visit.page.keyboard.press("/")
    visit.page.keyboard.type("pert0004")
    visit.page.keyboard.press("Enter")
    assert visit.ask("bench.graph.names[bench.sight.focus]") == "PERT0004"
    visit.page.locator(".explorer .canvas").focus()
    visit.page.keyboard.press("ArrowRight")
    visit.page.keyboard.press("ArrowRight")
    said = visit.page.locator(".explorer .live").inner_text()
    assert said.split(",")[0] in visit.ask("bench.graph.names")
    visit.page.keyboard.press("Enter")
    assert visit.ask("bench.graph.names[bench.sight.focus]") == said.split(",")[0]
    visit.page.locator(".explorer .rows .row").first.focus()
    visit.page.keyboard.press("Enter")
    assert visit.ask("bench.sight.edge") is not None
    first = visit.ask("bench.sight.edge")
    if visit.ask("bench.table.edges.length") > 1:
        visit.page.locator(".explorer .rows .row[aria-selected=true]").focus()
        visit.page.keyboard.press("ArrowDown")
        assert visit.ask("bench.sight.edge") != first
    visit.page.keyboard.press("Escape")
    assert visit.ask("bench.sight.edge") is None
    visit.page.locator(".explorer .canvas").focus()
    visit.page.keyboard.press("Escape")
    assert visit.ask("bench.sight.focus") is None


def test_the_address_holds_what_is_looked_at_and_back_goes_back(visit: Visit) -> None:
    visit.network("plain")
    visit.search("PERT0003")
    visit.until_url("at.includes('gene=PERT0003')")
    visit.search("PERT0005")
    visit.until_url("at.includes('gene=PERT0005')")
    visit.page.go_back()
    visit.until("bench.sight.focus !== null && bench.graph.names[bench.sight.focus] === 'PERT0003'")
    visit.settle()
    visit.page.go_back()
    visit.until("bench.sight.focus === null")
    visit.settle()
    visit.page.go_forward()
    visit.until("bench.sight.focus !== null && bench.graph.names[bench.sight.focus] === 'PERT0003'")


def test_undo_and_redo_by_button_and_key(visit: Visit) -> None:
    visit.network("plain")
    visit.search("PERT0003")
    visit.until_url("at.includes('gene=')")
    visit.page.get_by_role("button", name="Undo").click()
    visit.until("bench.sight.focus === null")
    visit.settle()
    visit.page.locator(".explorer .fit").focus()
    visit.page.keyboard.press("Control+y")
    visit.until("bench.sight.focus !== null")
    visit.settle()
    assert visit.url()["gene"] == ["PERT0003"]


def test_an_empty_picture_offers_the_threshold_at_which_edges_appear(visit: Visit) -> None:
    visit.network("plain", "&threshold=1")
    assert visit.edges() == 0
    visit.page.locator(".explorer .empty button").click()
    assert visit.edges() > 0
    visit.until_url("!at.includes('threshold=1&') && !at.endsWith('threshold=1')")


def test_hostile_names_are_text_everywhere(visit: Visit) -> None:
    visit.network("hostile", "&threshold=0.2")
    assert set(HOSTILE) <= set(visit.ask("bench.graph.names"))
    for gene in HOSTILE:
        visit.ask("bench.gene(bench.graph.index.get(given[0]))", gene)
        visit.settle()
        assert gene[:20] in visit.card()
    visit.search("<img")
    visit.ask("bench.choose({ focus: null, edge: null, view: 'whole' })")
    for part in PARTS:
        visit.menu("more", part)
    drawing = ElementTree.fromstring(visit.save("SVG").read_bytes())
    tags = {element.tag.split("}")[1] for element in drawing.iter()}
    assert not tags & {"img", "image", "script", "foreignObject", "a"}
    assert any(
        (element.text or "").startswith("<img src=x")
        for element in drawing.iter()
        if element.tag.endswith("}text")
    )
    visit.ask("bench.gene(bench.graph.index.get(given[0]))", HOSTILE[0])
    visit.settle()
    visit.to("Response")
    visit.page.wait_for_selector(".js-plotly-plot .bars")
    visit.settle()
    assert visit.page.locator("img[src='x'], a[href*='example.org']").count() == 0


def test_run_and_gene_follow_to_the_other_page_and_back(visit: Visit) -> None:
    visit.network("plain")
    visit.search("PERT0004")
    visit.settle()
    visit.page.get_by_role("button", name="Its response").click()
    visit.page.get_by_role("heading", name="PERT0004").wait_for()
    visit.settle()
    assert (visit.url()["run"], visit.url()["gene"]) == (["plain"], ["PERT0004"])
    visit.to("Network")
    visit.ready()
    assert visit.ask("bench.graph.names[bench.sight.focus]") == "PERT0004"


def test_another_run_is_opened_in_the_bar(visit: Visit) -> None:
    visit.network("plain", "&gene=PERT0003")
    visit.page.get_by_label("Run", exact=True).select_option("hostile")
    visit.until("bench.data.open === 'hostile'")
    visit.until_url("at.includes('run=hostile') && !at.includes('gene=')")
    assert visit.ask("bench.graph.facts.run") == "hostile"


def test_the_line_in_the_chart_moves_the_workbench(visit: Visit) -> None:
    visit.network("plain")
    visit.menu("more", "Which threshold?")
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
    visit.until_url("at.includes('threshold=')")
    assert visit.edges() == dragged
    assert visit.url()["part"] == ["Which threshold?"]
    visit.page.get_by_role("button", name="Pin this threshold").click()
    visit.until_url("at.includes('pinned=')")
    visit.page.get_by_text("(pinned)").wait_for()


def test_a_path_is_lit_from_its_table(visit: Visit) -> None:
    visit.network("plain", "&threshold=0.05&from=PERT0001&to=EXT0004&blind=1&part=Paths")
    visit.page.get_by_text("Listed paths together").wait_for()
    lit = visit.ask("bench.scene.lit.map(([a, b]) => [bench.graph.names[a], bench.graph.names[b]])")
    assert lit[0][0] == "PERT0001"
    assert lit[-1][1] == "EXT0004"


def test_influence_self_loops_and_edges_without_evidence_are_in_the_menu(visit: Visit) -> None:
    visit.network("plain", "&threshold=0.2")
    plain = visit.edges()
    visit.page.locator(".view-menu summary").click()
    visit.page.get_by_role("menuitemcheckbox", name="Self-loops").click()
    visit.until_url("at.includes('loops=1')")
    loops = visit.edges()
    assert loops > plain
    visit.page.get_by_role("menuitemcheckbox", name="Edges without evidence").click()
    visit.until_url("at.includes('blind=1')")
    assert visit.edges() > loops
    visit.page.get_by_label("Edges mean").select_option("T")
    visit.until("bench.graph.facts.measure === 'T'")
    visit.settle()
    visit.page.get_by_role("button", name="Reset all").click()
    visit.until_url("!at.includes('measure=')")


@pytest.mark.parametrize("button", ["SVG", "PNG"])
def test_saved_pictures_say_where_they_come_from(visit: Visit, button: str) -> None:
    visit.network("plain", "&gene=PERT0003&view=ego&threshold=0.3")
    saved = visit.save(button)
    if button == "SVG":
        root = ElementTree.fromstring(saved.read_bytes())
        facts = json.loads(
            next(element.text for element in root.iter() if element.tag.endswith("description"))
        )
        paths = [element for element in root.iter() if element.tag.endswith("path")]
        assert len(paths) >= visit.ask("picture.layout.links.length")
        written = " ".join(element.text or "" for element in root.iter() if element.tag.endswith("text"))
        for entry in legend(AROUND):
            assert entry.mark == "way" or entry.words in written
        assert "plain: network with W above 0.3," in written
        assert "around PERT0003" in written
    else:
        facts = json.loads(Image.open(saved).info["Description"])
    assert (facts["run"], facts["focus"], facts["threshold"], facts["view"]) == (
        "plain",
        "PERT0003",
        0.3,
        "ego",
    )
    assert json.loads(facts["settings"])["preset"] == "released"


def test_the_table_is_saved_and_opened_in_cytoscape(visit: Visit) -> None:
    visit.network("plain", "&gene=PERT0003")
    shown = visit.ask("bench.table.given.length")
    table = visit.save("CSV").read_text()
    assert "# run: plain" in table
    assert "# focus: PERT0003" in table
    assert len([line for line in table.splitlines() if not line.startswith("#")]) == shown + 1
    document = json.loads(visit.save("Open in Cytoscape").read_text())
    parts = {name: part for one in document for name, part in one.items()}
    assert len(parts["edges"]) == shown
    styled = parts["visualProperties"][0]
    assert styled["nodeMapping"]
    assert styled["edgeMapping"]
    places = {(node["x"], node["y"]) for node in parts["nodes"]}
    assert len(places) == len(parts["nodes"])


def test_the_wheel_scrolls_the_page_and_zooms_only_where_it_was_asked_to(visit: Visit) -> None:
    visit.network("plain", "&view=whole")
    visit.page.locator(".explorer .search").focus()
    visit.page.mouse.move(*visit.on_canvas(200, 200))
    visit.page.mouse.wheel(0, -300)
    visit.page.wait_for_timeout(200)
    assert visit.ask("picture.zoom.k") == 1
    visit.page.keyboard.down("Control")
    visit.page.mouse.wheel(0, -300)
    visit.page.keyboard.up("Control")
    visit.page.wait_for_timeout(200)
    assert visit.ask("picture.zoom.k") > 1
    visit.page.get_by_role("button", name="Fit", exact=True).click()
    assert visit.ask("picture.zoom.k") == 1


def test_full_screen_and_back(visit: Visit) -> None:
    visit.network("plain")
    small = visit.page.locator(".explorer .canvas").bounding_box()
    visit.page.get_by_role("button", name="Full screen").click()
    visit.page.wait_for_timeout(500)
    assert visit.page.locator(".explorer .canvas").bounding_box()["height"] > small["height"]
    visit.page.keyboard.press("Escape")
    visit.page.wait_for_timeout(500)
    after = visit.page.locator(".explorer .canvas").bounding_box()
    assert after["height"] == pytest.approx(small["height"], abs=2)


def test_coming_back_to_the_page_draws_the_network_again(visit: Visit) -> None:
    visit.network("plain")
    edges = visit.edges()
    visit.to("Runs")
    visit.settle()
    visit.to("Network")
    visit.ready()
    assert visit.edges() == edges
    assert visit.ask("picture.layout.nodes.length") > 0


def test_without_a_run_the_newest_opens(visit: Visit) -> None:
    visit.page.goto(visit.server)
    visit.to("Network")
    visit.ready()
    assert visit.url()["run"][0] in ("plain", "hostile")


CONTRAST = """(root) => {
  const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgb = (color, under) => {
    probe.fillStyle = under;
    probe.fillRect(0, 0, 1, 1);
    probe.fillStyle = color;
    probe.fillRect(0, 0, 1, 1);
    return [...probe.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const light = (color) => {
    const part = color
      .map((v) => v / 255)
      .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * part[0] + 0.7152 * part[1] + 0.0722 * part[2];
  };
  const ground = getComputedStyle(root).backgroundColor;
  const found = [];
  for (const one of root.querySelectorAll("*")) {
    const own = [...one.childNodes].some((node) => node.nodeType === 3 && node.textContent.trim());
    if (!own || !one.offsetParent || one.disabled || one.closest("svg")) continue;
    let opacity = 1, under = ground;
    const line = [];
    for (let up = one; up && up !== root; up = up.parentElement) line.unshift(up);
    for (const up of line) {
      const style = getComputedStyle(up);
      opacity *= Number(style.opacity);
      under = `rgb(${rgb(style.backgroundColor, under).join(",")})`;
    }
    const ink = rgb(getComputedStyle(one).color, under), paper = rgb(under, ground);
    const seen = ink.map((v, k) => v * opacity + paper[k] * (1 - opacity));
    const [a, b] = [light(seen), light(paper)].sort((x, y) => y - x);
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < 4.5) found.push([one.className, one.textContent.slice(0, 30), ratio.toFixed(2)]);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("more", ["", "&gene=PERT0003", "&edge_from=PERT0003&edge_to=EXT0002"])
def test_text_can_be_read_in_either_scheme(browser: Any, server: str, scheme: str, more: str) -> None:
    one = Visit(browser, server, scheme)
    one.network("plain", more)
    assert one.page.locator(".explorer").evaluate(CONTRAST) == []
    assert one.ask("bench.look.dark") == (scheme == "dark")
    one.page.close()
    assert one.complaints == []


def test_a_phone_has_search_card_and_table_and_the_picture_on_demand(browser: Any, server: str) -> None:
    one = Visit(browser, server, size=(390, 844))
    one.page.goto(f"{server}/?run=plain")
    one.page.wait_for_selector('[data-testid="stApp"]')
    one.page.get_by_test_id("stExpandSidebarButton").click()
    one.page.get_by_role("link", name="Network", exact=True).click()
    one.ready()
    if (close := one.page.get_by_test_id("stSidebarCollapseButton")).is_visible():
        close.click()
    tops = [
        one.page.locator(f".explorer {part}").bounding_box()["y"] for part in (".search", ".card", ".drawer")
    ]
    assert tops == sorted(tops)
    ends = {}
    for cell in one.page.locator(".explorer .head .cell").all():
        box = cell.bounding_box()
        ends[cell.inner_text().split(" ↓")[0]] = box["x"] + box["width"]
    first = ["Source", "Target", "Effect (training)", "95 % interval", "p (held out)"]
    assert sorted(ends, key=ends.__getitem__)[:5] == first
    assert ends["p (held out)"] <= 390, "what was measured is in sight without scrolling"
    assert one.page.evaluate("document.documentElement.scrollWidth") <= 390
    assert not one.page.locator(".explorer .canvas").is_visible()
    one.page.get_by_role("button", name="Picture", exact=True).click()
    assert one.page.locator(".explorer .canvas").bounding_box()["height"] > 200
    assert one.ask("picture.layout.nodes.length") > 0
    one.page.close()
    assert one.complaints == []


def test_the_table_keeps_edges_by_what_is_known_of_them(visit: Visit) -> None:
    visit.network("plain")
    choice, title = (visit.page.locator(f".explorer {part}") for part in (".standing", ".drawer .title"))
    assert not choice.is_visible()  # no reference network is there
    visit.ask(
        "(bench.graph.standing = bench.graph.standing.map((_, e) => [0, 1, -1][e % 3]),"
        " bench.graph.known = bench.graph.standing.map((one) => (one ? 'A' : '')), bench.drawTitle(), 1)"
    )
    edges = visit.edges()
    counts = {}
    for kept in ("known", "not", "other"):
        choice.select_option(kept)
        counts[kept] = visit.ask("bench.table.edges.length")
        assert title.inner_text().startswith(f"{counts[kept]} edge")
        assert visit.ask(
            "bench.table.edges.every((e) => {"
            f" const one = bench.graph.standing[e]; return '{kept}' === 'not' ? !one :"
            f" '{kept}' === 'other' ? one < 0 : one; }})"
        )
    assert counts["known"] + counts["not"] == edges
    assert 0 < counts["other"] < counts["known"]
    choice.select_option("")
    assert title.inner_text().startswith(f"{edges} edges above")


def test_of_more_edges_than_are_drawn_every_count_says_so(visit: Visit, runs: Path) -> None:
    make_fake_run(runs / "crowded", n_perturbed=60, n_extended=60, n_measured=130, seed=4, simulated=False)
    try:
        visit.network("crowded", "&threshold=0")
        total = visit.ask("bench.graph.counts[0]")
        assert total > visit.ask("bench.graph.own") == MOST_EDGES
        said = f"he strongest {MOST_EDGES:,} of {total:,} edges"
        for place in (".status", ".drawer .title", ".card p"):
            assert said in visit.page.locator(f".explorer {place}").first.inner_text()
        visit.page.locator(".stop").first.click()
        assert "strongest" not in visit.page.locator(".drawer .title").inner_text()
    finally:
        shutil.rmtree(runs / "crowded")


@pytest.mark.parametrize(("form", "start"), [("PDF", b"%PDF"), ("SVG", b"<?xml"), ("PNG", b"\x89PNG")])
def test_the_picture_becomes_a_figure_of_a_chosen_width(visit: Visit, form: str, start: bytes) -> None:
    visit.network("plain")
    visit.page.locator(".explorer .figure-menu summary").click()
    with visit.page.expect_download(timeout=60_000) as waiting:
        visit.page.get_by_role("button", name=f"Figure of 174 mm as {form}").click()
    made = waiting.value
    assert made.suggested_filename == f"plain_W0.5_174mm.{form.lower()}"
    content = Path(made.path()).read_bytes()
    assert content.startswith(start)
    if form == "SVG":
        assert b'width="493.2' in content  # points
        assert b"edges" in content
        assert min(float(one) for one in re.findall(rb"font-size: ([\d.]+)px", content)) >= 5.99
    assert visit.ask("bench.picture.size.width") > 600, "the picture on the screen is as it was"


def test_a_figure_of_one_column_and_of_the_matrix(visit: Visit) -> None:
    for view in ("whole", "matrix"):
        visit.network("plain", f"&view={view}")
        visit.page.locator(".explorer .figure-menu summary").click()
        with visit.page.expect_download(timeout=60_000) as waiting:
            visit.page.get_by_role("button", name="Figure of 85 mm as SVG").click()
        content = Path(waiting.value.path()).read_bytes()
        ElementTree.fromstring(content)
        assert b'width="240.9' in content


def test_an_open_comparison_is_drawn_on_the_picture(visit: Visit) -> None:
    """Edges of both networks and of one alone are told apart, and can be switched off."""
    visit.network("plain", "&with=hostile&part=Compare+runs&threshold=0.2")
    told = "[...bench.graph.compared.of].map(([e, one]) => [e, one.code])"
    codes = dict(visit.ask(told))
    here, there = ([e for e, code in codes.items() if code == wanted] for wanted in (1, 2))
    assert here
    assert there
    counts = visit.page.locator(".explorer .told b").all_inner_texts()
    words = visit.page.locator(".explorer .told").all_inner_texts()
    assert [word.split(" ")[0] for word in words[:3]] == ["in", "only", "only"]
    assert int(counts[1].replace(",", "")) == len(here)
    assert int(counts[2].replace(",", "")) == len(there)
    assert "No test" in visit.page.locator(".explorer .legend").inner_text()
    shown = set(visit.ask("bench.edges"))
    assert set(there) <= shown
    assert visit.edges() == len(shown) - len(there), "what the other has alone is no edge of this network"
    for e in there[:3]:
        assert visit.ask("bench.graph.signOf(given[0]) === bench.graph.compared.of.get(given[0]).sign", e)
    table = visit.save("CSV").read_text()
    names = visit.ask(
        "given[0].map((e) => [bench.graph.source[e], bench.graph.target[e]]"
        ".map((gene) => bench.graph.names[gene]).join(','))",
        there,
    )
    assert not any(f"\n{pair}," in table for pair in names)
    button = visit.page.locator(".explorer .told").nth(2)
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert not set(there) & set(visit.ask("bench.edges"))
    button.click()
    visit.page.locator(".explorer .head .cell:has-text('Compared')").click()
    visit.page.locator(".explorer .head .cell:has-text('Compared')").click()
    first = visit.page.locator(".explorer .rows .row").first
    assert "in hostile)" in first.locator(".cell").last.inner_text()
    first.click()
    assert "in hostile)" in visit.card()
    visit.settle()
    visit.page.get_by_role("button", name="Close", exact=True).click()
    visit.until("bench.graph.compared === null")
    assert visit.page.locator(".explorer .told").count() == 0
    assert visit.ask("bench.graph.weight.length") == visit.ask("bench.graph.own")
