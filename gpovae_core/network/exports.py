"""The network at a threshold, or the part of it that a picture shows, as a file: CSV, GraphML, GEXF, SIF, CX2
(Cytoscape), web page.

Gene names come from the user's data, so every writer shows them as text: characters that a format forbids, or
that would break its lines or reverse its text, appear as a visible code such as \\u0007. A file holds the
genes that have an edge at the threshold, each with `perturbed` (else extended) and `measured`, and, where the
format has room, the run, the threshold and the settings.

CX2: https://cytoscape.org/cx/cx2/specification/cytoscape-exchange-format-specification-(version-2)/
"""

from __future__ import annotations

import csv
import html
import io
import json
import random
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from gpovae_core import __version__, keys
from gpovae_core.data.atomic import replacing
from gpovae_core.data.write import no_formulas
from gpovae_core.errors import QueryError
from gpovae_core.network.agreement import known_columns
from gpovae_core.network.grn import SIGN_WORDS, GeneNetwork
from gpovae_core.network.references import ReferenceNetwork

if TYPE_CHECKING:
    import networkx as nx

MOST_DRAWN = 5000
"""Edges drawn in the web page, strongest first; it says how many are left out."""

MOST_IN_GRAPH = 200_000
"""Edges in a graph file at most: a quarter of a gigabyte of XML opens nowhere. Tables have no such limit."""

_LINE_AND_DIRECTION = {"\u2028", "\u2029", *map(chr, range(0x202A, 0x202F)), *map(chr, range(0x2066, 0x206A))}
_LONGEST_LABEL = 40

SIGN_COLOURS = {1: "#0072B2", -1: "#D55E00", 0: "#888888"}
"""Okabe and Ito's palette; in the picture repression also ends in a bar and an unknown sign is dashed."""

GENE_COLOURS = {True: "#3F4A5A", False: "#7D8896"}
"""Perturbed and other genes where colours say the sign of edges alone, as in the workbench."""

NODE_COLOURS = {True: "#E69F00", False: "#56B4E9"}
"""Perturbed and extended genes on the web page, which also draws them as dots and diamonds."""


@dataclass(frozen=True)
class Format:
    """How a format is named on a button, in a file name and in a download."""

    label: str
    suffix: str
    mime: str


_EDGE = [keys.SOURCE, keys.TARGET, keys.WEIGHT, keys.SIGN]
_MORE = (
    keys.EFFECT,
    keys.EFFECT_SE,
    keys.P,
    keys.P_ADJUSTED,
    keys.CELLS,
    keys.EFFECT_ACTIVATED,
    keys.EFFECT_ACTIVATED_SE,
    keys.P_KNOCKED_DOWN,
    keys.P_ACTIVATED,
    keys.CELLS_ACTIVATED,
    keys.INFLUENCE,
    keys.STRENGTH,
    keys.STRENGTH_LOW,
    keys.STRENGTH_HIGH,
    keys.OPEN_DETOURS,
    keys.FREQUENCY,
    keys.WEIGHT_MEAN,
    keys.WEIGHT_SD,
    keys.SIGN_AGREEMENT,
)
"""Numbers of an edge that not every network has; left out where they are not known."""
_SAID = (keys.KNOWN_IN, keys.KNOWN_SIGNS, keys.PUBLICATIONS)
"""What tables of known edges say of an edge; left out where none was asked."""

FORMATS = {
    "csv": Format("Table (CSV)", ".csv", "text/csv"),
    "graphml": Format("GraphML (Cytoscape, igraph, networkx)", ".graphml", "application/graphml+xml"),
    "gexf": Format("GEXF (Gephi)", ".gexf", "application/gexf+xml"),
    "sif": Format("SIF (Cytoscape, names only)", ".sif", "text/plain"),
    "cx2": Format("CX2 (Cytoscape, NDEx)", ".cx2", "application/json"),
    "html": Format("Web page (stand-alone)", ".html", "text/html"),
}


@dataclass(frozen=True)
class View:
    """What a picture shows of a network, to go into a file with it.

    edges: as GeneNetwork.edges gives them, those to write (None: all above the threshold, without
    self-loops); positions: (n, 2) places of the genes in pixels, x to the right and y down (None: no places);
    facts: more to say in the file, such as focus and hops.
    """

    edges: pd.DataFrame | None = None
    positions: np.ndarray | None = None
    facts: dict[str, str | float | bool] = field(default_factory=dict)


def export_bytes(
    network: GeneNetwork,
    threshold: float,
    format: str,
    view: View | None = None,
    references: Sequence[ReferenceNetwork] = (),
) -> bytes:
    """The edges strictly above `threshold`, without self-loops, as the content of a file; only what `view`
    shows where it is given. references: tables of known edges, whose word goes with every edge.

    A table of a view starts with lines "# name: value" that hold the facts; the plain table has none, so that
    scripts can rely on its columns. SIF has no room for either. Raises QueryError for an unknown format, or
    more than MOST_IN_GRAPH edges in a graph.
    """
    if format not in _WRITERS:
        raise QueryError(f"Unknown format '{format}': choose one of {', '.join(FORMATS)}.")
    count = (
        len(view.edges)
        if view is not None and view.edges is not None
        else int(network.count_edges([threshold])[0])
    )
    if count > MOST_IN_GRAPH and format not in ("csv", "sif"):
        raise QueryError(
            f"{FORMATS[format].label}: {count:,} edges are too many for this format, at most "
            f"{MOST_IN_GRAPH:,} are written. Raise the threshold, or take the table (CSV), which has no "
            "limit."
        )
    return _WRITERS[format](_content(network, threshold, view, references))


def write_edges(
    network: GeneNetwork,
    threshold: float,
    path: Path,
    format: str | None = None,
    references: Sequence[ReferenceNetwork] = (),
) -> Path:
    """Write export_bytes to `path`, replacing it as a whole; the format follows from the file's ending where
    not given.
    """
    path = Path(path)
    by_suffix = {kind.suffix: name for name, kind in FORMATS.items()}
    format = format or by_suffix.get(path.suffix.lower())
    if format is None:
        raise QueryError(
            f"'{path.name}' does not say which format to write: end the name in one of "
            f"{', '.join(by_suffix)}."
        )
    content = export_bytes(network, threshold, format, references=references)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as aside:
        aside.write_bytes(content)
    return path


def graph_of(
    network: GeneNetwork, threshold: float, references: Sequence[ReferenceNetwork] = ()
) -> nx.DiGraph:
    """The edges strictly above `threshold` as the graph that the graph formats hold: nodes with `perturbed`
    and `measured`, edges with `weight`, `sign` and what else is known of them, the facts about the run in its
    attribute `graph`.
    """
    return _graph(_content(network, threshold, None, references))


def visible(text: str) -> str:
    """`text` with control characters, lone surrogates, line separators and text-direction marks written out
    as \\uXXXX.
    """
    return "".join(f"\\u{ord(c):04x}" if _is_hidden(c) else c for c in text)


def _is_hidden(character: str) -> bool:
    noncharacter = ord(character) & 0xFFFE == 0xFFFE  # U+FFFE, U+FFFF and their like in every plane
    return noncharacter or character in _LINE_AND_DIRECTION or unicodedata.category(character) in ("Cc", "Cs")


@dataclass(frozen=True)
class _Content:
    """What every writer needs: genes with a unique printable name, edges by these names, and the facts about
    the run.
    """

    genes: list[tuple[str, bool, bool]]  # name, perturbed, measured; in panel order, genes with an edge only
    edges: pd.DataFrame  # source, target, weight, sign; by falling weight
    facts: dict[str, str | float | bool]
    measure: str = "W"
    places: dict[str, tuple[float, float]] | None = None  # name -> pixels to the right and down
    of_view: bool = False

    @property
    def title(self) -> str:
        around = f" around {self.facts['focus']}" if self.facts.get("focus") else ""
        return f"{self.facts['run']}{around}: edges with {self.measure} > {self.facts['threshold']:g}"


_MEANING = {
    "W": "weight is the edge probability W",
    "T": "weight is the size of the influence T over up to K hops, however it gets there",
    "E": "weight is the size of the effect that the influence T over up to K hops makes expected",
}


def _content(
    network: GeneNetwork, threshold: float, view: View | None, references: Sequence[ReferenceNetwork]
) -> _Content:
    panel = network.panel
    edges = (network.edges(threshold) if view is None or view.edges is None else view.edges).reset_index(
        drop=True
    )
    if references:
        edges = edges.join(known_columns(edges, references).map(visible))
    connected = {*edges[keys.SOURCE], *edges[keys.TARGET]}
    names = dict(zip(panel.genes, _unique_names(panel.genes), strict=True))
    edges = edges.assign(
        **{
            end: pd.Series([names[gene] for gene in edges[end]], dtype=object)
            for end in (keys.SOURCE, keys.TARGET)
        }
    )
    facts_of_genes = zip(panel.genes, panel.is_perturbed.tolist(), panel.is_measured.tolist(), strict=True)
    genes = [
        (names[gene], perturbed, measured)
        for gene, perturbed, measured in facts_of_genes
        if gene in connected
    ]
    places = None
    if view is not None and view.positions is not None:
        places = {
            names[gene]: (round(float(x), 1), round(float(y), 1))
            for gene, (x, y) in zip(panel.genes, view.positions, strict=True)
        }
    more = (
        {}
        if view is None
        else {name: visible(value) if isinstance(value, str) else value for name, value in view.facts.items()}
    )
    facts = {
        "run": visible(network.name),
        "threshold": float(threshold),
        **more,
        "simulated": bool(network.simulated),
        "settings": visible(network.settings),
        "direction": (
            f"source regulates target; sign 1 activates, -1 represses, 0 unknown; {_MEANING[network.measure]}"
        ),
        "gpovae": __version__,
    }
    return _Content(genes, edges, facts, network.measure, places, of_view=view is not None)


def _unique_names(genes: tuple[str, ...]) -> list[str]:
    """Printable names; where writing out a hidden character makes two genes look the same, the later one gets
    a number.
    """
    taken: set[str] = set()
    names = []
    for gene in genes:
        name, copy = visible(gene), 1
        while name in taken:
            copy += 1
            name = f"{visible(gene)} ({copy})"
        taken.add(name)
        names.append(name)
    return names


# Tables -----------------------------------------------------------------------------------------------------


def _csv(content: _Content) -> bytes:
    """source,target,weight,sign,effect,effect_se,p,p_adjusted,cells, strengths and frequencies where the run
    has them, what tables of known edges say where they were asked, and of a view the places.

    A name that a spreadsheet would run as a formula gets an apostrophe in front.
    """
    table = content.edges.copy()
    if content.places is not None:
        for end in (keys.SOURCE, keys.TARGET):
            table[f"{end}_x"], table[f"{end}_y"] = (
                np.array([content.places[gene] for gene in table[end]]).reshape(-1, 2).T
            )
    for column in (keys.SOURCE, keys.TARGET, *(name for name in (keys.KNOWN_IN,) if name in table)):
        table[column] = no_formulas(table[column])
    head = "".join(f"# {name}: {value}\n" for name, value in content.facts.items()) if content.of_view else ""
    return (head + table.to_csv(index=False, lineterminator="\n", quoting=_quoting(content))).encode()


def _quoting(content: _Content) -> int:
    """Below lines of facts every text is quoted, or readers that skip what follows a # would cut a name that
    holds one.
    """
    return csv.QUOTE_NONNUMERIC if content.of_view else csv.QUOTE_MINIMAL


def _sif(content: _Content) -> bytes:
    """source <tab> activates|represses|regulates <tab> target."""
    rows = zip(content.edges[keys.SOURCE], content.edges[keys.SIGN], content.edges[keys.TARGET], strict=True)
    return "".join(f"{source}\t{SIGN_WORDS[sign]}\t{target}\n" for source, sign, target in rows).encode()


# Graph formats ----------------------------------------------------------------------------------------------


def _graph(content: _Content) -> nx.DiGraph:
    import networkx as nx

    graph = nx.DiGraph()
    graph.graph.update(content.facts)
    for name, perturbed, measured in content.genes:
        x, y = content.places[name] if content.places else (None, None)
        graph.add_node(
            name, perturbed=perturbed, measured=measured, **({} if x is None else {"x": x, "y": y})
        )
    for source, target, numbers in _edges(content):
        graph.add_edge(source, target, **numbers)
    return graph


def _edges(content: _Content) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Source, target and what is known of every edge by name."""
    columns = [column for column in _MORE if column in content.edges]
    texts = [column for column in _SAID if column in content.edges]
    numbers = content.edges[[*_EDGE, *columns, *texts]].astype(dict.fromkeys(columns, float))
    for source, target, weight, sign, *more in numbers.itertuples(index=False, name=None):
        of_columns, of_texts = more[: len(columns)], more[len(columns) :]
        known = {
            name: float(value) for name, value in zip(columns, of_columns, strict=True) if isfinite(value)
        }
        said = {name: value for name, value in zip(texts, of_texts, strict=True) if value}
        yield (
            source,
            target,
            {"weight": float(weight), "sign": int(sign), "interaction": SIGN_WORDS[sign], **known, **said},
        )


def _graphml(content: _Content) -> bytes:
    import networkx as nx

    buffer = io.BytesIO()
    nx.write_graphml_xml(_graph(content), buffer)
    return buffer.getvalue()


def _gexf(content: _Content) -> bytes:
    """networkx writes no graph attributes into GEXF, so the facts go into its description."""
    import networkx as nx

    graph = _graph(content)
    for _, node in graph.nodes(data=True):
        if "x" in node:  # up is positive there
            node["viz"] = {"position": {"x": node.pop("x"), "y": -node.pop("y"), "z": 0.0}}
    buffer = io.BytesIO()
    nx.write_gexf(graph, buffer)
    facts = html.escape(json.dumps(content.facts, ensure_ascii=False), quote=False)
    return buffer.getvalue().replace(
        b"</meta>", f"  <description>{facts}</description>\n    </meta>".encode(), 1
    )


def _cx2(content: _Content) -> bytes:
    place = {name: i for i, (name, _, _) in enumerate(content.genes)}
    targets = Counter(content.edges[keys.SOURCE])
    nodes = [
        {
            "id": place[name],
            **_cx2_place(content, name),
            "v": {
                "name": name,
                "perturbed": perturbed,
                "measured": measured,
                "targets": targets[name],
            },
        }
        for name, perturbed, measured in content.genes
    ]
    edges = [
        {"id": i, "s": place[s], "t": place[t], "v": numbers}
        for i, (s, t, numbers) in enumerate(_edges(content))
    ]
    more = {column: {"d": "double"} for column in _MORE if column in content.edges}
    more |= {column: {"d": "string"} for column in _SAID if column in content.edges}
    attributes = {"name": content.title, **content.facts}
    declarations = {
        "networkAttributes": {name: {"d": _cx2_type(value)} for name, value in attributes.items()},
        "nodes": {
            "name": {"d": "string"},
            "perturbed": {"d": "boolean"},
            "measured": {"d": "boolean"},
            "targets": {"d": "integer"},
        },
        "edges": {
            "weight": {"d": "double"},
            "sign": {"d": "integer"},
            "interaction": {"d": "string"},
            **more,
        },
    }
    aspects: dict[str, list[Any]] = {
        "attributeDeclarations": [declarations],
        "networkAttributes": [attributes],
        "nodes": nodes,
        "edges": edges,
        "visualProperties": [_cx2_style(content, max(targets.values(), default=1))],
    }
    document = [
        {"CXVersion": "2.0", "hasFragments": False},
        {"metaData": [{"name": name, "elementCount": len(elements)} for name, elements in aspects.items()]},
        *({name: elements} for name, elements in aspects.items()),
        {"status": [{"success": True, "error": ""}]},
    ]
    return json.dumps(document, allow_nan=False).encode()


def _cx2_style(content: _Content, most: int) -> dict[str, Any]:
    """A visual style like the picture: neutral genes, regulators as large as they have targets, colour and
    arrow by sign, faint where an edge rarely comes back (else where its weight is low). most: targets of the
    largest.
    """

    def by_value(attribute: str, kind: str, values: dict[Any, Any]) -> dict[str, Any]:
        pairs = [{"v": value, "vp": shown} for value, shown in values.items()]
        return {"type": "DISCRETE", "definition": {"attribute": attribute, "type": kind, "map": pairs}}

    def by_size(attribute: str, kind: str, top: float, low: float, high: float) -> dict[str, Any]:
        span = {"min": 0, "max": top, "minVPValue": low, "maxVPValue": high}
        whole = span | {"includeMin": True, "includeMax": True}
        return {"type": "CONTINUOUS", "definition": {"attribute": attribute, "type": kind, "map": [whole]}}

    sure = keys.FREQUENCY if keys.FREQUENCY in content.edges else keys.WEIGHT
    largest = float(content.edges[sure].max()) if len(content.edges) else 0.0
    top = 1.0 if sure == keys.FREQUENCY or content.measure == "W" or largest <= 0.0 else largest
    size = by_size("targets", "integer", max(1, most), 16, 70)
    return {
        "default": {
            "network": {"NETWORK_BACKGROUND_COLOR": "#FFFFFF"},
            "node": {
                "NODE_SHAPE": "ellipse",
                "NODE_BACKGROUND_COLOR": GENE_COLOURS[False],
                "NODE_BORDER_WIDTH": 0,
                "NODE_LABEL_FONT_SIZE": 12,
                "NODE_LABEL_COLOR": "#1B1B1B",
            },
            "edge": {
                "EDGE_LINE_COLOR": SIGN_COLOURS[0],
                "EDGE_WIDTH": 2,
                "EDGE_TARGET_ARROW_SHAPE": "none",
                "EDGE_TARGET_ARROW_COLOR": SIGN_COLOURS[0],
            },
        },
        "nodeMapping": {
            "NODE_LABEL": {"type": "PASSTHROUGH", "definition": {"attribute": "name", "type": "string"}},
            "NODE_BACKGROUND_COLOR": by_value("perturbed", "boolean", GENE_COLOURS),
            "NODE_WIDTH": size,
            "NODE_HEIGHT": size,
        },
        "edgeMapping": {
            "EDGE_LINE_COLOR": by_value("sign", "integer", SIGN_COLOURS),
            "EDGE_TARGET_ARROW_COLOR": by_value("sign", "integer", SIGN_COLOURS),
            "EDGE_TARGET_ARROW_SHAPE": by_value("sign", "integer", {1: "triangle", -1: "tee", 0: "none"}),
            "EDGE_OPACITY": by_size(sure, "double", top, 0.25, 1.0),
        },
    }


def _cx2_place(content: _Content, name: str) -> dict[str, float]:
    return dict(zip("xy", content.places[name], strict=True)) if content.places else {}


def _cx2_type(value: str | float | bool) -> str:
    return "boolean" if isinstance(value, bool) else "double" if isinstance(value, float) else "string"


# The web page -----------------------------------------------------------------------------------------------

_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; margin: 1rem 1.5rem; color: #1b1b1b; background: #fff; }
h1 { font-size: 1.25rem; margin: 0 0 .25rem; } p { margin: .25rem 0; } details { margin: .5rem 0; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; }
td, th { text-align: left; padding: .1rem .8rem .1rem 0; overflow-wrap: anywhere; }
#mynetwork { float: none !important; clear: both; } center:empty, center > h1:empty { display: none; }
"""


def _html(content: _Content) -> bytes:
    """A page around pyvis' picture with everything inside it; a content security policy keeps it from asking
    any host for anything.
    """
    shown = content.edges.head(MOST_DRAWN)
    page = _without_requests(_picture(content, shown))
    head = (
        f'<head>\n<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f"<title>{html.escape(content.title)}</title>\n<style>{_STYLE}</style>"
    )
    before, _, after = page.rpartition("<body>")
    page = "<!doctype html>\n" + before.replace("<html>", '<html lang="en">', 1).replace("<head>", head, 1)
    return (
        page
        + "<body>\n"
        + _caption(content, shown)
        + after.replace("</body>", _appendix(content, shown) + "</body>")
    ).encode()


def _picture(content: _Content, edges: pd.DataFrame) -> str:
    """pyvis' page. Names go in as labels only: pyvis treats hover texts of nodes as markup once one of them
    has a link.
    """
    from pyvis.network import Network

    drawn = {*edges[keys.SOURCE], *edges[keys.TARGET]}
    genes = [gene for gene in content.genes if gene[0] in drawn]
    place = {name: i for i, (name, _, _) in enumerate(genes)}
    ends = np.array(
        [[place[s], place[t]] for s, t in zip(edges[keys.SOURCE], edges[keys.TARGET], strict=True)]
    ).reshape(-1, 2)
    where = [content.places[name] for name, _, _ in genes] if content.places else _layout(len(genes), ends)
    net = Network(height="75vh", width="100%", directed=True, cdn_resources="in_line")
    for i, ((name, perturbed, measured), (x, y)) in enumerate(zip(genes, where, strict=True)):
        words = f"{'perturbed' if perturbed else 'extended'}, {'measured' if measured else 'not measured'}"
        label, shape, colour = _shortened(name), "dot" if perturbed else "diamond", NODE_COLOURS[perturbed]
        net.add_node(
            i,
            label=label,
            title=words,
            x=x,
            y=y,
            shape=shape,
            color=colour,
            size=10,
            borderWidth=2 if measured else 0,
        )
    for (source, target), weight, sign in zip(
        ends.tolist(), edges[keys.WEIGHT], edges[keys.SIGN], strict=True
    ):
        arrow = {"to": {"enabled": True, "type": "bar" if sign < 0 else "arrow", "scaleFactor": 0.6}}
        words = f"{content.measure} = {weight:.3g}, {SIGN_WORDS[sign] if sign else 'sign unknown'}"
        width, colour = 0.5 + 2.5 * float(weight), SIGN_COLOURS[sign]
        net.add_edge(
            source, target, title=words, width=width, color=colour, dashes=bool(sign == 0), arrows=arrow
        )
    net.set_options(
        json.dumps(
            {"physics": {"enabled": False}, "edges": {"smooth": False}, "interaction": {"hover": True}}
        )
    )
    return net.generate_html()


def _shortened(name: str) -> str:
    """Never empty, or pyvis would show the number of the node instead."""
    return (name if len(name) <= _LONGEST_LABEL else name[: _LONGEST_LABEL - 1] + "…") or " "


def _layout(n: int, ends: np.ndarray) -> list[tuple[float, float]]:
    """Force-directed positions in pixels; the same graph always gets the same. Far-off pieces are pulled
    in.
    """
    import igraph

    if n == 0:
        return []
    # igraph draws from Python's own generator: lend it a seeded one, then give the common one back.
    igraph.set_random_number_generator(random.Random(0))  # noqa: S311
    try:
        found = np.array(igraph.Graph(n=n, edges=ends.tolist()).layout_fruchterman_reingold().coords)
    finally:
        igraph.set_random_number_generator(random)
    found -= np.median(found, axis=0)
    radius = np.maximum(np.linalg.norm(found, axis=1), 1e-9)
    usual = max(float(np.quantile(radius, 0.8)), 1e-9)
    pulled = np.where(radius > usual, usual * (1 + np.log(radius / usual)), radius)
    scale = 45.0 * np.sqrt(n) / usual
    return [(round(x, 1), round(y, 1)) for x, y in (found * (scale * pulled / radius)[:, None]).tolist()]


def _without_requests(page: str) -> str:
    """pyvis' page without the tags that load bootstrap from a host, the comment with such tags and the hint
    at a source map.
    """
    page = re.sub(r"<!--\s*<link.*?-->", "", page, flags=re.DOTALL)
    page = re.sub(r"<link\b[^>]*>", "", page)
    page = re.sub(r"<script\b[^>]*\bsrc=[^>]*>\s*</script>", "", page)
    return re.sub(r"//# sourceMappingURL=[^\s<]+", "", page)


def _caption(content: _Content, shown: pd.DataFrame) -> str:
    hidden = len(content.edges) - len(shown)
    drawn = f"{len(shown):,} edges between {len(content.genes):,} genes" + (
        f"; {hidden:,} weaker edges are not drawn" if hidden else ""
    )
    simulated = "<p><strong>Simulated data.</strong></p>" if content.facts["simulated"] else ""
    legend = " · ".join(
        f'<span style="color:{SIGN_COLOURS[sign]}">{SIGN_WORDS[sign]}</span>' for sign in (1, -1)
    ) + (
        " (ends in a bar) · sign unknown (dashed) · dot: perturbed gene, diamond: extended gene, outlined: "
        "measured"
    )
    return f"<h1>{html.escape(content.title)}</h1>{simulated}<p>{drawn}.</p><p>{legend}</p>\n"


def _appendix(content: _Content, shown: pd.DataFrame) -> str:
    """The drawn edges as a table, with full names, and where they come from."""
    said = [column for column in (keys.KNOWN_IN, keys.PUBLICATIONS) if column in shown]
    rows = "\n".join(
        f"<tr><td>{html.escape(s)}</td><td>{html.escape(t)}</td><td>{w:.4g}</td><td>{SIGN_WORDS[sign]}</td>"
        + "".join(f"<td>{html.escape(words)}</td>" for words in more)
        + "</tr>"
        for s, t, w, sign, *more in shown[[*_EDGE, *said]].itertuples(index=False, name=None)
    )
    facts = html.escape(
        json.dumps(
            {**content.facts, "settings": _parsed(content.facts["settings"])}, indent=2, ensure_ascii=False
        )
    )
    more = "".join(f"<th>{name.replace('_', ' ')}</th>" for name in said)
    head = f"<tr><th>source</th><th>target</th><th>{content.measure}</th><th>effect</th>{more}</tr>"
    return (
        "<details><summary>Edges as a "
        f"table</summary><table><thead>{head}</thead><tbody>{rows}</tbody></table></details>\n"
        f"<details><summary>Run and settings</summary><pre>{facts}</pre></details>\n"
    )


def _parsed(settings: Any) -> Any:
    try:
        return json.loads(settings)
    except json.JSONDecodeError:
        return settings


_WRITERS: dict[str, Callable[[_Content], bytes]] = {
    "csv": _csv,
    "graphml": _graphml,
    "gexf": _gexf,
    "sif": _sif,
    "cx2": _cx2,
    "html": _html,
}
