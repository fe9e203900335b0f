"""Effects that another program predicted: read, checked in words, and brought to the perturbations and genes
of a run.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from gpovae_core.data.schema import PreparedCells
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.listing import listed

EXPECTED = (
    "Expected a CSV or tab-separated table: a header with the genes, one perturbation a line with its name "
    "first, values in log2(counts per 10,000 + 1) against control."
)


def read_effect_table(path: Path) -> pd.DataFrame:
    """(perturbations x genes) from a text table, float, all finite.

    Raises QueryError that says what is wrong and in which line: no such file, not a table, uneven lines,
    names twice or missing, values that are no finite number.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise QueryError(f"There is no table of effects '{path}'.") from None
    except OSError as error:
        why = error.strerror or error
        raise QueryError(f"The table of effects '{path}' cannot be read: {why}.") from error
    except UnicodeDecodeError:
        raise QueryError(f"'{path.name}' is not a text file. {EXPECTED}") from None
    tab = "\t" if lines and "\t" in lines[0] else ","
    try:
        rows = [(number, row) for number, row in enumerate(csv.reader(lines, delimiter=tab), start=1) if row]
    except csv.Error as error:
        raise QueryError(f"'{path.name}' is not a table that can be read ({error}). {EXPECTED}") from error
    if len(rows) < 2 or len(rows[0][1]) < 2:
        raise QueryError(f"'{path.name}' holds no effects. {EXPECTED}")
    genes = [name.strip() for name in rows[0][1][1:]]
    names, values = [], np.empty((len(rows) - 1, len(genes)))
    for place, (number, row) in enumerate(rows[1:]):
        if len(row) != len(genes) + 1:
            raise QueryError(
                f"Line {number} of '{path.name}' has {len(row):,} fields, its first {len(genes) + 1:,}. "
                f"{EXPECTED}"
            )
        names.append(row[0].strip())
        values[place] = _numbers(row[1:], genes, f"Line {number} of '{path.name}' ({row[0]!r:.60})")
    for what, found in (("gene", genes), ("perturbation", names)):
        index = pd.Index(found)
        if "" in found or index.has_duplicates:
            which = "an empty name" if "" in found else f"{index[index.duplicated()][0]!r:.60} twice"
            raise QueryError(f"'{path.name}' has {which} among its {what}s. {EXPECTED}")
    return pd.DataFrame(values, index=pd.Index(names), columns=pd.Index(genes))


def _numbers(fields: Sequence[str], genes: Sequence[str], where: str) -> np.ndarray:
    try:
        found = np.array(fields, dtype=np.float64)
    except ValueError:
        found = np.full(len(fields), np.nan)
        for place, field in enumerate(fields):
            try:
                found[place] = float(field)
            except ValueError:
                break
    wrong = np.flatnonzero(~np.isfinite(found))
    if len(wrong):
        raise QueryError(
            f"{where} has {fields[wrong[0]]!r:.40} for {genes[wrong[0]]!r:.60}, which is no finite number. "
            "Write 0 where no change is predicted, or leave the perturbation out."
        )
    return found


def _canonical(prepared: PreparedCells, name: str) -> str:
    try:
        return prepared.panel.canonical(name)
    except QueryError:  # no gene of the run: not one of its perturbations
        return name


def of_this_run(table: pd.DataFrame, prepared: PreparedCells) -> tuple[pd.DataFrame, list[str]]:
    """The table with the names and all measured genes of a run, and notes on what was left out.

    Genes of a combination may stand in any order. Raises QueryError where a measured gene is missing or no
    perturbation is one of the run's.
    """
    genes = prepared.cells.var_names
    missing = genes.difference(table.columns)
    if len(missing):
        raise QueryError(
            f"The table lacks {len(missing):,} of the {len(genes):,} measured genes: {listed(missing)}. "
            "Scores are over all of them; write 0 where no change is predicted."
        )
    names = pd.Index([_canonical(prepared, str(name)) for name in table.index])
    if names.has_duplicates:
        raise QueryError(f"The table has {names[names.duplicated()][0]!r:.60} twice, in two spellings.")
    renamed = table.set_axis(names, axis=0)
    known = pd.Index(prepared.perturbations)
    others = names.difference(known)
    if len(others) == len(names):
        raise QueryError(
            f"None of the {len(names):,} perturbations of the table is in this run: {listed(others)}. "
            f"The run has {listed(known)}."
        )
    notes = [f"Not in this run, and left out: {listed(others)}."] if len(others) else []
    return renamed.loc[names.isin(known), genes], notes
