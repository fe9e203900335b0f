"""What the site and the README promise: links that lead somewhere, a reference that leaves nothing out, and
versions, licences and commands that agree. Nothing is built here; `make docs` does that.
"""

from __future__ import annotations

import importlib.util
import inspect
import os
import re
import tomllib
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import typer.main

import gpovae_core
from gpovae_core.cli import app
from gpovae_core.config import PRESETS, Settings, make_settings, sections
from gpovae_core.data.simulate.settings import SimulationSettings
from gpovae_core.runs.clusters.sites import Site
from gpovae_core.sweeps.plan import SweepPlan
from tests.conftest import PROJECT

DOCS = PROJECT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
ABOUT = [PROJECT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")]
APPENDIX = DOCS / "notes.md"
LINK = re.compile(r"\]\(([^)\s]+)\)")
FENCE = re.compile(r"(?ms)^```.*?^```|`[^`\n]*`")
COMMANDS: dict[str, Any] = getattr(typer.main.get_command(app), "commands")  # noqa: B009 (typer has no type for it)


@cache
def from_code() -> ModuleType:
    spec = importlib.util.spec_from_file_location("from_code", DOCS / "from_code.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def filled(page: Path) -> str:
    """A page with what it takes from the code."""
    return from_code().filled(page.read_text())


@cache
def anchors(page: Path) -> frozenset[str]:
    """Where a link into a page may lead: its headings, lower case, without punctuation, a hyphen for every
    blank, as Sphinx and forges make them.
    """
    text = FENCE.sub(lambda code: "" if code[0].startswith("```") else code[0], filled(page))
    headings = (re.sub(r"[`*]", "", heading) for heading in re.findall(r"(?m)^#+ (.+)$", text))
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings)


def dead_links(page: Path) -> list[str]:
    dead = []
    for link in LINK.findall(FENCE.sub("", page.read_text())):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            dead.append(link)
    return dead


@pytest.mark.parametrize("page", [*ABOUT, *PAGES], ids=lambda page: page.name)
def test_every_link_leads_somewhere(page: Path) -> None:
    assert dead_links(page) == []


def test_a_dead_link_is_noticed(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A, b\n\n[x](page.md#a-b) [y](#a-b) [z](#c) [u](gone.md) [v](https://example.org) `[w](code.md)`"
    )
    assert dead_links(page) == ["#c", "gone.md"]


def test_every_page_is_in_the_navigation() -> None:
    trees = re.findall(r"(?ms)^```\{toctree\}\n(.*?)^```", (DOCS / "index.md").read_text())
    listed = [
        entry.rstrip(">").split("<")[-1]
        for tree in trees
        for entry in tree.splitlines()
        if entry[:1] not in ":"
    ]
    pages = [path.relative_to(DOCS).with_suffix("").as_posix() for path in PAGES if path.name != "index.md"]
    notebooks = [path.relative_to(DOCS).with_suffix("").as_posix() for path in DOCS.glob("notebooks/*.ipynb")]
    assert sorted(filter(None, listed)) == sorted(pages + notebooks)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_is_in_the_reference(name: str) -> None:
    page = DOCS / "reference" / "commands.md"
    assert f"`gpovae {name}" in page.read_text(), "say what it is for, in the lists at the top"
    section = filled(page).split(f"\n## gpovae {name}\n")[1].split("\n## ")[0]
    missing = [
        option
        for parameter in COMMANDS[name].params
        if not getattr(parameter, "hidden", False)
        for option in (parameter.opts if parameter.param_type_name == "option" else [parameter.metavar or ""])
        if option not in section
    ]
    assert missing == []
    assert inspect.cleandoc(COMMANDS[name].help).split("\n")[0] in section


def test_every_setting_is_in_the_reference_with_its_default_and_a_sentence() -> None:
    page = filled(DOCS / "reference" / "settings.md")
    rows = {
        cells[1].strip().strip("`"): cells for line in page.splitlines() if len(cells := line.split("|")) > 3
    }
    for section, own in sections(make_settings()).items():
        for field, info in type(own).model_fields.items():
            row = rows.pop(f"{section}.{field}")
            assert info.description, f"{section}.{field} lacks a description"
            assert f"; default `{from_code()._shown(getattr(own, field))}`" in "|".join(row[2:])
    for model in (SimulationSettings, SweepPlan, Site):
        for field, info in model.model_fields.items():
            assert info.description, f"{model.__name__}.{field} lacks a description"
            assert field in rows
    assert all(preset in page for preset in PRESETS)
    assert set(Settings.model_fields) - {"preset"} == set(sections(make_settings()))


def test_what_another_preset_has_instead_stands_behind_the_default() -> None:
    (line,) = (line for line in from_code().settings().splitlines() if "`model.latent`" in line)
    assert "; default `32`; `100` in released, paper, cradle-vae, sams-vae |" in line


def test_every_variable_of_the_environment_is_in_the_reference() -> None:
    read = set()
    for room in ("gpovae_core", "dashboard"):
        for path in (PROJECT / room).rglob("*.py"):
            read |= set(re.findall(r"\bGPOVAE_\w+", path.read_text()))
    listed = re.findall(r"(?m)^\| `(GPOVAE_\w+)`", (DOCS / "reference" / "settings.md").read_text())
    assert sorted(listed) == sorted(read)


def test_every_public_name_is_in_the_reference() -> None:
    page = filled(DOCS / "reference" / "python.md")
    assert [name for name in gpovae_core.__all__ if f" gpovae_core.{name}\n" not in page] == []


def test_every_requirement_stands_in_the_table_with_its_reason_and_licence() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    extras = (
        line for lines in project["project"].get("optional-dependencies", {}).values() for line in lines
    )
    files = (PROJECT / name for name in ("requirements.txt", "requirements-dev.txt"))
    lines = [line for file in files for line in file.read_text().splitlines() if line and line[0] not in "#-"]
    lines += [*extras, *project["project"].get("dependencies", []), *project["build-system"]["requires"]]
    asked = {match[0].lower() for line in lines if (match := re.match(r"[\w.-]+", line))}
    page = (DOCS / "dependencies.md").read_text().split("## Written by hand")[0]
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in page.splitlines()
        if line.startswith("| ")
    ]
    told = {cells[0].lower(): cells for cells in rows if cells[0] not in ("package", "---")}
    assert set(told) == asked
    assert [name for name, cells in told.items() if not all(cells)] == []


def test_the_citation_is_of_this_version() -> None:
    citation = (PROJECT / "CITATION.cff").read_text()
    assert re.findall(r"(?m)^version: (.+)$", citation) == [gpovae_core.__version__]


def test_the_container_does_what_the_readme_says() -> None:
    install = re.findall(r"(?m)^RUN (.+)$", (PROJECT / "Containerfile").read_text())
    serve = re.findall(r'(?m)^CMD \["(.+)"\]$', (PROJECT / "Containerfile").read_text())
    readme = (PROJECT / "README.md").read_text()
    assert len(install) == len(serve) == 1
    assert f".venv/bin/{install[0]}\n" in readme
    assert f".venv/bin/{' '.join(serve[0].split(chr(34) + ', ' + chr(34))[:2])} " in readme


DIARY = re.compile(
    r"\b(busy|idle machine|other work|load of about|was tried|were tried|tried:|has not been run)\b",
    re.IGNORECASE,
)
"""How the work went and what else the machine did: said in the appendix alone."""


@pytest.mark.parametrize(
    "page", [ABOUT[0], *(page for page in PAGES if page != APPENDIX)], ids=lambda page: page.name
)
def test_the_work_itself_is_told_in_the_appendix_alone(page: Path) -> None:
    assert [line for line in page.read_text().splitlines() if DIARY.search(line)] == []


def test_the_readme_is_short() -> None:
    text = (PROJECT / "README.md").read_text()
    assert len(text.splitlines()) <= 80
    assert max(len(LINK.findall(block)) for block in re.split(r"\n\n|\n- ", text)) <= 6, (
        "links in one paragraph"
    )
    assert os.path.getsize(PROJECT / "docs" / "index.md") > 0
