"""Where an edge has its sign from, in words, where its measured effect has the other one."""

from __future__ import annotations

from collections.abc import Sequence

from gpovae_core.network.contrary import Contrary

BY_OWN = 0.5
"""The cells with the source perturbed give an edge its sign where they say this part of all that speaks for
it.
"""
_DRAWN = {1: "activation", -1: "repression"}


def contrary_in_words(found: Contrary) -> str:
    """'STAT1 -> CMPK2 is drawn as repression, although CMPK2 falls when STAT1 is perturbed ...', and why."""
    drawn = f"{found.source} → {found.target} is drawn as {_DRAWN[found.sign]}, although {_seen(found)}."
    if found.own_part >= BY_OWN:
        return f"{drawn} {_makes_up(found)}"
    if not found.others:
        return f"{drawn} From what the run keeps of its fit it cannot be told which cells give it that sign."
    return f"{drawn} {_from_others(found)}"


def _seen(found: Contrary) -> str:
    own = found.own
    size = f"{_fold(own.seen)}, log2 {own.seen:+.2f} ± {own.error:.2f}"
    if not found.clear:
        return f"no clear effect on {found.target} is seen when {found.source} is perturbed ({size})"
    return f"{found.target} {_moves(own.seen)} when {found.source} is perturbed ({size})"


def _makes_up(found: Contrary) -> str:
    own = found.own
    moves = f"{_move(own.expected)} to {_fold(own.expected)} (log2 {own.expected:+.2f})"
    return (
        f"Over {_and(own.through) or 'other genes'} {found.target} should {moves}, further than is seen: the "
        f"edge stands for what is missing, and makes up for {_fold(own.direct)} of it."
    )


def _from_others(found: Contrary) -> str:
    named = _and([one.perturbed for one in found.others])
    through = _and(list(dict.fromkeys(one.through[0] for one in found.others if one.through)))
    ways = f"over {through} " if through else ""
    told = (
        f"The sign comes from cells with {named} perturbed, which change {found.source}, too: {ways}"
        f"{found.target} should be {_range([one.expected for one in found.others])} there, and is "
        f"{_range([one.seen for one in found.others])}."
    )
    over = f"over {_and(found.own.through)} " if found.own.through else ""
    own = f"{over}{_fold(found.own.expected)} is expected there, and {_fold(found.own.seen)} is seen"
    asked = "say so less clearly" if found.own_part > 0 else "speak against it"
    end = " Take the measured effect, not the sign." if found.clear else ""
    return f"{told} The cells with {found.source} itself perturbed {asked}: {own}.{end}"


def _fold(log2: float) -> str:
    return f"x {2**log2:.2f}"


def _range(log2: Sequence[float]) -> str:
    low, high = _fold(min(log2)), _fold(max(log2))
    return low if low == high else f"{low} to {high}"


def _moves(log2: float) -> str:
    return "falls" if log2 < 0 else "rises"


def _move(log2: float) -> str:
    return "fall" if log2 < 0 else "rise"


def _and(names: Sequence[str]) -> str:
    return "".join(names) if len(names) < 2 else f"{', '.join(names[:-1])} and {names[-1]}"
