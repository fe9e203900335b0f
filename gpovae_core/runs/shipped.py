"""What comes with the program, in a checkout and in an installed package: the dashboard and the demo runs."""

from __future__ import annotations

from pathlib import Path

from gpovae_core.errors import RunError

_PACKAGE = Path(__file__).resolve().parents[1]
_INSTALLED = _PACKAGE / "_app"
APP = _INSTALLED if _INSTALLED.is_dir() else _PACKAGE.parent
"""Folder with app.py, pages, assets and .streamlit: inside the package where it was installed (pyproject.toml
puts them there), else the checkout.
"""
REAL_DEMO, DEMO = "papalexi2021-demo", "demo"
DEMOS = {REAL_DEMO: APP / "assets" / "demo" / "papalexi", DEMO: APP / "assets" / "demo" / "run"}
"""Name -> folder of the runs that come with the program: real cells, then simulated ones."""
SHIPPED = {path: name for name, path in DEMOS.items()}


def app_script() -> Path:
    """The script of the dashboard. Raises RunError where it was not installed."""
    script = APP / "app.py"
    if not script.is_file():
        raise RunError(
            f"This installation of gpovae holds no dashboard: there is no '{script}'. Install the whole "
            "package again, or use a checkout."
        )
    return script
