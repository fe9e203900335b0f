"""The app on a real server, and a real browser in front of it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

from tests.conftest import PROJECT
from tests.fake_run import HOSTILE, make_fake_run


class App:
    """The app on a port of its own, over a folder of runs; it can be killed and started again."""

    def __init__(self, runs: Path, log: Path) -> None:
        self.runs, self.log, self.port = runs, log, free_port()
        self.start()

    @property
    def address(self) -> str:
        return f"http://localhost:{self.port}"

    def start(self) -> None:
        command = [sys.executable, "-m", "gpovae_core.cli", "app", "--port", str(self.port)]
        command += ["--runs", str(self.runs)]
        environment = {**os.environ, "PYTHONPATH": str(PROJECT), "STREAMLIT_SERVER_HEADLESS": "true"}
        elsewhere = self.log.parent  # as a user who has no checkout
        with self.log.open("a") as log:
            self.process = subprocess.Popen(command, cwd=elsewhere, env=environment, stdout=log, stderr=log)
        _wait_for(f"{self.address}/_stcore/health", self.process, self.log)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture(scope="session")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two made-up runs: `plain` and `hostile`."""
    folder = tmp_path_factory.mktemp("runs")
    make_fake_run(folder / "plain", n_perturbed=15, n_extended=40, n_measured=70, seed=1, simulated=False)
    make_fake_run(folder / "hostile", names=HOSTILE, n_perturbed=8, n_extended=6, seed=2)
    return folder


@pytest.fixture(scope="session")
def server(runs: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the app, served from the folder `runs`."""
    app = App(runs, tmp_path_factory.mktemp("log") / "streamlit.txt")
    yield app.address
    app.stop()


@pytest.fixture(scope="session")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the app without any run of one's own."""
    app = App(tmp_path_factory.mktemp("none"), tmp_path_factory.mktemp("log") / "streamlit.txt")
    yield app.address
    app.stop()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return free.getsockname()[1]


def _wait_for(address: str, process: subprocess.Popen, log: Path) -> None:
    for _ in range(240):
        if process.poll() is not None:
            pytest.fail(f"the server stopped: {log.read_text()}")
        try:
            with urlopen(address, timeout=1):
                return
        except (URLError, OSError):
            time.sleep(0.25)
    pytest.fail("the server did not start within a minute")
