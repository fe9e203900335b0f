"""The expectation of the logarithm of a count, against scipy's sum over all counts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from gpovae_core.inference import ExpectedLog


@pytest.mark.parametrize(
    ("concentration", "mean", "library"), [(0.3, 0.01, 200), (1.0, 0.7, 950), (5.0, 12.0, 186), (40.0, 300.0, 12_000), (0.8, 90.0, 950)]
)
def test_expected_log_matches_scipy(concentration, mean, library):
    expected = ExpectedLog(
        torch.tensor([concentration], dtype=torch.float64),
        torch.tensor([mean * 3], dtype=torch.float64),
        torch.tensor([library, 2 * library], dtype=torch.float64),
    )
    got = expected(torch.tensor([[mean], [mean]], dtype=torch.float64), torch.tensor([0, 1]))[:, 0]
    counts = np.arange(int(mean + 40 * np.sqrt(mean + mean**2 / concentration)) + 50)
    p = stats.nbinom.pmf(counts, concentration, concentration / (concentration + mean))
    for level, value in zip((library, 2 * library), got, strict=True):
        assert float(value) == pytest.approx(p @ np.log2(1 + 1e4 * counts / level), rel=1e-3)


def test_expected_log_rises_with_the_mean():
    expected = ExpectedLog(
        torch.tensor([1.0], dtype=torch.float64), torch.tensor([500.0], dtype=torch.float64), torch.tensor([1000.0], dtype=torch.float64)
    )
    means = torch.logspace(-4, np.log10(500), 300, dtype=torch.float64)
    values = torch.stack([expected(m.reshape(1, 1), torch.tensor([0]))[0, 0] for m in means])
    assert (values.diff() > 0).all()
