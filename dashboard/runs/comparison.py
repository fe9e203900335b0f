"""Several runs side by side: settings and curves."""

from __future__ import annotations

from typing import Any, cast

import pandas as pd
import streamlit as st

from dashboard.shared import contents, listing, settings_form
from dashboard.shared.figures import chart
from dashboard.shared.glossary import show_table
from gpovae_core.plots import training
from gpovae_core.runs.folder import RunFolder


def show(names: list[str]) -> None:
    """Settings and curves of several runs side by side."""
    runs = {name: listing.open_run(name) for name in names}
    st.subheader(f"{len(runs)} runs compared")
    table = settings_that_differ(runs)
    if table.empty:
        st.caption("All their settings are the same.")
    else:
        st.markdown("##### Settings that differ")
        show_table(table)
    metrics = {name: contents.metrics(run) for name, run in runs.items()}
    left, right = st.columns(2)
    chart(training.compare_curves(metrics), key="compare_loss", place=left)
    chart(training.compare_curves(metrics, "edges"), key="compare_edges", place=right)
    chart(training.compare_curves(metrics, "w_sd"), key="compare_spread", place=left)
    st.caption(
        "The validation losses of runs with other weights of the loss terms, or with other cells, cannot "
        "be compared by their height."
    )


def settings_that_differ(runs: dict[str, RunFolder]) -> pd.DataFrame:
    """One row per setting that is not the same in all runs; a column per run."""
    values: dict[str, dict[str, Any]] = {}
    for name, run in runs.items():
        chosen = run.settings()
        values[name] = {"preset": chosen.preset, "data file": run.source().path.rpartition("/")[2]}
        for section, fields in settings_form.sections(chosen).items():
            values[name] |= {f"{section}.{field}": value for field, value in fields.items()}
    paths = dict.fromkeys(path for one in values.values() for path in one)
    differing = [path for path in paths if len({repr(one.get(path)) for one in values.values()}) > 1]
    rows = [
        {"Setting": path, **{name: str(one.get(path)) for name, one in values.items()}} for path in differing
    ]
    return cast("pd.DataFrame", pd.DataFrame(rows))
