"""What README and docs say of the sources is there: files, and names of modules."""

from __future__ import annotations

import importlib
import importlib.util
import re
from pathlib import Path

import pytest

from tests.conftest import PROJECT

PAGES = [PROJECT / "README.md", *sorted((PROJECT / "docs").rglob("*.md"))]
FILE = re.compile(r"(?<![\w./-])((?:[\w-]+/)+[\w-]+\.(?:py|js|css|md|json|toml))(?![\w/])")
NAME = re.compile(r"\bgpovae_core(?:\.\w+)+")


def there(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    home, _, last = name.rpartition(".")
    try:
        return hasattr(importlib.import_module(home), last) or importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def missing(text: str, page: Path) -> list[str]:
    roots = (PROJECT, page.parent)
    files = [path for path in FILE.findall(text) if not any((root / path).exists() for root in roots)]
    return files + [name for name in NAME.findall(text) if not there(name)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_names_files_and_modules_that_are_there(page: Path) -> None:
    assert missing(page.read_text(), page) == []


def test_what_has_moved_is_noticed() -> None:
    text = "`gpovae_core/unseen.py`, `model/direct.py`, `gpovae_core.inference`, `gpovae_core.keys.NOWHERE`"
    sound = "`gpovae_core/keys.py`, `gpovae_core.keys.SOURCE`, `gpovae_core.data.store`"
    assert missing(f"{text}, {sound}", PROJECT / "README.md") == text.replace("`", "").split(", ")
