"""How one gene acts on another, in a sentence."""

from __future__ import annotations

import numpy as np
import pytest

from gpovae_core.network.paths import PathTrace, TracedPath
from gpovae_core.reporting.ways import others_in_words, part_in_words, ways_in_words


def trace(direct: float, *ways: tuple[str, float], influence: float = 0.4) -> PathTrace:
    """From A to Z: the edge with its share, and paths over the named genes with theirs."""
    listed = [(("A", "Z"), direct), *((("A", *over.split(), "Z"), share) for over, share in ways)]
    paths = tuple(
        TracedPath(genes, (0.5,) * (len(genes) - 1), 0.5 ** (len(genes) - 1), share, 1)
        for genes, share in listed
    )
    explained = float(np.sum([path.share for path in paths]))
    by_hops = (direct, 1.0 - direct) if influence else (0.0, 0.0)
    return PathTrace(("A",), "Z", 5, 0.0, paths, influence, by_hops, explained, 1.0 - explained)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (trace(0.5, ("B", 0.5)), "A changes Z half directly, half through B."),
        (
            trace(0.34, ("B", 0.4), ("C", 0.26)),
            "A changes Z a third directly, 40 % through B and a quarter through C.",
        ),
        (trace(0.0, ("B", 0.82)), "A changes Z not directly, but 82 % through B."),
        (trace(0.97, ("B", 0.02)), "A changes Z almost only directly."),
        (trace(0.8, ("B", 0.01)), "A changes Z mainly (80 %) directly."),
        (trace(0.1), "A changes Z over many weak ways; 10 % of it directly."),
        (
            trace(0.3, ("B C", 0.4), ("B", 0.3)),
            "A changes Z 30 % directly, 70 % through B and 40 % through C.",
        ),
        (trace(0.01, ("B C", 0.98)), "A changes Z not directly, but 98 % through B and then C."),
        (
            trace(0.0, ("B", 0.5), ("C", 0.5)),
            "A changes Z not directly, but half through B and half through C.",
        ),
        (trace(0.0, influence=0.0), "Nothing leads from A to Z within 5 hops."),
    ],
)
def test_the_parts_are_said_in_words(found: PathTrace, words: str) -> None:
    assert ways_in_words(found) == words


def test_ways_that_cancel_are_no_parts_of_a_whole() -> None:
    said = ways_in_words(trace(3.0, ("B", -2.0)))
    assert "one against the other" in said
    assert "300 % of what is left directly, -200 % through B" in said
    assert "against weaker ways" in ways_in_words(trace(1.4))
    said = ways_in_words(trace(55.3, ("B", -54.4)))
    assert "hardly anything is left" in said
    assert "%" not in said


@pytest.mark.parametrize("share", np.linspace(0, 1, 41))
def test_words_are_near_what_they_stand_for(share: float) -> None:
    stands_for = {
        "a quarter": 0.25,
        "a third": 1 / 3,
        "half": 0.5,
        "two thirds": 2 / 3,
        "three quarters": 0.75,
    }
    said = part_in_words(float(share))
    value = stands_for[said] if said in stands_for else float(said.split()[0]) / 100
    assert abs(value - share) <= 0.05 + 1e-9


@pytest.mark.parametrize(
    ("rest", "said"),
    [
        (0.2, "carry the remaining 20 %."),
        (-0.01, "act against that, by 1 %."),
        (-0.004, "carry less than 1 %."),
        (0.004, "carry less than 1 %."),
    ],
)
def test_what_is_left_is_no_negative_share(rest: float, said: str) -> None:
    assert others_in_words(rest) == f"Other ways, and walks that pass a gene more than once, {said}"
