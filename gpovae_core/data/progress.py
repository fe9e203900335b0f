"""How work that takes long says how far it is: one signature in the whole house."""

from __future__ import annotations

import re
from collections.abc import Callable

Progress = Callable[[str, float], None]
"""Called with what is being done, in words, and the share done, 0 to 1."""


_NUMBERS = re.compile(r"[\d.,%]+")


def without_numbers(stage: str) -> str:
    """What is being done, the same however far it is."""
    return _NUMBERS.sub("", stage)


def tell(progress: Progress | None, stage: str, share: float) -> None:
    """Call `progress`, where there is one."""
    if progress is not None:
        progress(stage, share)


def stretch(
    progress: Progress | None, start: float = 0.0, end: float = 1.0, words: str = "{}"
) -> Progress | None:
    """The progress of a part of the work, which takes the whole from `start` to `end`; None where nobody
    listens.

    words: what is said meanwhile; the part's own words stand in the place of "{}".
    """
    if progress is None:
        return None
    return lambda stage, share: progress(words.replace("{}", stage), start + (end - start) * share)
