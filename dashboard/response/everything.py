"""The tab with all perturbations: scores, sizes, and a heat map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.response import cached
from dashboard.response.scene import MOST, Scene, choose_gene
from dashboard.response.scores import per_perturbation, scores_of
from dashboard.shared import state
from dashboard.shared.answers import BADGES
from dashboard.shared.figures import chart_with_words, download_table
from dashboard.shared.glossary import show_table
from dashboard.shared.run_summary import command
from dashboard.shared.words import number, plain
from gpovae_core import keys
from gpovae_core.plots import response
from gpovae_core.reporting.tables import held_out_table


def show(scene: Scene) -> None:
    summary = per_perturbation(scene)
    if summary.empty:
        st.info("The table of all perturbations comes from the evaluation of this run:")
        st.code(command("gpovae", "evaluate", scene.run.path), language="bash")
        return
    summary = pd.DataFrame(summary[~summary["Perturbation"].isin(list(scene.held_out))]).reset_index(
        drop=True
    )
    size = cached.sizes(scene.run, scene.reference)
    counted = cached.changed(scene.run, scene.reference)
    names = list(summary["Perturbation"])
    summary.insert(2, "Effect size", size.reindex(names).to_numpy())
    summary.insert(3, "Changed genes", np.nan if counted is None else counted.reindex(names).to_numpy())
    summary = summary.sort_values("Effect size", ascending=False, kind="stable", ignore_index=True)
    known = summary.dropna(subset=["rho, model", "rho, training mean"])
    if scene.unseen:
        held_out_scores(scene)
    better = int((known["rho, model"] > known["rho, training mean"]).sum())
    st.caption(
        f"{len(summary):,} perturbations, {scene.cells}, largest effects first; for {better:,} of "
        f"{len(known):,} the model correlates better than the training mean. Effect size: root mean square "
        "over genes of what is to be believed of the observed effects (log2 fold changes of mean shares). "
        "rho: correlation of differences of mean logarithms, as the model is scored. Changed genes: of "
        f"all that can be tested, adjusted p below {scene.level:g}. Of the ceiling: rho of the model over "
        "what the noise allows, 0 % where it is below zero. Tick rows to look at them; click a heading to "
        "sort."
    )

    def ticked() -> None:
        state.heard()
        rows = st.session_state["all_perturbations"].selection.rows[:MOST]
        names = tuple(str(summary["Perturbation"].iloc[row]) for row in rows)
        state.put(**{state.PERTURBATIONS: names or None})

    three = st.column_config.NumberColumn(format="%.3f")
    formats: dict[Any, Any] = dict.fromkeys(
        ("Effect size", "rho, model", "rho, training mean", "Ceiling"), three
    ) | {
        "Of the ceiling": st.column_config.NumberColumn(format="percent"),
        "Changed genes": st.column_config.NumberColumn(format="%d"),
    }
    show_table(
        summary.assign(Perturbation=[keys.for_reading(name) for name in summary["Perturbation"]]),
        key="all_perturbations",
        column_config=formats,
        on_select=ticked,
        selection_mode="multi-row",
        height=380,
    )
    download_table(
        summary, "Download this table (CSV)", f"{scene.file('perturbations')}.csv", "download_perturbations"
    )
    heatmap(scene)


def held_out_scores(scene: Scene) -> None:
    """Perturbations that no training cell has, apart from those that the model learned."""
    st.markdown(
        f"{BADGES['held out']} No cell of these trained the model; they are in no other score, table or "
        "heat map of this tab."
    )
    report = scores_of(scene).unseen
    if report is None or not report.per_perturbation:
        why = (report and report.reason) or "Evaluate this run again to have them scored."
        st.caption(plain(f"Held out: {', '.join(map(keys.for_reading, scene.unseen))}. {why}"))
        return
    show_table(held_out_table(report.per_perturbation), key="held_out_perturbations")
    st.caption(
        "rho over genes without the perturbed one, against all cells of the perturbation and controls that "
        "did not train. Answer: what is shown as predicted here and on What if. Untrained row: what the "
        "autoencoder itself would say; shown nowhere else."
    )


def heatmap(scene: Scene) -> None:
    found = cached.heat_map(scene.run, scene.reference, tuple(scene.held_out))
    rows = min(found.perturbations, response.HEAT_ROWS)
    genes = min(scene.effects.n_vars, response.HEAT_GENES)
    chart_with_words(
        found.figure,
        "heatmap",
        f"Observed ({scene.cells}) and predicted effects in the same order, log2 fold changes of mean "
        f"shares, of the observed ones what is to be believed of them: the {genes:,} strongest of "
        f"{scene.effects.n_vars:,} genes under the {rows:,} strongest of {found.perturbations:,} "
        "perturbations. Rows and columns are ordered so that those of similar observed effects stand "
        "together. Red: up, blue: down. "
        f"Correlation (rho) over all entries {number(found.rho)}.",
        scene.file("heatmap"),
        lambda gene: choose_gene(scene.run, gene),
    )
