"""Notes of an evaluation for reading: what several would say in the same words is said once."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gpovae_core.evaluation.listing import listed

_NOT_INSTALLED = re.compile(
    r"Pairs were not ranked by (?P<method>.+?): the package (?P<package>\S+) is not installed "
    r"\((?P<command>.+)\)\."
)


def once(notes: Sequence[str] | None) -> list[str]:
    """Each note once, and one for all packages that the same command would install, where the first of them
    stood.
    """
    told: list[str] = []
    missing: dict[str, dict[str, str]] = {}  # command -> method -> package
    for note in dict.fromkeys(notes or ()):
        found = _NOT_INSTALLED.fullmatch(note)
        if found is None:
            told.append(note)
            continue
        command = found["command"]
        if command not in missing:
            told.append(command)
        missing.setdefault(command, {})[found["method"]] = found["package"]
    return [_not_installed(words, missing[words]) if words in missing else words for words in told]


def _not_installed(command: str, packages: dict[str, str]) -> str:
    which = "package {} is" if len(packages) == 1 else "packages {} are"
    return (
        f"Pairs were not ranked by {listed(packages)}: the {which.format(listed(packages.values()))} not "
        f"installed ({command})."
    )
