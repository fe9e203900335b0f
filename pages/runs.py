"""Runs: what is there; open one, compare several, keep them in order."""

from functools import partial

import pandas as pd
import streamlit as st

from dashboard.runs import manage as manage_runs
from dashboard.shared import job_view, loaders, run_summary, shell, state
from dashboard.shared.figures import chart
from dashboard.shared.glossary import show_table
from dashboard.shared.words import plain
from gpovae_core.errors import GpoVaeError
from gpovae_core.plots import training
from gpovae_core.runs.folder import RunFolder

COMPARED = "compared_runs"


def table_of_runs(runs: dict[str, RunFolder]) -> None:
    rows = [run_summary.run_row(name, run, evaluation_or_nothing(run)) for name, run in runs.items()]
    table = pd.DataFrame(rows).rename(columns=run_summary.COLUMNS)
    names = list(runs)

    def open_selected() -> None:
        selected = [names[row] for row in st.session_state["runs_table"].selection.rows if row < len(names)]
        st.session_state[COMPARED] = selected if len(selected) > 1 else []
        if len(selected) == 1:
            shell.choose_run(selected[0])

    st.caption(
        "Tick a row to open that run, several to compare them. rho (ATE-rho) is the correlation of "
        "predicted with observed effects in held-out cells: better than the baseline (the plain mean of "
        "the training cells)? Near the ceiling (what the noise in the data allows)?"
    )
    show_table(
        table,
        key="runs_table",
        on_select=open_selected,
        selection_mode="multi-row",
        column_config={
            run_summary.COLUMNS["state"]: st.column_config.TextColumn(width=140),
            run_summary.COLUMNS["differs"]: st.column_config.TextColumn(
                help="Settings that differ from the preset.", width=160
            ),
            run_summary.COLUMNS["progress"]: st.column_config.ProgressColumn(
                format="percent",
                help="Of what it is doing now; the early stop may end a training long before.",
            ),
            **{
                run_summary.COLUMNS[key]: st.column_config.NumberColumn(format="%.3f", help=text)
                for key, text in (
                    ("model", "Held-out cells, all perturbations and genes pooled."),
                    (
                        "train_mean",
                        "What the plain mean of the training cells of each perturbation reaches. A model "
                        "should beat it.",
                    ),
                    (
                        "ceiling",
                        "How well two halves of the data predict each other: no model can be expected to "
                        "do better.",
                    ),
                )
            },
            run_summary.COLUMNS["edges"]: st.column_config.NumberColumn(
                help="Edges from perturbed genes to measured genes at the threshold."
            ),
            run_summary.COLUMNS["pairs"]: st.column_config.NumberColumn(
                help="Pairs of genes that could have had an edge."
            ),
        },
    )


def evaluation_or_nothing(run: RunFolder) -> dict:
    try:
        return loaders.evaluation(run)
    except GpoVaeError:
        return {}


def no_runs() -> None:
    st.info("No runs here yet. Choose your cells, then train a first run.")
    st.page_link("pages/data.py", label="**Choose cells on the page Data →**")
    st.markdown(f"This page looks in `{loaders.runs_folder().resolve()}`. In a terminal:")
    st.code("gpovae train my_screen.h5ad --run runs/first", language="bash")
    st.markdown("No data at hand? Make some, with a network that is known, and choose it on the page Data:")
    st.code("gpovae simulate data/toy.h5ad --genes 60 --perturbations 20 --cells 3000", language="bash")


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
    job_view.watch(run, whole=False)


def scores(run: RunFolder) -> None:
    report = loaders.evaluation(run)
    if not report:
        st.info("This run has not been evaluated yet:")
        st.code(run_summary.command("gpovae", "evaluate", run.path), language="bash")
        return
    st.markdown("##### Predicted effects, on held-out cells")
    show_table(run_summary.response_scores(report, "test"))
    st.caption(run_summary.response_note(report, "test"))
    with st.expander(
        "The same against all cells, training cells included (as published; flatters every method)"
    ):
        show_table(run_summary.response_scores(report, "all"))
    network_part(report)
    for note in report.get("notes") or []:
        st.caption(plain(note))


def network_part(report: dict) -> None:
    st.markdown("##### Network")
    show_table(run_summary.network_scores(report))
    st.caption(run_summary.network_note(report))
    words = run_summary.lift_in_words(report)
    if words:
        st.markdown("###### Pairs ranked by the model and without it, at equal numbers, on held-out cells")
        st.caption(plain(words))
        left, right = st.columns(2)
        for column, reference, title in (
            (left, "as_measured", "As measured"),
            (right, "without_common_lift", "Without the common lift"),
        ):
            column.caption(title)
            show_table(run_summary.ranking_scores(report, reference), place=column)


def warnings(run: RunFolder) -> None:
    """What went wrong in the training, in sight before any score."""
    for warning in run_summary.pick(loaders.evaluation(run), "health", "warnings") or []:
        st.warning(plain(warning))


def health(run: RunFolder) -> None:
    report = loaders.evaluation(run)
    if not run_summary.pick(report, "health"):
        st.info("The health of a run is looked at when it is evaluated.")
        return
    show_table(run_summary.health_facts(report))


def curves(run: RunFolder) -> None:
    table = loaders.metrics(run)
    if table.empty:
        st.info("No epoch has finished yet. This page shows the curves as soon as one has.")
        return
    left, right = st.columns(2)
    chart(training.loss_curves(table, run.status().best_epoch), key="loss", place=left)
    chart(training.penalty_curves(table), key="penalties", place=right)
    chart(training.spread_curves(table), key="spread", place=left)
    chart(training.latent_curve(table, run.settings().model.latent), key="latent", place=right)


def preparation(run: RunFolder) -> None:
    report = loaders.report(run)
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


def details(name: str) -> None:
    run = loaders.open_run(name)
    heading(name, run)
    with shell.errors_in_words():
        warnings(run)
    parts = {
        "Scores": scores,
        "Training": curves,
        "Health": health,
        "Data": preparation,
        "Settings": settings,
        "Rename, export, delete": manage_runs.manage,
    }
    shell.tabs("run_part", {title: partial(part, run) for title, part in parts.items()})


def compared(runs: dict[str, RunFolder]) -> list[str]:
    """The runs ticked for comparison, as far as they are still there."""
    return [name for name in st.session_state.get(COMPARED, []) if name in runs]


shell.title("Runs")
job_view.problem_of_last_click()
runs = loaders.all_runs()
if runs:
    table_of_runs(runs)
if not [name for name in runs if name != loaders.DEMO]:
    no_runs()
with st.expander("Import a run, a checkpoint or a matrix"):
    manage_runs.importing()
manage_runs.trash()
if len(compared(runs)) > 1:
    with shell.errors_in_words():
        manage_runs.compare(compared(runs))
elif state.get(state.RUN) is not None:
    details(state.get(state.RUN))
elif runs:
    st.info("Open a run above to see its scores, its training curves and what was dropped from its data.")
