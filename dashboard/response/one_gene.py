"""The tab with the cells of one gene, measured and drawn from the model."""

from __future__ import annotations

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.response import cached
from dashboard.response.scene import NO_CELLS, Scene
from dashboard.shared.figures import chart_with_words, download_table
from dashboard.shared.words import named, percent, plain
from gpovae_core import keys
from gpovae_core.plots import response


def show(scene: Scene) -> None:
    if scene.gene is None or not scene.chosen:
        st.info("Choose a perturbation and a gene above, or click a gene in a chart of the other tabs.")
        return
    if not scene.run.has("cells.h5ad"):
        st.info(NO_CELLS)
        return
    groups = {}
    for name in scene.chosen:
        groups[name] = cached.expression_groups(scene.run, name, scene.gene, scene.reference)
        if len(scene.chosen) > 1:
            st.subheader(named(name))
        chart_with_words(
            response.gene_distributions(groups[name], scene.gene),
            f"groups_{name}",
            distribution_words(groups[name], scene.gene),
            scene.file(name, scene.gene),
        )
    if set(scene.chosen) & set(scene.held_out):
        st.caption(
            "Of perturbations held out with all their cells only cells are shown: the model was not "
            "trained to draw such cells."
        )
    st.caption(
        f"Measured: {scene.cells}. Model: counts drawn from the trained model for the same perturbation and "
        "for control, at the library sizes of training controls, free of artifacts. Measured cells hold "
        "artifacts too, so their spread may be wider."
    )
    rows = [
        pd.DataFrame({keys.PERTURBATION: name, "group": group, "gene": scene.gene, "expression": values})
        for name, parts in groups.items()
        for group, values in parts.items()
    ]
    download_table(
        pd.concat(rows),
        "Download these cells and draws (CSV)",
        f"{scene.file(scene.gene)}.csv",
        "download_groups",
    )


def distribution_words(groups: dict[str, np.ndarray], gene: str) -> str:
    parts = [
        f"{named(name)}: mean {values.mean():.2f}, zero in {percent(float((values == 0).mean()))}"
        for name, values in groups.items()
        if len(values)
    ]
    return f"Expression of {plain(gene)}, log2(counts per 10,000 + 1). " + "; ".join(parts) + "."
