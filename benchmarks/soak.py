"""Hours of everything at once: trainings, ensembles, stops and resumes, and two sessions that look on.

    python benchmarks/soak.py --hours 4 --json
    python benchmarks/soak.py --hours 0.25 --folder /tmp/soak       # keeps what it made there

Small simulated cells, so that much happens. Every turn the two sessions (headless Chromium, pages of one
browser) open another page of the dashboard and press something there, and jobs are started, stopped, resumed
and thrown away. What is watched, every two seconds: memory, open files and threads of the server, memory of
every job. At the end all jobs are stopped; then

- server_mb: least memory of the server in the first and the last minute after both sessions have seen every
  page; server_mb_per_minute: slope of the least memory of every such minute, with its standard error (None
  for fewer than three minutes); it grew where the slope less two errors makes more than MOST_GROWTH_MB of
  the time it was taken over
- server_files, server_threads: medians of the second and of the last quarter of the time
- job_mb: most memory of a job in the first and the last of those minutes; jobs grew where the slope of that
  most, less two errors, makes more than MOST_GROWTH_JOB of it
- bad: all that is wrong: what grew; processes left behind that still belong to the folder, or that the server
  does not look after; what is lost (epochs in a status that its metrics lack, members of an ensemble,
  unreadable files, runs that are neither in the folder nor in its trash); files that were being made and
  nobody removed; errors that a page showed, or logged
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
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
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
from gpovae_core.runs.ensemble import EnsembleJob, EnsemblePlan, read_ensemble, submit_ensemble  # noqa: E402
from gpovae_core.runs.folder import RunFolder, find_runs  # noqa: E402
from tests.toy import tiny_settings, write_toy  # noqa: E402

PAGES = ("Home", "Runs", "Data", "Train", "Network", "Response", "What if", "Benchmark", "Experiments")
MOST_RUNS = 6
STOP_SECONDS = 120
WAIT = 120_000  # milliseconds
LOOK_EVERY = 2.0
MOST_GROWTH_MB, MOST_GROWTH_FILES, MOST_GROWTH_THREADS = 60.0, 10.0, 10.0
"""What caches and Python's own memory may add."""
MOST_GROWTH_JOB = 0.3
"""Share that the most memory of a job may add, over all minutes."""


@dataclass(frozen=True)
class Look:
    """The server after so many seconds."""

    seconds: float
    mb: float
    files: int
    threads: int


@dataclass
class Seen:
    """What was looked at on the way."""

    server: list[Look] = field(default_factory=list)
    job_mb: list[tuple[float, float]] = field(default_factory=list)  # (seconds, MB)
    warm: float | None = None  # seconds until both sessions had seen every page
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
        with _watched(server, root, seen):
            while time.monotonic() - began < seconds:
                _act(runs, file, number, seen)
                for session in sessions:
                    session.turn(number)
                number += 1
                if number == len(PAGES):
                    seen.warm = time.monotonic() - began
        for session in sessions:
            session.page.close()
        _stop_all(runs)
        left_behind = _left_behind(root, server)
    finally:
        server.stop()
    seen.complaints += _logged(root / "server.txt")
    return _told(root, seen, left_behind) | {"turns": number, "seconds": round(time.monotonic() - began)}


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


@contextmanager
def _watched(server: Server, root: Path, seen: Seen) -> Iterator[None]:
    """Look at the server and its jobs every LOOK_EVERY seconds, whatever goes on meanwhile."""
    began, over, own = time.monotonic(), threading.Event(), psutil.Process(server.process.pid)

    def watch() -> None:
        while not over.wait(LOOK_EVERY):
            now = time.monotonic() - began
            seen.server.append(Look(now, own.memory_info().rss / 1e6, own.num_fds(), own.num_threads()))
            for job in _of_folder(root):
                try:
                    seen.job_mb.append((now, job.memory_info().rss / 1e6))
                except psutil.Error:
                    continue

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def _logged(log: Path) -> list[str]:
    """Traces in what the server printed."""
    lines = log.read_text(errors="replace").splitlines()
    return [f"logged: {lines[-1][:300]}" for line in lines if line.startswith("Traceback")]


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
    found = [*(one for one in left if one.is_running()), *children]
    return [f"{one.status()} {' '.join(_words(one))[:200]}" for one in found]


def _words(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:  # it has ended, and nobody has asked how
        return [str(process.pid)]


def _lost(run: RunFolder) -> list[str]:
    """What a run, or its ensemble, says it has and has not."""
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
        return _lost_members(run)
    except (GpoVaeError, OSError) as error:
        return [f"{run.name}: {error}"]


def _lost_members(run: RunFolder) -> list[str]:
    job = EnsembleJob.of(run)
    if not job.has("status.json"):
        return []
    status, there = job.status(), job.finished()
    if status.state not in ("done", "stopped"):
        return [f"ensemble of {run.name}: {status.state}: {status.message[:200]}"]
    if there < status.epoch:
        return [f"ensemble of {run.name}: {status.epoch} members, {there} of them there"]
    if status.state == "done" and (found := read_ensemble(run)) is not None and found.members > there:
        return [f"ensemble of {run.name}: made of {found.members} members, {there} of them there"]
    return []


def minutes(
    seen: Sequence[tuple[float, float]], since: float, of: Callable[[float, float], float] = min
) -> list[tuple[float, float]]:
    """(minute, least MB in it, or most) of every whole minute from `since` on. seen: (seconds, MB)."""
    found: dict[int, float] = {}
    for at, mb in seen:
        if at >= since:
            minute = int((at - since) // 60)
            found[minute] = of(mb, found.get(minute, mb))
    last = max((at for at, _ in seen), default=0.0)
    return [(float(minute), mb) for minute, mb in sorted(found.items()) if since + 60 * (minute + 1) <= last]


def slope(points: Sequence[tuple[float, float]]) -> tuple[float, float] | None:
    """MB per minute by least squares, and its standard error; None for fewer than three minutes."""
    if len(points) < 3:
        return None
    x, y = np.array(points).T
    (steepness, start), spread = np.polyfit(x, y, 1), ((x - x.mean()) ** 2).sum()
    left = ((y - start - steepness * x) ** 2).sum() / (len(x) - 2)
    return float(steepness), float(np.sqrt(left / spread))


def surely_added(points: Sequence[tuple[float, float]]) -> float:
    """MB that came in all these minutes: slope less two errors; 0 where there are too few to say."""
    steepness = slope(points)
    return 0.0 if steepness is None else (steepness[0] - 2 * steepness[1]) * len(points)


def _told(root: Path, seen: Seen, left_behind: list[str]) -> dict[str, Any]:
    runs = root / "runs"
    thrown = [RunFolder(path) for path in archive.in_trash(runs)]
    there = find_runs(runs)
    names = {*(run.name for run in there), *(run.name.rpartition(" (")[0] for run in thrown)}
    lost = [words for run in (*there, *thrown) for words in _lost(run)]
    lost += [f"{name}: gone" for name in sorted(seen.started - names)]
    parts = [str(path.relative_to(root)) for path in root.rglob("*.part")]
    quarter = max(1, len(seen.server) // 4)

    def grown(values: list[Any]) -> list[float]:
        """Medians of the second and the last quarter."""
        before = values[quarter : 2 * quarter] or values
        return [round(float(statistics.median(part)), 1) for part in (before, values[-quarter:])]

    files = grown([look.files for look in seen.server])
    threads = grown([look.threads for look in seen.server])
    warm = float("inf") if seen.warm is None else seen.warm
    least = minutes([(look.seconds, look.mb) for look in seen.server], warm)
    most = minutes(seen.job_mb, warm, max)
    steepness, sure, jobs_sure = slope(least), surely_added(least), surely_added(most)
    bad = [
        *([f"the server grew by {sure:.0f} MB or more"] if sure > MOST_GROWTH_MB else []),
        *(
            [f"the server holds {files[1] - files[0]:.0f} more files"]
            if files[1] - files[0] > MOST_GROWTH_FILES
            else []
        ),
        *(
            [f"the server holds {threads[1] - threads[0]:.0f} more threads"]
            if threads[1] - threads[0] > MOST_GROWTH_THREADS
            else []
        ),
        *(
            [f"jobs grew by {jobs_sure:.0f} MB or more, from {most[0][1]:.0f}"]
            if most and jobs_sure > MOST_GROWTH_JOB * most[0][1]
            else []
        ),
        *(f"left behind: {one}" for one in left_behind),
        *(f"lost: {one}" for one in lost),
        *(f"not removed: {one}" for one in parts),
        *(f"complaint: {one}" for one in seen.complaints),
    ]
    return {
        "done": dict(seen.done),
        "server_mb": [round(mb, 1) for _, mb in (least[:1] + least[-1:])],
        "server_mb_per_minute": None if steepness is None else [round(value, 2) for value in steepness],
        "minutes_after_warming_up": len(least),
        "server_files": files,
        "server_threads": threads,
        "job_mb": [round(mb, 1) for _, mb in (most[:1] + most[-1:])],
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
