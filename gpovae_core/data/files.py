"""What a file is, told from its first bytes, and how one that cannot be read is refused."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from gpovae_core.errors import DataError, Problem

MAKE_ONE = (
    "Write your cells with `adata.write_h5ad('cells.h5ad')` in Python (from Seurat: SeuratDisk or sceasy) "
    "and give that file."
)
"""The hint that helps whatever the file is."""
_HDF5 = b"\x89HDF\r\n\x1a\n"
_KNOWN = {
    b"\x89PNG": "a PNG picture",
    b"PK\x03\x04": "a zip archive",
    b"\x1f\x8b": "a gzip file",
    b"%PDF": "a PDF",
    b"<": "a web page",
}


def refuse(code: str, message: str, hint: str, cause: BaseException | None = None) -> NoReturn:
    """Raise DataError with one Problem."""
    raise DataError([Problem(code, message, hint)]) from cause


def start_of(path: Path, size: int = 2048) -> bytes:
    """The first bytes of a file."""
    with path.open("rb") as file:
        return file.read(size)


def has_hdf5_signature(path: Path) -> bool:
    """The HDF5 signature may follow a user block of 512, 1024, ... bytes."""
    return has_hdf5_start(start_of(path))


def has_hdf5_start(start: bytes) -> bool:
    """The same of the first 2,048 bytes of a file."""
    return _HDF5 in start


def looks_like(path: Path) -> str:
    """' (it looks like a gzip file)'; empty for what is not known."""
    start = start_of(path, 16).lstrip()
    kind = next((name for magic, name in _KNOWN.items() if start.startswith(magic)), None)
    return f" (it looks like {kind})" if kind else ""


def first_line(error: BaseException) -> str:
    """What an error of another library says, short."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:160]
