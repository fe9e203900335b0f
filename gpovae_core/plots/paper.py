"""Figures for a paper: PDF, SVG or PNG of an exact width in millimetres, with legend and caption, drawn by
matplotlib, without any browser.

A drawing is a list of strokes on a sheet of `width` x `height` units, y down: what the pen of the workbench
records (assets/network/pens.js), or what `paper_network` draws. A unit is UNIT points, so that letters of
LEAST_LETTER units, the smallest there are, have LEAST_POINTS points in print whatever the width: a narrower
figure holds fewer units, not smaller letters.

In PDF letters are embedded as TrueType, in SVG they are text: both can be edited. Names are never read as
formulas or markup.
"""

from __future__ import annotations

import io
import json
import re
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from gpovae_core.errors import QueryError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTHS = (85, 114, 174)
"""Millimetres: one column, one and a half, two columns of a page."""
FORMATS = {"pdf": "application/pdf", "svg": "image/svg+xml", "png": "image/png"}
DPI = 600
LEAST_POINTS, LEAST_LETTER = 6.0, 11.0
UNIT = LEAST_POINTS / LEAST_LETTER
"""Points of a unit of a drawing."""
MOST_STROKES, MOST_KEYS = 200_000, 12
NARROWEST, WIDEST = 40.0, 400.0
"""Millimetres."""
CAPTION = 6.5
"""Points of the letters of caption and legend."""
POINTS = 72 / 25.4
"""Points of a millimetre."""
FONT = "DejaVu Sans"
"""Comes with matplotlib, so that a figure is the same on every machine."""
INK, PAPER = "#1A1A1A", "#FFFFFF"
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}")


def units(millimetres: float) -> float:
    """Units across a drawing of this width."""
    return millimetres * POINTS / UNIT


@dataclass(frozen=True)
class Stroke:
    """kind: curve, path, circle, rect or text; points: (k, 2) as it needs them: start, control and end of a
    curve, the corners of a path, centre of a circle, upper left corner of a rectangle, place of a text; size:
    radius, (width, height), or height of the letters; fill, line: colours as #RRGGBB, "" for none.
    """

    kind: str
    points: tuple[tuple[float, float], ...]
    fill: str = ""
    line: str = ""
    width: float = 0.0
    alpha: float = 1.0
    size: tuple[float, ...] = ()
    dash: tuple[float, ...] = ()
    words: str = ""
    anchor: str = "start"
    bold: bool = False
    turn: float = 0.0
    halo: bool = False


@dataclass(frozen=True)
class Key:
    """An entry of a legend: words, colour, a mark of matplotlib, and whether a line is drawn."""

    words: str
    colour: str
    mark: str = ""
    lined: bool = True
    alpha: float = 1.0


@dataclass(frozen=True)
class Drawing:
    """Strokes on a sheet of width x height units, with what stands below it, and facts that travel inside the
    file.
    """

    width: float
    height: float
    strokes: tuple[Stroke, ...]
    legend: tuple[Key, ...] = ()
    caption: str = ""
    facts: Mapping[str, Any] | None = None


def drawing_bytes(drawing: Drawing, form: str, millimetres: float = WIDTHS[0]) -> bytes:
    """A file of a drawing of units(millimetres) across."""
    scale = UNIT * units(millimetres) / drawing.width

    def draw(axes: Axes) -> None:
        axes.set_xlim(0, drawing.width)
        axes.set_ylim(drawing.height, 0)
        axes.axis("off")
        for order, stroke in enumerate(drawing.strokes):
            _draw(axes, stroke, scale, order)

    height = drawing.height / drawing.width * millimetres
    return sheet_bytes(draw, form, millimetres, height, drawing.legend, drawing.caption, drawing.facts)


def sheet_bytes(
    draw: Callable[[Axes], None],
    form: str,
    millimetres: float,
    height: float,
    legend: Sequence[Key] = (),
    caption: str = "",
    facts: Mapping[str, Any] | None = None,
) -> bytes:
    """A file with one picture, `height` millimetres tall, its legend and its caption below it. draw: into
    axes that fill the width.

    Raises QueryError for a format or a width that cannot be made.
    """
    check(form, millimetres)
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    across = millimetres * POINTS
    lines = wrapped(caption, across)
    columns = max(1, int(across // 165))
    rows = -(-len(legend) // columns)
    letters = CAPTION * 1.35
    below = (rows + len(lines)) * letters + (4 if legend else 0) + (4 if lines else 0)
    tall = height * POINTS + below
    with rc_context(
        {"font.family": FONT, "pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "gpovae"}
    ):
        figure = Figure(figsize=(across / 72, tall / 72), facecolor=PAPER)
        FigureCanvasAgg(figure)
        draw(figure.add_axes((0.0, below / tall, 1.0, 1.0 - below / tall)))
        if legend:
            _legend(figure, legend, columns, (len(lines) * letters + (4 if lines else 0)) / tall)
        for k, line in enumerate(lines):
            y = (len(lines) - k) * letters - letters * 0.3
            figure.text(
                4 / across, y / tall, line, fontsize=CAPTION, color=INK, va="center", parse_math=False
            )
        out = io.BytesIO()
        figure.savefig(out, format=form, dpi=DPI, metadata=metadata(form, caption, facts))
    return out.getvalue()


def check(form: str, millimetres: float) -> None:
    """Raises QueryError for a format or a width that no figure has."""
    if form not in FORMATS:
        raise QueryError(f"A figure is written as {', '.join(FORMATS)}; got '{form}'.")
    if not NARROWEST <= millimetres <= WIDEST:
        raise QueryError(
            f"A figure is {NARROWEST:g} to {WIDEST:g} mm wide (a column of a page {WIDTHS[0]}, two "
            f"{WIDTHS[-1]}); got {millimetres:g}."
        )


def wrapped(caption: str, across: float) -> list[str]:
    """Lines of the caption: a letter of this font is some 0.6 of its height wide."""
    most = max(20, int((across - 8) / (CAPTION * 0.58)))
    return [line for part in caption.splitlines() for line in textwrap.wrap(part, most)]


def _legend(figure: Any, keys: Sequence[Key], columns: int, bottom: float) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D(
            [],
            [],
            color=key.colour,
            alpha=key.alpha,
            marker=key.mark or None,
            linestyle="-" if key.lined else "",
            markersize=4,
            linewidth=1.2,
            label=key.words,
        )
        for key in keys
    ]
    made = figure.legend(
        handles=handles,
        loc="lower left",
        bbox_to_anchor=(0.0, bottom),
        ncols=columns,
        fontsize=CAPTION,
        frameon=False,
        borderpad=0.1,
        borderaxespad=0.2,
        labelspacing=0.25,
        handlelength=2.0,
        columnspacing=1.0,
    )
    for words in made.get_texts():
        words.set_parse_math(False)
        words.set_color(INK)


def metadata(form: str, caption: str, facts: Mapping[str, Any] | None) -> dict[str, Any]:
    """What travels inside a file: caption, facts, and no date, so that the same figure is the same file."""
    said = json.dumps(facts or {}, ensure_ascii=False, default=str)
    if form == "pdf":
        return {"Title": caption[:200], "Subject": said, "Creator": "gpovae", "CreationDate": None}
    if form == "svg":
        return {"Title": caption[:200], "Description": said, "Creator": "gpovae", "Date": None}
    return {"Title": caption[:200], "Description": said, "Software": "gpovae"}


def _draw(axes: Axes, stroke: Stroke, scale: float, order: int) -> None:
    from matplotlib import patches
    from matplotlib.path import Path

    if stroke.kind == "text":
        _write(axes, stroke, scale, order)
        return
    look: dict[str, Any] = {
        "facecolor": stroke.fill or "none",
        "edgecolor": stroke.line or "none",
        "linewidth": stroke.width * scale if stroke.line else 0.0,
        "alpha": stroke.alpha,
        "zorder": order,
        "clip_on": False,
    }
    if stroke.dash:
        look["linestyle"] = (0, tuple(part * scale for part in stroke.dash))
    if stroke.kind == "circle":
        axes.add_patch(patches.Circle(stroke.points[0], stroke.size[0], **look))
    elif stroke.kind == "rect":
        axes.add_patch(patches.Rectangle(stroke.points[0], *stroke.size, **look))
    elif stroke.kind == "curve":
        codes = [Path.MOVETO, Path.CURVE3, Path.CURVE3]
        axes.add_patch(patches.PathPatch(Path(stroke.points, codes), capstyle="butt", **look))
    else:
        corners = [*stroke.points, *stroke.points[:1]] if stroke.fill else list(stroke.points)
        axes.add_patch(patches.PathPatch(Path(corners), **look))


def _write(axes: Axes, stroke: Stroke, scale: float, order: int) -> None:
    from matplotlib.patheffects import Stroke as Outline

    look: dict[str, Any] = {
        "fontsize": stroke.size[0] * scale,
        "fontweight": "bold" if stroke.bold else "normal",
        "ha": {"start": "left", "middle": "center", "end": "right"}.get(stroke.anchor, "left"),
        "va": "baseline",
        "rotation": -stroke.turn,
        "rotation_mode": "anchor",
        "alpha": stroke.alpha,
        "parse_math": False,
        "clip_on": False,
    }
    x, y = stroke.points[0]
    if stroke.halo:  # by itself below: an outline turns letters into shapes
        below = [Outline(linewidth=3 * scale, foreground=PAPER)]
        axes.text(x, y, stroke.words, color=PAPER, zorder=order, path_effects=below, **look)
    axes.text(x, y, stroke.words, color=stroke.fill or INK, zorder=order + 0.5, **look)


# What a browser sends ---------------------------------------------------------------------------------------


def read_strokes(given: object) -> tuple[Stroke, ...]:
    """Strokes as the pen of the workbench records them. Raises QueryError for anything else."""
    if not isinstance(given, list | tuple) or len(given) > MOST_STROKES:
        raise QueryError(f"A drawing is a list of at most {MOST_STROKES:,} strokes.")
    return tuple(_stroke(place, one) for place, one in enumerate(given))


def read_keys(given: object) -> tuple[Key, ...]:
    """Entries of a legend as the workbench sends them, [words, colour] each. Raises QueryError for anything
    else.
    """
    keys = []
    for one in _listed(given):
        parts = _listed(one)
        if len(parts) != 2 or not all(isinstance(part, str) for part in parts):
            raise QueryError("An entry of a legend has words and a colour.")
        words, colour = parts
        if not _COLOUR.fullmatch(colour) or len(keys) == MOST_KEYS:
            raise QueryError(f"A legend has at most {MOST_KEYS} entries, with colours as #RRGGBB.")
        keys.append(Key(words[:200], colour))
    return tuple(keys)


def _stroke(place: int, given: object) -> Stroke:
    def wrong() -> QueryError:
        return QueryError(f"Stroke {place} of the drawing is none that the picture's pen makes.")

    if not isinstance(given, Mapping) or given.get("kind") not in ("curve", "path", "circle", "rect", "text"):
        raise wrong()
    points, size, dash = (_listed(given.get(name)) for name in ("points", "size", "dash"))
    colours = [given.get(name) or "" for name in ("fill", "line")]
    numbers = [given.get(name, default) for name, default in (("width", 0), ("alpha", 1), ("turn", 0))]
    flat = [value for point in points for value in _listed(point)]
    if (
        not all(_number(value) for value in (*flat, *size, *dash, *numbers))
        or not all(len(_listed(point)) == 2 for point in points)
        or not all(
            colour == "" or (isinstance(colour, str) and _COLOUR.fullmatch(colour)) for colour in colours
        )
        or not isinstance(given.get("words", ""), str)
        or not 0 <= numbers[1] <= 1
    ):
        raise wrong()
    kind = str(given["kind"])
    least = {"curve": (3, 0), "path": (2, 0), "circle": (1, 1), "rect": (1, 2), "text": (1, 1)}[kind]
    if len(points) < least[0] or len(size) < least[1]:
        raise wrong()
    return Stroke(
        kind,
        tuple((float(x), float(y)) for x, y in points),
        fill=colours[0],
        line=colours[1],
        width=float(numbers[0]),
        alpha=float(numbers[1]),
        size=tuple(float(value) for value in size[: least[1]]),
        dash=tuple(float(value) for value in dash),
        words=str(given.get("words", ""))[:200],
        anchor=str(given.get("anchor", "start")),
        bold=given.get("bold") is True,
        turn=float(numbers[2]),
        halo=given.get("halo") is True,
    )


def _listed(value: object) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else []


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
