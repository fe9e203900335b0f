"""Which pair, which gene? Everything the run can answer for, ranked; a row that is chosen is asked."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import pandas as pd
import streamlit as st

from dashboard.shared import contents, questions, shell
from dashboard.shared.figures import download_table
from dashboard.shared.glossary import show_table
from dashboard.shared.words import plain
from dashboard.whatif import cached, scenarios
from dashboard.whatif.question import add
from gpovae_core import keys
from gpovae_core.questions.reach import question
from gpovae_core.runs.folder import RunFolder

if TYPE_CHECKING:
    from gpovae_core.questions.pairs import PairRanking

AT_ONCE = 200_000
"""Pairs times measured genes that are asked of the model without a click: a few seconds."""
TABLE_ROWS = 2000
SEEN = 6
"""Rows in sight."""
PAIRS, GENES = "Pairs", "Single genes"
SINGLE_TRUST = "Trust in the single genes"
FROM = "Model's spread from"
ORDERS = {"size": "size", "departure": "departure from the sum", "trust": "trust in the single genes"}
WANTED = "gpovae_ranking"
"""Key in the session: paths of the runs whose ranking was asked for."""
WHAT, ORDER = "whatif_ranked", "whatif_order"


def show(run: RunFolder) -> None:
    from gpovae_core.questions.pairs import pairs_asked
    from gpovae_core.reporting import pairs as words

    st.subheader("Which pair?")
    reach, genes = questions.reach(run), len(contents.cells(run).cells.var_names)
    trained = int(reach.trained.sum())
    possible = trained * (trained - 1) // 2
    work = min(possible, pairs_asked(genes)) * genes
    if work > AT_ONCE and str(run.path) not in st.session_state.get(WANTED, ()):
        st.button(
            f"Rank all {possible:,} pairs",
            key="whatif_rank",
            on_click=partial(_want, run),
            help=f"The model is asked for {min(possible, pairs_asked(genes)):,} of them, about "
            f"{max(5, 5 * round(work / 200_000))} s, once.",
        )
        return
    with shell.errors_in_words():
        asked = asked_pairs(run)
        found = cached.ranking(run, asked)
        st.markdown(f"**{plain(words.answer_in_words(found))}**")
        st.caption(plain(words.checked_in_words(found)))
        for pair in asked:
            place = words.place_of(found, pair)
            if place is not None:
                st.markdown(
                    f"You asked for {plain(' + '.join(pair))}: number {place:,} of {found.possible:,}."
                )
        ranked(run, found)
        with st.expander("How this is ranked, and what is not"):
            for line in (words.how_ranked(found), *words.refused_in_words(found)):
                st.markdown(plain(line))


def _want(run: RunFolder) -> None:
    st.session_state[WANTED] = {*st.session_state.get(WANTED, ()), str(run.path)}


def asked_pairs(run: RunFolder) -> tuple[tuple[str, str], ...]:
    """The pairs among the scenarios that can be ranked: two genes with training cells, as in the screen."""
    reach = questions.reach(run)
    found = []
    for scenario in scenarios.of_run(run.name):
        genes = scenario.asked.genes
        known = all(gene in reach.panel.index and reach.trained[reach.panel.index[gene]] for gene in genes)
        as_ranked = scenario.asked.as_in_the_screen and not scenario.asked.raised
        if len(genes) == 2 and known and as_ranked:
            found.append((genes[0], genes[1]))
    return tuple(found)


def ranked(run: RunFolder, found: PairRanking) -> None:
    """The table of pairs or of genes, and its file."""
    left, right = st.columns([2, 3], vertical_alignment="bottom")
    what = left.segmented_control("Rank", [PAIRS, GENES], required=True, default=PAIRS, key=WHAT)
    if what == GENES:
        table, by = gene_table(found), ""
        asked = [(gene,) for gene in found.genes["gene"]]
    else:
        by = right.radio("By", list(ORDERS), format_func=ORDERS.__getitem__, horizontal=True, key=ORDER)
        given = found.ordered(by)
        table = pair_table(given)
        asked = list(zip(given["first"], given["second"], strict=True))
    if len(table) > TABLE_ROWS:
        st.caption(f"The first {TABLE_ROWS:,} of {len(table):,}; the download has all.")
    # another table under the same key would keep the row that was chosen in the last one
    key = f"whatif_table_{what}_{by}_{st.session_state.get(_TURN, 0)}"
    show_table(
        table.head(TABLE_ROWS),
        column_config=_columns(table, "Departure" if by == "departure" else "Size"),
        key=key,
        height=35 * min(len(table), SEEN) + 38,
        on_select=partial(_picked, run, asked, key),
        selection_mode="single-row",
    )
    st.caption(
        "Choose a row to ask for it: each gene alone, and both together. Size: how far all "
        "other genes are expected to change, root mean square of differences of mean log2(counts per 10,000 "
        "+ 1)."
    )
    whole = found.genes if what == GENES else found.ordered(by)
    name = "genes" if what == GENES else "pairs"
    download_table(whole, "Download this ranking (CSV)", f"{run.name}_{name}.csv", f"whatif_{name}_csv")


_TURN = "gpovae_ranking_turn"


def _picked(run: RunFolder, asked: list[tuple[str, ...]], key: str) -> None:
    """A chosen row becomes the question; those asked before make room."""
    rows = st.session_state[key].selection.rows
    if not rows or rows[0] >= len(asked):
        return
    one = question(questions.reach(run).panel, dict.fromkeys(asked[rows[0]]))
    made = scenarios.with_parts(scenarios.named("", one))
    kept = scenarios.of_run(run.name)
    if len({one.name for one in (*kept, *made)}) > scenarios.MOST:
        scenarios.keep(run.name, ())
    add(run.name, *made)
    st.session_state[_TURN] = st.session_state.get(_TURN, 0) + 1


BASES = {"seen combination": "yes, in training", "combination of seen genes": "never"}
KNOWN = {"seen": "perturbed", "held out": "held out", "extended": "never perturbed"}


def pair_table(pairs: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "Pair": pairs["first"] + f" {keys.PAIR_SEPARATOR} " + pairs["second"],
            "Size": pairs["size"],
            FROM: pairs["low"],
            "to": pairs["high"],
            "Sum of both": pairs["additive"],
            "Departure": pairs["departure"],
            "Non-additive": pairs["non_additive"],
            "Measured together": [BASES[basis] for basis in pairs["basis"]],
            SINGLE_TRUST: pairs["trust"],
            "Fewest cells": pairs["cells"],
            "Agreement": pairs["agreement"],
        }
    )


def gene_table(found: PairRanking) -> pd.DataFrame:
    genes = found.genes
    return pd.DataFrame(
        {
            "Gene": [keys.for_reading(name) for name in genes["gene"]],
            "Size": genes["size"],
            FROM: genes["low"],
            "to": genes["high"],
            "Rests on": [KNOWN[basis] for basis in genes["basis"]],
            "Trust": genes["trust"],
            "Cells": genes["cells"],
            "Agreement": genes["agreement"],
        }
    )


def _columns(table: pd.DataFrame, barred: str) -> dict[str, Any]:
    """barred: the column that has bars."""
    from gpovae_core.reporting.pairs import TRUST_WORDS

    def number(words: str) -> Any:
        return st.column_config.NumberColumn(format="%.2f", help=words)

    def measure(name: str, words: str) -> Any:
        if name != barred:
            return number(words)
        largest = max(float(table[name].max()), 0.01) if len(table) else 1.0
        return st.column_config.ProgressColumn(format="%.2f", min_value=0.0, max_value=largest, help=words)

    trust = "  \n".join(f"**{name}**: {words}" for name, words in TRUST_WORDS.items())
    return {
        "Size": measure(
            "Size",
            "Root mean square of the expected effects over all other genes. Without an interval: the sum of "
            "both, the model was not asked.",
        ),
        FROM: number(
            "Of the size: over the model's draws, times the factor of its intervals; where the network alone "
            "answers, its error."
        ),
        "to": number("Of the size."),
        "Sum of both": number("The size if the two act independently: their single effects, added."),
        "Departure": measure(
            "Departure",
            "Root mean square of what the log2 fold changes together depart from the sum of the single ones, "
            "over all genes: many small departures add up, also where no single gene is non-additive.",
        ),
        "Non-additive": st.column_config.NumberColumn(
            help="Genes predicted to answer otherwise than to the sum, at 5 % false discoveries."
        ),
        "Measured together": st.column_config.TextColumn(help="Whether cells with both knocked down exist."),
        "Trust": st.column_config.TextColumn(help=trust),
        SINGLE_TRUST: st.column_config.TextColumn(
            help=f"Of the less certain of the two; it says nothing of the pair as such.  \n{trust}"
        ),
        "Fewest cells": st.column_config.NumberColumn(help="Training cells of the gene that has fewer."),
        "Agreement": number(
            "Correlation of predicted with measured effects in held-out cells; of two genes the lower."
        ),
    }
