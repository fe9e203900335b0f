"""Gene names: symbols from the index of var or a column of it, Ensembl ids kept beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from gpovae_core.data.wording import counted
from gpovae_core.errors import Problem

if TYPE_CHECKING:
    import pandas as pd

_ENSEMBL = r"^ENS[A-Z]*G\d{6,}(\.\d+)?$"
_SYMBOL_COLUMNS = (
    "gene_symbol",
    "gene_symbols",
    "gene_name",
    "gene_names",
    "symbol",
    "feature_name",
    "gene_short_name",
    "hgnc_symbol",
    "genesymbol",
    "genename",
    "name",
    "gene",
)
_ID_COLUMNS = ("gene_ids", "gene_id", "ensembl_id", "ensembl_ids", "ensembl", "ensemblid", "ensg")


@dataclass(frozen=True)
class GeneNames:
    """names: one per column of counts, unique; ids: symbol -> Ensembl id where the file has one."""

    names: list[str]
    ids: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        return not any(problem.severity == "error" for problem in self.problems)


def find_gene_names(
    var: pd.DataFrame, symbol_column: str | None, totals: np.ndarray | None = None
) -> GeneNames:
    """Symbols of the genes in `var`.

    Where the index holds Ensembl ids and a column the symbols, the symbols are used and the ids kept; a gene
    without a symbol keeps its id. Where two ids share a symbol, the one with more counts (totals, (n_vars,))
    gets it.
    """
    index = _text(var.index)
    problems = _index_problems(index)
    if problems:
        return GeneNames(index, problems=problems)
    if symbol_column is not None and symbol_column not in var.columns:
        known = ", ".join(map(str, var.columns)) or "none"
        message = f"symbol_column is '{symbol_column}', but var has no such column; it has: {known}."
        return GeneNames(
            index,
            problems=[Problem("symbol-column-missing", message, "Choose one of them, or leave it out.")],
        )
    from_index = _share_ensembl(index)
    column = symbol_column or (_find_symbols(var) if from_index > 0.5 else None)
    if column is not None:
        return _from_column(index, _text(var[column]), str(column), totals)
    if from_index > 0.5:
        message = (
            "Genes are named by Ensembl ids and no column of var holds their symbols; ids are shown "
            "instead of names."
        )
        hint = (
            "Put the symbols in a column of var called 'gene_symbol'; perturbation labels must otherwise "
            "be Ensembl ids too."
        )
        return GeneNames(index, problems=[Problem("ensembl-ids-only", message, hint, "warning")])
    return GeneNames(index, ids=_ids_beside(var, index))


def _text(values: Any) -> list[str]:
    """An index or a column as stripped text; "" for a missing value."""
    import pandas as pd

    missing = pd.isna(values)
    return [
        "" if gone else str(value).strip() for value, gone in zip(values, np.asarray(missing), strict=True)
    ]


def _share_ensembl(names: Sequence[str]) -> float:
    import re

    return sum(bool(re.match(_ENSEMBL, name)) for name in names) / max(1, len(names))


def _index_problems(names: list[str]) -> list[Problem]:
    problems = []
    missing = sum(name in ("", "nan", "NaN", "None") for name in names)
    if missing:
        message = f"{missing:,} of {counted(len(names), 'gene')} without a name in the index of var."
        problems.append(Problem("gene-names-missing", message, "Name them, or remove these columns."))
    elif all(name.isdigit() for name in names):
        message = f"Genes are called {', '.join(names[:3])}, ...: these are numbers, not gene names."
        problems.append(Problem("gene-names-missing", message, "Set `adata.var_names` to the gene symbols."))
    repeated = _repeated([name for name in names if name])
    if repeated:
        shown = ", ".join(repeated[:4])
        message = (
            f"Every gene needs a name of its own; {counted(len(repeated), 'name')} used more than once, "
            f"e.g. {shown}."
        )
        hint = (
            "Keep one column of each, add their counts, or rename them with `adata.var_names_make_unique()`."
        )
        problems.append(Problem("duplicate-gene-names", message, hint))
    return problems


def _repeated(names: Sequence[str]) -> list[str]:
    seen: set[str] = set()
    return sorted({name for name in names if name in seen or seen.add(name)})  # type: ignore[func-returns-value]


def _find_symbols(var: pd.DataFrame) -> str | None:
    by_name = {str(column).casefold(): column for column in var.columns}
    for wish in _SYMBOL_COLUMNS:
        if wish in by_name and _share_ensembl(_text(var[by_name[wish]])) < 0.5:
            return by_name[wish]
    return None


def _from_column(ids: list[str], symbols: list[str], column: str, totals: np.ndarray | None) -> GeneNames:
    weight = np.zeros(len(ids)) if totals is None else totals
    best: dict[str, int] = {}
    for i in sorted(
        range(len(ids)), key=lambda i: (-weight[i], ids[i])
    ):  # ids break ties: file order must not matter
        if symbols[i]:
            best.setdefault(symbols[i], i)
    names = [symbol if symbol and best[symbol] == i else ids[i] for i, symbol in enumerate(symbols)]
    unnamed = sum(not symbol for symbol in symbols)
    shared = sum(bool(symbol) and best[symbol] != i for i, symbol in enumerate(symbols))
    notes = [
        f"Gene symbols come from the column '{column}' of var; the ids of the index are kept beside them."
    ]
    if unnamed:
        notes.append(f"Without a symbol, and so named by the id: {counted(unnamed, 'gene')}.")
    problems = []
    if shared:
        message = (
            f"{counted(shared, 'gene')} with the symbol of another gene that has more counts: named by the "
            "id instead."
        )
        problems.append(Problem("shared-symbols", message, severity="warning"))
    repeated = _repeated(names)  # a symbol that is another gene's id
    if repeated:
        message = (
            f"The column '{column}' of var gives {counted(len(repeated), 'name')} twice, e.g. "
            f"{', '.join(repeated[:4])}."
        )
        problems.append(
            Problem(
                "duplicate-gene-names", message, "Make the symbols unique, or choose another symbol_column."
            )
        )
    return GeneNames(names, {n: i for n, i in zip(names, ids, strict=True) if n != i}, problems, notes)


def _ids_beside(var: pd.DataFrame, names: list[str]) -> dict[str, str]:
    by_name = {str(column).casefold(): column for column in var.columns}
    column = next((by_name[wish] for wish in _ID_COLUMNS if wish in by_name), None)
    if column is None:
        return {}
    return {
        name: found for name, found in zip(names, _text(var[column]), strict=True) if found and found != name
    }
