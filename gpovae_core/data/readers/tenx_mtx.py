"""10x Genomics' folder of `matrix.mtx`, `barcodes.tsv` and `features.tsv` (`genes.tsv` of Cell Ranger 2),
compressed or not, with or without something before these names (as GEO keeps them).
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpovae_core.data.files import MAKE_ONE, first_line, refuse
from gpovae_core.data.gzips import open_packed_or_not
from gpovae_core.data.readers import Reader
from gpovae_core.errors import DataError

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData

_MATRIX = re.compile(r"^(?P<before>.*?)matrix\.mtx(\.gz)?$", re.I)
_BARCODES = ("barcodes.tsv.gz", "barcodes.tsv")
_OF_TEXT, _HELD = 24, 8
"""Bytes a value: as scipy reads them from text (two places and the value), and as they are held."""
_FEATURES = ("features.tsv.gz", "features.tsv", "genes.tsv.gz", "genes.tsv")


def recognises(path: Path) -> bool:
    """A folder with a matrix and the names of its rows and columns."""
    return bool(_samples(path))


def _samples(path: Path) -> list[tuple[Path, Path, Path]]:
    """(matrix, barcodes, features) of every sample in a folder."""
    try:
        names = {file.name: file for file in sorted(path.iterdir())} if path.is_dir() else {}
    except OSError:
        return []
    found = []
    for name, file in names.items():
        matched = _MATRIX.match(name)
        if matched is None:
            continue
        before = matched["before"]
        barcodes, features = (
            next((names[before + end] for end in ends if before + end in names), None)
            for ends in (_BARCODES, _FEATURES)
        )
        if barcodes is not None and features is not None:
            found.append((file, barcodes, features))
    return found


def read(path: Path) -> AnnData:
    from anndata import AnnData
    from scipy import sparse
    from scipy.io import mmread

    from gpovae_core.data.tenx import join_calls, named

    samples = _samples(path)
    if len(samples) != 1:
        listed = ", ".join(matrix.name for matrix, _, _ in samples[:4])
        refuse(
            "several-samples" if samples else "not-10x",
            f"'{path.name}' holds {len(samples)} matrices with their names ({listed}); expected one.",
            "Put the three files of each sample into a folder of their own.",
        )
    matrix, barcodes, features = samples[0]
    _must_fit(matrix)
    try:
        cells, rows = _table(barcodes), _table(features)
        with open_packed_or_not(matrix) as file:
            counts: Any = mmread(file)
    except Exception as error:
        refuse(
            "not-10x", f"'{path.name}' cannot be read as 10x counts ({first_line(error)}).", MAKE_ONE, error
        )
    if counts.shape == (len(rows), len(cells)):
        counts = counts.T
    elif counts.shape != (len(cells), len(rows)):
        message = (
            f"'{matrix.name}' has {counts.shape[0]:,} rows and {counts.shape[1]:,} columns, but there are "
            f"{len(rows):,} features and {len(cells):,} barcodes."
        )
        refuse("not-10x", message, "The three files have to come from the same run: copy them again.")
    ids = rows.iloc[:, 0].to_numpy(dtype=object)
    symbols = rows.iloc[:, min(1, rows.shape[1] - 1)].to_numpy(dtype=object)
    types = rows.iloc[:, 2].to_numpy(dtype=object) if rows.shape[1] > 2 else None
    x = sparse.csr_matrix(counts, dtype="float32")
    found = AnnData(x, var=named(symbols, ids, types))
    found.obs_names = cells.iloc[:, 0].to_numpy(dtype=object)
    join_calls(found, path)
    return found


def _must_fit(matrix: Path) -> None:
    """Raises DataError for a matrix that is too large for this machine, by the number of its values: text
    cannot be read in blocks.
    """
    from scipy.io import mminfo

    from gpovae_core.data.memory import COPIES, too_many_bytes

    try:
        stored = int(mminfo(matrix)[2])
    except Exception:  # what is wrong with it is said where it is read
        return
    huge = too_many_bytes(matrix, int((_OF_TEXT + COPIES * _HELD) * stored))
    if huge is not None:
        hint = (
            "Give filtered_feature_bc_matrix.h5 of the same run in its place, which is read in blocks; or "
            "write the folder as .h5ad on a machine with more memory: "
            "`scanpy.read_10x_mtx(folder, gex_only=False).write_h5ad('cells.h5ad')`."
        )
        raise DataError([replace(huge, hint=hint)])


def _table(path: Path) -> pd.DataFrame:
    import pandas as pd

    with open_packed_or_not(path) as file:
        return pd.read_csv(file, sep="\t", header=None, dtype=str, keep_default_na=False, quoting=3)


def beside(path: Path) -> list[Path]:
    from gpovae_core.data.tenx import calls_beside

    return calls_beside(path)


READER = Reader("10x_mtx", "a 10x folder (matrix.mtx)", (), 21, recognises, read, folder=True, beside=beside)
