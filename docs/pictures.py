"""Take the pictures of these pages, light and dark, of the demo run in a headless Chromium.

    python docs/pictures.py                       # all of them
    python docs/pictures.py explorer-edge         # some, by name

Says what the pages asked of other hosts and what they logged; exit code 1 if there was any. The cells of the
Data page are simulated on the way.
"""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode, urlparse
from urllib.request import urlopen

PROJECT = Path(__file__).resolve().parents[1]
IMAGES = PROJECT / "docs" / "images"
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
]
WAIT = 60_000  # milliseconds


@dataclass(frozen=True)
class Shot:
    """page: its name in the navigation; at: parameters of the address; clicks: selectors; height: of the
    window, in pixels.
    """

    page: str
    at: dict[str, str | tuple[str, ...]]
    clicks: tuple[str, ...] = ()
    height: int = 1150


DEMO: dict[str, str | tuple[str, ...]] = {"run": "demo"}
REAL: dict[str, str | tuple[str, ...]] = {"run": "papalexi2021-demo"}
SHOTS = {
    "home": Shot("Home", REAL, height=900),
    "explorer-whole": Shot("Network", DEMO, height=900),
    "explorer-matrix": Shot("Network", DEMO | {"view": "matrix"}, height=900),
    "explorer-around": Shot("Network", DEMO | {"gene": "SIM012"}, height=900),
    "explorer-edge": Shot(
        "Network", DEMO | {"gene": "SIM012", "edge_from": "SIM012", "edge_to": "SIM017"}, height=900
    ),
    "explorer-real": Shot(
        "Network", REAL | {"gene": "JAK2", "edge_from": "JAK2", "edge_to": "UBE2L6"}, height=900
    ),
    "explorer-influence": Shot("Network", DEMO | {"measure": "T"}, height=900),
    "explorer-thresholds": Shot("Network", DEMO | {"pinned": "0.9", "part": "Which threshold?"}, height=2300),
    "response-predicted": Shot("Response", DEMO | {"gene": "SIM006"}, height=1000),
    "response-changed": Shot(
        "Response", DEMO | {"gene": "SIM006"}, ("role=tab[name='Which genes changed']",), height=1000
    ),
    "response-gene": Shot("Response", DEMO | {"gene": "SIM006"}, ("role=tab[name='One gene']",), height=900),
    "response-path": Shot(
        "Response",
        DEMO | {"path": ("SIM012", "SIM005", "SIM008", "SIM017")},
        ("role=tab[name='Along a path']",),
    ),
    "whatif": Shot("What if", DEMO, ("button:has-text('Try SIM')",), height=1000),
    "response-all": Shot("Response", DEMO, ("role=tab[name='All perturbations']",), height=1400),
    "benchmark": Shot("Benchmark", DEMO, height=900),
    "explorer-sure": Shot("Network", DEMO | {"part": "How sure?"}, height=1500),
    "data": Shot("Data", {"data": "screen.h5ad"}, height=1200),
    "train": Shot("Train", {"data": "screen.h5ad"}, height=1300),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SHOTS)}")
    parser.add_argument("--folder", type=Path, default=IMAGES)
    options = parser.parse_args()
    unknown = set(options.names) - set(SHOTS)
    if unknown:
        parser.error(f"there is no picture {', '.join(sorted(unknown))}; there are {', '.join(SHOTS)}")
    complaints = take({name: SHOTS[name] for name in options.names or SHOTS}, options.folder)
    print(*complaints, sep="\n")
    sys.exit(bool(complaints))


def take(shots: dict[str, Shot], folder: Path) -> list[str]:
    from playwright.sync_api import sync_playwright

    complaints: list[str] = []
    folder.mkdir(parents=True, exist_ok=True)
    with cells_folder() as cells, served(cells) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        for name, shot in shots.items():
            for scheme in ("light", "dark"):
                page = browser.new_page(viewport={"width": 1440, "height": shot.height}, color_scheme=scheme)
                page.set_default_timeout(WAIT)
                listen(page, address, f"{name}-{scheme}", complaints)
                page.goto(f"{address}/?{urlencode(shot.at, doseq=True)}")
                settle(page)  # a page that is left before it has been drawn forgets its address
                for selector in (f"role=link[name='{shot.page}']", *shot.clicks):
                    page.locator(selector).first.click()
                    settle(page)
                if page.locator('[data-testid="stException"]').count():
                    complaints.append(f"{name}-{scheme}: the page shows an error")
                page.screenshot(path=folder / f"{name}-{scheme}.png")
                page.close()
        browser.close()
    return complaints


def listen(page: Any, address: str, name: str, complaints: list[str]) -> None:
    host = urlparse(address).netloc

    def asked(request: Any) -> None:
        parts = urlparse(request.url)
        if parts.scheme in ("http", "https", "ws", "wss") and parts.netloc != host:
            complaints.append(f"{name}: other host: {request.url}")

    page.on("request", asked)
    page.on("console", lambda m: m.type == "error" and complaints.append(f"{name}: console: {m.text}"))
    page.on("pageerror", lambda error: complaints.append(f"{name}: page error: {error}"))


def settle(page: Any) -> None:
    """Wait until the script of the page has been at rest for two looks, and what the browser draws has been
    drawn.
    """
    page.wait_for_selector('[data-testid="stTopNavLink"]')
    for _ in range(2):
        page.wait_for_timeout(1500)
        page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')
        page.wait_for_selector('[data-testid="stSpinner"]', state="detached")
    if page.locator(".explorer").count():
        page.wait_for_selector(".explorer[data-ready]")
    page.wait_for_timeout(2000)


@contextmanager
def cells_folder() -> Iterator[Path]:
    """A folder whose name may be seen in a picture."""
    folder = Path(tempfile.gettempdir()) / "screens"
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def served(cells: Path) -> Iterator[str]:
    """Address of the dashboard with its demo run, and a simulated screen in its data folder."""
    simulate = [
        sys.executable,
        "-m",
        "gpovae_core.cli",
        "simulate",
        str(cells / "screen.h5ad"),
        "--genes",
        "60",
        "--seed",
        "7",
    ]
    subprocess.run(simulate, check=True, cwd=PROJECT, stdout=subprocess.DEVNULL)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [
        sys.executable,
        "-m",
        "streamlit",
        "run",
        "app.py",
        "--server.headless=true",
        f"--server.port={port}",
    ]
    environment = os.environ | {"GPOVAE_RUNS_DIR": str(cells / "runs"), "GPOVAE_DATA_DIR": str(cells)}
    shutil.copytree(PROJECT / "assets" / "demo" / "run", cells / "runs" / "demo")
    process = subprocess.Popen(
        command, cwd=PROJECT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(240):
            try:
                urlopen(f"http://localhost:{port}/_stcore/health", timeout=1).close()
                break
            except (URLError, OSError):
                time.sleep(0.5)
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.wait(timeout=20)


if __name__ == "__main__":
    main()
