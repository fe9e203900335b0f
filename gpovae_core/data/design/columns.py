"""What a column of obs can be by what it holds: a batch has controls beside perturbed cells, a guide belongs
to one perturbation, a condition has several perturbations, a size factor at least the counts of the file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from gpovae_core import keys
from gpovae_core.data.design.strata import codes_of, holds_one_label, text_of
from gpovae_core.data.labels.names import ENSEMBL
from gpovae_core.data.wording import counted

if TYPE_CHECKING:
    import pandas as pd
    from scipy import sparse

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
MOST_MISSING = 0.01
"""Share of the cells whose size factor may be missing: it is then taken from their counts in the file."""
FEWER_THAN_HELD = 0.01
"""Share of the cells that may have fewer counts in the size factor than in the file."""
FEWEST_COMPARED = 2
NEARLY_NONE = 0.1
"""Perturbations, and share of all of them, that need controls in their batches for anything to be compared
within batches; and the share of its cells that a perturbation needs there, as single cells may be slips.
"""


@dataclass(frozen=True)
class Judged:
    """values: of the column as this part of the design, None where it cannot be used as it; why: what speaks
    against it, in words; unasked: whether it is taken without being named; told: whether `why` is worth a
    note; apart: whether it may be a batch that nothing can be compared within.
    """

    values: pd.Series | None
    why: str = ""
    unasked: bool = True
    told: bool = False
    apart: bool = False


def table_of(rows: np.ndarray, columns: np.ndarray) -> sparse.csr_matrix:
    """(values of `rows`, values of `columns`) cells that have both; codes from 0 on."""
    from scipy import sparse

    shape = (int(rows.max(initial=-1)) + 1, int(columns.max(initial=-1)) + 1)
    return sparse.csr_matrix((np.ones(len(rows), dtype=np.int64), (rows, columns)), shape=shape)


def _beside(table: sparse.csr_matrix) -> sparse.csr_matrix:
    """(n, m) 1 where a value stands beside another in enough cells to be no slip."""
    found = table.copy()
    found.data = (table.data >= FEWEST_CELLS).astype(np.int64)
    return found


def judge_batch(column: pd.Series, labels: np.ndarray) -> Judged:
    """A batch has controls beside the cells of FEWEST_COMPARED perturbations, and of one in ten, at least."""
    values = text_of(column)
    known = np.asarray(values != keys.UNKNOWN)
    codes = np.where(known, codes_of(values), -1)
    n = len(np.unique(codes[known]))
    if n < 2:
        return Judged(None, "all cells have the same value")
    compared, perturbations = compared_of(codes, labels)
    if len(compared) < max(FEWEST_COMPARED, NEARLY_NONE * perturbations):
        number = f"only {len(compared):,}" if len(compared) else "none"
        shares = "shares" if len(compared) < 2 else "share"
        why = f"{number} of {counted(perturbations, 'perturbation')} {shares} a value with control cells"
        if holds_one_label(codes, labels):
            why += ". Named, it tells replicates: its values are then ranked as wholes, not their cells"
            return Judged(values, why, unasked=False, told=True)
        return Judged(None, f"{why}, so nothing can be compared within one", apart=True)
    if n > MOST_BATCHES:
        why = f"it has {n:,} values, more than the {MOST_BATCHES} that are taken unasked"
        return Judged(values, why, unasked=False, told=True, apart=True)
    empty = int((~known).sum())
    if not empty:
        return Judged(values)
    have, are = ("has", "is") if empty == 1 else ("have", "are")
    return Judged(
        values,
        f"{counted(empty, 'cell')} ({empty / len(known):.1%}) {have} no value there and {are} compared with "
        "no others, as nobody knows beside which controls",
    )


def compared_of(codes: np.ndarray, labels: np.ndarray) -> tuple[list[str], int]:
    """(perturbations with enough cells in values that hold controls, number of all perturbations). codes:
    (n_obs,) -1 unknown.
    """
    control = labels == keys.CONTROL
    beside = np.bincount(codes[control] + 1, minlength=codes.max(initial=-1) + 2) >= FEWEST_CELLS
    beside[0] = False
    names, label = np.unique(labels[~control].astype(str), return_inverse=True)
    whole = np.bincount(label.ravel(), minlength=len(names))
    own = np.bincount(label.ravel()[beside[codes[~control] + 1]], minlength=len(names))
    return names[own >= np.maximum(FEWEST_CELLS, NEARLY_NONE * whole)].tolist(), len(names)


def judge_guide(column: pd.Series, labels: np.ndarray) -> Judged:
    """A guide goes with one perturbation, and at least one perturbation or the control has two. Guides that
    are numbered anew in every perturbation get its name before their number.
    """
    import pandas as pd

    values = text_of(column)
    known = np.asarray(values != keys.UNKNOWN)
    if not known.any() or known.mean() < 0.5:
        return Judged(None, "it is empty for more than half of the cells")
    perturbation = np.unique(labels.astype(str), return_inverse=True)[1]
    table = table_of(codes_of(values)[known], perturbation[known])
    used = np.flatnonzero(np.asarray(table.sum(axis=1)).ravel())
    beside = _beside(table[used])
    several = np.asarray(beside.sum(axis=0)).ravel() > 1
    if len(used) > known.sum() / FEWEST_CELLS:
        return Judged(None, "nearly every cell has a value of its own")
    if table.max(axis=1).sum() >= NESTED * known.sum():
        if not several.any():
            return Judged(None, "it tells nothing that the perturbation does not tell: each has one guide")
        return Judged(values)
    if _numbered_anew(table[used], np.unique(labels.astype(str)) == keys.CONTROL) and several.mean() > 0.5:
        text = np.array(
            [f"{label} {value}" for label, value in zip(labels, values, strict=True)], dtype=object
        )
        text[~known] = keys.UNKNOWN
        numbered = pd.Series(pd.Categorical(text), index=values.index, name=values.name)
        return Judged(numbered, "its values are counted anew in every perturbation, so each is read with it")
    return Judged(None, "its values do not each belong to one perturbation", told=True)


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


def judge_labels(column: pd.Series, labels: np.ndarray) -> pd.Series | None:
    """The labels as guides, where two genes or more have several that differ by what tells guides apart
    (STAT1_g1 and STAT1_g2, STAT1-A and STAT1-B); None where they do not: spellings of one gene, or numbers of
    controls alone, are no guides.
    """
    values = judge_guide(column, labels).values
    if values is None:
        return None
    names, label = np.unique(labels.astype(str), return_inverse=True)
    marks: dict[str, set[tuple[str, ...]]] = {}
    for row, code in zip(*_beside(table_of(label, codes_of(values))).nonzero(), strict=True):
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


def judge_condition(column: pd.Series, labels: np.ndarray) -> Judged:
    """Every condition has several perturbations, and most perturbations have several conditions."""
    values = text_of(column)
    n = len(values.cat.categories)
    if n < 2:
        return Judged(None, "all cells have the same value")
    names, perturbation = np.unique(labels.astype(str), return_inverse=True)
    beside = _beside(table_of(codes_of(values), perturbation))[:, names != keys.CONTROL]
    per_value, per_label = (np.asarray(beside.sum(axis=axis)).ravel() for axis in (1, 0))
    if not (per_label > 1).any() or (per_value > 1).sum() < 2:
        return Judged(None, "it is not crossed with the perturbations: none is seen under two of its values")
    if not (per_value > 1).all() or (per_label > 1).mean() < 0.5:
        why = "some values have a single perturbation, or most perturbations are seen under one value only"
        return Judged(values, why, unasked=False, told=True)
    if n > MOST_CONDITIONS:
        why = f"it has {n:,} values, more than the {MOST_CONDITIONS} that are taken unasked"
        return Judged(values, why, unasked=False, told=True)
    controls = np.bincount(codes_of(values)[labels == keys.CONTROL], minlength=n)
    empty = [str(name) for name, cells in zip(values.cat.categories, controls, strict=True) if not cells]
    return Judged(values, f"no control cells under {', '.join(empty)}" if empty else "")


def judge_size_factor(column: pd.Series, totals: np.ndarray) -> Judged:
    """The counts of the whole transcriptome are positive and never fewer than those that the file holds."""
    import pandas as pd

    if pd.api.types.is_bool_dtype(column):
        return Judged(None, "it does not hold numbers", told=True)
    as_text = not pd.api.types.is_numeric_dtype(column)
    read: Any = pd.to_numeric(column.astype(object), errors="coerce") if as_text else column
    numbers = read.astype("Float64").to_numpy(dtype=np.float64, na_value=np.nan)
    known = np.isfinite(numbers) & (numbers > 0)
    missing = int((~known).sum())
    if not known.any():
        return Judged(None, "it does not hold numbers above zero", told=True)
    if missing > MOST_MISSING * len(numbers):
        why = f"{missing / len(numbers):.0%} of the cells have no number above zero there"
        return Judged(None, why, told=True)
    ratio = numbers[known] / np.maximum(totals[known], 1.0)
    fewer = float((ratio < 1.0).mean())
    if fewer > FEWER_THAN_HELD:
        why = f"{fewer:.0%} of the cells have fewer counts there than in the file itself"
        return Judged(None, why, told=True)
    numbers[~known] = totals[~known] * np.median(ratio)
    values = pd.Series(numbers, index=column.index, name=column.name)
    if np.median(ratio) <= WHOLE_LIBRARY:
        return Judged(values, "it holds about the counts of the file itself", unasked=False)
    if not missing:
        return Judged(values)
    have, their = ("has", "its") if missing == 1 else ("have", "their")
    return Judged(
        values,
        f"{counted(missing, 'cell')} {have} no number above zero there, and {their} counts in the file times "
        f"{np.median(ratio):.3g}, the median over the others, are taken",
    )
