"""Figures of a file of cells before training: sizes, counts, quality cut-offs, knock-downs."""

from __future__ import annotations

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gpovae_core.data.schema import ArtifactCriterion
from gpovae_core.plots import theme

MOST_BARS = 60
CRITERIA = {
    "umi_count": "Counts (UMIs) per cell",
    "genes_detected": "Genes detected per cell",
    "percent_mitochondrial": "Mitochondrial counts, %",
    "percent_ribosomal": "Ribosomal counts, %",
    "percent_haemoglobin": "Haemoglobin counts, %",
    "doublet": "Doublets (Scrublet)",
}


def cells_per_perturbation(kept: dict[str, int], small: dict[str, int], least: int) -> go.Figure:
    """Cells of every perturbation, largest first, with the least number that stays; those below it in another
    colour.
    """
    title = f"Cells per perturbation (at least {least:,} are needed)"
    sizes = sorted(
        [(n, name, True) for name, n in kept.items()] + [(n, name, False) for name, n in small.items()],
        key=lambda x: (-x[0], x[1]),
    )
    if not sizes:
        return theme.empty(title, "No perturbation was found.")
    figure = go.Figure()
    for stays, label, color in (
        (True, "Used", theme.BLUE),
        (False, f"Left out: fewer than {least}", theme.VERMILLION),
    ):
        places = [(rank, n, name) for rank, (n, name, kept_one) in enumerate(sizes, 1) if kept_one is stays]
        if not places:
            continue
        ranks, counts, names = zip(*places, strict=True)
        figure.add_bar(
            x=ranks,
            y=counts,
            name=label,
            marker={"color": color, "pattern": {"shape": "" if stays else "/", "fillmode": "overlay"}},
            text=theme.texts(list(names)),
            textposition="none",
            hovertemplate="%{text}<br>%{y:,} cells<extra></extra>",
        )
    figure.add_hline(y=least, line={"color": theme.GREY, "dash": "dot"})
    theme.style(
        figure, title, "Perturbation" if len(sizes) <= MOST_BARS else "Perturbations, largest first", "Cells"
    )
    figure.update_layout(bargap=0.15 if len(sizes) <= MOST_BARS else 0, showlegend=bool(small))
    if len(sizes) <= MOST_BARS:
        figure.update_xaxes(
            tickvals=list(range(1, len(sizes) + 1)),
            ticktext=[theme.text(name, 14) for _, name, _ in sizes],
            tickangle=-60,
        )
        figure.update_layout(margin_b=110)
    return figure


def counts_histogram(counts_per_cell: np.ndarray) -> go.Figure:
    """Distribution of counts per cell, on a log scale."""
    title = "Counts per cell"
    values = np.asarray(counts_per_cell, dtype=np.float64)
    values = values[values > 0]
    if not len(values):
        return theme.empty(title, "No cell has any counts.")
    logs = np.log10(values)
    heights, edges = np.histogram(logs, np.linspace(logs.min() - 0.01, logs.max() + 0.01, 61))
    centres = (edges[:-1] + edges[1:]) / 2
    figure = go.Figure()
    figure.add_bar(
        x=centres,
        y=heights,
        width=np.diff(edges),
        marker={"color": theme.BLUE},
        customdata=10**centres,
        hovertemplate="about %{customdata:,.0f} counts<br>%{y:,} cells<extra></extra>",
        showlegend=False,
    )
    middle = float(np.median(values))
    figure.add_vline(
        x=np.log10(middle),
        line={"color": theme.GREY, "dash": "dot"},
        annotation_text=f"median {middle:,.0f}",
        annotation_position="top right",
    )
    ticks = [n * 10**k for k in range(7) for n in (1, 2, 5) if edges[0] <= np.log10(n * 10**k) <= edges[-1]]
    theme.style(figure, title, "Counts per cell (log scale)", "Cells")
    figure.update_xaxes(tickvals=[np.log10(tick) for tick in ticks], ticktext=[f"{tick:,}" for tick in ticks])
    figure.update_yaxes(range=[0, 1.15 * heights.max()])  # room for the median above the bars
    return figure.update_layout(bargap=0)


def _bins(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Edges of about 60 bins; for whole numbers each bin holds the same number of them, or the bars would
    form a comb.
    """
    if (values == np.round(values)).all() and high - low >= 1:
        width = max(1, int(np.ceil((high - low) / 60)))
        return np.arange(np.floor(low) - 0.5, high + width + 0.5, width)
    return np.linspace(low, high, 61)


def criterion_histogram(criterion: ArtifactCriterion, values: np.ndarray, failing: np.ndarray) -> go.Figure:
    """Distribution of one quality measure with its cut-off, that of the median batch; failing cells, (n_obs,)
    bool, in another colour and hatched.
    """
    name = CRITERIA.get(criterion.name, criterion.name)
    values = np.asarray(values, dtype=np.float64)
    low, high = float(values.min()), float(np.quantile(values, 0.999))
    if criterion.cutoff is not None and low < criterion.cutoff:
        high = max(high, min(float(values.max()), criterion.cutoff * 1.1))
    if high <= low:
        high = low + 1.0
    edges = _bins(values, low, high)
    cutoff = criterion.cutoff if criterion.used else None
    figure = go.Figure()
    centres = (edges[:-1] + edges[1:]) / 2
    for mask, label, color, shape in (
        (~failing, "Passes", theme.BLUE, ""),
        (failing, "Fails", theme.VERMILLION, "/"),
    ):
        heights, _ = np.histogram(np.clip(values[mask], edges[0], edges[-1]), edges)
        figure.add_bar(
            x=centres,
            y=heights,
            name=f"{label}: {int(mask.sum()):,} cells",
            marker={"color": color, "pattern": {"shape": shape, "fillmode": "overlay"}},
            width=np.diff(edges),
            hovertemplate="%{x:,.4g}: %{y:,} cells<extra></extra>",
        )
    if cutoff is not None and cutoff >= low - 0.05 * (high - low):
        side = "top right" if cutoff < (low + high) / 2 else "top left"
        figure.add_vline(
            x=cutoff,
            line={"color": theme.GREY, "dash": "dot"},
            annotation_text=f"cut-off {cutoff:,.4g}",
            annotation_position=side,
        )
    theme.style(figure, name, name, "Cells", height=300)
    return figure.update_layout(barmode="stack", bargap=0)


def knock_down_figure(table: pd.DataFrame) -> go.Figure:
    """Expression of every target that is left in its own perturbation, in percent of control cells; weakest
    knock-down first.
    """
    title = "Knock-down of the perturbed genes"
    shown = table.dropna(subset=["remaining"])
    if shown.empty:
        return theme.empty(title, "No perturbed gene is measured well enough to see its own knock-down.")
    figure = go.Figure()
    styles = {
        "knocked down": (theme.BLUE, "circle"),
        "weak or none": (theme.ORANGE, "diamond"),
        "higher than in controls": (theme.VERMILLION, "triangle-up"),
    }
    shown = shown.assign(rank=np.arange(1, len(shown) + 1))
    for verdict, (color, symbol) in styles.items():
        part = shown[shown["verdict"] == verdict]
        if len(part):
            names = [
                theme.text(target if target == perturbation else f"{target} in {perturbation}")
                for target, perturbation in zip(part["target"], part["perturbation"], strict=True)
            ]
            figure.add_scatter(
                x=part["rank"],
                y=100 * part["remaining"],
                mode="markers",
                marker={"color": color, "symbol": symbol, "size": 9},
                name=f"{verdict} ({len(part)})",
                text=names,
                customdata=part["cells"],
                hovertemplate="%{text}<br>%{y:.0f} % of control<br>%{customdata:,} cells<extra></extra>",
            )
    figure.add_hline(
        y=100,
        line={"color": theme.GREY, "dash": "dot"},
        annotation_text="as in control cells",
        annotation_position="top right",
    )
    theme.style(figure, title, "Perturbed gene, weakest knock-down first", "Expression left, % of control")
    if len(shown) <= MOST_BARS:
        figure.update_xaxes(
            tickvals=shown["rank"], ticktext=[theme.text(name, 14) for name in shown["target"]], tickangle=-60
        )
        figure.update_layout(margin_b=120)
    return figure.update_yaxes(rangemode="tozero")
