"""Predicted effects: the expectation of a count's logarithm against scipy, and the effects against drawn
counts.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from gpovae_core.config import InferenceSettings
from gpovae_core.errors import QueryError
from gpovae_core.model.module import GpoVae
from gpovae_core.questions.predicted import (
    EffectPredictor,
    ExpectedLog,
    expected_log,
    guide_noise,
    guide_offsets,
    treatment_effects,
)
from tests.toy import tiny_settings, toy_cells

COUNTED = [
    (0.05, 0.2, 950),
    (0.3, 0.01, 200),
    (1.0, 0.7, 950),
    (5.0, 12.0, 186),
    (40.0, 300.0, 12_000),
    (0.8, 90.0, 950),
]


def by_scipy(concentration: float, mean: float, library: float) -> float:
    """The sum over counts, negative binomial probabilities by scipy."""
    counts = np.arange(int(mean + 60 * np.sqrt(mean + mean**2 / concentration)) + 50)
    return stats.nbinom.pmf(counts, concentration, concentration / (concentration + mean)) @ np.log2(
        1 + 1e4 * counts / library
    )


@pytest.mark.parametrize(("concentration", "mean", "library"), COUNTED)
def test_expected_log_matches_scipy(concentration, mean, library):
    levels = torch.tensor([library, 2 * library], dtype=torch.float64)
    got = expected_log(torch.tensor([concentration]), torch.tensor([mean]).log(), levels)[0, 0]
    for level, value in zip(levels.tolist(), got.tolist(), strict=True):
        assert value == pytest.approx(by_scipy(concentration, mean, level), rel=2e-5)


@pytest.mark.parametrize(("concentration", "mean", "library"), COUNTED)
def test_the_table_matches_scipy(concentration, mean, library):
    levels = torch.tensor([library, 2 * library], dtype=torch.float64)
    table = ExpectedLog(torch.tensor([9.0, concentration]), levels, 3 * mean)
    asked = torch.full((1, 2), float(np.log(mean)))
    got = table(asked, torch.tensor([0, 1], dtype=torch.int32), slice(1, 2))[0]
    for level, value in zip(levels.tolist(), got.tolist(), strict=True):
        assert value == pytest.approx(by_scipy(concentration, mean, level), rel=1e-3)


def test_expected_log_rises_with_the_mean():
    table = ExpectedLog(torch.tensor([1.0]), torch.tensor([1000.0]), 500.0)
    means = torch.linspace(float(np.log(1.1e-4)), float(np.log(499.0)), 300)
    assert (table(means[None].clone(), torch.zeros(300, dtype=torch.int32)).diff() > 0).all()


def test_means_outside_the_table_count_as_its_ends():
    table = ExpectedLog(torch.tensor([1.0]), torch.tensor([1000.0]), 50.0)
    got = table(
        torch.tensor([[-50.0, float(np.log(1e-4)), float(np.log(51.0)), 30.0]]),
        torch.zeros(4, dtype=torch.int32),
    )[0]
    assert got[0] == got[1]
    assert got[3] == pytest.approx(float(got[2]), rel=0.03)


@pytest.fixture(scope="module")
def model() -> GpoVae:
    """Random weights with visible effects: what is tested is the arithmetic, not the training."""
    torch.manual_seed(0)
    prepared = toy_cells()
    model = GpoVae(tiny_settings().model, n=len(prepared.panel), genes=prepared.cells.n_vars)
    with torch.no_grad():
        model.guide.mask_logits.fill_(2.0)
        model.guide.effect_head.mean.bias.normal_(std=4.0)
    return model.eval()


SETTINGS = InferenceSettings(guide_samples=6, basal_draws=40, library_levels=40, spread_samples=8)


def test_effects_do_not_depend_on_who_else_is_asked(model):
    prepared = toy_cells()
    first, second = prepared.perturbations[:2]
    both = treatment_effects(model, prepared, (first, second), SETTINGS)
    swapped = treatment_effects(model, prepared, (second, first), SETTINGS)
    alone = treatment_effects(model, prepared, (second,), SETTINGS)
    pd.testing.assert_frame_equal(both.mean, swapped.mean.loc[[first, second]])
    pd.testing.assert_frame_equal(both.mean.loc[[second]], alone.mean)


def test_effects_do_not_depend_on_the_state_of_the_generator(model):
    prepared = toy_cells()
    torch.manual_seed(1)
    before = treatment_effects(model, prepared, prepared.perturbations[:1], SETTINGS)
    torch.manual_seed(2)
    state = torch.random.get_rng_state()
    after = treatment_effects(model, prepared, prepared.perturbations[:1], SETTINGS)
    pd.testing.assert_frame_equal(before.mean, after.mean)
    assert torch.equal(state, torch.random.get_rng_state())


def test_no_effect_means_no_difference(model):
    """Without edges the offset is zero, and common random numbers leave exactly nothing."""
    prepared = toy_cells()
    closed = GpoVae(model.settings, n=len(prepared.panel), genes=prepared.cells.n_vars)
    closed.load_state_dict(model.state_dict())
    with torch.no_grad():
        closed.guide.mask_logits.fill_(-50.0)
    effects = treatment_effects(closed.eval(), prepared, settings=SETTINGS)
    assert effects.mean.abs().max().max() < 1e-6
    assert effects.monte_carlo_error < 1e-6


def test_effects_equal_those_of_drawn_counts(model):
    """The published way, draw counts and average their logarithms, over the same basal states and offsets."""
    prepared = toy_cells()
    name = prepared.perturbations[0]
    predictor = EffectPredictor(model, prepared, SETTINGS)
    arm, decoder = predictor._arms[0], model.decoder
    noise = guide_noise(model, arm.samples + SETTINGS.spread_samples, 1, SETTINGS.seed)
    offset = guide_offsets(model, torch.from_numpy(prepared.panel.dosage(name)), noise)
    generator = np.random.default_rng(0)
    concentration = decoder.log_concentration.exp().detach().numpy()
    library = arm.library.numpy().reshape(arm.samples, arm.cells, 1)

    def drawn(first: torch.Tensor) -> np.ndarray:
        share = decoder.head(decoder.mlp(first)).softmax(dim=-1).numpy()
        mean = share * library + 1e-4
        counts = generator.poisson(
            generator.gamma(concentration, mean / concentration, size=(100, *mean.shape))
        )
        return np.log2(1 + 1e4 * counts / library).mean(axis=(0, 1, 2))

    with torch.inference_mode():
        moved = decoder.mlp.first.block("offset", offset[: arm.samples])[:, None]
        expected = drawn(arm.basal + moved) - drawn(arm.basal.clone())
    ours = predictor.effects((name,)).mean.loc[name]
    assert np.abs(ours).max() > 0.5
    np.testing.assert_allclose(
        ours, expected, atol=0.12
    )  # 24,000 draws in either arm of a logarithm whose standard deviation is 2 to 4
    assert np.corrcoef(ours, expected)[0, 1] > 0.999


def test_the_monte_carlo_error_is_that_of_other_seeds(model):
    prepared = toy_cells()
    runs = [
        treatment_effects(model, prepared, settings=SETTINGS.model_copy(update={"seed": seed}))
        for seed in range(8)
    ]
    between = np.sqrt(np.var([run.mean.to_numpy() for run in runs], axis=0, ddof=1).mean())
    assert np.mean([run.monte_carlo_error for run in runs]) == pytest.approx(between, rel=0.3)


def test_a_guide_that_is_sure_leaves_no_deviation(model):
    """All masks closed but the effects' own spread: cells differ, the guide does not, and the deviation
    speaks of the guide alone.
    """
    prepared = toy_cells()
    sure = GpoVae(model.settings, n=len(prepared.panel), genes=prepared.cells.n_vars)
    sure.load_state_dict(model.state_dict())
    with torch.no_grad():
        sure.guide.mask_logits.fill_(50.0)
        sure.guide.effect_head.log_variance.weight.zero_()
        sure.guide.effect_head.log_variance.bias.fill_(-50.0)
    certain = treatment_effects(sure.eval(), prepared, settings=SETTINGS)
    assert certain.deviation.max().max() < 0.05 < certain.mean.abs().max().max()
    assert treatment_effects(model, prepared, settings=SETTINGS).deviation.max().max() > 0.2


def test_counts_drawn_from_the_model_have_its_mean(model):
    prepared = toy_cells()
    predictor = EffectPredictor(
        model, prepared, InferenceSettings(guide_samples=50, basal_draws=80, library_levels=40)
    )
    name = prepared.perturbations[0]
    effect = predictor.effects((name,)).mean.loc[name]
    gene = effect.abs().idxmax()
    treated, library = predictor.draw_counts(prepared.panel.dosage(name), gene)
    control, _ = predictor.draw_counts(None, gene, seed=1)
    values = [np.log2(1 + 1e4 * counts / library) for counts in (treated, control)]
    error = np.sqrt(sum(v.var() / len(v) for v in values))
    assert values[0].mean() - values[1].mean() == pytest.approx(effect[gene], abs=4 * error)
    assert len(np.unique(control)) > 3


def test_a_gene_outside_the_panel_is_refused(model):
    with pytest.raises(QueryError, match="not in the panel"):
        treatment_effects(model, toy_cells(), ("NOBODY",), SETTINGS)


def test_table_has_a_row_per_perturbation_and_gene(model):
    prepared = toy_cells()
    effects = treatment_effects(model, prepared, settings=SETTINGS)
    table = effects.table()
    assert len(table) == len(prepared.perturbations) * prepared.cells.n_vars
    row = table.iloc[prepared.cells.n_vars + 3]
    assert row["effect"] == effects.mean.loc[row["perturbation"], row["gene"]]


# What people read -------------------------------------------------------------------------------------------


def test_a_fold_change_is_that_of_mean_shares_without_the_lift(model):
    """Of the draws themselves: mean shares of both arms, and the median over the other genes taken off."""
    name = toy_cells().perturbations[0]
    one = EffectPredictor(model, toy_cells())
    dosage = toy_cells().panel.dosage(name)
    found = one.effects((name,))
    changes = one.share_changes(dosage)[0]
    others = toy_cells().cells.var_names != name
    expected = (changes - np.median(changes[others], axis=0)).mean(axis=1)
    np.testing.assert_allclose(found.fold.loc[name], expected, rtol=1e-4, atol=1e-5)
    both = np.corrcoef(found.fold.loc[name], found.mean.loc[name])[0, 1]
    assert both > 0.8  # another unit of the same effect
    assert (found.fold_deviation.to_numpy() >= 0).all()


def test_a_difference_of_mean_logarithms_has_the_fold_change_that_makes_it(model):
    one = EffectPredictor(model, toy_cells())
    steps, curve = one._curve
    assert (np.diff(curve, axis=1) >= 0).all()
    np.testing.assert_allclose(one.folds_of(np.zeros(len(curve))), 0.0, atol=1e-6)
    for step in (10, 30, 36):
        np.testing.assert_allclose(one.folds_of(curve[:, step]), steps[step], atol=1e-3)
    unknown = np.full(len(curve), np.nan)
    assert np.isnan(one.folds_of(unknown)).all()
    assert (one.folds_of(np.full(len(curve), 99.0)) > 3).all()
