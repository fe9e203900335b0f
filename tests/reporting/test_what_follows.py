"""What a reader is told to do by the scores, and why a run has fewer perturbations than its file."""

from __future__ import annotations

import pytest

from gpovae_core.data.schema import DesignColumns, Dropped, PreparationReport
from gpovae_core.evaluation.network_scores import EdgeScore, Network, RandomEdges, SameEdges
from gpovae_core.evaluation.scores import EffectScores, Evaluation, Response
from gpovae_core.methods import registry
from gpovae_core.reporting.sentences import left_out_in_words, verdicts, without_controls_in_words

SCORES = {"model": 0.5, "calibrated": 0.6, "train_mean": 0.4, "linear": 0.2, "perturbation_mean": 0.1}
COMPARED = dict.fromkeys(SCORES, 10)


def of_effects(**scores: dict[str, float]) -> str:
    found = Evaluation(response=Response(test=EffectScores(compared=COMPARED, **scores)))
    return verdicts(found)[0]


def of_edges(own: float, rivals: dict[str, float]) -> str:
    random = RandomEdges(0.1, 0.1, 0.1, 0.0, 0.0, 0.0)
    same = SameEdges(random, {key: EdgeScore(value, value, value) for key, value in rivals.items()})
    return verdicts(Evaluation(network=Network(0.5, 20, 100, own, own, own, at_same_edges=same)))[0]


def test_the_prediction_that_leads_most_often_is_the_one_to_take() -> None:
    mean = SCORES | {"train_mean": 0.9}
    told = of_effects(ate_rho=SCORES, median_rho=SCORES, r2=mean)
    assert "on 2 of 3 scores" in told
    assert (
        "Of all predictions the model with training mean (the average of both, weighed by how sure the mean "
        "is) is best on most scores, 2 of 3; next the training mean, on 1." in told
    )
    alone = of_effects(ate_rho=mean)
    assert alone.endswith("Of all predictions the training mean is best on most scores, 1 of 1.")


def test_a_prediction_of_fewer_perturbations_is_not_to_be_taken() -> None:
    part = EffectScores(compared=COMPARED | {"train_mean": 9}, ate_rho=SCORES | {"train_mean": 0.9})
    told = verdicts(Evaluation(response=Response(test=part)))[0]
    assert "Of all predictions the model with training mean" in told


def test_a_network_that_loses_everywhere_says_what_to_rank_by() -> None:
    first, second, *_ = [one.key for one in registry.with_role("baseline")]
    told = of_edges(0.2, {first: 0.3, second: 0.25})
    assert "on 0 of 3 scores" in told
    assert f"rank by {registry.title(first)}, not by W or T_K" in told
    assert "direct these scores cannot say" in told


def test_a_network_that_wins_everywhere_is_to_be_ranked_by() -> None:
    first = registry.with_role("baseline")[0].key
    told = of_edges(0.9, {first: 0.3})
    assert "on 3 of 3 scores" in told
    assert "rank by W or T_K." in told


DROPPED = [
    Dropped(what="perturbation", name="SPI1", count=21, reason="fewer than 40 cells"),
    Dropped(what="perturbation", name="MYC", count=33, reason="fewer than 40 cells"),
    Dropped(what="cells", name="empty", count=3, reason="no counts at all"),
]


def test_perturbations_that_were_left_out_are_named_with_the_reason() -> None:
    assert left_out_in_words(23, DROPPED) == (
        "23 of the file's 25 perturbations are used; left out: MYC (33 cells), SPI1 (21): fewer than 40 "
        "cells."
    )
    assert left_out_in_words(23, DROPPED[2:]) == ""


@pytest.mark.parametrize(("number", "more"), [(6, False), (9, True)])
def test_many_are_counted(number: int, more: bool) -> None:
    many = [replace_name(DROPPED[0], f"G{k}") for k in range(number)]
    assert ("and 3 more: fewer than 40 cells" in left_out_in_words(5, many)) is more


def replace_name(one: Dropped, name: str) -> Dropped:
    return one.model_copy(update={"name": name})


def test_perturbations_without_controls_in_their_batches_are_named_with_the_reason() -> None:
    report = PreparationReport(
        source="x.h5ad", cells_read=9, cells_kept=9, genes_measured=9, counts_from="X", label_column="gene",
        control_label="NT", perturbations={"A": 3, "B": 3, "C": 3}, control_cells=3,
        design=DesignColumns(batch="lane", donor="who"),
    )  # fmt: skip
    assert without_controls_in_words(report) == ""
    assert without_controls_in_words(report.model_copy(update={"without_controls": ("B",)})) == (
        "1 of 3 perturbations has no control cells in its batch and donor, so none of its effects can be "
        "measured: B."
    )
    several = without_controls_in_words(report.model_copy(update={"without_controls": ("A", "B")}))
    assert several.startswith("2 of 3 perturbations have no control cells in their batch and donor")
