"""Which cells bear which label."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def cells_of(labels: np.ndarray, names: Sequence[str], kept: np.ndarray | None = None) -> list[np.ndarray]:
    """Places of the cells that bear each of `names`, rising; of those `kept` ((cells,) bool), all where None.

    One pass over the labels (cells,): to compare them all with every name takes seconds each time where there
    are hundreds of perturbations.
    """
    import pandas as pd

    rows = np.arange(len(labels)) if kept is None else np.flatnonzero(kept)
    codes, seen = pd.factorize(labels[rows])
    order = np.argsort(codes, kind="stable")
    places = np.split(rows[order], np.searchsorted(codes[order], np.arange(1, len(seen))))
    found = dict(zip(seen.tolist(), places, strict=False))
    return [found.get(name, np.zeros(0, dtype=np.intp)) for name in names]
