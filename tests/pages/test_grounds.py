"""Figures on a light and on a dark ground: the browser takes their colours from the theme."""

from __future__ import annotations

import tomllib

import numpy as np
import plotly.graph_objects as go
import pytest

from dashboard.shared.figures import on_any_ground
from gpovae_core.plots import theme
from tests.conftest import PROJECT

LIGHT, DARK = "#FFFFFF", "#1A1A18"
"""Grounds of the app."""
LEAST = 3.0


def contrast(one: str, other: str) -> float:
    """Of two colours, as WCAG has it."""

    def light(colour: str) -> float:
        parts = [int(colour[k : k + 2], 16) / 255 for k in (1, 3, 5)]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_the_theme_has_the_colours_of_figures_in_their_order() -> None:
    themes = tomllib.loads((PROJECT / ".streamlit" / "config.toml").read_text())["theme"]
    assert themes["chartCategoricalColors"] == list(theme.ON_DARK)
    assert themes["dark"]["chartCategoricalColors"] == list(theme.ON_DARK.values())
    assert set(theme.COLOURS.values()) | set(theme.EDGES.values()) <= set(theme.ON_DARK)


@pytest.mark.parametrize("colour", [*theme.ON_DARK, theme.GROUP])
def test_marks_are_seen_on_both_grounds(colour: str) -> None:
    assert contrast(colour, LIGHT) >= LEAST
    assert contrast(theme.ON_DARK.get(colour, colour), DARK) >= LEAST


def test_colours_are_left_to_the_browser_and_words_are_not() -> None:
    figure = go.Figure()
    figure.add_scatter(
        x=[1, 2],
        y=np.array([3.0, 4.0]),
        text=[theme.BLUE, "b"],
        customdata=[theme.BLUE, "b"],
        marker={"color": [theme.BLUE.lower(), theme.GREY], "line": {"color": theme.ORANGE}},
        name=theme.BLUE,
        error_x={"array": [1, 1], "color": theme.ORANGE},
    )
    figure.add_violin(y=[1, 2], fillcolor="rgba(0,0,0,0)", line={"color": theme.BLUE})
    figure.add_vline(x=1, line={"color": theme.GREY})
    shown = on_any_ground(figure)
    own = shown.data[0]
    assert list(own.marker.color) == ["#000001", "#000007"]
    assert (own.marker.line.color, own.error_x.color) == ("#000005", "#000005")
    assert (shown.data[1].fillcolor, shown.data[1].line.color) == ("rgba(0,0,0,0)", "#000001")
    assert shown.layout.shapes[0].line.color == "#000007"
    assert (list(own.text), list(own.customdata), own.name) == (
        [theme.BLUE, "b"],
        [theme.BLUE, "b"],
        theme.BLUE,
    )
    assert shown.to_plotly_json()["data"][0]["y"] == figure.to_plotly_json()["data"][0]["y"]
    assert list(figure.data[0].marker.color)[1] == theme.GREY, "the figure for a paper keeps its colours"
