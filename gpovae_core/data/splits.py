"""Which cells train, which stop the training, and which nobody has seen.

Held out are cells drawn at random, or whole guides, donors or batches: what other cells of the same guide
show is easier to foresee than what another guide of the same gene does.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from gpovae_core import keys
from gpovae_core.data.labelled import cells_of
from gpovae_core.errors import SettingsError

if TYPE_CHECKING:
    import pandas as pd

    from gpovae_core.config import DataSettings
    from gpovae_core.data.design.find import Design

HELD_OUT_BY = {"guides": keys.GUIDE, "donors": keys.DONOR, "batches": keys.BATCH}
"""Value of settings.hold_out -> the part of the design whose values are held out as a whole."""

FEWEST_IN_GROUP = 5
"""Cells of a perturbation that a guide, donor or batch needs to be learned from, or to be held out."""


def split_cells(labels: pd.Series, settings: DataSettings, design: Design | None = None) -> pd.Series:
    """Cell id -> TRAIN, VALIDATION, TEST or UNSEEN; shares of settings.train_fraction and validation_fraction
    in every perturbation.

    labels: cell id -> canonical label. Drawn per perturbation over the sorted ids, so neither the order of
    the file nor the other perturbations matter. Cells of `settings.unseen` are UNSEEN, all of them (section 4
    of the method: they must not train, stop the training, or stand in as controls).

    settings.hold_out: with "guides" the test cells of a perturbation are those of some of its guides, nearest
    to the share that is left for the test, and its other guides are learned from; controls are split cell by
    cell. With "donors" or "batches" the same donors or batches are held out of all perturbations, controls
    included. Where a perturbation does not have both kinds, it is split cell by cell (`split_by_cells`), and
    so, beside it, are controls. Raises SettingsError for an unknown perturbation in `unseen`, where the
    design holds no such column, or where nothing can be held out.
    """
    import pandas as pd

    names = labels.to_numpy(dtype=object)
    ids = np.asarray(labels.index.astype(str))
    unseen = unseen_perturbations(settings.unseen, sorted(set(names)))
    test = _in_held_out_groups(names, sorted(set(names) - unseen), settings, design)
    here = _cells(names)
    whole = {name for name, rows in here.items() if int(test[rows].sum()) >= FEWEST_IN_GROUP}
    if set(names) - unseen - {keys.CONTROL} - whole:
        whole -= {keys.CONTROL}  # what is split cell by cell needs such controls too
    result = np.full(len(names), keys.UNSEEN, dtype=object)
    for name in sorted(set(names) - unseen):
        rows = here[name]
        rows = rows[np.argsort(ids[rows], kind="stable")]
        shuffled = np.random.default_rng([settings.seed, zlib.crc32(name.encode())]).permutation(rows)
        result[shuffled] = keys.TEST
        kept = shuffled[~test[shuffled]]
        train, validation = split_sizes(len(kept), settings.train_fraction, settings.validation_fraction)
        if name in whole:  # the held-out groups are the test, all other cells are learned from
            share = settings.train_fraction / (settings.train_fraction + settings.validation_fraction)
            train = min(max(round(share * len(kept)), 1), len(kept) - 1)
            validation = len(kept) - train
        result[kept[:train]] = keys.TRAIN
        result[kept[train : train + validation]] = keys.VALIDATION
    return pd.Series(result, index=labels.index, name=keys.SPLIT)


def split_by_cells(
    labels: pd.Series, splits: pd.Series, settings: DataSettings, design: Design
) -> tuple[str, ...]:
    """Perturbations whose test cells have a guide, donor or batch in common with their training cells, though
    settings.hold_out asks for whole ones; sorted.
    """
    if settings.hold_out == "cells":
        return ()
    group = _groups(settings, design)
    names, parts = labels.to_numpy(dtype=object), splits.to_numpy(dtype=object)
    found = []
    for name, rows in sorted(_cells(names).items()):
        learned, held = (set(group[rows[parts[rows] == part]]) for part in (keys.TRAIN, keys.TEST))
        if name == keys.CONTROL:
            continue
        if learned & held - {keys.UNKNOWN}:
            found.append(name)
    return tuple(found)


def _cells(names: np.ndarray) -> dict[str, np.ndarray]:
    found = sorted(set(names))
    return dict(zip(found, cells_of(names, found), strict=True))


def _groups(settings: DataSettings, design: Design | None) -> np.ndarray:
    """(n_obs,) the guide, donor or batch of every cell. Raises SettingsError where none was found."""
    part = HELD_OUT_BY[settings.hold_out]
    if design is None or part not in design.values:
        raise SettingsError(
            f"data.hold_out is '{settings.hold_out}', but no column of obs is known to hold the {part} of "
            f"every cell. Name it with data.{part}, or hold out cells."
        )
    return np.asarray(design.values[part].astype(str), dtype=object)


def _in_held_out_groups(
    names: np.ndarray, seen: Sequence[str], settings: DataSettings, design: Design | None
) -> np.ndarray:
    """(n_obs,) bool: cells of a guide, donor or batch that is held out. names: (n_obs,) perturbations; seen:
    those that are learned from, the control among them.
    """
    held_out = np.zeros(len(names), dtype=bool)
    if settings.hold_out == "cells":
        return held_out
    group = _groups(settings, design)
    here = _cells(names)
    cells = {name: _sizes(group[here[name]]) for name in seen}
    wanted = 1.0 - settings.train_fraction - settings.validation_fraction
    if settings.hold_out == "guides":
        for name in set(seen) - {keys.CONTROL}:
            own = {name: cells[name]}
            rng = np.random.default_rng([settings.seed, zlib.crc32(f"guides {name}".encode())])
            held_out[here[name]] = np.isin(group[here[name]], _nearest(own, list(cells[name]), wanted, rng))
    else:
        rng = np.random.default_rng([settings.seed, zlib.crc32(settings.hold_out.encode())])
        beside_controls = [v for v, n in cells[keys.CONTROL].items() if n >= FEWEST_IN_GROUP]
        held_out = np.isin(names, seen) & np.isin(group, _nearest(cells, beside_controls, wanted, rng))
    if not any(held_out[here[name]].sum() >= FEWEST_IN_GROUP for name in set(seen) - {keys.CONTROL}):
        needs = "" if settings.hold_out == "guides" else ", and controls beside them on both sides"
        raise SettingsError(
            f"data.hold_out is '{settings.hold_out}', but none can be held out: a perturbation needs at "
            f"least {FEWEST_IN_GROUP} cells in those that are held out and in those that are learned "
            f"from{needs}. Hold out cells."
        )
    return held_out


def _sizes(group: np.ndarray) -> dict[str, int]:
    """Value -> cells, in the order of the names."""
    values, n = np.unique(group.astype(str), return_counts=True)
    return dict(zip(values.tolist(), n.tolist(), strict=True))


def _nearest(
    cells: dict[str, dict[str, int]], eligible: Sequence[str], wanted: float, rng: np.random.Generator
) -> list[str]:
    """Values to hold out, drawn one after the other as long as that brings their share of all cells nearer to
    `wanted`; the smallest alone where none does. Whatever is held out, each perturbation of which cells are
    held out keeps FEWEST_IN_GROUP. cells: perturbation -> value -> cells.
    """

    def size(values: Sequence[str]) -> int:
        return sum(own.get(value, 0) for own in cells.values() for value in values)

    def learnable(values: Sequence[str]) -> bool:
        for own in cells.values():
            held = sum(own.get(value, 0) for value in values)
            if held and sum(own.values()) - held < FEWEST_IN_GROUP:
                return False
        return True

    aim = wanted * sum(sum(own.values()) for own in cells.values())
    order = [
        value
        for value in rng.permutation(np.array(sorted(eligible), dtype=object)).tolist()
        if value != keys.UNKNOWN and size([value]) >= FEWEST_IN_GROUP
    ]
    chosen: list[str] = []
    for value in order:
        more = [*chosen, value]
        if abs(size(more) - aim) < abs(size(chosen) - aim) and learnable(more):
            chosen = more
    smallest = sorted((value for value in order if learnable([value])), key=lambda value: size([value]))
    return chosen or smallest[:1]


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
    # who has seen one direction of a gene has seen the gene
    held_out = {keys.genes_of(name) for name in chosen}
    chosen |= {name for name in perturbations if keys.genes_of(name) in held_out}
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
