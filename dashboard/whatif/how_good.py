"""How good answers about genes that were never perturbed are."""

from __future__ import annotations

from typing import Any

import pandas as pd
import streamlit as st

from dashboard.shared import shell
from dashboard.shared.answers import held_out_table
from dashboard.shared.figures import download_table
from dashboard.shared.run_summary import command, pick
from dashboard.shared.words import number, plain
from dashboard.whatif import cached
from gpovae_core.runs.folder import RunFolder

METHODS = {
    "network": "Network alone",
    "perturbation_mean": "Mean over perturbations",
    "mean_of_others": "The same without own falls",
}


def show(run: RunFolder) -> None:
    st.subheader("How good are answers about genes that were never perturbed?")
    report = cached.unseen(run)
    if not report:
        st.markdown(
            "**Not measured for this run.** Whole perturbations can be held out with all their cells and "
            "predicted by the network alone, beside the mean over the other perturbations."
        )
        st.code(command("gpovae", "unseen", run.path), language="bash")
        if run.has("cells.h5ad") and st.button("Measure it now", key="whatif_measure"):
            measure(run)
        return
    st.caption(
        f"Whole perturbations of this run held out with all their cells, {report.get('at_once')} at a time, "
        f"{report.get('draws')} draws, seed {report.get('seed')}; predicted by the network alone, against "
        "cells that nothing was learned from. The perturbed gene itself is left out."
    )
    st.dataframe(score_table(report), hide_index=True, key="whatif_scores")
    st.markdown(verdict(report))
    each = held_out_table(report)
    if len(each):
        with st.expander("Every held-out perturbation"):
            st.dataframe(each, hide_index=True, key="whatif_each")
            download_table(each, "Download this table (CSV)", f"{run.name}_unseen.csv", "whatif_each_csv")


def measure(run: RunFolder) -> None:
    from gpovae_core.workflow import measure_unseen

    bar = st.progress(0.0, text="Holding out whole perturbations …")

    def tell(words: str, share: float) -> None:
        bar.progress(min(1.0, share), text=plain(words))

    with shell.errors_in_words(), run.working():
        measure_unseen(run.path, run.settings(), progress=tell)
        st.rerun()


def score_table(report: dict[str, Any]) -> pd.DataFrame:
    """rho and error of the network beside the baselines and the ceiling."""
    rows = []
    for key, words in (
        ("pooled", "All held-out"),
        ("with_known_path", "Moved by some training perturbation"),
    ):
        part = report.get(key)
        for score, label in (
            ("rho", "rho, pooled"),
            ("median_rho", "rho, median of perturbations"),
            ("rmse", "root mean square error"),
        ):
            values = {name: number(pick(part, score, method)) for method, name in METHODS.items()}
            no_effect = number(pick(part, score, "no_effect")) if score == "rmse" else ""
            ceiling = number(pick(part, score, "ceiling")) if score == "median_rho" else ""
            count = pick(part, "perturbations")
            rows.append(
                {
                    "Perturbations": f"{words} ({number(count)})",
                    "Score": label,
                    **values,
                    "No effect": no_effect,
                    "Ceiling": ceiling,
                }
            )
    return pd.DataFrame(rows)


def verdict(report: dict[str, Any]) -> str:
    """What to make of it, in one sentence."""
    rho, base = (pick(report, "pooled", "rho", name) for name in ("network", "perturbation_mean"))
    error, base_error = (pick(report, "pooled", "rmse", name) for name in ("network", "mean_of_others"))
    if not all(isinstance(value, int | float) for value in (rho, base, error, base_error)):
        return "What was measured does not suffice to compare the network with the mean."
    if rho > base + 0.02 and error < base_error:
        return (
            "In this run the network alone predicts unseen perturbations **better than the mean** over the "
            "others."
        )
    return (
        "In this run the network alone does **not** predict unseen perturbations better than the mean over "
        "the others: take such answers as little more than what an average perturbation of this screen "
        "does."
    )
