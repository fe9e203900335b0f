"""Long tables of effects, a row for each pair of a perturbation and a gene: their columns out of text and
parquet.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from gpovae_core.data.effect_tables import known
from gpovae_core.data.effect_tables.choose import Source, error_source, given
from gpovae_core.data.effect_tables.known import EffectColumns, all_of, first_of
from gpovae_core.data.effect_tables.report import LISTED
from gpovae_core.data.files import first_line, refuse, start_of
from gpovae_core.data.text_tables import NotATable, open_table

MOST_BYTES = 8_000_000_000
MISSING = {"", "na", "nan", "none", "null", "n/a", "#n/a", "<na>", ".", "-"}
PARQUET = b"PAR1"


@dataclass
class Long:
    """A long table, k rows. text: column -> (distinct values, (k,) which); numbers: column -> (k,); lines:
    (k,) of the file.
    """

    names: list[str]
    text: dict[str, tuple[list[str], np.ndarray]]
    numbers: dict[str, np.ndarray]
    lines: np.ndarray


def read_long(path: Path, columns: EffectColumns, needs_label: bool) -> tuple[Long, str, Source]:
    """The columns of a table that matter, its effect and where its errors come from."""
    if start_of(path, 4) == PARQUET:
        names, rows = parquet_columns(path), None
    else:
        try:
            table = open_table(path, MOST_BYTES)
            names, rows = list(table.header), table
        except NotATable as error:
            refuse(
                "not-a-table",
                f"'{path.name}' {error}.",
                "Give a table of text (CSV, TSV), a parquet file, or an .h5ad with layers of effects.",
            )
    names = [name if name else "(row names)" for name in names]
    effect = given(names, columns.effect, path.name) if columns.effect is not None else known.effect_of(names)
    if effect is None:
        linear = first_of(names, known.LINEAR)
        refuse(
            "no-effects",
            f"'{path.name}' has no column of log fold changes; its columns are {', '.join(names)[:300]}.",
            f"'{linear}' is not a logarithm: write log2 of it as log2fc, with its standard error."
            if linear
            else "Call it log2fc, or name it by effects.effect_column. (A matrix of effects has no errors "
            "beside them: write it as a long table, one row for each pair, or as an AnnData with layers.)",
        )
    source = error_source(names, columns.error, path.name)
    wanted = (*known.PERTURBATIONS, *known.GENES, "row_names")
    text = [name for name in all_of(names, wanted) if name not in (effect, *source.names)]
    for told in (columns.perturbation, columns.gene):
        if told is not None and (needs_label or told is columns.gene):
            text.append(given(names, told, path.name))
    component = first_of(names, ("component",))
    text = _once([*text, *([component] if component else [])])
    numbers = _once([effect, *source.names])
    long = (
        columns_of_parquet(path, names, text, numbers)
        if rows is None
        else columns_of_text(path, names, rows.rows, text, numbers, rows.separator)
    )
    if component is not None and "logFC" in long.text[component][0]:
        long = _only(long, component, "logFC")  # MAST writes a row for each part of its model
    if not len(long.lines):
        refuse("no-effects", f"'{path.name}' has no rows.", "Check what wrote it.")
    return long, effect, source


def _once(names: Sequence[str]) -> list[str]:
    """Every name once, in their order."""
    found: list[str] = []
    for name in names:
        if name not in found:
            found.append(name)
    return found


def _only(long: Long, column: str, value: str) -> Long:
    values, codes = long.text[column]
    kept = codes == values.index(value)
    text = {}
    for name, (all_values, which) in long.text.items():
        present, again = np.unique(which[kept], return_inverse=True)
        text[name] = ([all_values[i] for i in present], again)
    return Long(long.names, text, {n: v[kept] for n, v in long.numbers.items()}, long.lines[kept])


def parquet_columns(path: Path) -> list[str]:
    import pyarrow.parquet as pq

    try:
        return [str(name) for name in pq.read_schema(path).names]
    except Exception as error:
        _no_parquet(path, error)


def _no_parquet(path: Path, error: Exception) -> NoReturn:
    refuse(
        "file-damaged",
        f"'{path.name}' cannot be read as a parquet file ({first_line(error)}).",
        "Copy or write it again.",
    )


def columns_of_parquet(path: Path, names: list[str], text: list[str], numbers: list[str]) -> Long:
    import pandas as pd
    import pyarrow.parquet as pq

    try:
        frame = pq.read_table(path, columns=[*text, *numbers]).to_pandas(ignore_metadata=True)
    except Exception as error:
        _no_parquet(path, error)
    found = {}
    for name in text:
        codes, values = pd.factorize(frame[name].astype(object).where(frame[name].notna(), ""), sort=False)
        found[name] = ([str(value).strip() for value in values], np.asarray(codes, dtype=np.int64))
    values = {}
    for name in numbers:
        converted: Any = pd.to_numeric(frame[name], errors="coerce")
        odd = frame[name][converted.isna() & frame[name].notna()]
        odd = [value for value in odd if str(value).strip().casefold() not in MISSING]
        if len(odd):
            _not_numbers(path.name, name, [f"'{str(value)[:40]}'" for value in odd])
        values[name] = np.asarray(converted, dtype=np.float64)
    return Long(names, found, values, np.arange(1, len(frame) + 1))


def columns_of_text(
    path: Path, names: list[str], rows: Any, text: list[str], numbers: list[str], separator: str
) -> Long:
    """Read row by row, so that an error can name its line."""
    places = [names.index(name) for name in text], [names.index(name) for name in numbers]
    values: list[dict[str, int]] = [{} for _ in text]
    codes, found = [array("q") for _ in text], [array("d") for _ in numbers]
    lines, bad = array("q"), [[] for _ in numbers]
    try:
        for line, row in rows:
            if len(row) != len(names):
                refuse(
                    "uneven-table",
                    f"'{path.name}', line {line:,}: {len(row)} fields, but {len(names)} expected.",
                    "Write all lines alike.",
                )
            lines.append(line)
            for place, known_values, column in zip(places[0], values, codes, strict=True):
                name = row[place].strip()
                column.append(known_values.setdefault(name, len(known_values)))
            for place, column, odd in zip(places[1], found, bad, strict=True):
                cell = row[place]
                try:
                    column.append(float(cell))
                except ValueError:
                    column.append(_number(cell, separator, odd, line))
    except NotATable as error:
        refuse("not-a-table", f"'{path.name}' {error}.", "Write it again.")
    for name, odd in zip(numbers, bad, strict=True):
        if odd:
            _not_numbers(path.name, name, odd)
    return Long(
        names,
        {
            name: (list(seen), np.frombuffer(column, dtype=np.int64) if len(column) else np.zeros(0, int))
            for name, seen, column in zip(text, values, codes, strict=True)
        },
        {
            name: np.frombuffer(column, dtype=np.float64) if len(column) else np.zeros(0)
            for name, column in zip(numbers, found, strict=True)
        },
        np.frombuffer(lines, dtype=np.int64) if len(lines) else np.zeros(0, int),
    )


def _number(cell: str, separator: str, odd: list[str], line: int) -> float:
    text = cell.strip().strip('"')
    if text.casefold() in MISSING:
        return float("nan")
    if separator == ";" and "," in text:  # where it separates fields, a comma is the decimal point
        try:
            return float(text.replace(",", "."))
        except ValueError:
            pass
    odd.append(f"'{text[:40]}' in line {line:,}")
    return float("nan")


def _not_numbers(file: str, column: str, odd: list[str]) -> NoReturn:
    more = f" and {len(odd) - LISTED:,} more" if len(odd) > LISTED else ""
    refuse(
        "not-numbers",
        f"'{file}': the column {column} holds {', '.join(odd[:LISTED])}{more}, which is no number.",
        "Give numbers with a decimal point; leave the cell empty, or write NA, where nothing was measured.",
    )
