"""What is given out agrees with itself: version, changelog, pins, and a wheel that holds the whole app."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import gpovae_core as gp
from tests.conftest import PROJECT

PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())
APP = "gpovae_core/_app"
FIRST_PAGE = """
import os, sys
from gpovae_core.runs.shipped import APP, app_script
assert str(APP).startswith(sys.argv[1]), APP
import gpovae_core as gp
assert gp.open_demo().state == gp.open_demo("demo").state == "done"
sys.path.insert(0, str(APP))  # as `streamlit run` does
from streamlit.testing.v1 import AppTest
at = AppTest.from_file(str(app_script()), default_timeout=60).run()
assert not at.exception and "Perturb-seq" in at.title[0].value and at.get("plotly_chart"), at
at.switch_page("pages/network.py").run()
assert not at.exception and not at.error, at
"""


def requirements(lines: list[str]) -> dict[str, Requirement]:
    return {found.name: found for found in map(Requirement, lines)}


def pins() -> dict[str, str]:
    lines = (PROJECT / "requirements.txt").read_text().splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


# Version ----------------------------------------------------------------------------------------------------


def test_the_newest_section_of_the_changelog_is_this_version():
    named = re.findall(r"(?m)^## (\S+)", (PROJECT / "CHANGELOG.md").read_text())
    sections = named[1:] if named[0] == "Unreleased" else named
    assert sections[0] == gp.__version__
    versions = [Version(section) for section in sections]
    assert versions == sorted(set(versions), reverse=True)


def test_nothing_else_names_another_version_of_this():
    pages = [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md"), PROJECT / "Containerfile"]
    named = {found for page in pages for found in re.findall(r"gpovae[-=]+(\d[\d.]*\d)", page.read_text())}
    assert named <= {gp.__version__}
    assert PYPROJECT["project"]["dynamic"] == ["version"]


def test_the_oldest_python_is_the_same_everywhere():
    (least,) = re.findall(r">=(3\.\d+)", PYPROJECT["project"]["requires-python"])
    assert PYPROJECT["tool"]["pyright"]["pythonVersion"] == least
    assert PYPROJECT["tool"]["ruff"]["target-version"] == "py" + least.replace(".", "")
    assert f"(3, {least.partition('.')[2]})" in (PROJECT / "Makefile").read_text()
    tried = [
        line.rpartition(" ")[2]
        for line in PYPROJECT["project"]["classifiers"]
        if line.startswith("Programming Language :: Python :: 3.")
    ]
    assert tried[0] == least


# What it needs ----------------------------------------------------------------------------------------------


def test_every_pin_is_in_the_range_of_its_dependency():
    ranges, pinned = requirements(PYPROJECT["project"]["dependencies"]), pins()
    assert sorted(ranges, key=str.lower) == sorted(pinned, key=str.lower)
    assert [name for name in ranges if not ranges[name].specifier.contains(pinned[name])] == []


def test_every_range_has_a_lower_end():
    ranges = requirements(PYPROJECT["project"]["dependencies"])
    assert [name for name, one in ranges.items() if ">=" not in str(one.specifier)] == []


def test_a_pin_outside_its_range_would_be_seen():
    assert not Requirement("numpy>=2.2,<3").specifier.contains("3.0.1")
    assert not Requirement("numpy>=2.2,<3").specifier.contains("2.1")


# The wheel --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built here, unpacked elsewhere, as pip would."""
    wheel = pytest.importorskip("hatchling.builders.wheel", reason="needs hatchling: make install")
    folder = tmp_path_factory.mktemp("wheel")
    (built,) = wheel.WheelBuilder(str(PROJECT)).build(directory=str(folder), versions=["standard"])
    assert Path(built).name == f"gpovae-{gp.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(built) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def files(folder: Path) -> set[str]:
    return {
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and not path.name.endswith(".part")
    }


@pytest.mark.parametrize("part", ["pages", "dashboard", "assets", ".streamlit"])
def test_the_wheel_holds_the_app(unpacked: Path, part: str):
    assert (unpacked / APP / "app.py").read_text() == (PROJECT / "app.py").read_text()
    assert files(unpacked / APP / part) == files(PROJECT / part)


def test_the_wheel_holds_the_package_and_nothing_beside_it(unpacked: Path):
    inside = {name for name in files(unpacked / "gpovae_core") if not name.startswith("_app/")}
    assert inside == files(PROJECT / "gpovae_core")
    assert sorted(path.name for path in unpacked.iterdir()) == [
        f"gpovae-{gp.__version__}.dist-info",
        "gpovae_core",
    ]


def test_the_wheel_serves_its_pages_without_the_checkout(unpacked: Path, tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-c", FIRST_PAGE, str(unpacked)],
        cwd=tmp_path,
        env={
            "PATH": "",
            "HOME": str(tmp_path),
            "PYTHONPATH": str(unpacked),
            "GPOVAE_RUNS_DIR": str(tmp_path),
        },
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


def test_make_serves_the_app_by_the_command():
    assert re.search(r"(?m)^app: .*\n\t\$\(BIN\)/gpovae app$", (PROJECT / "Makefile").read_text())
