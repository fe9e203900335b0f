"""A person with a file and no terminal: upload, train, go away, come back, stop, resume, finish, open the
network.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest

from gpovae_core.runs import processes
from gpovae_core.runs.folder import RunFolder, find_runs
from tests.conftest import PROJECT
from tests.e2e.conftest import _wait_for, free_port
from tests.toy import write_toy

pytestmark = [pytest.mark.e2e, pytest.mark.slow]
WAIT = 180_000


class Place:
    """A server with empty folders of its own, which can be killed and started again."""

    def __init__(self, root: Path) -> None:
        self.root, self.port = root, free_port()
        self.runs, self.data = root / "runs", root / "data"
        self.data.mkdir()
        self.start()

    def start(self) -> None:
        log = (self.root / "streamlit.txt").open("a")
        command = [
            sys.executable,
            "-m",
            "streamlit",
            "run",
            "app.py",
            "--server.headless=true",
            f"--server.port={self.port}",
        ]
        environment = {**os.environ, "GPOVAE_RUNS_DIR": str(self.runs), "GPOVAE_DATA_DIR": str(self.data)}
        self.process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdout=log, stderr=log)
        _wait_for(f"{self.address}/_stcore/health", self.process, self.root / "streamlit.txt")

    @property
    def address(self) -> str:
        return f"http://localhost:{self.port}"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.kill()
    for run in find_runs(made.runs):
        status = run.status()
        if status.busy and status.pid and processes.is_running(status.pid, status.process, status.machine):
            os.kill(status.pid, signal.SIGKILL)


def settle(page: Any) -> None:
    page.wait_for_timeout(300)
    page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')


def streamlit_looks(message: Any) -> bool:
    """A page reloaded at its own address makes Streamlit look for its health page below that address first,
    and log its absence.
    """
    return "404" in message.text and "/train/_stcore/" in message.location.get("url", "")


def is_elsewhere(url: str, port: int) -> bool:
    return urlparse(url).scheme in ("http", "https", "ws", "wss") and urlparse(url).port != port


def visit(browser: Any, place: Place, address: str = "/") -> tuple[Any, list[str]]:
    """A tab of its own, with what it complained about."""
    page = browser.new_page(viewport={"width": 1440, "height": 1400})
    page.set_default_timeout(WAIT)
    complaints: list[str] = []
    page.on(
        "console",
        lambda m: m.type == "error" and not streamlit_looks(m) and complaints.append(f"console: {m.text}"),
    )
    page.on("pageerror", lambda error: complaints.append(f"page error: {error}"))
    page.on(
        "request", lambda r: is_elsewhere(r.url, place.port) and complaints.append(f"other host: {r.url}")
    )
    page.goto(place.address + address)
    settle(page)
    return page, complaints


def go(page: Any, name: str) -> None:
    page.get_by_role("link", name=name, exact=True).first.click()
    page.get_by_role("heading", name=name, exact=True, level=1).wait_for()
    settle(page)


def until(condition: Any, seconds: float = 90.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.2)


def test_from_a_file_to_a_network_without_a_terminal(browser: Any, place: Place, tmp_path: Path) -> None:
    page, complaints = visit(browser, place)
    page.get_by_role("button", name="Use my data").click()
    page.get_by_role("tab", name="Upload").click()
    # Training must outlast the stops and the kill below: fewer cells, or the default, are learned earlier.
    page.locator('input[type="file"]').set_input_files(write_toy(tmp_path, cells=2_800))
    page.get_by_text("This file can be used").wait_for()
    page.get_by_role("button", name="Train on these cells").click()
    page.get_by_role("heading", name="A new run").wait_for()
    page.get_by_role("combobox", name="Preset", exact=True).click()
    page.get_by_role("option").filter(has_text="released").first.click()
    settle(page)
    page.get_by_text("s per epoch").first.wait_for()  # measured here, before anything starts
    page.get_by_role("button", name="Start training").click()
    page.get_by_text(re.compile(r"epoch [1-9]\d* of at most")).first.wait_for()
    run = RunFolder(place.runs / "toy")
    first_process = run.status().pid

    page.reload()
    settle(page)
    page.get_by_text("of at most", exact=False).first.wait_for()
    address = page.url.removeprefix(place.address)
    page.close()
    place.kill()  # the server too
    epoch = run.status().epoch
    until(lambda: run.status().epoch > epoch)
    assert run.status().pid == first_process
    place.start()

    page, more = visit(browser, place, "/" + address[address.index("?") :])
    go(page, "Train")
    page.get_by_role("button", name="Stop training", exact=True).click()
    page.get_by_role("button", name="Resume", exact=True).wait_for()
    assert run.status().state == "stopped"
    kept = run.status().epoch
    page.get_by_role("button", name="Resume", exact=True).click()
    page.get_by_role("button", name="Stop training", exact=True).wait_for()
    until(lambda: run.status().epoch > kept)

    os.kill(run.status().pid or 0, signal.SIGKILL)
    killed = time.monotonic()
    page.get_by_text("This run is dead").first.wait_for()
    assert time.monotonic() - killed < 15
    page.get_by_role("button", name="Resume", exact=True).click()
    page.get_by_role("button", name="Stop training", exact=True).wait_for()
    until(lambda: run.status().state == "training" and run.status().pid is not None)
    page.get_by_role("button", name="Stop training", exact=True).click()
    page.get_by_role("button", name="Resume", exact=True).wait_for()

    # Finished in a terminal: the same run.
    done = [sys.executable, "-m", "gpovae_core.cli", "train", "x", "--run", str(run.path), "--resume"]
    subprocess.run(
        [*done, "--epochs", str(run.status().epoch + 1)], cwd=PROJECT, check=True, capture_output=True
    )
    assert run.status().state == "done"
    go(page, "Runs")
    page.get_by_role("button", name="Open its network").first.click()
    page.wait_for_selector(".explorer[data-ready]")
    assert complaints + more == []


def test_two_people_do_not_see_each_others_choice(browser: Any, server: str) -> None:
    contexts = [browser.new_context() for _ in range(2)]
    pages = [context.new_page() for context in contexts]
    for page, run in zip(pages, ("plain", "hostile"), strict=True):
        page.set_default_timeout(WAIT)
        page.goto(f"{server}/?run={run}")
        settle(page)
    for page, run in zip(pages, ("plain", "hostile"), strict=True):
        go(page, "Network")
        assert f"run={run}" in page.url
        go(page, "Response")
        assert page.get_by_role("combobox", name="Open run", exact=True).input_value().startswith(run)
    for context in contexts:
        context.close()
