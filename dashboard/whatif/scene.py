"""Scenarios with their answers, and what was measured: what the parts below the question look at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from dashboard.shared import contents, questions, state
from dashboard.shared.words import plain
from dashboard.whatif import scenarios
from dashboard.whatif.scenarios import Scenario
from gpovae_core import keys
from gpovae_core.errors import GpoVaeError
from gpovae_core.runs.folder import RunFolder

if TYPE_CHECKING:
    from gpovae_core.questions.whatif import Answer

TABLE_ROWS = 2000


@dataclass(frozen=True)
class Answered:
    """A scenario, its answer, and the answer's table with what was measured."""

    scenario: Scenario
    answer: Answer
    table: pd.DataFrame
    layer: str

    @property
    def measured(self) -> bool:
        return bool(self.table["measured"].notna().any())


def answer(run: RunFolder, scenario: Scenario, layer: str) -> Answered:
    from gpovae_core.questions.whatif import with_measured

    found = questions.answer(run, scenario.asked)
    effects = contents.effects(run) if run.has("effects.h5ad") else None
    return Answered(scenario, found, with_measured(found, effects, layer), layer)


def answered(run: RunFolder) -> dict[str, Answered]:
    """Every scenario with its answer; one that cannot be answered says why and is left out."""
    layer = keys.OBSERVED_TEST if state.get(state.REFERENCE) == "test" else keys.OBSERVED_ALL
    found = {}
    for scenario in scenarios.of_run(run.name):
        try:
            found[scenario.name] = answer(run, scenario, layer)
        except GpoVaeError as error:
            st.error(f"{plain(scenario.name)}: {plain(error)}")
    return found
