"""Matrix products by another library are the same products; shortened factors are an option, and everything
is given back.
"""

from __future__ import annotations

import pytest
import torch

from gpovae_core.model import products as module
from gpovae_core.model.products import Precision, products, products_are_exact


def relative_error(first: torch.Tensor, second: torch.Tensor) -> float:
    exact = first.double() @ second.double()
    return float(((first @ second).double() - exact).norm() / exact.norm())


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_settings_are_given_back(precision: Precision):
    kinds = (torch.backends.mkldnn.matmul, torch.backends.cuda.matmul)
    before = [kind.fp32_precision for kind in kinds]
    with products(precision):
        assert torch.backends.cuda.matmul.fp32_precision == ("tf32" if precision == "bf16" else "ieee")
    assert [kind.fp32_precision for kind in kinds] == before


def test_float32_keeps_all_digits():
    with products():
        assert products_are_exact()
        assert relative_error(torch.randn(300, 700), torch.randn(700, 200)) < 2e-6


def test_bf16_shortens_the_factors_and_not_the_sums():
    first, second = torch.randn(300, 700), torch.randn(700, 200)
    with products("bf16"):
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
        assert (first @ second).dtype == torch.float32
        assert relative_error(first, second) < 5e-3
        exact = first.bfloat16().float(), second.bfloat16().float()  # nothing is left to shorten
        assert relative_error(*exact) < 2e-6


def test_where_factors_would_be_shortened_torch_multiplies_itself(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "products_are_exact", lambda: False)
    with products():
        assert torch.backends.mkldnn.matmul.fp32_precision == "ieee"
    with products("bf16"):
        assert torch.backends.mkldnn.matmul.fp32_precision == "bf16"
