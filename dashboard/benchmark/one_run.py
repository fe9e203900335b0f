"""One run: where it stands between what needs no model and what the data allow."""

from __future__ import annotations

from functools import partial

import streamlit as st

from dashboard.benchmark import ablations, take_away
from dashboard.benchmark.cached import report_of
from dashboard.shared import listing, run_summary, shell, state
from dashboard.shared.figures import chart, chart_for_any_width
from dashboard.shared.glossary import meaning, show_table
from dashboard.shared.words import plain
from gpovae_core.data.wording import unseparated_in_words
from gpovae_core.evaluation.summary import response_lines
from gpovae_core.network.references import networks_folder
from gpovae_core.plots import benchmark as figures
from gpovae_core.reporting import sentences, tables
from gpovae_core.reporting.document import RunReport
from gpovae_core.reporting.notes import once
from gpovae_core.reporting.words import capitalised, count
from gpovae_core.runs.folder import RunFolder

PART = "benchmark_part"
"""Key of the tabs in the session: the name of the open one."""
NARROW = {
    "Score": st.column_config.TextColumn(width="medium"),
    "Share of the achievable": st.column_config.TextColumn(
        help="(value - baseline) / (ceiling - baseline) of this run."
    ),
    "… without a model": st.column_config.TextColumn(help="The same for the best method without a model."),
    "Rests on": st.column_config.TextColumn(width="medium"),
    "Meaning": st.column_config.TextColumn(width="large"),
}


def show(run: RunFolder) -> None:
    report = report_of(run)
    if not report.complete:
        st.info(
            "An earlier version evaluated this run, so some scores are missing. Evaluate it again for all "
            "of them:"
        )
        st.code(run_summary.command("gpovae", "evaluate", run.path), language="bash")
    parts = {
        "Scores": scores,
        "Equal numbers of edges": equal_edges,
        "False edges": false_edges,
        "Path length": path_length,
        "Known networks": lambda report: known_networks(run, report),
        "Every method": every_method,
        "Ablations": lambda report: ablations.show(run, report),
        "Report": lambda report: take_away.show([report]),
    }
    shell.tabs(PART, {title: partial(part, report) for title, part in parts.items()}, state.BENCHMARK_PART)


def scores(report: RunReport) -> None:
    """What the numbers say in sentences, and the shares of the achievable beside them; the numbers folded."""
    left, right = st.columns([2, 3], gap="medium")
    found = report.evaluation
    left.markdown(sentences.in_one_sentence(found, strong="**"))
    told = [*sentences.verdicts(found), f"Held out: {sentences.held_out_in_words(found)}"]
    left.markdown("\n".join(f"- {plain(sentence)}" for sentence in told))
    facts = (
        f"data {report.data}",
        f"preset {report.settings.preset}",
        f"{report.epochs:,} epochs",
        f"seeds: {report.seeds()}",
    )
    left.caption(plain(" · ".join(facts)))
    left.caption(plain(sentences.SHARE_IN_WORDS))
    wide, narrow = (
        figures.share_bars(report.lines, report.evaluation.held_out_words, narrow=narrow)
        for narrow in (False, True)
    )
    chart_for_any_width(wide, narrow, key="share_bars", place=right, config={"displayModeBar": False})
    for words in sentences.shares_in_words(report.lines):
        right.caption(plain(words))
    with st.expander("What each row asks"):
        told = sentences.rows_in_words(report.lines)
        st.markdown("\n".join(f"- **{plain(row)}**: {plain(words)}." for row, words in told))
    with st.expander("Every score in a table"):
        show_table(tables.score_table(report.lines), column_config=NARROW)
        for note in once(report.evaluation.notes):
            st.caption(plain(note))


def equal_edges(report: RunReport) -> None:
    matched = report.matched
    if matched is None or report.network is None:
        missing("Networks were not compared at equal numbers of edges when this run was evaluated.")
        return
    left, right = st.columns(2)
    known = list(matched.references)
    measure = left.selectbox(
        "Measure",
        list(figures.MEASURES),
        format_func=lambda key: figures.MEASURES[key][0],
        key="benchmark_measure",
    )
    reference = right.selectbox(
        "Held-out cells",
        known,
        help=meaning("held-out cells"),
        format_func=lambda key: capitalised(sentences.LIFT[key]),
        key="benchmark_reference",
    )
    if measure is None or reference is None:
        return
    figure = figures.matched_curves(matched, measure, reference, report.network.edges)
    chart(figure, key="matched_curves", config={"displayModeBar": False})
    st.caption(plain(sentences.CURVES_IN_WORDS))
    if reference == "without_common_lift":
        st.caption(plain(sentences.lift_in_words(report.network) or ""))


def false_edges(report: RunReport) -> None:
    table = report.false_edges()
    if report.preparation is not None and report.preparation.unseparated:
        missing(unseparated_in_words(report.preparation.unseparated))
        return
    if table.empty:
        missing(
            "How many edges are false was not estimated for this run. Relabel its controls as perturbed "
            "and count the edges:"
        )
        st.code(f"gpovae null {plain(report.name)}", language="bash")
        return
    chart(
        figures.false_edge_curve(table, getattr(report.network, "threshold", None)),
        key="false_edge_curve",
        config={"displayModeBar": False},
    )
    st.caption(plain(sentences.what_false_means(report.network)))
    if report.null:
        st.markdown("##### Relabelled controls, the whole way to W")
        show_table(tables.null_table(report.null))
        st.caption(
            "A check of the method, no second estimate: a network fitted to controls alone learns from them "
            "that next to nothing changes, and so believes next to nothing. The figure above asks how many "
            "edges the rule that this run learned finds among controls."
        )


def path_length(report: RunReport) -> None:
    table = tables.hop_table(report.network)
    if table.empty:
        missing("Path lengths were not told apart when this run was evaluated.")
        return
    show_table(table)
    st.caption(
        "First four columns: pairs whose shortest path over edges of W has exactly that length. From "
        "'Pairs so far' on: all pairs with a path of at most that length, beside as many pairs ranked by "
        "the influence T over so many hops, drawn at random, or ranked by the same test in the training "
        "cells (ceiling); each with the mean Wasserstein distance and the share with a significant effect. "
        "FOR beyond: share of raw p below the level among all other pairs."
    )


def known_networks(run: RunFolder, report: RunReport) -> None:
    known, truth = tables.reference_table(report.network), tables.truth_table(report.network)
    if known.empty and truth.empty:
        no_known_networks(run)
        return
    if not known.empty:
        show_table(known)
        st.caption(
            "AUPRC: area under precision and recall over pairs that the table could have listed; 1 × is "
            "chance. Early precision: the same among as many pairs as it lists. Shuffled: the table "
            "rewired so that every gene keeps its number of edges, 100 times; p says how often that is "
            "found as well. Few usable edges say little. No table is complete: an edge that is missing "
            "there may be true."
        )
    if report.network is not None and report.network.truth is not None:
        st.markdown("##### The network the cells were simulated from")
        show_table(truth)
        called = report.network.truth.called
        st.caption(
            f"Edges called: {count(called.edges)}; true direct edges among them {count(called.direct)} of "
            f"{count(called.true_edges)}, true ancestors {count(called.ancestors)}."
        )


def no_known_networks(run: RunFolder) -> None:
    """What to do for scores against tables of known edges."""
    folder = networks_folder().absolute()
    tables_there = folder.is_dir() and any(folder.iterdir())
    if tables_there and run.has("cells.h5ad") and not listing.is_demo(run):
        missing(
            "This run was not scored against known networks. Score it again in a terminal, against the "
            f"tables in the folder {plain(folder)}; that takes as long as the scoring behind its training:"
        )
        st.code(run_summary.command("gpovae", "evaluate", run.path), language="bash")
        return
    missing(
        "This run was not scored against known networks. Load a table such as TRRUST or CollecTRI to see "
        f"which of its edges are known; for scores, put it into the folder {plain(folder)} before a run of "
        "your own is scored."
    )
    words = "Load a table of known edges"
    if not run.without_network and st.button(words, type="primary", key="benchmark_load"):
        state.open_part("Export and references")
        shell.go("pages/network.py")


def every_method(report: RunReport) -> None:
    for reference, title in (
        ("test", f"Predicted effects, {report.evaluation.held_out_words}"),
        ("all", "Predicted effects, all cells (flatters every method)"),
    ):
        st.markdown(f"##### {title}")
        show_table(tables.prediction_table(report.evaluation, reference))
    st.markdown("##### Networks with as many edges")
    show_table(tables.edges_table(report.network))
    with st.expander("Shares of the achievable against all cells, training cells included"):
        show_table(
            tables.score_table(response_lines(report.evaluation, "all")),
            column_config=NARROW,
        )


def missing(words: str) -> None:
    st.info(words)
