"""The tab with what every threshold does to the network."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import streamlit as st

from dashboard.network import cached
from dashboard.network.comparison import comparison
from dashboard.network.component import threshold_chart
from dashboard.network.panels import threshold_message
from dashboard.network.references import all_references
from dashboard.network.scene import Scene, set_threshold
from dashboard.network.slider import false_edge_rate
from dashboard.shared import networks, state
from dashboard.shared.figures import download_table
from dashboard.shared.words import plain
from gpovae_core.network.agreement import ListedShare
from gpovae_core.network.compare import compare_networks
from gpovae_core.network.curves import ThresholdCurves
from gpovae_core.network.grn import GeneNetwork
from gpovae_core.reporting.sentences import w_in_words


def show(scene: Scene) -> None:
    seconds = cached.pairs_wait(scene.run)
    if seconds is not None:
        st.info(
            "Coverage, Wasserstein distance and omission rate need a test of every pair of genes on the "
            "held-out cells."
        )
        st.button(
            f"Test all pairs (about {seconds:.0f} s, once)",
            on_click=cached.ask_for_pairs,
            args=(scene.run,),
            key="pairs_for_chart",
        )
    references = tuple(one.name for one in all_references(scene.network.simulated))
    curves = cached.curves(scene.run, scene.which, state.get(state.PATH_HOPS))
    false_edges = None if scene.which.often else cached.false_edges(scene.run)
    listed = cached.listed_shares(scene.run, scene.which, references)
    threshold_chart(
        threshold_message(curves, scene.shown, scene.threshold, pinned(scene.shown), false_edges, listed),
        on_threshold=set_threshold,
        on_pin=lambda value: state.put(**{state.PINNED: value}),
    )
    fit = networks.stage(scene.run)
    meant = w_in_words(scene.threshold, None if fit is None else fit.counts_rests)
    meant = f"{plain(meant)} " if scene.shown.measure == "W" else ""
    st.caption(
        "There is no right threshold: a lower one shows more edges and more false ones. "
        f"{meant}Drag the line: the picture follows. Pin a "
        "threshold to see below what another one gains and loses."
    )
    download_table(
        curves_table(curves, scene.shown, false_edges, listed),
        "Download these curves (CSV)",
        f"{scene.run.name}_thresholds.csv",
        "download_curves",
    )
    other = pinned(scene.shown)
    if other is not None:
        st.markdown(f"##### From {other:.4g} (pinned) to {scene.threshold:.4g}")
        comparison(
            scene,
            compare_networks(scene.shown, other, scene.shown, scene.threshold),
            "pinned threshold",
            "this one",
            "pin",
        )


def curves_table(
    curves: ThresholdCurves,
    shown: GeneNetwork,
    false_edges: pd.DataFrame | None,
    listed: Sequence[ListedShare],
) -> pd.DataFrame:
    """All that the chart shows, a threshold a row: the shares of edges that tables list stand beside the
    estimated share of false ones.
    """
    table = curves.table()
    if (rate := false_edge_rate(false_edges, shown)) is not None:
        table["estimated_false_edge_rate"] = np.array(rate, dtype=float)
    for one in listed:
        table[f"listed_in_{one.name}"], table[f"of_edges_{one.name}"] = one.precision, one.judged
    return table


def pinned(shown: GeneNetwork) -> float | None:
    value = state.get(state.PINNED)
    return value if value is not None and 0 <= value <= shown.top else None
