"""Named what-if questions: kept in the session for each run and in the address for the open one, written to
a file and read back, everything in it checked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import streamlit as st

from dashboard.shared import state
from gpovae_core import keys
from gpovae_core.data.schema import Panel
from gpovae_core.errors import GpoVaeError, QueryError
from gpovae_core.questions.reach import LARGEST_LOSS, MOST_FOLD, Question, check_loss, question

_SEEN = "gpovae_scenarios_seen"
"""Key in the session: the run, and the questions to it that the address held when the page was drawn last."""
FORMAT = 1
MOST = 6
LONGEST_NAME = 60
LARGEST_FILE = 256 * 1024
"""Bytes; a file of a few scenarios has a few hundred."""


@dataclass(frozen=True)
class Scenario:
    """A question with a name."""

    name: str
    asked: Question


def of_run(run: str) -> tuple[Scenario, ...]:
    """The scenarios of a run in this session, in the order in which they were added."""
    return (state.get(state.SCENARIOS) or {}).get(run, ())


def keep(run: str, scenarios: tuple[Scenario, ...]) -> None:
    state.put(**{state.SCENARIOS: {**(state.get(state.SCENARIOS) or {}), run: scenarios}})
    state.put(**{state.ASKED: tuple(as_text(scenario) for scenario in scenarios)})


def from_address(run: str, panel: Panel) -> list[str]:
    """Take what the address newly asks of a run; where it says nothing new, what this session has asked of it
    goes into the address. What is wrong with texts that are no question to this run, in words; the others are
    kept.
    """
    known, asked = of_run(run), state.get(state.ASKED)
    seen_run, seen = st.session_state.get(_SEEN, (None, ()))
    problems: list[str] = []
    if asked != seen if run == seen_run else asked:
        known, problems = _read(asked, panel)
    keep(run, known)
    st.session_state[_SEEN] = (run, state.get(state.ASKED))
    state.sync_url()
    return problems


def _read(asked: tuple[str, ...], panel: Panel) -> tuple[tuple[Scenario, ...], list[str]]:
    """The scenarios of these texts, and what is wrong with the others."""
    found: dict[str, Scenario] = {}
    problems = []
    for text in asked:
        try:
            scenario = from_text(text, panel)
        except GpoVaeError as error:
            problems.append(f"The address asks for '{text[:60]}': {error}")
            continue
        found[scenario.name] = scenario
    return tuple(found.values())[:MOST], problems


def add(run: str, *more: Scenario) -> None:
    """Behind those that are there; one of the same name is replaced. Raises QueryError beyond MOST."""
    state.heard()
    kept = {scenario.name: scenario for scenario in of_run(run)} | {
        scenario.name: scenario for scenario in more
    }
    if len(kept) > MOST:
        raise QueryError(f"{MOST} scenarios side by side are as many as can be read; remove one first.")
    keep(run, tuple(kept.values()))


def remove(run: str, name: str) -> None:
    state.heard()
    keep(run, tuple(scenario for scenario in of_run(run) if scenario.name != name))


def named(name: str, asked: Question) -> Scenario:
    """A scenario under the name given, or the genes with their strengths where it is empty. Raises QueryError
    for an overlong name.
    """
    words = " ".join(name.split()) or default_name(asked)
    if len(words) > LONGEST_NAME:
        raise QueryError(
            f"The name of a scenario has at most {LONGEST_NAME} characters; this one has {len(words)}."
        )
    return Scenario(words, asked)


def default_name(asked: Question) -> str:
    """'STAT1 + JAK2 (80 %)', 'STAT1, activated (3 x)': the genes, with the strength behind those that have
    one of their own.
    """
    parts = [
        keys.for_reading(name) + ("" if loss is None else _strength(name, loss))
        for name, loss in asked.named.items()
    ]
    words = " + ".join(parts)
    return words if len(words) <= LONGEST_NAME else words[: LONGEST_NAME - 1] + "…"


def _strength(name: str, loss: float) -> str:
    return f" ({1 - loss:.3g} x)" if keys.is_raised(name) else f" ({100 * loss:.3g} %)"


def with_parts(scenario: Scenario) -> tuple[Scenario, ...]:
    """The scenario of a combination behind one for each of its genes alone, of the same strength."""
    if len(scenario.asked.genes) < 2:
        return (scenario,)
    alone = scenario.asked.alone()
    return (*(Scenario(default_name(asked), asked) for asked in alone), scenario)


def as_text(scenario: Scenario) -> str:
    """'STAT1+JAK2=0.8', the share lost behind a gene with a strength of its own (below 0: of one that is
    activated, as in 'STAT1 (activated)=-2' for three times as much); before it, up to a bar, a
    name that is not the one from the genes. Signs of its own in names are written as in addresses (%2B).
    """
    asked = scenario.asked
    parts = [_escaped(name) + ("" if loss is None else f"={loss:g}") for name, loss in asked.named.items()]
    name = "" if scenario.name == default_name(asked) else f"{_escaped(scenario.name)}|"
    return name + keys.PAIR_SEPARATOR.join(parts)


def from_text(text: str, panel: Panel) -> Scenario:
    """The scenario of `as_text`. Raises QueryError that says what is wrong with it."""
    name, _, genes = text.rpartition("|")
    loss: dict[str, float | None] = {}
    for part in genes.split(keys.PAIR_SEPARATOR):
        gene, given, fraction = part.partition("=")
        loss[unquote(gene)] = _fraction(unquote(gene), fraction) if given else None
    return named(unquote(name), question(panel, loss))


def _escaped(text: str) -> str:
    return re.sub(r"[%+=|]", lambda sign: f"%{ord(sign[0]):02X}", text)


def _fraction(gene: str, text: str) -> float:
    try:
        return _possible(gene, float(text))
    except (ValueError, QueryError):
        raise QueryError(f"the loss of {gene[:40]} {_range(gene)}; got '{text[:20]}'.") from None


def _possible(gene: str, loss: float) -> float:
    """`loss`. Raises QueryError where a knock-down, or an activation, cannot have it."""
    check_loss(gene, loss)
    return loss


def _range(gene: str) -> str:
    if keys.is_raised(gene):
        return f"must be below 0 (1 - the fold to which it is activated, at most {MOST_FOLD:g})"
    return f"must be more than 0 and at most {LARGEST_LOSS}"


def to_json(run: str, scenarios: tuple[Scenario, ...]) -> str:
    """A file that from_json reads: {"format", "run", "scenarios": [{"name", "genes": [{"gene", "loss"}]}]};
    loss null: as in the screen.
    """
    rows = [
        {"name": s.name, "genes": [{"gene": name, "loss": loss} for name, loss in s.asked.named.items()]}
        for s in scenarios
    ]
    return json.dumps({"format": FORMAT, "run": run, "scenarios": rows}, indent=2)


def from_json(content: bytes, panel: Panel) -> tuple[Scenario, ...]:
    """Scenarios of a file, checked against the panel of a run. Raises QueryError that says which scenario is
    wrong, and how.
    """
    if len(content) > LARGEST_FILE:
        raise QueryError(
            f"The file has {len(content) / 1024:,.0f} kB; a file of scenarios has at most "
            f"{LARGEST_FILE / 1024:.0f}."
        )
    try:
        value = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise QueryError(f"The file is no JSON ({error}). Choose one that this page wrote.") from error
    rows = value.get("scenarios") if isinstance(value, dict) else None
    if not isinstance(rows, list) or not rows:
        raise QueryError(
            'The file holds no scenarios: expected {"format": 1, "scenarios": [...]}, as this page writes it.'
        )
    if value.get("format") != FORMAT:
        raise QueryError(
            f"The file has format {str(value.get('format'))[:20]!r}; this version reads {FORMAT}."
        )
    if len(rows) > MOST:
        raise QueryError(f"The file holds {len(rows)} scenarios; at most {MOST} can be shown.")
    return tuple(_scenario(place, row, panel) for place, row in enumerate(rows, start=1))


def _scenario(place: int, row: Any, panel: Panel) -> Scenario:
    def wrong(why: object) -> QueryError:
        return QueryError(f"Scenario {place} of the file: {why}")

    if (
        not isinstance(row, dict)
        or not isinstance(row.get("name"), str)
        or not isinstance(row.get("genes"), list)
    ):
        raise wrong('expected {"name": ..., "genes": [{"gene": ..., "loss": ...}]}.')
    loss: dict[str, float | None] = {}
    for entry in row["genes"]:
        if (
            not isinstance(entry, dict)
            or not isinstance(entry.get("gene"), str)
            or keys.PAIR_SEPARATOR in entry["gene"]
        ):
            raise wrong('every gene is written as {"gene": name, "loss": fraction or null}.')
        fraction, gene = entry.get("loss"), entry["gene"]
        if fraction is None:
            loss[gene] = None
            continue
        try:
            number = isinstance(fraction, int | float) and not isinstance(fraction, bool)
            loss[gene] = _possible(gene, float(fraction) if number else float("nan"))
        except QueryError:
            said = _range(gene).replace("must be", "must be null or", 1)
            raise wrong(f"the loss of {gene[:40]} {said}; got {str(fraction)[:20]}.") from None
    return _told(wrong, lambda: named(row["name"], question(panel, loss)))


def _told(wrong: Callable[[object], QueryError], make: Callable[[], Scenario]) -> Scenario:
    try:
        return make()
    except GpoVaeError as error:
        raise wrong(error) from error
