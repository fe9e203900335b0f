"""Errors and hints name what changes a setting where they are read: its control on a page, its option in the
terminal.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from dashboard.data import guides
from dashboard.shared.controls import FIELDS, TITLES, on_page
from dashboard.shared.settings_form import LABELS
from gpovae_core.cli.flags import FLAGS, in_flags
from gpovae_core.config import DataSettings
from gpovae_core.data.decisions import Decision, Option
from tests.conftest import PROJECT

SETTINGS = [name for name in DataSettings.model_fields if "_" in name]
NAMED = re.compile(rf"(?<!['\w.])(?:data\.|effects\.|network\.)?({'|'.join(SETTINGS)})\b|--[a-z]")


def said_in(folder: Path) -> list[str]:
    """Every text in the calls that make a problem or a note, the parts of one text joined."""
    found = []
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant | ast.JoinedStr):
                parts = node.values if isinstance(node, ast.JoinedStr) else [node]
                text = "".join(str(part.value) for part in parts if isinstance(part, ast.Constant))
                found += [text] if re.search(r"[.;:] ?$|\. ", text) and " " in text else []
    return found


def test_what_is_said_of_a_file_names_controls_on_the_page() -> None:
    texts = [
        text for text in said_in(PROJECT / "gpovae_core" / "data") if re.match(r"(Or )?[Ss]et \w+_", text)
    ]
    assert len(texts) >= 8
    for text in texts:
        shown = on_page(text, ())
        assert "“" in shown, text
        assert not NAMED.search(shown), shown


@pytest.mark.parametrize(
    ("text", "page", "terminal"),
    [
        ("Set label_column to one.", "“Labels” (change, below)", "Set --label-column to one."),
        (
            "Set counts_layer to 'a+b' for their sum.",
            "“Counts” (change, below) to 'a+b'",
            "Set counts_layer (--set data.counts_layer=VALUE) to 'a+b' for their sum.",
        ),
        ("Choose one (data.conditions).", "“Conditions”", "Choose one (--conditions)."),
        ("name it by effects.error_column.", "“Standard errors: column or layer”", "--error-column"),
        ("name it by --error-column.", "“Standard errors: column or layer”", "--error-column"),
        ("Set data.panel to 'wilcoxon'.", "“Panel”", "--set data.panel=VALUE"),
        ("label_column is 'label_column'.", "is 'label_column'.", "--label-column is 'label_column'."),
    ],
)
def test_settings_are_named_by_what_changes_them(text: str, page: str, terminal: str) -> None:
    assert page in on_page(text, ())
    assert terminal in in_flags(text)


def test_values_have_the_words_of_the_page_and_questions_stand_above() -> None:
    nearest = Option(value="nearest", text="take the nearest gene")
    asked = Decision(
        setting="unclear_labels", about="Unclear labels", taken="", why="", options=(nearest,), asked=True
    )
    shown = on_page("Or set unclear_labels: 'nearest' takes it.", [asked])
    assert shown == "Or set “Unclear labels” (your choice, above): “take the nearest gene” takes it."
    assert "on the page Data" in on_page("Set label_column to one.")


def test_titles_are_those_of_the_controls() -> None:
    for path, title in FIELDS.items():
        section, _, name = path.partition(".")
        if section == "data":
            part = guides.PARTS.get(name)
            assert title == (part[0] if part else LABELS.get(path, name.replace("_", " ").capitalize()))
    page = (PROJECT / "dashboard" / "data" / "effects.py").read_text()
    assert all(f'"{title}"' in page for path, title in FIELDS.items() if path.startswith("effects."))
    abouts = "".join(path.read_text() for path in (PROJECT / "gpovae_core" / "data").rglob("*.py"))
    told = [title for path, title in TITLES.items() if path.startswith("data.")]
    assert all(f'"{title}"' in abouts or f'"{title.lower()}"' in abouts for title in told)


def test_options_are_those_of_the_commands() -> None:
    sources = "".join(path.read_text() for path in (PROJECT / "gpovae_core" / "cli").glob("*.py"))
    for flag in FLAGS.values():
        plain = flag.removeprefix("--").replace("-", "_")
        assert f"{plain}:" in sources or f'"{flag}' in sources, flag
