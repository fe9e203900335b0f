"""Names in a note."""

from __future__ import annotations

from collections.abc import Iterable


def listed(names: Iterable[object], most: int = 10) -> str:
    """The names with commas between them, and how many more there are after `most`."""
    found = [str(name) for name in names]
    shown = ", ".join(found[:most])
    return shown if len(found) <= most else f"{shown} and {len(found) - most} more"
