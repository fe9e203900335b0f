"""Which share of the cells responds: against the truth of simulated cells, and where nothing can be told."""

from __future__ import annotations

import numpy as np
import pytest

from gpovae_core import keys
from gpovae_core.data.prepare import prepare
from gpovae_core.data.simulate import ESCAPED, SimulationSettings, simulate
from gpovae_core.effects.responders import (
    LEAST_SEPARATION,
    fit_mixtures,
    less_controls,
    placed,
    responders,
)
from tests.toy import tiny_settings


@pytest.mark.parametrize("escape", [0.05, 0.5])
def test_the_share_is_that_of_the_cells_that_did_not_escape(escape: float):
    values = {"genes": 60, "perturbations": 15, "cells": 5000, "guides_per_gene": 2, "seed": 3}
    cells = simulate(SimulationSettings(**values, escape_share=escape)).adata
    prepared = prepare(cells, tiny_settings().data)
    escaped = cells.obs[ESCAPED].astype(bool)
    guides = prepared.cells.obs[keys.GUIDE].astype(str)
    off, inside = [], []
    for one in responders(prepared):
        own = prepared.where(one.perturbation, (keys.TRAIN,)) & prepared.passing
        if one.guide is not None:
            own &= (guides == one.guide).to_numpy()
        assert one.cells == own.sum()
        truth = 1 - escaped.loc[prepared.cells.obs_names[own]].mean()
        if np.isfinite(one.share):
            assert one.separation >= LEAST_SEPARATION
            off.append(one.share - truth)
            inside.append(one.low <= truth <= one.high)
    assert len(off) > 25
    assert abs(np.mean(off)) < 0.02
    assert np.mean(np.abs(off)) < 0.04
    assert np.mean(inside) > 0.85


def test_controls_called_perturbed_have_no_share():
    """The line comes from other cells than those that are placed on it, so that chance has no direction."""
    rng = np.random.default_rng(0)
    controls, cells = rng.normal(size=(400, 30)), rng.normal(size=(200, 30))
    scores = placed(cells - controls.mean(axis=0), controls - controls.mean(axis=0), rng)
    known = scores[np.isfinite(scores)]
    assert len(known) == 0 or abs(known.mean()) < 0.5


def test_a_batch_is_no_response():
    rng = np.random.default_rng(1)
    shift = rng.normal(0, 3, 30)
    of_controls = np.arange(400) % 2
    controls = rng.normal(size=(400, 30)) + shift * of_controls[:, None]
    cells = rng.normal(size=(100, 30)) + shift
    beside = less_controls(cells, np.ones(100, dtype=int), controls, of_controls)
    scores = placed(beside, less_controls(controls, of_controls, controls, of_controls), rng)
    known = scores[np.isfinite(scores)]
    assert len(known) == 0 or abs(known.mean()) < 0.7


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
def test_a_mixture_is_taken_apart(share: float):
    rng = np.random.default_rng(2)
    n = 3000
    second = rng.random(n) < share
    scores = np.where(second, rng.normal(4.0, 1.5, n), rng.normal(size=n))
    found, again = np.transpose(fit_mixtures(np.stack([scores, scores[::-1]])))
    np.testing.assert_allclose(found, again, rtol=1e-9)  # rows know nothing of each other
    np.testing.assert_allclose(found, (share, 4.0, 1.5), atol=0.2)
    assert found[0] == pytest.approx(share, abs=0.03)
