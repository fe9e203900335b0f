"""Response: what the model says a perturbation does, beside what was measured."""

import pandas as pd
import streamlit as st

from dashboard import loaders, shell, state
from dashboard.run_summary import command, pick
from dashboard.words import number, plain
from gpovae_core import keys
from gpovae_core.plots import response
from gpovae_core.training.runs import RunFolder

MOST = 4
REFERENCES = {"test": "Held-out cells", "all": "All cells"}
UNIT = "Effect: mean of log2(counts per 10,000 + 1) in perturbed cells minus the same in control cells; -1 is about half."
EXPLAINED = {
    "test": "Observed effects come from held-out cells only: cells that neither the training nor its early stop has seen.",
    "all": "Observed effects come from every cell, the training cells included. Less noise, but the model has seen most of these cells, "
    "and so has the training-mean baseline: agreement looks better than it is.",
}


def per_perturbation(run: RunFolder, reference: str) -> pd.DataFrame:
    """Table of all perturbations from the evaluation."""
    rows = pick(loaders.evaluation(run), "response", reference, "per_perturbation") or []
    return pd.DataFrame(
        {
            "Perturbation": [str(row.get("perturbation")) for row in rows],
            "Cells": [row.get("cells") for row in rows],
            "rho, model": [pick(row, "rho", "model") for row in rows],
            "rho, training mean": [pick(row, "rho", "train_mean") for row in rows],
            "Ceiling": [row.get("ceiling") for row in rows],
        }
    )


def choose(effects: object, reference: str) -> list[str]:
    names = [str(name) for name in effects.obs_names]  # type: ignore[attr-defined]
    kept = [name for name in state.get(state.PERTURBATIONS) or [] if name in names]
    if not kept and state.get(state.PERTURBATIONS) is None:
        focus = state.get(state.FOCUS)
        first = focus if focus in names else response.strongest_perturbation(effects, reference)  # type: ignore[arg-type]
        kept = [first] if first is not None else []
    state.put(**{state.PERTURBATIONS: kept})
    left, right = st.columns([3, 2])
    left.multiselect(f"Perturbations (up to {MOST})", names, max_selections=MOST, **state.bound(state.PERTURBATIONS))
    right.radio("Compare with", list(REFERENCES), format_func=REFERENCES.__getitem__, horizontal=True, **state.bound(state.REFERENCE))
    return state.get(state.PERTURBATIONS) or []


def scores(table: pd.DataFrame, summary: pd.DataFrame, perturbation: str, cells: int | None) -> None:
    """rho and R2 of the model with the baseline and the ceiling beside them."""
    model, baseline = response.agreement(table), response.agreement(table, "train_mean")
    ceiling = dict(zip(summary["Perturbation"], summary["Ceiling"], strict=True)).get(perturbation)
    st.markdown(
        f"**rho {number(model.rho)}** (training mean {number(baseline.rho)}, ceiling {number(ceiling)}) · "
        f"**R² {number(model.r2)}** (training mean {number(baseline.r2)}) · {model.genes:,} genes · {number(cells)} cells"
    )
    targets = table.query("target").to_dict("records")
    for hit in targets:
        words = f"observed {number(hit['observed'], 2)}, predicted {number(hit['predicted'], 2)} log2"
        st.caption(f"Perturbed gene {plain(hit['gene'])}: {words}.")
    if not targets:
        st.caption(f"The perturbed gene {plain(perturbation)} is not measured in these data, so it is not among the points.")


def one(run: RunFolder, perturbation: str, reference: str, summary: pd.DataFrame) -> pd.DataFrame:
    effects = loaders.effects(run)
    table = response.response_table(effects, perturbation, reference)  # type: ignore[arg-type]
    column = keys.cell_count(response.LAYER[reference])
    cells = int(effects.obs.loc[perturbation, column]) if column in effects.obs else None
    st.subheader(plain(perturbation))
    scores(table, summary, perturbation, cells)
    left, right = st.columns(2)
    left.plotly_chart(response.response_scatter(table, perturbation), key=f"scatter_{perturbation}")
    right.plotly_chart(response.ranked_bars(table, perturbation), key=f"bars_{perturbation}")
    return table


def page(run: RunFolder) -> None:
    effects = loaders.effects(run)
    reference = state.get(state.REFERENCE)
    chosen = choose(effects, reference)
    st.caption(f"{EXPLAINED[reference]} {UNIT}")
    summary = per_perturbation(run, reference)
    tables = {name: one(run, name, reference, summary) for name in chosen}
    if tables:
        joined = pd.concat(tables, names=[keys.PERTURBATION]).reset_index(level=0)
        st.download_button(
            "Download these effects (CSV)", joined.to_csv(index=False), file_name=f"{run.name}_effects_{reference}.csv", mime="text/csv"
        )
    else:
        st.info("Choose at least one perturbation above.")
    st.subheader("All perturbations")
    if summary.empty:
        st.info("The table of all perturbations comes from the evaluation of this run:")
        st.code(command("gpovae", "evaluate", run.path), language="bash")
        return
    st.caption(
        "Correlation over all measured genes. A model should beat the training mean; the ceiling is what the noise in the data allows."
    )
    st.dataframe(
        summary,
        hide_index=True,
        column_config={name: st.column_config.NumberColumn(format="%.3f") for name in ("rho, model", "rho, training mean", "Ceiling")},
    )
    st.download_button(
        "Download this table (CSV)", summary.to_csv(index=False), file_name=f"{run.name}_perturbations_{reference}.csv", mime="text/csv"
    )


shell.title("Response", "What the model predicts a perturbation to do, gene by gene, beside what was measured.")
if (opened := shell.opened_run()) is not None:
    page(opened)
