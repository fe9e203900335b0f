"""Colours, sizes and text rules of every figure. Okabe-Ito colours, told apart by colour-blind readers; the
three pale ones darkened, so that all have a contrast of at least 3 on light and on dark.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

BLUE = "#0072B2"
VERMILLION = "#D55E00"
GREEN = "#009E73"
PURPLE = "#BF6A9C"
ORANGE = "#B87900"
SKY = "#3A93C9"
GREY = "#8C8C8C"
COLOURS = {
    "blue": BLUE,
    "vermillion": VERMILLION,
    "green": GREEN,
    "purple": PURPLE,
    "orange": ORANGE,
    "sky": SKY,
    "grey": GREY,
}
"""For a look that is stated where no figure is drawn, see `methods.method.Look`."""

EDGES = {1: BLUE, -1: "#C34E00", 0: "#707070"}
"""Of an edge by its sign, on light: Okabe and Ito's blue and vermillion, this one darkened for thin lines."""
REGULATOR, GROUP = "#3F4A5A", "#7D8896"
"""Genes of a picture of the network: those that regulate, and those that are regulated."""
ON_DARK = {
    BLUE: "#5FB2E6",
    VERMILLION: "#F5854A",
    GREEN: "#2BC79B",
    PURPLE: "#DE9AC2",
    ORANGE: "#E0A33A",
    SKY: "#A5D8F3",
    GREY: "#A3A3A3",
    EDGES[-1]: "#FF8A4D",
    EDGES[0]: "#A8A8A8",
    REGULATOR: "#D5DCE6",
}
"""Colour -> what stands for it on a dark ground; `.streamlit/config.toml` has both rows in this order."""

OBSERVED = GREY
PREDICTED = BLUE
TARGET = VERMILLION
CYCLE = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, GREY)

_TAG = re.compile(r"</?(?:b|i|br|sub|sup|span)\b[^>]*>")
"""Tags of plotly's own; those of names are escaped and stay."""

EFFECT_UNIT = "log2 fold change of mean shares"
"""Perturbed over control, without the common lift: every effect that people read is in it."""


def shorten(name: object, longest: int = 40) -> str:
    """A name of at most `longest` characters, the cut marked by an ellipsis."""
    shown = str(name)
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def escape(words: str) -> str:
    """Text that plotly shows as it is. Quotes stay: plotly would show their code."""
    return html.escape(words, quote=False)


def text(name: object, longest: int = 40) -> str:
    """A name for a plotly label: plotly reads a few HTML tags in text, so they are escaped; overlong names
    are cut.
    """
    return escape(shorten(name, longest))


def texts(names: Sequence[object]) -> list[str]:
    return [text(name) for name in names]


def style(figure: go.Figure, title: str, x: str, y: str, height: int = 360) -> go.Figure:
    """Title, axis titles and margins, alike for all figures. Titles are plain text: they are escaped here."""
    figure.update_layout(
        title={"text": escape(shorten(title, 70)), "x": 0, "xanchor": "left", "font": {"size": 16}},
        height=height,
        margin={"l": 64, "r": 16, "t": 48, "b": 88},
        legend={
            "orientation": "h",
            "yref": "container",
            "yanchor": "bottom",
            "y": 0.0,
            "xanchor": "left",
            "x": 0.0,
        },
        hoverlabel={"align": "left"},
    )
    figure.update_xaxes(title_text=escape(x), title_font_size=12)
    figure.update_yaxes(title_text=escape(y), title_font_size=12, automargin=True)
    return figure


def described(figure: go.Figure, most: int = 6) -> str:
    """What a figure shows, in words for those who do not see it: title, axes, what is drawn. Plain text, no
    markup.
    """
    layout: Any = figure.layout
    traces: Any = figure.data
    notes = [str(note.text) for note in layout.annotations if note.text]
    parts = [layout.title.text or "Chart"]
    parts += [
        f"{way}: {axis.title.text}"
        for way, axis in (("Across", layout.xaxis), ("Up", layout.yaxis))
        if axis.title.text
    ]
    names = list(dict.fromkeys(str(trace.name) for trace in traces if trace.name))
    if names:
        more = f" and {len(names) - most} more" if len(names) > most else ""
        parts.append(f"Drawn: {', '.join(names[:most])}{more}")
    elif not traces and notes:
        parts.append(notes[0])
    return ". ".join(html.unescape(_TAG.sub(" ", str(part))).strip().rstrip(".") for part in parts) + "."


def empty(title: str, why: str) -> go.Figure:
    """A figure with nothing to draw, that says why."""
    figure = go.Figure()
    figure.add_annotation(text=escape(why), showarrow=False, xref="paper", yref="paper", x=0.5, y=0.5)
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure.update_layout(title={"text": escape(shorten(title, 70)), "x": 0}, height=240)
