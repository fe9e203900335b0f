"""Progress: nobody has to listen, and a part of the work fills its stretch of the whole."""

from __future__ import annotations

import pytest

from gpovae_core.data.progress import stretch, tell


def test_nobody_has_to_listen():
    tell(None, "matching controls", 0.5)
    assert stretch(None, 0.2, 0.4) is None


def test_a_part_fills_its_stretch_of_the_whole():
    told: list[tuple[str, float]] = []
    part = stretch(lambda stage, share: told.append((stage, share)), 0.5, 0.75, "preparing: {}")
    for share in (0.0, 0.5, 1.0):
        tell(part, "checking", share)
    assert [stage for stage, _ in told] == ["preparing: checking"] * 3
    assert [share for _, share in told] == pytest.approx([0.5, 0.625, 0.75])


def test_parts_within_parts_and_words_of_the_whole_alone():
    told: list[tuple[str, float]] = []
    whole = stretch(lambda stage, share: told.append((stage, share)), 0.0, 0.5, "training: {}")
    tell(stretch(whole, 0.5, 1.0, "member 2 of 2"), "not said", 0.5)
    assert told == [("training: member 2 of 2", pytest.approx(0.375))]
