"""Text for the screen: names from data never become markup, numbers are written as in every report."""

from __future__ import annotations

import re

from gpovae_core import keys
from gpovae_core.reporting.words import number, percent

__all__ = ["ago", "named", "number", "percent", "plain"]

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|<>~$:&^=])")


def plain(text: object) -> str:
    """`text` for a place that reads markdown, so that it shows exactly as it is; line breaks stay."""
    return _MARKDOWN.sub(r"\\\1", str(text)).replace("\n", "  \n")


def named(perturbation: str) -> str:
    """A perturbation as people read it, for a place that reads markdown."""
    return plain(keys.for_reading(perturbation))


def ago(seconds: float) -> str:
    """A duration in the largest unit that fits: '40 s', '12 min', '3 h', '5 days'."""
    for limit, unit, name in ((90, 1, "s"), (5400, 60, "min"), (172800, 3600, "h")):
        if seconds < limit:
            return f"{max(0, round(seconds / unit))} {name}"
    return f"{round(seconds / 86400)} days"
