"""Shared by all tests: where the real data lies, if it is here."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# A machine at other work takes a second over what takes a millisecond: time is no property of the code.
settings.register_profile("any machine", deadline=None)
settings.load_profile("any machine")

# Tests run side by side: threads of one that wait busily for each other would starve the other. Set before
# torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Prepared cells are kept between runs: not those of the tests, and not beside the user's own.
os.environ["GPOVAE_CACHE_DIR"] = tempfile.mkdtemp(prefix="gpovae-test-cache-")

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
]
PROJECT = Path(__file__).resolve().parent.parent


def shared_folder(kind: str) -> Path:
    """Folder `kind` ("data", "fixtures", "networks") beside GPOVAE_DATA_DIR or in ../shared; skips the test
    where it is absent.
    """
    given = os.environ.get("GPOVAE_DATA_DIR")
    root = Path(given).parent if given else PROJECT.parent / "shared"
    folder = Path(given) if given and kind == "data" else root / kind
    if not folder.is_dir():
        pytest.skip(
            f"needs the folder '{kind}' of real inputs: set GPOVAE_DATA_DIR to the folder with the data sets"
        )
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """One browser for every test that needs one: Playwright allows one of its loops in a process."""
    if not Path(CHROMIUM).exists():
        pytest.skip(f"needs a browser at {CHROMIUM} (Debian: apt-get install chromium)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with sync_api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def fake_slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """SLURM's commands, first on PATH, which give recorded answers."""
    from gpovae_core.runs.clusters import slurm
    from tests.fake_slurm import FakeSlurm

    (tmp_path / "bin").mkdir()
    made = FakeSlurm(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{made.folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_SLURM", str(made.folder))
    yield made
    slurm._seen.clear()


@pytest.fixture
def small_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file system of 1.5 MB, on which work begins although it may not fit; skipped where one cannot be
    mounted.
    """
    monkeypatch.setenv("GPOVAE_ANYWAY", "1")
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting a small file system needs root")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=False)


def fill(disk: Path, kilobytes: int = 0) -> Path:
    """Fill a disk up to so many kB, or again what was let go since; returns the file that does, to be removed
    again.
    """
    ballast = disk / "ballast"
    free = os.statvfs(disk).f_bavail * os.statvfs(disk).f_bsize
    with ballast.open("ab") as file:
        file.write(bytes(max(0, free - kilobytes * 1024)))
    return ballast
