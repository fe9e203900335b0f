"""Gzip files of strangers: unpacked as they are read, and no further than is plausible."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import IO, cast

from gpovae_core.data.room import RoomError, in_words
from gpovae_core.data.zips import RATIO, SMALL

OF_ZEROS = 500.0
"""Ratio of a table that is nearly all zeros, such as UMIs of guides by cell; gzip itself can reach 1,032."""
_BLOCK = 1 << 18


def open_gzip(content: Path | IO[bytes], ratio: float = RATIO, name: str = "") -> IO[bytes]:
    """What is packed in a gzip file or stream, to be read like a file. Reading raises RoomError as soon as
    more than `ratio` times as many bytes came out as went in, and what gzip raises for damage.

    name: of the file in the error; that of the path where there is one.
    """
    packed = content.open("rb") if isinstance(content, Path) else content
    shown = content.name if isinstance(content, Path) else name
    return cast("IO[bytes]", io.BufferedReader(_Unpacking(packed, ratio, shown), _BLOCK))


def open_packed_or_not(path: Path, ratio: float = RATIO) -> IO[bytes]:
    """The same of a file whose name says that it is packed (.gz); any other as it is."""
    return open_gzip(path, ratio) if path.name.casefold().endswith(".gz") else path.open("rb")


class _Unpacking(io.RawIOBase):
    def __init__(self, packed: IO[bytes], ratio: float, name: str) -> None:
        self._packed, self._ratio, self._name = packed, ratio, name
        self._unpacked, self._bytes = gzip.GzipFile(fileobj=packed), 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        block = self._unpacked.read(len(buffer))
        buffer[: len(block)] = block
        self._bytes += len(block)
        if self._bytes > SMALL and self._bytes > self._ratio * self._packed.tell():
            raise RoomError(
                f"'{self._name}' unpacks to more than {self._ratio:.0f} times its size "
                f"({in_words(self._bytes)} and more): no such file is read here."
            )
        return len(block)

    def close(self) -> None:
        self._packed.close()
        super().close()
