"""The four numbers of trust: the most sobering first, with how many of how many, and what not to believe."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpovae_core.evaluation.network_scores import Network
from gpovae_core.network.overview import Overview
from gpovae_core.reporting.trust import (
    MEASURES,
    NO_DOUBT,
    counted,
    for_browser,
    numbers_of,
    ranked,
    trust_in_words,
    warning,
)

SEEN = Overview(0.5, 133, 23, {"A": 133}, (), again=22, in_doubt=(133, 119), members=20)
SCORES = Network(0.5, 131, 3216, 0.6, 34 / 131, 0.46, estimated_false_edge_rate=0.0478)
BY_KEY = {one.key: one for one in MEASURES}


def test_the_number_that_leaves_most_edges_in_doubt_comes_first() -> None:
    numbers = numbers_of(SEEN, SCORES)
    assert [one.key for one in ranked(numbers)] == ["detours", "again", "held", "false"]
    assert [counted(one, numbers) for one in ranked(numbers)] == [
        "119 of 133",
        "22 of 133",
        "34 of 131",
        "about 6 of 133",
    ]
    fewer = numbers_of(replace(SEEN, again=2, in_doubt=(133, 40)), SCORES)
    assert [one.key for one in ranked(fewer)] == ["again", "held", "detours", "false"]


def test_what_not_to_believe_follows_from_the_weakest() -> None:
    told = trust_in_words(numbers_of(SEEN, SCORES), SEEN.members)
    assert told.startswith("Do not read an arrow as direct: 119 of 133 edges may run over a gene")
    assert "22 of 133 come back in at least half of 20 networks" in told
    assert told.count("119 of 133") == 1
    seldom = warning(numbers_of(replace(SEEN, again=2), SCORES), 20)
    assert seldom.startswith("Do not rest on a single edge: only 2 of 133 edges come back")
    empty = numbers_of(replace(SEEN, again=133, in_doubt=(133, 0)), None)
    assert warning(empty, 20) == NO_DOUBT
    many = numbers_of(replace(SEEN, again=None, in_doubt=None), replace(SCORES, bh_share=1.0))
    assert warning(many, None).startswith("Do not count these edges as effects: about 6 of 133")


def test_what_is_not_known_comes_last_and_is_not_told() -> None:
    numbers = numbers_of(replace(SEEN, again=None, members=None), None)
    assert next(one.key for one in ranked(numbers)) == "detours"
    assert "networks" not in trust_in_words(numbers, None)
    assert trust_in_words(dict.fromkeys(BY_KEY), None) == ""


def test_scores_at_another_threshold_say_nothing_of_these_edges() -> None:
    numbers = numbers_of(replace(SEEN, threshold=0.9), SCORES)
    assert numbers["held"] is None
    assert numbers["false"] is None


@pytest.mark.parametrize(("share", "words"), [(0.05, "about 1 of 20"), (0.001, "fewer than 1 of 20")])
def test_an_estimate_is_said_as_one(share: float, words: str) -> None:
    assert counted(BY_KEY["false"], {"false": (share * 20, 20)}) == words


def test_every_number_says_what_it_does_not_show() -> None:
    for one in MEASURES:
        assert one.says.endswith(".")
        assert one.limits.startswith("Not that")
        assert "{count}" in one.warning
        assert "{number}" in one.short
    sent = for_browser()
    assert [one["key"] for one in sent["measures"]] == list(BY_KEY)  # type: ignore[union-attr, index]
