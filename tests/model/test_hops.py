"""The influence over K hops against full matrix powers, the fixture of the released formulas, and laws."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gpovae_core.model.hops import hop_series, influence_over_hops, literal_paper_series
from tests.conftest import shared_folder
from tests.model.reference import influence_by_powers


def random_matrix(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((n, n))


@pytest.mark.parametrize("hops", [1, 2, 3, 5])
def test_paper_series_against_powers(hops):
    w, n = random_matrix(7), 7
    coefficients = [1.0, *(1 / (k * n ** (k - 1)) for k in range(2, hops + 1))]
    np.testing.assert_allclose(
        influence_over_hops(w, hop_series("paper", n, hops)), influence_by_powers(w, coefficients), rtol=1e-12
    )


@pytest.mark.parametrize("hops", [1, 2, 5])
def test_released_series_against_powers(hops):
    a, n = random_matrix(6) - 0.5, 6
    coefficients = [1 / n**k for k in range(hops + 1)]
    np.testing.assert_allclose(
        influence_over_hops(a, hop_series("released", n, hops)),
        influence_by_powers(a, coefficients),
        rtol=1e-12,
    )


@pytest.mark.parametrize("hops", [1, 2, 5])
def test_literal_paper_series_against_powers(hops):
    w, n = random_matrix(6), 6
    coefficients = [1.0, *(1 / (k * n) for k in range(2, hops + 1))]
    np.testing.assert_allclose(
        influence_over_hops(w, literal_paper_series(n, hops)),
        influence_by_powers(w, coefficients),
        rtol=1e-12,
    )


def test_both_paper_series_agree_up_to_two_hops():
    w = random_matrix(9)
    np.testing.assert_allclose(
        influence_over_hops(w, hop_series("paper", 9, 2)),
        influence_over_hops(w, literal_paper_series(9, 2)),
        rtol=1e-12,
    )


def test_every_hop_of_the_paper_series_is_bounded_by_one_over_k():
    n = 50
    ones = np.ones((n, n))
    series = hop_series("paper", n, 6)
    for k in range(1, 7):
        assert (series.coefficient(k) * np.linalg.matrix_power(ones, k)).max() <= 1 / k + 1e-12
    assert series.coefficient(7) == 0.0


@settings(max_examples=30)
@given(
    n=st.integers(1, 8),
    hops=st.integers(1, 6),
    kind=st.sampled_from(["paper", "released"]),
    seed=st.integers(0, 99),
)
def test_rows_are_rows_and_combinations_add_up(n, hops, kind, seed):
    w = random_matrix(n, seed)
    series = hop_series(kind, n, hops)
    whole = influence_over_hops(w, series)
    np.testing.assert_allclose(influence_over_hops(w, series, w[:1]), whole[:1], rtol=1e-10)
    pair = w[[0]] + w[[n - 1]]
    np.testing.assert_allclose(influence_over_hops(w, series, pair), whole[[0]] + whole[[n - 1]], rtol=1e-10)


def test_torch_and_numpy_agree_in_value_and_torch_has_the_gradient_of_the_powers():
    w = torch.tensor(random_matrix(5), requires_grad=True)
    series = hop_series("paper", 5, 4)
    ours = influence_over_hops(w, series)
    np.testing.assert_allclose(
        ours.detach().numpy(), influence_over_hops(w.detach().numpy(), series), rtol=1e-12
    )
    weights = torch.tensor(random_matrix(5, 1))
    (gradient,) = torch.autograd.grad((ours * weights).sum(), w)
    powers = sum(series.coefficient(k) * torch.linalg.matrix_power(w, k) for k in range(1, 5))
    (expected,) = torch.autograd.grad((powers * weights).sum(), w)
    torch.testing.assert_close(gradient, expected)


def test_fixture_of_the_released_formulas():
    fixture = np.load(shared_folder("fixtures") / "khop.npz")
    logits, probabilities = fixture["A_logits"], fixture["A_probs"]
    np.testing.assert_allclose(
        influence_over_hops(logits, hop_series("released", 8, 5)), fixture["S_code_logits"], rtol=1e-9
    )
    for hops in range(1, 5):
        np.testing.assert_allclose(
            influence_over_hops(logits, hop_series("released", 8, hops)),
            fixture[f"S_code_logits_hop{hops}"],
            rtol=1e-9,
        )
    for hops in range(1, 7):
        np.testing.assert_allclose(
            influence_over_hops(logits, literal_paper_series(8, hops)), fixture[f"T_paper_K{hops}"], rtol=1e-9
        )
    np.testing.assert_allclose(
        influence_over_hops(probabilities, literal_paper_series(8, 5)), fixture["T_paper_probs_K5"], rtol=1e-9
    )
