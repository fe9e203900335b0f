"""The design of a screen as its file tells it: which columns of obs hold batch, donor, guide, condition, and
the counts of the whole transcriptome.

A column is found by a usual name *and* by what it holds: a batch has controls beside perturbed cells, a guide
belongs to one perturbation, a condition has several perturbations. A name given in the settings wins. The
labels themselves are the guides where they name them and no other column does.

A perturbation without controls in its batches has no estimate and is named. Where that would be nearly all of
them, cells are compared across batches, and it is said that nobody can tell these from effects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from gpovae_core import keys
from gpovae_core.data.confounding import Controls, Counts, confounding
from gpovae_core.data.design.apart import (
    cells_without_controls,
    further_conditions,
    unseparated,
    without_controls_in_words,
)
from gpovae_core.data.design.columns import (
    Judged,
    compared_of,
    judge_batch,
    judge_condition,
    judge_guide,
    judge_labels,
    judge_size_factor,
    table_of,
)
from gpovae_core.data.design.names import OFF, WORDS, usually_called
from gpovae_core.data.design.strata import (
    MOST_OF_CROSSED,
    codes_of,
    crossed_known,
    divides,
    known_codes,
    strata,
    text_of,
    without_controls,
)
from gpovae_core.data.labels.text import column_of
from gpovae_core.data.schema import DesignColumns
from gpovae_core.errors import Problem

if TYPE_CHECKING:
    import pandas as pd

    from gpovae_core.config import DataSettings


@dataclass(frozen=True)
class Design:
    """columns: the column of obs behind each part; values: part (keys.BATCH, ...) -> (n_obs,) categorical
    text, of keys.SIZE_FACTOR float; others: part -> further columns that could have been it; notes: in words;
    without_controls: perturbations that cannot be compared, as no controls are beside them; unseparated:
    columns of obs whose differences cannot be told from effects.
    """

    columns: DesignColumns = field(default_factory=DesignColumns)
    values: dict[str, pd.Series] = field(default_factory=dict)
    others: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    without_controls: tuple[str, ...] = ()
    unseparated: tuple[str, ...] = ()

    @property
    def compared(self) -> pd.Series | None:
        """(n_obs,) categorical text: batch and condition of each cell, within which cells are compared; None
        where neither is known.
        """
        import pandas as pd

        batch, condition = self.values.get(keys.BATCH), self.values.get(keys.CONDITION)
        if batch is None or condition is None:
            return condition if batch is None else batch
        text = batch.astype(str) + " / " + condition.astype(str)
        return pd.Series(pd.Categorical(text), index=batch.index)


def missing_columns(obs: pd.DataFrame, settings: DataSettings) -> list[Problem]:
    """A problem, with near names, for every column that the settings name for the design and obs lacks or has
    twice.
    """
    problems = []
    for part, words in WORDS.items():
        wanted = getattr(settings, part)
        if wanted is None or wanted == OFF or (obs.columns == wanted).sum() == 1:
            continue
        names = list(dict.fromkeys(map(str, obs.columns)))
        if wanted in names:
            message, hint = f"{part} is '{wanted}', but obs has several columns of this name.", "Rename them."
        else:
            by_fold = {name.casefold(): name for name in names}
            near = [by_fold[n] for n in get_close_matches(wanted.casefold(), list(by_fold), n=3)]
            message = (
                f"{part} is '{wanted}', but obs has no such column; it has: {', '.join(names) or 'none'}."
            )
            hint = f"Did you mean {' or '.join(near)}? " if near else ""
            hint += f"Name the column with the {words} of every cell, or '{OFF}'."
        problems.append(Problem("design-column-missing", message, hint))
    return problems


def find_design(
    obs: pd.DataFrame,
    labels: np.ndarray,
    totals: np.ndarray,
    settings: DataSettings,
    label_column: str | None = None,
    counts: Counts | None = None,
) -> Design:
    """What is known of the design of these cells.

    obs: columns of the file, (n_obs,) rows; labels: (n_obs,) canonical perturbations; totals: (n_obs,) counts
    of each cell in the file; counts: of cells, which show whether a column matters (data.confounding), None
    where they cannot be looked at. Columns that are not there are left to `missing_columns`.
    """
    judges: dict[str, Callable[[pd.Series], Judged]] = {
        keys.BATCH: lambda column: judge_batch(column, labels),
        keys.DONOR: lambda column: judge_batch(column, labels),
        keys.GUIDE: lambda column: judge_guide(column, labels),
        keys.CONDITION: lambda column: judge_condition(column, labels),
        keys.SIZE_FACTOR: lambda column: judge_size_factor(column, totals),
    }
    given = {part: wanted for part in WORDS if (wanted := getattr(settings, part)) is not None}
    named = {*given.values(), label_column}
    controls = None if counts is None else Controls(labels, counts)
    found = _Found(obs, labels)
    for part, judge in judges.items():
        if part in given:
            as_it_is = part == keys.CONDITION and bool(settings.conditions)
            found.read(part, given[part], (lambda column: Judged(text_of(column))) if as_it_is else judge)
        else:
            found.look_for(part, judge, {*named, *found.columns.values()}, controls)
            if part == keys.GUIDE and part not in found.columns:
                found.read_labels(label_column)
    found.say_what_else_there_is()
    stratum = strata(found.values, labels)
    alone = without_controls(stratum, labels)
    found.problems += without_controls_in_words(alone, found.columns, labels)
    found.notes += cells_without_controls(stratum, labels, alone)
    taken = {column for part, column in found.columns.items() if part not in (keys.BATCH, keys.DONOR)}
    apart = unseparated(obs, labels, stratum, settings, {*taken, *named}, controls)
    further = [name for name in found.others.get(keys.CONDITION, ()) if name not in apart]
    found.problems += further_conditions(obs, found.columns, found.values, further)
    return Design(
        DesignColumns(**found.columns),
        found.values,
        found.others,
        tuple(found.notes),
        (*found.problems, *apart.values()),
        without_controls=alone,
        unseparated=tuple(apart),
    )


@dataclass
class _Found:
    """What has been found so far; fields as those of Design. obs, labels: as of `find_design`."""

    obs: pd.DataFrame
    labels: np.ndarray
    columns: dict[str, Any] = field(default_factory=dict)
    values: dict[str, Any] = field(default_factory=dict)
    others: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def _is_there(self, column: str) -> bool:
        return (self.obs.columns == column).sum() == 1

    def _take(self, part: str, column: str, judged: Judged) -> None:
        self.columns[part], self.values[part] = column, judged.values
        if judged.why:  # what speaks against it nevertheless, or how it was read
            self.notes.append(f"The {WORDS[part]} is read from '{column}', but note: {judged.why}.")

    def read(self, part: str, column: str, judge: Callable[[pd.Series], Judged]) -> None:
        """Take the column that a person has named."""
        if column == OFF or not self._is_there(column):
            return
        judged = judge(column_of(self.obs, column))
        if judged.values is None:
            self.problems.append(_unusable(part, column, judged.why))
        else:
            self._take(part, column, judged)

    def look_for(
        self,
        part: str,
        judge: Callable[[pd.Series], Judged],
        taken: set[str | None],
        controls: Controls | None,
    ) -> None:
        """Take the first column with a usual name that can be used; of batches that which matters."""
        usable = []
        for name in usually_called(self.obs, part, taken):
            judged = judge(column_of(self.obs, name))
            if judged.values is not None and judged.unasked:
                usable.append((name, judged))
            elif judged.told:
                self.notes.append(f"'{name}' is not taken for the {WORDS[part]}: {judged.why}.")
        if part == keys.BATCH and len(usable) > 1 and controls is not None:
            usable, words = _that_matter(usable, self.labels, controls)
            self.notes += words
        if usable:
            self._take(part, *usable[0])
            self.others[part] = tuple(name for name, _ in usable[1:])

    def read_labels(self, column: str | None) -> None:
        """Take the labels themselves as guides, where they name them."""
        if column is None or not self._is_there(column):
            return
        guides = judge_labels(column_of(self.obs, column), self.labels)
        if guides is not None:
            self.columns[keys.GUIDE], self.values[keys.GUIDE] = column, guides
            self.notes.append(f"The guides are those that the labels in '{column}' name.")

    def say_what_else_there_is(self) -> None:
        found = {part: names for part, names in self.others.items() if names}
        self.notes += [_choice_note(part, self.columns[part], names) for part, names in found.items()]
        self.notes += _overlaps(self.columns, self.values)


def _that_matter(
    usable: list[tuple[str, Judged]], labels: np.ndarray, controls: Controls
) -> tuple[list[tuple[str, Judged]], list[str]]:
    """Several columns with usual names of a batch, the one to take first, and what to say of it. Those come
    first that would be taken for effects (data.confounding); of two such, one that divides the other, or both
    together, where they leave as many perturbations beside controls.
    """
    codes = {name: known_codes(judged.values) for name, judged in usable if judged.values is not None}
    needed = _needed(codes, labels, controls)
    if not needed:
        return usable, []
    rest = [pair for pair in usable if pair[0] not in needed]
    if len(needed) == 1:
        first = usable[0][0]
        words = (
            f"The batch is read from '{needed[0]}' and not from '{first}', as perturbations are spread "
            "unevenly over it, and what differs there would be taken for effects."
        )
        return [(needed[0], dict(usable)[needed[0]]), *rest], [words] * (needed[0] != first)
    listed = " and ".join(f"'{name}'" for name in needed)
    words = (
        f"Cells are compared within {listed} together: perturbations are spread unevenly over the values of "
        "each, and what differs between them would be taken for effects."
    )
    columns = [judged.values for name, judged in usable if name in needed and judged.values is not None]
    return [(needed[0], Judged(_both(columns))), *rest], [words]


def _needed(codes: dict[str, np.ndarray], labels: np.ndarray, controls: Controls) -> list[str]:
    """Columns that have to be compared within, in their order. codes: (n_obs,) of each, -1 unknown."""
    matter = {name: confounding(code, labels, None, controls) for name, code in codes.items()}
    chosen = sorted(
        (name for name in codes if matter[name].matters), key=lambda name: -(matter[name].moved or 0.0)
    )
    taken = chosen[:1]
    for name in chosen[1:]:
        together = crossed_known([codes[one] for one in (*taken, name)])
        least = min(len(compared_of(codes[one], labels)[0]) for one in (*taken, name))
        if len(compared_of(together, labels)[0]) >= MOST_OF_CROSSED * least:
            taken.append(name)
    taken = [name for name in codes if name in taken]

    def divided(place: int) -> bool:
        """Whether another column says all that this one says."""
        own = codes[taken[place]]
        return any(divides(codes[other], own, i < place) for i, other in enumerate(taken) if i != place)

    return [name for place, name in enumerate(taken) if not divided(place)]


def _both(columns: list[pd.Series]) -> pd.Series:
    """(n_obs,) categorical text of the values of several columns together, keys.UNKNOWN where one is."""
    import pandas as pd

    text = [column.astype(str) for column in columns]
    whole = text[0].str.cat(text[1:], sep=" / ")
    for one in text:
        whole[one == keys.UNKNOWN] = keys.UNKNOWN
    return pd.Series(pd.Categorical(whole), index=whole.index, name=columns[0].name)


def _unusable(part: str, column: str, why: str) -> Problem:
    return Problem(
        "design-column-unusable",
        f"{part} is '{column}', but this column cannot be used as the {WORDS[part]}: {why}.",
        f"Name another column, or '{OFF}' to do without.",
    )


def _choice_note(part: str, column: str, others: Sequence[str]) -> str:
    listed = ", ".join(f"'{name}'" for name in others)
    return (
        f"The {WORDS[part]} is read from the column '{column}' of obs; {listed} would also be possible, by "
        f"setting data.{part}."
    )


def _overlaps(columns: dict[str, str], values: dict[str, pd.Series]) -> list[str]:
    """Parts that tell the same cells apart cannot be told from one another."""
    parts = [part for part in (keys.BATCH, keys.DONOR, keys.CONDITION) if part in values]
    notes = []
    for i, first in enumerate(parts):
        for second in parts[i + 1 :]:
            n_first, n_second = (len(values[part].cat.categories) for part in (first, second))
            together = table_of(codes_of(values[first]), codes_of(values[second])).nnz
            if columns[first] != columns[second] and n_first == n_second == together:
                notes.append(
                    f"The {WORDS[first]} ('{columns[first]}') and the {WORDS[second]} ('{columns[second]}') "
                    "divide the cells alike: what one does cannot be told from what the other does."
                )
    return notes
