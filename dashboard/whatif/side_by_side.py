"""All scenarios side by side."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pandas as pd
import streamlit as st

from dashboard.shared import contents, questions, state
from dashboard.shared.answers import BADGES, MEANING
from dashboard.shared.figures import chart_for_any_width, download_table
from dashboard.shared.words import plain
from dashboard.whatif import scenarios
from dashboard.whatif.scene import Answered
from gpovae_core.methods.own_change import ASSUMED, READ, TYPICAL
from gpovae_core.plots import whatif as figures
from gpovae_core.questions.reach import GIVEN
from gpovae_core.reporting.sentences import intervals_in_short, intervals_in_words
from gpovae_core.runs.folder import RunFolder

if TYPE_CHECKING:
    from gpovae_core.questions.reach import Reach
    from gpovae_core.questions.whatif import Answer


NAMED = 4
"""Genes named in the answer."""
SPREAD = "the model's own spread"
NETWORK_ERROR = "1.96 times the error that the network alone makes on perturbations that it has not seen"
"""What stands in brackets behind an effect."""


def show(run: RunFolder, found: dict[str, Answered], one: Answered) -> None:
    """The answer of the scenario that is looked at, and all of them to choose from, each with its badge."""
    st.markdown(answer_in_words(one))
    st.caption(strength_words(one.answer, questions.reach(run)))
    with st.container(horizontal=True, gap="small"):
        for name, other in found.items():
            with st.container(
                horizontal=True, border=True, width="content", vertical_alignment="center", gap="small"
            ):
                st.markdown(f"**{plain(name)}** {BADGES[other.answer.basis]}", width="content")
                if len(found) > 1:
                    st.button(
                        "Shown" if other is one else "Show",
                        key=f"whatif_look_{name}",
                        disabled=other is one,
                        help=f"The answer about {plain(name)} above and its parts below",
                        on_click=partial(look, name),
                        type="tertiary",
                    )
                st.button(
                    "Remove",
                    key=f"whatif_remove_{name}",
                    on_click=partial(scenarios.remove, run.name, name),
                    type="tertiary",
                )


def look(name: str) -> None:
    state.heard()
    state.put(**{state.DETAIL: name})


def answer_in_words(one: Answered) -> str:
    """What is expected, of which genes most, with intervals, and what that rests on. Markdown."""
    table = one.table.loc[~one.table["perturbed"] & one.table["effect"].notna()]
    named = ", ".join(
        f"{plain(row['gene'])} **{row['effect']:+.2f}** ({row['low']:+.2f} to {row['high']:+.2f})"
        for row in table.head(NAMED).to_dict("records")
    )
    name = f"**{plain(one.scenario.name)}**"
    asked = one.scenario.asked
    words = f"Perturbing {name}" if asked.as_in_the_screen and not asked.raised else name
    if named:
        words += (
            f" is expected to change these genes most: {named}: log2 fold changes, in brackets "
            f"{NETWORK_ERROR if one.answer.by_network else SPREAD}; -1 is half as much mRNA, +1 twice as "
            "much."
        )
    else:
        words += " is expected to change no other gene."
    found = one.answer.interaction
    if found is not None:
        called, judged = int(found.table["non_additive"].sum()), int((~found.table["perturbed"]).sum())
        which = f"{called:,}" if called else "None"
        words += (
            f" {which} of {judged:,} genes should change otherwise than by the effects of each alone, added "
            "up."
        )
    return f"{words} {MEANING[one.answer.basis]}"


def figure(run: RunFolder, found: dict[str, Answered]) -> None:
    evaluation = contents.evaluation(run)
    if held := intervals_in_short(evaluation):
        st.caption(plain(held))
    tables = {name: one.table for name, one in found.items()}
    wide, narrow = (figures.scenarios(tables, narrow=narrow) for narrow in (False, True))
    chart_for_any_width(wide, narrow, key="whatif_scenarios")
    with st.expander("This figure in words, and what its intervals are"):
        st.caption(plain(in_words(found, intervals_in_words(evaluation))))
    table = joined(found)
    download_table(table, "Download all predicted effects (CSV)", f"{run.name}_whatif.csv", "whatif_all")


HOW_KNOWN = {
    READ: ", as in the screen",
    TYPICAL: ", as is typical of this screen",
    ASSUMED: ", as is assumed of this screen",
    GIVEN: "",
}


def strength_words(answer: Answer, reach: Reach) -> str:
    """'STAT1 loses 78 % of its mRNA, as in the screen.' 'STAT1 is activated to 3.0 x of its mRNA (measured at
    4.1 x).'
    """
    parts = []
    for gene, strength in answer.strengths.items():
        how = HOW_KNOWN[strength.source]
        if strength.source == GIVEN and gene in answer.question.raised:
            how = f" (measured at {1 - reach.strength(gene, None, raised=True).lost:.1f} x)"
        parts.append(f"{plain(gene)} {strength.in_words()}{how}")
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
        f"Strongest predicted effects beside the perturbed genes: {words}. {intervals} Where the network "
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
