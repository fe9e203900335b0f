"""The open run: its state, its scores, its training, what was dropped from its data."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import contents, job_view, run_summary, shell
from dashboard.shared.figures import chart
from dashboard.shared.glossary import show_table
from dashboard.shared.words import plain
from gpovae_core.evaluation.network_scores import Network
from gpovae_core.plots import training
from gpovae_core.reporting import sentences, tables
from gpovae_core.reporting.notes import once
from gpovae_core.runs.folder import RunFolder


def heading(name: str, run: RunFolder) -> None:
    status, source = run.status(), run.source()
    words = run_summary.state_in_words(status)
    st.subheader(plain(name))
    if source.simulated:
        st.markdown(shell.SIMULATED)
    facts = [
        f"State: **{plain(words)}**",
        f"{status.epoch:,} epochs",
        f"data: {plain(source.path)}",
        f"preset: {plain(run.settings().preset)}",
    ]
    st.markdown(" · ".join(facts))
    if status.message:
        st.caption(plain(status.message))
    if source.imported:
        st.caption(
            f"Made from {plain(source.imported)}. Without cells there are no predictions and no scores; the "
            "page Network shows it."
        )
    effects = run.effects_report()
    if effects is not None:
        for line in sentences.effects_file_in_words(effects):
            st.caption(plain(line))
    job_view.watch(run, whole=False)


def warnings(run: RunFolder) -> None:
    """What went wrong in the training, in sight before any score."""
    report = contents.evaluation(run)
    found = None if report is None or report.health is None else report.health.warnings
    for warning in found or ():
        st.warning(plain(warning))


def scores(run: RunFolder) -> None:
    report = contents.evaluation(run)
    if report is None and run.without_cells:
        st.info(plain(run.without_cells))
        return
    if report is None:
        st.info("This run has not been evaluated yet:")
        st.code(run_summary.command("gpovae", "evaluate", run.path), language="bash")
        return
    st.markdown(f"##### Predicted effects, on {report.held_out_words}")
    show_table(tables.prediction_table(report, "test", tables.MAIN_SCORES))
    st.caption(plain(sentences.effects_note(report, "test")))
    with st.expander(
        "The same against all cells, training cells included (as published; flatters every method)"
    ):
        show_table(tables.prediction_table(report, "all", tables.MAIN_SCORES))
    if report.network is not None:
        network_part(report.network)
    for note in once(report.notes):
        st.caption(plain(note))


def network_part(network: Network) -> None:
    st.markdown("##### Network")
    show_table(tables.edges_table(network))
    st.caption(plain(sentences.network_note(network)))
    words = sentences.lift_in_words(network)
    if words:
        st.markdown("###### Pairs ranked by the model and without it, at equal numbers, on held-out cells")
        st.caption(plain(words))
        left, right = st.columns(2)
        for column, reference, title in (
            (left, "as_measured", "As measured"),
            (right, "without_common_lift", "Without the common lift"),
        ):
            column.caption(title)
            show_table(tables.top_table(network, reference), place=column)


def health(run: RunFolder) -> None:
    report = contents.evaluation(run)
    if report is None or report.health is None:
        st.info("The health of a run is looked at when it is evaluated.")
        return
    show_table(tables.health_table(report))


def curves(run: RunFolder) -> None:
    table = contents.metrics(run)
    if table.empty:
        st.info("No epoch has finished yet. This page shows the curves as soon as one has.")
        return
    left, right = st.columns(2)
    chart(training.loss_curves(table, run.status().best_epoch), key="loss", place=left)
    chart(training.penalty_curves(table), key="penalties", place=right)
    chart(training.spread_curves(table), key="spread", place=left)
    chart(training.latent_curve(table, run.settings().model.latent), key="latent", place=right)


def preparation(run: RunFolder) -> None:
    report = contents.report(run)
    if report is None:
        st.info("This run holds no prepared cells, so there is no report on them.")
        return
    st.markdown(plain(run_summary.preparation_in_words(report)))
    st.markdown("##### What was dropped, and why")
    if report.dropped:
        show_table(run_summary.dropped(report))
    else:
        st.caption("Nothing was dropped.")
    st.markdown("##### Quality criteria")
    show_table(run_summary.criteria(report))
    for note in report.notes:
        st.caption(plain(note))


def settings(run: RunFolder) -> None:
    changed = run_summary.changed_settings(run.settings())
    if changed.empty:
        st.caption(f"All settings are those of the preset '{plain(run.settings().preset)}'.")
    else:
        show_table(changed)
