"""Which library multiplies float32 matrices on the CPU.

torch hands them to MKL, which on processors of other makers reaches four fifths of what oneDNN does. torch takes oneDNN where
it is allowed to shorten the factors to bfloat16; without hardware that gains by it, oneDNN multiplies in float32 all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def exact_products() -> Iterator[None]:
    """Float32 products by oneDNN where they stay float32 (tried out, as it depends on the processor), else by torch's default.

    Weights should be contiguous: oneDNN is slow on slices.
    """
    backend: Any = torch.backends.mkldnn
    setting = backend.matmul
    before = setting.fp32_precision
    setting.fp32_precision = "bf16"
    try:
        if not products_are_exact():
            setting.fp32_precision = before
        yield
    finally:
        setting.fp32_precision = before


def products_are_exact() -> bool:
    """Whether factors keep their 24 bits: 1 + 2^-12 is 1 in bfloat16 and in TensorFloat-32."""
    factor = torch.full((256, 256), 1 + 2.0**-12)
    return bool(torch.equal(factor @ torch.eye(256), factor))
