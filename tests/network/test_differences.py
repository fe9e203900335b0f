"""Two conditions of one screen: halves that do not differ, differences that were put there, and what does not
go together.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from gpovae_core import keys
from gpovae_core.config import make_settings
from gpovae_core.data.prepare import prepare
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.simulate import SimulationSettings, simulate
from gpovae_core.errors import QueryError
from gpovae_core.methods.network_fit import fit_network
from gpovae_core.network.differences import (
    BOTH,
    ONLY_A,
    ONLY_B,
    UNCLEAR,
    Pooled,
    compare_conditions,
    differences,
    false_rate,
    pool,
)
from gpovae_core.reporting.conditions import differences_in_words
from gpovae_core.runs.folder import MASK_LOGITS, DataSource, RunFolder
from tests.fake_run import make_fake_run

SETTINGS = make_settings("evidence")


@cache
def screen() -> PreparedCells:
    values = {"genes": 40, "perturbations": 8, "cells": 4000, "mitochondrial_genes": 0, "seed": 3}
    made = simulate(SimulationSettings(**values)).adata
    return prepare(made, make_settings("evidence", {"data": {"detect_doublets": False}}).data)


def part(rows: np.ndarray, labels: np.ndarray | None = None, **columns: object) -> PreparedCells:
    """Some cells of the screen, all training; columns: of obs, beside those that they have."""
    whole = screen()
    obs = pd.DataFrame(whole.cells.obs).iloc[rows].copy()
    obs[keys.SPLIT] = keys.TRAIN
    obs[keys.PERTURBATION] = whole.labels[rows] if labels is None else labels
    for name, values in columns.items():
        obs[name] = values
    return PreparedCells.of(whole.counts[rows], obs, list(whole.cells.var_names), whole.panel, whole.report)


def halves(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(seed).permutation(screen().cells.n_obs)
    return np.sort(order[: len(order) // 2]), np.sort(order[len(order) // 2 :])


@cache
def strongest() -> str:
    """The perturbation with most edges."""
    fit = fit_network(screen(), SETTINGS)
    counts = (fit.log_odds > 0).sum(axis=1)
    return screen().panel.genes[int(counts.argmax())]


def without(gene: str, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and labels in which controls stand in for the cells in which a gene is perturbed."""
    labels = screen().labels[rows]
    own = np.flatnonzero(labels == gene)
    controls = np.flatnonzero(labels == keys.CONTROL)
    moved = np.random.default_rng(1).permutation(controls)[: len(own)]
    kept = np.setdiff1d(np.arange(len(rows)), own)
    labels[moved] = gene
    return rows[kept], labels[kept]


def run_of(path: Path, cells: PreparedCells, **sections: dict[str, object]) -> RunFolder:
    from safetensors.numpy import save_file

    settings = make_settings("evidence", sections)
    run = RunFolder.create(path, settings, DataSource(path="here"))
    run.write_cells(cells)
    fit = fit_network(cells, settings).as_kept()
    run.write_network(fit.arrays())
    save_file({MASK_LOGITS: fit.log_odds.astype(np.float32)}, run.path / "model.safetensors")
    return run


def test_random_halves_do_not_differ() -> None:
    called = []
    for seed in range(10):
        one, other = halves(seed)
        pooled = pool("a", part(one), "b", part(other))
        found = compare_conditions(pooled, SETTINGS, 0.5, 20, 0.1, seed)
        assert set(found.edges.state) <= {BOTH, UNCLEAR} or found.edges.fdr.min() <= 0.1
        called.append(bool((found.edges.fdr <= 0.1).any()))
    assert sum(called) <= 3  # 1 of 10 is expected; 4 or more happen once in 80


def test_effects_that_one_condition_has_alone_are_found(tmp_path: Path) -> None:
    one, other = halves()
    rows, labels = without(strongest(), other)
    a, b = run_of(tmp_path / "a", part(one)), run_of(tmp_path / "b", part(rows, labels))
    found = differences(a, b, permutations=20)
    own = found.edges[found.edges.source == strongest()]
    assert (own.state == ONLY_A).sum() >= 0.6 * len(own) > 2
    assert (found.edges[found.edges.source != strongest()].fdr <= 0.1).sum() <= 2
    turned = differences(b, a, permutations=20)
    assert turned.count(ONLY_B) == found.count(ONLY_A)
    assert (found.a, found.b, turned.a) == ("a", "b", "b")
    # each network is the one of its own run
    weights = dict(zip(a.panel().genes, a.edge_probabilities(), strict=True))
    place = {gene: i for i, gene in enumerate(a.panel().genes)}
    for row in found.edges.itertuples():
        assert row.weight_a == pytest.approx(weights[row.source][place[row.target]], abs=1e-4)
    words = differences_in_words(found)
    assert "only under a" in words
    assert json.loads(json.dumps(found.plain(), allow_nan=False))["states"][ONLY_A] == found.count(ONLY_A)


def test_effects_are_those_of_both_and_the_difference_theirs() -> None:
    one, other = halves()
    found = compare_conditions(pool("a", part(one), "b", part(other)), SETTINGS, 0.5, 10, 0.1, 0).edges
    np.testing.assert_allclose(found.difference, found.effect_b - found.effect_a)
    assert (found.difference_se > 0).all()
    assert (np.diff(found.fdr) >= 0).all()


def test_the_rate_is_that_of_benjamini_and_hochberg() -> None:
    rng = np.random.default_rng(0)
    null, seen = np.abs(rng.standard_normal(999)), np.abs(rng.standard_normal(40)) + 1
    p = np.array([(1 + (null >= z).sum()) / 1000 for z in seen])
    np.testing.assert_allclose(false_rate(seen, null), stats.false_discovery_control(p))
    assert not len(false_rate(np.zeros(0), null))


def test_labels_are_permuted_within_perturbation_and_batch() -> None:
    one, other = halves()
    batches = [np.where(np.arange(len(rows)) % 3 == 0, "x", "y") for rows in (one, other)]
    pooled = pool("a", part(one, batch=batches[0]), "b", part(other, batch=batches[1]))
    assert pooled.permuted == "cells"
    assert not pooled.notes
    drawn = pooled.drawn(np.random.default_rng(0))
    assert (drawn != pooled.second).any()
    obs = pd.DataFrame(pooled.cells.cells.obs)
    tables = [pd.crosstab([pooled.cells.labels, obs["batch"]], second) for second in (drawn, pooled.second)]
    pd.testing.assert_frame_equal(*tables, check_names=False)


def test_batches_of_one_condition_each_are_said() -> None:
    one, other = halves()
    pooled = pool("a", part(one, batch="x"), "b", part(other, batch="y"))
    assert "one condition alone" in pooled.notes[0]
    assert (pooled.drawn(np.random.default_rng(0)) != pooled.second).any()


def test_wells_are_permuted_whole() -> None:
    one, other = halves()

    def wells(rows: np.ndarray, name: str) -> np.ndarray:
        labels = screen().labels[rows]
        return np.array([f"{name}{label}{i % 2}" for i, label in enumerate(labels)], dtype=object)

    pooled = pool("a", part(one, batch=wells(one, "p")), "b", part(other, batch=wells(other, "q")))
    assert pooled.permuted == "wells"
    drawn = pooled.drawn(np.random.default_rng(0))
    well = pd.DataFrame(pooled.cells.cells.obs)["batch"]
    assert (pd.Series(drawn).groupby(well.to_numpy()).nunique() == 1).all()
    assert (drawn != pooled.second).any()


def test_what_does_not_go_together_is_refused(tmp_path: Path) -> None:
    one, other = halves()
    a = run_of(tmp_path / "a", part(one))
    with pytest.raises(QueryError, match="cells in common"):
        differences(a, a)
    with pytest.raises(QueryError, match="preset 'released'"):
        differences(a, make_fake_run(tmp_path / "fake"))
    strict = run_of(tmp_path / "strict", part(other), network={"least_effect": 0.2})
    with pytest.raises(QueryError, match="differ in how their networks were fitted"):
        differences(a, strict)
    with pytest.raises(QueryError, match="at least 10 permutations"):
        differences(a, strict, permutations=3)
    with pytest.raises(QueryError, match="between 0 and 1"):
        differences(a, strict, level=1.5)


def test_a_screen_of_one_condition_has_a_permuted_label_for_every_cell() -> None:
    one, other = halves()
    pooled = pool("a", part(one), "b", part(other))
    assert isinstance(pooled, Pooled)
    assert pooled.second.sum() == len(other)
    assert len(pooled.cells.labels) == len(one) + len(other)
