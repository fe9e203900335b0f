"""How large a screen is, from the header of its file: what the work on it takes follows from that, before it
begins (runs.needs).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpovae_core import keys
from gpovae_core.data.panel import takes_all
from gpovae_core.errors import GpoVaeError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from gpovae_core.config import DataSettings
    from gpovae_core.data.schema import PreparedCells

SAMPLE = 20_000
"""Cells whose labels are looked at to count the perturbations."""
DENSE_ROWS = 200
"""Cells of a dense matrix in which the counts other than zero are counted."""


@dataclass(frozen=True)
class Size:
    """cells, genes: measured; stored: counts other than zero; perturbations: that are kept, combinations
    among them, 0 where that is not known yet; panel: genes of the network, at most.
    """

    cells: int
    genes: int
    stored: int
    perturbations: int
    panel: int


def size_of_cells(prepared: PreparedCells) -> Size:
    """Of prepared cells, exactly."""
    cells = prepared.cells
    stored = prepared.stored.nnz if prepared.stored is not None else int(cells.X.nnz)  # type: ignore[union-attr]
    return Size(cells.n_obs, cells.n_vars, stored, len(prepared.perturbations), len(prepared.panel))


def size_of_kept(path: Path, perturbations: int, panel: int) -> Size:
    """Of a file of prepared cells. Raises OSError or KeyError for what is none."""
    import h5py

    with h5py.File(path, "r") as file:
        counts: Any = file["X"]
        cells, genes = (int(n) for n in counts.attrs["shape"])
        return Size(cells, genes, int(counts["data"].shape[0]), perturbations, panel)


def size_of_file(path: Path, settings: DataSettings) -> Size | None:
    """Of an .h5ad file, from its header and the labels of SAMPLE cells; None for other forms, and for a file
    that is not as it should be, of which reading it says more.
    """
    import h5py

    try:
        with h5py.File(path, "r") as file:
            shape, stored = _counts(file, settings)
            genes = _column(file["var"], str(file["var"].attrs["_index"]), slice(None))
            perturbations = _perturbations(file["obs"], shape[0], [str(gene) for gene in genes], settings)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, IndexError, GpoVaeError):
        return None
    return Size(*shape, stored, perturbations, panel_at_most(shape[1], perturbations, settings))


def panel_at_most(genes: int, perturbations: int, settings: DataSettings) -> int:
    """Genes that the network spans at most."""
    if takes_all(genes, settings):
        return genes
    chosen = perturbations * (1 + settings.extended_per_perturbation) + len(settings.panel_genes)
    return min(chosen, genes + perturbations)


def _counts(file: Any, settings: DataSettings) -> tuple[tuple[int, int], int]:
    """Shape of the matrix that holds the counts, and how many of them are not zero."""
    counts = file[f"layers/{settings.counts_layer}" if settings.counts_layer else "X"]
    if hasattr(counts, "keys"):
        cells, genes = (int(n) for n in counts.attrs["shape"])
        return (cells, genes), int(counts["data"].shape[0])
    cells, genes = (int(n) for n in counts.shape)
    filled = float(np.mean(np.asarray(counts[:DENSE_ROWS]) != 0)) if cells else 0.0
    return (cells, genes), int(filled * cells * genes)


def _perturbations(obs: Any, cells: int, genes: Sequence[str], settings: DataSettings) -> int:
    """Labels other than the control with as many cells as are asked for, by those of a sample."""
    import pandas as pd

    from gpovae_core.data.labels.columns import find_labels
    from gpovae_core.data.labels.names import Names

    step = max(1, cells // SAMPLE)
    index = str(obs.attrs["_index"])
    columns = {
        name: values
        for name in obs
        if name != index and (values := _text(obs[name], slice(None, None, step))) is not None
    }
    if not columns:
        return 0
    found = find_labels(pd.DataFrame(columns), Names(genes), settings).labels.canonical
    if found is None:
        return 0
    seen = found.value_counts().drop(keys.CONTROL, errors="ignore")
    return int((seen * step >= settings.min_cells).sum())


def _text(column: Any, rows: slice) -> pd.Categorical | None:
    """Values of a column of text or of categories; None for any other."""
    import pandas as pd

    if hasattr(column, "keys"):
        if "codes" not in column:
            return None
        categories = [_decoded(value) for value in column["categories"][:]]
        unique = len(set(categories)) == len(categories) and isinstance(categories[0], str)
        return pd.Categorical.from_codes(column["codes"][rows], categories) if unique else None
    values = column[rows]
    return pd.Categorical([_decoded(value) for value in values]) if values.dtype.kind in "OS" else None


def _column(table: Any, name: str, rows: slice) -> list[Any]:
    column = table[name]
    return [_decoded(value) for value in (column["categories"] if hasattr(column, "keys") else column)[rows]]


def _decoded(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
