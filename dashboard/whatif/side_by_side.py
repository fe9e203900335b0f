"""All scenarios side by side."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from dashboard.shared import contents
from dashboard.shared.answers import BADGES, MEANING
from dashboard.shared.figures import chart, download_table
from dashboard.shared.words import plain
from dashboard.whatif import scenarios
from dashboard.whatif.scene import Answered
from gpovae_core.methods.own_change import ASSUMED, READ, TYPICAL
from gpovae_core.plots import whatif as figures
from gpovae_core.questions.reach import GIVEN
from gpovae_core.reporting.sentences import intervals_in_words
from gpovae_core.runs.folder import RunFolder

if TYPE_CHECKING:
    from gpovae_core.questions.whatif import Answer


def show(run: RunFolder, found: dict[str, Answered]) -> None:
    for column, (name, one) in zip(st.columns(len(found)), found.items(), strict=True):
        with column, st.container(border=True):
            st.markdown(f"**{plain(name)}**  \n{BADGES[one.answer.basis]}")
            st.caption(f"{strength_words(one.answer)} {MEANING[one.answer.basis]}")
            st.button(
                "Remove",
                key=f"whatif_remove_{name}",
                on_click=partial(scenarios.remove, run.name, name),
                type="tertiary",
            )
    chart(figures.scenarios({name: one.table for name, one in found.items()}), key="whatif_scenarios")
    st.caption(plain(in_words(found, intervals_in_words(contents.evaluation(run)))))
    table = joined(found)
    download_table(table, "Download all predicted effects (CSV)", f"{run.name}_whatif.csv", "whatif_all")


HOW_KNOWN = {
    READ: ", as in the screen",
    TYPICAL: ", as is typical of this screen",
    ASSUMED: ", as is assumed of this screen",
    GIVEN: "",
}


def strength_words(answer: Answer) -> str:
    """'STAT1 loses 78 % of its mRNA, as in the screen.'"""
    parts = []
    for gene, strength in answer.strengths.items():
        parts.append(f"{plain(gene)} {strength.in_words()}{HOW_KNOWN[strength.source]}")
    return "; ".join(parts) + "."


def in_words(found: dict[str, Answered], intervals: str) -> str:
    """The figure for those who cannot see it, and what the intervals mean. intervals: that in words."""
    parts = []
    for name, one in found.items():
        rest = one.table.loc[~one.table["perturbed"] & one.table["effect"].notna()].head(3)
        strongest = ", ".join(
            f"{gene} {effect:+.2f}" for gene, effect in zip(rest["gene"], rest["effect"], strict=True)
        )
        parts.append(f"{name}: {strongest}")
    words = "; ".join(parts)
    return (
        f"Strongest predicted effects beside the knocked-down genes: {words}. {intervals} Where the network "
        "alone answers, 1.96 times its error on training perturbations that were left out in turn. A gene "
        "that was never perturbed has no effect on itself here: its fall is what you ask for. Effects are "
        "log2 fold changes of mean shares against control, without the common lift."
    )


def joined(found: dict[str, Answered]) -> pd.DataFrame:
    """All tables one below the other, with scenario and basis."""
    parts = [one.table.assign(scenario=name, rests_on=one.answer.basis) for name, one in found.items()]
    whole = pd.concat(parts, ignore_index=True)
    first = ["scenario", "rests_on", "gene"]
    return whole.reindex(columns=[*first, *(column for column in whole.columns if column not in first)])
