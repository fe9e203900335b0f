"""A folder with one table of effects for each perturbation, named after it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gpovae_core.data.effect_tables import known
from gpovae_core.data.effect_tables.choose import Source, best_pair
from gpovae_core.data.effect_tables.known import EffectColumns
from gpovae_core.data.effect_tables.long import Long, read_long
from gpovae_core.data.effect_tables.pairs import candidates, raw_of_long
from gpovae_core.data.effect_tables.report import Raw
from gpovae_core.data.files import refuse
from gpovae_core.data.text_tables import stem_of

ENDINGS = (".csv", ".tsv", ".tab", ".txt")
PACKED = (*ENDINGS, *(f"{ending}.gz" for ending in ENDINGS), ".parquet")
_OF_FILE = "the name of the file"


def from_folder(path: Path, columns: EffectColumns) -> Raw:
    """One table for each perturbation, named after it."""
    files = tables_in(path)
    if not files:
        refuse(
            "no-tables",
            f"The folder '{path.name}' holds no tables ({', '.join(PACKED)}).",
            "Give a folder with one table of effects for each perturbation, named after it.",
        )
    labels = _labels_of([stem_of(file.name) for file in files])
    parts = [read_long(file, columns, needs_label=False) for file in files]
    _check_alike(path, files, parts)
    genes = [
        candidates(long, known.GENES, columns.gene, file.name)
        for (long, _, _), file in zip(parts, files, strict=True)
    ]
    first, effect, source = parts[0]
    _, j = best_pair([(_OF_FILE, labels)], [(name, first.text[name][0]) for name in genes[0]])
    gene = genes[0][j]
    for file, have in zip(files, genes, strict=True):
        if gene not in have:
            refuse(
                "different-tables", f"'{file.name}' has no column '{gene}' as the others.", "Write all alike."
            )
    whole = _joined([long for long, _, _ in parts], gene, labels)
    of_row = [
        file.name for file, (long, _, _) in zip(files, parts, strict=True) for _ in range(len(long.lines))
    ]
    return raw_of_long(
        "a folder of tables", path.name, whole, (_OF_FILE, gene), effect, source, columns, of_row
    )


def _check_alike(path: Path, files: list[Path], parts: list[tuple[Long, str, Source]]) -> None:
    """Raises DataError where the tables keep their effects or errors in different columns."""
    _, effect, source = parts[0]
    for file, (_, own, errors) in zip(files, parts, strict=True):
        if (own, errors) != (effect, source):
            refuse(
                "different-tables",
                f"The tables of '{path.name}' have different columns: '{files[0].name}' has {effect} and "
                f"{', '.join(source.names)}, '{file.name}' has {own} and {', '.join(errors.names)}.",
                "Write all of them alike.",
            )


def _joined(parts: list[Long], gene: str, labels: list[str]) -> Long:
    """One table below the other. gene: their column of measured genes; labels: of each."""
    values: dict[str, int] = {}
    codes = []
    for long in parts:
        names, which = long.text[gene]
        codes.append(np.array([values.setdefault(n, len(values)) for n in names], dtype=np.int64)[which])
    sizes = [len(long.lines) for long in parts]
    text = {
        gene: (list(values), np.concatenate(codes)),
        _OF_FILE: (labels, np.repeat(np.arange(len(parts)), sizes)),
    }
    numbers = {name: np.concatenate([long.numbers[name] for long in parts]) for name in parts[0].numbers}
    return Long(parts[0].names, text, numbers, np.concatenate([long.lines for long in parts]))


def tables_in(path: Path) -> list[Path]:
    return sorted(
        file
        for file in path.iterdir()
        if file.is_file() and not file.name.startswith(".") and file.name.casefold().endswith(PACKED)
    )


def _labels_of(stems: Sequence[str]) -> list[str]:
    """What names of files do not have in common, cut where words end: SPI1 of DE_SPI1_vs_NT and
    DE_IRF1_vs_NT.
    """
    stems = [re.sub(r"\.parquet$", "", stem) for stem in stems]
    if len(stems) < 2:
        return list(stems)
    start = re.sub(r"[^_. -]*$", "", _shared_start(stems))
    end = re.sub(r"^[^_. -]*", "", _shared_start([stem[::-1] for stem in stems])[::-1])
    cut = [stem[len(start) : len(stem) - len(end)] for stem in stems]
    return cut if all(cut) else list(stems)


def _shared_start(names: Sequence[str]) -> str:
    first, last = min(names), max(names)
    length = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    return first[:length]
