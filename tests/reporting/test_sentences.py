"""Sentences on how good a run is, for whoever does not know the names of the scores."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpovae_core.evaluation.plain import from_plain, to_plain
from gpovae_core.evaluation.scores import EffectScores, Evaluation, Response
from gpovae_core.evaluation.stored import read_evaluation
from gpovae_core.evaluation.summary import lines
from gpovae_core.reporting.sentences import (
    effects_note,
    in_one_sentence,
    lift_in_words,
    null_in_words,
    predictions_in_short,
    rows_in_words,
    scores_in_words,
    shares_in_words,
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
    assert in_one_sentence(scores) == (
        "This model is better than methods without a model at predicting what these perturbations do "
        "(correlation with held-out cells 0.47; the plain mean of the training cells: 0.42; about the most "
        "that cells as noisy as these allow: 0.55), but worse than them at listing which genes change (43 % "
        "of its 68 edges that can be tested show a significant effect in held-out cells; of as many pairs "
        "ranked by Mann-Whitney z: 69 %; of random pairs: 3 %)."
    )
    assert "is **better than** methods" in in_one_sentence(scores, strong="**")
    told, follows = verdicts_in_short(scores)
    assert told == (
        "Scores better than the best method without a model: Predicted effects on held-out cells, 8 of 13; "
        "Network against held-out cells, 0 of 6."
    )
    assert follows.startswith("Of all predictions the model with training mean (the average of both, ")
    assert "To find pairs that change in held-out cells, rank by Mann-Whitney z" in follows
    assert in_one_sentence(scores) in scores_in_words(scores)


@pytest.mark.parametrize(
    ("own", "words"),
    [(0.48, "is better than"), (0.425, "is no better than"), (0.3, "is worse than")],
)
def test_the_sentence_follows_the_scores(scores: Evaluation, own: float, words: str) -> None:
    """0.42 is the best without a model; the other scores lead or trail as this one does."""
    test = scores.against("test")
    rivals = {"train_mean": 0.42, "perturbation_mean": 0.1, "model": own}
    alike = dict.fromkeys(("median_rho", "r2", "weighted_r2"), rivals)
    only = EffectScores(compared=dict.fromkeys(rivals, 23), cells=test.cells, ate_rho=rivals, **alike)
    found = Evaluation(response=Response(test=only))
    told = in_one_sentence(found)
    assert words in told
    assert f"correlation with held-out cells {own:.2f}; the plain mean of the training cells: 0.42)" in told
    assert "listing" not in told, "nothing was measured of a network"


def test_a_lead_on_the_first_score_alone_is_no_lead() -> None:
    ahead = {"train_mean": 0.4, "perturbation_mean": 0.1, "model": 0.5}
    behind = {"train_mean": 0.5, "perturbation_mean": 0.1, "model": 0.4}
    only = EffectScores(
        compared=dict.fromkeys(ahead, 5), ate_rho=ahead, median_rho=behind, r2=behind, weighted_r2=behind
    )
    assert "is no better than" in in_one_sentence(Evaluation(response=Response(test=only)))


def test_what_a_reader_of_the_shares_would_stumble_over_is_explained(scores: Evaluation) -> None:
    beyond = [
        replace(line, share=1.13) if line.name == "rho beyond the mean perturbation" else line
        for line in lines(scores)
    ]
    above, alone = shares_in_words(beyond)
    assert "Correlation beyond the mean perturbation, this run (113 %: " in above
    assert "read a share above it as at the ceiling" in above
    assert "Edges (W), effects that they miss. Other methods only rank pairs" in alone
    near = [replace(line, share=None) for line in lines(scores)[:1]]
    assert shares_in_words(near) == [
        "Not drawn, as no ceiling is known or it is too near the baseline: Correlation, all effects."
    ]


def test_every_row_has_a_plain_name_of_its_own_and_says_what_it_is() -> None:
    for name in ("papalexi", "run"):
        found = read_evaluation(RunFolder(PROJECT / "assets" / "demo" / name))
        assert found is not None
        rows = rows_in_words(lines(found))
        assert len({row for row, _ in rows}) == len(rows)
        for line, (row, words) in zip(lines(found), rows, strict=True):
            assert row != line.name
            assert len(row) <= 44
            assert words.startswith(f"{line.name}: {line.meaning}")


def test_what_was_not_measured_is_left_out(scores: Evaluation) -> None:
    assert verdicts_in_short(Evaluation()) == []
    assert predictions_in_short(Evaluation()) == in_one_sentence(Evaluation()) == ""
    assert "at listing" not in in_one_sentence(replace(scores, network=None))


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


def test_genes_that_move_most_others_are_named(scores: Evaluation) -> None:
    network = scores.network
    assert network is not None
    stage = network.stage
    assert stage is not None
    lost = replace(network, stage=replace(stage, lift_unclear=("A", "B")), estimated_false_edge_rate=None)
    everywhere = replace(scores, network=lost)
    places = (
        lift_in_words(lost),
        what_false_means(lost),
        null_in_words(everywhere),
        scores_in_words(everywhere),
    )
    for told in places:
        assert "A, B move most of the measured genes" in (told or "")
        assert "how many edges are false is unknown" in (told or "")
    one = replace(lost, stage=replace(stage, lift_unclear=("A",)))
    assert "A moves most of the measured genes" in (lift_in_words(one) or "")
    assert "edges out of it are uncertain" in (lift_in_words(one) or "")
    assert from_plain(Evaluation, to_plain(replace(scores, network=lost))).network == lost


def test_cells_are_counted_once(scores: Evaluation) -> None:
    assert effects_note(scores, "test").startswith("23 perturbations, 1,236 held-out cells. ")
    assert effects_note(scores, "all").startswith("23 perturbations, 6,174 cells. ")
