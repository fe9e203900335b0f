"""Where to put the names of points so that no name covers another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CHARACTER_WIDTH, LINE_HEIGHT, GAP = 6.6, 13.0, 3.0
"""Pixels, for plotly's font at size 11: a little more than measured, so that a wider fallback font still fits."""


@dataclass(frozen=True)
class Label:
    """Point number, and the centre of its name relative to the point in pixels (right and down are positive)."""

    point: int
    dx: float
    dy: float


def place_labels(x: np.ndarray, y: np.ndarray, names: Sequence[str], width: float, height: float) -> list[Label]:
    """Positions for the names of points, first come first served: none overlaps another name, a point, or the border.

    x, y: (m,) pixels from the left and from the top of a plot of `width` x `height`. A name for which there is no free
    place near its point is left out: an unreadable heap helps nobody.
    """
    points = np.column_stack([x - 4, y - 4, x + 4, y + 4])
    taken: list[tuple[float, float, float, float]] = []
    labels = []
    for i, name in enumerate(names):
        half = len(name) * CHARACTER_WIDTH / 2 + GAP
        for dx, dy in _candidates(half):
            box = (x[i] + dx - half, y[i] + dy - LINE_HEIGHT / 2 - 1, x[i] + dx + half, y[i] + dy + LINE_HEIGHT / 2 + 1)
            inside = box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height
            if inside and not any(_overlap(box, other) for other in (*points, *taken)):
                taken.append(box)
                labels.append(Label(point=i, dx=float(dx), dy=float(dy)))
                break
    return labels


def _candidates(half: float) -> list[tuple[float, float]]:
    """Offsets to try: beside, above and below the point, then farther and farther out."""
    offsets = []
    for distance in (10.0, 18.0, 30.0, 44.0, 60.0):
        side = half + distance
        offsets += [(side, 0), (-side, 0), (0, -distance - 4), (0, distance + 4)]
        offsets += [(sx * side * 0.8, sy * distance) for sx in (1, -1) for sy in (-1, 1)]
    return offsets


def _overlap(a: Sequence[float], b: Sequence[float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
