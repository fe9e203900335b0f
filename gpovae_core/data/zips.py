"""Zip archives of strangers: judged by what they declare before they are opened, and unpacked no further."""

from __future__ import annotations

import struct
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gpovae_core.data.room import BLOCK, RoomError, in_words

RATIO = 100.0
"""Unpacked to packed bytes; an archive above that is made to fill a disk. Deflate can reach about 1,032."""
SMALL = 1 << 20
"""Bytes unpacked below which the ratio does not matter, as a rule."""
_END, _END64, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar")
_LONGEST_ENTRY = 600
"""Bytes of the list of contents that an entry with a long name takes."""


@dataclass(frozen=True)
class ZipLimits:
    """entries: most files; unpacked: most bytes of all together; ratio: most unpacked bytes for a packed one,
    None where anything goes, and not asked of archives that unpack to less than `small` bytes.
    """

    entries: int
    unpacked: int
    ratio: float | None = RATIO
    small: int = SMALL


def open_zip(file: Path, limits: ZipLimits, name: str = "") -> zipfile.ZipFile:
    """An archive that keeps to its limits by what it declares; nothing is unpacked yet.

    The number of its entries is read from its end before the list of them is: a list of a hundred thousand is
    never made. name: of the file in an error, where it has another one on the disk. Raises RoomError for what
    is beyond the limits, is locked by a password or is a link, and zipfile.BadZipFile for what is cut off or
    damaged.
    """
    name = name or file.name
    _check_contents(file, limits.entries, name)
    archive = zipfile.ZipFile(file)
    try:
        _check_entries(file, archive.infolist(), limits, name)
    except BaseException:
        archive.close()
        raise
    return archive


def _check_entries(file: Path, entries: list[zipfile.ZipInfo], limits: ZipLimits, name: str) -> None:
    if len(entries) > limits.entries:
        raise RoomError(f"'{name}' holds {len(entries):,} files; at most {limits.entries:,} are read.")
    unpacked, packed = sum(e.file_size for e in entries), sum(e.compress_size for e in entries)
    if unpacked > limits.unpacked:
        raise RoomError(
            f"'{name}' would unpack to {in_words(unpacked)}; at most {in_words(limits.unpacked)} are taken."
        )
    # packed sizes may lie too: entries can share bytes, so the file itself is what they are held against
    packed = min(packed, file.stat().st_size)
    if limits.ratio is not None and unpacked > limits.small and unpacked > limits.ratio * packed:
        raise RoomError(
            f"'{name}' has {in_words(file.stat().st_size)} and would unpack to {in_words(unpacked)}, "
            f"more than {limits.ratio:.0f} times as much: no such archive is written here."
        )
    for entry in entries:
        inside = entry.filename[:80]
        if entry.flag_bits & 1:
            raise RoomError(f"'{inside}' in '{name}' is locked by a password. Unlock the archive first.")
        if (entry.external_attr >> 28) == 0o12:  # the type of a file in the high bits of its Unix mode
            raise RoomError(f"'{inside}' in '{name}' is a link. Links are not followed out of an archive.")
        if entry.filename.casefold().endswith(_ARCHIVES):
            raise RoomError(f"'{inside}' in '{name}' is an archive itself. Unpack the outer one first.")


def _check_contents(file: Path, most: int, name: str) -> None:
    """Raise RoomError where an archive says at its end that it lists more than `most` entries, in number or
    in bytes, and BadZipFile where it has no end. The layout is that of PKWARE's APPNOTE, 4.3.14 to 4.3.16.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        stream.seek(max(0, size - 22 - 65535))
        tail = stream.read()
        at = tail.rfind(_END)
        if at < 0 or len(tail) - at < 22:
            raise zipfile.BadZipFile("it has no end")
        entries, length = struct.unpack("<HI", tail[at + 10 : at + 16])
        if entries == 0xFFFF or length == 0xFFFFFFFF:
            entries, length = _of_zip64(stream, tail, at, entries, length)
    if entries > most or length > most * _LONGEST_ENTRY:
        raise RoomError(f"'{name}' holds {entries:,} files; at most {most:,} are read.")


def _of_zip64(stream: IO[bytes], tail: bytes, at: int, entries: int, length: int) -> tuple[int, int]:
    """(entries, bytes of their list) of an archive too large for the short fields."""
    locator = tail[at - 20 : at] if at >= 20 else b""
    if not locator.startswith(_LOCATOR64):
        return entries, length
    stream.seek(struct.unpack("<Q", locator[8:16])[0])
    record = stream.read(56)
    if len(record) < 56 or not record.startswith(_END64):
        raise zipfile.BadZipFile("its end is damaged")
    return struct.unpack("<QQ", record[32:48])


def unpack(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    """One file, never more of it than it said it would be. Raises RoomError where there is more."""
    left = entry.file_size
    with archive.open(entry) as stream, target.open("wb") as out:
        while block := stream.read(BLOCK):
            left -= len(block)
            if left < 0:
                raise RoomError(f"'{entry.filename[:60]}' is larger than the archive says.")
            out.write(block)
