"""Nulls: where there is no effect they say so, and real effects stand above them."""

from __future__ import annotations

import numpy as np
import pytest

from gpovae_core import keys
from gpovae_core.config import make_settings
from gpovae_core.data.schema import PreparedCells
from gpovae_core.effects.nulls import alignment_cut, alignment_null, null_screen, null_warning
from gpovae_core.errors import QueryError
from gpovae_core.workflow import null_network
from tests.evaluation.conftest import build_screen
from tests.toy import tiny_settings, toy_cells, write_toy


def test_cut_is_where_w_passes_one_half():
    assert alignment_cut(make_settings("released", {"loss": {"effect_offset": 0.8}})) == 0.8
    assert alignment_cut(make_settings("paper")) == 0.5


def test_without_effects_real_and_null_agree():
    prepared = build_screen(cells=400, controls=2400, rest=30)
    labels = prepared.labels.copy()
    blank = prepared.cells.copy()
    source = np.random.default_rng(0).choice(np.flatnonzero(labels == keys.CONTROL), len(labels))
    blank.X = prepared.counts[source]  # every cell is a control cell, whatever its label says
    blank.obs[keys.LIBRARY_SIZE] = prepared.library_size[source]
    found = alignment_null(PreparedCells(blank, prepared.panel, prepared.report), make_settings("released"))
    assert found["real"] == pytest.approx(found["null"], abs=0.06)


def test_order_of_cells_does_not_matter():
    prepared = toy_cells()
    order = np.random.default_rng(1).permutation(prepared.cells.n_obs)
    shuffled = PreparedCells(prepared.cells[order].copy(), prepared.panel, prepared.report)
    assert alignment_null(prepared, make_settings("released")) == pytest.approx(
        alignment_null(shuffled, make_settings("released"))
    )


def test_too_few_controls_give_no_null():
    assert alignment_null(build_screen(controls=12), make_settings("released"))["null"] is None


def test_warning_only_where_noise_passes_too():
    assert null_warning({"real": 0.48, "null": 0.49}) is not None
    assert null_warning({"real": 0.48, "null": 0.02}) is None
    assert null_warning({"real": None, "null": None}) is None


def test_a_null_screen_is_made_of_controls_in_the_place_of_every_perturbation():
    prepared = toy_cells()
    screen = null_screen(prepared, tiny_settings("evidence"))
    originals = np.array([cell.rsplit("/", 1)[0] for cell in screen.cells.obs_names], dtype=object)
    assert set(prepared.cells.obs.loc[originals, keys.PERTURBATION]) == {keys.CONTROL}
    assert not screen.cells.obs_names.duplicated().any()
    assert set(screen.perturbations) <= set(prepared.perturbations)
    for split in keys.SPLITS:
        controls = set(originals[screen.where(keys.CONTROL, (split,))])
        others = set(originals[screen.where(splits=(split,)) & (screen.labels != keys.CONTROL)])
        assert not controls & others
        half = int(prepared.where(keys.CONTROL, (split,)).sum()) // 2
        for name in screen.perturbations:
            own, drawn = prepared.where(name, (split,)), screen.where(name, (split,))
            assert 0.6 * min(half, own.sum()) <= drawn.sum() <= min(half, own.sum())
            batches = (
                cells.cells.obs.loc[here, keys.BATCH].value_counts()
                for cells, here in ((screen, drawn), (prepared, own))
            )
            taken, there = batches  # of no batch more than the perturbation has of it
            assert (taken <= there.reindex(taken.index, fill_value=0)).all()
    partners = screen.cells.obs[keys.CONTROL_ID]
    assert set(partners[screen.labels != keys.CONTROL]) <= set(
        screen.cells.obs_names[screen.labels == keys.CONTROL]
    )


def test_a_null_needs_controls():
    with pytest.raises(QueryError, match="at least 20"):
        null_screen(build_screen(controls=12), tiny_settings("evidence"))


@pytest.mark.parametrize("preset", ["evidence", "released"])
def test_the_null_goes_the_whole_way(tmp_path, preset):
    answer = null_network(write_toy(tmp_path), tiny_settings(preset, training={"epochs": 1}))
    assert answer["threshold"] == 0.5
    assert answer["share"] == answer["edges"] / answer["pairs"]
    shares = [row["share"] for row in answer["thresholds"]]
    assert shares == sorted(shares, reverse=True)
    if preset == "evidence":
        assert answer["share"] < 0.01
