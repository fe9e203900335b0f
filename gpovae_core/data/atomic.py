"""Files that are replaced as a whole: a reader, and whoever comes after a crash, finds the old one or the
new, never a part.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

READABLE = 0o644
"""Permissions of a file that everybody may read; safetensors makes files that only their owner can."""


def aside_of(path: Path) -> Path:
    """Where a file is made before it takes its place: hidden beside it, one for each thread, since two people
    may upload the same name at once. JobFolder.sweep removes those that a killed process left.
    """
    return path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident():x}.part")


@contextmanager
def replacing(path: Path, mode: int | None = None) -> Iterator[Path]:
    """A path to write a file (or folder) to; it takes the place of `path` where the body ends well, and is
    removed where it does not: a full disk is not made fuller.

    mode: permissions of the new file, where the library that writes it sets others than `open` does.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):  # /dev/stdout, a pipe
        yield path
        return
    aside = aside_of(path)
    try:
        yield aside
        if mode is not None:
            aside.chmod(mode)
        aside.replace(path)
    except BaseException:
        if aside.is_dir():
            shutil.rmtree(aside, ignore_errors=True)
        else:
            aside.unlink(missing_ok=True)
        raise


def write_text(path: Path, text: str) -> None:
    """Replace a text file, and wait until the disk has it."""
    with replacing(path) as aside, aside.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
