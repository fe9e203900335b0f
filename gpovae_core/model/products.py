"""How float32 matrices are multiplied: by which library, and with how many digits of their factors.

torch hands products on the CPU to MKL, which on processors of other makers reaches four fifths of what oneDNN
does. torch takes oneDNN where it may shorten the factors to bfloat16; hardware that does not gain by that
multiplies in float32 all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch

Precision = Literal["float32", "bf16"]


@contextmanager
def products(precision: Precision = "float32") -> Iterator[None]:
    """What happens inside multiplies float32 matrices so; sums, and everything that is no product, are
    float32 either way.

    float32: nothing is shortened; on the CPU by oneDNN where it keeps all digits (tried out, as it depends on
    the processor). bf16: factors are shortened to bfloat16 (8 significant bits) on the CPU and to
    TensorFloat-32 (11) on CUDA, for which torch has no bfloat16 of float32 factors; on hardware that does not
    gain by it they are not. Weights should be contiguous: oneDNN is slow on slices.
    """
    backends: Any = torch.backends
    on_cpu, on_cuda = kinds = (backends.mkldnn.matmul, backends.cuda.matmul)
    before = [kind.fp32_precision for kind in kinds]
    try:
        on_cpu.fp32_precision = "bf16"
        on_cuda.fp32_precision = "tf32" if precision == "bf16" else "ieee"
        if precision == "float32" and not products_are_exact():
            on_cpu.fp32_precision = "ieee"
        yield
    finally:
        for kind, setting in zip(kinds, before, strict=True):
            kind.fp32_precision = setting


def products_are_exact() -> bool:
    """Whether factors on the CPU keep their 24 bits: 1 + 2^-12 is 1 in bfloat16 and in TensorFloat-32."""
    factor = torch.full((256, 256), 1 + 2.0**-12)
    return bool(torch.equal(factor @ torch.eye(256), factor))
