"""The words of the screens: short enough for a hover, linked, and found in titles."""

from __future__ import annotations

import re

import pytest

from gpovae_core.reporting.glossary import BY_WORD, MOST_WORDS, TERMS, Term, page, term, terms_in
from tests.conftest import PROJECT

ASKED_FOR = """
    run, panel, perturbed gene, extended gene, control, effect, lift, edge, W, strength (S), influence (T_K),
    hop, path, evidence, false-edge rate, baseline, ceiling, share of the achievable, open detour,
    held-out cells, perturbation, knock-down, knock-out, ensemble, null, muWD, FOR, ATE-rho, interaction
"""


def test_every_word_is_there_once() -> None:
    assert {word.strip() for word in ASKED_FOR.split(",")} <= set(BY_WORD)
    spellings = [spelling.lower() for one in TERMS for spelling in (one.word, *one.spellings)]
    assert len(spellings) == len(set(spellings))


@pytest.mark.parametrize("one", TERMS, ids=lambda one: one.word)
def test_a_definition_fits_a_hover_and_links_to_words_that_exist(one: Term) -> None:
    assert len(one.short.split()) <= MOST_WORDS
    assert one.short.endswith(".")
    assert 1 <= one.more.count(". ") + 1 <= 3
    assert set(one.see) <= set(BY_WORD) - {one.word}


def test_the_page_in_the_docs_is_the_one_made_from_here() -> None:
    assert (PROJECT / "docs" / "glossary.md").read_text() == page()
    assert "docs/glossary.md" in (PROJECT / "README.md").read_text()


def test_every_link_on_the_page_meets_a_heading() -> None:
    # As GitHub and MkDocs make it: lower case, punctuation dropped, a hyphen for every blank.
    headings = {
        "".join(c for c in heading.lower().replace(" ", "-") if c.isalnum() or c in "-_")
        for heading in re.findall(r"(?m)^## (.+)$", page())
    }
    links = re.findall(r"\]\(#([^)]+)\)", page())
    assert len(headings) == len(TERMS) < len(links)
    assert set(links) <= headings


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Share of the achievable", ["share of the achievable"]),
        ("rho, ceiling", ["ceiling", "ATE-rho"]),
        ("Edges", ["edge"]),
        ("W: distance, significant", ["W"]),
        ("Mean Wasserstein distance", ["muWD"]),
        ("FOR beyond", ["FOR"]),
        ("Open detours", ["open detour"]),
        ("Wanted for both", []),
        ("Source", []),
        ("Preset 'evidence'", []),
        ("Best path's probability", ["path"]),
        ("No effect", ["baseline", "effect"]),
        ("runsheet of swallows", []),
    ],
)
def test_words_are_found_in_titles(title: str, words: list[str]) -> None:
    assert [one.word for one in terms_in(title)] == words


def test_a_word_is_found_by_any_spelling() -> None:
    assert term("T_K") is term("Influence") is BY_WORD["influence (T_K)"]
    with pytest.raises(KeyError, match="does not hold 'swallow'"):
        term("swallow")
