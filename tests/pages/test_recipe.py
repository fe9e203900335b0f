"""The recipe "Add a page" of CONTRIBUTING.md, as every page that is there follows it."""

from __future__ import annotations

import ast
import re

import pytest

from tests.conftest import PROJECT

PAGES = sorted(path.stem for path in (PROJECT / "pages").glob("*.py"))
MOST_LINES = 40
WRITTEN = (PROJECT / "CONTRIBUTING.md").read_text()


def recipe() -> str:
    found = re.search(r"### Add a page\n(.*?)\n##", WRITTEN, re.S)
    assert found is not None
    return found[1]


def named_files(page: str) -> list[str]:
    """The files that the recipe names, for this page in the place of x."""
    names = re.findall(r"`((?:[\w.]+/)*\w+\.py)`", recipe())
    return [re.sub(r"(?<=/)x(?=[/.])|(?<=_)x(?=_)", page, name) for name in names]


def functions(path: str) -> set[str]:
    return {
        node.name
        for node in ast.walk(ast.parse((PROJECT / path).read_text()))
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }


def navigation() -> list[str]:
    """The files in the navigation of app.py, in their order."""
    tree = ast.parse((PROJECT / "app.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return [
        call.args[0].value
        for call in calls
        if ast.unparse(call.func) == "st.Page" and isinstance(call.args[0], ast.Constant)
    ]


@pytest.mark.parametrize("page", PAGES)
def test_every_file_of_the_recipe_is_there(page: str) -> None:
    files = named_files(page)
    assert {f"pages/{page}.py", f"dashboard/{page}/page.py", f"tests/pages/test_{page}_page.py"} <= set(files)
    assert [name for name in files if not (PROJECT / name).is_file()] == []


@pytest.mark.parametrize("page", PAGES)
def test_a_page_file_is_thin_and_calls_show(page: str) -> None:
    source = (PROJECT / "pages" / f"{page}.py").read_text()
    assert len(source.splitlines()) <= MOST_LINES
    assert f"at most {MOST_LINES} lines" in recipe()
    assert functions(f"pages/{page}.py") == set()
    assert f"from dashboard.{page} import page" in source
    assert "page.show(" in source
    assert "show" in functions(f"dashboard/{page}/page.py")


def test_the_navigation_has_every_page_once() -> None:
    assert sorted(navigation()) == [f"pages/{page}.py" for page in PAGES]


@pytest.mark.parametrize("page", PAGES)
def test_the_tests_of_a_page_open_it(page: str) -> None:
    tests = (PROJECT / "tests" / "pages" / f"test_{page}_page.py").read_text()
    assert re.search(rf'open_app\(\s*"{page}"', tests)
