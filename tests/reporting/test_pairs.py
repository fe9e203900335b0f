"""What is said of the first of a ranking of pairs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from gpovae_core.questions.pairs import PairRanking
from gpovae_core.reporting.pairs import answer_in_words


def ranking(*spreads: tuple[float, float]) -> PairRanking:
    """Pairs A + B, A + C, ... in this order, each with its spread; its size is in the middle."""
    rows = [
        {
            "first": "A",
            "second": "BCDEF"[k],
            "size": (low + high) / 2,
            "low": low,
            "high": high,
            "additive": 0.5,
            "departure": 0.0,
            "non_additive": 0.0,
            "cells": 100,
            "agreement": 0.6,
            "trust": "good",
        }
        for k, (low, high) in enumerate(spreads)
    ]
    return PairRanking(pd.DataFrame(rows), pd.DataFrame(), len(rows), len(rows), {}, None)


@pytest.mark.parametrize(
    ("others", "told"),
    [
        ([(0.5, 0.7)], "A + B is expected to change most: size 0.90"),
        ([(0.7, 0.9), (0.1, 0.2)], "A + B comes first, but level with another pair, whose spread overlaps"),
        ([(0.7, 0.9), (0.6, 0.8), (0.1, 0.2)], "level with 2 others, whose spreads overlap with its own"),
        ([(np.nan, np.nan)], "A + B is expected to change most"),
    ],
)
def test_the_first_pair_is_said_to_be_level_with_those_it_is_not_told_from(
    others: list[tuple[float, float]], told: str
) -> None:
    words = answer_in_words(ranking((0.8, 1.0), *others))
    assert told in words
    assert "the model's own spread: 0.80 to 1.00" in words
    assert "95 %" not in words


def test_a_first_pair_by_the_sum_alone_is_level_with_none() -> None:
    found = ranking((np.nan, np.nan), (0.7, 0.9))
    assert "is expected to change most" in answer_in_words(found)
