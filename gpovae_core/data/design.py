"""The design of a screen as its file tells it: which columns of obs hold batch, donor, guide, condition, and
the counts of the whole transcriptome.

A column is found by a usual name *and* by what it holds: a batch has controls beside perturbed cells, a guide
belongs to one perturbation, a condition has several perturbations. A name given in the settings wins. The
labels themselves are the guides where they name them and no other column does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import numpy as np

from gpovae_core import keys
from gpovae_core.data.labels.names import ENSEMBL
from gpovae_core.data.labels.text import column_of
from gpovae_core.data.schema import DesignColumns
from gpovae_core.data.wording import counted
from gpovae_core.errors import Problem

if TYPE_CHECKING:
    import pandas as pd
    from scipy import sparse

    from gpovae_core.config import DataSettings

OFF = "none"
"""Given instead of a column, it switches a part of the design off."""

MOST_BATCHES = 100
MOST_CONDITIONS = 20
MOST_NUMBERED = 20
"""Guides of a perturbation that may be numbered from one on in every perturbation anew."""
FEWEST_CELLS = 3
"""Cells that a value must share with a perturbation to count as standing beside it: fewer may be slips."""
NESTED = 0.95
"""Share of the cells of a guide column that must go with the perturbation their guide goes with."""
WHOLE_LIBRARY = 1.1
"""A size factor is taken unasked where the median cell has so many times the counts that the file holds."""
FEWER_THAN_HELD = 0.01
"""Share of the cells that may have fewer counts in the size factor than in the file."""
RECOVERED_LIBRARY = "recovered_library_size"
"""Column of obs for library sizes that normalised values tell (see data.recover)."""
FEWEST_CONTROLS = 2
"""Controls that a stratum needs: fewer show no spread."""
_MISSING = {"", "nan", "<na>", "na", "n/a", "null"}

NAMES = {
    keys.BATCH: (
        "batch",
        "batch_id",
        "gem_group",
        "gemgroup",
        "gem_well",
        "gem",
        "lane",
        "lane_id",
        "replicate",
        "biological_replicate",
        "bio_rep",
        "rep",
        "library",
        "library_id",
        "sample",
        "sample_id",
        "channel",
        "plate",
        "run",
        "sequencing_batch",
        "orig_ident",
        "pool",
        "well",
    ),
    keys.DONOR: (
        "donor",
        "donor_id",
        "individual",
        "individual_id",
        "patient",
        "patient_id",
        "subject",
        "subject_id",
        "participant",
    ),
    keys.GUIDE: (
        "guide_calls",  # made from guide UMIs, see data.made_labels
        "genetic_perturbation_id",
        "guide",
        "guide_id",
        "guide_name",
        "sgrna",
        "sgrna_id",
        "sgrna_name",
        "grna",
        "grna_id",
        "grna_name",
        "protospacer",
        "protospacer_id",
        "feature_call",
        "guide_identity",
        "guide_call",
        "guides",
        "sgid",
        "sgid_ab",
    ),
    keys.CONDITION: (
        "condition",
        "stimulation",
        "stimulus",
        "stim",
        "treatment",
        "culture_condition",
        "timepoint",
        "time_point",
        "time",
        "dose",
        "cell_line",
        "experimental_condition",
        "disease",
    ),
    keys.SIZE_FACTOR: (
        "total_umis_full_transcriptome",
        "total_umis",
        "total_umi",
        "ncounts",
        "n_counts",
        "total_counts",
        "ncount_rna",
        "numi",
        "numis",
        "n_umi",
        "n_umis",
        "umi_count",
        "umi_counts",
        RECOVERED_LIBRARY,
    ),
}
"""Part of the design -> usual names of its column, folded as `_folded` does, the first in the file is tried
first.
"""
WORDS = {
    keys.BATCH: "batch",
    keys.DONOR: "donor",
    keys.GUIDE: "guide",
    keys.CONDITION: "condition",
    keys.SIZE_FACTOR: "size factor",
}


@dataclass(frozen=True)
class Design:
    """columns: the column of obs behind each part; values: part (keys.BATCH, ...) -> (n_obs,) categorical
    text, of keys.SIZE_FACTOR float; others: part -> further columns that could have been it; notes: in words.
    """

    columns: DesignColumns = field(default_factory=DesignColumns)
    values: dict[str, pd.Series] = field(default_factory=dict)
    others: dict[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()

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


@dataclass(frozen=True)
class _Judged:
    """values: of the column as this part of the design, None where it cannot be used as it; why: what speaks
    against it, in words; unasked: whether it is taken without being named; told: whether `why` is worth a
    note.
    """

    values: pd.Series | None
    why: str = ""
    unasked: bool = True
    told: bool = False


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
) -> Design:
    """What is known of the design of these cells.

    obs: columns of the file, (n_obs,) rows; labels: (n_obs,) canonical perturbations; totals: (n_obs,) counts
    of each cell in the file. Columns that are not there are left to `missing_columns`.
    """
    judges: dict[str, Callable[[pd.Series], _Judged]] = {
        keys.BATCH: lambda column: _judge_batch(column, labels),
        keys.DONOR: lambda column: _judge_batch(column, labels),
        keys.GUIDE: lambda column: _judge_guide(column, labels),
        keys.CONDITION: lambda column: _judge_condition(column, labels),
        keys.SIZE_FACTOR: lambda column: _judge_size_factor(column, totals),
    }
    given = {part: wanted for part in WORDS if (wanted := getattr(settings, part)) is not None}
    columns: dict[str, Any] = {}
    values, others, notes, problems = {}, {}, [], []
    for part, judge in judges.items():
        if part in given:
            if part == keys.CONDITION and settings.conditions and (obs.columns == given[part]).sum() == 1:
                values[part], columns[part] = text_of(column_of(obs, given[part])), given[part]
                continue
            if given[part] == OFF or (obs.columns == given[part]).sum() != 1:
                continue
            judged = judge(column_of(obs, given[part]))
            if judged.values is None:
                problems.append(_unusable(part, given[part], judged.why))
                continue
            columns[part], values[part] = given[part], judged.values
            notes += _doubts(part, given[part], judged)
            continue
        usable = []
        for name in _usually_called(obs, part, {*given.values(), *columns.values(), label_column}):
            judged = judge(column_of(obs, name))
            if judged.values is not None and judged.unasked:
                usable.append((name, judged))
            elif judged.told:
                notes.append(f"'{name}' is not taken for the {WORDS[part]}: {judged.why}.")
        if usable:
            columns[part], values[part] = usable[0][0], usable[0][1].values
            notes += _doubts(part, usable[0][0], usable[0][1])
            others[part] = tuple(name for name, _ in usable[1:])
        elif part == keys.GUIDE and (obs.columns == label_column).sum() == 1 and label_column is not None:
            guides = _judge_labels(column_of(obs, label_column), labels)
            if guides is not None:
                columns[part], values[part] = label_column, guides
                notes.append(f"The guides are those that the labels in '{label_column}' name.")
    notes += [_choice_note(part, columns[part], found) for part, found in others.items() if found]
    notes += _overlaps(columns, values)
    return Design(DesignColumns(**columns), values, others, tuple(notes), tuple(problems))


def _usually_called(obs: pd.DataFrame, part: str, taken: set[str | None]) -> Iterator[str]:
    """Columns of obs with a usual name, in the order of the names; as written before folded, each once."""
    names = [name for name in obs.columns if isinstance(name, str) and (obs.columns == name).sum() == 1]
    for usual in NAMES[part]:
        alike = [name for name in names if _folded(name) == usual]
        yield from (name for name in sorted(alike, key=lambda name: name != usual) if name not in taken)


def is_usual(part: str, column: str) -> bool:
    """Whether a column has a name that is usual for a part of the design."""
    return _folded(column) in NAMES[part]


def _folded(name: str) -> str:
    """Guide-ID, guide.id, GUIDE ID -> guide_id."""
    return re.sub(r"[\s.\-]+", "_", name.strip()).casefold()


def _unusable(part: str, column: str, why: str) -> Problem:
    return Problem(
        "design-column-unusable",
        f"{part} is '{column}', but this column cannot be used as the {WORDS[part]}: {why}.",
        f"Name another column, or '{OFF}' to do without.",
    )


def _doubts(part: str, column: str, judged: _Judged) -> list[str]:
    """What speaks against a column that is taken nevertheless, or how it was read."""
    return [f"The {WORDS[part]} is read from '{column}', but note: {judged.why}."] if judged.why else []


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
            together = _table(_codes(values[first]), _codes(values[second])).nnz
            if columns[first] != columns[second] and n_first == n_second == together:
                notes.append(
                    f"The {WORDS[first]} ('{columns[first]}') and the {WORDS[second]} ('{columns[second]}') "
                    "divide the cells alike: what one does cannot be told from what the other does."
                )
    return notes


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
    leaves fewer perturbed cells beside controls, its condition with the one of the others that leaves most,
    or its condition alone. Batches and donors that hold one label each (`holds_one_label`) are no strata.
    None where none is known.

    obs: the columns keys.CONDITION, keys.BATCH and keys.DONOR, those there are; labels: (n_obs,) canonical.
    Numbers follow the names of the values, not the order of the cells.
    """
    always = [value_numbers(obs[key]) for key in (keys.CONDITION,) if key in obs]
    columns = [value_numbers(obs[key]) for key in (keys.BATCH, keys.DONOR) if key in obs]
    columns = [number for number in columns if not holds_one_label(number, labels)]
    control = labels == keys.CONTROL
    tried = [[*always, *columns], *([*always, one] for one in columns), always]
    crossed = [_crossed(one) for one in tried if one]
    if not crossed:
        return None
    return crossed[int(np.argmax([_beside_controls(one, control) for one in crossed]))]


def _crossed(numbers: list[np.ndarray]) -> np.ndarray:
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


def _codes(values: pd.Series) -> np.ndarray:
    return np.asarray(values.cat.codes)


def _table(rows: np.ndarray, columns: np.ndarray) -> sparse.csr_matrix:
    """(values of `rows`, values of `columns`) cells that have both; codes from 0 on."""
    from scipy import sparse

    shape = (int(rows.max(initial=-1)) + 1, int(columns.max(initial=-1)) + 1)
    return sparse.csr_matrix((np.ones(len(rows), dtype=np.int64), (rows, columns)), shape=shape)


def _beside(table: sparse.csr_matrix) -> sparse.csr_matrix:
    """(n, m) 1 where a value stands beside another in enough cells to be no slip."""
    found = table.copy()
    found.data = (table.data >= FEWEST_CELLS).astype(np.int64)
    return found


def _judge_batch(column: pd.Series, labels: np.ndarray) -> _Judged:
    values = text_of(column)
    codes, n = _codes(values), len(values.cat.categories)
    if n < 2:
        return _Judged(None, "all cells have the same value")
    control = labels == keys.CONTROL
    n_control, n_perturbed = (np.bincount(codes[cells], minlength=n) for cells in (control, ~control))
    both = (n_control >= FEWEST_CELLS) & (n_perturbed >= FEWEST_CELLS)
    if not both.any():
        why = f"none of its {n:,} values holds control cells beside perturbed ones"
        if holds_one_label(np.where(np.asarray(values == keys.UNKNOWN), -1, codes), labels):
            why += ". Named, it tells replicates: its values are then ranked as wholes, not their cells"
            return _Judged(values, why, unasked=False, told=True)
        return _Judged(None, f"{why}, so nothing can be compared within one", told=True)
    share = n_perturbed[both].sum() / max(1, n_perturbed.sum())
    if share < 0.5:
        why = f"only {share:.0%} of the perturbed cells share a value with control cells"
        return _Judged(values, why, unasked=False, told=True)
    if n > MOST_BATCHES:
        why = f"it has {n:,} values, more than the {MOST_BATCHES} that are taken unasked"
        return _Judged(values, why, unasked=False, told=True)
    alone = counted(int((n_perturbed > 0).sum() - ((n_perturbed > 0) & both).sum()), "value")
    return _Judged(values, "" if share == 1.0 else f"{alone} hold perturbed cells without controls")


def _judge_guide(column: pd.Series, labels: np.ndarray) -> _Judged:
    """A guide goes with one perturbation, and at least one perturbation or the control has two. Guides that
    are numbered anew in every perturbation get its name before their number.
    """
    import pandas as pd

    values = text_of(column)
    known = np.asarray(values != keys.UNKNOWN)
    if not known.any() or known.mean() < 0.5:
        return _Judged(None, "it is empty for more than half of the cells")
    perturbation = np.unique(labels.astype(str), return_inverse=True)[1]
    table = _table(_codes(values)[known], perturbation[known])
    used = np.flatnonzero(np.asarray(table.sum(axis=1)).ravel())
    beside = _beside(table[used])
    several = np.asarray(beside.sum(axis=0)).ravel() > 1
    if len(used) > known.sum() / FEWEST_CELLS:
        return _Judged(None, "nearly every cell has a value of its own")
    if table.max(axis=1).sum() >= NESTED * known.sum():
        if not several.any():
            return _Judged(None, "it tells nothing that the perturbation does not tell: each has one guide")
        return _Judged(values)
    if _numbered_anew(table[used], np.unique(labels.astype(str)) == keys.CONTROL) and several.mean() > 0.5:
        text = np.array(
            [f"{label} {value}" for label, value in zip(labels, values, strict=True)], dtype=object
        )
        text[~known] = keys.UNKNOWN
        numbered = pd.Series(pd.Categorical(text), index=values.index, name=values.name)
        return _Judged(numbered, "its values are counted anew in every perturbation, so each is read with it")
    return _Judged(None, "its values do not each belong to one perturbation", told=True)


def _numbered_anew(table: sparse.csr_matrix, control: np.ndarray) -> bool:
    """Whether nearly all perturbed cells have one of a few values that come in several perturbations, as
    numbers of guides do. What only controls have says nothing: they may have more guides than a gene has, and
    so may some genes.

    table: (values, labels) cells, every value with some; control: (labels,) bool.
    """
    cells = np.asarray(table[:, ~control].sum(axis=1)).ravel()
    shared = np.asarray(_beside(table).sum(axis=1)).ravel() > 1
    return bool((cells > 0).sum() <= MOST_NUMBERED and cells[shared].sum() >= NESTED * cells.sum() > 0)


_MARK = re.compile(r"[ACGTN]{8,}|\d+|(?<![A-Z0-9])[A-Z](?![A-Z0-9])", re.IGNORECASE)
"""What tells guides of a gene apart: a sequence, a number, a single letter."""


def _judge_labels(column: pd.Series, labels: np.ndarray) -> pd.Series | None:
    """The labels as guides, where two genes or more have several that differ by what tells guides apart
    (STAT1_g1 and STAT1_g2, STAT1-A and STAT1-B); None where they do not: spellings of one gene, or numbers of
    controls alone, are no guides.
    """
    values = _judge_guide(column, labels).values
    if values is None:
        return None
    names, label = np.unique(labels.astype(str), return_inverse=True)
    marks: dict[str, set[tuple[str, ...]]] = {}
    for row, code in zip(*_beside(_table(label, _codes(values))).nonzero(), strict=True):
        perturbation, written = str(names[row]), str(values.cat.categories[code])
        if perturbation != keys.CONTROL:
            marks.setdefault(perturbation, set()).add(_marks(written, keys.genes_of(perturbation)))
    return values if sum(len(found) > 1 for found in marks.values()) > 1 else None


def _marks(value: str, genes: Sequence[str]) -> tuple[str, ...]:
    """What a label holds besides its genes that tells guides apart, in any order."""
    rest = ENSEMBL.sub(" ", value)
    for gene in sorted(genes, key=len, reverse=True):
        rest = re.sub(re.escape(gene), " ", rest, flags=re.IGNORECASE)
    return tuple(sorted(mark.casefold() for mark in _MARK.findall(rest)))


def _judge_condition(column: pd.Series, labels: np.ndarray) -> _Judged:
    """Every condition has several perturbations, and most perturbations have several conditions."""
    values = text_of(column)
    n = len(values.cat.categories)
    if n < 2:
        return _Judged(None, "all cells have the same value")
    names, perturbation = np.unique(labels.astype(str), return_inverse=True)
    beside = _beside(_table(_codes(values), perturbation))[:, names != keys.CONTROL]
    per_value, per_label = (np.asarray(beside.sum(axis=axis)).ravel() for axis in (1, 0))
    if not (per_label > 1).any() or (per_value > 1).sum() < 2:
        return _Judged(None, "it is not crossed with the perturbations: none is seen under two of its values")
    if not (per_value > 1).all() or (per_label > 1).mean() < 0.5:
        why = "some values have a single perturbation, or most perturbations are seen under one value only"
        return _Judged(values, why, unasked=False, told=True)
    if n > MOST_CONDITIONS:
        why = f"it has {n:,} values, more than the {MOST_CONDITIONS} that are taken unasked"
        return _Judged(values, why, unasked=False, told=True)
    controls = np.bincount(_codes(values)[labels == keys.CONTROL], minlength=n)
    empty = [str(name) for name, cells in zip(values.cat.categories, controls, strict=True) if not cells]
    return _Judged(values, f"no control cells under {', '.join(empty)}" if empty else "")


def _judge_size_factor(column: pd.Series, totals: np.ndarray) -> _Judged:
    """The counts of the whole transcriptome are positive and never fewer than those that the file holds."""
    import pandas as pd

    if not pd.api.types.is_numeric_dtype(column) or pd.api.types.is_bool_dtype(column):
        return _Judged(None, "it does not hold numbers")
    numbers = column.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    if not (np.isfinite(numbers).all() and (numbers > 0).all()):
        return _Judged(None, "it holds missing values or numbers that are not above zero")
    ratio = numbers / np.maximum(totals, 1.0)
    fewer = float((ratio < 1.0).mean())
    if fewer > FEWER_THAN_HELD:
        return _Judged(None, f"{fewer:.0%} of the cells have fewer counts there than in the file itself")
    values = pd.Series(numbers, index=column.index, name=column.name)
    if np.median(ratio) <= WHOLE_LIBRARY:
        return _Judged(values, "it holds about the counts of the file itself", unasked=False)
    return _Judged(values)
