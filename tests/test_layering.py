"""Imports run one way through the rooms of the house, and streamlit stays out of the core."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.conftest import PROJECT

ROOMS = (
    ("errors", "keys", "config"),
    ("data",),
    ("model",),
    ("training",),
    ("inference", "evaluation", "unseen", "interactions", "whatif"),
    ("workflow", "network"),
    ("sweeps",),
    ("plots",),
    ("reporting",),
    ("cli",),
)
RANK = {room: rank for rank, rooms in enumerate(ROOMS) for room in rooms}
CORE = sorted((PROJECT / "gpovae_core").rglob("*.py"))


def room(module: str) -> str | None:
    parts = module.split(".")
    return parts[1] if parts[0] == "gpovae_core" and len(parts) > 1 else None


def imported(path: Path) -> list[str]:
    names = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            names += [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "gpovae_core" else [node.module]
    return names


def own_room(path: Path) -> str | None:
    parts = path.relative_to(PROJECT / "gpovae_core").parts
    return None if parts == ("__init__.py",) else parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", CORE, ids=lambda p: str(p.relative_to(PROJECT)))
def test_core_imports_run_one_way(path):
    mine = own_room(path)
    if mine is None:
        return
    assert mine in RANK, f"'{mine}' is a room the house does not have: add it to ROOMS"
    for name in imported(path):
        assert name.split(".")[0] not in {"streamlit", "dashboard", "pages"}, f"{path} imports {name}"
        other = room(name)
        if other is not None and other in RANK and other != mine:
            assert RANK[other] <= RANK[mine], f"{path.relative_to(PROJECT)} imports {name}, which stands above it"


def test_pages_do_not_import_one_another():
    for page in (PROJECT / "pages").glob("*.py"):
        assert not [name for name in imported(page) if name.split(".")[0] == "pages"]


def test_dashboard_does_not_import_pages():
    for path in (PROJECT / "dashboard").rglob("*.py"):
        assert not [name for name in imported(path) if name.split(".")[0] in {"pages", "app"}]
