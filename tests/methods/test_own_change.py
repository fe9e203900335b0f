"""What a perturbation does to its own gene: read off it where it moves, by screen and by perturbation."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gpovae_core.data.kinds import ACTIVATION, KNOCK_DOWN, KNOCK_OUT
from gpovae_core.effects.contrasts import Contrasts
from gpovae_core.methods.own_change import ASSUMED, MOST_FALL, READ, TYPICAL, own_change


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


def test_one_target_that_clearly_rises_was_activated() -> None:
    found = own_change(seen([-1.0, -1.2, -0.9, -1.1, 0.8]), "auto", 0.9)
    assert found.kind.tolist() == [KNOCK_DOWN] * 4 + [ACTIVATION]
    assert found.change[4] == pytest.approx(0.8)
    found = own_change(seen([1.0, 1.2, 0.9, 1.1, -0.4]), "auto", 0.9)
    assert found.kind.tolist() == [ACTIVATION] * 4 + [KNOCK_DOWN]


def test_noise_turns_no_knock_down_round() -> None:
    """A fifth of the targets do not move, and their errors are large: in 200 screens of 60 targets one that
    only scatters is taken for activated in at most the stated level of them.
    """
    rng = np.random.default_rng(0)
    turned = 0
    for _ in range(200):
        truth = np.where(np.arange(60) % 5 == 0, 0.0, -1.2)
        found = own_change(seen((truth + rng.normal(0, 0.4, 60)).tolist(), 0.4), "auto", 0.9)
        turned += bool((found.kind == ACTIVATION).any())
    assert turned <= 0.05 * 200


def test_one_that_rises_makes_no_activation_of_the_others() -> None:
    found = own_change(seen([0.9, *([0.02] * 9)]), "auto", 0.9)
    assert found.kind.tolist() == [ACTIVATION] + [KNOCK_OUT] * 9
    found = own_change(seen([0.5, *([-0.4] * 9)]), "auto", 0.9)
    assert set(found.kind) == {KNOCK_OUT}, "a gene that represses itself rises when it is cut"


def test_what_the_file_states_comes_before_what_is_seen() -> None:
    unmeasured = seen([np.nan] * 3)
    found = own_change(replace(unmeasured, stated=np.array([ACTIVATION] * 3, dtype=object)), "auto", 0.9)
    assert set(found.kind) == {ACTIVATION}
    assert (found.change > 0).all()
    each = np.array([ACTIVATION, KNOCK_DOWN, KNOCK_OUT, None], dtype=object)
    found = own_change(replace(seen([np.nan, -0.5, -0.5, 1.2]), stated=each), "auto", 0.9)
    assert found.kind.tolist() == [ACTIVATION, KNOCK_DOWN, KNOCK_OUT, ACTIVATION]
    np.testing.assert_allclose(found.change, [1.2, -0.5, np.log(0.1), 1.2])
    told = own_change(replace(unmeasured, stated=np.array([ACTIVATION] * 3, dtype=object)), "knock-down", 0.9)
    assert set(told.kind) == {KNOCK_DOWN}, "what a person says comes first"


def test_every_word_that_may_be_told() -> None:
    here = seen([-1.0, -1.2, -0.9, 0.6, 0.02])
    assert set(own_change(here, "none", 0.9).kind) == {KNOCK_OUT}
    assert set(own_change(here, "over-expression", 0.9).kind) == {ACTIVATION}
    mixed = own_change(here, "mixed", 0.9)
    assert mixed.kind.tolist() == [KNOCK_DOWN] * 3 + [ACTIVATION, KNOCK_DOWN]


def test_the_mrna_of_knocked_out_genes_may_rise_a_little() -> None:
    found = own_change(seen([0.35, 0.3, 0.02, -0.1]), "auto", 0.9)
    assert set(found.kind) == {KNOCK_OUT}


def test_a_direction_that_is_told_is_taken() -> None:
    told = own_change(seen([-0.9, -1.0, np.nan]), "activation", 0.9)
    assert set(told.kind) == {ACTIVATION}
    assert (told.change > 0).all()
    assert set(told.source) == {ASSUMED}
    told = own_change(seen([0.9, 1.0, 1.2]), "knock-down", 0.9)
    assert (set(told.kind), set(told.source)) == ({KNOCK_DOWN}, {ASSUMED})
    np.testing.assert_allclose(told.change, np.log(0.1))


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
