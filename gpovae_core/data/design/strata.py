"""Strata of cells that can be compared: the values of batch, donor and condition together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from gpovae_core import keys

if TYPE_CHECKING:
    import pandas as pd

FEWEST_CONTROLS = 2
"""Controls that a stratum needs: fewer show no spread."""
MOST_OF_CROSSED = 0.9
"""Of the cells that have controls beside them in batches or in donors, how many have to keep them in both."""
_MISSING = {"", "nan", "<na>", "na", "n/a", "null"}


def crossed_known(codes: list[np.ndarray]) -> np.ndarray:
    """(n_obs,) number of every combination of values, -1 where one is unknown."""
    return np.where(np.min(codes, axis=0) < 0, -1, crossed(codes))


def divides(finer: np.ndarray, coarser: np.ndarray, alike: bool) -> bool:
    """Whether every value of one column lies in one of the other; alike: also where both divide the cells
    alike.
    """
    both = (finer >= 0) & (coarser >= 0)
    pairs = np.unique(np.stack([finer[both], coarser[both]]), axis=1).shape[1]
    values, others = len(np.unique(finer[both])), len(np.unique(coarser[both]))
    return pairs == values and (values > others or alike)


def known_codes(values: pd.Series) -> np.ndarray:
    return np.where(np.asarray(values == keys.UNKNOWN), -1, codes_of(values))


def text_of(column: pd.Series) -> pd.Series:
    """(n_obs,) categorical text of a column, keys.UNKNOWN where it is missing; whole numbers without a point,
    only values that occur. Values are worked on, not cells.
    """
    import pandas as pd

    codes, found = pd.factorize(column, use_na_sentinel=True)
    names = [_as_text(value) for value in found] + [keys.UNKNOWN]
    return pd.Series(
        pd.Categorical(np.array(names, dtype=object)[codes]), index=column.index, name=column.name
    )


def _as_text(value: object) -> str:
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return str(int(value))
    text = str(value).strip()
    return keys.UNKNOWN if text.casefold() in _MISSING else text


def strata(obs: Mapping[str, pd.Series] | pd.DataFrame, labels: np.ndarray) -> np.ndarray | None:
    """(n_obs,) number of the stratum of every cell: its condition, batch and donor together, or where that
    leaves clearly fewer perturbed cells beside controls than batch and donor by themselves, its condition
    with the one that leaves more. Batches and donors that hold one label each (`holds_one_label`) are no
    strata, nor are those that leave no cell beside controls. None where none is known.

    A cell of an unknown batch or donor stands beside nobody: such controls have a stratum to themselves, such
    perturbed cells another one.

    obs: the columns keys.CONDITION, keys.BATCH and keys.DONOR, those there are; labels: (n_obs,) canonical.
    Numbers follow the names of the values, not the order of the cells.
    """
    control = labels == keys.CONTROL
    always = [value_numbers(obs[key]) for key in (keys.CONDITION,) if key in obs]
    columns, unknown = [], []
    for key in (keys.BATCH, keys.DONOR):
        number = value_numbers(obs[key]) if key in obs else np.zeros(0, dtype=int)
        if len(number) and not holds_one_label(number, labels):
            columns.append(number)
            unknown.append(np.asarray(obs[key] == keys.UNKNOWN, dtype=bool))
    tried = [_apart(crossed([*always, one]), no, control) for one, no in zip(columns, unknown, strict=True)]
    beside = [_beside_controls(one, control) for one in tried]
    tried = [one for one, cells in zip(tried, beside, strict=True) if cells]
    if len(tried) > 1:
        both = _apart(crossed([*always, *columns]), np.any(unknown, axis=0), control)
        if _beside_controls(both, control) >= MOST_OF_CROSSED * min(beside):
            return both
        return tried[int(np.argmax(beside))]
    return tried[0] if tried else crossed(always) if always else None


def _apart(stratum: np.ndarray, unknown: np.ndarray, control: np.ndarray) -> np.ndarray:
    """(n_obs,) number of the stratum, another one for unknown cells, by whether they are controls."""
    return np.where(unknown, stratum.max(initial=0) + 1 + ~control, stratum)


def have_controls(stratum: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(n_obs,) bool: cells with enough controls in their stratum."""
    number = np.unique(stratum, return_inverse=True)[1].ravel()
    controls = np.bincount(number[labels == keys.CONTROL], minlength=number.max(initial=-1) + 1)
    return controls[number] >= FEWEST_CONTROLS


def without_controls(stratum: np.ndarray | None, labels: np.ndarray) -> tuple[str, ...]:
    """Perturbations of which fewer than two cells stand in a stratum with controls, sorted: none of their
    effects can be measured.
    """
    if stratum is None:
        return ()
    control, beside = labels == keys.CONTROL, have_controls(stratum, labels)
    names, cells = np.unique(labels[~control & beside].astype(str), return_counts=True)
    return tuple(sorted(set(labels[~control].tolist()) - set(names[cells > 1].tolist())))


def crossed(numbers: list[np.ndarray]) -> np.ndarray:
    """(n_obs,) number of every combination of values that occurs, in their order."""
    found = np.zeros(len(numbers[0]), dtype=int)
    for number in numbers:
        found = np.unique(found * (number.max(initial=0) + 2) + number + 1, return_inverse=True)[1].ravel()
    return found


def holds_one_label(number: np.ndarray, labels: np.ndarray) -> bool:
    """Whether every value of a column holds cells of one label only, and labels come in several: wells with a
    guide each. Within them nothing can be compared, but what the wells of a label disagree on is known.
    """
    import pandas as pd

    known = number >= 0
    label, names = pd.factorize(labels[known])
    pairs = len(np.unique(number[known] * max(len(names), 1) + label))
    return 2 * len(names) <= pairs == len(np.unique(number[known]))


def value_numbers(column: object) -> np.ndarray:
    """(n_obs,) the values of a column as numbers in the order of their names, -1 where there is none."""
    import pandas as pd

    return np.asarray(pd.Categorical(pd.Series(column).astype("category")).codes, dtype=int)  # type: ignore[arg-type]


def _beside_controls(stratum: np.ndarray, control: np.ndarray) -> int:
    """How many perturbed cells stand in a stratum that has controls."""
    controls = np.bincount(stratum[control] + 1, minlength=stratum.max(initial=-1) + 2)
    return int((controls[stratum[~control] + 1] >= FEWEST_CONTROLS).sum())


def codes_of(values: pd.Series) -> np.ndarray:
    return np.asarray(values.cat.codes)
