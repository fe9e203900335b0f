"""Hours of everything at once: trainings, ensembles, stops and resumes, and two sessions that look on.

    python benchmarks/soak.py --hours 4 --json
    python benchmarks/soak.py --hours 0.25 --folder /tmp/soak       # keeps what it made there

Small simulated cells, so that much happens. Every turn the two sessions (headless Chromium, pages of one
browser) open another page of the dashboard and press something there, and jobs are started, stopped, resumed
and thrown away. What is watched, once a turn: memory and open files of the server, memory of every job. At
the end all jobs are stopped; then

- server_mb, server_files: medians of the second and of the last quarter; grew says by how much a quarter
- job_mb: largest memory of a job in the first and the last half
- left_behind: processes that still belong to the folder; lost: what a run no longer holds (epochs in its
  status that its metrics lack, members of an ensemble, unreadable files), and runs that are neither in the
  folder nor in its trash; parts: files that were being made and nobody removed
- complaints: errors that a page showed, or logged
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
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import psutil  # noqa: E402

from gpovae_core.errors import GpoVaeError  # noqa: E402
from gpovae_core.runs import archive, jobs  # noqa: E402
from gpovae_core.runs.ensemble import EnsembleJob, EnsemblePlan, submit_ensemble  # noqa: E402
from gpovae_core.runs.folder import RunFolder, find_runs  # noqa: E402
from tests.toy import tiny_settings, write_toy  # noqa: E402

PAGES = ("Home", "Runs", "Data", "Train", "Network", "Response", "What if", "Benchmark", "Experiments")
MOST_RUNS = 6
STOP_SECONDS = 120
WAIT = 120_000  # milliseconds
MOST_GROWTH_MB, MOST_GROWTH_FILES = 60.0, 10.0
"""From the second to the last quarter: what caches and Python's own memory may add."""


@dataclass
class Seen:
    """What was looked at on the way."""

    server_mb: list[float] = field(default_factory=list)
    server_files: list[int] = field(default_factory=list)
    job_mb: list[tuple[float, float]] = field(default_factory=list)  # (share of the time, MB)
    started: set[str] = field(default_factory=set)
    done: Counter[str] = field(default_factory=Counter)
    complaints: list[str] = field(default_factory=list)


class Server:
    """The app over folders of its own."""

    def __init__(self, root: Path) -> None:
        with socket.socket() as free:
            free.bind(("localhost", 0))
            port = free.getsockname()[1]
        self.address = f"http://localhost:{port}"
        command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true"]
        command += [f"--server.port={port}", "--server.fileWatcherType=none"]
        with (root / "server.txt").open("w") as log:
            self.process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log)
        for _ in range(480):
            try:
                with urlopen(f"{self.address}/_stcore/health", timeout=1):  # noqa: S310 (own server)
                    return
            except (URLError, OSError):
                time.sleep(0.25)
        raise SystemExit("the server did not start within two minutes")

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)


class Session:
    """Somebody at the dashboard."""

    def __init__(self, browser: Any, server: Server, seen: Seen, number: int) -> None:
        self.seen, self.random, self.number = seen, np.random.default_rng(number), number
        self.page = browser.new_page(viewport={"width": 1440, "height": 900})
        self.page.set_default_timeout(WAIT)
        self.page.on("pageerror", lambda error: seen.complaints.append(f"page error: {error}"))
        self.page.goto(server.address)
        self.settle()

    def settle(self) -> None:
        self.page.wait_for_timeout(300)
        self.page.wait_for_selector('[data-testid="stApp"][data-test-script-state="notRunning"]')

    def turn(self, number: int) -> None:
        """The next page, and something on it."""
        name = PAGES[(number + 4 * self.number) % len(PAGES)]
        self.page.get_by_role("link", name=name, exact=True).click()
        self.settle()
        self._press()
        for shown in self.page.locator('[data-testid="stException"]').all_inner_texts():
            self.seen.complaints.append(f"{name}: {shown[:300]}")
        self.seen.done["pages"] += 1

    def _press(self) -> None:
        """A tab or an expander, whatever there is: nothing that starts or removes something."""
        found = self.page.locator('[data-testid="stTab"], [data-testid="stExpander"] summary')
        if count := found.count():
            one = found.nth(int(self.random.integers(count)))
            if one.is_visible():
                one.click()
                self.settle()


def soak(browser: Any, seconds: float, root: Path) -> dict[str, Any]:
    """See the head of this file; `root` is an empty folder."""
    runs, data = root / "runs", root / "data"
    for folder in (runs, data):
        folder.mkdir(parents=True)
    os.environ |= {"GPOVAE_RUNS_DIR": str(runs), "GPOVAE_DATA_DIR": str(data)}
    os.environ |= {"GPOVAE_CACHE_DIR": str(root / "cache"), "PYTHONPATH": str(ROOT)}
    file, seen, server = write_toy(data), Seen(), Server(root)
    began, number = time.monotonic(), 0
    try:
        sessions = [Session(browser, server, seen, who) for who in range(2)]
        while (share := (time.monotonic() - began) / seconds) < 1:
            _act(runs, file, number, seen)
            for session in sessions:
                session.turn(number)
            _look(server, root, share, seen)
            number += 1
        for session in sessions:
            session.page.close()
        _stop_all(runs)
        left_behind = _left_behind(root, server)
    finally:
        server.stop()
    return _told(runs, seen, left_behind) | {"turns": number, "seconds": round(time.monotonic() - began)}


def _act(runs: Path, file: Path, number: int, seen: Seen) -> None:
    """What is done to the jobs in a turn; words of refusal are no error here."""
    here = find_runs(runs)
    chance = np.random.default_rng(number)
    if number % 3 == 0:
        if len(here) >= MOST_RUNS:
            _tried(seen, "thrown away", lambda: archive.trash(here[0]))
        name = f"run {number:05d}"
        settings = tiny_settings(
            "evidence", training={"epochs": 30}, network={"ensemble": 0, "null_draws": 2}
        )
        _tried(seen, "started", lambda: jobs.submit(file, runs / name, settings))
        seen.started.add(name)
    if not here:
        return
    one = here[int(chance.integers(len(here)))]
    status = one.status()
    if status.busy and not status.dead():
        if chance.random() < 0.4 and jobs.stop(one):
            seen.done["stopped"] += 1
    elif status.state == "stopped":
        _tried(seen, "resumed", lambda: jobs.resume(one))
    elif status.state == "done":
        job = EnsembleJob.of(one)
        if job.path.exists() and job.status().busy and not job.status().dead():
            seen.done["ensembles stopped"] += jobs.stop(job)
        else:
            plan = EnsemblePlan(members=3 + number % 4, vary="cells")
            _tried(seen, "ensembles", lambda: submit_ensemble(one, plan))


def _tried(seen: Seen, what: str, action: Callable[[], Any]) -> None:
    try:
        action()
        seen.done[what] += 1
    except GpoVaeError:
        seen.done[f"{what}: refused"] += 1


def _look(server: Server, root: Path, share: float, seen: Seen) -> None:
    own = psutil.Process(server.process.pid)
    seen.server_mb.append(own.memory_info().rss / 1e6)
    seen.server_files.append(own.num_fds())
    for job in _of_folder(root):
        try:
            seen.job_mb.append((share, job.memory_info().rss / 1e6))
        except psutil.Error:
            continue


def _of_folder(root: Path) -> list[psutil.Process]:
    """Processes whose command line names the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and any(str(root) in part for part in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return found


def _at_work(runs: Path) -> list[Any]:
    everything: list[Any] = []
    for run in find_runs(runs):
        job = EnsembleJob.of(run)
        everything += [run, *([job] if job.path.exists() else [])]
    states = [(one, one.status()) for one in everything]
    return [one for one, status in states if status.busy and not status.dead()]


def _stop_all(runs: Path) -> None:
    end = time.monotonic() + STOP_SECONDS
    while (busy := _at_work(runs)) and time.monotonic() < end:
        for one in busy:
            jobs.stop(one)
        time.sleep(1.0)


def _left_behind(root: Path, server: Server) -> list[str]:
    end = time.monotonic() + STOP_SECONDS
    while (left := _of_folder(root)) and time.monotonic() < end:
        time.sleep(1.0)
    children = psutil.Process(server.process.pid).children(recursive=True)
    return [" ".join(one.cmdline())[:200] for one in [*left, *children] if one.is_running()]


def _lost(run: RunFolder) -> list[str]:
    """What a run says it has and has not."""
    try:
        status = run.status()
        if status.busy:
            return [f"{run.name}: still {status.state}"]
        if status.state not in ("done", "stopped"):
            return [f"{run.name}: {status.state}: {status.message[:200]}"]
        if (epochs := len(run.metrics()) if run.has("metrics.jsonl") else 0) < status.epoch:
            return [f"{run.name}: {status.epoch} epochs, {epochs} of them written"]
        if status.state == "done":
            run.edge_probabilities(), run.effects(), run.evaluation(), run.cells()
        return []
    except (GpoVaeError, OSError) as error:
        return [f"{run.name}: {error}"]


def _told(runs: Path, seen: Seen, left_behind: list[str]) -> dict[str, Any]:
    thrown = [RunFolder(path) for path in archive.in_trash(runs)]
    there = find_runs(runs)
    names = {*(run.name for run in there), *(run.name.rpartition(" (")[0] for run in thrown)}
    lost = [words for run in (*there, *thrown) for words in _lost(run)]
    lost += [f"{name}: gone" for name in sorted(seen.started - names)]
    parts = [str(path.relative_to(runs)) for path in runs.rglob("*.part")]
    quarter = max(1, len(seen.server_mb) // 4)

    def grown(values: list[Any]) -> list[float]:
        """Medians of the second and the last quarter."""
        before = values[quarter : 2 * quarter] or values
        return [round(float(statistics.median(part)), 1) for part in (before, values[-quarter:])]

    halves = [[mb for share, mb in seen.job_mb if (share < 0.5) == first] for first in (True, False)]
    memory, files = grown(seen.server_mb), grown(seen.server_files)
    more_mb, more_files = memory[1] - memory[0], files[1] - files[0]
    bad = [
        *([f"the server grew by {more_mb:.0f} MB"] if more_mb > MOST_GROWTH_MB else []),
        *([f"the server holds {more_files:.0f} more files"] if more_files > MOST_GROWTH_FILES else []),
        *(f"left behind: {one}" for one in left_behind),
        *(f"lost: {one}" for one in lost),
        *(f"not removed: {one}" for one in parts),
        *(f"complaint: {one}" for one in seen.complaints),
    ]
    return {
        "done": dict(seen.done),
        "server_mb": memory,
        "server_files": files,
        "job_mb": [round(max(half, default=0.0), 1) for half in halves],
        "bad": bad,
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--hours", type=float, default=4.0)
    parser.add_argument("--folder", type=Path, help="a new folder, which is kept")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    from benchmarks.network_view import CHROMIUM, FLAGS

    with tempfile.TemporaryDirectory() as aside, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        found = soak(browser, 3600 * given.hours, given.folder or Path(aside) / "soak")
        browser.close()
    print(
        json.dumps(found) if given.json else "\n".join(f"{name:14} {value}" for name, value in found.items())
    )
    raise SystemExit(1 if found["bad"] else 0)


if __name__ == "__main__":
    main()
