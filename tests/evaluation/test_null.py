"""The null of the alignment: where there is no effect it says so, and real effects stand above it."""

from __future__ import annotations

import numpy as np
import pytest

from gpovae_core import keys
from gpovae_core.config import make_settings
from gpovae_core.data.schema import PreparedCells
from gpovae_core.evaluation.null import alignment_cut, alignment_null, null_warning
from tests.evaluation.conftest import build_screen
from tests.toy import toy_cells


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
    found = alignment_null(PreparedCells(blank, prepared.panel, prepared.report), make_settings())
    assert found["real"] == pytest.approx(found["null"], abs=0.06)


def test_order_of_cells_does_not_matter():
    prepared = toy_cells()
    order = np.random.default_rng(1).permutation(prepared.cells.n_obs)
    shuffled = PreparedCells(prepared.cells[order].copy(), prepared.panel, prepared.report)
    assert alignment_null(prepared, make_settings()) == pytest.approx(alignment_null(shuffled, make_settings()))


def test_too_few_controls_give_no_null():
    assert alignment_null(build_screen(controls=12), make_settings())["null"] is None


def test_warning_only_where_noise_passes_too():
    assert null_warning({"real": 0.48, "null": 0.49}) is not None
    assert null_warning({"real": 0.48, "null": 0.02}) is None
    assert null_warning({"real": None, "null": None}) is None
