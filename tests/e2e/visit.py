"""One page of the browser with the workbench on it, and everything that it complained about."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlparse

WAIT = 60_000  # milliseconds; a busy machine is slow to start, not wrong


class Visit:
    """A person at the workbench."""

    def __init__(
        self, browser: Any, server: str, scheme: str = "light", size: tuple[int, int] = (1440, 900)
    ) -> None:
        self.server, self.complaints = server, []
        viewport = {"width": size[0], "height": size[1]}
        self.page = browser.new_page(viewport=viewport, color_scheme=scheme)
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
        page there first, which the browser calls an error.
        """
        self.page.goto(f"{self.server}/?run={run}{more}")
        self.to("Network")
        self.ready()

    def to(self, page: str) -> None:
        self.page.get_by_role("link", name=page, exact=True).click()

    def ready(self) -> None:
        self.page.wait_for_selector(".explorer[data-ready]")
        self.settle()

    def settle(self) -> None:
        self.page.wait_for_timeout(400)
        self.page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
        self.page.wait_for_timeout(300)

    def until(self, expression: str, *given: Any) -> None:
        """Wait until a JavaScript expression over `bench` (the component's own object) is true."""
        for _ in range(WAIT // 100):
            if self.ask(expression, *given):
                return
            self.page.wait_for_timeout(100)
        raise AssertionError(f"never: {expression}")

    def until_url(self, expression: str) -> None:
        self.page.wait_for_function(f"(() => {{ const at = location.search; return {expression}; }})()")
        self.settle()

    def ask(self, expression: str, *given: Any) -> Any:
        """The value of a JavaScript expression over `bench`, its `picture`, and `given`."""
        body = f"const bench = root.bench, picture = bench.picture; return {expression};"
        return self.page.locator(".explorer").evaluate(f"(root, given) => {{ {body} }}", list(given))

    def edges(self) -> int:
        return int(self.page.locator(".explorer .now").get_attribute("data-count"))

    def url(self) -> dict[str, list[str]]:
        return parse_qs(urlparse(self.page.url).query)

    def card(self) -> str:
        return self.page.locator(".explorer .card").inner_text()

    def search(self, words: str) -> None:
        box = self.page.get_by_role("combobox", name="Search", exact=True)
        box.fill(words)
        box.press("Enter")

    def on_canvas(self, x: float, y: float) -> tuple[float, float]:
        box = self.page.locator(".explorer .canvas").bounding_box()
        return box["x"] + x, box["y"] + y

    def place(self, gene: str) -> tuple[float, float]:
        """Where a gene is drawn on the page."""
        at = self.ask("picture.placeOf(bench.graph.index.get(given[0]))", gene)
        return self.on_canvas(at["x"], at["y"])

    def a_single_edge(self) -> tuple[str, str, float, float]:
        """Source and target of an edge with a line of its own, and a point on it apart from all genes."""
        source, target, x, y = self.ask(
            """(() => {
              const g = bench.graph;
              for (const link of picture.layout.links) {
                if (link.edges.length > 1) continue;
                for (const part of [0.5, 0.4, 0.6, 0.3, 0.7]) {
                  const at = picture.onLink(link, part);
                  const found = picture.under(at), e = link.edges[0];
                  if (found && found.edge === e && found.gene === undefined)
                    return [g.names[g.source[e]], g.names[g.target[e]], at.x, at.y];
                }
              }
            })()"""
        )
        return source, target, *self.on_canvas(x, y)

    def overlaps(self) -> list[list[str]]:
        """Pairs of labels in the picture that cover one another."""
        return self.ask(
            """(() => {
              const boxes = picture.layout.nodes.map((node) => [node.label, picture.labelBox(node)]);
              const found = [];
              boxes.forEach(([a, p], k) => boxes.slice(k + 1).forEach(([b, q]) => {
                if (p[0] < q[2] - 1 && q[0] < p[2] - 1 && p[1] < q[3] - 1 && q[1] < p[3] - 1)
                  found.push([a, b]);
              }));
              return found;
            })()"""
        )

    def save(self, button: str) -> Path:
        """The file that a button saves."""
        with self.page.expect_download() as waiting:
            self.page.get_by_role("button", name=button, exact=True).click()
        return Path(waiting.value.path())

    def menu(self, menu: str, name: str) -> None:
        self.page.locator(f".{menu}-menu summary").click()
        self.page.locator(f".{menu}-menu").get_by_text(name, exact=True).click()
        self.settle()
