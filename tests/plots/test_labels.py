"""Placed names cover neither one another, nor points, nor the border."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from gpovae_core.plots.labels import CHARACTER_WIDTH, LINE_HEIGHT, place_labels

WIDTH, HEIGHT = 400.0, 300.0
points = st.lists(st.tuples(st.floats(0, WIDTH), st.floats(0, HEIGHT)), min_size=1, max_size=40)


def boxes(x: np.ndarray, y: np.ndarray, names: list[str]) -> list[tuple[float, float, float, float]]:
    """Left, top, right, bottom of the text itself, without the padding the placement adds."""
    found = []
    for label in place_labels(x, y, names, WIDTH, HEIGHT):
        half = len(names[label.point]) * CHARACTER_WIDTH / 2
        cx, cy = x[label.point] + label.dx, y[label.point] + label.dy
        found.append((cx - half, cy - LINE_HEIGHT / 2, cx + half, cy + LINE_HEIGHT / 2))
    return found


@settings(max_examples=60)
@given(points, st.integers(1, 12))
def test_no_overlap(where: list[tuple[float, float]], length: int) -> None:
    x, y = np.array(where).T
    placed = boxes(x, y, ["X" * length] * len(where))
    for i, a in enumerate(placed):
        assert min(a) >= 0
        assert a[2] <= WIDTH
        assert a[3] <= HEIGHT
        assert not any((a[0] < px < a[2]) and (a[1] < py < a[3]) for px, py in where)
        for b in placed[i + 1 :]:
            assert a[2] <= b[0] or b[2] <= a[0] or a[3] <= b[1] or b[3] <= a[1]


def test_a_lone_point_gets_its_name_beside_it() -> None:
    (label,) = place_labels(np.array([200.0]), np.array([150.0]), ["STAT1"], WIDTH, HEIGHT)
    assert (label.point, label.dy) == (0, 0.0)
    assert 0 < label.dx < 40


def test_twenty_spread_points_are_all_named() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.uniform(40, 360, 20), np.linspace(15, 285, 20)
    assert len(place_labels(x, y, ["GENE12"] * 20, WIDTH, HEIGHT)) == 20
