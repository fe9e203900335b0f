"""The depth by which controls are drawn: of all counts, but for a gene that would be half of it."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from scipy.special import expit

from gpovae_core import keys
from gpovae_core.config import make_settings
from gpovae_core.data.schema import PreparedCells
from gpovae_core.data.store import CountsWriter
from gpovae_core.effects import contrasts as contrasts_module
from gpovae_core.effects import nulls as nulls_module
from gpovae_core.effects.averages import average_effects
from gpovae_core.effects.contrasts import contrasts, null_contrasts
from gpovae_core.effects.design import Design
from gpovae_core.effects.draws import LARGE, LEAST_LEFT, depth_to_draw_by, large_genes
from gpovae_core.effects.nulls import null_screen
from gpovae_core.evaluation import relabelled
from gpovae_core.evaluation.held_out import held_out_pairs
from gpovae_core.evaluation.relabelled import null_differences, null_omission
from gpovae_core.evaluation.score_network import genes_left_out
from gpovae_core.methods.false_edges import false_edge_rate
from gpovae_core.methods.fitted import NetworkFit
from gpovae_core.methods.method import Inputs
from gpovae_core.methods.network_fit import fit_network
from tests.effects.test_contrasts import build
from tests.effects.test_design import with_columns

SOURCES = ("A", "B", "C", "D")
USERS: tuple[Any, ...] = (contrasts_module, nulls_module, relabelled)


@cache
def dominated(share: float = 0.45, rest: int = 40, counts: float = 30.0, controls: int = 1200) -> Any:
    """Controls and 150 cells each of A, which takes nine tenths of BIG, of B, which halves G00, and of C and
    D, which do nothing. BIG holds `share` of the controls' counts, and differs between cells as HBE1 does.
    """
    rng = np.random.default_rng(3)
    names = ["BIG", *SOURCES, *(f"G{i:02d}" for i in range(rest))]
    labels = np.repeat(np.array([keys.CONTROL, *SOURCES], dtype=object), [controls, 150, 150, 150, 150])
    mean = np.tile(counts * rng.gamma(6.0, 1 / 6, len(names)), (len(labels), 1))
    mean[:, 0] = share / (1 - share) * mean[0, 1:].sum() * rng.lognormal(-0.5, 1.0, len(labels))
    for source, target, factor in (("A", "BIG", 0.1), ("B", "G00", 0.5), *((s, s, 0.2) for s in SOURCES)):
        mean[labels == source, names.index(target)] *= factor
    mean *= rng.lognormal(0.0, 0.4, (len(labels), 1))
    splits = rng.choice(np.array([keys.TRAIN, keys.TEST], dtype=object), len(labels), p=[0.8, 0.2])
    return build(rng.poisson(mean), labels, names, SOURCES, splits=splits)


def of_panel(shares: list[float], counts: float = 2000.0) -> PreparedCells:
    """Controls and A over few genes, which hold these shares of about `counts` a cell."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.array([keys.CONTROL, "A"], dtype=object), [300, 60])
    mean = counts * np.array(shares) * rng.lognormal(0.0, 0.3, (len(labels), 1))
    return build(rng.poisson(mean), labels, ["A", *(f"G{i:02d}" for i in range(1, len(shares)))], ("A",))


def found_in(prepared: PreparedCells) -> dict[str, float]:
    return large_genes(prepared, Design.of(prepared))


def drawn_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw controls by all counts, whatever holds them."""
    for module in USERS:
        monkeypatch.setattr(module, "depth_to_draw_by", lambda _, design: design.size)


def drawn(prepared: PreparedCells) -> list[np.ndarray]:
    """Every figure that comes from controls drawn as deep as perturbed cells."""
    settings = make_settings("evidence")
    differences = null_differences(inputs_of(prepared), 0, 2)
    return [
        *(draw.effect for draw in null_contrasts(prepared, contrasts(prepared), 2, 0)),
        null_screen(prepared, settings).cells.obs_names.to_numpy(dtype=str),
        fit_network(prepared, settings).null_share,
        *differences,
    ]


def inputs_of(prepared: PreparedCells) -> Inputs:
    effects = average_effects(prepared, (keys.TRAIN,)).mean
    return Inputs(prepared, SOURCES, tuple(prepared.cells.var_names), effects)


def z_of_big(prepared: PreparedCells) -> float:
    """Mean z of A on BIG over draws of controls in the place of A."""
    at = prepared.panel.index["BIG"]
    draws = null_contrasts(prepared, contrasts(prepared), 10, 0)
    return float(np.mean([draw.effect[0, at] / draw.error[0, at] for draw in draws]))


# Which genes ------------------------------------------------------------------------------------------------


def test_a_gene_that_is_half_of_the_counts_is_left_out_of_the_depth() -> None:
    prepared = dominated()
    design = Design.of(prepared)
    training = prepared.where(keys.CONTROL, (keys.TRAIN,))
    counts = prepared.counts.toarray().astype(float)
    found = large_genes(prepared, design)
    assert list(found) == ["BIG"]
    assert found["BIG"] == pytest.approx(counts[training, 0].sum() / counts[training].sum())
    np.testing.assert_array_equal(depth_to_draw_by(prepared, design), counts[:, 1:].sum(axis=1))


def test_without_a_large_gene_the_depth_is_the_size_and_nothing_moves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepared = dominated(share=0.085)
    design = Design.of(prepared)
    assert depth_to_draw_by(prepared, design) is design.size
    before = drawn(prepared)
    assert "depth_without" not in fit_network(prepared, make_settings("evidence")).arrays()
    drawn_by_all(monkeypatch)
    for one, other in zip(before, drawn(prepared), strict=True):
        np.testing.assert_array_equal(one, other)


def test_with_a_large_gene_everything_that_is_drawn_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    before = drawn(dominated())
    drawn_by_all(monkeypatch)
    assert not any(np.array_equal(a, b) for a, b in zip(before, drawn(dominated()), strict=True))


@pytest.mark.parametrize(
    ("shares", "counts", "left_out"),
    [
        ([0.04] * 15 + [0.4], 2000, 1),
        ([0.05] * 8 + [0.2, 0.4], 2000, 2),
        ([0.2] * 5, 2000, 0),  # nothing would be left
        ([0.05] + [0.1188] * 8, 2000, 0),  # one gene would be all of the depth
        ([0.01] * 9 + [0.91], 2000, 1),  # 180 counts tell the depth
        ([0.01] * 9 + [0.91], 300, 0),  # 27 do not
    ],
)
def test_no_more_is_left_out_than_helps(shares: list[float], counts: float, left_out: int) -> None:
    prepared = of_panel(shares, counts)
    found = found_in(prepared)
    assert len(found) == left_out
    assert list(found.values()) == sorted(found.values(), reverse=True)
    if found:
        design = Design.of(prepared)
        control = prepared.labels == keys.CONTROL
        depth = depth_to_draw_by(prepared, design)[control]
        assert np.median(depth) >= LEAST_LEFT
        rest = [i for i, gene in enumerate(prepared.cells.var_names) if gene not in found]
        largest = prepared.counts[control][:, rest].sum(axis=0).max() / depth.sum()
        assert largest < max(found.values())


def test_of_the_whole_transcriptome_a_gene_is_large_by_its_share_of_that() -> None:
    prepared = dominated()
    size = np.asarray(prepared.cells.obs[keys.LIBRARY_SIZE], dtype=float)
    assert found_in(with_columns(prepared, **{keys.SIZE_FACTOR: 10 * size})) == {}
    twice = with_columns(prepared, **{keys.SIZE_FACTOR: 2 * size})
    assert found_in(twice)["BIG"] == pytest.approx(found_in(prepared)["BIG"] / 2)
    assert found_in(twice)["BIG"] > LARGE
    np.testing.assert_array_equal(
        depth_to_draw_by(twice, Design.of(twice)), 2 * size - prepared.counts[:, [0]].toarray().ravel()
    )


def test_training_controls_that_pass_decide() -> None:
    prepared = dominated()
    others = prepared.cells.copy()
    counts: Any = others.X.tolil()
    wrong = ~prepared.where(keys.CONTROL, (keys.TRAIN,))
    failed = np.flatnonzero(~wrong)[:50]
    wrong[failed] = True
    counts[np.flatnonzero(wrong), 7] = 100_000
    others.X = counts.tocsr()
    others.obs[keys.LIBRARY_SIZE] = np.asarray(others.X.sum(axis=1)).ravel().astype(float)
    others.obs.iloc[failed, others.obs.columns.get_loc(keys.ARTIFACT)] = True
    assert list(found_in(PreparedCells(others, prepared.panel, prepared.report))) == ["BIG"]
    none = prepared.cells[prepared.labels != keys.CONTROL].copy()
    assert found_in(PreparedCells(none, prepared.panel, prepared.report)) == {}


def test_order_of_cells_and_genes_does_not_matter() -> None:
    prepared = dominated()
    rng = np.random.default_rng(1)
    cells, genes = rng.permutation(prepared.cells.n_obs), rng.permutation(prepared.cells.n_vars)
    shuffled = PreparedCells(prepared.cells[cells][:, genes].copy(), prepared.panel, prepared.report)
    assert found_in(shuffled) == found_in(prepared)
    np.testing.assert_array_equal(
        depth_to_draw_by(shuffled, Design.of(shuffled)),
        depth_to_draw_by(prepared, Design.of(prepared))[cells],
    )


def test_counts_on_disk_have_the_same_depth(tmp_path: Any) -> None:
    prepared = dominated()
    counts = prepared.counts
    writer = CountsWriter(tmp_path / "counts.h5ad", np.diff(counts.indptr), counts.shape[1])
    writer.put(np.arange(counts.shape[0]), counts)
    on_disk = replace(prepared, stored=writer.opened())
    assert found_in(on_disk) == found_in(prepared)
    design = Design.of(prepared)
    np.testing.assert_array_equal(depth_to_draw_by(on_disk, design), depth_to_draw_by(prepared, design))


# What it is for ---------------------------------------------------------------------------------------------


def test_the_null_does_not_show_what_a_perturbation_does_to_a_large_gene(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepared = dominated()
    at = prepared.panel.index["BIG"]
    observed = contrasts(prepared)
    assert observed.effect[0, at] < -1.5
    assert abs(z_of_big(prepared)) < 1
    relabelled_screen = contrasts(null_screen(prepared, make_settings("evidence")))
    assert abs(relabelled_screen.effect[0, at] / relabelled_screen.error[0, at]) < 3
    drawn_by_all(monkeypatch)
    assert z_of_big(prepared) < -4
    relabelled_screen = contrasts(null_screen(prepared, make_settings("evidence")))
    assert relabelled_screen.effect[0, at] / relabelled_screen.error[0, at] < -4


def test_the_estimated_share_of_false_edges_is_about_that_of_the_truth(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    prepared, settings = dominated(), make_settings("evidence")
    fit = fit_network(prepared, settings)
    weights = expit(fit.log_odds)
    found = {
        (prepared.panel.genes[i], prepared.panel.genes[j])
        for i, j in np.argwhere((weights > 0.5) & np.isfinite(fit.evidence))
    }
    assert found == {("A", "BIG"), ("B", "G00")}  # none is false
    assert false_edge_rate(fit, weights, 0.5)[0] < 0.05
    drawn_by_all(monkeypatch)
    before = fit_network(prepared, settings)
    assert false_edge_rate(before, weights, 0.5)[0] > 0.3
    np.testing.assert_array_equal(before.log_odds, fit.log_odds)


def test_held_out_controls_in_the_place_of_perturbed_cells_stay_at_the_level() -> None:
    prepared = dominated()
    pairs = held_out_pairs(prepared)
    rates = [null_omission(inputs_of(prepared), pairs, 0.05, seed) for seed in range(10)]
    assert 0.02 < np.mean(np.array(rates, dtype=float)) < 0.08


def test_a_fit_keeps_what_was_left_out() -> None:
    prepared, settings = dominated(), make_settings("evidence")
    fit = fit_network(prepared, settings)
    ((place, share),) = NetworkFit.from_arrays(fit.arrays()).as_kept().depth_without
    assert sorted(prepared.cells.var_names)[int(place)] == "BIG"
    assert genes_left_out(fit, prepared) == pytest.approx(found_in(prepared))
    assert genes_left_out(fit_network(dominated(share=0.085), settings), prepared) is None
    assert share == pytest.approx(found_in(prepared)["BIG"], abs=1e-6)
    older = {name: values for name, values in fit.arrays().items() if name != "depth_without"}
    assert NetworkFit.from_arrays(older).depth_without.shape == (0, 2)
