"""What starts must not wait for what it does not need: heavy libraries are imported where they are used."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import PROJECT

HEAVY = (
    "torch",
    "lightning",
    "scanpy",
    "anndata",
    "scipy.stats",
    "sklearn",
    "numba",
    "ot",
    "networkx",
    "igraph",
)

HELP = """
from typer.testing import CliRunner
from gpovae_core.cli import app
assert CliRunner().invoke(app, ["--help"]).exit_code == 0
"""
FIRST_PAGE = """
import os, tempfile
os.environ["GPOVAE_RUNS_DIR"] = tempfile.mkdtemp()
from streamlit.testing.v1 import AppTest
at = AppTest.from_file("app.py", default_timeout=60).run()
assert not at.exception and "Perturb-seq" in at.title[0].value and at.get("plotly_chart"), at
"""


def loaded_by(code: str, names: tuple[str, ...]) -> set[str]:
    """Which of the libraries a fresh interpreter has loaded once it has run the code."""
    asked = f"{code}\nimport sys; print('loaded:', *[name for name in {names!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", asked], cwd=PROJECT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split("loaded:")[1].split())


def test_the_help_of_the_command_line_loads_no_library_of_numbers():
    assert loaded_by(HELP, (*HEAVY, "numpy", "scipy", "pandas", "plotly", "pydantic")) == set()


def test_the_first_page_of_the_dashboard_loads_no_heavy_library():
    assert loaded_by(FIRST_PAGE, HEAVY) == set()


def test_a_heavy_library_would_be_seen():
    assert loaded_by("import scipy.stats", HEAVY) == {"scipy.stats"}
