"""Where to put the names of points so that no name covers another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

CHARACTER_WIDTH, LINE_HEIGHT, GAP, RADIUS = 6.6, 13.0, 3.0, 3.0
"""Pixels, for plotly's font at size 11: a little more than measured, so that a wider fallback font still
fits.
"""


@dataclass(frozen=True)
class Label:
    """Point number, and the centre of its name relative to the point in pixels (right and down are
    positive).
    """

    point: int
    dx: float
    dy: float


def place_labels(
    x: np.ndarray, y: np.ndarray, names: Sequence[str], width: float, height: float
) -> list[Label]:
    """Positions for the names of the first points, first come first served: none overlaps another name, a
    point, or the border.

    x, y: (m,) pixels from the left and from the top of a plot of `width` x `height`; names: of the first
    len(names) of the m points. A name for which there is no free place near its point is left out: an
    unreadable heap helps nobody.
    """
    taken = np.column_stack([x - RADIUS, y - RADIUS, x + RADIUS, y + RADIUS])
    labels = []
    for i, name in enumerate(names):
        half = len(name) * CHARACTER_WIDTH / 2 + GAP
        for dx, dy in _candidates(half):
            box = np.array(
                [
                    x[i] + dx - half,
                    y[i] + dy - LINE_HEIGHT / 2 - 1,
                    x[i] + dx + half,
                    y[i] + dy + LINE_HEIGHT / 2 + 1,
                ]
            )
            inside = box[0] >= 0 and box[1] >= 0 and box[2] <= width and box[3] <= height
            if inside and not _overlaps(box, taken):
                taken = np.vstack([taken, box])
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


def _overlaps(box: np.ndarray, others: np.ndarray) -> bool:
    """Whether a box (left, top, right, bottom) shares any area with any of the boxes (k, 4)."""
    apart = (
        (others[:, 2] <= box[0])
        | (others[:, 0] >= box[2])
        | (others[:, 3] <= box[1])
        | (others[:, 1] >= box[3])
    )
    return not apart.all()
