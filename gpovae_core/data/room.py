"""Room on the disk: what an import, an upload, a download or a conversion may write.

Sizes are checked twice, as they are declared before anything is written, and as they come. A margin stays
free for runs that are being trained: a full disk would stop them.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gpovae_core.errors import GpoVaeError

KEEP_FREE = "GPOVAE_KEEP_FREE_GB"
"""Environment variable: gigabytes (10^9 bytes) of every disk that are never filled; 1 where it is not set."""
ANYWAY = "GPOVAE_ANYWAY"
"""Environment variable: not empty where work begins although it is reckoned not to fit (runs.needs); a
background job takes it over.
"""
BLOCK = 1 << 20


class RoomError(GpoVaeError):
    """More than there is room for, or than is allowed."""


class NotEnoughError(RoomError):
    """Work that is reckoned to need more memory or disk than there is; it has not begun."""


class FullDiskError(RoomError):
    """A disk that became full while something was written to it."""


def is_full(error: BaseException) -> bool:
    """Whether an error says that a disk is full, or that a user may write no more to it."""
    chain = (error, error.__cause__, error.__context__)
    codes = {getattr(cause, "errno", None) for cause in chain}
    return bool({errno.ENOSPC, errno.EDQUOT} & codes) or "No space left" in str(error)


def full_in_words(folder: Path) -> str:
    """What is said of the disk of a folder when it is full."""
    room = shutil.disk_usage(_nearest(folder))
    left = f"{in_words(room.free)} of {in_words(room.total)}"
    return f"The disk that holds '{folder}' is full; now {left} are free."


@contextmanager
def full_disk_said(folder: Path) -> Iterator[None]:
    """A full disk inside becomes a FullDiskError that names the disk of `folder`."""
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        raise FullDiskError(f"{full_in_words(folder)} Make room there, then try again.") from error


def in_words(size: float) -> str:
    """Bytes as a person reads them: '3.2 GB', '14 MB', '800 bytes'."""
    for unit, name in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if size >= unit:
            return f"{size / unit:,.1f} {name}"
    return f"{size:,.0f} bytes"


def kept_free() -> int:
    """Bytes of a disk that stay free. Raises RoomError where the environment does not name a number."""
    told = os.environ.get(KEEP_FREE, "1")
    try:
        gigabytes = float(told)
    except ValueError:
        gigabytes = float("nan")
    if not 0 <= gigabytes < float("inf"):
        raise RoomError(f"{KEEP_FREE} is '{told[:40]}'; expected gigabytes to keep free, such as 1 or 0.5.")
    return int(gigabytes * 1e9)


def anyway(asked: bool) -> bool:
    """From now on, in this process and those that it starts, begin what is reckoned not to fit; returns what
    was asked, for the option that it is a callback of.
    """
    if asked:
        os.environ[ANYWAY] = "1"
    return asked


def room_in(folder: Path) -> int:
    """Bytes that may be written to the disk of a folder, which need not be there yet."""
    return max(0, shutil.disk_usage(_nearest(folder)).free - kept_free())


def _nearest(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    there = folder.resolve()
    while not there.exists():
        there = there.parent
    return there


def check_room(need: int, folder: Path, what: str, most: int | None = None) -> None:
    """Raise RoomError where `need` bytes are more than `most`, or than may be written in `folder`.

    what: subject of the sentence: "The run in 'a.zip'".
    """
    if most is not None and need > most:
        raise RoomError(f"{what} takes {in_words(need)}; at most {in_words(most)} are taken.")
    room = room_in(folder)
    if need > room:
        raise RoomError(
            f"{what} takes {in_words(need)}, and there is room for {in_words(room)} in '{folder}' "
            f"({in_words(kept_free())} of the disk are kept free for what is running). Make room there, or "
            f"set {KEEP_FREE}."
        )


def copy_within(
    source: IO[bytes], target: IO[bytes], folder: Path, what: str, most: int | None = None
) -> int:
    """Copy a stream of unknown length and return its bytes. Raises RoomError as soon as it is more than
    `most`, or than there is room for in `folder`; what was written until then is the caller's to remove.
    """
    written, since, room = 0, 0, room_in(folder)
    while block := source.read(BLOCK):
        written, since = written + len(block), since + len(block)
        if since >= 64 * BLOCK:  # others write to the disk too
            since, room = 0, written + room_in(folder)
        if written > min(room, most if most is not None else written):
            check_room(written, folder, what, most)
            raise RoomError(f"{what} does not fit into '{folder}' any more. Make room there.")
        target.write(block)
    return written
