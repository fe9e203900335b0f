"""Whole perturbations held out: nothing of them is left to learn from, and the network alone beats the mean
where a path leads there.
"""

from __future__ import annotations

import numpy as np
import pytest

from gpovae_core import keys
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.averages import average_effects
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.response import pearson
from gpovae_core.evaluation.unseen import (
    METHODS,
    Predicted,
    candidates,
    draw_held_out,
    hold_out,
    predict_held_out,
    scores,
)
from tests.questions.test_unseen import SETTINGS, chains
from tests.toy import toy_cells


def test_held_out_cells_are_in_no_other_split_and_nothing_else_changes() -> None:
    prepared = toy_cells()
    name = prepared.perturbations[0]
    apart = hold_out(prepared, (name,))
    own = prepared.labels == name
    assert apart.where(name, (keys.UNSEEN,)).sum() == own.sum()
    before, after = prepared.cells.obs[keys.SPLIT].astype(str), apart.cells.obs[keys.SPLIT].astype(str)
    assert (before[~own] == after[~own]).all()
    assert (prepared.cells.obs[keys.SPLIT] != keys.UNSEEN).all()
    assert name not in candidates(apart)
    with pytest.raises(QueryError, match="NOBODY"):
        hold_out(prepared, ("NOBODY",))


def test_predictions_do_not_depend_on_the_held_out_cells() -> None:
    """Other counts in the cells of what is held out change what is observed, and no prediction."""
    prepared = toy_cells()
    held = draw_held_out(candidates(prepared), 2, 1, 0)[0]
    cells = prepared.cells.copy()
    rows = np.flatnonzero(np.isin(prepared.labels.astype(str), held))
    counts = cells.X.tolil()
    counts[rows] = np.roll(cells.X[rows].toarray(), 3, axis=1)
    cells.X = counts.tocsr()
    changed = PreparedCells(cells, prepared.panel, prepared.report)
    first, second = (predict_held_out(p, SETTINGS, at_once=2, draws=1) for p in (prepared, changed))
    assert first.names == second.names == held
    for method in METHODS:
        np.testing.assert_array_equal(first.predictions[method], second.predictions[method])
    assert np.nanmax(np.abs(first.observed - second.observed)) > 0.5


def test_every_perturbation_has_its_turn_before_one_comes_again() -> None:
    names = tuple("ABCDEFGH")
    drawn = draw_held_out(names, 3, 5, seed=1)
    assert sorted(name for names_ in drawn[:2] for name in names_) != sorted(drawn[0] * 2)
    assert len({name for some in drawn[:3] for name in some}) == 8
    assert all(len(set(some)) == 3 for some in drawn)
    assert drawn == draw_held_out(names, 3, 5, seed=1)
    with pytest.raises(QueryError, match="at least 4"):
        draw_held_out(names, 5, 1, 0)


def test_it_beats_the_mean_where_a_known_path_leads_there() -> None:
    predicted = predict_held_out(chains(), SETTINGS, at_once=4, draws=5, seed=0)
    found = scores(predicted)
    reached = found["with_known_path"]
    assert reached["perturbations"] >= 8
    assert reached["rho"]["network"] > reached["rho"]["perturbation_mean"] + 0.2
    assert reached["rmse"]["network"] < 0.95 * reached["rmse"]["mean_of_others"]
    assert found["pooled"]["rho"]["network"] > found["pooled"]["rho"]["perturbation_mean"] + 0.1
    assert reached["median_rho"]["ceiling"] > reached["median_rho"]["network"]
    row = found["per_perturbation"][0]
    at = predicted.names.index(row["perturbation"])
    known = np.isfinite(predicted.observed[at])
    assert known.sum() == predicted.observed.shape[1] - 1  # all but the perturbed gene itself
    assert row["rho"]["network"] == pytest.approx(
        np.corrcoef(predicted.observed[at][known], predicted.predictions["network"][at][known])[0, 1]
    )


def test_the_reference_is_all_cells_of_the_perturbation_against_controls_that_did_not_train() -> None:
    prepared = toy_cells()
    predicted = predict_held_out(prepared, SETTINGS, at_once=2, draws=1)
    name = predicted.names[0]
    assert predicted.cells[0] == (prepared.labels == name).sum()
    apart = hold_out(prepared, predicted.names)
    effects = average_effects(apart, keys.HELD_OUT, (name,))
    assert effects.control_cells == prepared.where(keys.CONTROL, (keys.TEST,)).sum()
    known = np.isfinite(predicted.observed[0])
    np.testing.assert_array_equal(predicted.observed[0][known], effects.mean.to_numpy()[0][known])


def test_scores_are_those_of_the_formulas_and_undefined_ones_are_null() -> None:
    rng = np.random.default_rng(0)
    observed = rng.normal(size=(3, 9))
    observed[0, 2] = np.nan
    made = {method: rng.normal(size=(3, 9)) for method in METHODS} | {"no_effect": np.zeros((3, 9))}
    found = scores(
        Predicted(
            ("A", "B", "C"),
            np.array([0, 0, 1]),
            np.full(3, 50),
            observed,
            made,
            np.array([2, 0, 0]),
            np.full(3, 0.9),
        )
    )
    known = np.isfinite(observed)
    assert found["pooled"]["rho"]["network"] == pytest.approx(
        pearson(observed[known], made["network"][known])
    )
    assert found["pooled"]["rmse"]["network"] == pytest.approx(
        np.sqrt(((observed - made["network"])[known] ** 2).mean())
    )
    assert found["pooled"]["rho"]["no_effect"] is None
    assert (found["with_known_path"]["perturbations"], found["pooled"]["perturbations"]) == (1, 3)
    nothing = scores(
        Predicted(
            ("A",),
            np.zeros(1),
            np.ones(1),
            observed[:1],
            {k: v[:1] for k, v in made.items()},
            np.zeros(1),
            np.ones(1),
        )
    )
    assert nothing["with_known_path"]["rho"]["network"] is None
