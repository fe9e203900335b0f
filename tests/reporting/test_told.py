"""What screens say of W, of responding cells and of states."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpovae_core.evaluation.scores import Evaluation, ResponderShare, States, StateShare
from gpovae_core.evaluation.stored import read_evaluation
from gpovae_core.evaluation.told import notes
from gpovae_core.reporting.sentences import (
    BEFORE_RESTS,
    W_IN_WORLDS,
    responders_in_words,
    states_in_words,
    w_in_words,
)
from gpovae_core.runs.folder import RunFolder
from tests.conftest import PROJECT


def test_the_words_on_w_are_those_of_the_measurement():
    text = (PROJECT / "docs" / "results.md").read_text()
    start = text.index("What W has meant")
    told = text[start : start + 400].replace("\n", " ")
    for low, high, direct in W_IN_WORLDS:
        assert f"{direct:.2f}" in told
        assert f"{100 * direct:.0f} %" in w_in_words((low + high) / 2, rests=True)
        assert low - 0.1 <= direct <= high + 0.1  # W means what it says
    assert "95 %" in w_in_words(1.0, rests=True)
    assert "below 0.5" in w_in_words(0.2, rests=True)


def test_w_of_older_runs_and_of_other_presets_is_not_taken_for_the_same():
    for low, high, direct in BEFORE_RESTS:
        told = w_in_words((low + high) / 2, rests=False)
        assert told.startswith("W of this older run is no probability")
        assert f"{100 * direct:.0f} %" in told
    assert "was not measured" in w_in_words(0.9, rests=None)


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
    words = states_in_words(scores, "A")
    assert words.startswith("A moves cells between states: 70 % of its cells")
    assert "of the controls 40 % (apart by 6.2 standard errors)" in words
    assert "edges out of it may be no regulation" in words
    assert states_in_words(scores, "B") == states_in_words(Evaluation(), "A") == ""


def test_the_notes_say_of_whom_what_was_measured_and_what_it_means_for_edges(scores):
    moved, escaped = notes(scores.states, scores.responders)
    assert moved.startswith(
        "A (70 % of its cells, 40 % of controls) moves cells between two states that controls show: "
    )
    assert "more than 4 standard errors apart" in moved
    assert "edges out of it may be no regulation" in moved
    assert escaped.startswith("In A (50 %) some cells escape")
    assert "interval ends below 80 %" in escaped
    assert "edges out of these genes are missed more easily" in escaped
    assert notes(States((), ()), ()) == []


def test_the_notes_speak_of_several_as_of_several(scores):
    both = tuple(replace(one, flagged=True) for one in scores.states.perturbations)
    moved = notes(States((4.0,), both), ())[0]
    assert moved.startswith(
        "A (70 % of its cells, 40 % of controls), B (40 % of its cells, 40 % of controls) move "
    )
    assert "edges out of them" in moved


@pytest.mark.parametrize("demo", ["papalexi", "run"])
def test_the_demo_runs_say_it_as_it_is_said_now(demo):
    scores = read_evaluation(RunFolder(PROJECT / "assets" / "demo" / demo))
    assert set(notes(scores.states, scores.responders)) <= set(scores.notes)
