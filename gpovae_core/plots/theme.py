"""Colours, sizes and text rules of every figure. Okabe-Ito colours: told apart by colour-blind readers, on light and dark."""

from __future__ import annotations

import html
from collections.abc import Sequence

import plotly.graph_objects as go

BLUE = "#0072B2"
VERMILLION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#CC79A7"
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREY = "#8C8C8C"

OBSERVED = GREY
PREDICTED = BLUE
TARGET = VERMILLION
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, GREY)

EFFECT_UNIT = "log2 (counts per 10,000 + 1), difference to control"


def text(name: object, longest: int = 40) -> str:
    """A name for a plotly label: plotly reads a few HTML tags in text, so they are escaped; overlong names are cut."""
    shown = str(name)
    return html.escape(shown if len(shown) <= longest else shown[: longest - 1] + "…")


def texts(names: Sequence[object]) -> list[str]:
    return [text(name) for name in names]


def style(figure: go.Figure, title: str, x: str, y: str, height: int = 360) -> go.Figure:
    """Title, axis titles and margins, alike for all figures. Titles are plain text: they are escaped here."""
    figure.update_layout(
        title={"text": html.escape(title), "x": 0, "xanchor": "left", "font": {"size": 16}},
        height=height,
        margin={"l": 64, "r": 16, "t": 56, "b": 56},
        legend={"orientation": "h", "yanchor": "bottom", "y": 1.0, "xanchor": "right", "x": 1.0},
        hoverlabel={"align": "left"},
    )
    figure.update_xaxes(title_text=html.escape(x), automargin=True)
    figure.update_yaxes(title_text=html.escape(y), automargin=True)
    return figure


def empty(title: str, why: str) -> go.Figure:
    """A figure with nothing to draw, that says why."""
    figure = go.Figure()
    figure.add_annotation(text=html.escape(why), showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure.update_layout(title={"text": html.escape(title), "x": 0}, height=240)
