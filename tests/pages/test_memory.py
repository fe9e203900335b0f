"""A further run on the screen takes a part of what its files hold, not a multiple of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.large_screen import write_run

ROOT = Path(__file__).resolve().parents[2]
PAGES = ("runs", "network", "response", "whatif", "benchmark", "data")
OPENED = ("first", "second", "third")
MOST = 0.5
"""Growth for every further run, of the bytes of its files."""


@pytest.mark.slow
def test_a_further_run_takes_less_memory_than_its_files_hold(tmp_path: Path) -> None:
    write_run(tmp_path / OPENED[0], perturbed=300, extended=300, genes=3000, cells=20_000)
    for name in OPENED[1:]:
        (tmp_path / name).mkdir()
        for file in (tmp_path / OPENED[0]).iterdir():
            if file.is_file():
                os.link(file, tmp_path / name / file.name)
    held = sum(file.stat().st_size for file in (tmp_path / OPENED[0]).iterdir())
    environment = {**os.environ, "GPOVAE_RUNS_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    walk = subprocess.run(
        [sys.executable, __file__], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert walk.returncode == 0, walk.stderr
    after = json.loads(walk.stdout.splitlines()[-1])
    growth = (after[-1] - after[0]) / (len(after) - 1)
    assert growth < MOST * held, f"{growth / 1e6:.0f} MB for each run of {held / 1e6:.0f} MB: {after}"


def walk_over_pages() -> list[int]:
    """Resident bytes of this process after every run was on all pages; of the first, imports included."""
    import psutil
    from streamlit.testing.v1 import AppTest

    resident = []
    for name in OPENED:
        app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=600)
        app.query_params["run"] = name
        app.run()
        for page in PAGES:
            app.switch_page(f"pages/{page}.py").run()
            assert not app.exception, app.exception
        resident.append(psutil.Process().memory_info().rss)
    return resident


if __name__ == "__main__":
    print(json.dumps(walk_over_pages()))
