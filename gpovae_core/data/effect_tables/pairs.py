"""From the rows of a long table to a matrix, perturbation by gene."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import numpy as np

from gpovae_core.data.effect_tables import known
from gpovae_core.data.effect_tables.choose import Source, best_pair, given, unit_of
from gpovae_core.data.effect_tables.errors import standard_errors
from gpovae_core.data.effect_tables.known import EffectColumns, all_of
from gpovae_core.data.effect_tables.long import MISSING, Long, read_long
from gpovae_core.data.effect_tables.report import LISTED, Raw, check_size
from gpovae_core.data.files import refuse


def from_table(path: Path, columns: EffectColumns) -> Raw:
    long, effect, source = read_long(path, columns, needs_label=True)
    rows = candidates(long, known.PERTURBATIONS, columns.perturbation, path.name)
    genes = candidates(long, known.GENES, columns.gene, path.name)
    if rows == genes and len(rows) == 1:
        _no_column(long, known.PERTURBATIONS, path.name)
    i, j = best_pair(
        [(name, long.text[name][0]) for name in rows], [(name, long.text[name][0]) for name in genes]
    )
    pair = (rows[i], genes[j])
    told = columns.perturbation is not None or columns.gene is not None
    if not told and {known.plain_name(name) for name in pair} in known.EITHER_WAY:
        # fewer genes are perturbed than measured
        first, second = (len(long.text[name][0]) for name in pair)
        pair = (pair[1], pair[0]) if first > second else pair
    return raw_of_long(
        "a table",
        path.name,
        long,
        pair,
        effect,
        source,
        columns,
        [path.name] * len(long.lines),
    )


def candidates(long: Long, wanted: Sequence[str], told: str | None, file: str) -> list[str]:
    if told is not None:
        return [given(long.names, told, file)]
    found = [name for name in all_of(long.names, wanted) if name in long.text]
    if not found:
        _no_column(long, wanted, file)
    return found


def _no_column(long: Long, wanted: Sequence[str], file: str) -> NoReturn:
    what = "perturbed gene" if wanted is known.PERTURBATIONS else "measured gene"
    option = f"effects.{'perturbation' if wanted is known.PERTURBATIONS else 'gene'}_column"
    refuse(
        f"no-{what.replace(' ', '-')}",
        f"'{file}' has no column that names the {what} of a row; its columns are "
        f"{', '.join(long.names)[:300]}.",
        f"Call it {wanted[0]}, or name it by {option}; tables of one perturbation each go into one "
        "folder, named after the perturbation.",
    )


def raw_of_long(
    form: str,
    name: str,
    long: Long,
    ends: tuple[str, str],
    effect: str,
    source: Source,
    columns: EffectColumns,
    files: list[str],
) -> Raw:
    unit, why, notes = unit_of(effect, long.names, columns.unit, name)
    (labels, rows), (genes, places) = (long.text[end] for end in ends)
    _check_named(name, long, ends, files)
    check_size(name, len(labels), len(genes))
    _check_once(name, long, ends, files)
    error, words, more = standard_errors(
        long.numbers[effect], source, [long.numbers[one] for one in source.names]
    )
    matrices = []
    for values in (long.numbers[effect], error):
        whole = np.full((len(labels), len(genes)), np.nan)
        whole[rows, places] = values
        matrices.append(whole)
    return Raw(
        form,
        list(labels),
        list(genes),
        matrices[0],
        matrices[1],
        ends[0],
        ends[1],
        effect,
        words,
        unit,
        why,
        [*notes, *more],
    )


def _check_named(name: str, long: Long, ends: tuple[str, str], files: list[str]) -> None:
    """Raises DataError for rows without a perturbation or a gene."""
    for end, (values, which) in ((end, long.text[end]) for end in ends):
        blank = np.isin(which, [i for i, value in enumerate(values) if value.casefold() in MISSING - {"-"}])
        blank &= ~np.isin(which, [i for i, value in enumerate(values) if value in ("NA", "NULL")])
        if blank.any():
            refuse(
                "missing-names",
                f"'{name}': {int(blank.sum()):,} rows have no name in the column {end} ("
                f"{_where(files, long.lines, np.flatnonzero(blank))}).",
                "Fill in the gene, or delete the rows.",
            )


def _check_once(name: str, long: Long, ends: tuple[str, str], files: list[str]) -> None:
    """Raises DataError for pairs that have several rows."""
    (labels, rows), (genes, places) = (long.text[end] for end in ends)
    pair = rows * len(genes) + places
    order = np.argsort(pair, kind="stable")
    again = order[1:][pair[order][1:] == pair[order][:-1]]
    if len(again):
        first = again[:LISTED]
        listed = ", ".join(f"{labels[rows[k]]} -> {genes[places[k]]}" for k in first)
        refuse(
            "duplicate-pairs",
            f"'{name}' lists {len(again):,} pairs of a perturbation and a gene more than once: {listed} "
            f"({_where(files, long.lines, first)}).",
            "Keep one row for each pair: choose one contrast, combine the guides of a gene, or name the "
            "column that tells the rows apart by effects.perturbation_column or effects.gene_column.",
        )


def _where(files: list[str], lines: np.ndarray, rows: np.ndarray) -> str:
    several = len(set(files)) > 1
    said = [f"{files[k]} line {lines[k]:,}" if several else f"line {lines[k]:,}" for k in rows[:LISTED]]
    return ", ".join(said) + (f" and {len(rows) - LISTED:,} more" if len(rows) > LISTED else "")
