"""Files of cells whose counts are too large to be held: annotations in memory, counts left in the file and
gone through in blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy import sparse

from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.store import BLOCK, HELD, CountsWriter, StoredCounts, cuts, scratch_file

if TYPE_CHECKING:
    import pandas as pd


class FileMatrix:
    """(n_obs, n_vars) CSR matrix in an open HDF5 or zarr file. Every method but `indptr` goes through the
    file once.
    """

    told: Callable[[int], None] | None = None
    """Is told how many stored values each block has that is read."""

    def __init__(self, group: Any, shape: tuple[int, int] | None = None) -> None:
        """group: with data, indices and indptr; shape: where it does not stand in its attributes as AnnData
        writes it.
        """
        self._group = group
        self.shape = tuple(int(n) for n in group.attrs["shape"]) if shape is None else shape
        self.dtype = group["data"].dtype
        self.nnz = int(group["data"].shape[0])

    def _tell(self, values: int) -> None:
        if self.told is not None:
            self.told(values)

    @cached_property
    def indptr(self) -> np.ndarray:
        return np.asarray(self._group["indptr"][:], dtype=np.int64)

    def values(self) -> Iterator[np.ndarray]:
        """All stored values in blocks."""
        for start in range(0, self.nnz, BLOCK):
            block = np.asarray(self._group["data"][start : start + BLOCK])
            self._tell(len(block))
            yield block

    def blocks(self) -> Iterator[tuple[slice, sparse.csr_matrix]]:
        """(rows, their counts): float32, columns in order, no stored zeros."""
        for rows in cuts(self.lengths, BLOCK):
            yield rows, self.block(rows)

    @property
    def lengths(self) -> np.ndarray:
        """(n_obs,) stored values of every row, an upper limit where rows are changed as they are read."""
        return np.diff(self.indptr)

    def block(self, rows: slice) -> sparse.csr_matrix:
        """The counts of rows that follow each other, as in `blocks`."""
        start, end = int(self.indptr[rows.start]), int(self.indptr[rows.stop])
        self._tell(end - start)
        data = np.asarray(self._group["data"][start:end], dtype=np.float32)
        indices = np.asarray(self._group["indices"][start:end])
        indptr = self.indptr[rows.start : rows.stop + 1] - start
        block = sparse.csr_matrix((data, indices, indptr), shape=(rows.stop - rows.start, self.shape[1]))
        block.sum_duplicates()
        block.eliminate_zeros()
        return block

    @cached_property
    def _totals(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Sums per gene, sums per cell, and the values other than zero per cell."""
        genes, cells, filled = (
            np.zeros(self.shape[1]),
            np.zeros(self.shape[0]),
            np.zeros(self.shape[0], dtype=np.int64),
        )
        for rows, block in self.blocks():
            genes += np.bincount(block.indices, block.data, minlength=self.shape[1])
            cells[rows] = np.asarray(block.sum(axis=1, dtype=np.float64)).ravel()
            filled[rows] = np.diff(block.indptr)
        return genes, cells, filled

    def sum(self, axis: int) -> np.ndarray:
        """Sums per gene (axis 0) or per cell (axis 1)."""
        return self._totals[axis]

    def columns_of_rows(self, rows: np.ndarray, columns: np.ndarray) -> sparse.csr_matrix:
        """(len(rows), len(columns)) in memory."""
        parts = [block[:, columns] for _, block in self.blocks()]
        return sparse.csr_matrix(sparse.vstack(parts, format="csr"))[rows]

    def store(
        self, rows: np.ndarray, columns: np.ndarray, path: Path | None, progress: Progress | None = None
    ) -> StoredCounts:
        """These rows and all columns in this order, as StoredCounts at `path` (a scratch file where None).

        The source is read once from its beginning to its end, whatever the order of `rows`.
        """
        place = np.full(self.shape[0], -1)
        place[rows] = np.arange(len(rows))
        column_of = np.empty(self.shape[1], dtype=np.int32)
        column_of[columns] = np.arange(len(columns), dtype=np.int32)
        writer = CountsWriter(path or scratch_file(), self._totals[2][rows], len(columns))
        for part, block in self.blocks():
            wanted = np.flatnonzero(place[part] >= 0)
            kept: Any = block[wanted]
            kept.indices = column_of[kept.indices]
            kept.has_sorted_indices = False
            kept.sort_indices()
            writer.put(place[part][wanted], kept)
            tell(progress, "sorting the counts", part.stop / self.shape[0])
        return writer.opened()


class ChangedMatrix(FileMatrix):
    """Another matrix in a file with a change made to its rows whenever they are read."""

    def __init__(
        self,
        source: FileMatrix,
        change: Callable[[slice, sparse.csr_matrix], sparse.csr_matrix],
        columns: int | None = None,
    ) -> None:
        """change: from rows and their block to the new block; columns: how many that has, where others."""
        self._source, self._change = source, change
        self.shape = (source.shape[0], source.shape[1] if columns is None else columns)
        self.dtype = np.dtype(np.float32)
        self.nnz = source.nnz

    def values(self) -> Iterator[np.ndarray]:
        for _, block in self.blocks():
            yield block.data

    @property
    def lengths(self) -> np.ndarray:
        return self._source.lengths

    def block(self, rows: slice) -> sparse.csr_matrix:
        return self._change(rows, self._source.block(rows))


class SummedMatrix(FileMatrix):
    """The sum of matrices of one shape, some of which are in a file."""

    def __init__(self, parts: Sequence[FileMatrix | sparse.csr_matrix]) -> None:
        self._parts = parts
        self.shape = tuple(int(n) for n in parts[0].shape or ())
        self.dtype = np.dtype(np.float32)
        self.nnz = sum(part.nnz for part in parts)

    def values(self) -> Iterator[np.ndarray]:
        for _, block in self.blocks():
            yield block.data

    @property
    def lengths(self) -> np.ndarray:
        return np.sum(
            [part.lengths if isinstance(part, FileMatrix) else np.diff(part.indptr) for part in self._parts],
            axis=0,
        )

    def block(self, rows: slice) -> sparse.csr_matrix:
        total: Any = sparse.csr_matrix((rows.stop - rows.start, self.shape[1]), dtype=np.float32)
        for part in self._parts:
            total = total + (part.block(rows) if isinstance(part, FileMatrix) else part[rows])
        return total


@dataclass(frozen=True)
class RawPart:
    """`raw` of a file: counts over genes of its own."""

    X: Any
    var: pd.DataFrame


@dataclass(frozen=True)
class BackedCells:
    """What AnnData answers, as far as the preparation asks, without the counts in memory. Matrices other than
    CSR are not listed.
    """

    X: FileMatrix
    obs: pd.DataFrame
    var: pd.DataFrame
    layers: Mapping[str, FileMatrix] = field(default_factory=dict)
    raw: RawPart | None = None
    uns: Mapping[str, Any] = field(default_factory=dict)
    obsm: Mapping[str, Any] = field(default_factory=dict)

    def tell(self, told: Callable[[int], None]) -> None:
        """From now on `told` is told how many stored values each block has that is read of any matrix."""
        matrices = [self.X, *self.layers.values(), *([] if self.raw is None else [self.raw.X])]
        for matrix in matrices:
            matrix.told = told

    @property
    def obs_names(self) -> pd.Index:
        return self.obs.index

    @property
    def n_obs(self) -> int:
        return self.X.shape[0]

    @property
    def n_vars(self) -> int:
        return self.X.shape[1]


def open_backed(root: Any) -> BackedCells:
    """root: the open h5py.File or zarr.Group of an AnnData that `must_stay_on_disk`."""
    from gpovae_core.data.parts import Parts

    parts = Parts(root)
    layers = {name: FileMatrix(group) for name, group in children(root, "layers") if _is_csr(group)}
    raw = None
    raw_counts = dict(children(root, "raw")).get("X")
    if raw_counts is not None and _is_csr(raw_counts):
        raw = RawPart(FileMatrix(raw_counts), parts.table("raw/var"))
    obs, var = parts.table("obs"), parts.table("var")
    uns, obsm = parts.mapping("uns"), parts.mapping("obsm")
    return BackedCells(FileMatrix(root["X"]), obs, var, layers, raw, parts.with_note(uns), obsm)


def must_stay_on_disk(root: Any) -> bool:
    """Whether an AnnData file has its X by cell (CSR) and more counts than are held in memory."""
    if "X" not in root or not _is_csr(root["X"]):
        return False
    groups = [
        root["X"],
        *(group for _, group in children(root, "layers")),
        *(group for name, group in children(root, "raw") if name == "X"),
    ]
    return too_many(sum(int(group["data"].shape[0]) for group in groups if _is_csr(group)))


def too_many(stored: int) -> bool:
    """Whether so many stored values are left in their file."""
    return stored > HELD


def children(root: Any, name: str) -> list[tuple[str, Any]]:
    """What lies in a group; nothing where there is none, or an empty value in its place."""
    return (
        [(str(key), root[name][key]) for key in root[name]]
        if name in root and hasattr(root[name], "keys")
        else []
    )


def _is_csr(item: Any) -> bool:
    return item.attrs.get("encoding-type") == "csr_matrix"
