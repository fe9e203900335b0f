"""Which cells train, which stop the training, and which nobody has seen."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gpovae_core import keys
from gpovae_core.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

    from gpovae_core.config import DataSettings


def split_cells(labels: pd.Series, settings: DataSettings) -> pd.Series:
    """Cell id -> TRAIN, VALIDATION, TEST or UNSEEN; shares of settings.train_fraction and validation_fraction
    in every perturbation.

    labels: cell id -> canonical label. Drawn per perturbation over the sorted ids, so neither the order of
    the file nor the other perturbations matter. Cells of `settings.unseen` are UNSEEN, all of them (section 4
    of the method: they must not train, stop the training, or stand in as controls). Raises SettingsError for
    an unknown perturbation there.
    """
    import pandas as pd

    names = labels.to_numpy(dtype=object)
    ids = np.asarray(labels.index.astype(str))
    unseen = unseen_perturbations(settings.unseen, sorted(set(names)))
    result = np.full(len(names), keys.UNSEEN, dtype=object)
    for name in sorted(set(names) - unseen):
        rows = np.flatnonzero(names == name)
        rows = rows[np.argsort(ids[rows], kind="stable")]
        shuffled = np.random.default_rng([settings.seed, zlib.crc32(name.encode())]).permutation(rows)
        train, validation = split_sizes(len(rows), settings.train_fraction, settings.validation_fraction)
        result[shuffled[:train]] = keys.TRAIN
        result[shuffled[train : train + validation]] = keys.VALIDATION
        result[shuffled[train + validation :]] = keys.TEST
    return pd.Series(result, index=labels.index, name=keys.SPLIT)


def split_sizes(n: int, train: float, validation: float) -> tuple[int, int]:
    """Cells for training and validation out of n; the rest is for the test, and each of the three gets at
    least one.

    Raises ValueError for n < 3.
    """
    if n < 3:
        raise ValueError(f"a perturbation needs at least 3 cells to be split, got {n}")
    first = min(max(round(train * n), 1), n - 2)
    second = min(max(round(validation * n), 1), n - first - 1)
    return first, second


def unseen_perturbations(wanted: Sequence[str], known: Sequence[str]) -> set[str]:
    """The canonical labels of `wanted` ('B+A' is 'A+B'). Raises SettingsError where one is unknown or too few
    stay to train on.
    """
    perturbations = set(known) - {keys.CONTROL}
    canonical = {
        name: keys.PAIR_SEPARATOR.join(sorted(part.strip() for part in name.split(keys.PAIR_SEPARATOR)))
        for name in wanted
    }
    unknown = sorted(name for name, label in canonical.items() if label not in perturbations)
    if unknown:
        raise SettingsError(_unknown_message(unknown, sorted(perturbations)))
    chosen = set(canonical.values())
    if chosen and len(perturbations - chosen) < 2:
        left = len(perturbations - chosen)
        raise SettingsError(
            f"unseen holds out {len(chosen)} of {len(perturbations)} perturbations; {left} to train on, at "
            "least 2 needed."
        )
    return chosen


def _unknown_message(unknown: list[str], known: list[str]) -> str:
    from difflib import get_close_matches

    folds = {name.casefold(): name for name in known}
    near = [
        folds[match] for name in unknown for match in get_close_matches(name.casefold(), list(folds), n=2)
    ]
    advice = (
        f"Did you mean {', '.join(near)}?"
        if near
        else f"Perturbations are {', '.join(known[:8])}{', ...' if len(known) > 8 else ''}."
    )
    return (
        f"unseen names {', '.join(repr(name) for name in unknown)}, which no kept cell is labelled with. "
        f"{advice}"
    )
