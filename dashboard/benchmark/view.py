"""Parts of the page Benchmark: one run, several runs, and what is handed out."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import streamlit as st

from dashboard.benchmark.ablations import ablations
from dashboard.shared import loaders, run_summary, shell
from dashboard.shared.figures import chart
from dashboard.shared.glossary import meaning, show_table
from dashboard.shared.words import plain
from gpovae_core.errors import GpoVaeError
from gpovae_core.evaluation.summary import response_lines, verdicts
from gpovae_core.plots import benchmark as figures
from gpovae_core.reporting import document as reporting
from gpovae_core.reporting.document import RunReport
from gpovae_core.runs.folder import RunFolder

PART = "benchmark_part"
"""Key of the tabs in the session: the name of the open one."""
REFERENCES = {"as_measured": "As measured", "without_common_lift": "Without the common lift of all shares"}
_FILES = ("config.json", "status.json", "evaluation.json", "null.json", "cells.h5ad")
NARROW = {
    "Score": st.column_config.TextColumn(width="medium"),
    "Share of the achievable": st.column_config.TextColumn(
        help="(value - baseline) / (ceiling - baseline) of this run."
    ),
    "… without a model": st.column_config.TextColumn(help="The same for the best method without a model."),
    "Rests on": st.column_config.TextColumn(width="medium"),
    "Meaning": st.column_config.TextColumn(width="large"),
}


@st.cache_data(max_entries=64, show_spinner=False)
def _report(path: str, stamped: loaders.Stamp) -> RunReport:
    return RunReport.of(RunFolder(Path(path)))


def report_of(run: RunFolder) -> RunReport:
    """What is known of a run. Raises RunError where it was not evaluated."""
    return _report(str(run.path), loaders.stamp(run, *_FILES))


def evaluated(names: list[str]) -> list[RunReport]:
    """The reports of those runs that can be read; the others are named with their fault."""
    found = []
    for name in names:
        try:
            found.append(report_of(loaders.open_run(name)))
        except GpoVaeError as error:
            st.warning(plain(error))
    return found


# One run ----------------------------------------------------------------------------------------------------


def one_run(run: RunFolder) -> None:
    report = report_of(run)
    facts = [
        f"data {report.data}",
        f"preset {report.settings.preset}",
        f"{report.epochs:,} epochs",
        f"seeds: {report.seeds()}",
    ]
    st.markdown(plain(" · ".join(facts)))
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
        "Known networks": known_networks,
        "Every method": every_method,
        "Ablations": lambda report: ablations(report, report_of),
        "Report": lambda report: hand_out([report]),
    }
    shell.tabs(PART, {title: partial(part, report) for title, part in parts.items()})


def scores(report: RunReport) -> None:
    for sentence in verdicts(report.evaluation):
        st.markdown(f"- {plain(sentence)}")
    chart(figures.share_bars(report.lines), key="share_bars", config={"displayModeBar": False})
    st.caption(plain(reporting.SHARE_IN_WORDS))
    show_table(reporting.score_table(report.lines), column_config=NARROW)
    for note in report.evaluation.get("notes") or []:
        st.caption(plain(note))


def equal_edges(report: RunReport) -> None:
    matched = report.matched
    if not matched:
        missing("Networks were not compared at equal numbers of edges when this run was evaluated.")
        return
    left, right = st.columns(2)
    known = [key for key in REFERENCES if key in matched]
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
        format_func=REFERENCES.__getitem__,
        key="benchmark_reference",
    )
    if not known or measure is None or reference is None:
        return
    figure = figures.matched_curves(matched, measure, reference, report.network.get("edges"))
    chart(figure, key="matched_curves", config={"displayModeBar": False})
    st.caption(plain(reporting.CURVES_IN_WORDS))
    if reference == "without_common_lift":
        st.caption(plain(run_summary.lift_in_words(report.evaluation) or ""))


def false_edges(report: RunReport) -> None:
    table = report.false_edges()
    if table.empty:
        missing(
            "How many edges are false was not estimated for this run. Relabel its controls as perturbed "
            "and count the edges:"
        )
        st.code(f"gpovae null {plain(report.name)}", language="bash")
        return
    chart(
        figures.false_edge_curve(table, report.network.get("threshold")),
        key="false_edge_curve",
        config={"displayModeBar": False},
    )
    st.caption(plain(reporting.FALSE_IN_WORDS))
    if report.null:
        st.markdown("##### Relabelled controls, the whole way to W")
        show_table(reporting.null_rows(report.null))


def path_length(report: RunReport) -> None:
    table = reporting.hop_rows(report.network)
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


def known_networks(report: RunReport) -> None:
    known, truth = reporting.reference_rows(report.network), reporting.truth_rows(report.network)
    if known.empty and truth.empty:
        missing(
            "This run was not scored against known networks. Put tables such as TRRUST, CollecTRI or CORUM "
            "into the folder of networks, then evaluate it again."
        )
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
    if not truth.empty:
        st.markdown("##### The network the cells were simulated from")
        show_table(truth)
        called = report.network["truth"]["called"]
        st.caption(
            f"Edges called: {reporting.count(called['edges'])}; true direct edges among them "
            f"{reporting.count(called['direct'])} of {reporting.count(called['true_edges'])}, true "
            f"ancestors {reporting.count(called['ancestors'])}."
        )


def every_method(report: RunReport) -> None:
    for reference, title in (
        ("test", "Predicted effects, held-out cells"),
        ("all", "Predicted effects, all cells (flatters every method)"),
    ):
        st.markdown(f"##### {title}")
        show_table(reporting.method_table(report.evaluation, reference))
    st.markdown("##### Networks with as many edges")
    show_table(reporting.edges_table(report.network))
    with st.expander("Shares of the achievable against all cells, training cells included"):
        show_table(
            reporting.score_table(response_lines(report.evaluation, "all")),
            column_config=NARROW,
        )


# Several runs -----------------------------------------------------------------------------------------------


def several_runs(reports: list[RunReport]) -> None:
    together = reporting.groups(reports)
    show_table(reporting.comparison_table(reports))
    seeds = sum(len(members) > 1 for members in together.values())
    words = (
        "Runs that differ in their seeds alone stand together: mean ± standard deviation. " if seeds else ""
    )
    st.caption(
        plain(
            f"{words}Scores of runs on different data are not comparable as they stand; shares of the "
            "achievable are, with care."
        )
    )
    curves = {report.name: report.matched for report in reports if report.matched}
    left, right = st.columns(2)
    measure = left.selectbox(
        "Measure",
        list(figures.MEASURES),
        format_func=lambda key: figures.MEASURES[key][0],
        key="benchmark_measure",
    )
    ranking = right.selectbox(
        "Ranking", ("w", "influence"), format_func=reporting.METHODS.__getitem__, key="benchmark_ranking"
    )
    if measure is not None and ranking is not None:
        figure = figures.compared_curves(curves, measure, ranking)
        chart(figure, key="compared_curves", config={"displayModeBar": False})
    hand_out(reports)


# To take away -----------------------------------------------------------------------------------------------


def hand_out(reports: list[RunReport]) -> None:
    """The report as a page, as JSON, as text; and the Methods paragraph to copy."""
    name = reports[0].name if len(reports) == 1 else "runs"
    forms = {
        "Page (HTML)": (reporting.report_html, "html", "text/html"),
        "JSON": (reporting.report_json, "json", "application/json"),
        "Methods (text)": (reporting.report_text, "txt", "text/plain"),
    }
    for column, (label, (make, ending, kind)) in zip(st.columns(len(forms)), forms.items(), strict=True):
        column.download_button(
            label,
            data=partial(_bytes, make, reports),
            file_name=f"{name}_benchmark.{ending}",
            mime=kind,
            key=f"benchmark_{ending}",
            on_click="ignore",
            width="stretch",
        )
    st.caption(
        "The page opens without this program and asks nothing of another host. In a terminal: gpovae "
        "report RUN \\-\\-out report.html"
    )
    if len(reports) == 1:
        st.markdown("##### Methods")
        st.markdown(plain(reports[0].methods()))


def _bytes(make, reports: list[RunReport]) -> bytes:
    return make(reports).encode()


def missing(words: str) -> None:
    st.info(words)
