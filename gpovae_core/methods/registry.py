"""Every method there is: a file of this package is one unless it belongs to the MACHINERY. None has to be
listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from gpovae_core import methods as package
from gpovae_core.data.progress import Progress, tell
from gpovae_core.errors import GpoVaeError
from gpovae_core.methods.method import Inputs, Method, Place, Role
from gpovae_core.registry import one_of_each_file

MACHINERY = (
    "ascent",
    "direct",
    "expected",
    "explained",
    "extras",
    "false_edges",
    "fitted",
    "lanes",
    "leftover",
    "method",
    "moments",
    "network_fit",
    "null_odds",
    "own_change",
    "passing",
    "prior",
    "registry",
    "side_by_side",
)
"""What finds W and S, and this file: no methods of their own."""


def methods() -> tuple[Method, ...]:
    """The METHOD of every file of this package, by order, then by key. Raises ValueError where two share a
    key, TypeError for a file without one.
    """
    return one_of_each_file(package, "METHOD", Method, besides=MACHINERY)


def with_role(*roles: Role) -> tuple[Method, ...]:
    return tuple(method for method in methods() if method.role in roles)


def title(key: str) -> str:
    """A method for reading; the key itself where an older or a newer version had a method of that name."""
    return next((method.title for method in methods() if method.key == key), key)


def ceilings() -> dict[str, str]:
    """Measure -> the method whose ranking of the training cells is the ceiling of a network by it."""
    return {measure: method.key for method in methods() for measure in method.ceiling_of}


@dataclass(frozen=True)
class Rankings:
    """What the methods say of the pairs, (s, t) each, in their order. own: of the network; measured: of
    measured effects, the same array for most; notes: in words, what could not be run.
    """

    own: dict[str, np.ndarray]
    measured: dict[str, np.ndarray]
    notes: tuple[str, ...] = field(default=())

    def scored_in(self, place: Place) -> dict[str, np.ndarray]:
        """key -> ranking of the methods that are scored there: `own` against known networks, else
        `measured`.
        """
        found = self.own if place == "known" else self.measured
        return {
            method.key: found[method.key]
            for method in methods()
            if place in method.places and method.key in found
        }

    def ceilings(self) -> dict[str, np.ndarray]:
        """Measure -> the ranking by it in the training cells, as far as it could be run."""
        return {measure: self.own[key] for measure, key in ceilings().items() if key in self.own}


def rank(inputs: Inputs, progress: Progress | None = None) -> Rankings:
    """Run every method whose needs are at hand; one that cannot run leaves a note and no ranking."""
    wanted = list(_wanted(inputs))
    own: dict[str, np.ndarray] = {}
    measured: dict[str, np.ndarray] = {}
    notes = []
    for done, method in enumerate(wanted):
        tell(progress, f"ranking pairs by {method.title}", done / len(wanted))
        missing = method.unavailable()
        try:
            if missing is None and method.score is not None:
                score = method.score(inputs)
                other = score if method.measured is None else method.measured(inputs)
                own[method.key], measured[method.key] = score, other
        except GpoVaeError as error:
            missing = str(error)
        if missing is not None:
            notes.append(f"Pairs were not ranked by {method.title}: {missing}")
    return Rankings(own, measured, tuple(notes))


def _wanted(inputs: Inputs) -> Iterator[Method]:
    return (
        method
        for method in methods()
        if method.score is not None and all(inputs.has(need) for need in method.needs)
    )
