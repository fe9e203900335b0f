"""Numbers in sentences."""

from __future__ import annotations

from collections.abc import Sequence


def counted(n: int, noun: str) -> str:
    """'1 cell', '1,200 cells': with thousands separators, and the plural in s."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def unseparated_in_words(columns: Sequence[str]) -> str:
    """Why nobody knows how many edges are false, where cells are not compared within columns of obs that are
    like batches; "" without any.
    """
    if not columns:
        return ""
    named = " and ".join(f"'{name}'" for name in columns)
    return (
        f"How many edges are false is not known: cells are not compared within {named} of obs, so that what "
        "differs there cannot be told from effects, and controls in the place of perturbed cells do not show "
        "it."
    )
