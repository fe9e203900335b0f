"""10x Genomics' feature-barcode matrix in HDF5 (`filtered_feature_bc_matrix.h5`), of Cell Ranger 2 or
later.
"""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, cast

from gpovae_core.data.files import MAKE_ONE, first_line, refuse
from gpovae_core.data.readers import Reader

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

_ARRAYS = {"barcodes", "data", "indices", "indptr", "shape"}
_FEATURES = ({"features"}, {"genes", "gene_names"})


def recognises(path: Path) -> bool:
    from gpovae_core.data import hdf5

    inside = hdf5.looks(path)
    return inside is not None and bool(_matrices(inside))


def _matrices(inside: dict[str, list[str]]) -> list[str]:
    """Groups that hold counts: `matrix`, or one a genome in files of Cell Ranger 2."""
    return [
        name
        for name, found in inside.items()
        if name and set(found) >= _ARRAYS and any(set(found) >= features for features in _FEATURES)
    ]


def read(path: Path) -> AnnData:
    from gpovae_core.data import hdf5
    from gpovae_core.data.tenx import join_calls, named

    hdf5.opened(path, "a 10x .h5 file").close()
    inside = hdf5.looks(path) or {}
    matrices = _matrices(inside)
    if not matrices:
        found = ", ".join(sorted(filter(None, inside))[:6]) or "nothing"
        message = f"'{path.name}' is an HDF5 file but holds no 10x matrix of counts; found {found}."
        refuse("not-10x", message, MAKE_ONE)
    if len(matrices) > 1:
        message = f"'{path.name}' holds several genomes ({', '.join(matrices)}), one matrix each."
        hint = "Write the one you mean: `scanpy.read_10x_h5(file, genome=...).write_h5ad('cells.h5ad')`."
        refuse("several-genomes", message, hint)
    hdf5.must_fit(path)
    try:
        import scanpy

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # symbols that two genes share, which are told apart below
            cells = scanpy.read_10x_h5(path, gex_only=False)
    except Exception as error:
        refuse(
            "not-10x", f"'{path.name}' cannot be read as 10x counts ({first_line(error)}).", MAKE_ONE, error
        )
    symbols = cells.var_names.astype(str).to_numpy(dtype=object)
    ids = cells.var["gene_ids"].astype(str).to_numpy(dtype=object)
    types = (
        cells.var["feature_types"].astype(str).to_numpy(dtype=object)
        if "feature_types" in cells.var
        else None
    )
    cells.var = named(symbols, ids, types, cast("pd.DataFrame", cells.var))
    join_calls(cells, path)
    return cells


def beside(path: Path) -> list[Path]:
    from gpovae_core.data.tenx import calls_beside

    return calls_beside(path)


READER = Reader("10x_h5", "a 10x .h5 file", (".h5",), 20, recognises, read, beside=beside)
