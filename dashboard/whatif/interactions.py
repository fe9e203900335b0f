"""The tab that asks whether the effects of several genes add up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import streamlit as st

from dashboard.shared import shell
from dashboard.shared.figures import chart, download_table
from dashboard.shared.glossary import show_table
from dashboard.shared.words import number, plain
from dashboard.whatif import cached
from dashboard.whatif.scene import TABLE_ROWS, Answered
from gpovae_core import keys
from gpovae_core.errors import GpoVaeError
from gpovae_core.plots import whatif as figures
from gpovae_core.runs.folder import RunFolder

if TYPE_CHECKING:
    from gpovae_core.questions.interactions import Coefficients, Interaction

SPLITS = {keys.OBSERVED_TEST: keys.HELD_OUT, keys.OBSERVED_ALL: keys.SPLITS}


def show(run: RunFolder, one: Answered) -> None:
    st.caption(
        "Effects of genes that act independently multiply, so their log2 fold changes add up: a gene off "
        "the line answers to the combination otherwise than to its parts. Called non-additive at 5 % false "
        "discoveries; the knocked-down genes are left out."
    )
    left, right = st.columns(2)
    with left, shell.errors_in_words():
        if one.answer.interaction is None:
            st.info(
                "At least one of these genes is answered by the network alone and was added to the others: "
                "nothing can be said here."
            )
        else:
            shown(run, one.answer.interaction, "Predicted", "whatif_predicted_gi")
    with right:
        try:
            measured = cached.interaction(run, one.answer.question.perturbation, SPLITS[one.layer])
            shown(run, measured, "Measured", "whatif_measured_gi")
        except GpoVaeError as error:
            st.info(plain(error))


def shown(run: RunFolder, found: Interaction, what: str, key: str) -> None:
    """Figure, coefficients and list of one interaction."""
    chart(figures.departures(found, f"{what}: {found.name} against its parts"), key=key)
    st.markdown(coefficient_words(found.coefficients))
    called = found.table.loc[found.table["non_additive"]]
    cells = ", ".join(f"{plain(name)} {count:,}" for name, count in found.cells.items())
    error = (
        f"Cells: {cells}."
        if cells
        else "Called from a departure of 0.1 on; the error is the spread of the model's draws, no more."
    )
    st.markdown(
        f"**{len(called):,} non-additive genes** of {int((~found.table['perturbed']).sum()):,}. {error}"
    )
    if len(called):
        names = {
            "gene": "Gene",
            "additive": "Sum",
            "both": "Together",
            "departure": "Departure",
            "error": "± s.e.",
            "q": "q",
        }
        table = called.reindex(columns=list(names)).set_axis(list(names.values()), axis=1)
        formats = {"q": st.column_config.NumberColumn(format="%.2g")} | {
            label: st.column_config.NumberColumn(format="%.2f")
            for label in ("Sum", "Together", "Departure", "± s.e.")
        }
        show_table(table.head(TABLE_ROWS), column_config=formats, key=f"{key}_table")
    download_table(
        found.table,
        "Download all genes (CSV)",
        f"{run.name}_{found.name}_{what.lower()}_additivity.csv",
        f"{key}_csv",
    )


def coefficient_words(found: Coefficients | None) -> str:
    if found is None:
        return (
            "Fewer than 10 genes respond: the coefficients of the combination on its parts are not defined."
        )
    weights = " + ".join(
        f"{weight:.2f} × {plain(part)}" for weight, part in zip(found.weights, found.parts, strict=True)
    )
    dominance = (
        "" if found.dominance is None else f" · dominance {number(found.dominance, 2)} (0: both count alike)"
    )
    return (
        f"Together ≈ **{weights}** (Theil-Sen over {found.genes:,} responding genes, correlation "
        f"{number(found.fit, 2)}) · magnitude {number(found.magnitude, 2)} (1.41 for two that add up, 1.73 "
        f"for three; noise in the parts lowers it){dominance}"
    )
