"""Text for the screen: names from data never become markup, numbers are written alike everywhere."""

from __future__ import annotations

import math
import re
from typing import Any

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&^=])")


def plain(text: object) -> str:
    """`text` for a place that reads markdown, so that it shows exactly as it is; line breaks stay."""
    return _MARKDOWN.sub(r"\\\1", str(text)).replace("\n", "  \n")


def number(value: Any, digits: int = 3) -> str:
    """A score in words: fixed digits, thousands with a comma, 'not defined' for None and NaN."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return "not defined"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer() and abs(value) >= 1000):
        return f"{int(value):,}"
    return f"{value:.{digits}f}"


def percent(share: float | None) -> str:
    """A share between 0 and 1 in percent, 'not defined' for None; what rounding would turn into nothing or
    all is said as a bound.
    """
    if share is None:
        return "not defined"
    if 0.0 < share < 0.0001:
        return "below 0.01 %"
    if 0.9999 < share < 1.0:
        return "above 99.99 %"
    return f"{100 * share:.2f} %"


def ago(seconds: float) -> str:
    """A duration in the largest unit that fits: '40 s', '12 min', '3 h', '5 days'."""
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{max(0, round(seconds / unit))} {name}"
    return f"{round(seconds / 86400)} days"
