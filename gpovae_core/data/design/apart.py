"""What is not compared: perturbations without controls beside them, and columns whose differences cannot be
told from effects.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from gpovae_core import keys
from gpovae_core.data.confounding import Confounding, Controls, confounding
from gpovae_core.data.design.columns import MOST_BATCHES, Judged, judge_batch, judge_condition
from gpovae_core.data.design.names import NAMES, OFF, WORDS, fold, like_batches, usually_called
from gpovae_core.data.design.strata import (
    codes_of,
    divides,
    have_controls,
    holds_one_label,
    known_codes,
    text_of,
)
from gpovae_core.data.labels.text import column_of
from gpovae_core.data.wording import counted
from gpovae_core.errors import Problem

if TYPE_CHECKING:
    import pandas as pd

    from gpovae_core.config import DataSettings

TOLD = 0.01
"""Share of the perturbed cells that have to be of no use for it to be said."""
NAMED = 10
"""Perturbations that are named in a message at most."""


def without_controls_in_words(
    alone: tuple[str, ...], columns: Mapping[str, str], labels: np.ndarray
) -> list[Problem]:
    if not alone:
        return []
    parts = [part for part in (keys.CONDITION, keys.BATCH, keys.DONOR) if part in columns]
    within = " and ".join(f"{WORDS[part]} ('{columns[part]}')" for part in parts)
    cells = dict(zip(*np.unique(labels.astype(str), return_counts=True), strict=True))
    named = [f"{name} ({counted(int(cells[name]), 'cell')})" for name in alone]
    more = f" and {len(named) - NAMED:,} more" if len(named) > NAMED else ""
    one = len(alone) == 1
    whole = len(cells) - (keys.CONTROL in cells)
    message = (
        f"{counted(len(alone), 'perturbation')} of {whole:,} {'has' if one else 'have'} no control cells in "
        f"{'its' if one else 'their'} {within}, so {'its' if one else 'their'} effects cannot be measured: "
        f"{', '.join(named[:NAMED])}{more}."
    )
    flags = " ".join(f"--{part} {OFF}" for part in parts if part != keys.CONDITION)
    hint = "Add control cells of these to the file, or correct the column."
    if flags:
        hint += (
            f" With {flags} such cells are compared with other controls, and what differs between batches "
            "is taken for an effect."
        )
    return [Problem("no-controls-beside", message, hint, "warning")]


def cells_without_controls(
    stratum: np.ndarray | None, labels: np.ndarray, alone: tuple[str, ...]
) -> list[str]:
    """How many cells of the other perturbations are of no use for their effects."""
    if stratum is None:
        return []
    perturbed = (labels != keys.CONTROL) & ~np.isin(labels, alone)
    left = int((perturbed & ~have_controls(stratum, labels)).sum())
    if left < TOLD * perturbed.sum() or not left:
        return []
    return [
        f"{left:,} of {int(perturbed.sum()):,} perturbed cells have no control cells in their batch, donor "
        "or condition, and are compared with none."
    ]


def unseparated(
    obs: pd.DataFrame,
    labels: np.ndarray,
    stratum: np.ndarray | None,
    settings: DataSettings,
    taken: set[str | None],
    controls: Controls | None,
) -> dict[str, Problem]:
    """Columns whose differences look like effects, as cells are not compared within them, with a warning of
    each: those that are called like a batch or a donor, also where controls cannot tell; conditions; and any
    other one of few values that is no outcome of the cells, where nobody has said what the batch is. taken:
    columns that are another part of the design, or were named.
    """
    found: dict[str, Problem] = {}
    if not (labels == keys.CONTROL).any():
        return found
    for part in (keys.BATCH, keys.DONOR, keys.CONDITION):
        for name in usually_called(obs, part, taken):
            judged = judge_batch(column_of(obs, name), labels)
            codes = known_codes(text_of(column_of(obs, name)))
            if name in found or holds_one_label(codes, labels):
                continue
            seen = confounding(np.where(codes < 0, codes.max() + 1, codes), labels, stratum, controls)
            if part != keys.CONDITION and seen.matters:
                found[name] = _unseparated_in_words(part, name, seen, judged)
            elif seen.seen:
                crossed = judge_condition(column_of(obs, name), labels).values is not None
                use_as = keys.CONDITION if crossed else keys.BATCH
                found[name] = _unseparated_in_words(use_as, name, seen, judged)
    if settings.batch is not None or controls is None:
        return found
    for name in like_batches(obs, {*taken, *found}):
        codes = known_codes(text_of(column_of(obs, name)))
        if 1 < len(np.unique(codes[codes >= 0])) <= MOST_BATCHES and not holds_one_label(codes, labels):
            seen = confounding(codes, labels, stratum, controls)
            if seen.seen:
                found[name] = _unseparated_in_words(keys.BATCH, name, seen, Judged(None))
    return found


def further_conditions(
    obs: pd.DataFrame, columns: Mapping[str, str], values: Mapping[str, pd.Series], others: Sequence[str]
) -> list[Problem]:
    """A warning for every further column of conditions that the one that is taken does not divide."""
    problems = []
    for name in others:
        further = text_of(column_of(obs, name))
        if divides(codes_of(values[keys.CONDITION]), codes_of(further), alike=True):
            continue
        listed = ", ".join(f"'{value}'" for value in further.cat.categories[:8])
        message = (
            f"The column '{name}' of obs, too, looks like conditions ({listed}). Cells are compared within "
            f"'{columns[keys.CONDITION]}' alone and taken together over these."
        )
        hint = f"Name the one to compare within (--condition {name}), or make a file of the cells of one."
        problems.append(Problem("several-conditions", message, hint, "warning"))
    return problems


def _unseparated_in_words(part: str, name: str, seen: Confounding, judged: Judged) -> Problem:
    unknown = "be told from effects, and how many edges are false is not known."
    if seen.moved is None:
        why = judged.why if judged.apart else "control cells are not where the perturbed cells are"
        message = (
            f"Cells are compared without the column '{name}', which may hold batches: {why}. What differs "
            f"between its values cannot {unknown}"
        )
        hint = (
            f"Controls in every batch would tell. If another column holds the {WORDS[part]}, name it "
            f"(--{part}); if '{name}' is none, leave it out of the file."
        )
        return Problem("batch-not-compared", message, hint, "warning")
    one = seen.uneven == 1
    message = (
        f"The column '{name}' of obs divides the cells as batches do: {counted(seen.uneven, 'perturbation')} "
        f"{'is' if one else 'are'} spread over its values otherwise than controls, and what controls differ "
        f"by there would move {'its' if one else 'their'} effects by {np.expm1(seen.moved):.0%} (root mean "
        f"square over genes). Cells are not compared within it, so that what differs cannot {unknown}"
    )
    hint = f"Compare cells within it (--{part} {name})"
    if part == keys.BATCH and fold(name) not in {fold(usual) for usual in NAMES[part]}:
        hint += (
            f", or, where it is an outcome of the cells and no batch, say that there is none (--{part} {OFF})"
        )
    return Problem("batch-not-compared", message, f"{hint}.", "warning")
