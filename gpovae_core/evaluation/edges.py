"""Edge tables from elsewhere: read, checked in words, and turned into a network over the panel of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from gpovae_core import keys
from gpovae_core.data.schema import Panel, unknown_gene
from gpovae_core.data.text_tables import NotATable, open_table, plain_name
from gpovae_core.errors import QueryError
from gpovae_core.evaluation.adjacency import ENDING, read_adjacency

EXPECTED = (
    "Expected a table (commas, tabs or semicolons, gzip or not) with the columns source,target and, if there "
    "are any, weight; one edge a line."
)
MOST_BYTES = 1_000_000_000
LISTED = 5
"""At most so many bad lines or names are spelled out in a message."""


def read_edge_table(path: Path) -> pd.DataFrame:
    """Edges of a table, with any usual separator, packed with gzip or not: columns source, target and, where
    the file has it, weight; or of a matrix, see `adjacency.read_adjacency`.

    Raises QueryError that says what is wrong: no such file, not text, not a table, or anything
    `check_edge_table` finds.
    """
    path = Path(path)
    if path.suffix.casefold() == ENDING:
        return read_adjacency(path)
    try:
        table = open_table(path, MOST_BYTES, _names_ends)
        header, numbered = list(table.header), list(table.rows)
    except FileNotFoundError:
        raise QueryError(f"There is no edge table '{path}'.") from None
    except OSError as error:
        raise QueryError(f"The edge table '{path}' cannot be read: {error.strerror or error}.") from error
    except NotATable as error:
        raise QueryError(f"'{path.name}' {error}. {EXPECTED}") from error
    index = pd.Index([number for number, _ in numbered], name="line")
    filled = [row for _, row in numbered]
    uneven = np.array([len(row) != len(header) for row in filled], dtype=bool)
    _refuse(
        uneven,
        index,
        f"'{path.name}' has lines with more or fewer than the {len(header)} fields of its first",
        EXPECTED,
    )
    found = pd.DataFrame(filled, columns=pd.Index(header), index=index)
    if table.separator == ";":  # where it separates fields, a comma is the decimal point
        weights = [name for name in header if plain_name(name) == keys.WEIGHT]
        found[weights] = found[weights].map(lambda text: text.replace(",", "."))
    return check_edge_table(found, path.name)


def _names_ends(header: tuple[str, ...]) -> bool:
    return {keys.SOURCE, keys.TARGET} <= {plain_name(name) for name in header}


def check_edge_table(table: pd.DataFrame, name: str = "The edge table") -> pd.DataFrame:
    """The columns source, target and weight (float, where there is one) of `table`, names stripped; other
    columns are left out.

    Raises QueryError for missing or repeated columns, no rows, empty names, the same edge twice, or a weight
    that is no finite number.
    """
    names = [str(column).strip().casefold() for column in table.columns]
    repeated = [key for key in (keys.SOURCE, keys.TARGET, keys.WEIGHT) if names.count(key) > 1]
    if repeated:
        raise QueryError(f"'{name}' has the column {repeated[0]} more than once. {EXPECTED}")
    columns = dict(zip(names, table.columns, strict=True))
    missing = [column for column in (keys.SOURCE, keys.TARGET) if column not in columns]
    if missing:
        got = ", ".join(str(column) for column in table.columns)[:200]
        raise QueryError(
            f"'{name}' has no column {' and no column '.join(missing)}; it has: {got}. {EXPECTED}"
        )
    if table.empty:
        raise QueryError(f"'{name}' lists no edges. {EXPECTED}")
    edges = pd.DataFrame(
        {key: table[columns[key]].astype(str).str.strip() for key in (keys.SOURCE, keys.TARGET)}
    )
    _refuse(
        (edges == "").any(axis=1).to_numpy(),
        edges.index,
        f"'{name}' has an empty source or target",
        "Fill in the gene, or delete the line.",
    )
    if keys.WEIGHT in columns:
        given = table[columns[keys.WEIGHT]]
        weight = np.asarray(pd.to_numeric(given, errors="coerce"), dtype=np.float64)
        hint = "Give numbers with a decimal point, or leave the column out."
        _refuse(~np.isfinite(weight), edges.index, f"'{name}' has a weight that is not a number", hint, given)
        edges[keys.WEIGHT] = weight
    twice = edges.duplicated([keys.SOURCE, keys.TARGET], keep="first").to_numpy()
    pairs = edges[keys.SOURCE] + " -> " + edges[keys.TARGET]
    _refuse(
        twice,
        edges.index,
        f"'{name}' lists the same edge more than once",
        "Keep one line for each edge.",
        pairs,
    )
    return edges


def _refuse(bad: np.ndarray, index: pd.Index, what: str, hint: str, values: Any = None) -> None:
    """Raise QueryError where any row is bad, with the lines of the file (or the rows of the table) it stands
    in.
    """
    rows = np.flatnonzero(bad)
    if len(rows) == 0:
        return
    unit = index.name or "row"
    spelled = [
        f"{unit} {index[row]}" + ("" if values is None else f" ({str(values.iloc[row])!r:.60})")
        for row in rows[:LISTED]
    ]
    more = f" and {len(rows) - LISTED} more" if len(rows) > LISTED else ""
    raise QueryError(f"{what}: {', '.join(spelled)}{more}. {hint}")


def edge_weights(panel: Panel, edges: pd.DataFrame) -> np.ndarray:
    """(n, n) weights of checked edges, row = source, column = target; NaN where no edge is listed, 1 where it
    has no weight.

    Raises QueryError with all genes that are not in the panel and the names nearest to them.
    """
    result = np.full((len(panel), len(panel)), np.nan)
    positions = _positions(panel, edges)
    rows, columns = (
        np.array([positions[gene] for gene in edges[key]], dtype=int) for key in (keys.SOURCE, keys.TARGET)
    )
    same = pd.DataFrame({keys.SOURCE: rows, keys.TARGET: columns}).duplicated()
    if same.any():
        row = edges.iloc[int(np.flatnonzero(same)[0])]
        raise QueryError(
            f"The edge {row[keys.SOURCE]} -> {row[keys.TARGET]} is listed in two spellings: upper and lower "
            "case do not tell genes apart."
        )
    result[rows, columns] = np.asarray(edges.get(keys.WEIGHT, 1.0))
    return result


def _positions(panel: Panel, edges: pd.DataFrame) -> dict[str, int]:
    """Gene of the table -> row and column of W."""
    found: dict[str, int] = {}
    unknown = []
    for gene in sorted({*edges[keys.SOURCE], *edges[keys.TARGET]}):
        try:
            found[gene] = panel.position(gene)
        except QueryError:
            unknown.append(gene)
    if unknown:
        spelled = "\n".join(unknown_gene(gene, panel.genes) for gene in unknown[:LISTED])
        rest = f"\nAlso unknown: {', '.join(unknown[LISTED:])}." if len(unknown) > LISTED else ""
        raise QueryError(
            f"{len(unknown)} of the genes in the edge table are not in the panel of this "
            f"run.\n{spelled}{rest}"
        )
    return found


def chosen_edges(
    weights: np.ndarray, threshold: float | None, default: float
) -> tuple[np.ndarray, float | None]:
    """Which listed edges count, (n, n) bool, and the threshold they had to exceed (None: all of them count).

    weights: as `edge_weights` gives them. A given threshold always applies. Without one, weights that may be
    probabilities (all in [0, 1]) must exceed `default`; any other scale has no natural cut, so all listed
    edges count.
    """
    listed = ~np.isnan(weights)
    values = weights[listed]
    probabilities = len(values) > 0 and values.min() >= 0 and values.max() <= 1
    used = threshold if threshold is not None else default if probabilities else None
    return (listed, None) if used is None else (listed & (np.nan_to_num(weights, nan=-np.inf) > used), used)
