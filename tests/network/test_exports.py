"""Every export read back: the same edges, the same weights, hostile names as text, and no request to any
host.
"""

from __future__ import annotations

import io
import itertools
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import networkx as nx
import numpy as np
import pandas as pd
import pytest

from gpovae_core import keys
from gpovae_core.config import make_settings
from gpovae_core.data.schema import Panel, PanelData
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.edges import read_edge_table
from gpovae_core.network import exports
from gpovae_core.network.exports import FORMATS, SIGN_COLOURS, View, export_bytes, visible, write_edges
from gpovae_core.network.grn import SIGN_WORDS, GeneNetwork
from gpovae_core.network.references import read_reference

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    'a"b',
    "GENE&1",
    "=cmd()|' /C calc'!A0",
    "@SUM(1)",
    "</script><script>alert(2)</script>",
    '<a href="javascript:alert(3)">link</a>',
    "bell\x07null\x00tab\tline\nend",
    "half\ud800pair\ufffe",
    "turn\u202eround",
    "comma,semi;colon",
    "基因-长" + "长" * 300,
    "{{7*7}}",
    "..",
)
NAMES = tuple(sorted(HOSTILE))
RUN = '<b>run</b> "7" & co\x01'


@pytest.fixture(scope="module")
def network() -> GeneNetwork:
    n = len(NAMES)
    rng = np.random.default_rng(0)
    weights = np.round(rng.random((n, n)), 3)
    np.fill_diagonal(weights, 0.99)  # self-loops, which no export has
    panel = Panel(PanelData(perturbed=NAMES[:9], extended=NAMES[9:], measured=NAMES[2:]))
    settings = make_settings().model_dump_json()
    return GeneNetwork(
        panel,
        weights,
        rng.integers(-1, 2, (n, n)),
        np.full((n, n), np.nan),
        RUN,
        simulated=True,
        settings=settings,
    )


def plain(network: GeneNetwork, threshold: float) -> dict[tuple[str, str], tuple[float, int]]:
    """Edges as exports must show them: (visible source, visible target) -> (weight, sign)."""
    table = network.edges(threshold)
    return {
        (visible(s), visible(t)): (w, sign)
        for s, t, w, sign in table.iloc[:, :4].itertuples(index=False, name=None)
    }


def cx2_graph(content: bytes) -> nx.DiGraph:
    """Reads CX2 strictly: order of the blocks, counts, and only attributes that are declared, with their
    declared types.
    """
    document = json.loads(content)
    assert document[0] == {"CXVersion": "2.0", "hasFragments": False}
    assert list(document[1]) == ["metaData"]
    assert document[-1] == {"status": [{"success": True, "error": ""}]}
    assert all(len(block) == 1 for block in document[1:])
    aspects = {name: elements for block in document[2:-1] for name, elements in block.items()}
    assert {entry["name"]: entry["elementCount"] for entry in document[1]["metaData"]} == {
        k: len(v) for k, v in aspects.items()
    }
    declared = aspects["attributeDeclarations"][0]
    types = {"string": str, "double": float, "integer": int, "boolean": bool}

    def check(values: dict[str, Any], aspect: str) -> dict[str, Any]:
        assert all(type(value) is types[declared[aspect][name]["d"]] for name, value in values.items())
        return values

    graph = nx.DiGraph(**check(aspects["networkAttributes"][0], "networkAttributes"))
    names = {node["id"]: check(node["v"], "nodes")["name"] for node in aspects["nodes"]}
    assert all(set(node) <= {"id", "x", "y", "z", "v"} for node in aspects["nodes"])
    assert all(
        type(node[axis]) is float for node in aspects["nodes"] for axis in ("x", "y", "z") if axis in node
    )
    assert len(names) == len(aspects["nodes"])
    for node in aspects["nodes"]:
        graph.add_node(node["v"]["name"], **{key: value for key, value in node["v"].items() if key != "name"})
    assert len({edge["id"] for edge in aspects["edges"]}) == len(aspects["edges"])
    for edge in aspects["edges"]:
        graph.add_edge(names[edge["s"]], names[edge["t"]], **check(edge["v"], "edges"))
    return graph


READERS = {
    "graphml": lambda content: nx.read_graphml(io.BytesIO(content)),
    "gexf": lambda content: nx.read_gexf(io.BytesIO(content)),
    "cx2": cx2_graph,
}


@pytest.mark.parametrize("format", list(READERS))
@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.95, 1.0])
def test_graph_formats_read_back(network: GeneNetwork, format: str, threshold: float) -> None:
    graph = READERS[format](export_bytes(network, threshold, format))
    expected = plain(network, threshold)
    assert {(s, t): (data["weight"], data["sign"]) for s, t, data in graph.edges(data=True)} == expected
    assert all(data["interaction"] == SIGN_WORDS[data["sign"]] for _, _, data in graph.edges(data=True))
    assert set(graph) == {name for edge in expected for name in edge}
    for gene, perturbed, measured in zip(
        network.panel.genes, network.panel.is_perturbed, network.panel.is_measured, strict=True
    ):
        if visible(gene) in graph:
            node = graph.nodes[visible(gene)]
            assert (node["perturbed"], node["measured"]) == (perturbed, measured)


@pytest.mark.parametrize("format", ["graphml", "cx2"])
def test_graph_attributes_say_where_it_comes_from(network: GeneNetwork, format: str) -> None:
    facts = READERS[format](export_bytes(network, 0.5, format)).graph
    assert (facts["run"], facts["threshold"], facts["simulated"]) == (visible(RUN), 0.5, True)
    assert json.loads(facts["settings"])["preset"] == "evidence"
    assert "source regulates target" in facts["direction"]


def test_gexf_says_where_it_comes_from(network: GeneNetwork) -> None:
    tree = ElementTree.fromstring(export_bytes(network, 0.5, "gexf"))
    text = next(element.text for element in tree.iter() if element.tag.endswith("}description"))
    facts = json.loads(text or "")
    assert (facts["run"], facts["threshold"]) == (visible(RUN), 0.5)
    assert json.loads(facts["settings"])["preset"] == "evidence"


def test_csv_reads_back_and_runs_no_formula(network: GeneNetwork) -> None:
    content = export_bytes(network, 0.3, "csv")
    assert content.startswith(b"source,target,weight,sign,effect,effect_se,p,p_adjusted,cells\n")
    table = pd.read_csv(io.BytesIO(content), keep_default_na=False)
    cells = pd.concat([table[keys.SOURCE], table[keys.TARGET]])
    assert not cells.str.match(r"[=+\-@\t\r]").any()
    assert cells.str.startswith("'=cmd()").any()

    def bare(name: str) -> str:
        return name[1:] if name.startswith("'") else name

    found = {
        (bare(s), bare(t)): (w, sign)
        for s, t, w, sign in table.iloc[:, :4].itertuples(index=False, name=None)
    }
    assert found == plain(network, 0.3)
    assert len(content.decode().splitlines()) == len(table) + 1


def test_sif_has_three_columns_whatever_the_names(network: GeneNetwork) -> None:
    lines = export_bytes(network, 0.3, "sif").decode().split("\n")
    assert lines.pop() == ""
    rows = [line.split("\t") for line in lines]
    assert {len(row) for row in rows} == {3}
    words = {value: key for key, value in SIGN_WORDS.items()}
    assert {(s, t): words[word] for s, word, t in rows} == {
        pair: sign for pair, (_, sign) in plain(network, 0.3).items()
    }


@pytest.fixture(scope="module")
def view(network: GeneNetwork) -> View:
    positions = np.random.default_rng(1).normal(0, 500, (len(NAMES), 2))
    edges = network.edges(0.5, self_loops=True).head(30)
    return View(edges, positions, {"view": "around a gene", "focus": NAMES[3], "hops": 2.0})


@pytest.mark.parametrize("format", list(READERS))
def test_a_view_is_written_with_places_and_facts(network: GeneNetwork, view: View, format: str) -> None:
    content = export_bytes(network, 0.5, format, view)
    graph = READERS[format](content)
    assert view.edges is not None
    assert view.positions is not None
    four = view.edges.iloc[:, :4]
    expected = {(visible(s), visible(t)): w for s, t, w, _ in four.itertuples(index=False, name=None)}
    assert {(s, t): data["weight"] for s, t, data in graph.edges(data=True)} == expected
    for name, data in graph.nodes(data=True):
        x, y = view.positions[[visible(gene) for gene in NAMES].index(name)]
        if format == "graphml":
            assert (data["x"], data["y"]) == pytest.approx((x, y), abs=0.06)
        if format == "gexf":
            assert (data["viz"]["position"]["x"], data["viz"]["position"]["y"]) == pytest.approx(
                (x, -y), abs=0.06
            )
    if format == "cx2":
        nodes = next(block["nodes"] for block in json.loads(content) if "nodes" in block)
        for node in nodes:
            x, y = view.positions[[visible(gene) for gene in NAMES].index(node["v"]["name"])]
            assert (node["x"], node["y"]) == pytest.approx((x, y), abs=0.06)
    if format != "gexf":
        assert (graph.graph["focus"], graph.graph["view"]) == (visible(NAMES[3]), "around a gene")


def test_the_table_of_a_view_reads_back(network: GeneNetwork, view: View, tmp_path: Path) -> None:
    path = tmp_path / "view.csv"
    path.write_bytes(export_bytes(network, 0.5, "csv", view))
    table = pd.read_csv(path, comment="#", keep_default_na=False)
    assert view.edges is not None
    assert len(table) == len(view.edges)
    assert {"source_x", "target_y"} < set(table)
    head = [line for line in path.read_text().splitlines() if line.startswith("# ")]
    assert "# threshold: 0.5" in head
    assert any(line.startswith("# settings: {") for line in head)
    edges = read_edge_table(path)
    assert len(edges) == len(view.edges)
    assert read_reference(path.read_bytes(), path.name).directed


def test_names_with_a_hash_survive_readers_that_skip_comments() -> None:
    names = ("A#1", "B")
    net = GeneNetwork.from_weights(
        Panel(PanelData(perturbed=names, extended=(), measured=names)), np.full((2, 2), 0.9)
    )
    table = pd.read_csv(io.BytesIO(export_bytes(net, 0.5, "csv", View())), comment="#")
    assert set(table["source"]) == {"A#1", "B"}


def test_the_page_of_a_view_keeps_its_places(network: GeneNetwork, view: View) -> None:
    page = Page(export_bytes(network, 0.5, "html", view))
    nodes = next(script for script in page.scripts if "nodes = new vis.DataSet" in script)
    drawn = json.loads(re.search(r"nodes = new vis\.DataSet\((.*?)\);\n", nodes)[1])  # type: ignore[index]
    assert view.positions is not None
    places = {(round(float(x), 1), round(float(y), 1)) for x, y in view.positions}
    assert {(node["x"], node["y"]) for node in drawn} <= places
    assert page.addresses == []


def test_too_many_edges_for_a_graph_are_refused_in_words(
    network: GeneNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "MOST_IN_GRAPH", 10)
    with pytest.raises(QueryError, match="too many for this format"):
        export_bytes(network, 0.5, "graphml")
    assert export_bytes(network, 0.5, "csv")


def test_influences_are_named_as_such(network: GeneNetwork) -> None:
    graph = READERS["graphml"](export_bytes(network.influence_network(3), 0.2, "graphml"))
    assert "influence T" in graph.graph["direction"]


class Page(HTMLParser):
    """Tags, addresses and text of a page as a browser would take them."""

    def __init__(self, content: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.scripts: list[str] = []
        self.text: list[str] = []
        self.feed(content.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [
            value or "" for name, value in attrs if name in ("src", "href", "action", "data", "srcset")
        ]
        self.handlers += [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        (
            self.scripts
            if self.tags and self.tags[-1] == "script" and self.cdata_elem == "script"
            else self.text
        ).append(data)


def test_the_page_holds_everything_and_names_are_text(network: GeneNetwork) -> None:
    content = export_bytes(network, 0.5, "html")
    page = Page(content)
    assert page.addresses == []
    assert page.handlers == []
    assert not {"img", "a", "iframe", "b", "link"} & set(page.tags)
    text = "".join(page.text)
    for gene in {name for edge in plain(network, 0.5) for name in edge}:
        assert gene in text
    assert f"{visible(RUN)}: edges with W > 0.5" in text
    assert "Simulated data." in text
    assert '"preset": "evidence"' in text
    assert "Content-Security-Policy" in content.decode()
    assert "default-src 'none'" in content.decode()
    nodes = next(script for script in page.scripts if "nodes = new vis.DataSet" in script)
    labels = [
        node["label"] for node in json.loads(re.search(r"nodes = new vis\.DataSet\((.*?)\);\n", nodes)[1])
    ]  # type: ignore[index]
    assert "</script><script>alert(2)</script>" in labels
    assert max(map(len, labels)) <= 40


def test_the_page_draws_the_strongest_edges_only(
    network: GeneNetwork, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exports, "MOST_DRAWN", 7)
    text = "".join(Page(export_bytes(network, 0.5, "html")).text)
    hidden = len(network.edges(0.5)) - 7
    assert f"{hidden:,} weaker edges are not drawn" in text
    assert text.count("activates") + text.count("represses") + text.count("regulates") >= 7


@pytest.mark.parametrize("format", list(FORMATS))
def test_no_edges_is_a_valid_file_too(network: GeneNetwork, format: str) -> None:
    content = export_bytes(network, 1.0, format)
    if format in READERS:
        assert READERS[format](content).number_of_edges() == 0
    elif format == "csv":
        assert content == b"source,target,weight,sign,effect,effect_se,p,p_adjusted,cells\n"
    elif format == "html":
        assert "0 edges between 0 genes" in "".join(Page(content).text)
    else:
        assert content == b""


@pytest.mark.parametrize("format", list(FORMATS))
def test_the_file_is_the_bytes(network: GeneNetwork, format: str, tmp_path: Path) -> None:
    path = write_edges(network, 0.6, tmp_path / "new" / f"toy{FORMATS[format].suffix}")
    assert path.read_bytes() == export_bytes(network, 0.6, format)
    assert [child.name for child in path.parent.iterdir()] == [path.name]
    named = write_edges(network, 0.6, tmp_path / "toy.txt", format)
    assert named.read_bytes() == path.read_bytes()


def test_unknown_formats_and_endings(network: GeneNetwork, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="choose one of csv"):
        export_bytes(network, 0.5, "xlsx")
    with pytest.raises(QueryError, match=r"end the name in one of \.csv"):
        write_edges(network, 0.5, tmp_path / "toy.xlsx")
    with pytest.raises(QueryError, match="between 0 and 1"):
        export_bytes(network, 3.0, "csv")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("STAT1", "STAT1"),
        ("a\x00b", "a\\u0000b"),
        ("x\ud800", "x\\ud800"),
        ("长é", "长é"),
        ("a\nb\tc", "a\\u000ab\\u0009c"),
        ("\ufffe", "\\ufffe"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


def test_names_that_look_the_same_stay_apart() -> None:
    names = tuple(sorted(("a\x07", "a\\u0007", "b")))
    panel = Panel(PanelData(perturbed=names, extended=(), measured=names))
    weights = np.full((3, 3), 0.9)
    for format, read in READERS.items():
        graph = read(export_bytes(GeneNetwork.from_weights(panel, weights), 0.5, format))
        assert graph.number_of_nodes() == 3, format
        assert graph.number_of_edges() == 6, format


def test_layout_is_repeatable_and_compact() -> None:
    ends = np.array([(0, i) for i in range(1, 40)] + [(41, 42), (43, 44)])
    first, again = exports._layout(45, ends), exports._layout(45, ends)
    assert first == again
    radius = np.linalg.norm(np.array(first), axis=1)
    assert radius.max() < 4 * np.quantile(radius, 0.8)
    assert len(set(first)) == 45


@pytest.mark.e2e
def test_the_page_in_a_browser(network: GeneNetwork, tmp_path: Path, browser) -> None:
    path = write_edges(network, 0.5, tmp_path / "toy.html")
    asked, said, dialogs = [], [], []
    page = browser.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(path.as_uri())
    page.wait_for_selector("#mynetwork canvas")
    counts = page.evaluate("[nodes.length, edges.length]")
    # The hover text of every edge, shown by the picture's own popup.
    for place in itertools.product(range(100, 900, 80), range(200, 600, 60)):
        page.mouse.move(*place)
    page.click("text=Edges as a table")
    cells = page.locator("td").all_inner_texts()
    page.close()
    edges = network.edges(0.5)
    assert counts == [len(set(edges[keys.SOURCE]) | set(edges[keys.TARGET])), len(edges)]
    assert asked == [path.as_uri()]
    assert said == []
    assert dialogs == []
    assert "<img src=x onerror=alert(1)>" in cells


def test_cx2_comes_with_a_style_whose_attributes_are_there(network: GeneNetwork) -> None:
    for threshold in (0.5, 1.0):
        document = json.loads(export_bytes(network, threshold, "cx2"))
        parts = {name: part for block in document for name, part in block.items()}
        declared = parts["attributeDeclarations"][0]
        style = parts["visualProperties"][0]
        for kind, aspect in (("nodeMapping", "nodes"), ("edgeMapping", "edges")):
            for name, mapping in style[kind].items():
                told = mapping["definition"]
                assert declared[aspect][told["attribute"]]["d"] == told["type"], name
        colours = style["edgeMapping"]["EDGE_LINE_COLOR"]["definition"]["map"]
        assert {entry["v"]: entry["vp"] for entry in colours} == SIGN_COLOURS
        degrees = network.degrees(threshold).set_index("gene")["targets"]
        for node in parts["nodes"]:
            if node["v"]["name"] in degrees.index:
                assert node["v"]["targets"] == degrees[node["v"]["name"]]


SAID = (keys.KNOWN_IN, keys.KNOWN_SIGNS, keys.PUBLICATIONS)


@pytest.mark.parametrize("format", ["csv", "graphml", "gexf", "cx2", "html"])
def test_what_tables_know_goes_with_every_edge(format: str) -> None:
    panel = Panel(PanelData(perturbed=("A", "B"), extended=("C",), measured=("A", "B", "C")))
    weights = np.array([[0, 0.9, 0.8], [0.7, 0, 0], [0, 0, 0]])
    net = GeneNetwork.from_weights(panel, weights)
    tables = [
        read_reference(b"source\ttarget\tsign\tpubmed\nA\tB\tActivation\t12;34\n", "trrust.tsv"),
        read_reference(b"tf,target,mor\na,b,-1\nA,C,1\n", "=1+1.csv"),
    ]
    content = export_bytes(net, 0.5, format, references=tables)
    expected = {
        ("A", "B"): ("TRRUST; =1+1", "+1; -1", "PMID 12; PMID 34"),
        ("A", "C"): ("=1+1", "+1", ""),
        ("B", "A"): ("", "", ""),
    }
    if format == "csv":
        table = pd.read_csv(io.BytesIO(content), keep_default_na=False, dtype=dict.fromkeys(SAID, str))
        assert table[keys.KNOWN_IN].tolist() == ["TRRUST; =1+1", "'=1+1", ""]  # no formula
        table[keys.KNOWN_IN] = [name for name, _, _ in expected.values()]
        rows = table.to_dict("records")
        found = {(row["source"], row["target"]): tuple(row[name] for name in SAID) for row in rows}
    elif format == "html":
        cells = b"<td>B</td><td>0.9</td><td>regulates</td><td>TRRUST; =1+1</td><td>PMID 12; PMID 34</td>"
        assert cells in content
        return
    else:
        read = {"graphml": nx.read_graphml, "gexf": nx.read_gexf}
        graph = cx2_graph(content) if format == "cx2" else read[format](io.BytesIO(content))
        found = {(s, t): tuple(own.get(name, "") for name in SAID) for s, t, own in graph.edges(data=True)}
    assert found == expected
    assert b"known_in" not in export_bytes(net, 0.5, format)
