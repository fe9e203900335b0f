from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from gpovae_core import keys
from gpovae_core.data.expression import log_expression
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.averages import average_effects
from gpovae_core.effects.design import Design
from gpovae_core.evaluation import baselines
from gpovae_core.evaluation.response import pearson, r2
from tests.effects.test_design import confounded
from tests.evaluation.conftest import build_screen


def table() -> pd.DataFrame:
    values = [[1.0, 2.0], [3.0, -2.0], [np.nan, np.nan]]
    return pd.DataFrame(values, index=["A", "B", "UNSEEN"], columns=["g", "h"])


def test_perturbation_mean_is_the_plain_mean_for_every_row_unseen_ones_too():
    np.testing.assert_array_equal(baselines.perturbation_mean(table()), [[2.0, 0.0]] * 3)


def test_without_any_training_cells_there_is_no_mean():
    assert baselines.perturbation_mean(table().loc[["UNSEEN"]]).isna().all(axis=None)


def test_predictions_by_name():
    got = baselines.baseline_predictions(table())
    assert set(got) == {"train_mean", "perturbation_mean", "own_only", "no_effect"}
    assert got["train_mean"].loc["UNSEEN"].isna().all()
    assert (got["no_effect"] == 0).all(axis=None)
    for prediction in got.values():
        assert list(prediction.index) == ["A", "B", "UNSEEN"]
        assert list(prediction.columns) == ["g", "h"]


def test_attainable():
    assert baselines.attainable(1.0) == pytest.approx(1.0)
    assert baselines.attainable(0.5) == pytest.approx(np.sqrt(2 / 3))
    assert np.isnan(baselines.attainable(np.array([0.0, -0.3, np.nan]))).all()


def normal_cells(spread: float, seed: int = 3) -> tuple[np.ndarray, np.ndarray, tuple[str, ...], np.ndarray]:
    """Cells (n, genes) of 40 perturbations with known effects (40, genes) under unit noise, and 400
    controls.
    """
    rng = np.random.default_rng(seed)
    names = tuple(f"P{i:02d}" for i in range(40))
    truth = rng.normal(0, spread, size=(40, 300))
    labels = np.repeat([keys.CONTROL, *names], [400] + [30] * 40).astype(object)
    means = np.vstack([np.zeros((400, 300)), np.repeat(truth, 30, axis=0)])
    return means + rng.normal(size=means.shape), labels, names, truth


def observed_effects(cells: np.ndarray, labels: np.ndarray, names: tuple[str, ...]) -> np.ndarray:
    return np.stack([cells[labels == name].mean(axis=0) for name in names]) - cells[
        labels == keys.CONTROL
    ].mean(axis=0)


@pytest.mark.parametrize("spread", [0.1, 0.2, 0.5])
def test_the_ceiling_is_what_the_noiseless_truth_reaches(spread):
    cells, labels, names, truth = normal_cells(spread)
    pooled, each = baselines.split_half_correlations(cells, labels, names, halvings=20, seed=0)
    reached = pearson(observed_effects(cells, labels, names), truth)
    assert float(baselines.attainable(pooled.mean())) == pytest.approx(reached, abs=0.02)
    own = [pearson(a, b) for a, b in zip(observed_effects(cells, labels, names), truth, strict=True)]
    assert np.median(baselines.attainable(each.mean(axis=0))) == pytest.approx(np.median(own), abs=0.05)


def test_no_signal_has_no_ceiling_to_speak_of():
    cells, labels, names, _ = normal_cells(0.0)
    pooled, _ = baselines.split_half_correlations(cells, labels, names, halvings=20, seed=0)
    # halving the controls as well keeps their noise from being taken for shared signal
    assert abs(pooled.mean()) < 0.05


def test_halves_against_slicing_by_hand():
    cells, labels, names, _ = normal_cells(0.3)
    pooled, each = baselines.split_half_correlations(
        sparse.csr_matrix(cells), labels, names[:3], halvings=1, seed=5
    )
    rng = np.random.default_rng(5)
    halves = {}
    for name in (keys.CONTROL, *names[:3]):
        own = cells[labels == name]
        first = rng.random((len(own), 1)).argsort(axis=0)[:, 0] < len(own) // 2
        halves[name] = own[first].mean(axis=0), own[~first].mean(axis=0)
    base = halves.pop(keys.CONTROL)
    one, two = (np.stack([half[k] - base[k] for half in halves.values()]) for k in (0, 1))
    assert pooled[0] == pytest.approx(np.corrcoef(one.ravel(), two.ravel())[0, 1], abs=1e-10)
    np.testing.assert_allclose(
        each[0], [np.corrcoef(a, b)[0, 1] for a, b in zip(one, two, strict=True)], atol=1e-10
    )


def test_repeatable_and_stable_between_seeds(screen):
    one, two, other = (baselines.reliability(screen, keys.HELD_OUT, 20, seed) for seed in (0, 0, 1))
    assert one.split_half == two.split_half
    pd.testing.assert_series_equal(one.per_perturbation, two.per_perturbation)
    assert other.split_half != one.split_half
    assert other.split_half == pytest.approx(one.split_half, abs=0.05)
    assert 0 < one.split_half < one.ceiling < 1


def test_more_cells_raise_the_ceiling(screen):
    held_out, every = (baselines.reliability(screen, splits) for splits in (keys.HELD_OUT, keys.SPLITS))
    assert every.ceiling > held_out.ceiling


def test_perturbations_without_signal_pull_the_median_ceiling_down():
    silent = build_screen(extra={f"NONE{i:02d}": 40 for i in range(12)})
    got = baselines.reliability(silent, keys.HELD_OUT)
    defined = got.per_perturbation.dropna()
    assert len(defined) < 18
    assert got.median_ceiling == pytest.approx(np.median(got.per_perturbation.fillna(0.0)))
    assert got.median_ceiling < defined.median()


def test_a_single_cell_cannot_be_halved():
    screen = build_screen(extra={"LONELY": 1})
    got = baselines.reliability(screen, keys.SPLITS)
    assert np.isnan(got.per_perturbation["LONELY"])
    assert got.per_perturbation.drop("LONELY").notna().all()
    assert got.split_half > 0


def test_without_controls_there_is_no_ceiling(screen):
    got = baselines.reliability(screen, ())
    assert np.isnan(got.split_half)
    assert np.isnan(got.ceiling)


def test_the_training_mean_stays_below_the_ceiling(screen):
    # its own noise comes on top of the reference's
    observed = average_effects(screen, keys.HELD_OUT).mean.to_numpy()
    training = average_effects(screen, (keys.TRAIN,)).mean.to_numpy()
    assert pearson(observed, training) < baselines.reliability(screen, keys.HELD_OUT).ceiling


def test_a_combination_is_the_sum_of_its_genes():
    table = pd.DataFrame(np.arange(8.0).reshape(4, 2), index=["A", "A+B", "B", "B+C"], columns=["g", "h"])
    got = baselines.baseline_predictions(table)["additive"]
    np.testing.assert_array_equal(got.loc["A+B"], table.loc["A"] + table.loc["B"])
    np.testing.assert_array_equal(got.loc["A"], table.loc["A"])
    assert got.loc["B+C"].isna().all()  # C was never perturbed alone
    assert "additive" not in baselines.baseline_predictions(table.loc[["A", "B"]])


def test_bilinear_weights_are_a_ridge_regression_on_either_side():
    from sklearn.linear_model import Ridge

    rng = np.random.default_rng(0)
    genes, doses, effects = rng.normal(size=(30, 4)), rng.normal(size=(9, 4)), rng.normal(size=(9, 30))
    first = Ridge(alpha=0.7, fit_intercept=False).fit(doses, effects).coef_.T  # (4, 30)
    both = Ridge(alpha=0.7, fit_intercept=False).fit(genes, first.T).coef_  # (4, 4)
    np.testing.assert_allclose(baselines.bilinear_weights(genes, doses, effects, 0.7), both)


def test_the_linear_model_learns_what_genes_share_and_predicts_the_unseen():
    screen = build_screen(unseen=("PERT4",), cells=120, controls=300)
    expression = log_expression(screen.counts, screen.library_size)
    training, validation = (average_effects(screen, (split,)).mean for split in (keys.TRAIN, keys.VALIDATION))
    got = baselines.linear_model(screen, expression, training, validation)
    assert got.components in baselines.EMBEDDING_SIZES
    assert got.ridge in baselines.RIDGES
    seen = [name for name in training.index if name not in ("PERT4", "PERT5")]
    truth = average_effects(screen, keys.HELD_OUT).mean
    mean = baselines.perturbation_mean(training)
    rho = [
        pearson(truth.loc[seen].to_numpy(), guess.loc[seen].to_numpy()) for guess in (got.prediction, mean)
    ]
    assert rho[0] > rho[1] + 0.1
    np.testing.assert_allclose(
        got.prediction.loc["PERT5"], mean.loc["PERT5"]
    )  # its gene is not measured: nothing to go by
    assert got.prediction.loc["PERT4"].notna().all()
    assert not np.allclose(got.prediction.loc["PERT4"], mean.loc["PERT4"])


@pytest.mark.parametrize("spread", [0.1, 0.5])
def test_the_simulated_ceiling_agrees_with_the_formula_and_with_the_truth(spread):
    cells, labels, names, truth = normal_cells(spread)
    effects = observed_effects(cells, labels, names)
    pooled, each = baselines.split_half_correlations(cells, labels, names, 20, seed=0)
    trust = baselines.attainable(np.nanmean(each, axis=0))
    noise = baselines.noise_draws(cells * np.log(2), labels, names, 6, seed=1)
    assert noise.var() == pytest.approx(1 / 30 + 1 / 400, rel=0.1)

    def score(observed: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
        return {"rho": pearson(observed, predicted), "r2": r2(observed, predicted)}

    got = baselines.attainable_scores(effects, trust, noise, score)
    assert got["rho"] == pytest.approx(float(baselines.attainable(pooled.mean())), abs=0.02)
    assert got["r2"] == pytest.approx(r2(effects, truth), abs=0.04)
    assert baselines.attainable_scores(effects, trust, noise[:0], score) == {}


def test_own_genes_only():
    training = pd.DataFrame(
        [[-2.0, 0.5, 0.1], [0.3, -1.0, 0.2], [-1.5, -0.7, 0.4], [np.nan] * 3],
        index=["g", "X", f"g{keys.PAIR_SEPARATOR}h", "UNSEEN"],
        columns=["g", "h", "k"],
    )
    expected = [[-2.0, 0, 0], [0, 0, 0], [-1.5, -0.7, 0], [np.nan] * 3]
    np.testing.assert_array_equal(baselines.own_only(training), expected)


def test_the_ceiling_without_own_genes_is_lower_where_they_are_most_of_it(screen):
    found = baselines.reliability(screen, keys.SPLITS)
    assert found.ceiling_without_own < found.ceiling
    assert found.median_ceiling_without_own < found.median_ceiling


def test_a_batch_is_no_effect_of_the_perturbations_in_it():
    """No gene responds to anything, and perturbations come from one batch each: neither effects nor what
    halves agree on may show the batch.
    """
    prepared = confounded(0.5)
    plain = PreparedCells(prepared.cells.copy(), prepared.panel, prepared.report)
    del plain.cells.obs[keys.BATCH]
    assert np.abs(_z(plain)).max() > 8
    assert baselines.reliability(plain, keys.SPLITS, 20, 0).split_half > 0.9
    assert np.abs(_z(prepared)).max() < 4.5
    assert abs(baselines.reliability(prepared, keys.SPLITS, 20, 0).split_half) < 0.5


def _z(screen: PreparedCells) -> np.ndarray:
    table = average_effects(screen, keys.SPLITS)
    return (table.mean / table.standard_error).to_numpy()


def test_drawn_noise_is_as_large_as_the_errors_within_batches():
    prepared = confounded(0.5)
    values = log_expression(prepared.counts, prepared.library_size)
    stratum = Design.of(prepared).stratum
    noise = baselines.noise_draws(values, prepared.labels, prepared.perturbations, 60, 0, stratum)
    errors = average_effects(prepared, keys.SPLITS).standard_error.to_numpy()
    assert np.median(noise.std(axis=0) / errors) == pytest.approx(1.0, abs=0.1)


def test_effects_of_a_batch_are_measured_against_its_controls():
    prepared = confounded(0.5)
    table = average_effects(prepared, keys.SPLITS, ("C",))
    inside = np.flatnonzero(prepared.cells.obs[keys.BATCH] == "2")
    alone = PreparedCells(prepared.cells[inside].copy(), prepared.panel, prepared.report)
    np.testing.assert_allclose(table.mean.loc["C"], average_effects(alone, keys.SPLITS, ("C",)).mean.loc["C"])
