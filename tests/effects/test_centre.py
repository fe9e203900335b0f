"""Where a perturbation moves most of what is measured: the lift that is taken out, and what is said where it
cannot be told.
"""

from __future__ import annotations

import importlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from gpovae_core.config import make_settings
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.centre import place_of_unchanged
from gpovae_core.effects.contrasts import Contrasts, contrasts, weighted_median
from gpovae_core.methods.false_edges import false_edge_rate
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.methods.network_fit import fit_network
from tests.conftest import PROJECT

ERROR = 0.06


def _drawn(moved: float, genes: int = 120, seed: int = 0) -> np.ndarray:
    """Log fold changes about their median: `moved` of the genes fall by 0.3 to 1.2, the others by nothing."""
    rng = np.random.default_rng(seed)
    change = np.where(np.arange(genes) < moved * genes, -rng.uniform(0.3, 1.2, genes), 0.0)
    return change + rng.normal(0, ERROR, genes)


@pytest.mark.parametrize("moved", [0.5, 0.65, 0.75])
@pytest.mark.parametrize("seed", range(3))
def test_the_place_of_unchanged_genes(moved: float, seed: int) -> None:
    values = _drawn(moved, seed=seed)
    median = np.median(values)
    place = place_of_unchanged(values - median, np.full(len(values), ERROR))
    assert place.clear
    assert place.at + median == pytest.approx(0.0, abs=0.03)
    assert place.share == pytest.approx(1 - moved, abs=0.06)


@pytest.mark.parametrize("seed", range(5))
def test_where_every_gene_moved_no_place_is_clear(seed: int) -> None:
    values = np.random.default_rng(seed).normal(0, 0.4, 120)
    assert not place_of_unchanged(values - np.median(values), np.full(120, ERROR)).clear


def test_a_place_of_few_genes_is_not_clear() -> None:
    values = np.concatenate([np.linspace(-1.2, -0.3, 40), np.zeros(5)])
    assert not place_of_unchanged(values - np.median(values), np.full(45, 0.01)).clear


def _moving(monkeypatch: pytest.MonkeyPatch, share: float, depth: str, seed: int) -> PreparedCells:
    monkeypatch.syspath_prepend(str(PROJECT / "benchmarks"))
    worlds: Any = importlib.import_module("worlds")
    settings = make_settings("evidence", {"data": {"detect_doublets": False}})
    return worlds.prepared_cells(worlds.movers(share, depth, seed).cells, settings, True)


def _median_lift(found: Contrasts, row: int) -> float:
    """Of the raw fold changes, by the weighted median."""
    known = np.isfinite(found.error[row])
    known[found.sources[row]] = False
    return weighted_median(found.effect[row, known] + found.shift[row], 1 / found.error[row, known])


def test_a_regulator_of_two_thirds_of_the_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    """The genes that it does not move stay where they are, and its signs are right."""
    prepared = _moving(monkeypatch, 0.65, "many", 0)
    found = contrasts(prepared)
    wide = np.isin([prepared.panel.genes[i] for i in found.sources], ["SIM000", "SIM001", "SIM002"])
    np.testing.assert_allclose(found.unmoved, np.where(wide, 1 - 52 / 80, 1.0), atol=0.05)
    for row in np.flatnonzero(wide):
        change = np.delete(found.effect[row], found.sources[row])
        assert (change < -0.15).sum() == pytest.approx(52, abs=3)
        assert (change > 0.15).sum() <= 1
        assert abs(_median_lift(found, row) - found.shift[row]) > 0.3, "the median stands among moved genes"
    for row in np.flatnonzero(~wide):
        assert _median_lift(found, row) == pytest.approx(found.shift[row], abs=1e-3)
    fit = fit_network(prepared, make_settings("evidence"))
    edges = (expit(fit.log_odds) > 0.5) & np.isfinite(fit.evidence)
    assert edges.sum() == pytest.approx(174, abs=6)
    assert (fit.strength[edges] > 0).all()
    assert np.isfinite(false_edge_rate(fit, expit(fit.log_odds), 0.5)).all()
    assert "lift_unclear" not in fit.arrays()


def test_what_cannot_be_told_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    prepared = _moving(monkeypatch, 0.8, "few", 0)
    found = contrasts(prepared)
    assert found.unclear.any()
    fit = fit_network(prepared, make_settings("evidence"))
    np.testing.assert_array_equal(fit.lift_unclear, found.sources[found.unclear])
    weights = expit(fit.log_odds)
    assert np.isnan(false_edge_rate(fit, weights, np.array([0.2, 0.5]))).all(), "controls have no such lift"
    assert np.isfinite(false_edge_rate(replace(fit, lift_unclear=np.zeros(0)), weights, 0.5)).all()
    kept = NetworkFit.from_arrays(fit.arrays()).as_kept()
    np.testing.assert_array_equal(kept.lift_unclear, fit.lift_unclear)


def test_the_whole_transcriptome_needs_no_lift(monkeypatch: pytest.MonkeyPatch) -> None:
    from gpovae_core import keys

    prepared = _moving(monkeypatch, 0.8, "few", 0)
    prepared.cells.obs[keys.SIZE_FACTOR] = 20.0 * prepared.library_size
    found = contrasts(prepared)
    assert (found.shift == 0).all()
    assert not found.unclear.any()
