"""How good answers about genes that were never perturbed are."""

from __future__ import annotations

import streamlit as st

from dashboard.shared import shell
from dashboard.shared.figures import download_table
from dashboard.shared.glossary import show_table
from dashboard.shared.run_summary import command
from dashboard.shared.words import number, plain
from dashboard.whatif import cached
from gpovae_core.reporting.sentences import unseen_verdict
from gpovae_core.reporting.tables import held_out_table, unseen_table
from gpovae_core.runs.folder import RunFolder


def show(run: RunFolder) -> None:
    report = cached.unseen(run)
    if report is None:
        st.markdown(
            "**Not measured for this run.** Whole perturbations can be held out with all their cells and "
            "predicted by the network alone, beside the mean over the other perturbations."
        )
        st.code(command("gpovae", "unseen", run.path), language="bash")
        if run.has("cells.h5ad") and st.button("Measure it now", key="whatif_measure"):
            measure(run)
        return
    st.caption(
        f"Whole perturbations of this run held out with all their cells, {number(report.at_once)} at a time, "
        f"{number(report.draws)} draws, seed {number(report.seed)}; predicted by the network alone, against "
        "cells that nothing was learned from. The perturbed gene itself is left out."
    )
    show_table(unseen_table(report), key="whatif_scores")
    st.markdown(plain(unseen_verdict(report)))
    each = held_out_table(report.per_perturbation)
    if len(each):
        st.markdown("**Every held-out perturbation**")
        show_table(each, key="whatif_each")
        download_table(each, "Download this table (CSV)", f"{run.name}_unseen.csv", "whatif_each_csv")


def measure(run: RunFolder) -> None:
    from gpovae_core.workflow import measure_unseen

    bar = st.progress(0.0, text="Holding out whole perturbations …")

    def tell(words: str, share: float) -> None:
        bar.progress(min(1.0, share), text=plain(words))

    with shell.errors_in_words(), run.working():
        measure_unseen(run.path, run.settings(), progress=tell)
        st.rerun()
