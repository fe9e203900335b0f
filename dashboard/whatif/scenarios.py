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
from gpovae_core.questions.reach import LARGEST_LOSS, Question, question

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
    """'STAT1 + JAK2 (80 %)': the genes, with the strength behind those that have one of their own."""
    parts = [gene if loss is None else f"{gene} ({100 * loss:.3g} %)" for gene, loss in asked.loss.items()]
    words = " + ".join(parts)
    return words if len(words) <= LONGEST_NAME else words[: LONGEST_NAME - 1] + "…"


def with_parts(scenario: Scenario) -> tuple[Scenario, ...]:
    """The scenario of a combination behind one for each of its genes alone, of the same strength."""
    if len(scenario.asked.genes) < 2:
        return (scenario,)
    alone = [Question({gene: loss}) for gene, loss in scenario.asked.loss.items()]
    return (*(Scenario(default_name(asked), asked) for asked in alone), scenario)


def as_text(scenario: Scenario) -> str:
    """'STAT1+JAK2=0.8', the share lost behind a gene with a strength of its own; before it, up to a bar, a
    name that is not the one from the genes. Signs of its own in names are written as in addresses (%2B).
    """
    asked = scenario.asked
    parts = [_escaped(gene) + ("" if loss is None else f"={loss:g}") for gene, loss in asked.loss.items()]
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
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 < value <= LARGEST_LOSS:
        raise QueryError(
            f"the loss of {gene[:40]} must be more than 0 and at most {LARGEST_LOSS}; got '{text[:20]}'."
        )
    return value


def to_json(run: str, scenarios: tuple[Scenario, ...]) -> str:
    """A file that from_json reads: {"format", "run", "scenarios": [{"name", "genes": [{"gene", "loss"}]}]};
    loss null: as in the screen.
    """
    rows = [
        {"name": s.name, "genes": [{"gene": gene, "loss": loss} for gene, loss in s.asked.loss.items()]}
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
        fraction = entry.get("loss")
        if fraction is not None and (
            isinstance(fraction, bool)
            or not isinstance(fraction, int | float)
            or not 0 < fraction <= LARGEST_LOSS
        ):
            raise wrong(
                f"the loss of {entry['gene'][:40]} must be null or more than 0 and at most {LARGEST_LOSS}; "
                f"got {str(fraction)[:20]}."
            )
        loss[entry["gene"]] = None if fraction is None else float(fraction)
    return _told(wrong, lambda: named(row["name"], question(panel, loss)))


def _told(wrong: Callable[[object], QueryError], make: Callable[[], Scenario]) -> Scenario:
    try:
        return make()
    except GpoVaeError as error:
        raise wrong(error) from error
