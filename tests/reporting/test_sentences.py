"""Sentences on how good a run is, for whoever does not know the names of the scores."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpovae_core.evaluation.scores import Evaluation
from gpovae_core.evaluation.stored import read_evaluation
from gpovae_core.reporting.sentences import (
    edges_in_short,
    effects_note,
    lift_in_words,
    predictions_in_short,
    verdicts_in_short,
)
from gpovae_core.runs.folder import RunFolder
from tests.conftest import PROJECT


@pytest.fixture(scope="module")
def scores() -> Evaluation:
    """Of the demo of real cells."""
    found = read_evaluation(RunFolder(PROJECT / "assets" / "demo" / "papalexi"))
    assert found is not None
    return found


def test_how_good_a_run_is_stands_beside_what_needs_no_model(scores: Evaluation) -> None:
    *told, follows = verdicts_in_short(scores)
    assert told == [
        "Predicted effects: correlation with held-out cells 0.465 (baseline, the training mean: 0.423; "
        "ceiling: 0.545).",
        "Edges: 26 % of 131 show a significant effect in held-out cells (baseline, random pairs: 3 %; best "
        "ranking without a model, Mann-Whitney z: 44 %).",
        "Scores better than the best method without a model: Predicted effects on held-out cells, 9 of 13; "
        "Network against held-out cells, 0 of 6.",
    ]
    assert follows.startswith("So, for predictions: take the ")
    assert "So, to find pairs that change in held-out cells: rank by Mann-Whitney z" in follows


def test_what_was_not_measured_is_left_out(scores: Evaluation) -> None:
    assert verdicts_in_short(Evaluation()) == []
    assert predictions_in_short(Evaluation()) == edges_in_short(Evaluation()) == ""
    assert len(verdicts_in_short(replace(scores, network=None))) == 3


def test_a_lift_of_nothing_is_no_number(scores: Evaluation) -> None:
    network = scores.network
    assert network is not None
    assert network.stage is not None
    assert "common lift here is below 1 %. Tests" in (lift_in_words(network) or "")
    lifted = replace(network, stage=replace(network.stage, common_lift={"A": 0.0953, "B": -0.02}))
    assert "common lift here is +10%, under A" in (lift_in_words(lifted) or "")


def test_cells_are_counted_once(scores: Evaluation) -> None:
    assert effects_note(scores, "test").startswith("23 perturbations, 1,236 held-out cells. ")
    assert effects_note(scores, "all").startswith("23 perturbations, 6,174 cells. ")
