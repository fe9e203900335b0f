"""The workbench of the network page in a real browser: how fast it answers, and what it asks and says.

    python benchmarks/network_view.py                 # 1,546 genes (622 perturbed), 5,000 edges
    python benchmarks/network_view.py --json          # one object

drag_ms: from a move of the threshold to the frame after picture, card, list and table are repainted,
median over moves with 4,000 to 5,000 edges shown. select_ms: the same from a click on a gene of the list or
an edge of the table, in the browser alone. click_ms: from a mouse click on a gene in the picture until what
Python knows of it (it needs cells or tables) stands in the card; violins_ms: from a click on an edge of the
table until the two distributions are drawn. first_ms: from opening the page Network to
the first picture of a run that the server has opened before; first_cold_ms: that it has not. The run is made
of random numbers; a server of its own is started and stopped.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlparse
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # tests.fake_run makes the run

from tests.fake_run import make_fake_run  # noqa: E402

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
]

MOST_MS = 600_000
"""An answer that takes longer, beside other work on the machine, is none."""

DRAG = """async (root, thresholds) => {
  const bench = root.bench;
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const times = [], drawn = [];
  for (const value of thresholds) {
    await frame();
    await frame();
    const started = performance.now();
    bench.drag(value);
    await frame();                                       // everything is repainted in this frame ...
    await new Promise((resolve) => setTimeout(resolve)); // ... and its work is done when the next task runs
    times.push(performance.now() - started);
    drawn.push(bench.edges.length);
  }
  bench.release();
  return { times, drawn };
}"""

SELECT = """async (root, count) => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const times = [];
  for (let k = 0; k < count; k++) {
    const rows = root.querySelectorAll(k % 2 ? '.rows .row' : '.genes .gene');
    const row = rows[(k * 3) % rows.length];
    await frame();
    await frame();
    const started = performance.now();
    row.click();
    await frame();
    await new Promise((resolve) => setTimeout(resolve));
    times.push(performance.now() - started);
  }
  root.bench.choose({ focus: null, edge: null, open: null, view: null });
  return times;
}"""

VIOLINS = """async (root, [row, most]) => {
  const bench = root.bench;
  root.querySelectorAll('.rows .row')[row].click();
  const started = performance.now();
  const answered = () => bench.evidenceNow();
  while (!answered()) {
    if (performance.now() - started > most) return null;
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
  return root.querySelector('.violins .violin') ? performance.now() - started : null;
}"""

PLACES = """(root) => {
  const { picture, graph } = root.bench;
  const box = root.querySelector('.canvas').getBoundingClientRect();
  return graph.ranked.map((gene) => ({ gene, name: graph.names[gene], at: picture.placeOf(gene) }))
    .filter(({ gene, at }) => at && at.y > 100 && at.y < box.height - 20 && picture.under(at)?.gene === gene)
    .map(({ name, at }) => ({ name, x: box.left + at.x, y: box.top + at.y }));
}"""


class Server:
    """The app over a folder with one run, stopped at the end."""

    def __init__(self, folder: Path) -> None:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        self.address = f"http://localhost:{port}"
        command = [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "app.py",
            "--server.headless=true",
            f"--server.port={port}",
        ]
        environment = {**os.environ, "GPOVAE_RUNS_DIR": str(folder), "GPOVAE_NETWORKS_DIR": str(folder)}
        self.process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def __enter__(self) -> Server:
        for _ in range(720):
            try:
                with urlopen(f"{self.address}/_stcore/health", timeout=1):  # noqa: S310 (own server)
                    return self
            except (URLError, OSError):
                time.sleep(0.25)
        self.process.kill()
        raise SystemExit("the server did not start within three minutes")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()


def opened_ms(page: Any, address: str, threshold: float) -> float:
    """Milliseconds from asking for the page Network to its first picture."""
    page.goto(f"{address}/?run=big&threshold={threshold}")
    rest(page)
    started = time.perf_counter()
    page.get_by_role("link", name="Network", exact=True).click()
    page.wait_for_selector(".explorer[data-ready]")
    taken = 1e3 * (time.perf_counter() - started)
    rest(page)
    return taken


def rest(page: Any) -> None:
    page.wait_for_timeout(500)
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
    page.wait_for_timeout(1000)


def click_ms(page: Any, count: int) -> list[float]:
    """Milliseconds per click; genes spread over the picture."""
    explorer = page.locator(".explorer")
    places = explorer.evaluate(PLACES)
    chosen = places[:: max(1, len(places) // count)][:count]
    known = "([root, name]) => root.bench.evidenceNow()?.of[0] === name"
    times = []
    for gene in chosen:
        page.mouse.move(gene["x"], gene["y"])
        page.wait_for_timeout(300)
        started = time.perf_counter()
        page.mouse.click(gene["x"], gene["y"])
        page.wait_for_function(known, arg=[explorer.element_handle(), gene["name"]])
        times.append(1e3 * (time.perf_counter() - started))
        rest(page)
    return times


def violins_ms(page: Any, count: int) -> list[float]:
    """Milliseconds per edge; other edges each time, so that nothing was kept of them."""
    times = []
    for k in range(count):
        taken = page.locator(".explorer").evaluate(VIOLINS, [k % 5, MOST_MS])
        if taken is None:
            raise SystemExit("an edge came without the distributions of its target")
        times.append(taken)
        rest(page)
        page.locator(".rows").evaluate("(rows) => { rows.scrollTop += 15 * 24; }")
    return times


def measure(perturbed: int, extended: int, cells: int, clicks: int, drags: int) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    hosts: list[str] = []
    errors: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "runs"
        make_fake_run(
            folder / "big",
            perturbed,
            extended,
            perturbed + extended + 50,
            seed=3,
            simulated=False,
            cells_per_perturbation=cells,
            edges_per_gene=12,
        )
        with Server(folder) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport={"width": 1440, "height": 900})
            page.set_default_timeout(MOST_MS)
            own = urlparse(server.address).netloc

            def asked(request: Any) -> None:
                parts = urlparse(request.url)
                if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != own:
                    hosts.append(parts.netloc)

            page.on("request", asked)
            page.on("console", lambda message: message.type == "error" and errors.append(message.text))
            page.on("pageerror", lambda error: errors.append(str(error)))
            first = [opened_ms(page, server.address, 0.3) for _ in range(4)]
            explorer = page.locator(".explorer")
            weight = explorer.evaluate("(root) => [...root.bench.graph.weight].slice(4000)")
            steps = [weight[(k * 97) % len(weight)] for k in range(drags)]
            dragged = explorer.evaluate(DRAG, [*steps, 0.3])
            rest(page)
            selected = explorer.evaluate(SELECT, drags)
            rest(page)
            clicked = click_ms(page, clicks)
            explorer.evaluate("(root) => root.bench.choose({ focus: null, edge: null })")
            rest(page)
            violins = violins_ms(page, clicks)
            browser.close()
    return {
        "drag_ms": round(statistics.median(dragged["times"]), 1),
        "click_ms": round(statistics.median(clicked), 1),
        "select_ms": round(statistics.median(selected), 1),
        "first_ms": round(statistics.median(first[1:]), 1),
        "other_hosts": sorted(set(hosts)),
        "console_errors": errors,
        "genes": perturbed + extended,
        "edges_drawn": max(dragged["drawn"]),
        "first_cold_ms": round(first[0], 1),
        "drag_worst_ms": round(max(dragged["times"]), 1),
        "select_worst_ms": round(max(selected), 1),
        "click_worst_ms": round(max(clicked), 1),
        "violins_ms": round(statistics.median(violins), 1),
        "violins_worst_ms": round(max(violins), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--perturbed", type=int, default=622)
    parser.add_argument("--extended", type=int, default=924)
    parser.add_argument("--cells", type=int, default=20, help="per perturbation")
    parser.add_argument("--clicks", type=int, default=11)
    parser.add_argument("--drags", type=int, default=21)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    result = measure(given.perturbed, given.extended, given.cells, given.clicks, given.drags)
    if given.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:16s} {value}")


if __name__ == "__main__":
    main()
