"""The tab with the predicted effects of a scenario beside the measured ones."""

from __future__ import annotations

import numpy as np
import streamlit as st

from dashboard.shared.figures import download_table
from dashboard.shared.glossary import show_table
from dashboard.shared.words import number, plain
from dashboard.whatif.scene import TABLE_ROWS, Answered
from gpovae_core import keys
from gpovae_core.runs.folder import RunFolder


def show(run: RunFolder, one: Answered) -> None:
    st.markdown(measured_words(one))
    columns = {
        "gene": "Gene",
        "effect": "Predicted",
        "low": "Model's spread from",
        "high": "to",
        "additive": "Sum of singles",
        "measured": "Measured",
        "measured_se": "± s.e.",
    }
    kept = [
        column
        for column in columns
        if column in one.table and (one.measured or not column.startswith("measured"))
    ]
    table = one.table.reindex(columns=kept).set_axis([columns[column] for column in kept], axis=1)
    if len(table) > TABLE_ROWS:
        st.caption(f"The {TABLE_ROWS:,} strongest of {len(table):,} genes; the download has all.")
    formats = {
        label: st.column_config.NumberColumn(format="%.3f") for label in table.columns if label != "Gene"
    }
    show_table(table.head(TABLE_ROWS), column_config=formats)
    download_table(
        one.table,
        "Download this table (CSV)",
        f"{run.name}_whatif_{one.answer.question.perturbation}.csv",
        "whatif_one",
    )


def measured_words(one: Answered) -> str:
    """Agreement with the cells where there are some, and otherwise that there are none."""
    cells = (
        "held-out cells" if one.layer == keys.OBSERVED_TEST else "all cells, which the model has mostly seen"
    )
    if not one.measured:
        name = plain(one.answer.question.perturbation)
        return (
            f"**Not measured**: there are no {cells.split(',')[0]} of this run with exactly {name} knocked "
            "down."
        )
    both = one.table.loc[
        one.table["effect"].notna() & one.table["measured"].notna() & ~one.table["perturbed"]
    ]
    rho = (
        float(np.corrcoef(both["effect"], both["measured"])[0, 1])
        if len(both) > 2 and both["effect"].std() > 0
        else float("nan")
    )
    words = (
        f"Predicted against measured log2 fold changes ({cells}): **rho {number(rho)}** over "
        f"{len(both):,} genes, the knocked-down ones left out."
    )
    if "additive" in both:
        plus = (
            float(np.corrcoef(both["additive"], both["measured"])[0, 1])
            if both["additive"].std() > 0
            else float("nan")
        )
        words += f" The plain sum of the single predictions reaches {number(plus)}."
    if not one.scenario.asked.as_in_the_screen:
        words += " You asked for another strength than the one that was measured."
    return words
