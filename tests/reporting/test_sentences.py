"""Sentences on how good a run is, for whoever does not know the names of the scores."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpovae_core.evaluation.plain import from_plain, to_plain
from gpovae_core.evaluation.scores import Evaluation
from gpovae_core.evaluation.stored import read_evaluation
from gpovae_core.reporting.sentences import (
    edges_in_short,
    effects_note,
    lift_in_words,
    null_in_words,
    predictions_in_short,
    scores_in_words,
    verdicts_in_short,
    what_false_means,
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


def test_a_gene_that_is_left_out_of_the_depth_is_named_with_its_share(scores: Evaluation) -> None:
    network = scores.network
    assert network is not None
    stage = network.stage
    assert stage is not None

    def without(genes: dict[str, float] | None) -> Evaluation:
        return replace(scores, network=replace(network, stage=replace(stage, depth_without=genes)))

    places = (
        lambda found: null_in_words(found) or "",
        lambda found: what_false_means(found.network),
        scores_in_words,
    )
    for told in places:
        assert "left out of the depth" not in told(without(None))
        assert (
            "HBE1 (44 % of the controls' counts) was left out of the depth by which controls were drawn: a "
            "cell that loses it is shallow for that alone." in told(without({"HBE1": 0.443}))
        )
        assert "HBG2 (12 % of the controls' counts) were left out of the depth" in told(
            without({"HBE1": 0.443, "HBG2": 0.12})
        )
    kept = without({"HBE1": 0.443})
    assert from_plain(Evaluation, to_plain(kept)) == kept


def test_cells_are_counted_once(scores: Evaluation) -> None:
    assert effects_note(scores, "test").startswith("23 perturbations, 1,236 held-out cells. ")
    assert effects_note(scores, "all").startswith("23 perturbations, 6,174 cells. ")
