"""What the marks of a picture of the network mean, and in which colours: said once for the workbench, Home
and figures for a paper, each of which draws the marks in its own way.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpovae_core.plots import theme

COLOURS = theme.EDGES
"""Of an edge on paper, by its sign."""
SIGN_MARKS = {1: "activates", -1: "represses", 0: "unknown"}
MAP, AROUND, MATRIX, OVERVIEW = "whole", "ego", "matrix", "overview"
"""The pictures: the three of the workbench by their names there, and the small one on Home."""


@dataclass(frozen=True)
class Entry:
    """One entry of a legend. mark: what is explained, as those who draw it know it; words: what it means."""

    mark: str
    words: str


_SIGNS = (
    Entry("activates", "activates: target falls when the source is perturbed"),
    Entry("represses", "represses: target rises"),
    Entry("unknown", "sign unknown"),
)
_NUMBER = Entry("number", "number: edges of that sign; wider: more")
_CONTRARY = Entry("contrary", "sign against the measured effect")


def legend(picture: str, certain: bool = False, contrary: bool = False) -> tuple[Entry, ...]:
    """The entries of a picture's legend. certain: the run has an ensemble, so that it is known how often an
    edge comes back; contrary: with the mark of edges whose sign is not that of their measured effect.
    """
    against = (_CONTRARY,) if contrary else ()
    faint = Entry("faint", "faint: rarely comes back" if certain else "faint: low weight")
    if picture == MATRIX:
        seen = Entry("again", "dot: seen again"), Entry("depth", "deeper: larger effect")
        return (*_SIGNS, *against, *seen)
    if picture == OVERVIEW:
        return (*_SIGNS, _NUMBER, faint)
    return (*_SIGNS, *against, *([_NUMBER] if picture == MAP else []), faint, Entry("way", "chosen way"))
