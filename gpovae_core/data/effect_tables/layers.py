"""Effects as layers of an AnnData: perturbations by genes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gpovae_core.data.effect_tables import known
from gpovae_core.data.effect_tables.choose import best_pair, error_source, given, unit_of
from gpovae_core.data.effect_tables.errors import standard_errors
from gpovae_core.data.effect_tables.known import EffectColumns, all_of
from gpovae_core.data.effect_tables.report import Raw, check_size
from gpovae_core.data.files import first_line, refuse

if TYPE_CHECKING:
    from anndata import AnnData


def is_store(path: Path) -> bool:
    return (path / ".zgroup").is_file() or (path / "zarr.json").is_file()


def _open_anndata(path: Path) -> AnnData:
    import anndata

    try:
        return anndata.read_zarr(path) if path.is_dir() else anndata.read_h5ad(path)
    except Exception as error:
        refuse(
            "file-damaged",
            f"'{path.name}' cannot be read as an AnnData ({first_line(error)}).",
            "Write it again with adata.write_h5ad, or give the effects as a table.",
        )


def from_anndata(path: Path, columns: EffectColumns) -> Raw:
    table = _open_anndata(path)
    layers = [str(name) for name in table.layers]
    names = [*layers, *(["X"] if table.X is not None else [])]
    effect = (
        given(names, columns.effect, path.name)
        if columns.effect is not None
        else known.effect_of(layers) or ("X" if table.X is not None else None)
    )
    if effect is None:
        refuse(
            "no-effects",
            f"'{path.name}' has no layer of effects; its layers are {', '.join(layers) or 'none'}.",
            "Call one log2fc (or name it by effects.effect_column) and one se.",
        )
    source = error_source(layers, columns.error, path.name)
    unit, why, notes = unit_of(effect, names, columns.unit, path.name)
    check_size(path.name, table.n_obs, table.n_vars)
    values = _dense(table.X if effect == "X" else table.layers[effect], path.name, effect)
    error, words, more = standard_errors(
        values, source, [_dense(table.layers[name], path.name, name) for name in source.names]
    )
    rows, genes = (
        [("the index", [str(name) for name in index])]
        + [(name, [str(value) for value in frame[name]]) for name in all_of(list(frame.columns), wanted)]
        for index, frame, wanted in (
            (table.obs_names, table.obs, (*known.PERTURBATIONS, *known.GENES)),
            (table.var_names, table.var, known.GENES),
        )
    )
    if columns.perturbation is not None:
        rows = [_column_of(table.obs, columns.perturbation, path.name)]
    if columns.gene is not None:
        genes = [_column_of(table.var, columns.gene, path.name)]
    i, j = best_pair([(f"obs {name}", values) for name, values in rows], genes)
    _refuse_transposed(path.name, rows[i][1], genes[j][1])
    return Raw(
        "an AnnData",
        list(rows[i][1]),
        _apart(list(genes[j][1]), [str(name) for name in table.var_names]),
        values,
        error,
        f"{rows[i][0]} of obs",
        f"{genes[j][0]} of var",
        f"the layer {effect}" if effect != "X" else "X",
        words,
        unit,
        why,
        [*notes, *more],
    )


def _column_of(frame: Any, wanted: str, file: str) -> tuple[str, list[str]]:
    name = given([str(column) for column in frame.columns], wanted, file)
    return name, [str(value) for value in frame[name]]


def _apart(symbols: list[str], ids: list[str]) -> list[str]:
    """Symbols; those that several genes share are called by their id, where that is another name."""
    counts = Counter(symbols)
    return [i if counts[s] > 1 and i != s else s for s, i in zip(symbols, ids, strict=True)]


def _dense(values: Any, file: str, name: str) -> np.ndarray:
    from scipy import sparse

    dense = values.toarray() if sparse.issparse(values) else np.asarray(values)
    if dense.dtype.kind not in "biuf":
        refuse(
            "not-numbers",
            f"'{file}': the layer {name} holds no numbers but {dense.dtype}.",
            "Write it as numbers.",
        )
    return dense.astype(np.float64)


def _refuse_transposed(file: str, labels: Sequence[str], genes: Sequence[str]) -> None:
    if len(labels) > 2 * len(genes) and np.isin(genes, labels).mean() > 0.5:
        refuse(
            "transposed",
            f"'{file}' has {len(labels):,} rows and {len(genes):,} columns, and its columns are named among "
            "its rows: it looks as if genes were the rows.",
            "Rows (obs) are perturbations, columns (var) are genes: write adata.T.",
        )
