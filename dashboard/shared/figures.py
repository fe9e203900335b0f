"""How every figure and table is shown and taken along: plotly charts with a sentence beside them, files as
CSV, PNG and SVG.

The camera of a chart makes its file in the browser, without any network; which of the two formats it makes is
chosen once, for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from zlib import crc32

import pandas as pd
import plotly.graph_objects as go
import streamlit as st
from streamlit.elements.lib import streamlit_plotly_theme as stand_ins

from dashboard.shared import state
from gpovae_core.data.write import no_formulas
from gpovae_core.plots.paper import FORMATS as PAPER_FORMATS
from gpovae_core.plots.paper import WIDTHS
from gpovae_core.plots.theme import ON_DARK, described

FORMATS = {"png": "PNG", "svg": "SVG"}
NO_BUTTONS = ["lasso2d", "select2d", "autoScale2d"]
"""Buttons of plotly's bar that would only be in the way."""


_STAND_INS = {colour.lower(): getattr(stand_ins, f"CATEGORY_{place}") for place, colour in enumerate(ON_DARK)}
"""Colour of a figure -> the name under which the browser takes it from the theme, light or dark."""


def format_choice() -> None:
    """Which file the camera above a figure makes."""
    st.radio(
        "The camera of a figure saves",
        list(FORMATS),
        format_func=FORMATS.__getitem__,
        horizontal=True,
        help="The camera stands at the upper right of every figure, and shows when the mouse is over it.",
        **state.bound(state.FIGURE_FORMAT),
    )


def chart(figure: go.Figure, key: str, place: Any = st, **options: Any) -> Any:
    """A figure with its description for screen readers. place: a column or container; options: of
    st.plotly_chart.
    """
    drawn = place.plotly_chart(on_any_ground(figure), key=key, alt=described(figure), **options)
    for_a_paper(figure, key, place)
    return drawn


def chart_for_any_width(
    wide: go.Figure, narrow: go.Figure, key: str, place: Any = st, **options: Any
) -> None:
    """A figure that has another layout where the window is narrow: the browser shows one of the two (see
    `shell.STYLE`). What is taken along for a paper is the wide one.
    """
    chart(wide, key, place.container(key=f"{key}_if_wide"), **options)
    phone = place.container(key=f"{key}_if_narrow")
    phone.plotly_chart(on_any_ground(narrow), key=f"{key}_narrow", alt=described(narrow), **options)


def on_any_ground(figure: go.Figure) -> go.Figure:
    """The figure with the colours of plots/theme.py left to the browser, which knows whether the ground is
    light or dark, and changes them with it.
    """
    return go.Figure(_named(figure.to_plotly_json()))


def _named(part: Any, colours: bool = False) -> Any:
    """Part of a figure with stand-ins for its colours. colours: what is in it are colours, not words."""
    if isinstance(part, dict):
        return {key: _named(value, key == "colors" or key.endswith("color")) for key, value in part.items()}
    if isinstance(part, list | tuple):
        return [_named(value, colours) for value in part] if colours or _nested(part) else part
    return _STAND_INS.get(part.lower(), part) if colours and isinstance(part, str) else part


def _nested(part: list[Any] | tuple[Any, ...]) -> bool:
    """Whether a list holds parts of a figure, and not values."""
    return bool(part) and isinstance(part[0], dict)


def for_a_paper(figure: go.Figure, key: str, place: Any = st) -> None:
    """A way to take a chart along as PDF, SVG or PNG of an exact width; the file is made when it is asked
    for.
    """
    with place.popover("Figure for a paper", type="tertiary", key=f"{key}_paper"):
        width = st.segmented_control(
            "Width (mm)",
            WIDTHS,
            default=WIDTHS[0],
            required=True,
            key=f"{key}_mm",
            help="One column of a page, one and a half, two. Letters have more than 6 pt in each.",
        )
        form = st.segmented_control(
            "File",
            list(PAPER_FORMATS),
            default="pdf",
            required=True,
            format_func=str.upper,
            key=f"{key}_form",
        )
        said = described(figure)  # another chart in the same place brings its own caption
        caption = st.text_area("Caption", said, key=f"{key}_{crc32(said.encode())}", height=100)
        st.download_button(
            "Download",
            lambda: _paper(figure, str(form), float(width or WIDTHS[0]), str(caption)),
            file_name=f"{key}_{width}mm.{form}",
            mime=PAPER_FORMATS[str(form)],
            key=f"{key}_download",
            on_click="ignore",
        )


def _paper(figure: go.Figure, form: str, width: float, caption: str) -> bytes:
    from gpovae_core.plots.paper_chart import chart_bytes

    return chart_bytes(figure, form, width, caption)


def chart_with_words(
    figure: go.Figure, key: str, sentence: str, file: str, picked: Callable[[str], None] | None = None
) -> None:
    """A figure with a sentence that says what it shows, for those who cannot see it too.

    sentence: markdown, names escaped. file: name of the saved picture, without ending. picked: called with
    the gene of a clicked point (its `customdata`).
    """
    config = {
        "displaylogo": False,
        "modeBarButtonsToRemove": NO_BUTTONS,
        "toImageButtonOptions": {"format": state.get(state.FIGURE_FORMAT), "filename": file, "scale": 2},
        "scrollZoom": False,
    }
    if picked is None:
        chart(figure, key, config=config)
    else:

        def clicked() -> None:
            points = st.session_state[key].selection.points
            gene = next((point["customdata"] for point in points if point.get("customdata")), None)
            if gene is not None:
                picked(str(gene[0] if isinstance(gene, list) else gene))

        chart(figure, key, config=config, on_select=clicked, selection_mode="points")
    st.caption(sentence)


def download_table(table: pd.DataFrame, label: str, name: str, key: str) -> None:
    """A button for a table as CSV; names that a spreadsheet would take for a formula get an apostrophe in
    front.
    """

    def content() -> bytes:
        safe = table.copy()
        for column in safe.select_dtypes(object):
            safe[column] = no_formulas(safe[column])
        return safe.to_csv(index=False).encode()

    st.download_button(label, content, file_name=name, mime="text/csv", key=key, on_click="ignore")
