"""Figures about sweeps: points with error bars over seeds, and the Pareto front."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from gpovae_core.plots import theme
from gpovae_core.sweeps.measures import MEASURES, Measure
from gpovae_core.sweeps.results import NUMBER, RUN, SPREAD, STATE, WORDS

DONE = "done"


def measure_bars(points: pd.DataFrame, runs: pd.DataFrame, measure: str) -> go.Figure:
    """One row per finished point: mean of a measure over seeds with its standard deviation, every run as a
    dot, baseline and ceiling as marks.

    points, runs: see sweeps.results.Results.
    """
    what = MEASURES[measure]
    shown: Any = points[(points[STATE] == DONE) & points[measure].notna()] if len(points) else points
    if shown.empty:
        return theme.empty(what.title, "No finished point has this measure.")
    labels = dict(zip(shown[NUMBER], _labels(shown), strict=True))
    figure = go.Figure()
    own = runs[runs[NUMBER].isin(shown[NUMBER]) & runs[measure].notna()]
    dots = {"color": theme.SKY, "size": 6, "symbol": "circle-open"}
    figure.add_scatter(
        x=own[measure],
        y=[labels[number] for number in own[NUMBER]],
        mode="markers",
        marker=dots,
        name="one seed",
        customdata=theme.texts(own[RUN].tolist()),
        hovertemplate="%{customdata}: %{x:.4g}<extra></extra>",
    )
    figure.add_scatter(
        x=shown[measure],
        y=list(labels.values()),
        mode="markers",
        marker={"color": theme.BLUE, "size": 10, "symbol": "diamond"},
        error_x={"type": "data", "array": shown[measure + SPREAD].fillna(0.0), "color": theme.BLUE},
        name="mean ± 1 standard deviation over seeds",
        hovertemplate="%{x:.4g}<extra></extra>",
    )
    for other, symbol, colour, words in (
        (what.baseline, "line-ns-open", theme.GREY, "baseline"),
        (what.ceiling, "triangle-left-open", theme.ORANGE, "ceiling"),
    ):
        if other is not None and shown[other].notna().any():
            figure.add_scatter(
                x=shown[other],
                y=list(labels.values()),
                mode="markers",
                marker={"color": colour, "size": 13, "symbol": symbol, "line": {"width": 2}},
                name=f"{words}: {theme.text(MEASURES[other].title, 60)}",
                hovertemplate="%{x:.4g}<extra></extra>",
            )
    theme.style(figure, what.title, _axis(what), "", height=170 + 34 * len(shown))
    return figure.update_yaxes(autorange="reversed").update_layout(
        showlegend=True, legend={"orientation": "h"}
    )


def pareto(points: pd.DataFrame, across: str, up: str, chosen: int | None = None) -> go.Figure:
    """Every finished point by two measures with standard deviations over seeds; those on the front joined and
    filled.

    chosen: number of the point that is looked at. customdata of every mark is the number of its point.
    """
    a, b = MEASURES[across], MEASURES[up]
    title = f"{b.title} against {a.title}"
    shown: Any = (
        points[(points[STATE] == DONE) & points[across].notna() & points[up].notna()]
        if len(points)
        else points
    )
    if shown.empty:
        return theme.empty(title, "No finished point has both measures.")
    figure = go.Figure()
    on_front: Any = shown[shown["on_front"]].sort_values(across)
    figure.add_scatter(
        x=on_front[across],
        y=on_front[up],
        mode="lines",
        line={"color": theme.VERMILLION, "dash": "dot"},
        name="Pareto front",
        hoverinfo="skip",
        showlegend=len(on_front) > 1,
    )
    for part, name, symbol, colour in (
        (shown[~shown["on_front"]], "beaten by another point", "circle-open", theme.GREY),
        (shown[shown["on_front"]], "on the front", "diamond", theme.VERMILLION),
    ):
        size = np.where(part[NUMBER] == chosen, 18, 11)
        figure.add_scatter(
            x=part[across],
            y=part[up],
            mode="markers",
            marker={"size": size, "symbol": symbol, "color": colour, "line": {"width": 2, "color": colour}},
            error_x={"type": "data", "array": part[across + SPREAD].fillna(0.0), "thickness": 1},
            error_y={"type": "data", "array": part[up + SPREAD].fillna(0.0), "thickness": 1},
            name=name,
            customdata=np.column_stack([part[NUMBER], _labels(part)]) if len(part) else None,
            hovertemplate="%{customdata[1]}<br>%{x:.4g}, %{y:.4g}<extra></extra>",
            showlegend=len(part) > 0,
        )
    return theme.style(figure, title, _axis(a), _axis(b), height=460)


def _labels(points: pd.DataFrame) -> list[str]:
    return [
        theme.text(f"{number}: {words}", 60)
        for number, words in zip(points[NUMBER], points[WORDS], strict=True)
    ]


def _axis(measure: Measure) -> str:
    return measure.title + (" (number)" if measure.whole else "")
