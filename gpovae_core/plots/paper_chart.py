"""A chart of the pages as a figure for a paper: a plotly figure drawn again by matplotlib, so that no browser
is needed for a PDF.

Drawn are the traces that plots/ makes (lines, marks, error bars, bars, violins, heat maps), axes with their
titles, scales, ranges and ticks, lines across, notes, and the legend. What is only there for the mouse is
left out. Sizes of letters are set for print: a chart keeps its proportions, its letters do not shrink with
it.
"""

from __future__ import annotations

import html
import io
import re
import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gpovae_core.errors import QueryError
from gpovae_core.plots.paper import CAPTION, DPI, FONT, INK, PAPER, POINTS, WIDTHS, check, metadata, wrapped
from gpovae_core.plots.theme import shorten

if TYPE_CHECKING:
    import plotly.graph_objects as go

LETTER, LONGEST = 0.58, 24
"""Width of a letter over its height; letters of a word at a tick."""
LETTERS = 6.5
"""Points of all letters but those of the title."""
PIXEL = 0.45
"""Points of a pixel of the page: of marks and lines."""
_TAG = re.compile(r"<br\s*/?>|</?(?:b|i|sub|sup|span)\b[^>]*>")
MARKS = {
    "circle": "o",
    "circle-open": "o",
    "diamond": "D",
    "diamond-open": "D",
    "square": "s",
    "square-open": "s",
    "triangle-up": "^",
    "triangle-down": "v",
    "triangle-right": ">",
    "triangle-right-open": ">",
    "cross": "P",
    "x": "X",
    "star": "*",
    "line-ns": "|",
    "line-ns-open": "|",
    "line-ew": "_",
}
DASHES: dict[str, Any] = {
    "solid": "-",
    "dot": (0, (1, 2)),
    "dash": (0, (4, 2)),
    "longdash": (0, (7, 2)),
    "dashdot": (0, (4, 2, 1, 2)),
    "longdashdot": (0, (7, 2, 1, 2)),
}
KINDS = ("scatter", "scattergl", "bar", "violin", "heatmap")
"""Traces that are drawn."""
CYCLE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C8C8C")


def chart_bytes(
    figure: go.Figure, form: str, millimetres: float = WIDTHS[0], caption: str = "", title: bool = False
) -> bytes:
    """A file of a chart, so many millimetres wide. caption: below it; title: with the chart's own, which a
    paper says in the caption.

    Raises QueryError for a format or width that cannot be made, and for a trace that is not drawn here.
    """
    check(form, millimetres)
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = millimetres * POINTS
    lines = wrapped(caption, across)
    layout: Any = figure.layout
    tall = across * min(1.5, max(0.62, float(layout.height or 360) / 520))
    below = len(lines) * CAPTION * 1.35 + (6 if lines else 0)
    style: dict[Any, Any] = {
        "font.family": FONT,
        "font.size": LETTERS,
        "pdf.fonttype": 42,
        "svg.fonttype": "none",
        "svg.hashsalt": "gpovae",
        "axes.linewidth": 0.6,
        "axes.edgecolor": INK,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with rc_context(style):
        sheet = Figure(figsize=(across / 72, (tall + below) / 72), facecolor=PAPER, layout="constrained")
        FigureCanvasAgg(sheet)
        page: Any = sheet
        if lines:
            parts: Any = sheet.subfigures(2, 1, height_ratios=[tall, below])
            page, under = parts
            for k, line in enumerate(lines):
                y = (len(lines) - k - 0.3) * CAPTION * 1.35 / below
                under.text(4 / across, y, line, fontsize=CAPTION, color=INK, va="center", parse_math=False)
        if title and layout.title.text:
            page.suptitle(plain(layout.title.text), fontsize=LETTERS + 1, x=0.02, ha="left", parse_math=False)
        _draw(page, figure, across)
        out = io.BytesIO()
        sheet.savefig(
            out, format=form, dpi=DPI, metadata=metadata(form, caption or plain(layout.title.text), None)
        )
    return out.getvalue()


def plain(words: object) -> str:
    """Text of plotly without its markup."""
    return html.unescape(_TAG.sub(lambda tag: "\n" if tag[0].startswith("<br") else "", str(words or "")))


def _draw(page: Any, figure: go.Figure, across: float) -> None:
    layout: Any = figure.layout
    given: Any = figure.data
    traces: Any = [trace for trace in given if trace.visible in (None, True)]
    for trace in traces:
        if trace.type not in KINDS:
            raise QueryError(f"A chart with a trace of the kind '{trace.type}' cannot be drawn for a paper.")
    places = list(dict.fromkeys((trace.xaxis or "x", trace.yaxis or "y") for trace in traces)) or [("x", "y")]
    grid = _grid(layout, places)
    rows, columns = 1 + max(row for row, _ in grid), 1 + max(column for _, column in grid)
    axes: dict[tuple[str, str], Any] = {}
    made: dict[tuple[int, int], Any] = {}
    for place, cell in zip(places, grid, strict=True):
        if cell not in made:
            made[cell] = page.add_subplot(rows, columns, cell[0] * columns + cell[1] + 1)
        axes[place] = made[cell]
    groups = _categories(traces)
    for place, ax in axes.items():
        own = [trace for trace in traces if (trace.xaxis or "x", trace.yaxis or "y") == place]
        _traces(ax, own, layout, groups, place == places[-1])
        _axis(ax, layout, "x", place[0], groups, across / columns)
        _axis(ax, layout, "y", place[1], groups, across / columns)
    _shapes(axes, layout)
    _notes(page, axes, layout)
    _legend(page, traces, layout, across)


def _grid(layout: Any, places: Sequence[tuple[str, str]]) -> list[tuple[int, int]]:
    """Row and column of every pair of axes, by where plotly puts them."""

    def start(name: str, which: str) -> float:
        axis = _axis_of(layout, which, name)
        domain = axis.domain if axis is not None else None
        return round(float(domain[0]), 3) if domain else 0.0

    across = sorted({start(x, "x") for x, _ in places})
    up = sorted({start(y, "y") for _, y in places}, reverse=True)
    return [(up.index(start(y, "y")), across.index(start(x, "x"))) for x, y in places]


def _axis_of(layout: Any, which: str, name: str) -> Any:
    return layout[f"{which}axis{name[1:]}"]


def _categories(traces: Sequence[Any]) -> dict[tuple[str, str], dict[str, int]]:
    """(axis, its name) -> category -> place, for axes whose values are words."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for trace in traces:
        for which in ("x", "y"):
            values = getattr(trace, which, None)
            if values is None:
                continue
            words = [value for value in np.asarray(values, dtype=object).ravel() if isinstance(value, str)]
            known = found.setdefault((which, getattr(trace, f"{which}axis", None) or which), {})
            for word in words:
                known.setdefault(word, len(known))
    return {key: known for key, known in found.items() if known}


def _values(trace: Any, which: str, groups: Mapping[tuple[str, str], dict[str, int]]) -> np.ndarray:
    given = getattr(trace, which, None)
    values = np.asarray([] if given is None else given, dtype=object).ravel()
    known = groups.get((which, getattr(trace, f"{which}axis", None) or which))
    if known is None:
        return np.array([np.nan if value is None else float(value) for value in values])
    return np.array([known[value] if isinstance(value, str) else np.nan for value in values], dtype=float)


# Traces -----------------------------------------------------------------------------------------------------


def _traces(
    ax: Any, traces: Sequence[Any], layout: Any, groups: Mapping[Any, dict[str, int]], last: bool
) -> None:
    """last: these are the axes beside which a scale of colours stands."""
    bars = [trace for trace in traces if trace.type == "bar"]
    stack: dict[Any, float] = {}
    before = None
    for order, trace in enumerate(traces):
        if trace.type in ("scatter", "scattergl"):
            before = _scatter(ax, trace, order, groups, before)
        elif trace.type == "bar":
            _bar(ax, trace, bars, layout, groups, stack)
        elif trace.type == "violin":
            _violin(ax, trace, groups)
        else:
            _heatmap(ax, trace, groups, last)


def _colour(colour: Any, order: int = 0) -> tuple[Any, float]:
    """Colour for matplotlib, and its opacity."""
    if not isinstance(colour, str):
        return CYCLE[order % len(CYCLE)], 1.0
    found = re.fullmatch(r"rgba?\(([^)]*)\)", colour.replace(" ", ""))
    if found is None:
        return colour, 1.0
    parts = [float(part) for part in found[1].split(",")]
    return tuple(part / 255 for part in parts[:3]), parts[3] if len(parts) > 3 else 1.0


def _scatter(ax: Any, trace: Any, order: int, groups: Mapping[Any, dict[str, int]], before: Any) -> Any:
    x, y = (_values(trace, which, groups) for which in ("x", "y"))
    mode = trace.mode or ("lines+markers" if len(x) < 20 else "lines")
    shown = float(trace.opacity if trace.opacity is not None else 1.0)
    line, alpha = _colour(trace.line.color or trace.marker.color, order)
    if trace.fill in ("tonexty", "tozeroy", "toself") and trace.fillcolor is not None:
        fill, faint = _colour(trace.fillcolor)
        if trace.fill == "toself":
            ax.fill(x, y, color=fill, alpha=faint, linewidth=0)
        elif trace.fill == "tozeroy" or before is None:
            ax.fill_between(x, 0, y, color=fill, alpha=faint, linewidth=0)
        else:
            ax.fill_between(x, before[1], y, color=fill, alpha=faint, linewidth=0)
    width = trace.line.width if trace.line.width is not None else 2
    if "lines" in mode and width:
        look = {
            "color": line,
            "alpha": alpha * shown,
            "linestyle": DASHES.get(trace.line.dash or "solid", "-"),
        }
        shape = {"hv": "steps-post", "vh": "steps-pre", "hvh": "steps-mid"}.get(trace.line.shape, "default")
        ax.plot(x, y, linewidth=max(0.5, width * PIXEL), drawstyle=shape, zorder=2, **look)
    for which, error in (("x", trace.error_x), ("y", trace.error_y)):
        if error.array is not None:
            high = np.abs(np.asarray(error.array, dtype=float))
            low = high if error.arrayminus is None else np.abs(np.asarray(error.arrayminus, dtype=float))
            stem, _ = _colour(error.color or trace.marker.color or trace.line.color, order)
            bar = {f"{which}err": np.nan_to_num(np.vstack([low, high]))}
            ax.errorbar(
                x, y, fmt="none", ecolor=stem, elinewidth=0.8, capsize=1.2, capthick=0.6, zorder=2, **bar
            )
    if "markers" in mode:
        _marks(ax, x, y, trace, order, shown)
    if "text" in mode and trace.text is not None:
        words = [trace.text] * len(x) if isinstance(trace.text, str) else list(trace.text)
        for at, up, word in zip(x, y, words, strict=False):
            if word and np.isfinite(at) and np.isfinite(up):
                ax.annotate(
                    plain(word), (at, up), (0, 3), textcoords="offset points", ha="center", parse_math=False
                )
    return x, y


def _marks(ax: Any, x: np.ndarray, y: np.ndarray, trace: Any, order: int, shown: float) -> None:
    marker = trace.marker
    symbols = marker.symbol if isinstance(marker.symbol, tuple | list | np.ndarray) else None
    symbol = str(marker.symbol or "circle") if symbols is None else "circle"
    size = np.asarray(marker.size if marker.size is not None else 6, dtype=float)
    opacity = marker.opacity if isinstance(marker.opacity, int | float) else 1.0
    colours = marker.color
    if isinstance(colours, tuple | list | np.ndarray) and len(colours) and not isinstance(colours[0], str):
        ax.scatter(
            x,
            y,
            s=(size * PIXEL * 1.1) ** 2,
            c=np.asarray(colours, dtype=float),
            cmap="viridis",
            linewidths=0,
        )
        return
    if isinstance(colours, tuple | list | np.ndarray):
        several: Any = [_colour(one)[0] for one in colours]
    else:
        several, faint = _colour(colours or trace.line.color, order)
        opacity = opacity * faint
    hollow = symbol.endswith("-open")
    for name, kept in _by_symbol(symbols, len(x)):
        mark = MARKS.get(str(name or symbol), "o")
        pick = several if not isinstance(several, list) else [several[k] for k in np.flatnonzero(kept)]
        ax.scatter(
            x[kept],
            y[kept],
            s=((size if size.ndim == 0 else size[kept]) * PIXEL * 1.1) ** 2,
            marker=mark,
            facecolors="none" if hollow and mark not in "|_" else pick,
            edgecolors=pick if hollow or mark in "|_" else "none",
            linewidths=0.9 if hollow or mark in "|_" else 0,
            alpha=opacity * shown,
            zorder=3,
        )


def _by_symbol(symbols: Any, count: int) -> list[tuple[str | None, np.ndarray]]:
    if symbols is None:
        return [(None, np.ones(count, dtype=bool))]
    given = np.asarray([str(one) for one in symbols], dtype=object)
    return [(name, given == name) for name in dict.fromkeys(given)]


def _bar(
    ax: Any,
    trace: Any,
    bars: Sequence[Any],
    layout: Any,
    groups: Mapping[Any, dict[str, int]],
    stack: dict[Any, float],
) -> None:
    lying = trace.orientation == "h"
    at, length = (_values(trace, which, groups) for which in (("y", "x") if lying else ("x", "y")))
    colours = trace.marker.color
    several = isinstance(colours, tuple | list | np.ndarray)
    paint = [_colour(one)[0] for one in colours] if several else _colour(colours, list(bars).index(trace))[0]
    kind = layout.barmode or "group"
    gaps = np.diff(np.unique(at[np.isfinite(at)]))
    room = float(gaps.min()) if len(gaps) else 1.0
    thick, shift, start = 0.75 * room, 0.0, np.zeros(len(at))
    if kind == "group" and len(bars) > 1:
        thick = 0.8 * room / len(bars)
        shift = (list(bars).index(trace) - (len(bars) - 1) / 2) * thick
    elif kind in ("stack", "relative"):
        for k, (place, value) in enumerate(zip(at, length, strict=True)):
            side = (float(place), bool(value < 0))
            start[k] = stack.get(side, 0.0)
            stack[side] = start[k] + (0.0 if np.isnan(value) else value)
    if trace.base is not None:
        start = np.broadcast_to(np.asarray(trace.base, dtype=float), at.shape)
    opacity = trace.opacity if trace.opacity is not None else 1.0
    look = {"color": paint, "alpha": opacity, "edgecolor": PAPER, "linewidth": 0.3, "zorder": 2}
    (ax.barh if lying else ax.bar)(at + shift, length, thick, start, **look)
    for place, begin, value, word in zip(at + shift, start, length, _each(trace.text, len(at)), strict=False):
        if trace.textposition != "none" and word and np.isfinite(value):
            x, y = (begin + value / 2, place) if lying else (place, begin + value / 2)
            said = {"ha": "center", "va": "center", "fontsize": LETTERS - 0.5, "parse_math": False}
            ax.text(x, y, plain(word), color=_ink_on(paint), clip_on=True, zorder=4, **said)
    for which, error in (("x", trace.error_x), ("y", trace.error_y)):
        if error.array is not None:
            x, y = (start + length, at + shift) if lying else (at + shift, start + length)
            reach = {f"{which}err": np.nan_to_num(np.asarray(error.array, dtype=float))}
            ax.errorbar(x, y, fmt="none", ecolor=INK, elinewidth=0.7, capsize=1.2, zorder=3, **reach)


def _each(given: Any, count: int) -> list[Any]:
    return [given] * count if given is None or isinstance(given, str) else list(given)


def _ink_on(paint: Any) -> str:
    """Black or white, whichever is read on a colour."""
    from matplotlib.colors import to_rgb

    if isinstance(paint, list):
        return INK
    r, g, b = to_rgb(paint)
    return PAPER if 0.3 * r + 0.59 * g + 0.11 * b < 0.5 else INK


def _violin(ax: Any, trace: Any, groups: Mapping[Any, dict[str, int]]) -> None:
    lying = trace.orientation == "h"
    value, group = ("x", "y") if lying else ("y", "x")
    values, where = (_values(trace, which, groups) for which in (value, group))
    colour, _ = _colour(trace.line.color or trace.fillcolor)
    for place in np.unique(where[np.isfinite(where)]) if len(where) else [0.0]:
        own = values[where == place] if len(where) else values
        own = own[np.isfinite(own)]
        if len(own) < 2 or own.std() == 0:
            continue
        drawn = ax.violinplot(
            [own], [place], orientation="horizontal" if lying else "vertical", showextrema=False
        )
        for body in drawn["bodies"]:
            body.set(facecolor=colour, alpha=0.45, edgecolor=colour, linewidth=0.6)
        mean = own.mean()
        line = ([mean, mean], [place - 0.2, place + 0.2])
        ax.plot(*(line if lying else line[::-1]), color=INK, linewidth=0.8)


def _heatmap(ax: Any, trace: Any, groups: Mapping[Any, dict[str, int]], last: bool) -> None:
    z = np.array([[np.nan if value is None else float(value) for value in row] for row in trace.z])
    x = _values(trace, "x", groups) if trace.x is not None else np.arange(z.shape[1])
    y = _values(trace, "y", groups) if trace.y is not None else np.arange(z.shape[0])
    signed = trace.zmid is not None or (np.nanmin(z) < 0 < np.nanmax(z))
    reach = float(np.nanmax(np.abs(z))) or 1.0
    low, high = (-reach, reach) if signed else (float(np.nanmin(z)), float(np.nanmax(z)))
    low = float(trace.zmin) if trace.zmin is not None else low
    high = float(trace.zmax) if trace.zmax is not None else high
    from matplotlib.colors import LinearSegmentedColormap

    ends = ("#C34E00", PAPER, "#0072B2") if signed else (PAPER, "#0072B2")
    if trace.colorscale:
        steps = [(float(at), _colour(colour)[0]) for at, colour in trace.colorscale]
        shades = LinearSegmentedColormap.from_list("given", steps)
    else:
        shades = LinearSegmentedColormap.from_list("signed", ends)
    mesh = ax.pcolormesh(
        x, y, z, cmap=shades, vmin=low, vmax=high, shading="nearest", rasterized=z.size > 10_000
    )
    if trace.showscale is not False and last:
        bar = ax.figure.colorbar(mesh, ax=ax, shrink=0.7, pad=0.02)
        bar.outline.set_linewidth(0.4)
        bar.set_label(plain(trace.colorbar.title.text), parse_math=False)


# What stands around the traces ------------------------------------------------------------------------------


def _axis(
    ax: Any, layout: Any, which: str, name: str, groups: Mapping[Any, dict[str, int]], room: float
) -> None:
    """room: points that a part has across."""
    axis = _axis_of(layout, which, name)
    own = ax.xaxis if which == "x" else ax.yaxis
    if axis is None:
        return
    if axis.visible is False:
        own.set_visible(False)
        ax.spines["bottom" if which == "x" else "left"].set_visible(False)
        return
    known = groups.get((which, name))
    scaled = axis.type == "log"
    if scaled:
        (ax.set_xscale if which == "x" else ax.set_yscale)("log")
    if axis.title.text:
        most = max(16, int(room * (0.8 if which == "x" else 0.5) / (LETTERS * LETTER)))
        own.set_label_text("\n".join(textwrap.wrap(plain(axis.title.text), most)), parse_math=False)
    words: dict[float, str] = {}
    if axis.tickvals is not None:
        given = axis.ticktext if axis.ticktext is not None else [f"{value:g}" for value in axis.tickvals]
        words = {float(at): plain(word) for at, word in zip(axis.tickvals, given, strict=False)}
    elif known:
        words = {float(at): plain(word) for word, at in known.items()}
    elif scaled:
        own.set_major_formatter(lambda value, _: f"{value:g}")
    if words:
        _words_at(own, which, words, room)
    if axis.showticklabels is False:
        own.set_tick_params(labelleft=False, labelbottom=False)
    for label in own.get_ticklabels():
        label.set_parse_math(False)
    limits = axis.range
    if limits is not None and None not in limits and not known:
        ends = [10.0 ** float(end) if scaled else float(end) for end in limits]
        (ax.set_xlim if which == "x" else ax.set_ylim)(*ends)
    elif axis.autorange == "reversed":
        (ax.invert_xaxis if which == "x" else ax.invert_yaxis)()
    if axis.zeroline:
        (ax.axvline if which == "x" else ax.axhline)(0, color="#9AA0A8", linewidth=0.6, zorder=0)
    own.set_tick_params(width=0.5, length=2.5, pad=2)


def _words_at(own: Any, which: str, words: Mapping[float, str], room: float) -> None:
    """Ticks with words, as many as have a line each, turned where they would run into one another."""
    short = {at: "\n".join(shorten(line, LONGEST) for line in word.split("\n")) for at, word in words.items()}
    most = int(room / (LETTERS * 1.3))
    kept = sorted(short)[:: -(-len(short) // max(most, 1))]
    own.set_ticks(kept, [short[at] for at in kept])
    longest = max(len(line) for word in short.values() for line in word.split("\n"))
    if which == "x" and len(kept) * longest * LETTERS * LETTER > 0.8 * room:
        for label in own.get_ticklabels():
            label.set(rotation=45 if longest > 4 else 0, ha="right", rotation_mode="anchor")


def _target(axes: Mapping[tuple[str, str], Any], x: str, y: str) -> Any:
    x, y = x.split(" ")[0], y.split(" ")[0]
    for (own_x, own_y), ax in axes.items():
        if (x in ("paper", own_x)) and (y in ("paper", own_y)):
            return ax
    return next(iter(axes.values()))


def _shapes(axes: Mapping[tuple[str, str], Any], layout: Any) -> None:
    """Lines across the whole of an axis, and between two points."""
    for shape in layout.shapes:
        if shape.type != "line":
            continue
        ax = _target(axes, shape.xref or "x", shape.yref or "y")
        colour, alpha = _colour(shape.line.color or INK)
        look = {
            "color": colour,
            "alpha": alpha * (shape.opacity if shape.opacity is not None else 1.0),
            "linewidth": max(0.5, (shape.line.width or 2) * PIXEL),
            "linestyle": DASHES.get(shape.line.dash or "solid", "-"),
            "zorder": 1,
        }
        if "domain" in (shape.yref or "") or shape.yref == "paper":
            ax.axvline(shape.x0, **look)
        elif "domain" in (shape.xref or "") or shape.xref == "paper":
            ax.axhline(shape.y0, **look)
        else:
            ax.plot([shape.x0, shape.x1], [shape.y0, shape.y1], **look)


def _notes(page: Any, axes: Mapping[tuple[str, str], Any], layout: Any) -> None:
    """Names beside points, titles of parts, and what an empty chart says."""
    for note in layout.annotations:
        words = plain(note.text)
        if not words or note.visible is False:
            continue
        xref, yref = note.xref or "x", note.yref or "y"
        ax = _target(axes, xref, yref)
        if xref == "paper" and yref == "paper":
            _on_paper(ax if len(axes) == 1 else _nearest(axes, layout, note), words)
            continue
        x = _place(ax, note.x, "x", xref)
        y = _place(ax, note.y, "y", yref)
        from matplotlib.transforms import blended_transform_factory as blend

        across = ax.transData if " " not in xref and xref != "paper" else ax.transAxes
        up = ax.transData if " " not in yref and yref != "paper" else ax.transAxes
        offset = (0.0, 0.0)
        if note.showarrow is not False:
            offset = (float(note.ax or 0) * PIXEL, -float(note.ay if note.ay is not None else -10) * PIXEL)
        drawn = ax.annotate(
            words,
            (x, y),
            offset,
            xycoords=blend(across, up),
            textcoords="offset points",
            ha={"left": "left", "right": "right"}.get(note.xanchor or "", "center"),
            va={"top": "top", "bottom": "bottom"}.get(note.yanchor or "", "center"),
            parse_math=False,
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": "#8C8C8C"} if any(offset) else None,
        )
        drawn.set_in_layout(False)


def _place(ax: Any, value: Any, which: str, ref: str) -> float:
    scaled = (ax.get_xscale() if which == "x" else ax.get_yscale()) == "log"
    return 10.0 ** float(value) if scaled and ref != "paper" and " " not in ref else float(value)


def _nearest(axes: Mapping[tuple[str, str], Any], layout: Any, note: Any) -> Any:
    """The part under a title that stands on the paper."""

    def far(place: tuple[str, str]) -> float:
        across, up = (_axis_of(layout, which, name).domain for which, name in zip("xy", place, strict=True))
        middle = sum(across) / 2 if across else 0.5
        return abs(middle - float(note.x)) + abs((up[1] if up else 1.0) - float(note.y))

    return axes[min(axes, key=far)]


def _on_paper(ax: Any, words: str) -> None:
    if ax.has_data():
        ax.set_title(words, fontsize=LETTERS, parse_math=False)
    else:
        ax.text(
            0.5, 0.5, words, ha="center", va="center", transform=ax.transAxes, parse_math=False, wrap=True
        )


def _legend(page: Any, traces: Sequence[Any], layout: Any, across: float) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if layout.showlegend is False:
        return
    handles: dict[str, Any] = {}
    for order, trace in enumerate(traces):
        if trace.showlegend is False or not trace.name or trace.type == "heatmap":
            continue
        words = plain(trace.name)
        if trace.type in ("bar", "violin"):
            several = isinstance(trace.marker.color, tuple | list | np.ndarray)
            handles.setdefault(words, Patch(color=_colour(None if several else trace.marker.color, order)[0]))
            continue
        mode = trace.mode or "lines"
        colour, _ = _colour(trace.line.color or trace.marker.color, order)
        marks = trace.marker.color
        colour = _colour(marks, order)[0] if "markers" in mode and isinstance(marks, str) else colour
        symbol = trace.marker.symbol if isinstance(trace.marker.symbol, str) else "circle"
        if trace.fill and not (trace.line.width or 0):
            handles.setdefault(
                words, Patch(color=_colour(trace.fillcolor)[0], alpha=_colour(trace.fillcolor)[1])
            )
            continue
        handles.setdefault(
            words,
            Line2D(
                [],
                [],
                color=colour,
                linewidth=1.0,
                linestyle=DASHES.get(trace.line.dash or "solid", "-") if "lines" in mode else "",
                marker=MARKS.get(symbol, "o") if "markers" in mode else None,
                markerfacecolor="none" if symbol.endswith("-open") else colour,
                markersize=3.5,
            ),
        )
    if len(handles) < 2 and layout.showlegend is not True:
        return
    longest = max((len(words) for words in handles), default=1)
    columns = max(1, min(len(handles), int(across / (longest * LETTERS * 0.6 + 26))))
    made = page.legend(
        list(handles.values()),
        list(handles),
        loc="outside lower left",
        ncols=columns,
        frameon=False,
        fontsize=LETTERS,
        handlelength=1.8,
        columnspacing=1.0,
        labelspacing=0.25,
    )
    for words in made.get_texts():
        words.set_parse_math(False)
