"""What comes up on the way through a file: problems, notes, what is left out, decisions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gpovae_core import keys
from gpovae_core.data.decisions import Decision
from gpovae_core.data.schema import Dropped
from gpovae_core.errors import Problem


@dataclass
class Findings:
    """Collected on the way through the file."""

    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    decisions: list[Decision] = field(default_factory=list)
    conditions: dict[str, int] = field(default_factory=dict)  # those of the file -> cells

    def add(self, problems: Iterable[Problem], notes: Iterable[str] = ()) -> None:
        self.problems.extend(problems)
        self.notes.extend(notes)

    def error(self, code: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(code, message, hint))

    def warn(self, code: str, message: str, hint: str = "") -> None:
        self.problems.append(Problem(code, message, hint, "warning"))

    @property
    def ok(self) -> bool:
        return not any(problem.severity == "error" for problem in self.problems)


def targets_of(labels: Iterable[str]) -> set[str]:
    return {gene for label in set(labels) - {keys.CONTROL} for gene in keys.genes_of(label)}


def listed(names: Sequence[str], most: int = 10) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")
