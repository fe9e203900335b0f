"""How long the command line and the dashboard take until they show something.

    python benchmarks/startup.py
    python benchmarks/startup.py --json --repeats 5

help_s: `gpovae --help`, start to end, and python_s: an interpreter that does nothing, in turns. server_s:
`streamlit run` until it answers. first_paint_s: a browser opens the address of a server that nobody has asked
before, until the title of the first page and its table or notice stand; again_s: the same for the next
session on that server. ..._cpu_s: processor time, which other programs at work change little; where a page is
painted, of the server alone. Medians; a fresh server for each repeat.
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
from urllib.request import urlopen

import psutil

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
]


def run_seconds(command: list[str]) -> tuple[float, float]:
    """By the clock, and of processor time."""
    began, used = time.perf_counter(), os.times()
    subprocess.run(
        command, check=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.DEVNULL
    )
    now = os.times()
    cpu = now.children_user + now.children_system - used.children_user - used.children_system
    return time.perf_counter() - began, cpu


def command_line(repeats: int) -> dict[str, float]:
    gpovae = "from gpovae_core.cli import main; main()"
    times = [
        (*run_seconds([sys.executable, "-c", gpovae, "--help"]), *run_seconds([sys.executable, "-c", ""]))
        for _ in range(repeats)
    ]
    names = ("help_s", "help_cpu_s", "python_s", "python_cpu_s")
    return {
        name: statistics.median(values) for name, values in zip(names, zip(*times, strict=True), strict=True)
    }


def dashboard(repeats: int) -> dict[str, float]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        browser.new_page().goto("about:blank")  # the browser's own start is not ours
        rows = [_server_and_paint(browser) for _ in range(repeats)]
        browser.close()
    return {name: statistics.median(row[name] for row in rows) for name in rows[0]}


def _server_and_paint(browser: Any) -> dict[str, float]:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as runs:
        environment = {**os.environ, "GPOVAE_RUNS_DIR": runs, "PYTHONPATH": str(ROOT)}
        command = [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "app.py",
            "--server.headless=true",
            f"--server.port={port}",
        ]
        began = time.perf_counter()
        server = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for(f"http://localhost:{port}/_stcore/health")
            up, process = time.perf_counter() - began, psutil.Process(server.pid)
            rows = []
            for _ in range(2):
                before = process.cpu_times()
                clock = _paint_seconds(browser, f"http://localhost:{port}/")
                after = process.cpu_times()
                rows.append((clock, after.user + after.system - before.user - before.system))
        finally:
            server.terminate()
            server.wait()
    (first, first_cpu), (again, again_cpu) = rows
    return {
        "server_s": up,
        "first_paint_s": first,
        "first_paint_cpu_s": first_cpu,
        "again_s": again,
        "again_cpu_s": again_cpu,
    }


def _wait_for(address: str) -> None:
    for _ in range(1200):
        try:
            with urlopen(address, timeout=1):  # noqa: S310
                return
        except (URLError, OSError):
            time.sleep(0.05)
    raise TimeoutError(f"no answer from {address}")


def _paint_seconds(browser: Any, address: str) -> float:
    context = browser.new_context()  # nothing cached
    page = context.new_page()
    began = time.perf_counter()
    page.goto(address, wait_until="commit")
    page.get_by_role("heading", name="Runs").wait_for()
    page.locator("[data-testid=stDataFrame], [data-testid=stAlert]").first.wait_for()
    seconds = time.perf_counter() - began
    context.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    result = {
        name: round(value, 3)
        for name, value in {**command_line(given.repeats), **dashboard(given.repeats)}.items()
    }
    print(
        json.dumps(result)
        if given.json
        else "\n".join(f"{name:>14}  {value:.2f}" for name, value in result.items())
    )


if __name__ == "__main__":
    main()
