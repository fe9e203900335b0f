"""Numbers for reading, written alike in every table and sentence."""

from __future__ import annotations

import math
from typing import Any

UNDEFINED = "not defined"


def number(value: Any, digits: int = 3) -> str:
    """A score: fixed digits, thousands with a comma, 'not defined' for None and NaN."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return UNDEFINED
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer() and abs(value) >= 1000):
        return f"{int(value):,}"
    return f"{value:.{digits}f}"


def count(value: int | None) -> str:
    return UNDEFINED if value is None else f"{value:,}"


def share(value: float | None) -> str:
    """A share between 0 and 1 in whole percent."""
    return UNDEFINED if value is None else f"{100 * value:.0f} %"


def percent(value: float | None) -> str:
    """A share between 0 and 1 in percent with two digits; what rounding would turn into nothing or all is
    said as a bound.
    """
    if value is None:
        return UNDEFINED
    if 0.0 < value < 0.0001:
        return "below 0.01 %"
    if 0.9999 < value < 1.0:
        return "above 99.99 %"
    return f"{100 * value:.2f} %"


def times(value: float | None) -> str:
    """A ratio to chance."""
    return UNDEFINED if value is None else f"{value:.1f} ×"


def capitalised(words: str) -> str:
    """The first letter large, the rest as it is: Mann and T_K keep theirs."""
    return words[:1].upper() + words[1:]
