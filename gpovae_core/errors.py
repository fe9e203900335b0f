"""Everything that can go wrong for a user, as exceptions whose message says what, expected, got, and how to
mend it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal


class GpoVaeError(Exception):
    """Base of all errors a user can cause and mend. The command line and the pages show its text, never a
    traceback.
    """


@dataclass(frozen=True)
class Problem:
    """One thing wrong with an input.

    code: stable, machine-readable, kebab-case (`not-raw-counts`); message: what is wrong and where; hint: how
    to mend it; severity: an error stops the work, a warning says what will be left out or assumed.
    """

    code: str
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class DataError(GpoVaeError):
    """A data file cannot be used. Carries *all* problems found, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SettingsError(GpoVaeError):
    """Settings that contradict themselves, the data, or an earlier run."""


class RunError(GpoVaeError):
    """A run folder that is missing, incomplete, damaged, or written by a newer version."""


class QueryError(GpoVaeError):
    """A question the run cannot answer: an unknown gene, a threshold outside (0, 1), an edge table with
    unknown names.
    """
