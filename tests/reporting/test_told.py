"""What screens say of W, of responding cells and of states."""

from __future__ import annotations

import pytest

from gpovae_core.evaluation.scores import Evaluation, ResponderShare, States, StateShare
from gpovae_core.evaluation.told import notes
from gpovae_core.reporting.sentences import W_IN_WORLDS, responders_in_words, states_in_words, w_in_words
from tests.conftest import PROJECT


def test_the_words_on_w_are_those_of_the_measurement():
    text = (PROJECT / "docs" / "results.md").read_text()
    start = text.index("What W has meant")
    told = text[start : start + 400].replace("\n", " ")
    for low, high, direct in W_IN_WORLDS:
        assert f"{direct:.2f}" in told
        assert f"{100 * direct:.0f} %" in w_in_words((low + high) / 2)
    assert "93 %" in w_in_words(1.0)
    assert "below 0.5" in w_in_words(0.2)


@pytest.fixture
def scores() -> Evaluation:
    return Evaluation(
        responders=(
            ResponderShare("A", None, 200, 0.5, 0.4, 0.6, 5.0),
            ResponderShare("A", "A-1", 100, 0.9, 0.8, 1.0, 5.0),
            ResponderShare("A", "A-2", 100, 0.1, 0.0, 0.2, 5.0),
            ResponderShare("B", None, 100, None, None, None, 1.0),
        ),
        states=States(
            (4.0,), (StateShare("A", 200, 0.7, 0.4, 6.2, True), StateShare("B", 100, 0.4, 0.4, 0.1, False))
        ),
    )


def test_responding_cells_are_told_by_perturbation_and_guide(scores):
    words = responders_in_words(scores, "A")
    assert "50 % of 200" in words
    assert "40 % to 60 %" in words
    assert "A-2 10 %" in words
    assert "cannot be told" in responders_in_words(scores, "B")
    assert responders_in_words(scores, "C") == responders_in_words(None, "A") == ""


def test_a_moved_state_is_told_where_it_is_flagged(scores):
    assert "70 % of its cells" in states_in_words(scores, "A")
    assert states_in_words(scores, "B") == states_in_words(Evaluation(), "A") == ""
    found = notes(scores.states, scores.responders)
    assert any("between states" in text and "A" in text for text in found)
    assert any("A 50 %" in text for text in found)
