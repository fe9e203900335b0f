"""Predicted effects: the expectation of a count's logarithm against scipy, and the effects against drawn counts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from gpovae_core.config import InferenceSettings
from gpovae_core.errors import QueryError
from gpovae_core.inference import ExpectedLog, _offsets, _shared_arm, treatment_effects
from gpovae_core.model.module import GpoVae
from tests.toy import tiny_settings, toy_cells


@pytest.mark.parametrize(
    ("concentration", "mean", "library"), [(0.3, 0.01, 200), (1.0, 0.7, 950), (5.0, 12.0, 186), (40.0, 300.0, 12_000), (0.8, 90.0, 950)]
)
def test_expected_log_matches_scipy(concentration, mean, library):
    expected = ExpectedLog(
        torch.tensor([concentration], dtype=torch.float64),
        torch.tensor([mean * 3], dtype=torch.float64),
        torch.tensor([library, 2 * library], dtype=torch.float64),
    )
    got = expected(torch.tensor([[mean], [mean]], dtype=torch.float64), torch.tensor([0, 1]))[:, 0]
    counts = np.arange(int(mean + 40 * np.sqrt(mean + mean**2 / concentration)) + 50)
    p = stats.nbinom.pmf(counts, concentration, concentration / (concentration + mean))
    for level, value in zip((library, 2 * library), got, strict=True):
        assert float(value) == pytest.approx(p @ np.log2(1 + 1e4 * counts / level), rel=1e-3)


def test_expected_log_rises_with_the_mean():
    expected = ExpectedLog(
        torch.tensor([1.0], dtype=torch.float64), torch.tensor([500.0], dtype=torch.float64), torch.tensor([1000.0], dtype=torch.float64)
    )
    means = torch.logspace(-4, np.log10(500), 300, dtype=torch.float64)
    values = torch.stack([expected(m.reshape(1, 1), torch.tensor([0]))[0, 0] for m in means])
    assert (values.diff() > 0).all()


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


SETTINGS = InferenceSettings(guide_samples=6, basal_draws=40, library_levels=40)


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
    arm, _ = _shared_arm(model, prepared, SETTINGS)
    offset = next(iter(_offsets(model, torch.from_numpy(prepared.panel.dosage(name))[None], SETTINGS)))
    generator = np.random.default_rng(0)
    concentration = model.decoder.log_concentration.exp().detach().numpy()

    def drawn(condition: torch.Tensor) -> np.ndarray:
        share = model.decoder.log_share(arm.basal, condition).exp().detach().numpy()
        mean = share * arm.library.numpy()[:, None] + 1e-4
        counts = generator.poisson(generator.gamma(concentration, mean / concentration, size=(100, *mean.shape)))
        return np.log2(1 + 1e4 * counts / arm.library.numpy()[:, None]).mean(axis=(0, 1, 2))

    with torch.inference_mode():
        first = model.decoder.mlp.first
        expected = drawn((first.block("offset", offset) + first.bias)[:, None]) - drawn(first.bias.expand(1, 1, -1))
    ours = treatment_effects(model, prepared, (name,), SETTINGS).mean.loc[name]
    assert np.abs(ours).max() > 0.5
    np.testing.assert_allclose(ours, expected, atol=0.12)  # 24,000 draws in either arm of a logarithm whose standard deviation is 2 to 4
    assert np.corrcoef(ours, expected)[0, 1] > 0.999


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
