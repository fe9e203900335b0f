"""10x Genomics' feature-barcode matrix in HDF5 (`filtered_feature_bc_matrix.h5`), of Cell Ranger 2 or
later.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpovae_core.data.files import MAKE_ONE, first_line, refuse
from gpovae_core.data.readers import Reader

if TYPE_CHECKING:
    import numpy as np
    from anndata import AnnData

    from gpovae_core.data.backed import BackedCells

_ARRAYS = {"barcodes", "data", "indices", "indptr", "shape"}
_FEATURES = ({"features"}, {"genes", "gene_names"})
_NAMES = ("id", "name", "feature_type")


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


def read(path: Path) -> AnnData | BackedCells:
    from gpovae_core.data import hdf5
    from gpovae_core.data.backed import too_many
    from gpovae_core.data.tenx import join_calls

    file = hdf5.opened(path, "a 10x .h5 file")
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
    group = file[matrices[0]]
    hdf5.must_fit(path, lambda: too_many(int(group["data"].shape[0])))
    try:
        cells = _cells(group, too_many(int(group["data"].shape[0])))
    except Exception as error:
        refuse(
            "not-10x", f"'{path.name}' cannot be read as 10x counts ({first_line(error)}).", MAKE_ONE, error
        )
    join_calls(cells, path)
    return cells


def _cells(group: Any, stays: bool) -> AnnData | BackedCells:
    """The cells of one matrix, which 10x stores by barcode; stays: whether its counts are left in the
    file.
    """
    import numpy as np
    import pandas as pd
    from anndata import AnnData
    from scipy import sparse

    from gpovae_core.data.backed import BackedCells, FileMatrix
    from gpovae_core.data.tenx import named

    features = group.get("features", group)
    ids = _text(features["genes" if features is group else "id"])
    symbols = _text(features["gene_names" if features is group else "name"])
    types = _text(features["feature_type"]) if "feature_type" in features else None
    more = {} if features is group else _tags(features, len(ids))
    var = named(symbols, ids, types, pd.DataFrame(more))
    obs = pd.DataFrame(index=pd.Index(_text(group["barcodes"]), dtype=object))
    counts = FileMatrix(group, (len(obs), len(var)))
    if stays:
        return BackedCells(counts, obs, var, uns={})
    data, indices = (np.asarray(group[name][:]) for name in ("data", "indices"))
    x = sparse.csr_matrix((data.astype(np.float32), indices, counts.indptr), shape=counts.shape)
    x.sort_indices()
    return AnnData(x, obs=obs, var=var)


def _tags(features: Any, size: int) -> dict[str, np.ndarray]:
    """What is said of every feature besides its names and type: its genome, what a guide targets."""
    found = [str(name) for name in features if name not in _NAMES]
    return {name: _text(features[name]) for name in found if getattr(features[name], "shape", ()) == (size,)}


def _text(dataset: Any) -> np.ndarray:
    import numpy as np

    values = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in dataset[:]]
    return np.array(values, dtype=object)


def beside(path: Path) -> list[Path]:
    from gpovae_core.data.tenx import calls_beside

    return calls_beside(path)


READER = Reader("10x_h5", "a 10x .h5 file", (".h5",), 20, recognises, read, beside=beside)
