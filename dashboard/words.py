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


def ago(seconds: float) -> str:
    """A duration in the largest unit that fits: '40 s', '12 min', '3 h', '5 days'."""
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{max(0, round(seconds / unit))} {name}"
    return f"{round(seconds / 86400)} days"
