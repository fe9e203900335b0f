"""Counts that are too large to be held: rows of a sparse matrix on disk, read when they are asked for.

Whatever works on counts takes either a CSR matrix in memory or a `StoredCounts`; both answer `counts[rows]`
with a CSR matrix of these rows, and the functions at the end of this file go through either without a second
copy of the whole.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import sparse

from gpovae_core.data.cache import cache_folder
from gpovae_core.data.progress import Progress, tell
from gpovae_core.data.room import check_room

HELD = 2**26
"""Stored values of a matrix up to which it is held in memory (with their columns: 0.5 GB)."""
BLOCK = 2**24
"""Stored values that are worked on at a time."""
FEW = 2**22
"""The same where most of them are let go at once."""
SCRATCH = "scratch"
_STALE_SECONDS = 24 * 3600


class StoredCounts:
    """(n_obs, n_vars) raw counts as CSR float32: the matrix X of an .h5ad file that is neither compressed nor
    cut into chunks.

    Plain reads, no memory map: what was read stays in the system's cache and does not count as memory of this
    process.
    """

    dtype = np.dtype(np.float32)

    def __init__(self, path: Path, temporary: bool = False) -> None:
        """temporary: the file goes when nothing uses it any more, unless `write_as` has given it a place."""
        import h5py

        with h5py.File(path, "r") as file:
            group: Any = file["X"]
            places = tuple(int(group[name].id.get_offset()) for name in ("data", "indices"))
            indptr = group["indptr"][:].astype(np.int64)
            columns = int(group.attrs["shape"][1])
        self._file = _OpenFile(Path(path), places, temporary)
        self.whole = True  # all rows of the file in their order
        self._set_rows(indptr[:-1], np.diff(indptr), columns)

    def _set_rows(self, starts: np.ndarray, lengths: np.ndarray, columns: int) -> None:
        self._starts, self.lengths = starts, lengths
        self.shape = (len(starts), columns)
        self.nnz = int(lengths.sum())

    @property
    def indptr(self) -> np.ndarray:
        """(n_obs + 1,) as of the CSR matrix with these rows."""
        return np.concatenate([[0], np.cumsum(self.lengths)])

    def take(self, rows: np.ndarray) -> StoredCounts:
        """These rows in this order, left on disk."""
        chosen = object.__new__(StoredCounts)
        chosen._file, chosen.whole = self._file, False
        chosen._set_rows(self._starts[rows], self.lengths[rows], self.shape[1])
        return chosen

    def __getitem__(self, rows: np.ndarray | slice) -> sparse.csr_matrix:
        """(len(rows), n_vars), read into memory."""
        starts, lengths = self._starts[rows], self.lengths[rows]
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        data, indices = np.empty(indptr[-1], np.float32), np.empty(indptr[-1], np.int32)
        jumps = (
            np.flatnonzero(starts[1:] != starts[:-1] + lengths[:-1]) + 1
        )  # rows that follow one another are read together
        for first, end in pairwise([0, *jumps.tolist(), len(starts)]):
            if first < end:
                part = slice(indptr[first], indptr[end])
                self._file.read(int(starts[first]), data[part], indices[part])
        return sparse.csr_matrix((data, indices, indptr), shape=(len(starts), self.shape[1]))

    def sum(self, axis: int) -> np.ndarray:
        """Sums over cells (axis 0, float64) or genes (axis 1, float32 as those of a matrix: whole numbers
        below 2^24 are exact).
        """
        if axis == 0:
            return np.sum(
                [np.bincount(b.indices, b.data, minlength=self.shape[1]) for _, b in row_blocks(self)], axis=0
            )
        return np.concatenate([np.asarray(block.sum(axis=1)).ravel() for _, block in row_blocks(self)])

    def write_as(self, path: Path) -> None:
        """An .h5ad file at `path` with these rows as X and nothing else; a temporary file with just these is
        moved there.
        """
        if self.whole and self._file.temporary:
            self._file.move(path)
            return
        writer = CountsWriter(path, self.lengths, self.shape[1])
        for rows, block in row_blocks(self):
            writer.put(np.arange(rows.start, rows.stop), block)
        writer.close()


class _OpenFile:
    """Two runs of numbers in a file, float32 values and int32 columns; a lock, since readers share the
    position in the file.
    """

    def __init__(self, path: Path, places: tuple[int, ...], temporary: bool) -> None:
        self.path, self.temporary = path, temporary
        self._places, self._lock = places, threading.Lock()
        self._stream = path.open("rb", buffering=0)
        self._gone = weakref.finalize(self, _close, self._stream, path if temporary else None)

    def read(self, start: int, *into: np.ndarray) -> None:
        """Fill the arrays with the values and columns from number `start` on."""
        for place, array in zip(self._places, into, strict=True):
            left = memoryview(array.view(np.uint8).data)
            with self._lock:
                self._stream.seek(place + 4 * start)
                while len(left):
                    got = self._stream.readinto(left) or 0
                    if not got:
                        raise OSError(f"'{self.path}' ends too early")
                    left = left[got:]

    def move(self, path: Path) -> None:
        self._gone.detach()
        shutil.move(self.path, path)  # what is open stays readable
        self.path, self.temporary = path, False
        self._gone = weakref.finalize(self, _close, self._stream, None)


def _close(stream: Any, path: Path | None) -> None:
    stream.close()
    if path is not None:
        path.unlink(missing_ok=True)


class CountsWriter:
    """An .h5ad file whose X is filled row by row, in any order."""

    def __init__(self, path: Path, lengths: np.ndarray, columns: int) -> None:
        check_room(8 * int(lengths.sum()), path.parent, "Keeping the counts on disk")
        """lengths: (n_obs,) stored values of every row, known beforehand."""
        import h5py

        self.path, self._lengths = path, lengths
        self._indptr = np.concatenate([[0], np.cumsum(lengths)])
        early = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        early.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        early.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
        space = h5py.h5s.create_simple((int(self._indptr[-1]),))
        with h5py.File(path, "w") as file:
            file.attrs.update({"encoding-type": "anndata", "encoding-version": "0.1.0"})
            group = file.create_group("X")
            shape = np.array([len(lengths), columns])
            group.attrs.update({"encoding-type": "csr_matrix", "encoding-version": "0.1.0", "shape": shape})
            group["indptr"] = self._indptr
            kinds = (("data", h5py.h5t.IEEE_F32LE), ("indices", h5py.h5t.STD_I32LE))
            made = [h5py.h5d.create(group.id, name.encode(), kind, space, early) for name, kind in kinds]
            self._places = tuple(dataset.get_offset() for dataset in made)
        self._stream = path.open("r+b", buffering=0)

    def put(self, rows: np.ndarray, block: sparse.csr_matrix) -> None:
        """block: (len(rows), n_vars) with sorted columns; rows: where its rows stand in the file."""
        arrays = (block.data.astype("<f4", copy=False), block.indices.astype("<i4", copy=False))
        for place, array in zip(self._places, arrays, strict=True):
            for row, start, end in zip(
                rows.tolist(), block.indptr[:-1].tolist(), block.indptr[1:].tolist(), strict=True
            ):
                self._stream.seek(place + 4 * int(self._indptr[row]))
                self._stream.write(array[start:end].data)

    def close(self) -> None:
        self._stream.close()

    def opened(self) -> StoredCounts:
        """Close it, and open it for reading as a temporary file."""
        self.close()
        return StoredCounts(self.path, temporary=True)


def scratch_file() -> Path:
    """A new empty file beside the kept cells, for counts on their way; leftovers of killed processes are
    removed.
    """
    folder = cache_folder() / SCRATCH
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.h5ad"):
        if time.time() - old.stat().st_mtime > _STALE_SECONDS:
            old.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(suffix=".h5ad", dir=folder)
    os.close(handle)
    return Path(name)


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder beside the kept cells for what is unpacked, which goes with what is in it."""
    folder = cache_folder() / SCRATCH
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as inside:
        yield Path(inside)


def is_stored(path: Path) -> bool:
    """Whether X of an .h5ad file lies there as StoredCounts reads it. Raises OSError for what is not HDF5."""
    import h5py

    with h5py.File(path, "r") as file:
        group: Any = file.get("X")
        if not isinstance(group, h5py.Group) or group.attrs.get("encoding-type") != "csr_matrix":
            return False
        arrays: list[Any] = [group["data"], group["indices"]]
        plain = [array.chunks is None and array.id.get_offset() is not None for array in arrays]
        return all(plain) and [array.dtype.str for array in arrays] == ["<f4", "<i4"]


def shape_of(counts: Any) -> tuple[int, int]:
    return int(counts.shape[0]), int(counts.shape[1])


def rows_of(counts: Any, rows: np.ndarray) -> Any:
    """These rows in this order, of counts or their expression; what is on disk stays there."""
    return counts[rows] if isinstance(counts, np.ndarray) or sparse.issparse(counts) else counts.take(rows)


def row_blocks(counts: Any) -> Iterator[tuple[slice, Any]]:
    """(rows, their counts) in order: counts in memory as one block, those on disk about BLOCK values at a
    time.
    """
    if not isinstance(counts, StoredCounts):
        yield slice(0, counts.shape[0]), counts
        return
    for rows in cuts(counts.lengths, BLOCK):
        yield rows, counts[rows]


def cuts(lengths: np.ndarray, most: int) -> Iterator[slice]:
    """Consecutive slices over `lengths` whose sum is at most `most` each, or that hold a single longer
    one.
    """
    reached = np.cumsum(lengths)
    start = 0
    while start < len(lengths):
        before = int(reached[start - 1]) if start else 0
        end = max(start + 1, int(np.searchsorted(reached, before + most, side="right")))
        yield slice(start, end)
        start = end


def columns_of(
    counts: Any, columns: np.ndarray, progress: Progress | None = None, doing: str = ""
) -> sparse.csr_matrix:
    """(n_obs, len(columns)) these columns, in memory. Of counts on disk all are read for it."""
    if not isinstance(counts, StoredCounts):
        return counts[:, columns]
    data, indices, lengths = [], [], [np.zeros(1, np.int64)]
    for rows in cuts(counts.lengths, FEW):
        part = counts[rows][:, columns]
        data.append(part.data)
        indices.append(part.indices)
        lengths.append(np.diff(part.indptr))
        tell(progress, doing, rows.stop / counts.shape[0])
    # one after the other, so that never all of both is there twice
    values, data = np.concatenate([*data, np.zeros(0, np.float32)]), []
    places = np.concatenate([*indices, np.zeros(0, np.int32)])
    shape = (counts.shape[0], len(columns))
    return sparse.csr_matrix((values, places, np.cumsum(np.concatenate(lengths))), shape=shape)
