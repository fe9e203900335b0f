"""The data folder: the one place that the browser may read cells from, and where uploads and downloads go.

A name from a form or a URL is untrusted: it is looked up below the folder after every link in it is followed,
or refused.
"""

from __future__ import annotations

import os
import re
import threading
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NoReturn

from gpovae_core.data.atomic import aside_of
from gpovae_core.data.effect_tables.folder import PACKED
from gpovae_core.data.effect_tables.read import holds_effects
from gpovae_core.data.readers import all_readers, forms_in_words, looks_like_cells
from gpovae_core.data.readers.zarr_zip import LIMITS as ANY_STORE
from gpovae_core.data.room import copy_within
from gpovae_core.data.zips import open_zip
from gpovae_core.errors import DataError, Problem

DEEPEST, MOST_FILES = 5, 2000
_UNSAFE = re.compile(r"[^A-Za-z0-9._+-]+")


@dataclass(frozen=True)
class DataFile:
    """A file of cells: its path below the data folder with forward slashes, bytes (where it is a folder:
    None), and when it last changed.
    """

    name: str
    size: int | None
    changed: float


def data_folder() -> Path:
    """Environment variable GPOVAE_DATA_DIR, or `data` in the working directory."""
    return Path(os.environ.get("GPOVAE_DATA_DIR") or "data")


def list_files(folder: Path) -> list[DataFile]:
    """Files of cells below the folder, by name; links that lead out of it are passed over."""
    root = folder.resolve()
    found = []
    for path in _walk(folder, DEEPEST):
        if not path.resolve().is_relative_to(root):
            continue
        stat = path.stat()
        found.append(
            DataFile(
                path.relative_to(folder).as_posix(), None if path.is_dir() else stat.st_size, stat.st_mtime
            )
        )
        if len(found) >= MOST_FILES:
            break
    return sorted(found, key=lambda file: file.name.casefold())


def list_beside(folder: Path, endings: Sequence[str]) -> list[str]:
    """Names of files below the folder with one of these endings, which a file of cells may need beside it;
    those that lead out of it are passed over.
    """
    root, found = folder.resolve(), []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if hidden or not name.isprintable() or name.count("/") > DEEPEST:
            continue
        if (
            name.casefold().endswith(tuple(endings))
            and path.resolve().is_relative_to(root)
            and path.is_file()
        ):
            found.append(name)
        if len(found) >= MOST_FILES:
            break
    return sorted(found, key=str.casefold)


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    try:
        children = sorted(folder.iterdir())
    except OSError:  # not there, or not readable
        return
    for path in children:
        if path.name.startswith(".") or not path.name.isprintable():
            continue
        if looks_like_cells(path) or _may_hold_effects(path):
            if path.exists():
                yield path
        elif path.is_dir() and not path.is_symlink() and depth > 0:
            yield from _walk(path, depth - 1)


def _may_hold_effects(path: Path) -> bool:
    """A table of effects in the place of cells, or a folder of such tables."""
    return (path.is_dir() or path.name.casefold().endswith(PACKED)) and holds_effects(path)


def inside(folder: Path, name: str) -> Path:
    """The existing file called `name` below the data folder. Raises DataError for a name that leads out of
    it, and where nothing is.
    """
    if not name.strip() or not name.isprintable() or "\\" in name:
        _refuse("bad-path", f"{name[:80]!r} is no name of a file.", "Choose a file from the list.")
    root = folder.resolve()
    try:
        path = (root / name).resolve()
        there = path.exists()
        if path.is_symlink():  # what is resolved is none, but in a circle, which Python 3.13 lets pass
            raise RuntimeError
    except (OSError, ValueError, RuntimeError):  # too long, or links in a circle
        _refuse("bad-path", f"'{name[:80]}' cannot be followed to a file.", "Choose a file from the list.")
    if not path.is_relative_to(root) or path == root:
        hint = (
            "Only files below it can be opened here: copy the file there, or start the dashboard with "
            f"GPOVAE_DATA_DIR set ({root})."
        )
        _refuse("outside-data-folder", f"'{name[:120]}' leads out of the data folder.", hint)
    if not there:
        _refuse(
            "file-missing",
            f"There is no file '{name[:120]}' in the data folder '{root}'.",
            "Choose a file from the list.",
        )
    return path


def safe_name(name: str) -> str:
    """A file name out of one that a browser sent: no folders, no odd characters, never hidden, with its
    ending.
    """
    last = re.split(r"[/\\]", name)[-1]
    stem, dot, ending = last.rpartition(".")
    clean = _UNSAFE.sub("_", stem if dot else ending).strip("._")[:80] or "cells"
    return f"{clean}.{_UNSAFE.sub('_', ending)[:10]}" if dot else clean


def upload_endings() -> list[str]:
    """Endings of the forms that are one file, and can be sent by a browser."""
    return [ending for reader in all_readers() if not reader.folder for ending in reader.endings]


_PLACING = threading.Lock()
"""Held from the choice of a free name until it is taken: people upload at the same time."""


def save_upload(
    folder: Path, name: str, content: IO[bytes], endings: Sequence[str] | None = None
) -> DataFile:
    """Keep an uploaded file in the data folder: never over another one; the same content under the same name
    is the same file. endings: that it may have, those of cells where None.
    """
    wish = safe_name(name)
    able = [*upload_endings(), *PACKED] if endings is None else list(endings)
    of_cells = wish.casefold().endswith(tuple(upload_endings()))
    if not wish.casefold().endswith(tuple(able)):
        if endings is None:
            _cannot_be_uploaded(wish)
        _refuse("unknown-file-type", f"'{wish}' cannot be uploaded here.", f"Expected is {', '.join(able)}.")
    folder.mkdir(parents=True, exist_ok=True)
    aside = aside_of(folder / wish)
    try:
        with aside.open("wb") as file:
            copy_within(content, file, folder, f"The upload '{wish}'")
        _judge_archive(aside, wish)
        if endings is None and not of_cells and not holds_effects(aside, wish):
            _cannot_be_uploaded(wish)
        with _PLACING:
            target = _free(folder, wish, aside, able)
            aside.replace(target)
    except OSError as error:
        message = f"'{wish}' could not be saved in '{folder}' ({error.strerror or error})."
        raise DataError(
            [
                Problem(
                    "upload-failed", message, "Make room there, or let GPOVAE_DATA_DIR name another folder."
                )
            ]
        ) from error
    finally:
        aside.unlink(missing_ok=True)
    return DataFile(target.name, target.stat().st_size, target.stat().st_mtime)


def _judge_archive(file: Path, name: str) -> None:
    """Raise RoomError for an archive that would be refused when it is read: it is not kept."""
    if zipfile.is_zipfile(file):
        with suppress(zipfile.BadZipFile):  # damage is in its report
            open_zip(file, ANY_STORE, name).close()


def _cannot_be_uploaded(name: str) -> NoReturn:
    _refuse(
        "unknown-file-type",
        f"'{name}' cannot be uploaded; expected {forms_in_words(files_only=True)}.",
        "Write one with `adata.write_h5ad('cells.h5ad')`. A table of effects (log fold changes with errors) "
        f"may also be a {', '.join(PACKED)}.",
    )


def _free(folder: Path, wish: str, content: Path, endings: Sequence[str]) -> Path:
    ending = max(filter(wish.casefold().endswith, endings), key=len)
    stem, number, target = wish[: -len(ending)], 1, folder / wish
    while target.exists() and not _same(target, content):
        number += 1
        target = folder / f"{stem}_{number}{wish[-len(ending) :]}"
    return target


def _same(one: Path, other: Path) -> bool:
    import filecmp

    return one.is_file() and filecmp.cmp(one, other, shallow=False)


def _refuse(code: str, message: str, hint: str) -> NoReturn:
    raise DataError([Problem(code, message, hint)])
