"""Figures about the network: how many edges a threshold leaves, and how a path's influence splits over hops."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from gpovae_core.plots import theme


def edge_count_curve(thresholds: np.ndarray, edges: Sequence[int] | np.ndarray, threshold: float) -> go.Figure:
    """Number of edges with W above each threshold, (m,) each, with the current threshold marked."""
    if len(thresholds) == 0:
        return theme.empty("Edges left by the threshold", "The panel has no pair of different genes.")
    figure = go.Figure()
    figure.add_scatter(
        x=thresholds,
        y=np.maximum(edges, 0.5),
        customdata=edges,
        mode="lines",
        line={"color": theme.BLUE},
        hovertemplate="W > %{x:.2f}: %{customdata:,} edges<extra></extra>",
    )
    figure.add_vline(x=threshold, line={"color": theme.VERMILLION}, annotation_text=f"{threshold:g}", annotation_position="top right")
    theme.style(figure, "Edges left by the threshold", "Threshold on W (probability)", "Edges (log scale)", height=300)
    figure.update_yaxes(type="log", dtick=1, exponentformat="none", separatethousands=True)
    return figure.update_xaxes(range=[0, 1]).update_layout(showlegend=False)


def hop_share_bars(shares: Sequence[float], source: str, target: str) -> go.Figure:
    """Share of the influence of `source` on `target` carried by walks of 1, 2, ... hops; shares sum to 1."""
    title = f"From {source} to {target}: influence by number of hops"
    if len(shares) == 0 or not np.isfinite(shares).all() or not np.any(shares):
        return theme.empty(title, "There is no influence to share out.")
    hops = [f"{k} hop{'s' if k > 1 else ''}" for k in range(1, len(shares) + 1)]
    figure = go.Figure()
    figure.add_bar(
        x=hops,
        y=[100 * share for share in shares],
        marker={"color": theme.BLUE},
        text=[f"{100 * share:.1f} %" for share in shares],
        textposition="outside",
        hovertemplate="%{x}: %{y:.1f} %<extra></extra>",
        cliponaxis=False,
    )
    theme.style(figure, title, "Length of the walk", "Share of the influence (%)", height=300)
    return figure.update_layout(showlegend=False)
