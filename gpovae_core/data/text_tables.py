"""Tables of text as laboratories and databases write them: any usual separator, packed with gzip or not, with
lines of remarks above, and a first line of names that may itself begin with a #.

Nothing but text is read, line by line, and never more than is asked for.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from gpovae_core.data.gzips import open_gzip
from gpovae_core.data.room import RoomError
from gpovae_core.data.zips import RATIO

SEPARATORS = ("\t", ",", ";", "|", " ")
"""Tried in this order: the first that cuts the line of names and the line below it into as many fields."""
LONGEST_LINE = 4_000_000
_GZIP = b"\x1f\x8b"
_ENDINGS = (".csv", ".tsv", ".tab", ".txt", ".tab3", ".gmt", ".sif")


class NotATable(Exception):
    """What keeps a file from being a table of text, in words that go after its name."""


@dataclass(frozen=True)
class TextTable:
    """header: the names in the first line as they stand, without a # in front; separator: between fields;
    rows: (number of the line, fields) of every line below that is not empty, read as they are asked for.
    """

    header: tuple[str, ...]
    separator: str
    rows: Iterator[tuple[int, list[str]]]


def open_table(
    content: bytes | Path, most_bytes: int, is_header: Callable[[tuple[str, ...]], bool] = lambda _: True
) -> TextTable:
    """The table in the bytes of a file, or in a file, unpacked where it begins like a gzip file.

    most_bytes: of text, beyond which it is refused. is_header: whether names are those of a table that is
    looked for; asked where the last line that begins with a # may be the names, as in the files of STRING and
    BioGRID. Raises NotATable.
    """
    lines = lines_of(content, most_bytes)
    remarks: list[tuple[int, str]] = []
    first: tuple[int, str] | None = None
    for number, line in lines:
        if line.startswith("#"):
            remarks.append((number, line))
        elif line.strip():
            first = number, line
            break
    if first is None:
        if not remarks:
            raise NotATable("is empty")
        first = remarks.pop()
    below = next(((number, line) for number, line in lines if line.strip()), None)
    above, unmarked = remarks[-1] if remarks else None, first
    if above is not None and len(_cut(_bare(above[1]), _separator(_bare(above[1]), first[1]))) > 1:
        # the line of names begins with a #, and what follows are its rows
        separator = _separator(_bare(above[1]), first[1])
        names, fields = _cut(_bare(above[1]), separator), _cut(first[1], separator)
        if len(names) == len(fields) and is_header(names):
            return TextTable(names, separator, _rows([first, *([below] if below else [])], lines, separator))
    text = _bare(unmarked[1]) if unmarked[1].startswith("#") else unmarked[1]
    separator = _separator(text, below[1] if below else text)
    names = _cut(text, separator)
    if below and _has_row_names(names, _cut(below[1], separator), separator):
        names = ("", *names)
    return TextTable(names, separator, _rows([below] if below else [], lines, separator))


def plain_name(name: str) -> str:
    """A column's name for comparison: lower case, everything but letters and digits as one underscore:
    'subunits(Gene name)' -> 'subunits_gene_name'.
    """
    return re.sub(r"[^0-9a-z]+", "_", name.strip().casefold()).strip("_")


def stem_of(file_name: str) -> str:
    """The name of a file without the endings of a table of text: 'trrust' of 'trrust.tsv.gz'."""
    stem = file_name[:-3] if file_name.casefold().endswith(".gz") else file_name
    ending = next((one for one in _ENDINGS if stem.casefold().endswith(one)), "")
    return stem[: len(stem) - len(ending)] or file_name


def lines_of(content: bytes | Path, most_bytes: int) -> Iterator[tuple[int, str]]:
    """(number, line) of a text, unpacked where it begins like a gzip file, each line with its end. Raises
    NotATable for whatever is wrong with the file.
    """
    read = 0
    try:
        with _opened(content) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as text:
            number = 0
            while line := text.readline(LONGEST_LINE):
                number += 1
                read += len(line)
                if read > most_bytes:
                    raise NotATable(
                        f"holds more than {most_bytes // 1_000_000} MB of text: leave out what is not needed"
                    )
                if len(line) == LONGEST_LINE:
                    raise NotATable(f"is not a table that can be read (line {number} does not end)")
                yield number, line
    except (EOFError, UnicodeDecodeError, zlib.error, gzip.BadGzipFile) as error:
        raise NotATable("is not a text file") from error
    except RoomError as error:
        raise NotATable(f"unpacks to more than {RATIO:.0f} times its size: no such table is read") from error


def _opened(content: bytes | Path) -> IO[bytes]:
    stream: IO[bytes] = io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
    packed = stream.read(2) == _GZIP
    stream.seek(0)
    return open_gzip(stream) if packed else stream


def _bare(line: str) -> str:
    """Without the # in front."""
    return line.lstrip("#").lstrip(" ")


def _has_row_names(names: Sequence[str], fields: Sequence[str], separator: str) -> bool:
    """Whether a row has one field more than the header: R's write.table names no column of row names. Not
    with commas, where write.csv does name it and a decimal comma looks the same.
    """
    return separator != "," and 1 < len(names) == len(fields) - 1


def _separator(header: str, below: str) -> str:
    """What cuts both lines into the same number of fields, or the second into one more, as R writes it; else
    what cuts the first into the most.
    """
    counts = {one: (len(_cut(header, one)), len(_cut(below, one))) for one in SEPARATORS}
    alike = [one for one, (names, fields) in counts.items() if names == fields > 1]
    alike += [one for one in SEPARATORS if _has_row_names(_cut(header, one), _cut(below, one), one)]
    return alike[0] if alike else max(SEPARATORS[:-1], key=lambda one: counts[one][0])


def _cut(line: str, separator: str) -> tuple[str, ...]:
    try:
        fields = next(csv.reader([line.rstrip("\r\n")], delimiter=separator), [])
    except csv.Error as error:
        raise NotATable(f"is not a table that can be read ({error})") from error
    return tuple(field.strip() for field in fields)


def _rows(
    first: list[tuple[int, str]], rest: Iterator[tuple[int, str]], separator: str
) -> Iterator[tuple[int, list[str]]]:
    """Rows as csv cuts them, so that a quoted field may hold separators and ends of lines."""
    number = first[0][0] - 1 if first else 0

    def lines() -> Iterator[str]:
        nonlocal number
        for at, line in first:
            number = at
            yield line
        for at, line in rest:
            number = at
            yield line

    try:
        for fields in csv.reader(lines(), delimiter=separator):
            if fields and (len(fields) > 1 or fields[0].strip()):
                yield number, fields
    except csv.Error as error:
        raise NotATable(f"is not a table that can be read ({error})") from error
