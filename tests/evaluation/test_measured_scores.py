"""Scores that need more than the means: weights, DE genes, the centroid, the own target."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import r2_score

from gpovae_core.evaluation import response


@pytest.fixture
def screen() -> tuple[np.ndarray, np.ndarray, response.Measurement]:
    """Observed and predicted effects (12, 40); gene i is the target of perturbation i."""
    rng = np.random.default_rng(4)
    truth = rng.normal(0, 0.2, size=(12, 40)) + (rng.random((12, 40)) < 0.15) * rng.normal(
        0, 1.5, size=(12, 40)
    )
    np.fill_diagonal(truth, -3.0)
    targets = np.zeros((12, 40), dtype=bool)
    np.fill_diagonal(targets, True)
    error = rng.uniform(0.1, 0.3, size=truth.shape)
    measurement = response.Measurement(error, np.abs(truth / error) > 4, targets, truth.mean(axis=0) + 0.05)
    return truth, truth + rng.normal(0, 0.3, size=truth.shape), measurement


def test_weighted_r2_is_that_of_sklearn(screen):
    truth, guess, measurement = screen
    size = np.abs(truth / measurement.standard_error)
    for row, got in enumerate(
        response.weighted_r2(truth, guess, response.effect_weights(measurement.t(truth)))
    ):
        scaled = (size[row] - size[row].min()) / np.ptp(size[row])
        assert got == pytest.approx(r2_score(truth[row], guess[row], sample_weight=scaled**2))


def test_centroid_pearson_against_scipy(screen):
    truth, guess, measurement = screen
    got = response.centroid_pearson(truth, guess, measurement.centroid)
    expected = [
        stats.pearsonr(truth[i] - measurement.centroid, guess[i] - measurement.centroid).statistic
        for i in range(12)
    ]
    np.testing.assert_allclose(got, expected)
    constant = np.tile(measurement.centroid, (12, 1))
    assert np.isnan(response.centroid_pearson(truth, constant, measurement.centroid)).all()


def plain_discrimination(truth: np.ndarray, guess: np.ndarray, targets: np.ndarray) -> list[float]:
    """Written as it is said: one pair of profiles at a time."""
    scores = []
    for i in range(len(truth)):
        distance = [np.abs(guess[i] - truth[k])[~(targets[i] | targets[k])].mean() for k in range(len(truth))]
        nearer = sum(d < distance[i] for k, d in enumerate(distance) if k != i)
        scores.append(1 - nearer / len(truth))
    return scores


def test_discrimination_is_one_minus_the_rank_of_the_true_profile(screen):
    truth, guess, measurement = screen
    targets = measurement.targets.copy()
    targets[3, 7] = targets[7, 3] = True  # two combinations that share their genes
    np.testing.assert_allclose(
        response.discrimination(truth, guess, targets), plain_discrimination(truth, guess, targets)
    )
    assert (response.discrimination(truth, truth, targets) == 1.0).all()


def test_a_prediction_without_information_does_not_discriminate():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(60, 80))
    np.fill_diagonal(truth, -12.0)  # a knock-down that would give its profile away
    targets = np.zeros(truth.shape, dtype=bool)
    np.fill_diagonal(targets, True)
    same = np.tile(rng.normal(size=80), (60, 1))
    assert np.mean(response.discrimination(truth, same, targets)) == pytest.approx(0.5, abs=0.06)
    nothing = response.discrimination(np.zeros((4, 9)), np.zeros((4, 9)), np.zeros((4, 9), dtype=bool))
    np.testing.assert_allclose(nothing, 1 - 1.5 / 4)  # all tie: the middle rank


def test_differential_genes_and_their_overlap(screen):
    truth, guess, measurement = screen
    found = measurement.differential
    shares = []
    for row in range(12):
        wanted = np.flatnonzero(found[row])
        largest = np.argsort(-np.abs(guess[row]))[: len(wanted)]
        if len(wanted):
            shares.append(len(set(wanted) & set(largest)) / len(wanted))
    assert response.de_overlap(guess, found) == pytest.approx(np.mean(shares))
    assert response.response_scores(truth, guess, measurement).de_overlap == pytest.approx(np.mean(shares))
    assert response.de_overlap(10 * guess, found) == response.de_overlap(guess, found)
    assert np.isnan(response.de_overlap(np.zeros_like(guess), found))
    assert np.isnan(response.de_overlap(guess, np.zeros_like(found)))


def test_what_is_unknown_stays_undefined(screen):
    truth, guess, measurement = screen
    none = response.response_scores(truth, guess)
    assert np.isnan([none.centroid_rho, none.discrimination, none.weighted_r2, none.de_overlap]).all()
    missing = guess.copy()
    missing[2] = np.nan
    got = response.response_scores(truth, missing, measurement)
    assert np.isfinite([got.centroid_rho, got.discrimination, got.weighted_r2, got.de_overlap]).all()
    single = response.Measurement(
        np.full(truth.shape, np.nan),
        np.zeros(truth.shape, dtype=bool),
        measurement.targets,
        measurement.centroid,
    )
    got = response.response_scores(truth, guess, single)
    assert np.isnan([got.weighted_r2, got.de_overlap]).all()


def test_without_own_genes_a_row_is_scored_short_of_its_target(screen):
    truth, guess, measurement = screen
    kept = ~measurement.targets
    found = response.response_scores(truth, guess, measurement)
    assert found.ate_rho_without_own == pytest.approx(np.corrcoef(truth[kept], guess[kept])[0, 1])
    assert found.r2_without_own == pytest.approx(r2_score(truth[kept], guess[kept]))
    rows = [np.corrcoef(truth[i][kept[i]], guess[i][kept[i]])[0, 1] for i in range(12)]
    assert found.median_rho_without_own == pytest.approx(np.median(rows))
    # what is said of the perturbed genes makes no difference, and predicting them alone says nothing
    other = guess.copy()
    other[measurement.targets] = 50.0
    again = response.response_scores(truth, other, measurement)
    assert again.ate_rho_without_own == found.ate_rho_without_own
    assert again.ate_rho != found.ate_rho
    only = response.response_scores(truth, np.where(measurement.targets, truth, 0.0), measurement)
    assert only.ate_rho > 0.5
    assert np.isnan(only.ate_rho_without_own)
    assert np.isnan(response.response_scores(truth, guess).ate_rho_without_own)
