"""What 10x Genomics' two forms of counts share: how features are named, and Cell Ranger's guide calls."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpovae_core.data.files import first_line, refuse
from gpovae_core.data.wording import counted

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells

CALLS = "protospacer_calls_per_cell.csv"
"""Cell Ranger's table of the guides of every cell; a cell without guides is not in it."""
_CELL, _CALL = "cell_barcode", "feature_call"


def named(
    symbols: np.ndarray, ids: np.ndarray, types: np.ndarray | None, more: pd.DataFrame | None = None
) -> pd.DataFrame:
    """var of features: named by symbol, by id where two share one, so that counts decide between them.

    more: further columns, one row a feature.
    """
    import pandas as pd

    columns = {} if more is None else {name: more[name].to_numpy() for name in more.columns}
    unique = len(set(symbols)) == len(symbols)
    columns |= {"gene_ids": ids} if unique else {"gene_symbol": symbols}
    if types is not None:
        columns["feature_types"] = types
    if not unique:
        columns.pop("gene_ids", None)
    return pd.DataFrame(columns, index=pd.Index(symbols if unique else ids, dtype=object))


def calls_beside(path: Path) -> list[Path]:
    """Cell Ranger's table of guide calls for counts at `path`, where there is one."""
    places = [path.parent, path.parent / "crispr_analysis", path.parent.parent / "crispr_analysis"]
    if path.is_dir():
        places = [path, path / "crispr_analysis", *places[:2]]
    return [place / CALLS for place in places if (place / CALLS).is_file()][:1]


def join_calls(cells: AnnData | BackedCells, path: Path) -> None:
    """Add the columns of Cell Ranger's guide calls to obs. Raises DataError for a table that does not fit."""
    import pandas as pd

    from gpovae_core.data.parts import add_note

    for table in calls_beside(path):
        try:
            calls = pd.read_csv(table, dtype=str)
        except Exception as error:
            refuse(
                "calls-unreadable", f"'{table.name}' cannot be read ({first_line(error)}).", "Copy it again."
            )
        missing = [name for name in (_CELL, _CALL) if name not in calls.columns]
        if missing:
            refuse(
                "calls-unreadable",
                f"'{table.name}' has no column {' and '.join(missing)}; it has: {', '.join(calls.columns)}.",
                "It has to be as Cell Ranger writes it; move it elsewhere to read the counts alone.",
            )
        calls = calls.drop_duplicates(_CELL).set_index(_CELL)
        found = cells.obs_names.isin(calls.index)
        if not found.any():
            refuse(
                "calls-of-other-cells",
                f"None of the {cells.n_obs:,} cells of '{path.name}' is in '{table.name}'.",
                "It has to come from the same run; move it elsewhere to read the counts alone.",
            )
        here = calls.reindex(cells.obs_names)
        obs: Any = cells.obs
        for column in here.columns:
            obs[column] = here[column].to_numpy(dtype=object)
        add_note(
            cells,
            f"Guide calls come from '{table.name}' beside the counts: {counted(int(found.sum()), 'cell')} of "
            f"{cells.n_obs:,} have one.",
        )
