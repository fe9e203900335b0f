"""Numbers in sentences."""

from __future__ import annotations


def counted(n: int, noun: str) -> str:
    """'1 cell', '1,200 cells': with thousands separators, and the plural in s."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"
