"""Matrix products by another library are the same products."""

from __future__ import annotations

import torch

from gpovae_core.model import products
from gpovae_core.model.products import exact_products, products_are_exact


def test_products_stay_float32_and_the_setting_is_given_back():
    first, second = torch.randn(300, 700), torch.randn(700, 200)
    before = torch.backends.mkldnn.matmul.fp32_precision
    with exact_products():
        assert products_are_exact()
        error = (first @ second).double() - first.double() @ second.double()
    assert error.norm() / (first @ second).norm() < 2e-6  # bfloat16 would be at 2e-3
    assert torch.backends.mkldnn.matmul.fp32_precision == before


def test_where_factors_would_be_shortened_torch_is_left_as_it_is(monkeypatch):
    before = torch.backends.mkldnn.matmul.fp32_precision
    monkeypatch.setattr(products, "products_are_exact", lambda: False)
    with exact_products():
        assert torch.backends.mkldnn.matmul.fp32_precision == before
