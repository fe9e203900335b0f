"""How much memory a file of cells would take, from its header alone: refused before it is read where it would
not fit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from gpovae_core.errors import Problem

COPIES = 4.0
"""Preparing holds about so many times the counts at once: as stored, sorted, normalised, and in work. Dense
counts are made sparse first, which costs as much again."""
IN_BLOCKS = 2 * 2**30
"""Preparing counts that stay on disk (data.store) takes about so much, however many there are."""
SHARE = 0.5
"""Of the free memory, at most this goes into one file: the training and the browser need some too."""


def free_memory() -> int:
    """Bytes that a process could take now; the limit of a container where that is lower."""
    import psutil

    free = psutil.virtual_memory().available
    for limit, used in (
        ("memory.max", "memory.current"),
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),
    ):
        try:
            base = Path("/sys/fs/cgroup")
            free = min(free, int((base / limit).read_text()) - int((base / used).read_text()))
        except (OSError, ValueError):  # no container, or no limit ("max")
            continue
    return max(0, free)


def stored_bytes(path: Path) -> int:
    """Bytes of all arrays of an .h5ad file once they are read, from their shapes; nothing but the header is
    opened.
    """
    import h5py

    total = 0

    def add(_name: str, item: Any) -> None:
        nonlocal total
        if isinstance(item, h5py.Dataset):
            total += int(item.size or 0) * (item.dtype.itemsize if item.dtype.kind != "O" else 64)

    with h5py.File(path, "r") as file:
        file.visititems(add)
    return total


def too_large(path: Path, free: int | None = None) -> Problem | None:
    """Why a file cannot be opened on this machine, as a Problem, or None where it can. Raises OSError for
    what is not HDF5.
    """
    free = free_memory() if free is None else free
    need = int(stored_bytes(path) * COPIES)
    if _stays_on_disk(path):
        need = min(need, IN_BLOCKS)
    if need <= SHARE * free:
        return None
    dense = _dense(path)
    message = (
        f"'{path.name}' would need about {need / 2**30:,.1f} GB of memory to prepare; this machine has "
        f"{free / 2**30:,.1f} GB free, of which at most {SHARE:.0%} are taken."
    )
    mend = (
        "Its counts are stored dense, zeros and all: `adata.X = scipy.sparse.csr_matrix(adata.X)` makes it "
        "several times smaller. "
    )
    return Problem(
        "file-too-large",
        message,
        (mend if dense else "") + "Or keep fewer cells or genes, or use a machine with more memory.",
    )


def _stays_on_disk(path: Path) -> bool:
    import h5py

    from gpovae_core.data.backed import must_stay_on_disk

    with h5py.File(path, "r") as file:
        return must_stay_on_disk(file)


def _dense(path: Path) -> bool:
    import h5py

    with h5py.File(path, "r") as file:
        return isinstance(file.get("X"), h5py.Dataset)
