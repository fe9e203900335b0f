"""What a perturbation does to its own gene: read off it where it moves, by screen and by perturbation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gpovae_core.effects.contrasts import Contrasts
from gpovae_core.methods.own_change import (
    ACTIVATION,
    ASSUMED,
    KNOCK_DOWN,
    KNOCK_OUT,
    MOST_FALL,
    READ,
    TYPICAL,
    own_change,
)


def seen(own: list[float], error: float = 0.1) -> Contrasts:
    p = len(own)
    effect, errors = np.zeros((p, p)), np.full((p, p), error)
    effect[np.arange(p), np.arange(p)] = own
    errors[np.isnan(effect)] = np.inf
    return Contrasts(
        np.arange(p), np.nan_to_num(effect), errors, np.zeros(p), np.full(p, 50), 100, np.full(p, 0.01)
    )


def test_targets_that_rise_were_activated() -> None:
    found = own_change(seen([0.9, 1.4, 2.0, 0.1, np.nan]), "auto", 0.9)
    np.testing.assert_allclose(found.change, [0.9, 1.4, 2.0, 1.4, 1.4])
    assert set(found.kind) == {ACTIVATION}
    assert found.source.tolist() == [READ, READ, READ, TYPICAL, TYPICAL]


def test_both_directions_are_read_where_the_screen_holds_both() -> None:
    found = own_change(seen([0.9, 1.4, 2.0, -1.0, -1.6, -0.8, 0.05]), "auto", 0.9)
    np.testing.assert_allclose(found.change, [0.9, 1.4, 2.0, -1.0, -1.6, -0.8, 1.4])
    assert found.kind.tolist() == [ACTIVATION] * 3 + [KNOCK_DOWN] * 3 + [ACTIVATION]


def test_one_target_that_rises_makes_no_activation() -> None:
    found = own_change(seen([-1.0, -1.2, -0.9, -1.1, 0.8]), "auto", 0.9)
    assert set(found.kind) == {KNOCK_DOWN}
    assert found.change[4] == pytest.approx(-1.05)


def test_the_mrna_of_knocked_out_genes_may_rise_a_little() -> None:
    found = own_change(seen([0.35, 0.3, 0.02, -0.1]), "auto", 0.9)
    assert set(found.kind) == {KNOCK_OUT}


def test_a_direction_that_is_told_is_taken() -> None:
    told = own_change(seen([-0.9, -1.0, np.nan]), "activation", 0.9)
    assert set(told.kind) == {ACTIVATION}
    assert (told.change > 0).all()
    assert set(told.source) == {ASSUMED}
    assert set(own_change(seen([0.9, 1.0, 1.2]), "knock-down", 0.9).kind) == {KNOCK_OUT}


def test_no_fall_counts_for_more_than_nine_tenths() -> None:
    found = own_change(seen([-5.0, -3.0, -1.0]), "auto", 0.9)
    np.testing.assert_allclose(found.change, [MOST_FALL, MOST_FALL, -1.0])


def test_over_the_panel_the_others_take_what_is_typical() -> None:
    found = own_change(seen([0.9, 1.4]), "auto", 0.9).over(4, np.array([2, 0]), 0.9)
    np.testing.assert_allclose(found.change, [1.4, 1.15, 0.9, 1.15])
    assert set(found.kind) == {ACTIVATION}


def test_a_gene_in_both_directions_has_a_change_in_either() -> None:
    found = replace(seen([1.3, 0.05, -1.0, -1.6, -0.9]), sources=np.array([2, 3, 2, 3, 4]))
    effect = np.zeros((5, 5))
    effect[np.arange(5), found.sources] = [1.3, 0.05, -1.0, -1.6, -0.9]
    both = own_change(replace(found, effect=effect, raised=np.arange(5) < 2), "auto", 0.9)
    np.testing.assert_allclose(both.change, [1.3, 1.3, -1.0, -1.6, -0.9])
    assert both.kind.tolist() == [ACTIVATION] * 2 + [KNOCK_DOWN] * 3
    assert both.source.tolist() == [READ, TYPICAL, READ, READ, READ]
