"""The floor plan of CONTRIBUTING.md: imports run one way, rooms make no circle, pages stand alone, and
streamlit stays out of the core.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import PROJECT

FLOORS = (
    ("errors", "keys", "config", "registry"),
    ("data",),
    ("effects",),
    ("methods", "model"),
    ("training",),
    ("runs",),
    ("questions", "evaluation"),
    ("network",),
    ("workflow", "sweeps"),
    ("plots",),
    ("reporting",),
    ("api", "cli"),
)
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
SHARED = "shared"
CORE = sorted((PROJECT / "gpovae_core").rglob("*.py"))
DASHBOARD = sorted((PROJECT / "dashboard").rglob("*.py"))
PAGES = sorted((PROJECT / "pages").glob("*.py"))


def imported(source: str) -> list[str]:
    """Full names of everything that a file imports, at its top or inside a function."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute, so that a move is seen"
            names += [f"{node.module}.{alias.name}" for alias in node.names]
    return names


def core_room(module: str) -> str | None:
    """The room of gpovae_core that a dotted name stands in; None outside, and for the package itself."""
    parts = module.split(".")
    return parts[1] if parts[0] == "gpovae_core" and len(parts) > 1 and parts[1] != "__version__" else None


def faults(room: str, names: list[str]) -> Iterator[str]:
    """What is wrong with a file of `room` in gpovae_core that imports `names`."""
    if room not in FLOOR:
        yield f"'{room}' is a room the house does not have: put it into FLOORS and into CONTRIBUTING.md"
        return
    for name in names:
        if name.split(".")[0] in {"streamlit", "dashboard", "pages", "app"}:
            yield f"imports {name}: the core knows nothing of the screen"
        other = core_room(name)
        if other is not None and other != room and FLOOR[other] > FLOOR[room]:
            yield f"imports {name}, which stands above '{room}'"


def circle(uses: dict[str, set[str]]) -> list[str]:
    """Rooms that import one another in a circle, in order; empty where there is none."""

    def walk(room: str, way: list[str]) -> list[str]:
        if room in way:
            return [*way[way.index(room) :], room]
        return next((found for other in sorted(uses[room]) if (found := walk(other, [*way, room]))), [])

    return next((found for room in sorted(uses) if (found := walk(room, []))), [])


def dashboard_faults(room: str, names: list[str]) -> Iterator[str]:
    """What is wrong with a file of dashboard/`room` that imports `names`."""
    for name in names:
        parts = name.split(".")
        if parts[0] in {"pages", "app"}:
            yield f"imports {name}: pages call the dashboard, not the other way"
        if parts[0] == "dashboard" and parts[1] not in {room, SHARED}:
            yield f"imports {name}: a page never leans on another; what both need goes to dashboard/shared"


def room_of(path: Path, top: str) -> str:
    return path.relative_to(PROJECT / top).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", CORE, ids=lambda p: str(p.relative_to(PROJECT)))
def test_core_imports_run_one_way(path):
    if path.parent.name == "gpovae_core" and path.name == "__init__.py":
        return
    assert not list(faults(room_of(path, "gpovae_core"), imported(path.read_text())))


def test_rooms_make_no_circle():
    uses: dict[str, set[str]] = defaultdict(set)
    for path in CORE:
        room = room_of(path, "gpovae_core")
        others = {core_room(name) for name in imported(path.read_text())} - {None, room}
        uses[room] |= {other for other in others if other is not None}
    for rooms in list(uses.values()):
        for other in rooms:
            uses.setdefault(other, set())
    assert circle(uses) == []


@pytest.mark.parametrize("path", DASHBOARD, ids=lambda p: str(p.relative_to(PROJECT)))
def test_a_page_imports_no_other(path):
    if path.parent.name == "dashboard":
        return
    assert not list(dashboard_faults(room_of(path, "dashboard"), imported(path.read_text())))


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_a_page_file_calls_its_own_folder(path):
    names = [name.split(".") for name in imported(path.read_text())]
    assert not [name for name in names if name[0] == "pages"]
    assert {name[1] for name in names if name[0] == "dashboard"} <= {path.stem, SHARED}


def test_every_page_has_a_folder_and_every_folder_a_page():
    folders = {path.name for path in (PROJECT / "dashboard").iterdir() if (path / "__init__.py").is_file()}
    assert folders - {SHARED} == {path.stem for path in PAGES}


def test_the_floor_plan_is_the_one_that_is_written_down():
    text = (PROJECT / "CONTRIBUTING.md").read_text()
    plan = re.search(r"Imports run one way: (.*?)\.", text, re.S)
    assert plan is not None
    written = [re.findall(r"\w+", floor) for floor in plan[1].split("->")]
    assert written == [*map(list, FLOORS[:-1]), ["api", "cli", "dashboard"], ["pages"]]


@pytest.mark.parametrize(
    ("room", "line"),
    [
        ("data", "from gpovae_core.effects.contrasts import contrasts"),
        ("effects", "import gpovae_core.methods.direct"),
        ("training", "from gpovae_core.runs import folder"),
        ("evaluation", "from gpovae_core import workflow"),
        ("network", "import streamlit as st"),
        ("plots", "from dashboard.shared import state"),
        ("garage", "import json"),
    ],
)
def test_an_import_against_the_plan_is_refused(room, line):
    assert list(faults(room, imported(line)))
    assert list(faults(room, imported(f"def f():\n    {line}")))


@pytest.mark.parametrize("room", ["network", SHARED])
def test_an_import_between_pages_is_refused(room):
    assert list(dashboard_faults(room, imported("from dashboard.whatif import paths")))
    assert not list(dashboard_faults(room, imported("from dashboard.shared import state")))


def test_a_circle_is_seen_between_rooms_of_one_floor_too():
    assert circle({"questions": {"evaluation"}, "evaluation": {"questions"}, "data": set()})
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})
    assert not circle({"a": {"b", "c"}, "b": {"c"}, "c": set()})
