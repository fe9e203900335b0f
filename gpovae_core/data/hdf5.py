"""What every reader of HDF5 asks before it reads."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gpovae_core.data.files import MAKE_ONE, first_line, has_hdf5_signature, looks_like, refuse
from gpovae_core.errors import DataError

UNREADABLE = (OSError, RuntimeError, KeyError)
"""What h5py raises for a file that is cut off or damaged."""


def opened(path: Path, expected: str) -> Any:
    """The open h5py.File. expected: the form in words. Raises DataError for what is no whole HDF5 file."""
    import h5py

    if path.is_dir():
        refuse(
            "not-a-file",
            f"'{path.name}' is a folder; expected {expected}.",
            "If it is a zarr store, give its name the ending .zarr.",
        )
    if path.stat().st_size == 0:
        refuse("file-empty", f"'{path.name}' is empty (0 bytes).", "Copy or download it again.")
    if not has_hdf5_signature(path):
        refuse(
            "not-hdf5",
            f"'{path.name}' is not an HDF5 file, whatever its ending says{looks_like(path)}.",
            MAKE_ONE,
        )
    try:
        return h5py.File(path, "r")
    except UNREADABLE as error:
        damaged(path, error)


def damaged(path: Path, error: BaseException) -> Any:
    refuse(
        "file-damaged",
        f"'{path.name}' begins like an HDF5 file but is cut off or damaged ({first_line(error)}).",
        "Copy or download it again, and compare the sizes.",
        error,
    )


def must_fit(path: Path, in_blocks: Callable[[], bool]) -> None:
    """Raises DataError for a file whose content is too large for this machine. in_blocks: whether its counts
    stay in it.
    """
    from gpovae_core.data.memory import too_large

    try:
        huge = too_large(path, in_blocks=in_blocks())
    except UNREADABLE as error:
        damaged(path, error)
    if huge:
        raise DataError([huge])


def looks(path: Path) -> dict[str, Any] | None:
    """What an HDF5 file has at its top, and its attributes under ""; None for any other file. Never
    raises.
    """
    import h5py

    try:
        if not path.is_file() or not has_hdf5_signature(path):
            return None
        with h5py.File(path, "r") as file:
            items: list[tuple[str, Any]] = [(str(name), file[name]) for name in file]
            inside: dict[str, Any] = {
                name: sorted(item) if hasattr(item, "keys") else [] for name, item in items
            }
            return inside | {"": dict(file.attrs)}
    except (*UNREADABLE, ValueError):
        return None
