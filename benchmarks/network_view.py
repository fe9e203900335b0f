"""The network page in a real browser: how long a drag of the threshold and a click on a gene take, and what
it asks and says.

    python benchmarks/network_view.py                 # 1,546 genes (622 perturbed), 5,000 edges drawn python
    benchmarks/network_view.py --json          # one object: drag_ms, click_ms, other_hosts, console_errors

drag_ms: from the slider's input event to the frame after the repainted picture, median over steps between 0
and the top of the scale with 5,000 edges drawn on the lower part. click_ms: from the mouse click on a gene in
the picture to Python's answer on the screen (the picture has taken it, and the gene's card stands beside it),
median over genes, each clicked for the first time. The run is made of random numbers; a server of its own is
started and stopped.
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

DRAG = """async (steps) => {
  const inside = (e) => e.shadowRoot?.querySelector('.explorer');
  const root = document.querySelector('.explorer')
    || [...document.querySelectorAll('*')].map(inside).find(Boolean);
  const picture = root.picture, slider = root.querySelector('.slider');
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const times = [], drawn = [];
  for (const step of steps) {
    await frame();
    await frame();
    const started = performance.now();
    slider.value = step;
    slider.dispatchEvent(new Event('input', { bubbles: true }));
    await frame();                                       // the picture is repainted in this frame ...
    await new Promise((resolve) => setTimeout(resolve)); // ... and its work is done when the next task runs
    times.push(performance.now() - started);
    drawn.push(picture.shownCount);
  }
  return { times, drawn };
}"""

PLACES = """() => {
  const inside = (e) => e.shadowRoot?.querySelector('.explorer');
  const root = document.querySelector('.explorer')
    || [...document.querySelectorAll('*')].map(inside).find(Boolean);
  const picture = root.picture, box = root.querySelector('.canvas').getBoundingClientRect();
  return picture.names.map((name, i) => ({ name, shown: picture.shownNode[i], at: picture.placeOf(i) }))
    .filter((gene) => gene.shown && gene.at.x > 30 && gene.at.x < box.width - 30)
    .filter((gene) => gene.at.y > 30 && gene.at.y < box.height - 30)
    .filter((gene) => picture.names[picture.nearest(gene.at)] === gene.name)
    .map((gene) => ({ name: gene.name, x: box.left + gene.at.x, y: box.top + gene.at.y }));
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
        for _ in range(240):
            try:
                with urlopen(f"{self.address}/_stcore/health", timeout=1):  # noqa: S310 (own server)
                    return self
            except (URLError, OSError):
                time.sleep(0.25)
        raise SystemExit("the server did not start within a minute")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)


def visit(page: Any, address: str, threshold: float) -> None:
    page.goto(f"{address}/?run=big&threshold={threshold}")
    page.get_by_role("link", name="Network", exact=True).click()
    page.wait_for_selector(".explorer[data-ready]", timeout=180_000)
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]', timeout=180_000)
    page.wait_for_timeout(1500)


def click_ms(page: Any, count: int) -> list[float]:
    """Milliseconds per click; genes spread over the picture."""
    places = page.evaluate(PLACES)
    chosen = places[:: max(1, len(places) // count)][:count]
    times = []
    for gene in chosen:
        page.mouse.move(gene["x"], gene["y"])
        page.wait_for_timeout(300)
        before = page.locator(".explorer").get_attribute("data-ready")
        started = time.perf_counter()
        page.mouse.click(gene["x"], gene["y"])
        page.locator(f".explorer:not([data-ready='{before}'])").wait_for(timeout=30_000)
        page.get_by_role("heading", name=gene["name"], exact=True).wait_for(timeout=30_000)
        times.append(1e3 * (time.perf_counter() - started))
        page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
        page.wait_for_timeout(300)
    return times


def measure(perturbed: int, extended: int, clicks: int, drags: int) -> dict[str, Any]:
    from playwright.sync_api import sync_playwright

    hosts: list[str] = []
    errors: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "runs"
        genes = perturbed + extended
        make_fake_run(
            folder / "big",
            perturbed,
            extended,
            genes + 50,
            seed=3,
            simulated=False,
            cells_per_perturbation=3,
            edges_per_gene=5,
        )
        with Server(folder) as server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = browser.new_page(viewport={"width": 1440, "height": 1200})
            own = urlparse(server.address).netloc

            def asked(request: Any) -> None:
                parts = urlparse(request.url)
                if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != own:
                    hosts.append(parts.netloc)

            page.on("request", asked)
            page.on("console", lambda message: message.type == "error" and errors.append(message.text))
            page.on("pageerror", lambda error: errors.append(str(error)))
            visit(page, server.address, 0.3)
            steps = [
                60 if k % 2 else 50 for k in range(drags)
            ]  # both with every edge drawn that is ever drawn
            dragged = page.evaluate(DRAG, steps)
            clicked = click_ms(page, clicks)
            browser.close()
    return {
        "drag_ms": round(statistics.median(dragged["times"]), 1),
        "click_ms": round(statistics.median(clicked), 1),
        "other_hosts": sorted(set(hosts)),
        "console_errors": errors,
        "genes": perturbed + extended,
        "edges_drawn": max(dragged["drawn"]),
        "drag_worst_ms": round(max(dragged["times"]), 1),
        "click_worst_ms": round(max(clicked), 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--perturbed", type=int, default=622)
    parser.add_argument("--extended", type=int, default=924)
    parser.add_argument("--clicks", type=int, default=11)
    parser.add_argument("--drags", type=int, default=21)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    result = measure(given.perturbed, given.extended, given.clicks, given.drags)
    if given.json:
        print(json.dumps(result))
        return
    for name, value in result.items():
        print(f"{name:16s} {value}")


if __name__ == "__main__":
    main()
