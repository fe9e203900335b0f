"""Gene names: symbols from the index of var or a column of it, Ensembl ids kept beside them."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from gpovae_core.data.decisions import Decision, Option
from gpovae_core.data.labels.dates import date_in, genes_of_date, other_names
from gpovae_core.data.labels.names import ENSEMBL
from gpovae_core.data.labels.text import text_of_value
from gpovae_core.data.wording import counted
from gpovae_core.errors import Problem

if TYPE_CHECKING:
    import pandas as pd

_SYMBOL_COLUMNS = (
    "gene_symbol",
    "gene_symbols",
    "gene_name",
    "gene_names",
    "symbol",
    "feature_name",
    "gene_short_name",
    "hgnc_symbol",
    "external_gene_name",  # Ensembl's BioMart
    "genesymbol",
    "genename",
    "name",
    "gene",
)
_ID_COLUMNS = ("gene_ids", "gene_id", "ensembl_id", "ensembl_ids", "ensembl", "ensemblid", "ensg")


@dataclass(frozen=True)
class GeneNames:
    """names: one per column of counts, unique; ids: symbol -> Ensembl id where the file has one; decision:
    where the names come from, None where there was nothing to decide.
    """

    names: list[str]
    ids: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    decision: Decision | None = None

    @property
    def usable(self) -> bool:
        return not any(problem.severity == "error" for problem in self.problems)


def find_gene_names(
    var: pd.DataFrame, symbol_column: str | None, totals: np.ndarray | None = None
) -> GeneNames:
    """Symbols of the genes in `var`.

    Where the index holds Ensembl ids and a column the symbols, the symbols are used and the ids kept; a gene
    without a symbol keeps its id. Of several genes with one symbol the one with the lowest Ensembl id gets
    it, which is that of the reference assembly beside its alternative loci; without Ensembl ids the one with
    more counts (totals, (n_vars,)). A symbol_column is taken whatever the index holds.
    """
    index = _text(var.index)
    columns = _symbol_columns(var)
    if symbol_column is not None and (var.columns == symbol_column).sum() != 1:
        known = ", ".join(map(str, var.columns)) or "none"
        message = f"symbol_column is '{symbol_column}', but var has no such column; it has: {known}."
        problem = Problem("symbol-column-missing", message, "Choose one of them, or leave it out.")
        return GeneNames(
            index,
            problems=[problem],
            decision=symbols_decision("", "there is no such column", columns, asked=True),
        )
    from_index = _share_ensembl(index)
    faults = _index_problems(index)
    if faults and symbol_column is None:
        if not columns:
            return GeneNames(index, problems=faults)
        hint = f"Or set symbol_column: the column '{columns[0]}' of var seems to hold names."
        faults[0] = replace(faults[0], hint=f"{faults[0].hint} {hint}".strip())
        return GeneNames(
            index,
            problems=faults,
            decision=symbols_decision("", "the index of var cannot name the genes", columns, asked=True),
        )
    column = symbol_column or (columns[0] if from_index > 0.5 and columns else None)
    if column is not None:
        why = "as chosen" if symbol_column else "the index holds Ensembl ids"
        found = _from_column(index, _text(var[column]), str(column), totals)
        return replace(found, decision=symbols_decision(f"column '{column}' of var", why, columns))
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
    decision = symbols_decision("index of var", "it holds names", columns) if columns else None
    return GeneNames(index, ids=_ids_beside(var, index), decision=decision)


def symbols_decision(taken: str, why: str, columns: Sequence[str], asked: bool = False) -> Decision:
    """Which column of var names the genes. columns: those that could."""
    options = tuple(Option(value=name, text=f"column '{name}' of var") for name in columns)
    return Decision(
        setting="symbol_column", about="Gene names", taken=taken, why=why, options=options, asked=asked
    )


def described_genes(genes: pd.DataFrame, var: pd.DataFrame) -> pd.DataFrame:
    """`genes` with the columns that only `var` has, by index: raw often comes without the symbols of its
    genes. Genes that `var` lacks have none.
    """
    more = [name for name in var.columns if name not in genes.columns]
    if genes is var or not more or not var.index.is_unique or not genes.index.isin(var.index).any():
        return genes
    return genes.join(var[more])


def restore_dates(names: GeneNames, wanted: Callable[[], Collection[str]]) -> GeneNames:
    """Genes that a spreadsheet named by a date (1-Mar) get the symbol that labels use, where only one gene of
    those that become this date is among them; the others are listed in a warning.

    wanted: gives the words of the labels; it is asked only where a gene is named by a date.
    """
    dated = [name for name in names.names if date_in(name)]
    if not dated:
        return names
    by_fold = {word.casefold(): word for word in wanted()}
    taken = {name.casefold() for name in names.names}
    new: dict[str, str] = {}
    for name in dated:
        fits = [symbol for symbol in genes_of_date(name) if symbol.casefold() in by_fold]
        same = {frozenset({symbol, *other_names(symbol)}) for symbol in fits}
        if len(same) == 1 and dated.count(name) == 1 and not any(s.casefold() in taken for s in fits):
            new[name] = by_fold[fits[0].casefold()]
    notes = list(names.notes)
    if new:
        shown = ", ".join(f"'{old}' is {symbol}" for old, symbol in sorted(new.items())[:4])
        notes.append(f"Genes named by spreadsheet dates have the names that labels tell: {shown}.")
    left = [name for name in dated if name not in new]
    problems = list(names.problems)
    if left:
        message = (
            f"Genes are named by dates, as a spreadsheet makes them of names such as MARCH1 and SEPT2: "
            f"{', '.join(left[:4])}{', ...' if len(left) > 4 else ''}."
        )
        hint = "Restore their names from the Ensembl ids, or from the table that the file was made of."
        problems.append(Problem("genes-are-dates", message, hint, "warning"))
    renamed = [new.get(name, name) for name in names.names]
    ids = {new.get(name, name): identifier for name, identifier in names.ids.items()}
    return replace(names, names=renamed, ids=ids, problems=problems, notes=notes)


def _text(values: Any) -> list[str]:
    """An index or a column as stripped text; "" for a missing value."""
    import pandas as pd

    missing = pd.isna(values)
    return [
        "" if gone else text_of_value(value) for value, gone in zip(values, np.asarray(missing), strict=True)
    ]


def _share_ensembl(names: Sequence[str]) -> float:
    return sum(ENSEMBL.fullmatch(name) is not None for name in names) / max(1, len(names))


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


def _symbol_columns(var: pd.DataFrame) -> list[str]:
    """Columns of var that hold symbols, by their usual names in the order of these."""
    by_name = {re.sub(r"[\s.\-]+", "_", str(column)).casefold(): str(column) for column in var.columns}
    found = [by_name[wish] for wish in _SYMBOL_COLUMNS if wish in by_name]
    return [name for name in found if (var.columns == name).sum() == 1 and _holds_names(_text(var[name]))]


def _holds_names(values: Sequence[str]) -> bool:
    filled = [value for value in values if value]
    return bool(filled) and _share_ensembl(filled) < 0.5 and not all(value.isdigit() for value in filled)


def _from_column(ids: list[str], symbols: list[str], column: str, totals: np.ndarray | None) -> GeneNames:
    weight = np.zeros(len(ids)) if totals is None else totals
    by_ids = _share_ensembl(ids) > 0.5
    order = sorted(  # ids break ties: file order must not matter
        range(len(ids)), key=lambda i: (ids[i], -weight[i]) if by_ids else (-weight[i], ids[i])
    )
    best: dict[str, int] = {}
    for i in order:
        if symbols[i]:
            best.setdefault(symbols[i], i)
    own = _own_names(ids, symbols, order)
    names = [symbol if symbol and best[symbol] == i else own[i] for i, symbol in enumerate(symbols)]
    unnamed = sum(not symbol for symbol in symbols)
    notes = [
        f"Gene symbols come from the column '{column}' of var"
        + ("; the ids of the index are kept beside them." if by_ids else ".")
    ]
    if unnamed:
        notes.append(f"Without a symbol, and so named by the index: {counted(unnamed, 'gene')}.")
    problems = _shared_symbols(names, symbols, own, best, weight, by_ids)
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
    beside = {n: i for n, i in zip(names, ids, strict=True) if n != i and ENSEMBL.fullmatch(i)}
    return GeneNames(names, beside, problems, notes)


def _own_names(ids: list[str], symbols: list[str], order: Sequence[int]) -> list[str]:
    """What a gene is called that does not get its symbol: its name in the index where it is the only one of
    this name, else the symbol with a number.
    """
    repeated = set(_repeated(ids))
    names = list(ids)
    copies: dict[str, int] = {}
    for i in order:
        if ids[i] in repeated or not ids[i] or ids[i].isdigit():
            stem = symbols[i] or f"unnamed {ids[i]}".strip()
            copies[stem] = copies.get(stem, 0) + 1
            names[i] = f"{stem} (copy {copies[stem]})"
    return names


def _shared_symbols(
    names: Sequence[str],
    symbols: Sequence[str],
    own: Sequence[str],
    best: dict[str, int],
    weight: np.ndarray,
    by_ids: bool,
) -> list[Problem]:
    """The warning that names every symbol that several genes have, and these genes with their counts."""
    others: dict[str, list[int]] = {}
    for i, symbol in enumerate(symbols):
        if symbol and best[symbol] != i:
            others.setdefault(symbol, []).append(i)
    if not others:
        return []
    shown = [
        f"{symbol} is {own[best[symbol]]} ({weight[best[symbol]]:,.0f} counts), beside "
        + ", ".join(f"{names[i]} ({weight[i]:,.0f} counts)" for i in copies)
        for symbol, copies in sorted(others.items())[:4]
    ]
    rule = "the lowest Ensembl id" if by_ids else "more counts"
    message = (
        f"{counted(len(others), 'symbol')} of several genes; the one with {rule} keeps it: {'; '.join(shown)}"
        f"{'; ...' if len(others) > 4 else ''}."
    )
    hint = "Check which of them the guides target; a label may also be an Ensembl id."
    return [Problem("shared-symbols", message, hint, "warning")]


def _ids_beside(var: pd.DataFrame, names: list[str]) -> dict[str, str]:
    """Ensembl ids of a column of var; numbers of other databases are no ids of this kind."""
    by_name = {str(column).casefold(): column for column in var.columns}
    for wish in _ID_COLUMNS:
        if wish in by_name and (var.columns == by_name[wish]).sum() == 1:
            found = _text(var[by_name[wish]])
            if _share_ensembl(found) > 0.5:
                pairs = zip(names, found, strict=True)
                return {name: one for name, one in pairs if one != name and ENSEMBL.fullmatch(one)}
    return {}
